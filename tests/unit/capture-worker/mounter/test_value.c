#include "capture-worker/mounter/value.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <time.h>

#include "decode_util.h"

static struct ml_tz *tz;
static struct ml_stamp stamp;

static char *
date(char *out, const uint8_t *p, unsigned a, unsigned b)
{
	(void)a;
	(void)b;
	return ml_date_text(out, p);
}
static char *
decimal(char *out, const uint8_t *p, unsigned a, unsigned b)
{
	return ml_decimal_text(out, p, a, b);
}
static char *
time2(char *out, const uint8_t *p, unsigned a, unsigned b)
{
	(void)b;
	return ml_time2_text(out, p, a);
}
static char *
datetime2(char *out, const uint8_t *p, unsigned a, unsigned b)
{
	(void)b;
	return ml_datetime2_text(out, p, a);
}
static char *
stamp2(char *out, const uint8_t *p, unsigned a, unsigned b)
{
	(void)b;
	return ml_timestamp2_text(&stamp, out, p, a);
}
static char *
old_time(char *out, const uint8_t *p, unsigned a, unsigned b)
{
	(void)b;
	return ml_old_time_text(out, p, a);
}
static char *
old_datetime(char *out, const uint8_t *p, unsigned a, unsigned b)
{
	(void)b;
	return ml_old_datetime_text(out, p, a);
}
static char *
inet6(char *out, const uint8_t *p, unsigned a, unsigned b)
{
	(void)a;
	(void)b;
	return ml_inet6_text(out, p);
}

static void
values_have_their_text(void **state)
{
	static const struct {
		char *(*text)(char *out, const uint8_t *p, unsigned a, unsigned b);
		const char *hex;
		unsigned a, b;
		const char *want; /* NULL: refused */
	} rows[] = {
		{ decimal, "810dfb38d204d2", 14, 4, "1234567890.1234" },
		{ decimal, "7ef204c72dfb2d", 14, 4, "-1234567890.1234" },
		{ decimal, "80000000000000", 14, 4, "0.0000" },
		{ decimal, "7fffffffffffff", 14, 4, "0.0000" }, /* minus zero */
		{ decimal, "7ffffffffffffe", 14, 4, "-0.0001" },
		{ decimal, "e4000000000000", 14, 4, NULL }, /* 100 in two digits of five: more than its digits */
		{ decimal, "80ffffffff0000", 14, 4, NULL },
		{ decimal, "89", 1, 0, "9" },
		{ decimal, "76", 1, 0, "-9" },
		{ decimal, "89", 1, 1, "0.9" },
		{ decimal, "8000000a", 9, 0, "10" },
		{ date, "5dd00f", 0, 0, "2024-02-29" },
		{ date, "000000", 0, 0, "0000-00-00" },
		{ date, "00d00f", 0, 0, "2024-00-00" },
		{ date, "5ed00f", 0, 0, "2024-02-30" },
		{ date, "ff4f4e", 0, 0, NULL }, /* month 15 */
		{ time2, "800000", 0, 0, "00:00:00" },
		{ time2, "7ffffff6", 1, 0, "-00:00:00.1" },
		{ time2, "b46efb26fc", 3, 0, "838:59:59.998" },
		{ time2, "7fef7cffffff", 6, 0, "-01:02:03.000001" },
		{ time2, "7f3748", 0, 0, "-12:34:56" },
		{ time2, "80003c", 0, 0, NULL }, /* 60 seconds */
		{ time2, "b47000", 0, 0, NULL }, /* 839 hours */
		{ datetime2, "99b2ba1083", 0, 0, "2024-02-29 01:02:03" },
		{ datetime2, "99b2ba10830c", 1, 0, "2024-02-29 01:02:03.1" },
		{ datetime2, "99b2ba108304ce", 3, 0, "2024-02-29 01:02:03.123" },
		{ datetime2, "8000000000", 0, 0, "0000-00-00 00:00:00" },
		{ datetime2, "8000000000000000", 6, 0, "0000-00-00 00:00:00.000000" },
		{ datetime2, "0000000000", 0, 0, NULL },
		{ datetime2, "99b2ba108364", 2, 0, NULL }, /* 100 hundredths */
		{ stamp2, "65dfd78b", 0, 0, "2024-02-29 09:02:03" },
		{ stamp2, "65dfd78b01e240", 6, 0, "2024-02-29 09:02:03.123456" },
		{ stamp2, "00000000", 0, 0, "0000-00-00 00:00:00" },
		{ stamp2, "000000000000", 3, 0, "0000-00-00 00:00:00.000" },
		{ stamp2, "00000001", 0, 0, "1970-01-01 08:00:01" },
		{ stamp2, "ffffffff0f423f", 6, 0, "2106-02-07 14:28:15.999999" },
		{ stamp2, "65dfd78b0f4240", 6, 0, NULL },
		{ old_time, "c01dfe", 0, 0, "-12:34:56" },
		{ old_time, "00b6bad215", 3, 0, "12:34:56.789" },
		{ old_time, "ffb6bad215", 3, 0, NULL }, /* far beyond 838 hours */
		{ old_datetime, "1b0ba98b68120000", 0, 0, "2024-02-29 01:02:03" },
		{ old_datetime, "00422bb3243b73", 3, 0, "2024-02-29 01:02:03.123" },
		{ inet6, "00000000000000000000000000000000", 0, 0, "::" },
		{ inet6, "00000000000000000000ffff01020304", 0, 0, "::ffff:1.2.3.4" },
		{ inet6, "00000000000000000000000001020304", 0, 0, "::1.2.3.4" },
		{ inet6, "20010db8000000000000000000000001", 0, 0, "2001:db8::1" },
		{ inet6, "00010000000200000003000000040000", 0, 0,
			"1::2:0:3:0:4:0" }, /* the server shortens one zero too */
		{ inet6, "00010002000300040005000600070000", 0, 0, "1:2:3:4:5:6:7::" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char out[ML_VALUE_MAX + 1];
		size_t len;
		uint8_t *p = unhex(rows[i].hex, &len);
		char *end = rows[i].text(out, p, rows[i].a, rows[i].b);

		if (rows[i].want == NULL) {
			if (end != NULL)
				fail_msg("%s gives %.*s", rows[i].hex, (int)(end - out), out);
		} else {
			if (end == NULL)
				fail_msg("%s is refused", rows[i].hex);
			*end = '\0';
			assert_string_equal(out, rows[i].want);
		}
		free(p);
	}
}

/* Every day of four centuries, against the C library's calendar. */
static void
stamps_know_the_calendar(void **state)
{
	struct ml_stamp st;
	struct ml_tz *utc;

	(void)state;
	assert_int_equal(ml_tz_open(&utc, "UTC", NULL), 0);
	ml_stamp_init(&st, utc);
	for (int64_t day = -25567; day < 120000; day++) {
		char got[ML_VALUE_MAX], want[32];
		time_t t = (time_t)(day * 86400 + 86399);
		struct tm tm;

		*ml_stamp_text(&st, got, t, 0, 0) = '\0';
		assert_non_null(gmtime_r(&t, &tm));
		strftime(want, sizeof(want), "%Y-%m-%d %H:%M:%S", &tm);
		assert_string_equal(got, want);
	}
	ml_tz_free(utc);
}

static int
setup(void **state)
{
	(void)state;
	if (ml_tz_open(&tz, "+08:00", NULL) != 0)
		return -1;
	ml_stamp_init(&stamp, tz);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	ml_tz_free(tz);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_have_their_text),
		cmocka_unit_test(stamps_know_the_calendar),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
