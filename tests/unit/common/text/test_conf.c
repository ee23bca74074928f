/* test_conf.c - option tables: parsing, limits, files, printing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "common/text/conf.h"

struct values {
	char *name, *secret;
	bool on;
	int64_t count, delay;
	struct ml_texts list;
};

static int
no_x(const char *text, struct ml_err *err)
{
	return strchr(text, 'x') != NULL ? ML_ERRF(err, ErrConfigInvalid, 0, "'%s' has an x", text) : 0;
}

#define AT(m) offsetof(struct values, m)
static const struct ml_opt opts[] = {
	{ "a.name", "name", ML_OPT_STRING, 0, AT(name), "n", NULL, 0, 0, no_x, "A name." },
	{ "on", "on", ML_OPT_BOOL, 0, AT(on), "false", NULL, 0, 0, NULL, "A switch." },
	{ "a.b.count", "count", ML_OPT_INT, 0, AT(count), "5", "MiB", 1, 10, NULL, "A number." },
	{ "a.delay", "delay", ML_OPT_DURATION, 0, AT(delay), "50ms", NULL, 1000000, 60000000000, NULL, "A time." },
	{ "list", "list", ML_OPT_LIST, 0, AT(list), "", NULL, 0, 0, no_x, "Some texts." },
	{ "old", "old", ML_OPT_INT, ML_OPT_OBSOLETE, 0, "0", NULL, 0, 0, NULL, "Of old." },
	{ "debug", NULL, ML_OPT_TREE, 0, 0, "", NULL, 0, 0, NULL, "Anything." },
	{ "secret", NULL, ML_OPT_STRING, ML_OPT_SECRET, AT(secret), "", NULL, 0, 0, NULL, "A secret." },
};
#define N (sizeof(opts) / sizeof(opts[0]))

static char old_names[200];

static void
on_old(const char *name, void *arg)
{
	(void)arg;
	strcat(old_names, name);
}

static int
load(struct values *v, const char *text, const bool *given, struct ml_err *err)
{
	static const bool none[N];
	struct ml_toml *root;
	int r = ml_toml_parse(&root, text, strlen(text), err);

	if (r != 0)
		return r;
	old_names[0] = '\0';
	r = ml_conf_load(opts, N, v, root, given != NULL ? given : none, on_old, NULL, err);
	ml_toml_free(root);
	return r;
}

static void
texts_are_checked_as_their_row_says(void **state)
{
	static const struct {
		const char *flag, *text, *want;
	} rows[] = {
		{ "name", "abc", NULL },
		{ "name", "", NULL },
		{ "name", "axb", "--f: 'axb' has an x" },
		{ "on", "true", NULL },
		{ "on", "1", "--f: '1' is neither true nor false" },
		{ "count", "10", NULL },
		{ "count", "11", "--f: 11 is out of range; allowed is 1 to 10" },
		{ "count", "", "--f: '' is not an integer" },
		{ "count", "5x", "--f: '5x' is not an integer" },
		{ "count", " 5", "--f: ' 5' is not an integer" },
		{ "count", "99999999999999999999", "--f: '99999999999999999999' is not an integer" },
		{ "delay", "1m", NULL },
		{ "delay", "1500ms", NULL },
		{ "delay", "61s", "--f: 61000000000ns is out of range; allowed is 1ms to 1m" },
		{ "delay", "5", "--f: '5' is not a duration such as 50ms or 1m30s" },
		{ "list", "a, b ,,c", NULL },
		{ "list", "a,x", "--f: 'x' has an x" },
	};
	struct values v = { 0 };

	(void)state;
	ml_conf_defaults(opts, N, &v);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ml_err err = { 0 };
		int r = ml_conf_set(ml_conf_by_flag(opts, N, rows[i].flag), &v, rows[i].text, "--f", &err);

		assert_int_equal(r, rows[i].want == NULL ? 0 : -1);
		if (r != 0)
			assert_string_equal(err.text, rows[i].want);
	}
	/* What was refused has changed nothing. */
	assert_string_equal(v.name, "");
	assert_true(v.on);
	assert_int_equal(v.count, 10);
	assert_true(v.delay == 1500000000);
	assert_int_equal(v.list.n, 3);
	assert_string_equal(v.list.v[1], "b");
	assert_null(ml_conf_by_flag(opts, N, "nothing"));
	ml_conf_fini(opts, N, &v);
}

