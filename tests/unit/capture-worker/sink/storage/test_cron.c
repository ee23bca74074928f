/* When a cron specification comes true. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "capture-worker/sink/storage/cron.h"

static int64_t
seconds(const char *text)
{
	struct tm tm = { 0 };

	assert_non_null(strptime(text, "%Y-%m-%d %H:%M:%S", &tm));
	return timegm(&tm);
}

static void
finds_the_next_time(void **state)
{
	static const struct {
		const char *spec, *after, *want;
	} rows[] = {
		{ "0 0 2 * * *", "2026-11-25 01:59:59", "2026-11-25 02:00:00" },
		{ "0 0 2 * * *", "2026-11-25 02:00:00", "2026-11-26 02:00:00" },
		{ "0 0 2 * * *", "2026-12-31 12:00:00", "2027-01-01 02:00:00" },
		{ "* * * * * *", "2026-11-25 23:59:59", "2026-11-26 00:00:00" },
		{ "*/15 * * * * *", "2026-11-25 10:00:46", "2026-11-25 10:01:00" },
		{ "5/20 * * * * ?", "2026-11-25 10:00:05", "2026-11-25 10:00:25" },
		{ "30 10-12,50 8-10/2 * * *", "2026-11-25 08:12:30", "2026-11-25 08:50:30" },
		{ "30 10-12,50 8-10/2 * * *", "2026-11-25 08:50:30", "2026-11-25 10:10:30" },
		{ "30 10-12,50 8-10/2 * * *", "2026-11-25 10:50:30", "2026-11-26 08:10:30" },
		{ "0 0 0 1 * *", "2026-11-25 00:00:00", "2026-12-01 00:00:00" },
		{ "0 0 0 31 * *", "2026-11-25 00:00:00", "2026-12-31 00:00:00" },
		{ "0 0 0 29 2 *", "2026-11-25 00:00:00", "2028-02-29 00:00:00" },
		{ "0 0 0 29 feb ?", "2096-03-01 00:00:00", "2104-02-29 00:00:00" },
		{ "0 0 0 * * 0", "2026-11-25 00:00:00", "2026-11-29 00:00:00" },
		{ "0 0 0 * jan-mar Mon,FRI", "2026-11-25 00:00:00", "2027-01-01 00:00:00" },
		/* A day of the month or one of the week. */
		{ "0 0 0 28 * wed", "2026-11-25 00:00:00", "2026-11-28 00:00:00" },
		{ "0 0 0 13 * wed", "2026-11-28 00:00:00", "2026-12-02 00:00:00" },
		{ " 0  0\t3 * * * ", "1969-12-31 02:59:59", "1969-12-31 03:00:00" },
		{ "0 0 0 30 2 *", "2026-11-25 00:00:00", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *why;
		struct cron c;
		int64_t got;

		why = cron_parse(&c, rows[i].spec);
		if (why != NULL)
			fail_msg("%s: %s", rows[i].spec, why);
		got = cron_next(&c, seconds(rows[i].after));
		if (got != (rows[i].want != NULL ? seconds(rows[i].want) : INT64_MAX))
			fail_msg("row %zu: %s after %s: %lld", i, rows[i].spec, rows[i].after, (long long)got);
	}
}

static void
says_which_field_is_wrong(void **state)
{
	static const struct {
		const char *spec, *want;
	} rows[] = {
		{ "", "six fields" },
		{ "0 0 2 * *", "six fields" },
		{ "0 0 2 * * * *", "more than six" },
		{ "60 0 2 * * *", "second" },
		{ "0 60 2 * * *", "minute" },
		{ "0 0 24 * * *", "hour" },
		{ "0 0 2 0 * *", "day" },
		{ "0 0 2 32 * *", "day" },
		{ "0 0 2 * 13 *", "month" },
		{ "0 0 2 * sept *", "month" },
		{ "0 0 2 * * 7", "weekday" },
		{ "x 0 2 * * *", "second" },
		{ "-1 0 2 * * *", "second" },
		{ "1- 0 2 * * *", "second" },
		{ "5-3 0 2 * * *", "second" },
		{ "*/0 0 2 * * *", "second" },
		{ "1, 0 2 * * *", "second" },
		{ "1,,2 0 2 * * *", "second" },
		{ "*/ 0 2 * * *", "second" },
		{ "99999999999 0 2 * * *", "second" },
		{ "@daily", "second" },
		{ "1-2-3 0 2 * * *", "second" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct cron c;
		const char *why = cron_parse(&c, rows[i].spec);

		if (why == NULL || strstr(why, rows[i].want) == NULL)
			fail_msg("%s: %s", rows[i].spec, why != NULL ? why : "is taken");
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_the_next_time),
		cmocka_unit_test(says_which_field_is_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
