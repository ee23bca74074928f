/*
 * fold.h - from a log without a clock to strictly increasing timestamps (mysql-upstream.md 6.3, 6.4).  Pure arithmetic.
 *
 * Each closed group gets max(its own time, last + 1).  A tick raises `last` to the present when the reader is proven to be at
 * the head; whatever the server appends later then gets more than that.  The same groups, ticks and clamps in the same order
 * give the same timestamps.
 */
#ifndef ML_WORKER_SOURCE_MYSQL_FOLD_H
#define ML_WORKER_SOURCE_MYSQL_FOLD_H
#include <stdbool.h>
#include <stdint.h>

#include "common/base/ts.h"

/* A group's own time further ahead of the upstream's clock than this is nonsense (SET timestamp): microseconds. */
#define ML_FOLD_AHEAD_US 5000000u

struct ml_fold {
	ml_ts last;
};

/*
 * Timestamp of the next group.  phys_us: the group's own time, already clamped.
 */
static inline ml_ts
ml_fold_group(struct ml_fold *f, uint64_t phys_us)
{
	ml_ts c = ml_ts_from_ms(phys_us / 1000);

	if (c <= f->last)
		c = f->last + 1;
	f->last = c;
	return c;
}

/* The time to fold with: phys_us, or now_us with *clamped set when it lies too far ahead.  Both microseconds, Unix time. */
static inline uint64_t
ml_fold_clamp(uint64_t phys_us, uint64_t now_us, bool *clamped)
{
	*clamped = phys_us > now_us + ML_FOLD_AHEAD_US;
	return *clamped ? now_us : phys_us;
}

/* Raises last to now_us; true if that changed it, which makes a new resolved ts. */
static inline bool
ml_fold_tick(struct ml_fold *f, uint64_t now_us)
{
	ml_ts t = ml_ts_from_ms(now_us / 1000);

	if (t <= f->last)
		return false;
	f->last = t;
	return true;
}
#endif
