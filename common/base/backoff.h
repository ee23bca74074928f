/* backoff.h - how long to wait before trying again.  Pure arithmetic: time is passed in, so tests need no sleeping. */
#ifndef ML_COMMON_BASE_BACKOFF_H
#define ML_COMMON_BASE_BACKOFF_H
#include <stdint.h>

struct ml_backoff {
	uint32_t base_ms; /* first delay; > 0 */
	uint32_t cap_ms;  /* longest delay; >= base_ms */
	uint32_t calm_ms; /* a run at least this long forgives earlier deaths */
	uint32_t deaths;  /* short runs in a row so far; start at 0 */
};

/*
 * Counts one more death and returns the delay before the next start: ms, within [base_ms, cap_ms].
 * lived_ms: how long the run that just ended had lived, by the monotonic clock.
 * Keeps no pointer, allocates nothing, cannot fail.  Source: doubling with a cap, as bgpd's IdleHoldTime.
 */
uint32_t ml_backoff_next(struct ml_backoff *bo, uint64_t lived_ms);
#endif
