/* test_toml.c - what the TOML reader takes and what it refuses, by TOML 1.0. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/text/toml.h"

/* The tree as JSON-like text. */
static void
show(struct ml_buf *b, const struct ml_toml *v)
{
	switch (v->type) {
	case ML_TOML_STRING:
		ml_buf_printf(b, "\"%s\"", v->text);
		break;
	case ML_TOML_INT:
		ml_buf_printf(b, "%lld", (long long)v->num);
		break;
	case ML_TOML_FLOAT:
		if (isnan(v->real))
			ml_buf_puts(b, "nan");
		else
			ml_buf_printf(b, "%g", v->real);
		break;
	case ML_TOML_BOOL:
		ml_buf_puts(b, v->num ? "true" : "false");
		break;
	case ML_TOML_TIME:
		ml_buf_printf(b, "@%s", v->text);
		break;
	case ML_TOML_ARRAY:
	case ML_TOML_TABLE:
		ml_buf_putc(b, v->type == ML_TOML_ARRAY ? '[' : '{');
		for (const struct ml_toml *i = v->first; i != NULL; i = i->next) {
			if (v->type == ML_TOML_TABLE)
				ml_buf_printf(b, "%s:", i->key);
			show(b, i);
			if (i->next != NULL)
				ml_buf_putc(b, ',');
		}
		ml_buf_putc(b, v->type == ML_TOML_ARRAY ? ']' : '}');
		break;
	}
}

static void
documents_become_trees(void **state)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{ "", "{}" },
		{ "# only a comment", "{}" },
		{ "\xef\xbb\xbf"
		  "a=1",
			"{a:1}" },
		{ "a = 1 # one\r\nb = \"x\"\r\n", "{a:1,b:\"x\"}" },
		{ "a = +1_000\nb=-0\nc=0xDEAD_beef\nd=0o17\ne=0b101", "{a:1000,b:0,c:3735928559,d:15,e:5}" },
		{ "a = 9223372036854775807\nb = -9223372036854775808",
			"{a:9223372036854775807,b:-9223372036854775808}" },
		{ "a = 3.25\nb = 1e3\nc = -2.5E-1\nd = inf\ne = -inf\nf = nan",
			"{a:3.25,b:1000,c:-0.25,d:inf,e:-inf,f:nan}" },
		{ "a = true\nb=false", "{a:true,b:false}" },
		{ "a = \"\\u00e4\\t\\\"\\\\\\U0001F600\"", "{a:\"\xc3\xa4\t\"\\\xf0\x9f\x98\x80\"}" },
		{ "a = 'C:\\x'", "{a:\"C:\\x\"}" },
		{ "a = \"\"\"\nx\n y\\\n   \n  z\"\"\"\"\"", "{a:\"x\n yz\"\"\"}" },
		{ "a = '''\n'x\\\n''''", "{a:\"'x\\\n'\"}" },
		{ "a = \"\"\nb = ''\nc = \"\"\"\"\"\"", "{a:\"\",b:\"\",c:\"\"}" },
		{ "a = [ 1, 'b', [ ], # c\n {d=1}\n , ]", "{a:[1,\"b\",[],{d:1}]}" },
		{ "a = { b = 1, c.d = 2, c.e = {} }", "{a:{b:1,c:{d:2,e:{}}}}" },
		{ "a.b.c = 1\na.b.d = 2\n\"x y\".'z' = 3", "{a:{b:{c:1,d:2}},x y:{z:3}}" },
		{ "[a.b]\nc=1\n[a]\nd=2\n[ a . x ]\n", "{a:{b:{c:1},d:2,x:{}}}" },
		{ "[a]\nb.c = 1\n[a.b.d]\ne = 2", "{a:{b:{c:1,d:{e:2}}}}" },
		{ "[[a]]\nb=1\n[a.c]\nd=2\n[[a]]\nb=3\n[[a.e]]", "{a:[{b:1,c:{d:2}},{b:3,e:[{}]}]}" },
		{ "a = 1979-05-27T07:32:00.25-07:00\nb=1979-05-27 07:32:00\nc=1979-05-27\nd=07:32:00",
			"{a:@1979-05-27T07:32:00.25-07:00,b:@1979-05-27 07:32:00,c:@1979-05-27,d:@07:32:00}" },
		{ "1234 = 1\n-x_ = 2", "{1234:1,-x_:2}" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ml_buf b = { 0 };
		struct ml_toml *root = NULL;
		struct ml_err err = { 0 };

		if (ml_toml_parse(&root, rows[i].text, strlen(rows[i].text), &err) != 0)
			fail_msg("row %zu: %s", i, err.text);
		show(&b, root);
		assert_string_equal(b.data, rows[i].want);
		ml_buf_fini(&b);
		ml_toml_free(root);
	}
}

