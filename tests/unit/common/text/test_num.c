#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/text/num.h"

static void
integers_print_as_printf_does(void **state)
{
	static const int64_t rows[] = { 0, 1, 9, 10, 99, 100, 101, 999, 1000, 65535, 1234567, -1, -10, -128, INT64_MAX,
		INT64_MIN };
	char got[ML_INT_TEXT_MAX + 1], want[32];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		got[ml_i64_text(got, rows[i])] = '\0';
		snprintf(want, sizeof(want), "%lld", (long long)rows[i]);
		assert_string_equal(got, want);
		got[ml_u64_text(got, (uint64_t)rows[i])] = '\0';
		snprintf(want, sizeof(want), "%llu", (unsigned long long)rows[i]);
		assert_string_equal(got, want);
	}
	for (uint64_t v = 1, i = 0; i < 20; i++, v *= 10) {
		got[ml_u64_text(got, v)] = '\0';
		snprintf(want, sizeof(want), "%llu", (unsigned long long)v);
		assert_string_equal(got, want);
	}
}

static void
doubles_print_with_the_fewest_digits(void **state)
{
	static const struct {
		double v;
		const char *f, *j;
	} rows[] = {
		{ 0.0, "0", "0" },
		{ -0.0, "-0", "-0" },
		{ 5, "5", "5" },
		{ -12.5, "-12.5", "-12.5" },
		{ 0.1, "0.1", "0.1" },
		{ 0.1 + 0.2, "0.30000000000000004", "0.30000000000000004" },
		{ 1.0 / 3, "0.3333333333333333", "0.3333333333333333" },
		{ 100, "100", "100" },
		{ 123456.789, "123456.789", "123456.789" },
		{ 1e-6, "0.000001", "0.000001" },
		{ 1e-7, "0.0000001", "1e-7" },
		{ 1.25e-10, "0.000000000125", "1.25e-10" },
		{ 9.5e20, "950000000000000000000", "950000000000000000000" },
		{ 1e21, "1000000000000000000000", "1e+21" },
		{ -1.5e23, "-150000000000000000000000", "-1.5e+23" },
		{ 1e23, "100000000000000000000000", "1e+23" },
		{ 9007199254740993.0, "9007199254740992", "9007199254740992" },
		{ 2251799813685249.5, "2251799813685249.5", "2251799813685249.5" },
		/* A power of two: the nearest 16 digits (...801) fall outside its narrow lower gap. */
		{ 0x1p-44, "0.00000000000005684341886080802", "5.684341886080802e-14" },
		{ 0x1p-97, NULL, "6.310887241768095e-30" },
		{ 9007199254740991.0, "9007199254740991", "9007199254740991" },
		{ 18014398509481988.0, "18014398509481988", "18014398509481988" },
		{ DBL_MIN, NULL, "2.2250738585072014e-308" },
		{ 2.225073858507201e-308, NULL, "2.225073858507201e-308" },
		{ DBL_MAX, NULL, "1.7976931348623157e+308" },
		{ 5e-324, NULL, "5e-324" },
	};
	char got[ML_FLOAT_TEXT_MAX + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t n = ml_f64_text(got, rows[i].v, ML_FLOAT_F);

		got[n] = '\0';
		if (rows[i].f != NULL)
			assert_string_equal(got, rows[i].f);
		assert_true(strtod(got, NULL) == rows[i].v);
		got[ml_f64_text(got, rows[i].v, ML_FLOAT_J)] = '\0';
		assert_string_equal(got, rows[i].j);
	}
}

static void
floats_print_with_their_own_precision(void **state)
{
	static const struct {
		float v;
		const char *f, *j;
	} rows[] = {
		{ 0.1f, "0.1", "0.1" },
		{ 3.1415927f, "3.1415927", "3.1415927" },
		{ 16777216.0f, "16777216", "16777216" },
		{ 123456789.0f, "123456790", "123456790" },
		{ 1e-6f, "0.000001", "0.000001" },
		{ 1e-7f, "0.0000001", "1e-7" },
		{ 1e21f, "1000000000000000000000", "1e+21" },
		{ 9.999999e20f, "999999900000000000000", "999999900000000000000" },
		{ FLT_MAX, "340282350000000000000000000000000000000", "3.4028235e+38" },
		{ -1.5f, "-1.5", "-1.5" },
		{ 16777218.0f, "16777218", "16777218" },
		{ 0x1p+90f, "1237940100000000000000000000", "1.2379401e+27" },
		{ 0x1p-149f, NULL, "1e-45" },
	};
	char got[ML_FLOAT_TEXT_MAX + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		got[ml_f32_text(got, rows[i].v, ML_FLOAT_F)] = '\0';
		if (rows[i].f != NULL)
			assert_string_equal(got, rows[i].f);
		assert_true(strtof(got, NULL) == rows[i].v);
		got[ml_f32_text(got, rows[i].v, ML_FLOAT_J)] = '\0';
		assert_string_equal(got, rows[i].j);
	}
}

