#include "capture-worker/mounter/charset.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

static void
text_becomes_utf8(void **state)
{
#define BYTES(s) s, sizeof(s) - 1
	static const struct {
		const char *charset;
		const char *in;
		size_t n;
		const char *want;
	} rows[] = {
		{ "utf8mb4", BYTES("\xe4\xb8\xad"), "\xe4\xb8\xad" },
		{ "latin1", BYTES("abc"), "abc" },
		{ "latin1", BYTES("\xe9\x80\x9f"), "\xc3\xa9\xe2\x82\xac\xc5\xb8" }, /* Windows-1252 */
		{ "latin1", BYTES("\x81\x8d\x8f\x90\x9d"), "\xc2\x81\xc2\x8d\xc2\x8f\xc2\x90\xc2\x9d" }, /* its gaps */
		{ "cp1251", BYTES("\xcf\xf0"), "\xd0\x9f\xd1\x80" },
		{ "koi8r", BYTES("\xf0\xd2"), "\xd0\x9f\xd1\x80" },
		{ "cp1257", BYTES("a\xa1z"), "a\xef\xbf\xbdz" }, /* no such character */
		{ "swe7", BYTES("[x}"), "\xc3\x84x\xc3\xa5" },
		{ "gbk", BYTES("a\xd6\xd0"), "a\xe4\xb8\xad" },
		{ "gb2312", BYTES("\xd6\xd0"), "\xe4\xb8\xad" },
		{ "gb18030", BYTES("\x94\x39\xda\x33"), "\xf0\x9f\x92\xa9" },
		{ "gbk",
			BYTES("\xff"
			      "b\xd6\xd0"),
			"\xef\xbf\xbd"
			"b\xe4\xb8\xad" },
		{ "gbk", BYTES("b\xd6"), "b\xef\xbf\xbd" }, /* cut */
		{ "big5", BYTES("\xa4\xa4"), "\xe4\xb8\xad" },
		{ "big5", BYTES("\xa1\x45"), "\xe2\x80\xa2" }, /* not what iconv says */
		{ "big5", BYTES("a\xa4"), "a\xef\xbf\xbd" },
		{ "big5",
			BYTES("\xff"
			      "a"),
			"\xef\xbf\xbd"
			"a" },
		{ "sjis", BYTES("\x93\xfa"), "\xe6\x97\xa5" },
		{ "sjis", BYTES("\x81\x60\x5c\xb1"),
			"\xe3\x80\x9c\\\xef\xbd\xb1" }, /* WAVE DASH; backslash; half-width kana */
		{ "cp932", BYTES("\x81\x60\x87\x40"), "\xef\xbd\x9e\xe2\x91\xa0" }, /* FULLWIDTH TILDE here */
		{ "ujis", BYTES("\xc6\xfc\x8e\xb1\x8f\xb0\xa1"), "\xe6\x97\xa5\xef\xbd\xb1\xe4\xb8\x82" },
		{ "ujis", BYTES("\xa1\xc1"), "\xe3\x80\x9c" },
		{ "eucjpms", BYTES("\xa1\xc1"), "\xef\xbd\x9e" },
		{ "euckr", BYTES("\xc7\xd1\x8c\x63"), "\xed\x95\x9c\xeb\x98\xa0" }, /* with the extension */
		{ "ucs2", BYTES("\0a\x4e\x2d"), "a\xe4\xb8\xad" },
		{ "utf16", BYTES("\xd8\x3d\xde\x00\0b"),
			"\xf0\x9f\x98\x80"
			"b" },
		{ "utf16", BYTES("\xd8\x3d"), "\xef\xbf\xbd" }, /* half of a pair */
		{ "utf16", BYTES("\0a\0"), "a\xef\xbf\xbd" },
		{ "utf16le", BYTES("\x3d\xd8\x00\xde"), "\xf0\x9f\x98\x80" },
		{ "utf32", BYTES("\0\1\xf6\0\0\x11\0\0"), "\xf0\x9f\x98\x80\xef\xbf\xbd" },
		{ "binary", BYTES("\xff\xfe"), "\xff\xfe" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct ml_charset *cs = ml_charset_by_name(rows[i].charset, strlen(rows[i].charset));
		struct ml_charconv *cc;
		struct ml_arena a;
		const char *got;
		size_t len;

		assert_non_null(cs);
		cc = ml_charconv_new(cs);
		assert_non_null(cc);
		ml_arena_init(&a, 64);
		got = ml_charconv_utf8(cc, &a, rows[i].in, rows[i].n, &len);
		if (len != strlen(rows[i].want) || memcmp(got, rows[i].want, len) != 0)
			fail_msg("row %zu, %s: %.*s", i, rows[i].charset, (int)len, got);
		ml_arena_fini(&a);
		ml_charconv_free(cc);
	}
}

static void
collations_know_their_charset(void **state)
{
	static const struct {
		uint32_t id;
		const char *want;
	} rows[] = {
		{ 63, "binary" },
		{ 45, "utf8mb4" },
		{ 8, "latin1" },
		{ 33, "utf8mb3" },
		{ 28, "gbk" },
		{ 54, "utf16" },
		{ 62, "utf16le" },
		{ 255, "utf8mb4" },
		{ 309, "utf8mb4" },
		{ 76, "utf8mb3" },
		{ 248, "gb18030" },
		{ 192, "utf8mb3" },
		{ 128, "ucs2" },
		{ 160, "utf32" },
		{ 1032, "latin1" },
		{ 1069, "utf8mb4" },
		{ 576, "utf8mb3" },
		{ 608, "utf8mb4" },
		{ 736, "utf32" },
		{ 2048, "utf8mb3" },
		{ 2304, "utf8mb4" },
		{ 2560, "ucs2" },
		{ 2816, "utf16" },
		{ 3271, "utf32" },
		{ 3328, NULL },
		{ 0, NULL },
		{ 100, NULL },
		{ 400, NULL },
		{ 704, NULL },
		{ 1124, NULL },
		{ 4000000000u, NULL },
	};
	static const struct {
		const char *name, *want;
	} names[] = {
		{ "latin1_swedish_ci", "latin1" },
		{ "utf8_general_ci", "utf8mb3" },
		{ "utf8mb4_uca1400_ai_ci", "utf8mb4" },
		{ "binary", "binary" },
		{ "uca1400_ai_ci", NULL },
		{ "", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct ml_charset *cs = ml_charset_by_collation(rows[i].id);

		if (rows[i].want == NULL)
			assert_null(cs);
		else
			assert_string_equal(cs->name, rows[i].want);
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const struct ml_charset *cs = ml_charset_by_collation_name(names[i].name, strlen(names[i].name));

		if (names[i].want == NULL)
			assert_null(cs);
		else
			assert_string_equal(cs->name, names[i].want);
	}
	assert_string_equal(ml_charset_by_name("UTF8", 4)->name, "utf8mb3");
	assert_null(ml_charset_by_name("latin", 5));
	assert_null(ml_charset_by_name("klingon", 7));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_becomes_utf8),
		cmocka_unit_test(collations_know_their_charset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
