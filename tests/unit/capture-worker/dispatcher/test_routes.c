/*
 * test_routes.c - topics and partitions of messages that the reference system wrote under five rules, 16 partitions each.
 *
 * tests/golden/routes/recorded holds a line a message: where it went, and of its row the key's columns, those that a rule names
 * and short others, which must not count.  The texts are those that partitions are made of.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "capture-worker/dispatcher/dispatcher.h"
#include "capture-worker/event/topic.h"
#include "common/text/json.h"

#define PARTITIONS 16
#define COLUMNS_MAX 64

static char m_num[] = "g_num.*", m_keys[] = "g_keys.*", m_cols[] = "g_str.text_cols", m_txn[] = "g_txn.*";
static char col_c[] = "c", col_vc[] = "VC";
static char *matchers[][1] = { { m_num }, { m_keys }, { m_cols }, { m_txn } };
static char *columns[] = { col_c, col_vc };

static int
open_topic(void *arg, struct ml_topic *t, struct ml_err *err)
{
	(void)arg;
	(void)err;
	atomic_store(&t->partitions, PARTITIONS);
	return 0;
}

static struct ml_dispatcher *
make_dispatcher(void)
{
	static const char *const kinds[][2] = { { "ts", "r_{schema}" }, { "index-value", "r_{schema}_{table}" },
		{ "columns", "r_cols" }, { "table", "r_txn" } };
	Ml__DispatchRule rules[4], *list[4];
	Ml__ChangefeedSpec spec = ML__CHANGEFEED_SPEC__INIT;
	struct ml_dispatcher *d = NULL;
	struct ml_err err = { 0 };

	for (int i = 0; i < 4; i++) {
		ml__dispatch_rule__init(&rules[i]);
		rules[i].matcher = matchers[i];
		rules[i].n_matcher = 1;
		rules[i].partition = (char *)(uintptr_t)kinds[i][0];
		rules[i].topic = (char *)(uintptr_t)kinds[i][1];
		list[i] = &rules[i];
	}
	rules[2].columns = columns;
	rules[2].n_columns = 2;
	spec.dispatchers = list;
	spec.n_dispatchers = 4;
	if (ml_dispatcher_new(&d, &spec, "r-default", "canal-json", open_topic, NULL, &err) != 0)
		fail_msg("%s", err.text);
	return d;
}

static struct ml_text
member(const struct ml_json *j, const char *name)
{
	const struct ml_json *v = ml_json_get(j, name);

	assert_non_null(v);
	return (struct ml_text){ v->s, (uint32_t)v->len };
}

/* A row of the message's columns, all of them texts, and its key. */
static struct ml_schema *
make_row(const struct ml_json *line, struct ml_datum *image)
{
	const struct ml_json *row = ml_json_get(line, "row"), *key = ml_json_get(line, "key");
	struct ml_schema *s = ml_schema_new();
	struct ml_index *x;

	s->db = member(line, "db");
	s->table = member(line, "table");
	assert_true(row->n <= COLUMNS_MAX);
	s->columns = ml_arena_zalloc(&s->arena, COLUMNS_MAX * sizeof(*s->columns));
	for (const struct ml_json *v = row->child; v != NULL; v = v->next) {
		struct ml_column *c = &s->columns[s->n_columns];

		c->name = (struct ml_text){ v->key, (uint32_t)v->key_len };
		c->type = ML_T_VARCHAR;
		image[s->n_columns] = (struct ml_datum){ .kind = v->type == ML_JSON_NULL ? ML_D_NULL : ML_D_BYTES };
		image[s->n_columns].s = v->s;
		image[s->n_columns++].len = (uint32_t)v->len;
	}
	if (key->n > 0) {
		s->n_indexes = 1;
		s->indexes = x = ml_arena_zalloc(&s->arena, sizeof(*x));
		*x = (struct ml_index){ .name = { "PRIMARY", 7 }, .primary = true, .unique = true };
		x->cols = ml_arena_zalloc(&s->arena, key->n * sizeof(*x->cols));
		for (const struct ml_json *v = key->child; v != NULL; v = v->next) {
			int col = -1;

			for (int i = 0; i < s->n_columns; i++)
				if (s->columns[i].name.len == v->len && memcmp(s->columns[i].name.s, v->s, v->len) == 0)
					col = i;
			assert_true(col >= 0);
			x->cols[x->n_cols++] = (uint16_t)col;
		}
	}
	ml_schema_finish(s);
	return s;
}

static void
check_line(struct ml_dispatcher *d, const struct ml_json *line, const char *text)
{
	struct ml_text topic = member(line, "topic"), type = member(line, "type");
	int32_t partition = atoi(member(line, "partition").s);
	struct ml_datum image[COLUMNS_MAX];
	struct ml_err err = { 0 };

	if (strcmp(type.s, "INSERT") == 0 || strcmp(type.s, "UPDATE") == 0 || strcmp(type.s, "DELETE") == 0) {
		struct ml_schema *s = make_row(line, image);
		struct ml_row row = { .schema = s, .commit_ts = strtoull(member(line, "ts").s, NULL, 10) };

		if (type.s[0] == 'D')
			row.before = image;
		else
			row.after = image;
		if (ml_dispatcher_row(d, &row, &err) != 0)
			fail_msg("%s: %s", text, err.text);
		if (strcmp(row.topic->name.s, topic.s) != 0 || row.partition != partition)
			fail_msg("%s: went to %s/%d", text, row.topic->name.s, row.partition);
		ml_schema_unref(s);
	} else {
		struct ml_ddl ddl = { .db = member(line, "db"), .table = member(line, "table") };
		struct ml_topic *t;

		assert_int_equal(ml_dispatcher_ddl(d, &ddl, &t, &err), 0);
		if (strcmp(t->name.s, topic.s) != 0 || partition != 0)
			fail_msg("%s: went to %s", text, t->name.s);
	}
}

static void
messages_go_where_the_reference_sent_them(void **state)
{
	FILE *f = fopen(ML_TEST_DIR "/golden/routes/recorded", "r");
	struct ml_dispatcher *d = make_dispatcher();
	char *text = NULL;
	size_t size = 0;
	ssize_t len;
	int n = 0;

	(void)state;
	assert_non_null(f);
	while ((len = getline(&text, &size, f)) > 0) {
		struct ml_arena a;
		struct ml_json *line;
		struct ml_err err;

		ml_arena_init(&a, 4096);
		assert_int_equal(ml_json_parse(&line, &a, text, (size_t)len, &err), 0);
		check_line(d, line, text);
		ml_arena_fini(&a);
		n++;
	}
	assert_int_equal(n, 195);
	free(text);
	fclose(f);
	ml_dispatcher_free(d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_go_where_the_reference_sent_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
