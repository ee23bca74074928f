/*
 * table.h - what canal-json can write of a table before it has seen a row: everything but values, times and the codes of
 * UNSIGNED integers (protocols.md 5.1, 5.3).  Hangs on schema->encoder.
 */
#ifndef ML_WORKER_ENCODER_CANAL_JSON_TABLE_H
#define ML_WORKER_ENCODER_CANAL_JSON_TABLE_H
#include <stdbool.h>
#include <stdint.h>

#include "capture-worker/event/row.h"
#include "capture-worker/event/schema.h"

/* How a BYTES value is written; numbers need no telling. */
enum cj_bytes { CJ_TEXT, CJ_LATIN1 };

struct cj_column {
	const char *piece; /* `,"name":"` escaped; without the comma from piece + 1, without the quote up to len - 1 */
	uint32_t len;
	uint8_t bytes; /* enum cj_bytes */
};

/* A stretch of `sqlType` up to an UNSIGNED integer column, whose code depends on the row's value. */
struct cj_code {
	const char *before;
	uint32_t before_len;
	uint16_t column;
	uint64_t bound; /* above it the value is promoted */
	struct ml_text code, promoted;
};

/*
 * The texts for one set of columns that are output: `sqlType` and `mysqlType` list just these.  All rows of a table have the
 * same set, but for DELETE with handle keys only; a column selector or a virtual column makes it smaller than the table.
 */
struct cj_shape {
	struct cj_shape *next;
	bool handle_only; /* of DELETE with delete-only-output-handle-key-columns */
	uint16_t n_cols, n_codes;
	uint16_t *cols;  /* output columns, table order */
	uint8_t *absent; /* per column of the table: not in the rows' image */
	struct cj_code *codes;
	/* From `,"sql":"","sqlType":...` (behind the last code) to `,"old":`. */
	const char *rest;
	uint32_t rest_len;
};

struct cj_table {
	uint64_t serial;           /* of the encoder that made it */
	struct ml_text head[4];    /* by enum ml_op: from `{"id":0` to `"es":` */
	struct cj_column *columns; /* of the table */
	struct cj_shape *shapes;
	unsigned n_shapes;
	bool full_types; /* mysqlType in full (content-compatible) */
	struct ml_arena arena;
	struct ml_arena shape_arena;
};

/* The table's texts, made at first use.  serial: of the encoder, so that another one's are made anew. */
struct cj_table *cj_table_of(struct ml_schema *s, uint64_t serial, bool full_types);
/* The shape of an image (schema->n_columns datums). */
const struct cj_shape *cj_shape_of(
	struct cj_table *t, const struct ml_schema *s, const struct ml_datum *image, bool handle_only);
#endif
