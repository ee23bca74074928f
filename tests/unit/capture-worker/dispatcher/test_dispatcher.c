#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "capture-worker/dispatcher/dispatcher.h"
#include "capture-worker/dispatcher/topic.h"

#define TEXT(x) ((struct ml_text){ (x), sizeof(x) - 1 })
#define TS 445644800000000001ull

static struct ml_text
text_of(struct ml_schema *s, const char *t)
{
	return (struct ml_text){ ml_arena_strndup(&s->arena, t, strlen(t)), (uint32_t)strlen(t) };
}

/*
 * A table of n columns; those of the primary key, of the unique index "uk" and of the plain index "ix" are bits in masks.
 * Columns whose name begins with 'v' are virtual.
 */
static struct ml_schema *
table(const char *db, const char *name, const char *const *columns, uint16_t n, unsigned pk, unsigned uk, unsigned ix)
{
	struct ml_schema *s = ml_schema_new();
	const unsigned masks[] = { pk, uk, ix };
	const char *const names[] = { "PRIMARY", "uk", "ix" };

	s->db = text_of(s, db);
	s->table = text_of(s, name);
	s->n_columns = n;
	s->columns = ml_arena_zalloc(&s->arena, n * sizeof(*s->columns));
	for (uint16_t i = 0; i < n; i++) {
		s->columns[i].name = text_of(s, columns[i]);
		s->columns[i].id = i + 1;
		s->columns[i].type = ML_T_LONGLONG;
		s->columns[i].virtual_generated = columns[i][0] == 'v';
	}
	s->indexes = ml_arena_zalloc(&s->arena, 3 * sizeof(*s->indexes));
	for (unsigned k = 0; k < 3; k++) {
		struct ml_index *x = &s->indexes[s->n_indexes];

		if (masks[k] == 0)
			continue;
		x->name = text_of(s, names[k]);
		x->primary = k == 0;
		x->unique = k < 2;
		x->nullable = k > 0; /* so that only the primary key is a handle */
		x->cols = ml_arena_zalloc(&s->arena, n * sizeof(*x->cols));
		for (uint16_t i = 0; i < n; i++)
			if (masks[k] & 1u << i)
				x->cols[x->n_cols++] = i;
		s->n_indexes++;
	}
	ml_schema_finish(s);
	return s;
}

static int
open_with(void *arg, struct ml_topic *t, struct ml_err *err)
{
	(void)err;
	atomic_store(&t->partitions, *(const int *)arg);
	return 0;
}

static struct ml_dispatcher *
make(Ml__DispatchRule *rule, const char *topic, const int *partitions)
{
	Ml__ChangefeedSpec spec = ML__CHANGEFEED_SPEC__INIT;
	struct ml_dispatcher *d = NULL;
	struct ml_err err = { 0 };

	spec.dispatchers = &rule;
	spec.n_dispatchers = rule != NULL;
	if (ml_dispatcher_new(&d, &spec, topic, "canal-json", open_with, (void *)(uintptr_t)partitions, &err) != 0)
		fail_msg("%s", err.text);
	return d;
}

static char star[] = "*.*", *all[] = { star };

static Ml__DispatchRule
rule_of(const char *partition)
{
	Ml__DispatchRule r = ML__DISPATCH_RULE__INIT;

	r.matcher = all;
	r.n_matcher = 1;
	r.partition = (char *)(uintptr_t)partition;
	return r;
}

#define I(x)                                                                                                           \
	{                                                                                                              \
		.i = (x), .kind = ML_D_I64                                                                             \
	}
#define S(x)                                                                                                           \
	{                                                                                                              \
		.s = (x), .len = sizeof(x) - 1, .kind = ML_D_BYTES                                                     \
	}
#define NIL                                                                                                            \
	{                                                                                                              \
		.kind = ML_D_NULL                                                                                      \
	}

