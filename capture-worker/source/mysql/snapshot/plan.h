/*
 * plan.h - the initial copy's statements: which key a table is walked by, and the SELECT of one chunk (mysql-upstream.md 8.3).
 *
 * A bound is a key as SQL literals, one for each of its columns.  A chunk is what lies behind one bound, in the key's order, up
 * to a number of rows; its last row is the next chunk's bound.  Conditions are written out with OR, since MySQL 5.7 does not use
 * a comparison of rows as a range.
 */
#ifndef ML_WORKER_SOURCE_MYSQL_SNAPSHOT_PLAN_H
#define ML_WORKER_SOURCE_MYSQL_SNAPSHOT_PLAN_H
#include <stdbool.h>
#include <stdint.h>

#include "capture-worker/event/schema.h"
#include "common/base/buf.h"

struct ml_copy_bound {
	char **v; /* heap; literals */
	size_t n; /* 0: no bound */
};
void ml_copy_bound_fini(struct ml_copy_bound *b);
void ml_copy_bound_copy(struct ml_copy_bound *to, const struct ml_copy_bound *from);

/* How a value of a SELECT becomes the datum that the log's value becomes. */
enum ml_copy_kind {
	ML_CK_ABSENT, /* a virtual column: not selected */
	ML_CK_I64,
	ML_CK_U64, /* BIT, ENUM and SET by CAST */
	ML_CK_F32,
	ML_CK_F64,
	ML_CK_DATE,
	ML_CK_DATETIME,
	ML_CK_TIMESTAMP,
	ML_CK_TIME,
	ML_CK_DECIMAL,
	ML_CK_TEXT,  /* in the column's charset */
	ML_CK_BYTES, /* binary, JSON, geometry */
	ML_CK_PLAIN, /* addresses, UUID: ASCII of a type of their own */
	ML_CK_VECTOR,
};
enum ml_copy_kind ml_copy_kind_of(const struct ml_column *c);

/*
 * The key that the table is walked by: its handle, if rows can be ordered and compared by it.  NULL: the table can only be read
 * as a whole.
 */
const struct ml_index *ml_copy_key(const struct ml_schema *s);
/* True if the key is one integer column, so that a table can be divided by arithmetic. */
bool ml_copy_key_is_integer(const struct ml_schema *s, const struct ml_index *key);
/* Appends the chunk's SELECT.  key NULL: the whole table.  limit 0: none. */
void ml_copy_select(struct ml_buf *out, const struct ml_schema *s, const struct ml_index *key,
	const struct ml_copy_bound *after, const struct ml_copy_bound *upto, uint64_t limit);
/* Appends the value as a literal that compares as the column does; p, n: bytes of text and binary ones. */
void ml_copy_literal(struct ml_buf *out, const struct ml_column *c, const void *p, size_t n);
/* Appends "`db`.`table`". */
void ml_copy_name(struct ml_buf *out, const struct ml_schema *s);
#endif
