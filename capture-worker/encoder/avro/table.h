/*
 * table.h - what avro keeps of a table: the fields of its records and the ids that the registry gave to their schemas.  Hangs on
 * schema->encoder.
 */
#ifndef ML_WORKER_ENCODER_AVRO_TABLE_H
#define ML_WORKER_ENCODER_AVRO_TABLE_H
#include "capture-worker/encoder/avro/schema_registry.h"
#include "capture-worker/encoder/avro/schema_text.h"
#include "capture-worker/encoder/avro/value.h"
#include "capture-worker/event/row.h"

/* In front of every key and value: 00 and the schema's id. */
#define AV_HEAD_BYTES 5

struct av_record {
	char head[AV_HEAD_BYTES];
	uint16_t n_fields; /* 0: no schema is registered, the record is not written */
	struct av_field *fields;
};

/*
 * For one set of columns that rows have.  All rows of a table have the same: a virtual column or one that a selector removes is
 * in none.
 */
struct av_shape {
	struct av_shape *next;
	uint8_t *absent; /* per column of the table */
	uint16_t *cols;  /* the others */
	uint16_t n_cols;
	bool has_value; /* value is made; a DELETE has no use for it and registers none */
	struct av_record key, value;
};

struct av_table {
	uint64_t serial; /* of the encoder that made it */
	struct av_shape *shapes;
	unsigned n_shapes;
	struct ml_arena arena;
};

/* How tables become schemas, and where these go. */
struct av_maker {
	uint64_t serial;
	struct av_rules rules;
	struct ml_schema_registry *registry;
};

/*
 * The shape of a row's image; the first row of a definition registers its schemas under <topic>-key and, if value, under
 * <topic>-value, which may block.  NULL: ErrAvroSchemaAPIError.
 */
const struct av_shape *av_shape_of(const struct av_maker *mk, struct ml_schema *s, struct ml_text topic,
	const struct ml_datum *image, bool value, struct ml_err *err);
#endif