static void
partitions_are_those_of_the_reference(void **state)
{
	static const char *const ab[] = { "a", "b" }, *const item[] = { "id", "name", "qty" };
	static const struct {
		const char *rule, *column, *db, *table;
		const char *const *names;
		uint16_t n;
		unsigned pk;
		struct ml_datum row[3];
		int partitions, want;
	} rows[] = {
		{ "table", NULL, "test", "t1", ab, 2, 1, { I(11), I(22) }, 16, 15 },
		{ "", NULL, "test", "t2", ab, 2, 3, { I(11), I(22) }, 16, 5 },
		{ "whatever", NULL, "test", "t2", ab, 2, 3, { I(11), I(22) }, 16, 5 },
		{ "index-value", NULL, "test", "t1", ab, 2, 1, { I(11), I(22) }, 16, 2 },
		{ "rowid", NULL, "test", "t1", ab, 2, 1, { I(22), I(22) }, 16, 11 },
		{ "Index-Value", NULL, "test", "t2", ab, 2, 3, { I(11), I(22) }, 16, 5 },
		{ "index-value", NULL, "test", "t2", ab, 2, 3, { I(11), I(0) }, 16, 14 },
		{ "index-value", NULL, "test", "t2", ab, 2, 3, { I(11), I(33) }, 16, 2 },
		{ "index-value", NULL, "test", "t2", ab, 2, 0, { I(11), I(33) }, 16, 5 }, /* no key: as table */
		{ "table", NULL, "shop", "orders", item, 3, 1, { I(1), NIL, I(1) }, 3, 0 },
		{ "table", NULL, "shop", "item", item, 3, 1, { I(7), NIL, I(1) }, 16, 10 },
		{ "index-value", NULL, "shop", "orders", item, 3, 1, { I(1), NIL, I(1) }, 3, 2 },
		{ "index-value", NULL, "shop", "orders", item, 3, 1, { I(1), NIL, I(1) }, 16, 4 },
		{ "index-value", NULL, "shop", "item", item, 3, 1, { I(7), NIL, I(1) }, 6, 3 },
		{ "index-value", NULL, "shop", "item", item, 3, 1, { I(7), NIL, I(1) }, 16, 11 },
		{ "columns", "NAME", "shop", "item", item, 3, 1, { I(7), S("é<1>"), I(1) }, 6, 0 },
		{ "columns", "NAME", "shop", "item", item, 3, 1, { I(7), S("é<1>"), I(1) }, 16, 2 },
		{ "columns", "name", "shop", "item", item, 3, 1, { I(7), NIL, I(1) }, 3, 2 },
		{ "columns", "name", "shop", "item", item, 3, 1, { I(7), NIL, I(1) }, 6, 5 },
		{ "columns", "name", "shop", "item", item, 3, 1, { I(7), NIL, I(1) }, 16, 1 },
		{ "ts", NULL, "shop", "item", item, 3, 1, { I(7), NIL, I(1) }, 6, 3 },
		{ "ts", NULL, "shop", "item", item, 3, 1, { I(7), NIL, I(1) }, 16, 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ml_schema *s = table(rows[i].db, rows[i].table, rows[i].names, rows[i].n, rows[i].pk, 0, 0);
		Ml__DispatchRule rule = rule_of(rows[i].rule);
		char *column = (char *)(uintptr_t)rows[i].column;
		struct ml_dispatcher *d;
		struct ml_err err = { 0 };
		struct ml_row row = { .schema = s, .commit_ts = TS };

		rule.columns = &column;
		rule.n_columns = column != NULL;
		d = make(&rule, "topic", &rows[i].partitions);
		/* A DELETE goes by its old image. */
		if (i % 2 == 0)
			row.after = rows[i].row;
		else
			row.before = rows[i].row;
		assert_int_equal(ml_dispatcher_row(d, &row, &err), 0);
		if (row.partition != rows[i].want)
			fail_msg("row %zu: partition %d, not %d", i, row.partition, rows[i].want);
		assert_string_equal(row.topic->name.s, "topic");
		ml_schema_unref(s);
		ml_dispatcher_free(d);
	}
}

static void
columns_are_found_behind_virtual_ones_and_absent_ones_add_nothing(void **state)
{
	static const char *const names[] = { "v", "a", "b" };
	struct ml_schema *s = table("test", "t1", names, 3, 0, 2, 0);
	Ml__DispatchRule rule = rule_of("index-value");
	struct ml_datum image[] = { { .kind = ML_D_ABSENT }, I(11), I(5) };
	struct ml_row row = { .schema = s, .after = image };
	struct ml_err err = { 0 };
	struct ml_dispatcher *d;
	int n = 16;

	(void)state;
	rule.index = (char[]){ "UK" };
	d = make(&rule, "/topic", &n);
	assert_int_equal(ml_dispatcher_row(d, &row, &err), 0);
	assert_int_equal(row.partition, 2);
	image[1].kind = ML_D_ABSENT;
	assert_int_equal(ml_dispatcher_row(d, &row, &err), 0);
	assert_int_equal(row.partition, 15);
	ml_dispatcher_free(d);
	ml_schema_unref(s);
}

static void
rules_that_do_not_fit_the_table_fail(void **state)
{
	static const char *const names[] = { "a", "v", "b" };
	static const struct {
		const char *partition, *index, *column, *want;
	} rows[] = {
		{ "index-value", "nope", NULL, "index not found when verify the table, table: test.t, index: nope" },
		{ "index-value", "ix", NULL, "index is not unique when verify the table, table: test.t, index: ix" },
		{ "columns", "", "c", "columns not found when verify the table, table: test.t, columns: c" },
		{ "columns", "", "V",
			"found virtual generated columns when verify the table, table: test.t, columns: V" },
		{ "columns", "", "B", NULL },
		{ "index-value", "primary", NULL, NULL },
	};
	int n = 3;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ml_schema *s = table("test", "t", names, 3, 1, 0, 4);
		Ml__DispatchRule rule = rule_of(rows[i].partition);
		char *column = (char *)(uintptr_t)rows[i].column;
		struct ml_datum image[] = { I(1), { .kind = ML_D_ABSENT }, I(2) };
		struct ml_row row = { .schema = s, .after = image };
		struct ml_err err = { 0 };
		struct ml_dispatcher *d;

		rule.index = (char *)(uintptr_t)rows[i].index;
		rule.columns = &column;
		rule.n_columns = column != NULL;
		d = make(&rule, "topic", &n);
		assert_int_equal(ml_dispatcher_check(d, s, &err), rows[i].want != NULL ? -1 : 0);
		assert_int_equal(ml_dispatcher_row(d, &row, &err), rows[i].want != NULL ? -1 : 0);
		if (rows[i].want != NULL) {
			assert_int_equal(err.code, ML_ErrDispatcherFailed);
			assert_string_equal(err.text, rows[i].want);
		}
		ml_dispatcher_free(d);
		ml_schema_unref(s);
	}
}

