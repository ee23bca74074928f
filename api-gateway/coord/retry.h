/*
 * retry.h - when a changefeed in `pending` tries again (runtime.md 2.5): the first retry of a streak at once, then each wait, taken from
 * the start of the retry before, doubles from 20 s to 10 min; after the budget is used up the changefeed fails.
 * Pure arithmetic: time and chance are passed in.
 */
#ifndef ML_API_GATEWAY_COORD_RETRY_H
#define ML_API_GATEWAY_COORD_RETRY_H
#include <stdbool.h>
#include <stdint.h>

#define ML_RETRY_FIRST_MS 10000u
#define ML_RETRY_CAP_MS 600000u
/* changefeed-error-stuck-duration: its default and its minimum. */
#define ML_RETRY_BUDGET_MS 1800000u
/* A recovery must last this long before the next error begins a new streak; without it a changefeed that advances a little
 * before each failure would retry without any wait, for ever. */
#define ML_RETRY_CALM_MS 60000u

struct ml_retry {
	bool active;            /* in a streak */
	uint64_t first_ms;      /* first error of the streak */
	uint64_t last_ms;       /* start of the last retry; 0: none yet */
	uint32_t base_ms;       /* of the series 10 s, 20 s, ... */
	uint32_t wait_ms;       /* from last_ms to the next retry: base_ms with its +-10 % */
	uint64_t well_since_ms; /* recovered then; 0: not recovered */
};

/* An error came: ms until the retry. */
uint64_t ml_retry_error(struct ml_retry *r, uint64_t now_ms);
/* The wait is over: true to retry now, false when the budget would be exceeded by the wait after this retry.
 * chance: 0..65535, for the +-10 % of the next wait. */
bool ml_retry_go(struct ml_retry *r, uint64_t now_ms, uint16_t chance);
void ml_retry_well(struct ml_retry *r, uint64_t now_ms); /* the changefeed advances again */
void ml_retry_reset(struct ml_retry *r);                 /* a person resumed it */
#endif
