/* The parts that values are made of: decimals, dates and times, collations, the digest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "capture-worker/filter/expr/collation.h"
#include "capture-worker/filter/expr/decimal.h"
#include "capture-worker/filter/expr/md5.h"
#include "capture-worker/filter/expr/temporal.h"

static const char *
text_of(const struct ml_dec *d)
{
	static char buf[ML_DEC_TEXT_MAX + 1];

	buf[ml_dec_text(d, buf)] = '\0';
	return buf;
}

static struct ml_dec
dec(const char *s)
{
	struct ml_dec d;

	assert_true(ml_dec_parse(&d, s, strlen(s)) > 0);
	return d;
}

static void
decimals_are_read_and_printed(void **state)
{
	static const struct {
		const char *in, *out;
		size_t used;
	} rows[] = {
		{ "0", "0", 1 },
		{ "-0", "0", 2 },
		{ "12.50", "12.50", 5 },
		{ "-.5x", "-0.5", 3 },
		{ "+7.", "7", 3 },
		{ "  1", "1", 3 },
		{ "1e3", "1000", 3 },
		{ "1.5e-3", "0.0015", 6 },
		{ "12e", "12", 2 },
		{ "1e-100", "0.000000000000000000000000000000", 6 },
		{ "0.00", "0.00", 4 },
		{ "000123", "123", 6 },
		{ "1000000000", "1000000000", 10 },
		{ "1.000000000", "1.000000000", 11 },
		{ "0.1234567890123456789012345678901", "0.123456789012345678901234567890", 33 },
		{ "0.1234567890123456789012345678905", "0.123456789012345678901234567891", 33 },
		{ "99999999999999999999999999999999999999999999999999999999999999999999999999999999999",
			"999999999999999999999999999999999999999999999999999999999999999999999999999999999", 83 },
		{ "1e999999999", "999999999999999999999999999999999999999999999999999999999999999999999999999999999",
			11 },
	};
	struct ml_dec d;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(ml_dec_parse(&d, rows[i].in, strlen(rows[i].in)), rows[i].used);
		assert_string_equal(text_of(&d), rows[i].out);
	}
	assert_int_equal(ml_dec_parse(&d, "abc", 3), 0);
	assert_int_equal(ml_dec_parse(&d, ".", 1), 0);
	assert_int_equal(ml_dec_parse(&d, "", 0), 0);
}

static uint64_t
next(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
	return *seed ^ *seed >> 29;
}

/* Sums, differences, products, quotients and remainders against 128-bit integers. */
static void
decimals_calculate_as_integers_do(void **state)
{
	uint64_t seed = 1;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		int64_t a, b;
		__int128 q;
		struct ml_dec x, y, r, want;
		int sa, sb;

		a = (int64_t)next(&seed);
		a >>= next(&seed) % 64;
		b = (int64_t)next(&seed);
		b >>= next(&seed) % 64;
		sa = (int)(next(&seed) % 5);
		sb = (int)(next(&seed) % 5);
		ml_dec_of_i64(&x, a);
		ml_dec_of_i64(&y, b);
		assert_true(ml_dec_add(&r, &x, &y, false));
		assert_true(ml_dec_add(&r, &r, &y, true));
		assert_int_equal(ml_dec_cmp(&r, &x), 0);
		assert_int_equal(ml_dec_cmp(&x, &y), (a > b) - (a < b));
		/* (q * b + rest) = a, for the scaled numbers too */
		if (b != 0) {
			int64_t v;

			assert_true(ml_dec_mod(&r, &x, &y));
			assert_true(ml_dec_i64(&r, &v));
			assert_true(v == (b == -1 ? 0 : a % b));
			q = (__int128)a / b;
			assert_true(ml_dec_div(&r, &x, &y));
			assert_true(ml_dec_round(&r, 0, ML_DEC_TRUNCATE));
			if (q >= INT64_MIN && q <= INT64_MAX) {
				ml_dec_of_i64(&want, (int64_t)q);
				assert_int_equal(ml_dec_cmp(&r, &want), 0);
			}
			x.scale = (uint8_t)sa;
			y.scale = (uint8_t)sb;
			assert_true(ml_dec_mul(&r, &x, &y));
			assert_int_equal(r.scale, sa + sb);
			assert_true(ml_dec_div(&r, &r, &y));
			assert_int_equal(ml_dec_cmp(&r, &x), 0);
		}
	}
}

