/* avro_bin.h - values of Avro's binary encoding, written straight into a message (protocols.md 8.5). */
#ifndef ML_WORKER_ENCODER_AVRO_BIN_H
#define ML_WORKER_ENCODER_AVRO_BIN_H
#include <stdint.h>
#include <string.h>

#include "capture-worker/encoder/varint.h"
#include "capture-worker/event/msg.h"

/* An int or a long at p, at most ML_UVARINT_MAX bytes; returns the byte behind it. */
static inline char *
ml_avro_int(char *p, int64_t v)
{
	return ml_put_uvarint(p, ml_zigzag(v));
}

static inline void
ml_avro_long(struct ml_out *o, int64_t v)
{
	o->p = ml_avro_int(ml_out_need(o, ML_UVARINT_MAX), v);
}

/* A string or bytes. */
static inline void
ml_avro_bytes(struct ml_out *o, const char *s, size_t n)
{
	char *p = ml_avro_int(ml_out_need(o, ML_UVARINT_MAX + n), (int64_t)n);

	if (n > 0) /* an absent text has no address */
		memcpy(p, s, n);
	o->p = p + n;
}

static inline void
ml_avro_text(struct ml_out *o, struct ml_text t)
{
	ml_avro_bytes(o, t.s, t.len);
}

static inline void
ml_avro_bool(struct ml_out *o, bool v)
{
	*ml_out_need(o, 1) = v;
	o->p++;
}

static inline void
ml_avro_float(struct ml_out *o, float v)
{
	_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "floats are written in this machine's order");
	ml_out_put(o, &v, sizeof(v));
}

static inline void
ml_avro_double(struct ml_out *o, double v)
{
	ml_out_put(o, &v, sizeof(v));
}
#endif