static void
forms_j2_and_g_choose_their_own_exponents(void **state)
{
	static const struct {
		double v;
		const char *j2, *g;
	} rows[] = {
		{ 0, "0", "0" },
		{ -0.0, "-0", "-0" },
		{ 5, "5", "5" },
		{ 0.1, "0.1", "0.1" },
		{ -12.5, "-12.5", "-12.5" },
		{ 1e-7, "1e-07", "1e-07" },
		{ 1e-6, "0.000001", "1e-06" },
		{ 1e-5, "0.00001", "1e-05" },
		{ 0.00012, "0.00012", "0.00012" },
		{ 1e-4, "0.0001", "0.0001" },
		{ 123456, "123456", "123456" },
		{ 999999, "999999", "999999" },
		{ 999999.5, "999999.5", "999999.5" },
		{ 1e6, "1000000", "1e+06" },
		{ -1234567.5, "-1234567.5", "-1.2345675e+06" },
		{ 1e20, "100000000000000000000", "1e+20" },
		{ 1e21, "1e+21", "1e+21" },
		{ 1.25e-10, "1.25e-10", "1.25e-10" },
		{ 5e-324, "5e-324", "5e-324" },
		{ DBL_MAX, "1.7976931348623157e+308", "1.7976931348623157e+308" },
	};
	static const struct {
		float v;
		const char *j2, *g;
	} singles[] = {
		{ 0.1f, "0.1", "0.1" },
		{ 16777216.0f, "16777216", "1.6777216e+07" },
		{ 1e-6f, "0.000001", "1e-06" },
		{ 9.9e-7f, "9.9e-07", "9.9e-07" },
		{ 1e21f, "1e+21", "1e+21" },
		{ 1e-5f, "0.00001", "1e-05" },
		{ 123456, "123456", "123456" },
		{ 3.4e38f, "3.4e+38", "3.4e+38" },
	};
	char got[ML_FLOAT_TEXT_MAX + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		got[ml_f64_text(got, rows[i].v, ML_FLOAT_J2)] = '\0';
		assert_string_equal(got, rows[i].j2);
		got[ml_f64_text(got, rows[i].v, ML_FLOAT_G)] = '\0';
		assert_string_equal(got, rows[i].g);
	}
	for (size_t i = 0; i < sizeof(singles) / sizeof(singles[0]); i++) {
		got[ml_f32_text(got, singles[i].v, ML_FLOAT_J2)] = '\0';
		assert_string_equal(got, singles[i].j2);
		got[ml_f32_text(got, singles[i].v, ML_FLOAT_G)] = '\0';
		assert_string_equal(got, singles[i].g);
	}
}

/* xorshift64: the same numbers in every run. */
static uint64_t
next(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

static int
count_digits(const char *s)
{
	int n = 0, zeros = 0;

	for (; *s != '\0' && *s != 'e'; s++) {
		if (*s < '0' || *s > '9')
			continue;
		if (n == 0 && *s == '0')
			continue;
		n++;
		zeros = *s == '0' ? zeros + 1 : 0;
	}
	return n - zeros;
}

static void
random_floats_read_back_and_no_shorter_text_would(void **state)
{
	char got[ML_FLOAT_TEXT_MAX + 1], shorter[64];
	uint64_t x = 88172645463325252ull;

	(void)state;
	for (int i = 0; i < 40000; i++) {
		uint64_t bits = next(&x);
		double d;
		float f;
		int n;

		if (i % 4 == 0)
			d = (double)(int64_t)(bits >> 24) / pow(10, (double)(bits % 12));
		else
			memcpy(&d, &bits, sizeof(d));
		if (isfinite(d)) {
			got[ml_f64_text(got, d, ML_FLOAT_F)] = '\0';
			assert_true(strtod(got, NULL) == d);
			assert_null(strchr(got, 'e'));
			n = count_digits(got);
			assert_in_range(n, 0, 17);
			if (n > 1) {
				snprintf(shorter, sizeof(shorter), "%.*e", n - 2, d);
				assert_false(strtod(shorter, NULL) == d);
			}
			got[ml_f64_text(got, d, ML_FLOAT_J)] = '\0';
			assert_true(strtod(got, NULL) == d);
		}
		uint32_t low = (uint32_t)(bits >> 13);
		memcpy(&f, &low, sizeof(f));
		if (i % 4 == 1)
			f = (float)(low % 1000000) / 1000;
		if (isfinite(f)) {
			got[ml_f32_text(got, f, ML_FLOAT_F)] = '\0';
			assert_true(strtof(got, NULL) == f);
			n = count_digits(got);
			assert_in_range(n, 0, 9);
			if (n > 1) {
				snprintf(shorter, sizeof(shorter), "%.*e", n - 2, (double)f);
				assert_false(strtof(shorter, NULL) == f);
			}
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(integers_print_as_printf_does),
		cmocka_unit_test(doubles_print_with_the_fewest_digits),
		cmocka_unit_test(floats_print_with_their_own_precision),
		cmocka_unit_test(forms_j2_and_g_choose_their_own_exponents),
		cmocka_unit_test(random_floats_read_back_and_no_shorter_text_would),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
