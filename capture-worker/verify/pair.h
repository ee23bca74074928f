/*
 * pair.h - one table as both sides define it: which columns are compared, by what key, and the SQL for their values.
 *
 * Values are made comparable by the servers: text as utf8mb4, floats with all their digits, ENUM, SET and BIT as numbers, times
 * in UTC.  JSON is left to this program where one side keeps it as JSON and the other as text, since the texts differ then.
 */
#ifndef ML_WORKER_VERIFY_PAIR_H
#define ML_WORKER_VERIFY_PAIR_H
#include <stdbool.h>
#include <stdint.h>

#include "capture-worker/event/schema.h"
#include "capture-worker/source/mysql/conn.h"
#include "capture-worker/verify/options.h"
#include "common/base/buf.h"

enum ml_vf_kind {
	ML_VF_NUMBER,
	ML_VF_FLOATING,
	ML_VF_TEXT,
	ML_VF_BINARY,
	ML_VF_TIME, /* dates and times too */
	ML_VF_CODE, /* BIT, ENUM, SET: compared as numbers */
	ML_VF_JSON,
	ML_VF_GEOMETRY,
};

struct ml_vf_col {
	const struct ml_column *col[2]; /* by side */
	enum ml_vf_kind kind;           /* the upstream's */
	bool soft;                      /* JSON compared by this program */
	char *value[2];                 /* SQL expression of the value, as it is shown and compared */
};

struct ml_vf_pair {
	struct ml_schema *schema[2]; /* references owned; [ML_VF_DOWN] NULL: the copy lacks the table */
	char *from[2];               /* `db`.`table` */
	struct ml_vf_col *cols;      /* upstream's order */
	uint16_t n_cols, n_soft;
	uint16_t *key;          /* indexes into cols, in index order: primary key, or a unique key without NULLs */
	uint16_t n_key, n_walk; /* n_walk: leading key columns whose order is the same on both sides */
	bool integer_key;       /* the key is one integer column */
	char *hash[2];          /* SQL expression: the checksum of a row, without soft columns */
	struct ml_buf lacks;    /* names of columns that the copy lacks, ", " between; empty: none */
};

/* down NULL: the copy has no such table.  Takes references of its own. */
struct ml_vf_pair *ml_vf_pair_new(
	struct ml_schema *up, struct ml_schema *down, const struct ml_my_conn conn[2], enum ml_vf_hash hash);
void ml_vf_pair_free(struct ml_vf_pair *p);

/* Appends a back-quoted name. */
void ml_vf_put_name(struct ml_buf *out, const char *s, size_t len);
/* Appends the literal of a value that was fetched through col->value; s NULL: NULL. */
void ml_vf_put_literal(
	struct ml_buf *out, struct ml_my_conn *c, const struct ml_vf_col *col, const char *s, unsigned long len);
#endif
