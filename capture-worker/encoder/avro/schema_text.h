/* schema_text.h - a table as an Avro schema, in the reference's spelling byte for byte (protocols.md 8.3, 8.4). */
#ifndef ML_WORKER_ENCODER_AVRO_SCHEMA_TEXT_H
#define ML_WORKER_ENCODER_AVRO_SCHEMA_TEXT_H
#include <stdbool.h>
#include <stdint.h>

#include "capture-worker/event/msg.h"
#include "capture-worker/event/schema.h"

/* What the changefeed's settings make of a table. */
struct av_rules {
	struct ml_text namespace; /* the changefeed's */
	bool decimal_text;        /* avro-decimal-handling-mode=string */
	bool bigint_text;         /* avro-bigint-unsigned-handling-mode=string */
	bool extension;           /* the three fields of enable-tidb-extension, in values */
	bool checksum;            /* behind them the three of a row checksum */
};

/* How a value is written. */
enum av_how { AV_LONG, AV_U64_TEXT, AV_FLOAT, AV_DOUBLE, AV_BIT, AV_DECIMAL, AV_BYTES, AV_ENUM, AV_SET };

enum av_how av_how(const struct ml_column *c, const struct av_rules *rules);
/* Is the first branch of the column's union the value (a default that is not null), not null?  Nullable columns only. */
bool av_value_first(const struct ml_column *c, const struct av_rules *rules);
/* The record's schema: cols are indexes of columns, in the order of the fields.  extension: with the rules' extra fields. */
void av_schema_text(struct ml_out *o, const struct ml_schema *s, const uint16_t *cols, uint16_t n_cols,
	const struct av_rules *rules, bool extension);
#endif
