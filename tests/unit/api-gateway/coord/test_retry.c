/* test_retry.c - the waits between retries, the budget, and what ends a streak (runtime.md 2.5). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api-gateway/coord/retry.h"

#define MIDDLE 32768 /* no jitter, but for a rounding of less than 0.01 % */

static void
waits_longer_each_time_and_gives_up_in_time(void **state)
{
	/* retries of a changefeed that fails at once, in seconds after the first error; at 1220 s it gives up */
	static const unsigned at_s[] = { 0, 20, 60, 140, 300, 620 };
	struct ml_retry r = { 0 };
	uint64_t now = 1000000;

	(void)state;
	for (size_t i = 0; i < sizeof(at_s) / sizeof(at_s[0]); i++) {
		now += ml_retry_error(&r, now);
		assert_in_range(now, 1000000 + at_s[i] * 1000, 1000000 + at_s[i] * 1001);
		assert_true(ml_retry_go(&r, now, MIDDLE));
	}
	now += ml_retry_error(&r, now);
	assert_in_range(now, 1000000 + 1220000, 1000000 + 1221000);
	assert_false(ml_retry_go(&r, now, MIDDLE));
}

static void
chance_moves_a_wait_by_a_tenth(void **state)
{
	static const struct {
		uint16_t chance;
		uint64_t wait_ms;
	} rows[] = { { 0, 18000 }, { 65535, 22000 } };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct ml_retry r = { 0 };

		assert_int_equal(ml_retry_error(&r, 5000), 0);
		assert_true(ml_retry_go(&r, 5000, rows[i].chance));
		assert_int_equal(ml_retry_error(&r, 5000), rows[i].wait_ms);
		/* the wait counts from the retry, not from the error */
		assert_int_equal(ml_retry_error(&r, 6000), rows[i].wait_ms - 1000);
	}
}

static void
only_a_lasting_recovery_ends_a_streak(void **state)
{
	struct ml_retry r = { 0 };

	(void)state;
	assert_int_equal(ml_retry_error(&r, 1000), 0);
	assert_true(ml_retry_go(&r, 1000, MIDDLE));
	ml_retry_well(&r, 2000);
	assert_in_range(ml_retry_error(&r, 3000), 17000, 19000); /* too short */
	assert_true(ml_retry_go(&r, 21000, MIDDLE));
	ml_retry_well(&r, 22000);
	assert_int_equal(ml_retry_error(&r, 22000 + ML_RETRY_CALM_MS), 0); /* a new one */
	assert_int_equal(r.first_ms, 22000 + ML_RETRY_CALM_MS);
	ml_retry_reset(&r);
	assert_false(r.active);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(waits_longer_each_time_and_gives_up_in_time),
		cmocka_unit_test(chance_moves_a_wait_by_a_tenth),
		cmocka_unit_test(only_a_lasting_recovery_ends_a_streak),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
