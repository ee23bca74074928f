/*
 * key.h - what a row change touches: one key per unique index and image, so that changes of the same row, or of rows that want
 * the same unique value, are recognised (sinks.md 3.4).
 *
 * Equal values give equal keys always; unequal ones may (a hash, a folded text): that costs a needless wait, never an error.
 */
#ifndef ML_WORKER_SINK_MYSQL_KEY_H
#define ML_WORKER_SINK_MYSQL_KEY_H
#include "capture-worker/event/row.h"
#include "capture-worker/sink/mysql/table.h"
#include "common/base/buf.h"

/*
 * The bytes of image's key in u: each value's text and a zero, u's ordinal and the table's id as 8 bytes big-endian each.  False
 * if a value is NULL or absent: then u gives no key.  out is overwritten.
 */
bool sql_key_bytes(
	struct ml_buf *out, const struct sql_table *t, const struct sql_unique *u, const struct ml_datum *image);
/* Appends text in a form that is equal for all texts that a case-insensitive collation may take for equal. */
void sql_fold_text(struct ml_buf *out, const char *s, size_t len);

/* Most hashes that one row of t has. */
static inline uint32_t
sql_keys_max(const struct sql_table *t)
{
	return 2u * t->n_uniques + 2;
}
/* The row's hashes, without doubles, at out; returns how many.  scratch is overwritten. */
uint32_t sql_keys_of(uint64_t *out, const struct sql_table *t, const struct ml_row *row, struct ml_buf *scratch);
#endif
