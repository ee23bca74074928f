/* value.h - one column's value in an Avro record (protocols.md 8.5). */
#ifndef ML_WORKER_ENCODER_AVRO_VALUE_H
#define ML_WORKER_ENCODER_AVRO_VALUE_H
#include <stdbool.h>
#include <stdint.h>

#include "capture-worker/event/msg.h"
#include "common/base/err.h"

/* A field of a record. */
struct av_field {
	const struct ml_column *column;
	uint16_t col;                   /* its index in the table */
	uint8_t how;                    /* enum av_how */
	bool nullable;                  /* a union */
	char value_branch, null_branch; /* its bytes in front of the value, of NULL */
};

/*
 * The value at the end of o.  ErrAvroEncodeFailed for what the schema has no place for: NULL of a NOT NULL column, the empty
 * "invalid" element of an ENUM, an unknown element.
 */
int av_put_value(struct ml_out *o, const struct av_field *f, const struct ml_datum *d, struct ml_err *err);
#endif
