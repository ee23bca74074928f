/*
 * window.h - the keys that the stream has shown since a chunk's window was opened, so that the chunk's older rows are not sent
 * over newer ones (mysql-upstream.md 8.4).
 *
 * Keys are kept as 64-bit hashes of their datums.  A row that is left out without need (its change had come before the chunk was
 * read) costs nothing: the change itself, a whole row, has been sent.
 */
#ifndef ML_WORKER_SOURCE_MYSQL_SNAPSHOT_WINDOW_H
#define ML_WORKER_SOURCE_MYSQL_SNAPSHOT_WINDOW_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capture-worker/event/batch.h"

struct ml_copy_window {
	uint64_t *slots; /* open addressing; 0: free */
	size_t n, cap;   /* cap: a power of two, or 0 */
};

void ml_copy_window_fini(struct ml_copy_window *w);
void ml_copy_window_clear(struct ml_copy_window *w);
/* Never 0. */
uint64_t ml_copy_key_hash(const struct ml_index *key, const struct ml_datum *row);
void ml_copy_window_add(struct ml_copy_window *w, uint64_t hash);
bool ml_copy_window_has(const struct ml_copy_window *w, uint64_t hash);
/* Both images of a row of the stream. */
void ml_copy_window_row(struct ml_copy_window *w, const struct ml_index *key, const struct ml_row *row);
/* Takes the rows out of b whose keys are known; n_changes follows.  The number taken out. */
uint32_t ml_copy_window_cut(const struct ml_copy_window *w, const struct ml_index *key, struct ml_batch *b);
#endif