static void
topic_expressions_are_checked_and_filled_in(void **state)
{
	static const struct {
		const char *text, *db, *table, *want; /* want NULL: invalid */
		bool both;
	} rows[] = {
		{ "cdc_{schema}_{table}", "shop", "item", "cdc_shop_item", true },
		{ "{schema}.{table}", "Shop", "a b#c", "Shop.a_b_c", true },
		{ "{schema}", "销售", "x", "__", false },
		{ "prefix_{table}", "s", "t$1", "prefix_t_1", false },
		{ "fixed.topic-1", "s", "t", "fixed.topic-1", true },
		{ "{schema}", ".", "t", "_", false },
		{ "{schema}", "..", "t", "__", false },
		{ "{schema}", "...", "t", "...", false },
		{ "{table}_{schema}", NULL, NULL, NULL, false },
		{ "{schema}{schema}", NULL, NULL, NULL, false },
		{ "{schema", NULL, NULL, NULL, false },
		{ "a b", NULL, NULL, NULL, false },
		{ "{table}", NULL, NULL, NULL, true },
		{ "a{b}", NULL, NULL, NULL, false },
	};
	char got[ML_TOPIC_MAX + 1], name[400];
	struct ml_err err = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int rc = ml_topic_check(rows[i].text, rows[i].both, &err);

		if (rc != (rows[i].want != NULL ? 0 : -1))
			fail_msg("%s", rows[i].text);
		if (rc != 0) {
			assert_int_equal(err.code, ML_ErrKafkaTopicExprInvalid);
			continue;
		}
		ml_topic_name(rows[i].text, rows[i].db, strlen(rows[i].db), rows[i].table, strlen(rows[i].table), got);
		assert_string_equal(got, rows[i].want);
	}
	memset(name, 'x', sizeof(name));
	assert_int_equal(ml_topic_name("{schema}", name, sizeof(name), "t", 1, got), ML_TOPIC_MAX);
}

static void
ddls_go_to_the_topic_of_the_table_before_them(void **state)
{
	static const struct {
		struct ml_ddl ddl;
		const char *want;
	} rows[] = {
		{ { .db = { "s", 1 }, .table = { "t", 1 } }, "s-t" },
		{ { .db = { "s", 1 }, .table = { "t", 1 }, .pre_table = { "old", 3 } }, "s-old" },
		{ { .db = { "s", 1 }, .table = { "t", 1 }, .pre_db = { "p", 1 }, .pre_table = { "old", 3 } }, "p-old" },
		{ { .db = { "s", 1 } }, "default" },
	};
	Ml__DispatchRule rule = rule_of("");
	struct ml_dispatcher *d;
	struct ml_topic *t, **topics;
	struct ml_err err = { 0 };
	int one = 1;
	size_t n;

	(void)state;
	rule.topic = (char[]){ "{schema}-{table}" };
	d = make(&rule, "default", &one);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(ml_dispatcher_ddl(d, &rows[i].ddl, &t, &err), 0);
		assert_string_equal(t->name.s, rows[i].want);
	}
	/* Many topics: each is opened once and found again. */
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 100; i++) {
			char name[8];
			struct ml_ddl ddl = { .db = { "s", 1 },
				.table = { name, (uint32_t)snprintf(name, 8, "m%d", i) } };

			assert_int_equal(ml_dispatcher_ddl(d, &ddl, &t, &err), 0);
		}
	}
	assert_int_equal(ml_dispatcher_topics(d, &topics, &n, &err), 0);
	assert_int_equal(n, 104);
	ml_dispatcher_free(d);

	d = make(NULL, "default", &one);
	assert_int_equal(ml_dispatcher_topics(d, &topics, &n, &err), 0);
	assert_int_equal(n, 1);
	assert_string_equal(topics[0]->name.s, "default");
	ml_dispatcher_free(d);

	d = make(NULL, "", &one);
	assert_int_equal(ml_dispatcher_topics(d, &topics, &n, &err), 0);
	assert_int_equal(n, 0);
	assert_int_equal(ml_dispatcher_ddl(d, &rows[0].ddl, &t, &err), 0);
	assert_null(t);
	ml_dispatcher_free(d);
}

