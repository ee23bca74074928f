#include "capture-worker/source/mysql/clock.h"

#include <stdlib.h>
#include <time.h>

#define SAMPLES 5

uint64_t
ml_clock_local_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

int
ml_clock_measure(struct ml_clock *k, struct ml_my_conn *c, struct ml_err *err)
{
	uint64_t best_rtt = UINT64_MAX;
	int64_t offset = 0;

	for (int i = 0; i < SAMPLES; i++) {
		uint64_t t0 = ml_clock_local_us(), rtt;
		char text[32];
		int found = ml_my_scalar(
			c, "SELECT CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED)", text, sizeof(text), err);

		if (found < 0)
			return -1;
		if (found == 0)
			return ML_ERR(err, ErrMySQLQueryError, 0, c->addr, "the server tells no time");
		rtt = ml_clock_local_us() - t0;
		if (rtt < best_rtt) {
			best_rtt = rtt;
			offset = (int64_t)strtoll(text, NULL, 10) - (int64_t)(t0 + rtt / 2);
		}
	}
	k->offset_us = offset;
	k->measured_us = ml_clock_local_us();
	return 0;
}

bool
ml_clock_is_old(const struct ml_clock *k)
{
	return k->measured_us == 0 || ml_clock_local_us() - k->measured_us >= ML_CLOCK_REFRESH_US;
}

uint64_t
ml_clock_now_us(struct ml_clock *k)
{
	uint64_t now = (uint64_t)((int64_t)ml_clock_local_us() + k->offset_us);

	/* An offset corrected downwards makes the clock stand still for a moment instead of going back. */
	if (now > k->last_us)
		k->last_us = now;
	return k->last_us;
}
