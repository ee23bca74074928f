#include "common/text/tz.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void
offsets_agree_with_the_zone_files(void **state)
{
	static const struct {
		const char *name;
		int64_t utc_s;
		int32_t want;
	} rows[] = {
		{ "UTC", 1709168523, 0 },
		{ "Asia/Shanghai", 1709168523, 28800 },
		{ "Asia/Shanghai", 515527199, 28800 }, /* before the summer time of 1986 */
		{ "Asia/Shanghai", 515527200, 32400 },
		{ "Europe/Berlin", 1711846799, 3600 }, /* 2024-03-31 00:59:59 UTC */
		{ "Europe/Berlin", 1711846800, 7200 },
		{ "Europe/Berlin", 1729990799, 7200 },
		{ "Europe/Berlin", 1729990800, 3600 },
		{ "America/New_York", 0, -18000 },
		{ "America/New_York", 4118104800, -14400 }, /* July 2100, by the rule of the footer */
		{ "America/New_York", 4102444800, -18000 }, /* January 2100 */
		{ "Australia/Sydney", 4102444800, 39600 },  /* the same in the south */
		{ "Australia/Sydney", 4118104800, 36000 },
		{ "Asia/Kolkata", 1709168523, 19800 },
		{ "+08:00", 0, 28800 },
		{ "-3:30", 0, -12600 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ml_tz *tz;
		struct ml_tz_range r;

		assert_int_equal(ml_tz_open(&tz, rows[i].name, NULL), 0);
		r = ml_tz_range_at(tz, rows[i].utc_s);
		assert_int_equal(r.offset_s, rows[i].want);
		assert_true(r.from_s <= rows[i].utc_s && rows[i].utc_s < r.to_s);
		assert_string_equal(ml_tz_name(tz), rows[i].name);
		ml_tz_free(tz);
	}
}

/* The C library reads the same files: two implementations, one answer, at odd instants from 1970 to 2106. */
static void
agrees_with_the_c_library(void **state)
{
	static const char *const names[] = { "Europe/London", "America/Sao_Paulo", "Africa/Casablanca", "Asia/Tehran",
		"Antarctica/Troll", "America/St_Johns", "Pacific/Apia", "Asia/Gaza", "Europe/Dublin", "America/Nuuk" };

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct ml_tz *tz;

		assert_int_equal(ml_tz_open(&tz, names[i], NULL), 0);
		setenv("TZ", names[i], 1);
		tzset();
		for (int64_t s = 1; s < 0xFFFFFFFFll; s += 599999) {
			time_t t = (time_t)s;
			struct tm tm;

			assert_non_null(localtime_r(&t, &tm));
			assert_int_equal(ml_tz_range_at(tz, s).offset_s, tm.tm_gmtoff);
		}
		ml_tz_free(tz);
	}
	unsetenv("TZ");
}

static void
local_times_go_back_to_utc(void **state)
{
	struct ml_tz *tz;

	(void)state;
	assert_int_equal(ml_tz_open(&tz, "Europe/Berlin", NULL), 0);
	assert_int_equal(ml_tz_to_utc(tz, 1709168523 + 3600), 1709168523);
	assert_int_equal(ml_tz_to_utc(tz, 1720000000 + 7200), 1720000000);
	/* 2024-03-31 02:30 does not exist, 2024-10-27 02:30 exists twice: as Go has it. */
	assert_int_equal(ml_tz_to_utc(tz, 1711852200), 1711848600);
	assert_int_equal(ml_tz_to_utc(tz, 1729996200), 1729992600);
	ml_tz_free(tz);
}

static void
unknown_names_are_refused(void **state)
{
	static const char *const rows[] = { "Mars/Olympus", "../../../etc/passwd", "/etc/localtime", "Europe",
		"Europe/", "zone.tab", "+99:00", "Europe//Berlin", "." };
	struct ml_tz *tz = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ml_err err = { 0 };

		assert_int_equal(ml_tz_open(&tz, rows[i], &err), -1);
		assert_int_equal(err.code, ML_ErrLoadTimezone);
		assert_null(tz);
	}
}

static void
system_means_the_environment(void **state)
{
	struct ml_tz *tz;

	(void)state;
	setenv("TZ", ":Asia/Tokyo", 1);
	assert_int_equal(ml_tz_open(&tz, "System", NULL), 0);
	assert_string_equal(ml_tz_name(tz), "Asia/Tokyo");
	assert_int_equal(ml_tz_range_at(tz, 0).offset_s, 32400);
	ml_tz_free(tz);
	setenv("TZ", "", 1);
	assert_int_equal(ml_tz_open(&tz, "", NULL), 0);
	assert_string_equal(ml_tz_name(tz), "UTC");
	ml_tz_free(tz);
	unsetenv("TZ");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(offsets_agree_with_the_zone_files),
		cmocka_unit_test(agrees_with_the_c_library),
		cmocka_unit_test(local_times_go_back_to_utc),
		cmocka_unit_test(unknown_names_are_refused),
		cmocka_unit_test(system_means_the_environment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
