/* test_json.c - the reader's rules of Go's decoder, and the writer's escapes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/text/json.h"
#include "common/text/jsonw.h"

struct body {
	const char *s;
	bool b;
	uint64_t u;
	int64_t i;
	int32_t n;
	struct ml_json_strs strs;
	struct ml_json_u64s nums;
	const struct ml_json *o;
};

static const struct ml_json_field fields[] = {
	{ "name", ML_JK_STR, offsetof(struct body, s) },
	{ "flag", ML_JK_BOOL, offsetof(struct body, b) },
	{ "ts", ML_JK_U64, offsetof(struct body, u) },
	{ "table_id", ML_JK_I64, offsetof(struct body, i) },
	{ "num", ML_JK_I32, offsetof(struct body, n) },
	{ "rules", ML_JK_STRS, offsetof(struct body, strs) },
	{ "list", ML_JK_U64S, offsetof(struct body, nums) },
	{ "obj", ML_JK_OBJECT, offsetof(struct body, o) },
};

static int
read_body(const char *text, size_t len, struct ml_arena *a, struct body *b, struct ml_err *err)
{
	struct ml_json *j;

	*err = (struct ml_err){ 0 };
	if (ml_json_parse(&j, a, text, len, err) < 0)
		return -1;
	return ml_json_decode(j, "", fields, sizeof(fields) / sizeof(fields[0]), b, a, err);
}

static void
refuses_what_go_refuses_and_names_the_field(void **state)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{ "", "EOF" },
		{ "  \n", "EOF" },
		{ "{", "unexpected EOF" },
		{ "{\"ts\":1", "unexpected EOF" },
		{ "\"abc", "unexpected EOF" },
		{ "\"abc\\", "unexpected EOF" },
		{ "tru", "unexpected EOF" },
		{ "-", "unexpected EOF" },
		{ "\xef\xbb\xbf{}", "invalid character '\\xef' looking for beginning of value" },
		{ "[]", "cannot decode array into an object" },
		{ "\"x\"", "cannot decode string into an object" },
		{ "1", "cannot decode number into an object" },
		{ "{\"ts\":\"1\"}", "cannot decode string into field ts of type uint64" },
		{ "{\"ts\":1.0}", "cannot decode number 1.0 into field ts of type uint64" },
		{ "{\"ts\":1e3}", "cannot decode number 1e3 into field ts of type uint64" },
		{ "{\"ts\":-1}", "cannot decode number -1 into field ts of type uint64" },
		{ "{\"ts\":18446744073709551616}",
			"cannot decode number 18446744073709551616 into field ts of type uint64" },
		{ "{\"table_id\":9223372036854775808}",
			"cannot decode number 9223372036854775808 into field table_id of type int64" },
		{ "{\"num\":2147483648}", "cannot decode number 2147483648 into field num of type int" },
		{ "{\"name\":1}", "cannot decode number 1 into field name of type string" },
		{ "{\"flag\":\"yes\"}", "cannot decode string into field flag of type bool" },
		{ "{\"rules\":\"*.*\"}", "cannot decode string into field rules of type []string" },
		{ "{\"rules\":[1]}", "cannot decode number 1 into field rules of type []string" },
		{ "{\"list\":[-1]}", "cannot decode number -1 into field list of type []uint64" },
		{ "{\"obj\":[]}", "cannot decode array into field obj of type object" },
		{ "{\"name\":\"a\\u0000b\"}", "field name holds a NUL character" },
		{ "{'ts':1}", "invalid character ''' looking for beginning of object key string" },
		{ "{\"ts\":01}", "invalid character '1' after object key:value pair" },
		{ "{\"ts\":1,}", "invalid character '}' looking for beginning of object key string" },
		{ "{\"name\":\"\t\"}", "invalid character '\\x09' in string literal" },
		{ "{\"name\":\"\\x\"}", "invalid character 'x' in string escape code" },
		{ "/**/{}", "invalid character '/' looking for beginning of value" },
		{ "NaN", "invalid character 'N' looking for beginning of value" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ml_arena a;
		struct body b = { 0 };
		struct ml_err err;

		ml_arena_init(&a, 1024);
		assert_int_equal(read_body(rows[i].text, strlen(rows[i].text), &a, &b, &err), -1);
		assert_int_equal(err.code, ML_ErrAPIInvalidParam);
		assert_string_equal(err.text, rows[i].want);
		ml_arena_fini(&a);
	}
}

