/*
 * job.h - the comparison of one table, shared by the threads: its chunks, what they found, and how it ends.
 *
 * A row found different is looked at again until it is equal or has been different, with the source's row unchanged, for the
 * settle time: changes that are still on their way are no differences.
 */
#ifndef ML_WORKER_VERIFY_JOB_H
#define ML_WORKER_VERIFY_JOB_H
#include <pthread.h>

#include "capture-worker/verify/cursor.h"

struct ml_vf_job {
	struct ml_vf_pair *pair;
	bool only_down; /* the source has no such table: pair's upstream is the copy's definition, nothing is compared */
	uint64_t estimate; /* rows, by the source's statistics */
	pthread_mutex_t lock;
	struct ml_vf_cursor cursor; /* all below: under the lock */
	unsigned in_flight;         /* chunks being compared */
	uint64_t rows, chunks;      /* compared so far, of the source */
	struct ml_vf_diffs diffs;
	uint64_t repaired;
};

struct ml_vf_job *ml_vf_job_new(struct ml_vf_pair *pair, uint32_t chunk_rows); /* takes the pair over */
void ml_vf_job_free(struct ml_vf_job *j);

/*
 * Compares the next chunk.  1: done; 0: there is none; -1: err.  *last: no chunk is left or at work, so the caller is the one
 * to finish the table.
 */
int ml_vf_job_chunk(struct ml_vf_job *j, struct ml_vf_conns *c, bool *last, struct ml_err *err);
/* Looks at the differences again until they are gone or count; stop: gives up early.  j belongs to the caller now. */
int ml_vf_job_settle(
	struct ml_vf_job *j, struct ml_vf_conns *c, uint32_t settle_ms, const volatile bool *stop, struct ml_err *err);
uint64_t ml_vf_job_count(const struct ml_vf_job *j, enum ml_vf_what what); /* rows */
bool ml_vf_job_differs(const struct ml_vf_job *j);
#endif
