/* Value expressions: values as MariaDB gives them, errors, and what sinks.md 8.4 says beyond. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "capture-worker/filter/expr/expr.h"
#include "common/text/tz.h"
#include "tests/unit/capture-worker/filter/expr_row.h"

static struct ml_schema *table;
static struct ml_tz *utc;

/* Value of text for the row, as "kind value"; an error's code and text for none. */
static void
value_of(const char *text, struct ml_buf *out)
{
	static const char *const kinds[] = { "null", "int", "uint", "dec", "real", "text", "when", "time", "json" };
	struct ml_err err = { 0 };
	struct ml_parsed *p = NULL;
	struct ml_expr *e = NULL;
	struct ml_value v;

	ml_buf_clear(out);
	if (ml_parse_expr(&p, text, &err) < 0 || ml_expr_new(&e, p, table, utc, &err) < 0 ||
		ml_expr_value(e, expr_row, &v, &err) < 0) {
		ml_buf_printf(out, "%s %s", ml_code_name(err.code), err.text);
	} else {
		ml_buf_printf(out, "%s\t", kinds[v.kind]);
		ml_expr_print(e, &v, out);
	}
	ml_expr_free(e);
	ml_parsed_free(p);
}

static void
values_are_those_of_mariadb(void **state)
{
	FILE *f = fopen(ML_TEST_DIR "/golden/expr/values.tsv", "r");
	struct ml_buf got = { 0 };
	char line[4096];
	int n = 0, wrong = 0;

	(void)state;
	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL) {
		char *want = strchr(line, '\t');

		line[strcspn(line, "\n")] = '\0';
		if (line[0] == '#' || want == NULL)
			continue;
		*want++ = '\0';
		n++;
		value_of(line, &got);
		if (strcmp(got.data, want) != 0 && wrong++ < 20)
			print_error("%s: wanted %s, got %s\n", line, want, got.data);
	}
	fclose(f);
	ml_buf_fini(&got);
	assert_int_equal(wrong, 0);
	assert_true(n > 1000);
}

static void
values_beyond_mariadbs(void **state)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		/* TiDB's -> and ->> */
		{ "j->'$.a.b[2]' = 'x'", "int\t1" },
		{ "j->>'$.s'", "text\tq\"uote" },
		{ "j->'$.t' = true", "int\t1" },
		{ "j->'$.a.b[1]' > 2", "int\t1" },
		{ "j->'$.nope' IS NULL", "int\t1" },
		{ "j->'$.n' IS NULL", "int\t0" },
		{ "j->'$.a.b[*]'", "json\t[1, 2.5, \"x\"]" },
		{ "j->'$.a.*'", "json\t[[1, 2.5, \"x\"]]" },
		/* A value is ignored only for the integer 1; the parts of a quotient are not rounded to what is shown. */
		{ "1/3", "dec\t0.333333333" },
		{ "one + 0.0", "dec\t1.0" },
		{ "en", "text\tPaid" },
		{ "se", "text\ta,c" },
		{ "en - 5", "int\t-3" },
		{ "'abc' < 'abd' and s < 'hellp'", "int\t1" },
		{ "FROM_UNIXTIME(0)", "when\t1970-01-01 00:00:00" },
		{ "UNIX_TIMESTAMP('1970-01-01 00:00:00')", "int\t0" },
		{ "IF(nul IS NULL, 1, nul)", "text\t1" },
		{ "LENGTH(CONCAT(s, su))", "int\t25" },
		{ "/* here */ i = 42 /* there */", "int\t1" },
		{ "CASE WHEN nul THEN 1 WHEN i THEN 2 END", "int\t2" },
	};
	struct ml_buf got = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		value_of(rows[i].text, &got);
		if (strcmp(got.data, rows[i].want) != 0)
			fail_msg("%s: wanted %s, got %s", rows[i].text, rows[i].want, got.data);
	}
	ml_buf_fini(&got);
}

