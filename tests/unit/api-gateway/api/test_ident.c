/* test_ident.c - which identifiers are legal, and that generated ones are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "api-gateway/api/ident.h"

static void
follows_the_pattern(void **state)
{
	static const struct {
		const char *s;
		bool ok;
	} rows[] = {
		{ "a", true },
		{ "A-1-b", true },
		{ "0", true },
		{ "changefeed-test1", true },
		{ "", false },
		{ "-", false },
		{ "-a", false },
		{ "a-", false },
		{ "a--b", false },
		{ "a_b", false },
		{ "a.b", false },
		{ "a b", false },
		{ "a/b", false },
		{ "\xc3\xa4", false },
	};
	char s[ML_IDENT_MAX + 2];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(ml_ident_ok(rows[i].s), rows[i].ok);
	memset(s, 'x', sizeof(s));
	s[ML_IDENT_MAX] = '\0';
	assert_true(ml_ident_ok(s));
	s[ML_IDENT_MAX] = 'x';
	s[ML_IDENT_MAX + 1] = '\0';
	assert_false(ml_ident_ok(s));
}

static void
makes_uuids_of_version_4(void **state)
{
	char a[ML_UUID_SIZE], b[ML_UUID_SIZE];

	(void)state;
	ml_uuid4(a);
	ml_uuid4(b);
	assert_string_not_equal(a, b);
	assert_int_equal(strlen(a), 36);
	assert_int_equal(strspn(a, "0123456789abcdef-"), 36);
	assert_int_equal(a[14], '4');
	assert_non_null(strchr("89ab", a[19]));
	assert_true(ml_ident_ok(a));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(follows_the_pattern),
		cmocka_unit_test(makes_uuids_of_version_4),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
