/*
 * table.h - what simple can write of a table before it has seen a row: heads of messages, names of columns, the definition.  Hangs
 * on schema->encoder.
 */
#ifndef ML_WORKER_ENCODER_SIMPLE_TABLE_H
#define ML_WORKER_ENCODER_SIMPLE_TABLE_H
#include <stdbool.h>
#include <stdint.h>

#include "capture-worker/event/row.h"
#include "capture-worker/event/schema.h"

/* How this changefeed writes. */
struct sm_form {
	uint64_t serial; /* of the encoder, so that another one's tables are made anew */
	bool avro;
	struct ml_text location; /* name of the server's time zone */
};

/* What stands around a value. */
enum sm_how {
	SM_STRING,    /* JSON: text in quotes; Avro: a string */
	SM_BYTES,     /* JSON: base64; Avro: bytes */
	SM_TIMESTAMP, /* with the time zone's name */
	SM_NUMBER,    /* integers, BIT, ENUM, SET; JSON: decimal text in quotes; Avro: long */
	SM_FLOAT,     /* FLOAT, DOUBLE */
};

struct sm_column {
	uint16_t col; /* index in the table */
	uint8_t how;  /* enum sm_how */
	bool handle;
	/* JSON: `,"name":"`, for a timestamp `,"name":{"location":"...","value":"`; Avro: name and branch, zone.  */
	struct ml_text lead;
	struct ml_text null; /* JSON: `,"name":null`; Avro: name and branch 0 */
};

struct sm_table {
	uint64_t serial;
	/* By enum ml_op, up to the commit ts: JSON `{"version":1,...,"commitTs":`. */
	struct ml_text head[4];
	struct ml_text version;    /* of the schema: JSON `,"schemaVersion":N`, Avro a long */
	struct sm_column *columns; /* JSON: by name; Avro: table order */
	struct ml_text definition; /* TableSchema */
	struct ml_arena arena;
};

struct sm_table *sm_table_of(const struct sm_form *f, struct ml_schema *s);
#endif