static void
decimals_round_and_convert(void **state)
{
	static const struct {
		const char *in;
		int scale;
		enum ml_dec_mode mode;
		const char *out;
	} rows[] = {
		{ "2.5", 0, ML_DEC_HALF_UP, "3" },
		{ "-2.5", 0, ML_DEC_HALF_UP, "-3" },
		{ "2.49", 0, ML_DEC_HALF_UP, "2" },
		{ "0.05", 1, ML_DEC_HALF_UP, "0.1" },
		{ "0.05", 0, ML_DEC_HALF_UP, "0" },
		{ "149", -2, ML_DEC_HALF_UP, "100" },
		{ "150", -2, ML_DEC_HALF_UP, "200" },
		{ "5", -1, ML_DEC_HALF_UP, "10" },
		{ "4", -2, ML_DEC_HALF_UP, "0" },
		{ "1.23", 4, ML_DEC_HALF_UP, "1.2300" },
		{ "9.99", 1, ML_DEC_HALF_UP, "10.0" },
		{ "1.99", 0, ML_DEC_TRUNCATE, "1" },
		{ "-1.01", 0, ML_DEC_FLOOR, "-2" },
		{ "-1.99", 0, ML_DEC_CEILING, "-1" },
		{ "1.01", 0, ML_DEC_CEILING, "2" },
		{ "1.00", 0, ML_DEC_CEILING, "1" },
		{ "-0.000001", 0, ML_DEC_FLOOR, "-1" },
		{ "999999999.9999999999", 0, ML_DEC_HALF_UP, "1000000000" },
	};
	struct ml_dec d;
	uint64_t u;
	int64_t v;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		d = dec(rows[i].in);
		assert_true(ml_dec_round(&d, rows[i].scale, rows[i].mode));
		if (strcmp(text_of(&d), rows[i].out) != 0)
			fail_msg("%s to %d: %s", rows[i].in, rows[i].scale, text_of(&d));
	}
	d = dec("9223372036854775807.4");
	assert_true(ml_dec_i64(&d, &v) && v == INT64_MAX);
	d = dec("9223372036854775807.5");
	assert_true(!ml_dec_i64(&d, &v) && v == INT64_MAX && ml_dec_u64(&d, &u) && u == 1ull << 63);
	d = dec("-9223372036854775808");
	assert_true(ml_dec_i64(&d, &v) && v == INT64_MIN);
	d = dec("-9223372036854775809");
	assert_true(!ml_dec_i64(&d, &v) && v == INT64_MIN);
	d = dec("18446744073709551616");
	assert_true(!ml_dec_u64(&d, &u) && u == UINT64_MAX);
	d = dec("99999999999999999999999999999999999999999");
	assert_true(!ml_dec_mul(&d, &d, &d) || strlen(text_of(&d)) <= 82);
}

static void
moments_are_read(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{ "2024-05-06", "2024-05-06 00:00:00.000000" },
		{ "2024-5-6 7:8:9", "2024-05-06 07:08:09.000000" },
		{ "2024/05/06T07.08.09.5", "2024-05-06 07:08:09.500000" },
		{ "20240506", "2024-05-06 00:00:00.000000" },
		{ "20240506070809.25", "2024-05-06 07:08:09.250000" },
		{ "240506", "2024-05-06 00:00:00.000000" },
		{ "700101", "1970-01-01 00:00:00.000000" },
		{ " 2024-05-06 ", "2024-05-06 00:00:00.000000" },
		{ "2024-12-31 23:59:59.9999995", "2025-01-01 00:00:00.000000" },
		{ "0000-00-00", "0000-00-00 00:00:00.000000" },
		{ "2024-00-00", "2024-00-00 00:00:00.000000" },
		{ "2024-02-29 23", "2024-02-29 23:00:00.000000" },
		{ "2023-02-29", NULL },
		{ "2024-13-01", NULL },
		{ "2024-04-31", NULL },
		{ "2024-05-06 24:00:00", NULL },
		{ "2024-05", NULL },
		{ "", NULL },
		{ "x", NULL },
		{ "2024-05-06x", NULL },
		{ "2024-05-06 07:08:09 x", NULL },
		{ "123456789012345", NULL },
		{ "2024-05-06 07:60:00", NULL },
		{ "-2024-05-06", NULL },
	};
	char buf[ML_WHEN_TEXT_MAX + 1];
	bool has_time;
	int64_t v, w;
	int digits;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool good = ml_when_parse(rows[i].in, strlen(rows[i].in), &v, &has_time, &digits);

		if (good != (rows[i].out != NULL))
			fail_msg("%s", rows[i].in);
		if (!good)
			continue;
		buf[ml_when_text(v, false, 6, buf)] = '\0';
		assert_string_equal(buf, rows[i].out);
		assert_true(ml_when_of_column(buf, strlen(buf), &w));
		assert_true(v == w);
	}
}