static void
keeps_64_bits_matches_keys_loosely_and_lets_the_last_win(void **state)
{
	static const char text[] =
		" {\"TS\":18446744073709551615, \"table_id\":-9223372036854775808,\"num\":5,\"num\":7,"
		"\"NUM\":null,\"unknown\":{\"x\":[1,2.5e7]},\"rules\":[\"a.*\",null],\"list\":[1,18446744073709551615],"
		"\"name\":\"\\ud83d\\ude00\\u00e9\\/\\ud800z\",\"flag\":true,\"obj\":{\"k\":1}} trailing";
	struct ml_arena a;
	struct body b = { 0 };
	struct ml_err err;

	(void)state;
	ml_arena_init(&a, 1024);
	assert_int_equal(read_body(text, strlen(text), &a, &b, &err), 0);
	assert_true(b.u == UINT64_MAX);
	assert_true(b.i == INT64_MIN);
	assert_int_equal(b.n, 7);
	assert_int_equal(b.strs.n, 2);
	assert_string_equal(b.strs.v[0], "a.*");
	assert_string_equal(b.strs.v[1], "");
	assert_true(b.nums.v[1] == UINT64_MAX);
	assert_string_equal(b.s, "\xf0\x9f\x98\x80\xc3\xa9/\xef\xbf\xbdz");
	assert_true(b.b);
	assert_int_equal(b.o->n, 1);
	ml_arena_fini(&a);
}

static void
null_is_an_empty_object_and_deep_nesting_an_error(void **state)
{
	struct ml_arena a;
	struct body b = { .n = 3 };
	struct ml_err err;
	char deep[2 * ML_JSON_MAX_DEPTH + 10];

	(void)state;
	ml_arena_init(&a, 1024);
	assert_int_equal(read_body("null", 4, &a, &b, &err), 0);
	assert_int_equal(b.n, 3);
	memset(deep, '[', sizeof(deep));
	assert_int_equal(read_body(deep, sizeof(deep), &a, &b, &err), -1);
	assert_string_equal(err.text, "exceeded max depth");
	ml_arena_fini(&a);
}

static void
prints_a_value_as_it_was(void **state)
{
	static const char text[] = "{\"a\":[1,-2.50,\"x\\\"y\",null,true,{}],\"b\":{\"c\":18446744073709551615}}";
	struct ml_arena a;
	struct ml_json *j;
	struct ml_buf out = { 0 };
	struct ml_err err;

	(void)state;
	ml_arena_init(&a, 1024);
	assert_int_equal(ml_json_parse(&j, &a, text, strlen(text), &err), 0);
	ml_json_print(j, &out);
	assert_string_equal(out.data, text);
	ml_buf_fini(&out);
	ml_arena_fini(&a);
}

static void
write_doc(struct ml_jw *w)
{
	ml_jw_open(w, '{');
	ml_jw_key(w, "list");
	ml_jw_open(w, '[');
	ml_jw_close(w, ']');
	ml_jw_key(w, "ids");
	ml_jw_open(w, '[');
	ml_jw_i64(w, -1);
	ml_jw_u64(w, UINT64_MAX);
	ml_jw_close(w, ']');
	ml_jw_key(w, "o");
	ml_jw_open(w, '{');
	ml_jw_close(w, '}');
	ml_jw_kstr(w, "s", "a<b>&\"\\\n\x01\xe2\x80\xa8\xff\xc3\xa9");
	ml_jw_key(w, "n");
	ml_jw_null(w);
	ml_jw_close(w, '}');
}

static void
writes_gos_layouts_and_escapes(void **state)
{
	static const struct {
		int indent;
		const char *want;
	} rows[] = {
		{ 0, "{\"list\":[],\"ids\":[-1,18446744073709551615],\"o\":{},"
		     "\"s\":\"a\\u003cb\\u003e\\u0026\\\"\\\\\\n\\u0001\\u2028\\ufffd\xc3\xa9\",\"n\":null}" },
		{ 1, "{\n \"list\": [],\n \"ids\": [\n  -1,\n  18446744073709551615\n ],\n \"o\": {},\n"
		     " \"s\": \"a\\u003cb\\u003e\\u0026\\\"\\\\\\n\\u0001\\u2028\\ufffd\xc3\xa9\",\n \"n\": null\n}" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ml_buf out = { 0 };
		struct ml_jw w = ml_jw_of(&out, rows[i].indent);

		write_doc(&w);
		assert_string_equal(out.data, rows[i].want);
		ml_buf_fini(&out);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_what_go_refuses_and_names_the_field),
		cmocka_unit_test(keeps_64_bits_matches_keys_loosely_and_lets_the_last_win),
		cmocka_unit_test(null_is_an_empty_object_and_deep_nesting_an_error),
		cmocka_unit_test(prints_a_value_as_it_was),
		cmocka_unit_test(writes_gos_layouts_and_escapes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