static void
mistakes_are_refused_with_their_line(void **state)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{ "a", "line 1: '=' expected after key 'a'" },
		{ "\n\na =", "line 3: value expected" },
		{ "= 1", "line 1: key expected" },
		{ "a = 1 b = 2", "line 1: end of line expected" },
		{ "a = 1\na = 2", "line 2: 'a' is defined already (line 1)" },
		{ "a = 1\na.b = 2", "line 2: 'a' is defined already (line 1)" },
		{ "[a]\n[a]", "line 2: table 'a' is defined already (line 1)" },
		{ "[a.b]\n[a]\nb.c = 1", "line 3: 'b' is defined already (line 1)" },
		{ "[a]\nb.c = 1\n[a.b]", "line 3: table 'b' is defined already (line 2)" },
		{ "a = {}\n[a.b]", "line 2: 'a' is defined already (line 1)" },
		{ "a = {b.c=1}\n[a.b.d]", "line 2: 'a' is defined already (line 1)" },
		{ "a = []\n[[a]]", "line 2: 'a' is defined already (line 1)" },
		{ "[[a]]\n[a]", "line 2: table 'a' is defined already (line 1)" },
		{ "[a", "line 1: ']' expected after 'a'" },
		{ "[[a]", "line 1: ']]' expected after 'a'" },
		{ "[]", "line 1: key expected" },
		{ "a = 01", "line 1: '01' is not a value" },
		{ "a = 1__0", "line 1: '1__0' is not a value" },
		{ "a = 1_", "line 1: '1_' is not a value" },
		{ "a = +0x1", "line 1: '+0x1' is not a value" },
		{ "a = 1.", "line 1: '1.' is not a value" },
		{ "a = .5", "line 1: '.5' is not a value" },
		{ "a = 9223372036854775808", "line 1: '9223372036854775808' is not a value" },
		{ "a = True", "line 1: 'True' is not a value" },
		{ "a = 2020-13-01", "line 1: '2020-13-01' is not a value" },
		{ "a = \"x", "line 1: string without its end" },
		{ "a = \"x\ny\"", "line 1: line end within a string" },
		{ "a = \"\\x41\"", "line 1: unknown escape in a string" },
		{ "a = \"\\ud800\"", "line 1: escape of U+D800, which is not allowed" },
		{ "a = \"\\u0000\"", "line 1: escape of U+0000, which is not allowed" },
		{ "a = \"\x01\"", "line 1: control character in a string" },
		{ "# \x02", "line 1: control character in a comment" },
		{ "a = \"\"\"\n\n", "line 1: string without its end" },
		{ "\"\"\"a\"\"\" = 1", "line 1: '=' expected after key ''" },
		{ "a = [1 2]", "line 1: ',' or ']' expected in an array" },
		{ "a = [1,", "line 1: value expected" },
		{ "a = {b=1,}", "line 1: key expected" },
		{ "a = {b=1\n}", "line 1: ',' or '}' expected in an inline table" },
		{ "x\n\xff", "line 2: not UTF-8" },
		{ "a = \"\xed\xa0\x80\"", "line 1: not UTF-8" },
		{ "a = 1\rb = 2", "line 1: end of line expected" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ml_toml *root = NULL;
		struct ml_err err = { 0 };

		if (ml_toml_parse(&root, rows[i].text, strlen(rows[i].text), &err) == 0)
			fail_msg("row %zu was accepted", i);
		assert_string_equal(err.text, rows[i].want);
		assert_null(root);
	}
}

static void
limits_hold(void **state)
{
	struct ml_buf b = { 0 };
	struct ml_toml *root = NULL;
	struct ml_err err;

	(void)state;
	ml_buf_puts(&b, "a = ");
	for (unsigned i = 0; i < 100000; i++)
		ml_buf_putc(&b, '[');
	assert_int_equal(ml_toml_parse(&root, b.data, b.len, &err), -1);
	assert_string_equal(err.text, "line 1: nested too deeply");
	ml_buf_clear(&b);
	for (unsigned i = 0; i < 40; i++)
		ml_buf_puts(&b, "a.");
	ml_buf_puts(&b, "b = 1");
	assert_int_equal(ml_toml_parse(&root, b.data, b.len, &err), -1);
	ml_buf_clear(&b);
	ml_buf_puts(&b, "a = [");
	for (unsigned i = 0; i < ML_TOML_NODES_MAX; i++)
		ml_buf_puts(&b, "1,");
	assert_int_equal(ml_toml_parse(&root, b.data, b.len, &err), -1);
	assert_string_equal(err.text, "line 1: more than 10000 values");
	ml_buf_clear(&b);
	for (unsigned i = 0; i <= ML_TOML_MAX; i++)
		ml_buf_putc(&b, '\n');
	assert_int_equal(ml_toml_parse(&root, b.data, b.len, &err), -1);
	ml_buf_fini(&b);
}

static void
members_are_found_by_name(void **state)
{
	static const char text[] = "[x]\ny = 5";
	struct ml_toml *root;

	(void)state;
	assert_int_equal(ml_toml_parse(&root, text, sizeof(text) - 1, NULL), 0);
	assert_int_equal(ml_toml_get(ml_toml_get(root, "x"), "y")->num, 5);
	assert_int_equal(ml_toml_get(ml_toml_get(root, "x"), "y")->line, 2);
	assert_null(ml_toml_get(root, "y"));
	assert_null(ml_toml_get(ml_toml_get(ml_toml_get(root, "x"), "y"), "z"));
	ml_toml_free(root);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(documents_become_trees),
		cmocka_unit_test(mistakes_are_refused_with_their_line),
		cmocka_unit_test(limits_hold),
		cmocka_unit_test(members_are_found_by_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