static void
files_are_strict(void **state)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{ "on = true\nlist = ['p', 'q']\n[a]\nname = 'z'\ndelay = '2s'\nb.count = 7\n[debug.any]\nthing = 1",
			NULL },
		{ "a.delay = 2000000000", NULL }, /* nanoseconds */
		{ "debug = 5", NULL },
		{ "nope = 1", "line 1: unknown option nope" },
		{ "[a]\nnope = 1", "line 2: unknown option a.nope" },
		{ "[a.nope]", "line 1: unknown option a.nope" },
		{ "'a.name' = 'z'", "line 1: unknown option a.name" },
		{ "a = 1", "line 1: a: a table expected, an integer given" },
		{ "[on]", "line 1: on: a boolean expected, a table given" },
		{ "on = 'true'", "line 1: on: a boolean expected, a string given" },
		{ "a.b.count = '5'", "line 1: a.b.count: an integer expected, a string given" },
		{ "\na.b.count = 0", "line 2: a.b.count: 0 is out of range; allowed is 1 to 10" },
		{ "a.delay = 1.5", "line 1: a.delay: a duration such as \"50ms\" expected, a float given" },
		{ "list = 'p'", "line 1: list: an array of strings expected, a string given" },
		{ "list = ['p',\n2]", "line 2: list: an array of strings expected, an integer given" },
		{ "list = ['x']", "line 1: list: 'x' has an x" },
		{ "name = 'z'", "line 1: unknown option name" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct values v = { 0 };
		struct ml_err err = { 0 };
		int r;

		ml_conf_defaults(opts, N, &v);
		r = load(&v, rows[i].text, NULL, &err);
		if (r != 0)
			assert_string_equal(err.text, rows[i].want == NULL ? "" : rows[i].want);
		assert_int_equal(r, rows[i].want == NULL ? 0 : -1);
		ml_conf_fini(opts, N, &v);
	}
}

static void
a_flag_wins_over_the_file_and_obsolete_ones_are_named(void **state)
{
	struct values v = { 0 };
	struct ml_err err;
	bool given[N] = { true };

	(void)state;
	ml_conf_defaults(opts, N, &v);
	assert_int_equal(ml_conf_set(&opts[0], &v, "flag", "--name", &err), 0);
	assert_int_equal(load(&v, "on = true\nold = 'whatever'\na.name = 'file'", given, &err), 0);
	assert_string_equal(v.name, "flag");
	assert_true(v.on);
	assert_string_equal(old_names, "old");
	ml_conf_fini(opts, N, &v);
}

static void
printed_toml_reads_back_and_holds_no_secret(void **state)
{
	struct values v = { 0 }, w = { 0 };
	struct ml_buf one = { 0 }, two = { 0 }, json = { 0 };
	struct ml_err err;

	(void)state;
	ml_conf_defaults(opts, N, &v);
	assert_int_equal(
		load(&v,
			"on = true\nlist = ['p\"', '\\']\nsecret = 'geheim'\n[a]\nname = \"\\t\\u0001\xc3\xa4\\\"\"\n"
			"delay = '1s5ms'\nb.count = 9",
			NULL, &err),
		0);
	ml_conf_print_toml(opts, N, &v, &one);
	assert_null(strstr(one.data, "geheim"));
	ml_conf_defaults(opts, N, &w);
	assert_int_equal(load(&w, one.data, NULL, &err), 0);
	ml_conf_print_toml(opts, N, &w, &two);
	assert_string_equal(one.data, two.data);
	assert_string_equal(w.name, v.name);
	assert_true(w.delay == v.delay && w.count == 9 && w.on && w.list.n == 2);
	ml_conf_print_json(opts, N, &v, &json);
	assert_string_equal(json.data,
		"{\"a\":{\"name\":\"\\u0009\\u0001\xc3\xa4\\\"\",\"b\":{\"count\":9},\"delay\":1005000000},"
		"\"on\":true,\"list\":[\"p\\\"\", \"\\\\\"],\"old\":0,\"debug\":{}}");
	ml_buf_fini(&one);
	ml_buf_fini(&two);
	ml_buf_fini(&json);
	ml_conf_fini(opts, N, &v);
	ml_conf_fini(opts, N, &w);
}

static void
durations_are_printed_as_go_reads_them(void **state)
{
	static const struct {
		int64_t ns;
		const char *want;
	} rows[] = {
		{ 0, "0s" },
		{ 1, "1ns" },
		{ 50000000, "50ms" },
		{ 90000000000, "1m30s" },
		{ 3600000000000, "1h" },
		{ 3661000001500, "1h1m1s1us500ns" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ml_buf b = { 0 };

		ml_conf_put_duration(&b, rows[i].ns);
		assert_string_equal(b.data, rows[i].want);
		ml_buf_fini(&b);
	}
}

static void
usage_and_documentation_come_from_the_table(void **state)
{
	struct ml_buf b = { 0 };

	(void)state;
	ml_conf_print_usage(opts, N, &b);
	assert_non_null(strstr(b.data, "--count int"));
	assert_non_null(strstr(b.data, "A number. (default 5)\n"));
	assert_null(strstr(b.data, "--old"));
	ml_buf_clear(&b);
	ml_conf_print_doc(opts, N, &b);
	assert_non_null(strstr(b.data, "| `a.b.count` | `--count` | integer (MiB), 1 to 10 | `5` | A number. |\n"));
	assert_non_null(strstr(b.data, "| `a.delay` | `--delay` | duration, 1ms to 1m | `50ms` | A time. |\n"));
	assert_non_null(strstr(b.data, "*Obsolete"));
	ml_buf_fini(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_are_checked_as_their_row_says),
		cmocka_unit_test(files_are_strict),
		cmocka_unit_test(a_flag_wins_over_the_file_and_obsolete_ones_are_named),
		cmocka_unit_test(printed_toml_reads_back_and_holds_no_secret),
		cmocka_unit_test(durations_are_printed_as_go_reads_them),
		cmocka_unit_test(usage_and_documentation_come_from_the_table),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
