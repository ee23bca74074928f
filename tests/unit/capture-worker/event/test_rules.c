#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "capture-worker/event/rules.h"

#define MAX_LINES 4

static size_t
count(const char *const *lines)
{
	size_t n = 0;

	while (n < MAX_LINES && lines[n] != NULL)
		n++;
	return n;
}

static struct ml_rules *
make(const char *const *lines, bool case_sensitive)
{
	struct ml_rules *r = NULL;
	struct ml_err err = { 0 };

	if (ml_rules_new(&r, (char *const *)(uintptr_t)lines, count(lines), case_sensitive, false, &err) != 0)
		fail_msg("%s", err.text);
	return r;
}

static void
the_last_rule_that_matches_decides(void **state)
{
	static const struct {
		const char *lines[MAX_LINES];
		const char *db, *table;
		bool want, case_sensitive;
	} rows[] = {
		{ { "*.*" }, "test", "t1", true, false },
		{ { "test.*" }, "test1", "t1", false, false },
		{ { "test?.*" }, "test", "t1", false, false },
		{ { "test?.*" }, "test9", "t1", true, false },
		{ { "*.*", "!test.*" }, "test", "t1", false, false },
		{ { "!test.*", "*.*" }, "test", "t1", true, false },
		{ { "!test.*" }, "prod", "t1", false, false },
		{ { "db*.*", "!*.cfg*", "*.cfgsample" }, "db1", "cfg1", false, false },
		{ { "db*.*", "!*.cfg*", "*.cfgsample" }, "db1", "cfgsample", true, false },
		{ { "db*.*", "!*.cfg*", "*.cfgsample" }, "other", "cfgsample", true, false },
		{ { "db*.*", "!*.cfg*", "*.cfgsample" }, "other", "tbl1", false, false },
		{ { "/^foo/.*", "!/^foo/./^sbtest-\\d/" }, "foo1", "sbtest-1", false, false },
		{ { "/^foo/.*", "!/^foo/./^sbtest-\\d/" }, "foo", "sbtest", true, false },
		{ { "/foo/.*" }, "myfoodb", "x", true, false },
		{ { "/^a.c$/./^t$/" }, "abc", "t", true, false },
		{ { "/^a.c$/./^t$/" }, "abc", "t\n", false, false },
		{ { "*.*", "!foo[bar].*" }, "foor", "a", false, false },
		{ { "*.*", "!foo[bar].*" }, "foo[bar]", "b", true, false },
		{ { "[!a-z].[^a-z]" }, "1", "^", true, false },
		{ { "[!a-z].[^a-z]" }, "1", "9", false, false },
		{ { "[!a-z].[^a-z]" }, "a", "z", false, false },
		{ { "*.*", "!S.D[!a-d]" }, "S", "D1", false, false },
		{ { "*.*", "!S.D[!a-d]" }, "S", "Daa", true, false },
		{ { "test.t[0-9]" }, "test", "t10", false, false },
		{ { "test.t[0-9]*" }, "test", "t10", true, false },
		{ { "p_123$.45" }, "p_123$", "45", true, false },
		{ { "a$*.*" }, "a$b", "t", false, false },
		{ { "a$*.*" }, "a", "t", true, false },
		{ { "a\\$*.*" }, "a$b", "t", true, false },
		{ { "中文.表?" }, "中文", "表名", true, false },
		{ { "中文.表?" }, "中文", "表名x", false, false },
		{ { "\\\\\\..*" }, "\\.", "a", true, false },
		{ { "*.*", "!special\\\\.*" }, "special\\", "e", false, false },
		{ { "\"some \"\"quoted\"\"\".`identifiers?`" }, "some \"quoted\"", "identifiers?", true, false },
		{ { "\"some \"\"quoted\"\"\".`identifiers?`" }, "some \"quoted\"", "identifiers!", false, false },
		{ { "`a.b`.t" }, "a.b", "t", true, false },
		{ { "*.`t*`" }, "x", "tab", false, false },
		{ { "BAR.*" }, "bar", "a", false, true },
		{ { "BAR.*" }, "bar", "a", true, false },
		{ { "*.*", "!/^FOO/.*" }, "foo2", "b", false, false },
		{ { "*.*", "!a*.A*" }, "AaB", "aab", true, true },
		{ { "# c", "x.y", " \t " }, "x", "y", true, false },
		{ { " x.y\t" }, "x", "y", true, false },
		{ { ".t" }, "x", "t", false, false },
		{ { NULL }, "x", "y", false, false },
		{ { "ÄÖ.*" }, "äö", "t", true, false },
		{ { "ÄÖ.*" }, "äö", "t", false, true },
		{ { "?.*" }, "\n", "t", true, false },
		{ { "a[\\]\\-x].*" }, "a]", "t", true, false },
		{ { "a[\\]\\-x].*" }, "a-", "t", true, false },
		{ { "a[\\]\\-x].*" }, "aw", "t", false, false },
		{ { "a[[].*" }, "a[", "t", true, false },
		{ { "?.*" }, "\xff", "t", true, false }, /* a bad byte is one character */
		{ { "??.*" }, "\xe4\xb8", "t", true, false },
		/* RE2 in PCRE2: \s without \v, \v one character, hyphens behind sets. */
		{ { "/^\\s$/.*" }, "\v", "t", false, false },
		{ { "/^\\v$/.*" }, "\v", "t", true, false },
		{ { "/^\\v$/.*" }, "\n", "t", false, false },
		{ { "/^[\\s-z]$/.*" }, "A", "t", false, false },
		{ { "/^[\\s-z]$/.*" }, "-", "t", true, false },
		{ { "/^[^\\S]$/.*" }, " ", "t", true, false },
		{ { "/^a{,2}$/.*" }, "a{,2}", "t", true, false },
		{ { "/^\\Qa.b\\E+$/.*" }, "a.bbb", "t", true, false },
		{ { "/^\\Qa.b\\E+$/.*" }, "axb", "t", false, false },
		{ { "/^\\101\\x42\\x{43}$/.*" }, "ABC", "t", true, true },
		{ { "/^(?P<x>a)(?:b|c)*?$/.*" }, "abcb", "t", true, false },
		{ { "/^(?i:A)b$/.*" }, "ab", "t", true, true },
		{ { "/^(?i:A)b$/.*" }, "aB", "t", false, true },
		{ { "/^\\p{Han}+$/.*" }, "中文", "t", true, false },
		{ { "/^\\pL+$/.*" }, "中a", "t", true, false },
		{ { "/^[[:alpha:]]\\/$/.*" }, "a/", "t", true, false },
		{ { "/^[^]a]$/.*" }, "]", "t", false, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ml_rules *r = make(rows[i].lines, rows[i].case_sensitive);
		bool got = ml_rules_match(r, rows[i].db, strlen(rows[i].db), rows[i].table, strlen(rows[i].table));

		if (got != rows[i].want)
			fail_msg("row %zu, %s ...: %s.%s: %d", i, rows[i].lines[0], rows[i].db, rows[i].table, got);
		if (got)
			assert_true(ml_rules_match_db(r, rows[i].db, strlen(rows[i].db)));
		ml_rules_free(r);
	}
}

static void
schemas_are_excluded_only_by_a_bare_star(void **state)
{
	static const struct {
		const char *lines[MAX_LINES];
		const char *db;
		bool want;
	} rows[] = {
		{ { "*.*", "!foo.bar" }, "foo", true },
		{ { "*.*", "!foo.*" }, "foo", false },
		{ { "*.*", "!foo.**" }, "foo", true },
		{ { "foo.bar1" }, "foo", true },
		{ { "foo.bar1" }, "foo1", false },
		{ { "!foo.*", "foo.bar" }, "foo", true },
		{ { NULL }, "foo", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ml_rules *r = make(rows[i].lines, false);

		assert_int_equal(ml_rules_match_db(r, rows[i].db, strlen(rows[i].db)), rows[i].want);
		ml_rules_free(r);
	}
}

static void
wrong_lines_are_refused_with_their_reason(void **state)
{
	static const struct {
		const char *line, *want;
	} rows[] = {
		{ "a.b.c", "syntax error: stray characters after table pattern" },
		{ "a%b.c", "unexpected special character '%'" },
		{ "a\\tb.c", "cannot escape a letter or number (\\t), it is reserved for future extension" },
		{ "[].*", "syntax error: failed to parse character class" },
		{ "[!].*", "syntax error: failed to parse character class" },
		{ "[\\d\\D].*", "syntax error: failed to parse character class" },
		{ "[a.*", "syntax error: failed to parse character class" },
		{ "db", "wrong table pattern" },
		{ "db.", "syntax error: missing pattern" },
		{ "!", "syntax error: missing pattern" },
		{ "`db`*.*", "syntax error: missing '.' between schema and table patterns" },
		{ "/db.*", "syntax error: incomplete regexp" },
		{ "//.*", "syntax error: incomplete regexp" },
		{ "/a\\/.*", "syntax error: incomplete regexp" },
		{ "`db.* ", "syntax error: incomplete quoted identifier" },
		{ "``.*", "syntax error: incomplete quoted identifier" },
		{ "db\\", "syntax error: cannot place \\ at end of line" },
		{ "db.tbl#x", "unexpected special character '#'" },
		{ "! db.t", "unexpected special character ' '" },
		{ "a b.c", "unexpected special character ' '" },
		{ "db,t.*", "unexpected special character ','" },
		{ "[[:alpha:]].t", "unexpected special character ']'" },
		{ "[z-a].t", "invalid pattern: error parsing regexp: " },
		{ "@/etc/passwd", "importing filter files is not allowed here" },
		/* What RE2 has not, or what PCRE2 reads in another way. */
		{ "/^t((?!_copy).)*$/.*", "invalid pattern: error parsing regexp: invalid or unsupported Perl syntax" },
		{ "/(?=a)/.*", "invalid pattern: error parsing regexp: invalid or unsupported Perl syntax" },
		{ "/(?<=a)b/.*", "invalid pattern: error parsing regexp: invalid named capture" },
		{ "/(?<!a)b/.*", "invalid pattern: error parsing regexp: invalid named capture" },
		{ "/(?>a)/.*", "invalid pattern: error parsing regexp: invalid or unsupported Perl syntax" },
		{ "/(?|a)/.*", "invalid pattern: error parsing regexp: invalid or unsupported Perl syntax" },
		{ "/(?R)/.*", "invalid pattern: error parsing regexp: invalid or unsupported Perl syntax" },
		{ "/(?P=x)/.*", "invalid pattern: error parsing regexp: invalid or unsupported Perl syntax" },
		{ "/(?1)/.*", "invalid pattern: error parsing regexp: invalid or unsupported Perl syntax" },
		{ "/(?(1)a|b)/.*", "invalid pattern: error parsing regexp: invalid or unsupported Perl syntax" },
		{ "/(?#c)/.*", "invalid pattern: error parsing regexp: invalid or unsupported Perl syntax" },
		{ "/(?x)a/.*", "invalid pattern: error parsing regexp: invalid or unsupported Perl syntax" },
		{ "/(*UTF)a/.*", "invalid pattern: error parsing regexp: missing argument to repetition operator" },
		{ "/(a)\\1/.*", "invalid pattern: error parsing regexp: invalid escape sequence" },
		{ "/(a)\\8/.*", "invalid pattern: error parsing regexp: invalid escape sequence" },
		{ "/\\k<x>/.*", "invalid pattern: error parsing regexp: invalid escape sequence" },
		{ "/\\g1/.*", "invalid pattern: error parsing regexp: invalid escape sequence" },
		{ "/\\C/.*", "invalid pattern: error parsing regexp: invalid escape sequence" },
		{ "/\\K/.*", "invalid pattern: error parsing regexp: invalid escape sequence" },
		{ "/\\R/.*", "invalid pattern: error parsing regexp: invalid escape sequence" },
		{ "/\\X/.*", "invalid pattern: error parsing regexp: invalid escape sequence" },
		{ "/\\Z/.*", "invalid pattern: error parsing regexp: invalid escape sequence" },
		{ "/[\\b]/.*", "invalid pattern: error parsing regexp: invalid escape sequence" },
		{ "/a++/.*", "invalid pattern: error parsing regexp: invalid nested repetition operator" },
		{ "/a*+/.*", "invalid pattern: error parsing regexp: invalid nested repetition operator" },
		{ "/a{2}{3}/.*", "invalid pattern: error parsing regexp: invalid nested repetition operator" },
		{ "/a{1001}/.*", "invalid pattern: error parsing regexp: invalid repeat count" },
		{ "/a{3,2}/.*", "invalid pattern: error parsing regexp: invalid repeat count" },
		{ "/*a/.*", "invalid pattern: error parsing regexp: missing argument to repetition operator" },
		{ "/(a/.*", "invalid pattern: error parsing regexp: missing closing )" },
		{ "/a)/.*", "invalid pattern: error parsing regexp: unexpected )" },
		{ "/[a/.*", "invalid pattern: error parsing regexp: missing closing ]" },
		{ "/[[:foo:]]/.*", "invalid pattern: error parsing regexp: invalid character class range" },
		{ "/\\p{Nonsense}/.*", "invalid pattern: error parsing regexp: " },
		{ "/(((a{1000}){1000}){1000}){1000}/.*", "invalid pattern: error parsing regexp: " },
		{ "/\xff/.*", "invalid pattern: error parsing regexp: " },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *lines[] = { "*.*", rows[i].line };
		struct ml_err err = { 0 };
		struct ml_rules *r = NULL;
		char want[256];

		assert_int_equal(ml_rules_new(&r, (char *const *)(uintptr_t)lines, 2, false, false, &err), -1);
		assert_int_equal(err.code, ML_ErrFilterRuleInvalid);
		snprintf(want, sizeof(want), "filter rule is invalid [*.* %s]: at <cmdline>:1: %s", rows[i].line,
			rows[i].want);
		if (strncmp(err.text, want, strlen(want)) != 0)
			fail_msg("got  %s\nwant %s", err.text, want);
	}
}

static void
no_pattern_can_hang_the_matcher(void **state)
{
	static const char *const lines[] = { "/^(a*)*(a*)*(a|aa|a*)*b$/.*", "/^((a|b)*(a|b)*){40}c$/.*", NULL };
	struct ml_rules *r = make(lines, false);
	char name[65];

	(void)state;
	memset(name, 'a', 64);
	name[64] = '\0';
	assert_false(ml_rules_match(r, name, 64, "t", 1));
	ml_rules_free(r);
}

static void
files_of_rules_are_read_where_allowed(void **state)
{
	char path[] = "/tmp/ml_test_rules_XXXXXX", line[64];
	const char *lines[] = { "a.*", line };
	struct ml_err err = { 0 };
	struct ml_rules *r = NULL;
	int fd = mkstemp(path);
	char want[128];

	(void)state;
	assert_true(fd >= 0);
	snprintf(line, sizeof(line), "@%s", path);
	assert_int_equal(write(fd, "# rules\n!a.b\r\nc.d", 17), 17);
	assert_int_equal(ml_rules_new(&r, (char *const *)(uintptr_t)lines, 2, false, true, &err), 0);
	assert_false(ml_rules_match(r, "a", 1, "b", 1));
	assert_true(ml_rules_match(r, "a", 1, "c", 1));
	assert_true(ml_rules_match(r, "c", 1, "d", 1));
	ml_rules_free(r);
	assert_int_equal(write(fd, "\n@x\n", 4), 4);
	assert_int_equal(ml_rules_new(&r, (char *const *)(uintptr_t)lines, 2, false, true, &err), -1);
	snprintf(want, sizeof(want), "at %s:4: importing filter files recursively is not allowed", path);
	assert_non_null(strstr(err.text, want));
	close(fd);
	unlink(path);
	assert_int_equal(ml_rules_new(&r, (char *const *)(uintptr_t)lines, 2, false, true, &err), -1);
	assert_non_null(strstr(err.text, "cannot open filter file"));
}

/* A glob against a name, the plain way.  One byte is one character here, but for the two of each letter beyond ASCII. */
static bool
glob(const char *p, const char *s, bool fold)
{
	size_t n = (unsigned char)*s >= 0x80 ? 2 : *s != '\0';
	bool hit = false, not ;

	switch (*p) {
	case '\0':
		return *s == '\0';
	case '*':
		return glob(p + 1, s, fold) || (n > 0 && glob(p, s + n, fold));
	case '?':
		return n > 0 && glob(p + 1, s + n, fold);
	case '[':
		not = *++p == '!';
		for (p += not ; *p != ']'; p++) {
			unsigned char c = (unsigned char)*s, lo = (unsigned char)*p, hi = lo;

			if (p[1] == '-' && p[2] != ']') {
				hi = (unsigned char)p[2];
				p += 2;
			}
			hit |= (c >= lo && c <= hi) || (fold && c >= 'A' && c <= 'Z' && c + 32 >= lo && c + 32 <= hi) ||
			       (fold && c >= 'a' && c <= 'z' && c - 32 >= lo && c - 32 <= hi);
		}
		return n > 0 && hit != not &&glob(p + 1, s + n, fold);
	default:
		if (*p == '\\')
			p++;
		if (n == 0 || !(*p == *s || (fold && (*p | 32) == (*s | 32) && (*s | 32) >= 'a' && (*s | 32) <= 'z')))
			return false;
		return glob(p + 1, s + 1, fold); /* a letter of two bytes takes two turns */
	}
}

static void
random_globs_match_as_a_plain_matcher_says(void **state)
{
	static const char *const parts[] = { "a", "B", "c", "1", "_", "*", "?", "*", "[a-c]", "[!b]", "[1_]", "[!A-B]",
		"\\.", "\\*", "\xc3\xa9" };
	static const char *const chars[] = { "a", "b", "B", "c", "1", "_", ".", "*", "\xc3\xa9", "d" };
	uint64_t seed = 20240506;
	int hits = 0;

	(void)state;
	for (int i = 0; i < 10000; i++) {
		char pattern[80] = "", line[100], name[40] = "";
		const char *lines[MAX_LINES] = { line };
		bool sensitive = i % 2 == 0, want, got;
		struct ml_rules *r;

#define NEXT(n) ((seed = seed * 6364136223846793005ull + 1442695040888963407ull) >> 33) % (n)
		for (uint64_t n = NEXT(6) + 1; n > 0; n--)
			strcat(pattern, parts[NEXT(sizeof(parts) / sizeof(parts[0]))]);
		for (uint64_t n = NEXT(8); n > 0; n--)
			strcat(name, chars[NEXT(sizeof(chars) / sizeof(chars[0]))]);
#undef NEXT
		snprintf(line, sizeof(line), "db.%s", pattern);
		r = make(lines, sensitive);
		want = glob(pattern, name, !sensitive);
		got = ml_rules_match(r, "db", 2, name, strlen(name));
		if (want != got)
			fail_msg("%s on %s, case %s: wanted %d", pattern, name,
				sensitive ? "matters" : "does not matter", want);
		hits += want;
		ml_rules_free(r);
	}
	assert_true(hits > 500 && hits < 9500);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_last_rule_that_matches_decides),
		cmocka_unit_test(schemas_are_excluded_only_by_a_bare_star),
		cmocka_unit_test(wrong_lines_are_refused_with_their_reason),
		cmocka_unit_test(no_pattern_can_hang_the_matcher),
		cmocka_unit_test(files_of_rules_are_read_where_allowed),
		cmocka_unit_test(random_globs_match_as_a_plain_matcher_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