static void
times_are_read(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{ "12:34:56", "12:34:56.000000" },
		{ "-838:59:58.5", "-838:59:58.500000" },
		{ "12:34", "12:34:00.000000" },
		{ "123456", "12:34:56.000000" },
		{ "56", "00:00:56.000000" },
		{ "1 2:3:4", "26:03:04.000000" },
		{ "1 2", "26:00:00.000000" },
		{ "2024-05-06 07:08:09", "07:08:09.000000" },
		{ "838:59:59.999999", "838:59:59.999999" },
		{ "839:00:00", NULL },
		{ "12:60:00", NULL },
		{ "12:34:56x", NULL },
		{ "", NULL },
		{ "a", NULL },
		{ "1:2:3:4", NULL },
		{ "2024-13-06 07:08:09", NULL },
	};
	char buf[ML_WHEN_TEXT_MAX + 1];
	int64_t v;
	int digits;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool good = ml_time_parse(rows[i].in, strlen(rows[i].in), &v, &digits);

		if (good != (rows[i].out != NULL))
			fail_msg("%s", rows[i].in);
		if (!good)
			continue;
		buf[ml_time_text(v, 6, buf)] = '\0';
		assert_string_equal(buf, rows[i].out);
	}
}

static void
days_come_one_after_the_other(void **state)
{
	static const uint8_t length[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	struct ml_when t, back = { 0 };
	int64_t day = ml_days(1, 1, 1);
	int weekday;

	(void)state;
	t = (struct ml_when){ .year = 1, .month = 1, .day = 1 };
	weekday = ml_weekday(&t);
	for (int year = 1; year <= 2400; year++) {
		bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
		int of_year = 0;

		for (int month = 1; month <= 12; month++)
			for (int d = 1; d <= length[month - 1] + (month == 2 && leap); d++, day++) {
				t = (struct ml_when){ .year = year, .month = month, .day = d };
				assert_int_equal(ml_days(year, month, d), day);
				ml_days_to_date(day, &back);
				assert_true(back.year == year && back.month == month && back.day == d);
				assert_int_equal(ml_weekday(&t), weekday);
				assert_int_equal(ml_day_of_year(&t), ++of_year);
				weekday = (weekday + 1) % 7;
			}
	}
	t = (struct ml_when){ .year = 2026, .month = 11, .day = 25 };
	assert_int_equal(ml_weekday(&t), 2); /* a Wednesday */
}

/* Orders and equalities as MariaDB 10.11 has them. */
static void
texts_compare_by_their_collation(void **state)
{
	static const struct {
		const char *collation, *a, *b;
		int want;
	} rows[] = {
		{ "binary", "a", "A", 1 },
		{ "binary", "a", "a ", -1 },
		{ "", "a", "a", 0 },
		{ "utf8mb4_bin", "a", "A", 1 },
		{ "utf8mb4_bin", "a", "a  ", 0 },
		{ "utf8mb4_bin", "a", "a\t", 1 },
		{ "utf8mb4_nopad_bin", "a", "a  ", -1 },
		{ "latin1_general_cs", "a", "A", 1 },
		{ "utf8mb4_general_ci", "hello", "HELLO  ", 0 },
		{ "utf8mb4_general_ci", "é", "E", 0 },
		{ "utf8mb4_general_ci", "ß", "s", 0 },
		{ "utf8mb4_general_ci", "ß", "ss", -1 },
		{ "utf8mb4_general_ci", "ё", "Е", 0 },
		{ "utf8mb4_general_ci", "й", "И", 1 },
		{ "utf8mb4_general_ci", "a", "b", -1 },
		{ "utf8mb4_general_ci", "_", "a", 1 },
		{ "utf8mb4_general_ci", "😀", "😁", 0 },
		{ "utf8mb4_general_nopad_ci", "a", "a ", -1 },
		{ "utf8mb4_unicode_ci", "ß", "ss", 0 },
		{ "utf8mb4_unicode_ci", "Straße", "STRASSE", 0 },
		{ "utf8mb4_unicode_ci", "é", "e", 0 },
		{ "utf8mb4_unicode_ci", "_", "a", -1 },
		{ "utf8mb4_unicode_ci", "z", "Ω", -1 },
		{ "utf8mb4_unicode_ci", "Ω", "ω", 0 },
		{ "utf8mb4_unicode_ci", "я", "漢", -1 },
		{ "utf8mb4_unicode_ci", "æ", "ae", 1 },
		{ "utf8mb4_unicode_ci", "a", "a ", 0 },
		{ "utf8mb4_0900_ai_ci", "a", "a ", -1 },
		{ "utf8mb4_uca1400_ai_ci", "É", "e", 0 },
		{ "latin1_swedish_ci", "ü", "Y", 0 },
		{ "latin1_swedish_ci", "å", "z", 1 },
		{ "latin1_swedish_ci", "ä", "a", 1 },
		{ "latin1_swedish_ci", "é", "E", 0 },
		{ "latin1_swedish_ci", "å", "ä", -1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ml_collation c = ml_collation_of(rows[i].collation, strlen(rows[i].collation));
		int ab = ml_collation_cmp(c, rows[i].a, strlen(rows[i].a), rows[i].b, strlen(rows[i].b));
		int ba = ml_collation_cmp(c, rows[i].b, strlen(rows[i].b), rows[i].a, strlen(rows[i].a));

		if ((ab > 0) - (ab < 0) != rows[i].want || (ba > 0) - (ba < 0) != -rows[i].want)
			fail_msg("%s: '%s' '%s': %d %d", rows[i].collation, rows[i].a, rows[i].b, ab, ba);
	}
}

static void
patterns_match_by_character(void **state)
{
	static const struct {
		const char *collation, *s, *p;
		bool want;
	} rows[] = {
		{ "utf8mb4_general_ci", "été", "E_E", true },
		{ "utf8mb4_bin", "été", "E_E", false },
		{ "binary", "\xc3\xa9", "_", false },
		{ "utf8mb4_bin", "\xc3\xa9", "_", true },
		{ "utf8mb4_bin", "", "%", true },
		{ "utf8mb4_bin", "", "_", false },
		{ "utf8mb4_bin", "aXbXc", "a%b%c", true },
		{ "utf8mb4_bin", "aaab", "a%ab", true },
		{ "utf8mb4_bin", "aab", "%aaab", false },
		{ "utf8mb4_bin", "a%", "a\\%", true },
		{ "utf8mb4_bin", "ab", "a\\%", false },
		{ "utf8mb4_bin", "a\\", "a\\", true },
		{ "utf8mb4_bin", "a", "a%%%%", true },
		{ "utf8mb4_bin", "a ", "a", false },
		{ "utf8mb4_bin", "\xff", "_", true },
	};
	struct ml_collation ci = ml_collation_of("utf8mb4_general_ci", 18), bin = ml_collation_of("utf8mb4_bin", 11);
	char many[2001];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (ml_collation_like(ml_collation_of(rows[i].collation, strlen(rows[i].collation)), rows[i].s,
			    strlen(rows[i].s), rows[i].p, strlen(rows[i].p), '\\') != rows[i].want)
			fail_msg("'%s' like '%s'", rows[i].s, rows[i].p);
	/* No pattern makes it try for ever. */
	memset(many, 'a', sizeof(many) - 1);
	many[2000] = '\0';
	assert_false(ml_collation_like(bin, many, 2000, "%a%a%a%a%a%a%a%a%a%a%a%a%ab", 27, '\\'));
	assert_int_equal(ml_collation_find(ci, "xÉtE", 5, 0, "e", 1), 1);
	assert_int_equal(ml_collation_find(ci, "xÉtE", 5, 3, "e", 1), 4);
	assert_int_equal(ml_collation_find(bin, "xÉtE", 5, 0, "e", 1), -1);
	assert_int_equal(ml_collation_find(bin, "abc", 3, 3, "", 0), 3);
}

static void
the_digest_is_rfc_1321s(void **state)
{
	static const struct {
		const char *s, *hex;
	} rows[] = {
		{ "", "d41d8cd98f00b204e9800998ecf8427e" },
		{ "abc", "900150983cd24fb0d6963f7d28e17f72" },
		{ "message digest", "f96b697d7cb7938d525a2f31aaf161d0" },
		{ "12345678901234567890123456789012345678901234567890123456789012345678901234567890",
			"57edf4a22be3c955ac49da2e2107b67a" },
	};
	char hex[33] = "";

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ml_md5_hex(rows[i].s, strlen(rows[i].s), hex);
		assert_string_equal(hex, rows[i].hex);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decimals_are_read_and_printed),
		cmocka_unit_test(decimals_calculate_as_integers_do),
		cmocka_unit_test(decimals_round_and_convert),
		cmocka_unit_test(moments_are_read),
		cmocka_unit_test(times_are_read),
		cmocka_unit_test(days_come_one_after_the_other),
		cmocka_unit_test(texts_compare_by_their_collation),
		cmocka_unit_test(patterns_match_by_character),
		cmocka_unit_test(the_digest_is_rfc_1321s),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
