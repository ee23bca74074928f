#include "capture-worker/source/mysql/payload.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "capture-worker/source/mysql/event.h"
#include "common/base/buf.h"

/* Largest event a server writes: max_allowed_packet is 1 GiB at most. */
#define EVENT_MAX (1u << 30)
/* Most bytes that a transaction may claim; a compressed one is written only below the binlog cache's limits. */
#define PLAIN_MAX (UINT64_C(1) << 40)
/* Buffers larger than this are not kept from one transaction to the next. */
#define KEEP_BYTES (1u << 20)

enum { FIELD_END = 0, FIELD_SIZE = 1, FIELD_COMPRESSION = 2, FIELD_PLAIN_SIZE = 3 };
enum { COMPRESSION_ZSTD = 0, COMPRESSION_NONE = 255 };

struct ml_payload {
	ZSTD_DCtx *zstd;
	ZSTD_inBuffer in;
	bool plain;       /* not compressed */
	bool frame_ended; /* at a place where the input may end */
	uint64_t left;    /* unfolded bytes not given out yet, as the head claims */
	uint8_t *buf;
	size_t cap;
};

struct ml_payload *
ml_payload_new(void)
{
	struct ml_payload *p = calloc(1, sizeof(*p));

	if (p == NULL || (p->zstd = ZSTD_createDCtx()) == NULL)
		abort();
	return p;
}

void
ml_payload_free(struct ml_payload *p)
{
	if (p == NULL)
		return;
	ZSTD_freeDCtx(p->zstd);
	free(p->buf);
	free(p);
}

int
ml_payload_open(struct ml_payload *p, const uint8_t *body, size_t len)
{
	struct ml_rd r = ml_rd_of(body, len);
	uint64_t size = 0, compression = UINT64_MAX, plain_size = 0;

	for (;;) {
		uint64_t type = ml_rd_lenenc(&r), n, value;
		struct ml_rd v;

		if (r.bad)
			return -1;
		if (type == FIELD_END)
			break;
		n = ml_rd_lenenc(&r);
		if (r.bad || n > ml_rd_left(&r))
			return -1;
		v = ml_rd_of(ml_rd_bytes(&r, (size_t)n), (size_t)n);
		if (type > FIELD_PLAIN_SIZE)
			continue;
		value = ml_rd_lenenc(&v);
		if (v.bad)
			return -1;
		if (type == FIELD_SIZE)
			size = value;
		else if (type == FIELD_COMPRESSION)
			compression = value;
		else
			plain_size = value;
	}
	if (size != ml_rd_left(&r) || (compression != COMPRESSION_ZSTD && compression != COMPRESSION_NONE) ||
		plain_size > PLAIN_MAX)
		return -1;
	p->plain = compression == COMPRESSION_NONE;
	p->left = plain_size != 0 ? plain_size : PLAIN_MAX;
	p->in = (ZSTD_inBuffer){ .src = r.p, .size = ml_rd_left(&r) };
	p->frame_ended = true;
	if (p->cap > KEEP_BYTES) {
		free(p->buf);
		p->buf = NULL;
		p->cap = 0;
	}
	return ZSTD_isError(ZSTD_DCtx_reset(p->zstd, ZSTD_reset_session_only)) ? -1 : 0;
}

/* Unfolds up to n bytes; fewer only at the end.  -1: broken. */
static int64_t
unfold(struct ml_payload *p, uint8_t *to, size_t n)
{
	ZSTD_outBuffer out = { .dst = to, .size = n };

	while (out.pos < out.size) {
		size_t before = out.pos, at = p->in.pos, rc;

		rc = ZSTD_decompressStream(p->zstd, &out, &p->in);
		if (ZSTD_isError(rc))
			return -1;
		if (out.pos == before && p->in.pos == at) {
			/* Nothing moves any more: the input is at its end, which must be one of a frame. */
			return p->frame_ended ? (int64_t)out.pos : -1;
		}
		p->frame_ended = rc == 0;
	}
	return (int64_t)out.pos;
}

static void
reserve(struct ml_payload *p, size_t n)
{
	if (n <= p->cap)
		return;
	n += n / 2;
	p->buf = realloc(p->buf, n);
	if (p->buf == NULL)
		abort();
	p->cap = n;
}

static size_t
size_of(const uint8_t *header)
{
	struct ml_rd r = ml_rd_of(header + 9, 4);

	return (size_t)ml_rd_le(&r, 4);
}

int
ml_payload_next(struct ml_payload *p, const uint8_t **ev, size_t *len)
{
	int64_t got;
	size_t size, have;

	if (p->plain) {
		size_t left = p->in.size - p->in.pos;
		const uint8_t *at = (const uint8_t *)p->in.src + p->in.pos;

		if (left == 0)
			return 0;
		if (left < ML_EV_HEADER || (size = size_of(at)) < ML_EV_HEADER || size > left)
			return -1;
		p->in.pos += size;
		*ev = at;
		*len = size;
		return 1;
	}
	reserve(p, ML_EV_HEADER);
	got = unfold(p, p->buf, ML_EV_HEADER);
	if (got <= 0)
		return (int)got;
	if (got < (int64_t)ML_EV_HEADER)
		return -1;
	size = size_of(p->buf);
	if (size < ML_EV_HEADER || size > EVENT_MAX || size > p->left)
		return -1;
	p->left -= size;
	/* In steps, so that a size that is a lie costs no more memory than there are bytes. */
	for (have = ML_EV_HEADER; have < size;) {
		size_t step = size - have < KEEP_BYTES ? size - have : KEEP_BYTES;

		reserve(p, have + step);
		got = unfold(p, p->buf + have, step);
		if (got < (int64_t)step)
			return -1;
		have += step;
	}
	*ev = p->buf;
	*len = size;
	return 1;
}
