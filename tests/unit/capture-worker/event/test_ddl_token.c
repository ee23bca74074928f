/* Tokens of SQL text: where they end, under every mode that moves an end. */
#include "capture-worker/event/ddl_token.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { GBK = 28, SJIS = 13, BIG5_NOPAD = 1025, GB18030 = 248 };

/* One letter per kind, then the token in brackets; an underscore in front where blanks stood before it. */
static const char *
tokens(const char *sql, size_t len, uint64_t mode, uint16_t collation, bool mariadb)
{
	static char out[1024];
	static const char letter[] = { 'E', 'W', 'I', 'S', 'N', 'P', 'B' };
	struct ml_lexer lx;
	size_t n = 0;

	ml_lexer_init(&lx, sql, len, mode, collation, mariadb);
	out[0] = '\0';
	for (;;) {
		struct ml_tok t = ml_lexer_next(&lx);

		if (t.kind == ML_TK_END)
			break;
		n += (size_t)snprintf(
			out + n, sizeof(out) - n, "%s%c<%.*s>", t.blank ? "_" : "", letter[t.kind], (int)t.len, t.s);
	}
	assert_int_equal(ml_lexer_next(&lx).kind, ML_TK_END);
	return out;
}

static void
tokens_end_where_the_server_ends_them(void **state)
{
	static const struct {
		const char *sql, *want;
		uint64_t mode;
		uint16_t collation;
		bool mysql;
	} rows[] = {
		{ "a.b", "W<a>P<.>W<b>", 0, 0, false },
		{ "db1.2t 5 5t 1e3 1e-3 1.5e+2 0x1F .5",
			"W<db1>P<.>W<2t>_N<5>_W<5t>_N<1e3>_N<1e-3>_N<1.5e+2>_N<0x1F>_N<.5>", 0, 0, false },
		{ "1e 1e- 1ex", "W<1e>_W<1e>P<->_W<1ex>", 0, 0, false },
		{ "`a``b` `a.b c` `q\"'`", "I<`a``b`>_I<`a.b c`>_I<`q\"'`>", 0, 0, false },
		{ "'it''s' 'a\\'b' \"x\"", "S<'it''s'>_S<'a\\'b'>_S<\"x\">", 0, 0, false },
		{ "\"x\"\"y\" 'z'", "I<\"x\"\"y\">_S<'z'>", ML_SQL_MODE_ANSI_QUOTES, 0, false },
		{ "\"a\\\" b", "I<\"a\\\">_W<b>", ML_SQL_MODE_ANSI_QUOTES, 0, false },
		{ "'a\\' b", "S<'a\\'>_W<b>", ML_SQL_MODE_NO_BACKSLASH_ESCAPES, 0, false },
		{ "x'1F' B'01' n'x' _utf8'y'", "S<x'1F'>_S<B'01'>_S<n'x'>_W<_utf8>S<'y'>", 0, 0, false },
		{ "a-- b\nc", "W<a>_W<c>", 0, 0, false },
		{ "a--b", "W<a>P<->P<->W<b>", 0, 0, false },
		{ "a--", "W<a>", 0, 0, false },
		{ "a#b\nc", "W<a>_W<c>", 0, 0, false },
		{ "a/* ' ` */b/**/c", "W<a>_W<b>_W<c>", 0, 0, false },
		{ "a /*!40101 b */ c /*!d*/ e", "W<a>_W<b>_W<c>_W<d>_W<e>", 0, 0, false },
		{ "a /*M!100301 b*/ c", "W<a>_W<b>_W<c>", 0, 0, false },
		{ "a /*M!100301 b*/ c", "W<a>_W<c>", 0, 0, true },
		{ "a /*!80016 b */ c", "W<a>_W<c>", 0, 0, false }, /* for MySQL 8: MariaDB does not run it */
		{ "a /*!80016 b */ c", "W<a>_W<b>_W<c>", 0, 0, true },
		{ "a /*!100201 b */ c", "W<a>_W<b>_W<c>", 0, 0, false },
		{ "/*!40101 a /* in */ b */ c", "_W<a>_W<b>_W<c>", 0, 0, false },
		{ "/*!12 a*/", "_N<12>_W<a>", 0, 0, false },
		{ "a * / b", "W<a>_P<*>_P</>_W<b>", 0, 0, false },
		{ "'open", "B<'open>", 0, 0, false },
		{ "a `open", "W<a>_B<`open>", 0, 0, false },
		{ "a /* open", "W<a>_B</* open>", 0, 0, false },
		{ "/*!40101 open", "_W<open>", 0, 0, false },
		{ "'a\\", "B<'a\\>", 0, 0, false },
		/* Second byte 0x5C or 0x60, as the client's charset has it. */
		{ "'\x81\x5C' b", "S<'\x81\x5C'>_W<b>", 0, GBK, false },
		{ "'\x81\x5C' b", "B<'\x81\x5C' b>", 0, 33, false },
		{ "`\x81\x60` b", "I<`\x81\x60`>_W<b>", 0, GBK, false },
		{ "'\x83\x5C' b", "S<'\x83\x5C'>_W<b>", 0, SJIS, false },
		{ "'\xA4\x5C' b", "S<'\xA4\x5C'>_W<b>", 0, BIG5_NOPAD, false },
		{ "'\x81\x30\x81\x30\x81\x5C' b", "S<'\x81\x30\x81\x30\x81\x5C'>_W<b>", 0, GB18030, false },
		{ "\x81\x60 b", "W<\x81\x60>_W<b>", 0, GBK, false },
		{ "'\\\x81\x5C' b", "S<'\\\x81\x5C'>_W<b>", 0, GBK, false },
		{ "'\x81", "B<'\x81>", 0, GBK, false },
		{ "", "", 0, 0, false },
		{ " \t\n", "", 0, 0, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_string_equal(
			tokens(rows[i].sql, strlen(rows[i].sql), rows[i].mode, rows[i].collation, !rows[i].mysql),
			rows[i].want);
}

static void
texts_lose_quotes_and_escapes(void **state)
{
	static const struct {
		const char *sql, *want;
		size_t len;
		uint64_t mode;
		uint16_t collation;
	} rows[] = {
		{ "`a``b`", "a`b", 3, 0, 0 },
		{ "`a\\b`", "a\\b", 3, 0, 0 },
		{ "'it''s'", "it's", 4, 0, 0 },
		{ "'a\\'b\\\\'", "a'b\\", 4, 0, 0 },
		{ "'\\0\\n\\r\\t\\b\\Z\\x'", "\0\n\r\t\b\x1Ax", 7, 0, 0 },
		{ "'50\\%\\_'", "50\\%\\_", 6, 0, 0 },
		{ "'a\\b'", "a\\b", 3, ML_SQL_MODE_NO_BACKSLASH_ESCAPES, 0 },
		{ "\"a\"\"b\"", "a\"b", 3, ML_SQL_MODE_ANSI_QUOTES, 0 },
		{ "\"a''b\"", "a''b", 4, 0, 0 },
		{ "x'4142'", "AB", 2, 0, 0 },
		{ "x'142'",
			"\x01"
			"B",
			2, 0, 0 },
		{ "b'1010'", "\n", 1, 0, 0 },
		{ "b'100000001'", "\x01\x01", 2, 0, 0 },
		{ "n'x'", "x", 1, 0, 0 },
		{ "word", "word", 4, 0, 0 },
		{ "'\x81\x5C'", "\x81\x5C", 2, 0, GBK },
		{ "''", "", 0, 0, 0 },
		{ "``", "", 0, 0, 0 },
		{ "x''", "", 0, 0, 0 },
	};
	struct ml_arena a;

	(void)state;
	ml_arena_init(&a, 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ml_lexer lx;
		struct ml_tok t;
		struct ml_text v;

		ml_lexer_init(&lx, rows[i].sql, strlen(rows[i].sql), rows[i].mode, rows[i].collation, true);
		t = ml_lexer_next(&lx);
		v = ml_tok_text(&lx, &t, &a);
		assert_int_equal(v.len, rows[i].len);
		assert_memory_equal(v.s, rows[i].want, rows[i].len);
		assert_int_equal(v.s[v.len], '\0');
	}
	ml_arena_fini(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tokens_end_where_the_server_ends_them),
		cmocka_unit_test(texts_lose_quotes_and_escapes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
