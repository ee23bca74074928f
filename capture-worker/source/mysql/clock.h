/*
 * clock.h - an estimate of the upstream's clock: local time that no one can set plus an offset measured with queries
 * (mysql-upstream.md 6.3).  Never goes back.
 */
#ifndef ML_WORKER_SOURCE_MYSQL_CLOCK_H
#define ML_WORKER_SOURCE_MYSQL_CLOCK_H
#include <stdbool.h>
#include <stdint.h>

#include "capture-worker/source/mysql/conn.h"
#include "common/base/err.h"

/* Measure again after this long: the two clocks drift apart by microseconds a minute, and somebody may set theirs. */
#define ML_CLOCK_REFRESH_US 60000000u

struct ml_clock {
	int64_t offset_us;    /* upstream's Unix time minus local boot time */
	uint64_t measured_us; /* local boot time of the last measurement; 0: never */
	uint64_t last_us;     /* largest value given out */
};

uint64_t ml_clock_local_us(void); /* time since boot, sleep included */
/* Five round trips over c; the fastest counts.  An error leaves the old estimate. */
int ml_clock_measure(struct ml_clock *k, struct ml_my_conn *c, struct ml_err *err);
bool ml_clock_is_old(const struct ml_clock *k);
/* Unix time of the upstream now, microseconds. */
uint64_t ml_clock_now_us(struct ml_clock *k);
#endif