static void
mistakes_are_found_and_named(void **state)
{
#define SYNTAX "CDC:ErrInvalidFilterExpression invalid filter expressions. There is a syntax error in: '"
	static const struct {
		const char *text, *want;
	} rows[] = {
		{ "", SYNTAX "': the expression ends too early" },
		{ "i =", "the expression ends too early" },
		{ "i = 1 2", "syntax error near '2'" },
		{ "(i = 1", "a closing bracket is missing" },
		{ "i = 1)", "syntax error near ')'" },
		{ "i = 1; drop table t", "an unexpected character near ';" },
		{ "i IN ()", "syntax error near ')'" },
		{ "i BETWEEN 1", "AND is missing" },
		{ "i IS 5", "NULL, TRUE, FALSE or UNKNOWN is missing" },
		{ "i NOT 5", "syntax error" },
		{ "CASE i END", "WHEN is missing" },
		{ "CASE WHEN i THEN 1", "END is missing" },
		{ "CAST(i AS blob)", "an unknown type" },
		{ "CAST(i AS DECIMAL(5,6))", "a bad precision" },
		{ "'abc", "a quote is not closed" },
		{ "`i = 1", "a quote is not closed" },
		{ "x'abc' = 1", "an even number of digits" },
		{ "s LIKE 'a' ESCAPE 'xy'", "ESCAPE takes one character" },
		{ "i = @a", "variables are not allowed" },
		{ "i = ?", "variables are not allowed" },
		{ "i = (SELECT 1)", "sub-queries are not allowed" },
		{ "i IN (SELECT 1)", "sub-queries are not allowed" },
		{ "EXISTS (SELECT 1)", "sub-queries are not allowed" },
		{ "COUNT(i) > 1", "aggregates are not allowed" },
		{ "NOW() > dt", "not the row's alone" },
		{ "RAND() < 0.5", "not the row's alone" },
		{ "UUID() = s", "not the row's alone" },
		{ "dt < CURRENT_TIMESTAMP", SYNTAX },
		{ "FOO(i)", "an unknown function" },
		{ "IF(i, 1)", "a wrong number of arguments" },
		{ "s REGEXP '(?=a)'", SYNTAX },
		{ "s REGEXP '('", "missing closing )" },
		{ "dt > 'yesterday'", "'yesterday' is no date" },
		{ "ti > 'x'", "'x' is no time" },
		{ "da = '2024-02-30'", "is no date" },
		{ "DATE '2024-13-01' = da", "is no date" },
		{ "da = ti", "a date is compared with a time" },
		{ "s = su", "columns of different collations meet" },
		{ "CONCAT(s, su) LIKE 'x'", "columns of different collations meet" },
		{ "9223372036854775807 + 1 > i", SYNTAX "9223372036854775807 + 1 > i': BIGINT value is out of range" },
		{ "j->'a.b' = 1", "an invalid JSON path" },
		{ "virt = 1", "column virt is virtual" },
		{ "age > 5",
			"CDC:ErrExpressionColumnNotFound invalid filter expression(s). Cannot find column 'age' from table 'd.t' in: age > 5" },
		{ "x.i = 1", "CDC:ErrExpressionColumnNotFound" },
		{ "x.t.i = 1", "CDC:ErrExpressionColumnNotFound" },
		{ "i.t = 1", "CDC:ErrExpressionColumnNotFound" },
		/* While running. */
		{ "9223372036854775807 + i > 0",
			"CDC:ErrFailedToFilterDML failed to filter dml event: BIGINT value is out of range in" },
		{ "u + i > 0", "BIGINT UNSIGNED value is out of range" },
		{ "ABS(-9223372036854775807 - one) > 0", "BIGINT value is out of range" },
		{ "JSON_EXTRACT(s, '$') = 1", "Invalid JSON text" },
	};
	struct ml_buf got = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		value_of(rows[i].text, &got);
		if (strncmp(got.data, "CDC:", 4) != 0 || strstr(got.data, rows[i].want) == NULL)
			fail_msg("%s: wanted %s, got %s", rows[i].text, rows[i].want, got.data);
	}
	ml_buf_fini(&got);
}

static void
names_are_found_in_any_case_and_qualified(void **state)
{
	static const char *const texts[] = { "I = 42", "`I` = 42", "t.i = 42", "D.T.`i` = 42", "`d`.`t`.I = 42" };
	struct ml_buf got = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		value_of(texts[i], &got);
		assert_string_equal(got.data, "int\t1");
	}
	ml_buf_fini(&got);
}

/* A long text and a deep one end in an error, not in the stack. */
static void
limits_are_kept(void **state)
{
	struct ml_buf text = { 0 }, got = { 0 };

	(void)state;
	for (int i = 0; i < 5000; i++)
		ml_buf_putc(&text, '(');
	value_of(text.data, &got);
	assert_non_null(strstr(got.data, "nested too deeply"));
	ml_buf_clear(&text);
	for (int i = 0; i < 5000; i++)
		ml_buf_puts(&text, "NOT ");
	value_of(text.data, &got);
	assert_non_null(strstr(got.data, "nested too deeply"));
	ml_buf_clear(&text);
	ml_buf_puts(&text, "i = 0");
	for (int i = 0; i < 900; i++)
		ml_buf_printf(&text, " OR i = %d", i);
	value_of(text.data, &got);
	assert_string_equal(got.data, "int\t1");
	for (int i = 0; i < 900; i++)
		ml_buf_printf(&text, " OR i = %d", i);
	value_of(text.data, &got);
	assert_non_null(strstr(got.data, "too long"));
	ml_buf_fini(&text);
	ml_buf_fini(&got);
}

static int
set_up(void **state)
{
	struct ml_err err = { 0 };

	(void)state;
	table = expr_table();
	return ml_tz_open(&utc, "UTC", &err);
}

static int
tear_down(void **state)
{
	(void)state;
	ml_schema_unref(table);
	ml_tz_free(utc);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_those_of_mariadb),
		cmocka_unit_test(values_beyond_mariadbs),
		cmocka_unit_test(mistakes_are_found_and_named),
		cmocka_unit_test(names_are_found_in_any_case_and_qualified),
		cmocka_unit_test(limits_are_kept),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
