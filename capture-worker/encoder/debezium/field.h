/*
 * field.h - columns as fields of Kafka Connect's schemas (protocols.md 11.3), and how their values are written.
 */
#ifndef ML_WORKER_ENCODER_DEBEZIUM_FIELD_H
#define ML_WORKER_ENCODER_DEBEZIUM_FIELD_H
#include <stdbool.h>
#include <stdint.h>

#include "capture-worker/event/msg.h"
#include "capture-worker/event/schema.h"
#include "common/text/tz.h"

enum dbz_how {
	DBZ_INT,
	DBZ_FLOAT,
	DBZ_DOUBLE,
	DBZ_DECIMAL,
	DBZ_BOOL, /* BIT(1) */
	DBZ_BITS,
	DBZ_TEXT,
	DBZ_BASE64,
	DBZ_ENUM,
	DBZ_SET,
	DBZ_DATE,
	DBZ_DATETIME_MS,
	DBZ_DATETIME_US,
	DBZ_TIMESTAMP,
	DBZ_TIME,
};

enum dbz_how dbz_how(const struct ml_column *c);
/* `"text"` in profile I. */
void dbz_put_string(struct ml_out *o, const char *s, size_t len);
/* A decimal number as a double in form J2; false, and nothing written: it is none. */
bool dbz_put_decimal(struct ml_out *o, const char *s, uint32_t len);
/* The low bytes of v that n bits need, little-endian, as base64. */
void dbz_put_bits(struct ml_out *o, uint64_t v, int n);
/* The field's schema; false, and nothing written: there shall be none. */
bool dbz_put_field(struct ml_out *o, const struct ml_column *c);
/* What a NULL is written as: the column's default like a value, `null` without one.  tz: as in when.h. */
void dbz_put_null(struct ml_out *o, const struct ml_column *c, const struct ml_tz *tz);
/* Bytes of a BIT's default as a number; false: there is none to be read. */
bool dbz_bit_default(const struct ml_column *c, uint64_t *v);
/* Is the column's default the time of the change? */
bool dbz_default_is_now(const struct ml_column *c);
#endif
