/* Event filters: names, DDL texts, and rows by the worked examples of sinks.md 12.2. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "capture-worker/filter/event.h"
#include "capture-worker/filter/event_names.h"

#define WORKER "{\"matcher\":[\"test.worker\"],"

/* rules: what stands between the brackets of event-filters. */
static int
make(struct ml_event_filter **f, const char *rules, bool case_sensitive, struct ml_err *err)
{
	Ml__ChangefeedSpec spec = ML__CHANGEFEED_SPEC__INIT;
	char json[2048];

	snprintf(json, sizeof(json), "{\"filter\":{\"event-filters\":[%s]}}", rules);
	spec.replica_config_json = json;
	spec.case_sensitive = case_sensitive;
	return ml_event_filter_new(f, &spec, NULL, "test", err);
}

static struct ml_event_filter *
must_make(const char *rules)
{
	struct ml_event_filter *f = NULL;
	struct ml_err err = { 0 };

	if (make(&f, rules, false, &err) < 0)
		fail_msg("%s: %s", rules, err.text);
	return f;
}

/* worker(id INT PRIMARY KEY, name CHAR(20), age INT, gender CHAR(10)) */
static struct ml_schema *
worker(const char *table)
{
	static const char *const names[] = { "id", "name", "age", "gender" };
	struct ml_schema *s = ml_schema_new();

	s->db = (struct ml_text){ "test", 4 };
	s->table = (struct ml_text){ table, (uint32_t)strlen(table) };
	s->n_columns = 4;
	s->columns = ml_arena_zalloc(&s->arena, 4 * sizeof(*s->columns));
	for (int i = 0; i < 4; i++) {
		s->columns[i].name = (struct ml_text){ names[i], (uint32_t)strlen(names[i]) };
		s->columns[i].type = i % 2 == 0 ? ML_T_LONG : ML_T_STRING;
		s->columns[i].flags = i % 2 == 0 ? ML_F_BINARY : 0;
		s->columns[i].collation = (struct ml_text){ "utf8mb4_general_ci", 18 };
		s->columns[i].flen = s->columns[i].decimal = -1;
	}
	s->n_indexes = 1;
	s->indexes = ml_arena_zalloc(&s->arena, sizeof(*s->indexes));
	s->indexes[0] = (struct ml_index){ .name = { "PRIMARY", 7 }, .primary = true, .unique = true, .n_cols = 1 };
	s->indexes[0].cols = ml_arena_zalloc(&s->arena, sizeof(uint16_t));
	ml_schema_finish(s);
	return s;
}

#define NO_AGE -1
static void
image(struct ml_datum d[4], int64_t id, const char *name, int64_t age, const char *gender)
{
	d[0] = (struct ml_datum){ .kind = ML_D_I64, .i = id };
	d[1] = (struct ml_datum){ .kind = ML_D_BYTES, .s = name, .len = (uint32_t)strlen(name) };
	d[2] = (struct ml_datum){ .kind = age == NO_AGE ? ML_D_NULL : ML_D_I64, .i = age };
	d[3] = (struct ml_datum){ .kind = ML_D_BYTES, .s = gender, .len = (uint32_t)strlen(gender) };
}

struct change {
	uint8_t op;
	int64_t id;
	const char *name;
	int64_t age;
	const char *gender;
	/* UPDATE: the new row */
	int64_t new_id;
	const char *new_name;
	int64_t new_age;
	const char *new_gender;
};

/* Is the change left out?  -1: an error. */
static int
left_out(const char *rules, const char *table, const struct change *c, struct ml_err *err)
{
	struct ml_event_filter *f = must_make(rules);
	struct ml_schema *s = worker(table);
	struct ml_batch *b = ml_batch_new();
	struct ml_datum before[4], after[4];
	int rc;

	image(before, c->id, c->name, c->age, c->gender);
	image(after, c->new_id, c->new_name != NULL ? c->new_name : "", c->new_age,
		c->new_gender != NULL ? c->new_gender : "");
	*ml_batch_row(b) = (struct ml_row){ .schema = s,
		.op = c->op,
		.before = c->op == ML_OP_INSERT ? NULL : before,
		.after = c->op == ML_OP_DELETE   ? NULL
			 : c->op == ML_OP_INSERT ? before
						 : after };
	b->n_changes = 1;
	rc = ml_event_filter_rows(f, b, err);
	if (rc == 0) {
		assert_int_equal(b->n_changes, b->n_rows);
		rc = b->n_rows == 0;
	}
	ml_batch_free(b);
	ml_schema_unref(s);
	ml_event_filter_free(f);
	return rc;
}

