/*
 * rows.h - what a condition selects on both sides: by checksum, or row by row.
 *
 * Both servers work at the same time: the question goes to both before either answer is read.
 */
#ifndef ML_WORKER_VERIFY_ROWS_H
#define ML_WORKER_VERIFY_ROWS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capture-worker/verify/pair.h"
#include "common/base/arena.h"

/* The connections of one thread, by side. */
struct ml_vf_conns {
	struct ml_my_conn c[2];
};

enum ml_vf_what { ML_VF_MISSING, ML_VF_EXTRA, ML_VF_CHANGED }; /* as the copy looks to the source */

/* A row that differs.  Without a key: rows of equal content, of which one side has more. */
struct ml_vf_diff {
	enum ml_vf_what what;
	const char *where; /* selects this row on either side; in the list's arena */
	const char *key;   /* "id=5, code='a'", for people */
	const char *id;    /* the key's bytes, to know the row again */
	uint32_t id_len;
	uint64_t up_hash;  /* 0 if missing there */
	uint64_t n;        /* rows: 1, or more without a key */
	uint64_t since_ms; /* monotonic time since when the source's row is as it is */
};

struct ml_vf_diffs {
	struct ml_vf_diff *v;
	size_t n, cap;
	struct ml_arena arena;
};
void ml_vf_diffs_init(struct ml_vf_diffs *d);
void ml_vf_diffs_fini(struct ml_vf_diffs *d);
/* A copy of x, with its texts, at the end of d. */
void ml_vf_diffs_add(struct ml_vf_diffs *d, const struct ml_vf_diff *x);

/* Runs sql[side] on both; *res are stored results, for mysql_free_result; on error both are NULL. */
int ml_vf_ask(struct ml_vf_conns *c, const struct ml_buf sql[2], MYSQL_RES *res[2], struct ml_err *err);

/*
 * Checksums of the rows that where selects (NULL: all).  *same; *n_rows: of the source.  Tables with soft columns are never
 * the same here.
 */
int ml_vf_checksum(struct ml_vf_conns *c, const struct ml_vf_pair *p, const char *where, bool *same, uint64_t *n_rows,
	struct ml_err *err);
/* Appends the rows that differ; since_ms of each is now_ms. */
int ml_vf_rows(struct ml_vf_conns *c, const struct ml_vf_pair *p, const char *where, uint64_t now_ms,
	struct ml_vf_diffs *out, struct ml_err *err);
#endif
