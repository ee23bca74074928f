/*
 * cursor.h - a table cut into chunks by its key, one after the other.
 *
 * The first chunk has no lower and the last no upper bound, so that rows which only one side has fall into a chunk wherever
 * they are.  An integer key is cut by arithmetic, with a width that follows how many rows the last chunks had; any other key
 * by asking the source for the row that ends the chunk.  A key without a common order makes one chunk of the table.
 */
#ifndef ML_WORKER_VERIFY_CURSOR_H
#define ML_WORKER_VERIFY_CURSOR_H
#include <stdbool.h>
#include <stdint.h>

#include "capture-worker/verify/rows.h"

struct ml_vf_cursor {
	bool started, ended;
	uint32_t chunk_rows;
	/* Integer key: what comes next, the last value there is, and how many values make a chunk. */
	__int128 next, last, width;
	/* Other keys: the literals of the row that ended the last chunk, NULL at the start; of n_walk columns. */
	char **bound;
	uint16_t n_bound;
};

void ml_vf_cursor_init(struct ml_vf_cursor *k, uint32_t chunk_rows);
void ml_vf_cursor_fini(struct ml_vf_cursor *k);
/*
 * The condition of the next chunk goes to where (empty: the whole table).  1: a chunk, 0: there is no more, -1: err.  One
 * thread at a time.
 */
int ml_vf_cursor_next(struct ml_vf_cursor *k, struct ml_vf_conns *c, const struct ml_vf_pair *p, struct ml_buf *where,
	struct ml_err *err);
/* A chunk had so many rows. */
void ml_vf_cursor_learn(struct ml_vf_cursor *k, uint64_t n_rows);

/* Appends "rows behind the bound" (or up to it) over the first n key columns, written out as ORs: exported for tests. */
void ml_vf_put_bound(struct ml_buf *out, const struct ml_vf_pair *p, char *const *bound, uint16_t n, bool up_to);
#endif