#define INSERT(id, name, age, gender)                                                                                  \
	{                                                                                                              \
		ML_OP_INSERT, id, name, age, gender, 0, NULL, 0, NULL                                                  \
	}
#define DELETE(id, name, age, gender)                                                                                  \
	{                                                                                                              \
		ML_OP_DELETE, id, name, age, gender, 0, NULL, 0, NULL                                                  \
	}
#define UPDATE(...)                                                                                                    \
	{                                                                                                              \
		ML_OP_UPDATE, __VA_ARGS__                                                                              \
	}

static void
rows_are_left_out_by_the_worked_examples(void **state)
{
#define EITHER WORKER "\"ignore-insert-value-expr\":\"age >= 20 or gender = 'female'\"}"
#define BOTH WORKER "\"ignore-update-old-value-expr\":\"gender='male'\",\"ignore-update-new-value-expr\":\"age > 28\"}"
#define ONLY(columns) WORKER "\"ignore-update-only-columns\":[" columns "]}"
	static const struct {
		const char *rules;
		struct change change;
		int want;
	} rows[] = {
		{ WORKER "\"ignore-event\":[\"insert\"]}", INSERT(1, "A", 1, "x"), 1 },
		{ WORKER "\"ignore-event\":[\"insert\"]}", DELETE(1, "A", 1, "x"), 0 },
		{ WORKER "\"ignore-event\":[\"update\",\"delete\"]}", INSERT(1, "A", 1, "x"), 0 },
		{ WORKER "\"ignore-event\":[\"update\",\"delete\"]}", UPDATE(1, "A", 1, "x", 1, "B", 1, "x"), 1 },
		{ WORKER "\"ignore-event\":[\"all dml\"]}", DELETE(1, "A", 1, "x"), 1 },
		{ WORKER "\"ignore-event\":[\"all ddl\"]}", DELETE(1, "A", 1, "x"), 0 },
		{ "{\"matcher\":[\"other.*\"],\"ignore-event\":[\"all dml\"]}", DELETE(1, "A", 1, "x"), 0 },
		{ "{\"matcher\":[],\"ignore-event\":[\"all dml\"]}", DELETE(1, "A", 1, "x"), 0 },
		{ "{\"matcher\":[\"TEST.Worker\"],\"ignore-event\":[\"all dml\"]}", DELETE(1, "A", 1, "x"), 1 },
		{ EITHER, INSERT(1, "A", 18, "male"), 0 },
		{ EITHER, INSERT(2, "B", NO_AGE, "female"), 1 },
		{ EITHER, INSERT(3, "C", NO_AGE, "male"), 0 },
		{ EITHER, INSERT(3, "C", 20, "male"), 1 },
		{ EITHER, DELETE(3, "C", 20, "female"), 0 },
		{ WORKER "\"ignore-insert-value-expr\":\"age + 0.0\"}", INSERT(1, "A", 1, "x"), 0 },
		{ WORKER "\"ignore-insert-value-expr\":\"age\"}", INSERT(1, "A", 1, "x"), 1 },
		{ WORKER "\"ignore-insert-value-expr\":\"age\"}", INSERT(1, "A", 2, "x"), 0 },
		{ WORKER "\"ignore-insert-value-expr\":\"name\"}", INSERT(1, "1", 2, "x"), 0 },
		{ WORKER "\"ignore-insert-value-expr\":\"age / 1\"}", INSERT(1, "1", 1, "x"), 0 },
		{ WORKER "\"ignore-insert-value-expr\":\"age * 1e0\"}", INSERT(1, "1", 1, "x"), 0 },
		{ WORKER "\"ignore-delete-value-expr\":\"age >= 32 and age < 48\"}", DELETE(1, "A", 40, "x"), 1 },
		{ WORKER "\"ignore-delete-value-expr\":\"age >= 32 and age < 48\"}", DELETE(1, "A", 48, "x"), 0 },
		{ WORKER "\"ignore-delete-value-expr\":\"age >= 32 and age < 48\"}", INSERT(1, "A", 40, "x"), 0 },
		{ BOTH, UPDATE(1, "A", 20, "male", 1, "A", 21, "male"), 1 },
		{ BOTH, UPDATE(1, "A", 20, "female", 1, "A", 30, "female"), 1 },
		{ BOTH, UPDATE(1, "A", 20, "female", 1, "A", 21, "female"), 0 },
		{ BOTH, UPDATE(1, "A", 20, "MALE ", 1, "A", 21, "female"), 1 }, /* the column's collation */
		/* Rules are OR-ed. */
		{ WORKER "\"ignore-insert-value-expr\":\"age = 1\"}," WORKER
			 "\"ignore-insert-value-expr\":\"age = 2\"}",
			INSERT(1, "A", 2, "x"), 1 },
		/* UPDATEs of nothing but the listed columns. */
		{ ONLY("\"age\",\"NAME\",\"none\""), UPDATE(1, "A", 1, "x", 1, "B", 2, "x"), 1 },
		{ ONLY("\"age\""), UPDATE(1, "A", 1, "x", 1, "B", 2, "x"), 0 },
		{ ONLY("\"age\""), UPDATE(1, "A", 1, "x", 1, "A", NO_AGE, "x"), 1 },
		{ ONLY("\"id\",\"age\""), UPDATE(1, "A", 1, "x", 2, "A", 1, "x"), 0 }, /* a key */
		{ ONLY("\"none\""), UPDATE(1, "A", 1, "x", 1, "A", 2, "x"), 0 },
		{ ONLY("\"gender\""), UPDATE(1, "A", 1, "x", 1, "A", 1, "X"), 1 }, /* bytes differ */
		{ ONLY("\"age\""), UPDATE(1, "A", 1, "x", 1, "A", 1, "X"), 0 },
		{ ONLY("\"age\""), INSERT(1, "A", 1, "x"), 0 },
		{ ONLY("\"age\""), DELETE(1, "A", 1, "x"), 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ml_err err = { 0 };
		int got = left_out(rows[i].rules, "worker", &rows[i].change, &err);

		if (got != rows[i].want)
			fail_msg("row %zu, %s: wanted %d, got %d %s", i, rows[i].rules, rows[i].want, got, err.text);
		assert_int_equal(left_out(rows[i].rules, "other", &rows[i].change, &err), 0);
	}
}

static void
rows_that_stay_keep_their_order(void **state)
{
	struct ml_event_filter *f = must_make(WORKER "\"ignore-insert-value-expr\":\"id % 3 = 0\"}");
	struct ml_schema *s = worker("worker"), *other = worker("other");
	struct ml_batch *b = ml_batch_new();
	struct ml_err err = { 0 };
	static struct ml_datum images[100][4];
	uint32_t n = 0;

	(void)state;
	for (int i = 0; i < 100; i++) {
		image(images[i], i, "x", i, "y");
		*ml_batch_row(b) =
			(struct ml_row){ .schema = i % 10 == 0 ? other : s, .op = ML_OP_INSERT, .after = images[i] };
	}
	b->n_changes = 100;
	assert_int_equal(ml_event_filter_rows(f, b, &err), 0);
	for (int i = 0; i < 100; i++)
		if (i % 10 == 0 || i % 3 != 0)
			assert_int_equal(b->rows[n++].after[0].i, i);
	assert_int_equal(b->n_rows, n);
	assert_int_equal(b->n_changes, n);
	ml_batch_free(b);
	ml_schema_unref(s);
	ml_schema_unref(other);
	ml_event_filter_free(f);
}

static void
a_column_that_is_gone_is_an_error(void **state)
{
	struct ml_event_filter *f = must_make("{\"matcher\":[\"test.*\"],\"ignore-insert-value-expr\":\"age > 1\"}");
	struct ml_schema *s = worker("worker"), *t = worker("worker");
	struct ml_err err = { 0 };

	(void)state;
	assert_int_equal(ml_event_filter_check(f, s, &err), 0);
	t->columns[2].name = (struct ml_text){ "years", 5 };
	assert_int_equal(ml_event_filter_check(f, t, &err), -1);
	assert_int_equal(err.code, ML_ErrExpressionColumnNotFound);
	assert_true(ml_err_is_fatal(&err));
	ml_schema_unref(s);
	ml_schema_unref(t);
	ml_event_filter_free(f);
}

#define T(x)                                                                                                           \
	{                                                                                                              \
		(x), sizeof(x) - 1                                                                                     \
	}

static void
ddls_are_left_out_by_name_and_text(void **state)
{
#define DDL(n, d, t, q)                                                                                                \
	{                                                                                                              \
		.action = n, .db = T(d), .table = T(t), .query = T(q)                                                  \
	}
	static const struct {
		const char *rules;
		struct ml_ddl ddl;
		bool want;
	} rows[] = {
		{ WORKER "\"ignore-event\":[\"alter table\"]}", DDL(5, "test", "worker", "ADD COLUMN c INT"), true },
		{ WORKER "\"ignore-event\":[\"alter table\"]}", DDL(11, "test", "worker", "TRUNCATE TABLE"), false },
		{ WORKER "\"ignore-event\":[\"alter table\"]}", DDL(9, "test", "worker", "x"), false },
		{ WORKER "\"ignore-event\":[\"alter table\"]}", DDL(72, "test", "worker", "x"), true },
		{ WORKER "\"ignore-event\":[\"add column\"]}", DDL(37, "test", "worker", "x"), true },
		{ WORKER "\"ignore-event\":[\"create table\"]}", DDL(60, "test", "worker", "x"), true },
		{ WORKER "\"ignore-event\":[\"create index\"]}", DDL(7, "test", "worker", "x"), true },
		{ WORKER "\"ignore-event\":[\"create index\"]}", DDL(7, "test", "other", "x"), false },
		{ WORKER "\"ignore-event\":[\"all dml\"]}", DDL(5, "test", "worker", "x"), false },
		{ "{\"matcher\":[\"test.*\"],\"ignore-event\":[\"all ddl\"]}",
			DDL(1, "test", "", "CREATE DATABASE test"), true },
		{ WORKER "\"ignore-event\":[\"drop table\"]}", DDL(2, "test", "", "DROP DATABASE test"), false },
		{ WORKER "\"ignore-event\":[\"drop database\"]}", DDL(2, "test", "", "DROP DATABASE test"), true },
		{ WORKER "\"ignore-event\":[\"drop schema\"]}", DDL(2, "other", "", "DROP DATABASE other"), false },
		{ WORKER "\"ignore-sql\":[\"^drop\"]}", DDL(2, "test", "", "DROP DATABASE test"), true },
		{ WORKER "\"ignore-sql\":[\"^drop\"]}", DDL(5, "test", "worker", "ALTER TABLE worker DROP COLUMN x"),
			false },
		{ WORKER "\"ignore-sql\":[\"add column\"]}",
			DDL(5, "test", "worker", "ALTER TABLE `test`.`worker` ADD COLUMN `c` INT"), true },
		{ WORKER "\"ignore-sql\":[\"nothing\",\"c. int\"]}",
			DDL(5, "test", "worker", "ALTER TABLE t ADD COLUMN `c` INT"), true },
		/* A rename goes by its old name. */
		{ WORKER "\"ignore-event\":[\"rename table\"]}",
			{ .action = 14,
				.db = T("test"),
				.table = T("new"),
				.pre_db = T("test"),
				.pre_table = T("worker"),
				.query = T("x") },
			true },
		{ WORKER "\"ignore-event\":[\"rename table\"]}",
			{ .action = 14,
				.db = T("test"),
				.table = T("worker"),
				.pre_db = T("test"),
				.pre_table = T("old"),
				.query = T("x") },
			false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ml_event_filter *f = must_make(rows[i].rules);

		if (ml_event_filter_ddl(f, &rows[i].ddl) != rows[i].want)
			fail_msg("row %zu: %s", i, rows[i].rules);
		ml_event_filter_free(f);
	}
	assert_false(ml_event_filter_ddl(NULL, &rows[0].ddl));
}

static void
every_name_of_the_list_is_known(void **state)
{
	static const char *const names[] = { "all dml", "all ddl", "insert", "update", "delete", "alter table",
		"create schema", "create database", "drop schema", "drop database", "modify schema charset and collate",
		"create table", "drop table", "truncate table", "rename table", "recover table", "modify table comment",
		"modify table charset and collate", "create view", "drop view", "add table partition",
		"drop table partition", "truncate table partition", "exchange table partition",
		"reorganize table partition", "alter table partitioning", "remove table partitioning", "add column",
		"drop column", "modify column", "set default value", "rebase auto id", "add primary key",
		"drop primary key", "create index", "drop index", "rename index", "alter index visibility",
		"alter ttl info", "alter ttl remove", "multi schema change", "add foreign key", "drop foreign key" };
	static const char *const others[] = { "Insert", "all", "", "insert ", "exchange partition", "truncate" };
	struct ml_event_set set = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_true(ml_event_set_add(&set, names[i]));
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_false(ml_event_set_add(&set, others[i]));
}

static void
mistakes_are_found_when_it_is_made(void **state)
{
	static const struct {
		const char *rules;
		enum ml_code code;
		const char *text;
	} rows[] = {
		{ "{\"ignore-event\":[\"Insert\"]}", ML_ErrInvalidIgnoreEventType,
			"invalid ignore event type: 'Insert'" },
		{ "{\"matcher\":[\"a\"]}", ML_ErrFilterRuleInvalid, "wrong table pattern" },
		{ "{\"matcher\":[\"@/etc/passwd\"]}", ML_ErrFilterRuleInvalid, "not allowed here" },
		{ "{\"ignore-sql\":[\"^drop\",\"(\"]}", ML_ErrFilterRuleInvalid,
			"filter rule is invalid [(]: invalid pattern" },
		{ "{\"ignore-sql\":[\"(?!x)\"]}", ML_ErrFilterRuleInvalid, "invalid pattern" },
		{ "{\"ignore-delete-value-expr\":\"a >\"}", ML_ErrInvalidFilterExpression, "syntax error in: 'a >'" },
	};
	struct ml_event_filter *f = NULL;
	Ml__ChangefeedSpec none = ML__CHANGEFEED_SPEC__INIT;
	struct ml_err err = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(make(&f, rows[i].rules, false, &err), -1);
		assert_int_equal(err.code, rows[i].code);
		if (strstr(err.text, rows[i].text) == NULL)
			fail_msg("%s: %s", rows[i].rules, err.text);
	}
	assert_int_equal(ml_event_filter_new(&f, &none, NULL, "test", &err), 0);
	assert_null(f);
	assert_int_equal(make(&f, "", false, &err), 0);
	assert_null(f);
	assert_false(ml_event_filter_wants_rows(f));
	f = must_make("{\"matcher\":[\"*.*\"],\"ignore-event\":[\"all ddl\"],\"ignore-sql\":[\"x\"]}");
	assert_false(ml_event_filter_wants_rows(f));
	ml_event_filter_free(f);
	f = must_make("{\"matcher\":[\"*.*\"],\"ignore-event\":[\"delete\"]}");
	assert_true(ml_event_filter_wants_rows(f));
	ml_event_filter_free(f);
}

static void
matchers_follow_the_case_setting(void **state)
{
	static const struct ml_ddl ddl = DDL(5, "test", "worker", "x");
	struct ml_event_filter *f;
	struct ml_err err = { 0 };

	(void)state;
	for (int sensitive = 0; sensitive < 2; sensitive++) {
		assert_int_equal(
			make(&f, "{\"matcher\":[\"Test.Worker\"],\"ignore-event\":[\"add column\"]}", sensitive, &err),
			0);
		assert_int_equal(ml_event_filter_ddl(f, &ddl), !sensitive);
		ml_event_filter_free(f);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_are_left_out_by_the_worked_examples),
		cmocka_unit_test(rows_that_stay_keep_their_order),
		cmocka_unit_test(a_column_that_is_gone_is_an_error),
		cmocka_unit_test(ddls_are_left_out_by_name_and_text),
		cmocka_unit_test(every_name_of_the_list_is_known),
		cmocka_unit_test(mistakes_are_found_when_it_is_made),
		cmocka_unit_test(matchers_follow_the_case_setting),
	};
	int rc = cmocka_run_group_tests(tests, NULL, NULL);

	ml_batch_pool_drain();
	return rc;
}