static void
the_first_rule_that_accepts_a_table_decides(void **state)
{
	static const char *const names[] = { "id" };
	Ml__DispatchRule one = ML__DISPATCH_RULE__INIT, two = ML__DISPATCH_RULE__INIT, *rules[] = { &one, &two };
	char *m1[] = { (char[]){ "shop.*" }, (char[]){ "!shop.tmp_*" } };
	static const struct {
		const char *db, *table, *want;
	} rows[] = {
		{ "SHOP", "item", "first" },
		{ "shop", "tmp_1", "second" },
		{ "log", "x", "second" },
	};
	Ml__ChangefeedSpec spec = ML__CHANGEFEED_SPEC__INIT;
	struct ml_datum image[] = { I(1) };
	struct ml_dispatcher *d = NULL;
	struct ml_err err = { 0 };

	(void)state;
	one.matcher = m1;
	one.n_matcher = 2;
	one.topic = (char[]){ "first" };
	two.matcher = all;
	two.n_matcher = 1;
	two.topic = (char[]){ "second" };
	spec.dispatchers = rules;
	spec.n_dispatchers = 2;
	assert_int_equal(ml_dispatcher_new(&d, &spec, "default", "open-protocol", NULL, NULL, &err), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ml_schema *s = table(rows[i].db, rows[i].table, names, 1, 1, 0, 0);
		struct ml_row row = { .schema = s, .after = image };

		assert_int_equal(ml_dispatcher_row(d, &row, &err), 0);
		assert_string_equal(row.topic->name.s, rows[i].want);
		assert_int_equal(row.partition, 0);
		ml_schema_unref(s);
	}
	ml_dispatcher_free(d);
	two.topic = (char[]){ "{table}{schema}" };
	assert_int_equal(ml_dispatcher_new(&d, &spec, "default", "open-protocol", NULL, NULL, &err), -1);
	assert_int_equal(err.code, ML_ErrKafkaTopicExprInvalid);
	m1[0] = (char[]){ "shop" };
	assert_int_equal(ml_dispatcher_new(&d, &spec, "default", "open-protocol", NULL, NULL, &err), -1);
	assert_int_equal(err.code, ML_ErrFilterRuleInvalid);
}

static void
key_text_has_no_exponents(void **state)
{
	static const struct {
		struct ml_datum d;
		const char *want;
	} rows[] = {
		{ I(-5), "-5" },
		{ { .u = UINT64_MAX, .kind = ML_D_U64 }, "18446744073709551615" },
		{ { .f32 = 0.1f, .kind = ML_D_F32 }, "0.1" },
		{ { .f64 = 1e-7, .kind = ML_D_F64 }, "0.0000001" },
		{ { .f64 = 1e22, .kind = ML_D_F64 }, "10000000000000000000000" },
		{ S("12.50"), "12.50" },
		{ NIL, "null" },
	};
	char buf[352];
	const char *s;
	size_t len;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ml_key_text(&rows[i].d, buf, &s, &len);
		assert_int_equal(len, strlen(rows[i].want));
		assert_memory_equal(s, rows[i].want, len);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(partitions_are_those_of_the_reference),
		cmocka_unit_test(columns_are_found_behind_virtual_ones_and_absent_ones_add_nothing),
		cmocka_unit_test(rules_that_do_not_fit_the_table_fail),
		cmocka_unit_test(topic_expressions_are_checked_and_filled_in),
		cmocka_unit_test(ddls_go_to_the_topic_of_the_table_before_them),
		cmocka_unit_test(the_first_rule_that_accepts_a_table_decides),
		cmocka_unit_test(key_text_has_no_exponents),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
