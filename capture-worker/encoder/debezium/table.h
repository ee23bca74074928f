/*
 * table.h - what debezium can write of a table before it has seen a row: everything but values and times; the schemas of key
 * and value are texts that rows only copy (protocols.md 11.1 - 11.3).  Hangs on schema->encoder.
 */
#ifndef ML_WORKER_ENCODER_DEBEZIUM_TABLE_H
#define ML_WORKER_ENCODER_DEBEZIUM_TABLE_H
#include <stdbool.h>
#include <stdint.h>

#include "capture-worker/event/msg.h"
#include "capture-worker/event/row.h"
#include "capture-worker/event/schema.h"
#include "common/text/tz.h"

/* Settings that the texts follow from; one per encoder. */
struct dbz_form {
	uint64_t serial;
	bool with_schema;
	struct ml_text cluster;
	const struct ml_tz *tz; /* of TIMESTAMP values; NULL: UTC */
};

struct dbz_column {
	const char *piece; /* `,"name":` escaped; without the comma from piece + 1 */
	uint32_t len;
	uint8_t how; /* enum dbz_how */
	bool not_null;
	uint16_t n_bits;       /* of BIT */
	uint16_t n_elems;      /* of ENUM and SET */
	uint64_t max;          /* integers above it are written as -1 */
	struct ml_text null;   /* what a NULL is written as */
	struct ml_text *elems; /* escaped, without quotes */
};

/*
 * The texts for one set of columns that rows have.  All rows of a table have the same set; a column selector or a virtual
 * column makes it smaller than the table.
 */
struct dbz_shape {
	struct dbz_shape *next;
	uint16_t n_cols, n_keys;
	uint16_t *cols, *keys;             /* output columns and those of the handle key, table order */
	uint8_t *absent;                   /* per column of the table: not in the rows' image */
	struct ml_text key_end, value_end; /* from behind the last column to the end of the message */
};

struct dbz_table {
	uint64_t serial;            /* of the encoder that made it */
	struct ml_text mid;         /* from behind the source's ts_ms to `"commit_ts":` */
	struct dbz_column *columns; /* of the table */
	struct dbz_shape *shapes;
	unsigned n_shapes;
	const struct dbz_form *form;
	struct ml_arena arena, shape_arena;
};

/* The schema of `source`, which has neither commit_ts nor cluster_id, but sequence. */
extern const struct ml_text dbz_source_schema;
/* `,"snapshot":...` to `"commit_ts":`. */
void dbz_put_source_mid(struct ml_out *o, struct ml_text db, struct ml_text table);
/* The table's texts, made at first use; f must live as long as its encoder. */
struct dbz_table *dbz_table_of(const struct dbz_form *f, struct ml_schema *s);
/* The shape of an image (schema->n_columns datums). */
const struct dbz_shape *dbz_shape_of(struct dbz_table *t, const struct ml_schema *s, const struct ml_datum *image);
#endif
