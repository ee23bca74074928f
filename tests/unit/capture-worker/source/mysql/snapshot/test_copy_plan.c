/* The initial copy's statements, the keys of a window, and the stored form of its state. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "capture-worker/source/mysql/snapshot/plan.h"
#include "capture-worker/source/mysql/snapshot/state.h"
#include "capture-worker/source/mysql/snapshot/window.h"

static struct ml_text
text(const char *s)
{
	return (struct ml_text){ .s = s, .len = (uint32_t)strlen(s) };
}

/* Table `d`.`t`t` with integer a, latin1 b, ENUM e; its primary key is the first n columns. */
static struct ml_schema *
table(uint16_t n)
{
	static const char *names[] = { "a", "b", "e" };
	static const uint8_t types[] = { ML_T_LONG, ML_T_VARCHAR, ML_T_ENUM };
	struct ml_schema *s = ml_schema_new();

	s->db = text("d");
	s->table = text("t`t");
	s->n_columns = 3;
	s->columns = ml_arena_zalloc(&s->arena, 3 * sizeof(*s->columns));
	for (uint16_t i = 0; i < 3; i++) {
		s->columns[i].name = text(names[i]);
		s->columns[i].type = types[i];
		s->columns[i].charset = text(i == 1 ? "latin1" : "");
		s->columns[i].flen = s->columns[i].decimal = -1;
	}
	s->n_indexes = 1;
	s->indexes = ml_arena_zalloc(&s->arena, sizeof(*s->indexes));
	s->indexes[0] = (struct ml_index){ .name = text("PRIMARY"), .primary = true, .unique = true, .n_cols = n };
	s->indexes[0].cols = ml_arena_zalloc(&s->arena, 3 * sizeof(uint16_t));
	for (uint16_t i = 0; i < n; i++)
		s->indexes[0].cols[i] = i;
	ml_schema_finish(s);
	return s;
}

static void
test_select(void **state)
{
	static const char *const low[] = { "1", "_latin1 x'41'", "2" }, *const high[] = { "9", "_latin1 x'5a'", "3" };
	static const struct {
		uint16_t n_key;
		bool after, upto;
		uint64_t limit;
		const char *want;
	} rows[] = {
		{ 1, false, false, 10, " ORDER BY `a` LIMIT 10" },
		{ 1, true, false, 10, " WHERE (`a` > 1) ORDER BY `a` LIMIT 10" },
		{ 1, true, true, 0, " WHERE (`a` > 1) AND (`a` <= 9) ORDER BY `a`" },
		{ 2, true, false, 5,
			" WHERE (`a` >= 1 AND (`a` > 1 OR (`a` = 1 AND (`b` > _latin1 x'41')))) ORDER BY `a`, `b` LIMIT 5" },
		{ 2, false, true, 5,
			" WHERE (`a` <= 9 AND (`a` < 9 OR (`a` = 9 AND (`b` <= _latin1 x'5a')))) ORDER BY `a`, `b` LIMIT 5" },
		{ 3, true, false, 5,
			" WHERE (`a` >= 1 AND (`a` > 1 OR (`a` = 1 AND (`b` > _latin1 x'41' OR (`b` = _latin1 x'41' AND (`e` > "
			"2)))))) ORDER BY `a`, `b`, `e` LIMIT 5" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ml_schema *s = table(rows[i].n_key);
		struct ml_copy_bound after = { 0 }, upto = { 0 };
		struct ml_buf want = { 0 }, got = { 0 };

		if (rows[i].after)
			after = (struct ml_copy_bound){ (char **)(uintptr_t)low, rows[i].n_key };
		if (rows[i].upto)
			upto = (struct ml_copy_bound){ (char **)(uintptr_t)high, rows[i].n_key };
		ml_buf_printf(&want, "SELECT `a`, `b`, CAST(`e` AS UNSIGNED) FROM `d`.`t``t` FORCE INDEX (`PRIMARY`)%s",
			rows[i].want);
		ml_copy_select(&got, s, ml_copy_key(s), &after, &upto, rows[i].limit);
		assert_string_equal(got.data, want.data);
		ml_buf_fini(&got);
		ml_buf_fini(&want);
		ml_schema_unref(s);
	}
}

static void
test_literal(void **state)
{
	struct ml_schema *s = table(2);
	struct ml_buf b = { 0 };

	(void)state;
	ml_copy_literal(&b, &s->columns[1], "a'\\\xe9", 4);
	assert_string_equal(b.data, "_latin1 x'61275ce9'");
	ml_buf_clear(&b);
	s->columns[1].charset = text("utf8mb3");
	ml_copy_literal(&b, &s->columns[1], "", 0);
	assert_string_equal(b.data, "_utf8 x''");
	ml_buf_clear(&b);
	s->columns[1].charset = text("binary");
	ml_copy_literal(&b, &s->columns[1], "\0\xff", 2);
	assert_string_equal(b.data, "x'00ff'");
	ml_buf_fini(&b);
	ml_schema_unref(s);
}

/* Key (a, b) of a row. */
static struct ml_datum *
row_of(struct ml_batch *b, int64_t a, const char *s)
{
	struct ml_datum *d = ml_arena_zalloc(&b->arena, 3 * sizeof(*d));

	d[0] = (struct ml_datum){ .kind = ML_D_I64, .i = a };
	d[1] = (struct ml_datum){ .kind = ML_D_BYTES, .s = s, .len = (uint32_t)strlen(s) };
	d[2].kind = ML_D_NULL;
	return d;
}

static void
test_window(void **state)
{
	/* What the stream shows, then which rows of the chunk (1,x) (2,y) (3,longer than eight) stay, as bits. */
	static const struct {
		const char *before, *after;
		int64_t a_before, a_after;
		unsigned stay;
	} rows[] = {
		{ NULL, NULL, 0, 0, 7 },
		{ NULL, "x", 0, 1, 6 },
		{ "y", "y", 2, 2, 5 },
		{ "y", "z", 2, 9, 5 },
		{ "z", "y", 9, 2, 5 },
		{ "x", "y", 1, 2, 4 },
		{ "longer than eight", NULL, 3, 0, 3 },
		{ "y", NULL, 1, 0, 7 },
		{ "X", NULL, 1, 0, 7 },
		{ "longer than eighu", NULL, 3, 0, 7 },
	};
	static const char *texts[] = { "x", "y", "longer than eight" };
	struct ml_schema *s = table(2);
	const struct ml_index *key = ml_copy_key(s);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ml_copy_window w = { 0 };
		struct ml_batch *b = ml_batch_new();
		struct ml_row change = { .schema = s };
		unsigned stay = 0;

		for (int64_t k = 0; k < 3; k++) {
			struct ml_datum *d = row_of(b, k + 1, texts[k]);

			*ml_batch_row(b) = (struct ml_row){ .schema = s, .after = d, .op = ML_OP_INSERT };
			b->n_changes++;
		}
		if (rows[i].before != NULL)
			change.before = row_of(b, rows[i].a_before, rows[i].before);
		if (rows[i].after != NULL)
			change.after = row_of(b, rows[i].a_after, rows[i].after);
		ml_copy_window_row(&w, key, &change);
		(void)ml_copy_window_cut(&w, key, b);
		for (uint32_t k = 0; k < b->n_rows; k++)
			stay |= 1u << (b->rows[k].after[0].i - 1);
		assert_int_equal(stay, rows[i].stay);
		assert_int_equal(b->n_changes, b->n_rows);
		ml_batch_free(b);
		ml_copy_window_fini(&w);
	}
	ml_batch_pool_drain();
	ml_schema_unref(s);
}

static void
test_window_grows(void **state)
{
	struct ml_copy_window w = { 0 };

	(void)state;
	for (uint64_t i = 1; i <= 100000; i++)
		ml_copy_window_add(&w, i * 7919);
	assert_int_equal(w.n, 100000);
	for (uint64_t i = 1; i <= 100000; i++)
		assert_true(ml_copy_window_has(&w, i * 7919));
	assert_false(ml_copy_window_has(&w, 7918));
	ml_copy_window_fini(&w);
}

static void
test_state(void **state)
{
	struct ml_copy_state s = { 0 }, back = { 0 };
	const char *const key[] = { "7", "_latin1 x'41'" };
	struct ml_copy_bound bound = { (char **)(uintptr_t)key, 2 };
	struct ml_schema *d = table(2), *other = table(1);
	struct ml_copy_table *t;
	struct ml_buf b = { 0 };

	(void)state;
	t = ml_copy_state_add(&s, 105);
	t->db = strdup("d");
	t->name = strdup("t");
	t->rows = 40;
	t->estimated = 100;
	ml_copy_table_ranges(t, 2);
	ml_copy_table_set_key(t, d, ml_copy_key(d));
	ml_copy_bound_copy(&t->ranges[0].after, &bound);
	ml_copy_bound_copy(&t->ranges[0].upto, &bound);
	t->ranges[1].done = true;
	ml_copy_state_done(&s, ml_copy_state_add(&s, 101));
	assert_int_equal(s.n_open, 1);
	ml_copy_state_pack(&s, &b);
	assert_int_equal(ml_copy_state_unpack(&back, (const uint8_t *)b.data, b.len), 0);
	assert_int_equal(back.n, 2);
	assert_int_equal(back.n_open, 1);
	assert_true(ml_copy_state_find(&back, 101)->done);
	t = ml_copy_state_find(&back, 105);
	assert_int_equal(t->rows, 40);
	assert_int_equal(t->n_ranges, 2);
	assert_string_equal(t->ranges[0].after.v[1], key[1]);
	assert_true(t->ranges[1].done);
	assert_true(ml_copy_table_key_is(t, d, ml_copy_key(d)));
	assert_false(ml_copy_table_key_is(t, other, ml_copy_key(other)));
	ml_copy_state_fini(&back);
	/* Damaged: cut, and a bound that does not fit its key. */
	assert_int_equal(ml_copy_state_unpack(&back, (const uint8_t *)b.data, b.len - 1), -1);
	ml_copy_state_fini(&back);
	ml_copy_table_set_key(ml_copy_state_find(&s, 105), other, ml_copy_key(other));
	ml_copy_state_pack(&s, &b);
	assert_int_equal(ml_copy_state_unpack(&back, (const uint8_t *)b.data, b.len), -1);
	ml_copy_state_fini(&back);
	ml_copy_state_fini(&s);
	ml_buf_fini(&b);
	ml_schema_unref(d);
	ml_schema_unref(other);
}

static void
test_made(void **state)
{
	struct ml_copy_state s = { 0 }, back = { 0 };
	struct ml_buf b = { 0 };

	(void)state;
	/* So many that tables which are not begun have no entry of their own. */
	for (int64_t id = 1; id <= ML_COPY_LISTED + 3; id++)
		ml_copy_state_add(&s, id)->stage = id == 1 ? ML_COPY_UNMADE : id == 2 ? ML_COPY_MADE : ML_COPY_OPEN;
	ml_copy_state_pack(&s, &b);
	assert_int_equal(ml_copy_state_unpack(&back, (const uint8_t *)b.data, b.len), 0);
	assert_null(ml_copy_state_find(&back, 1));
	assert_int_equal(ml_copy_state_find(&back, 2)->stage, ML_COPY_OPEN);
	assert_int_equal(back.n, ML_COPY_LISTED + 2);
	assert_int_equal(back.n_open, ML_COPY_LISTED + 2);
	ml_copy_state_fini(&back);
	for (int64_t id = 4; id <= ML_COPY_LISTED + 3; id++)
		ml_copy_state_remove(&s, ml_copy_state_find(&s, id));
	ml_copy_state_pack(&s, &b);
	assert_int_equal(ml_copy_state_unpack(&back, (const uint8_t *)b.data, b.len), 0);
	assert_int_equal(ml_copy_state_find(&back, 1)->stage, ML_COPY_UNMADE);
	assert_int_equal(ml_copy_state_find(&back, 2)->stage, ML_COPY_OPEN);
	ml_copy_state_fini(&back);
	ml_copy_state_fini(&s);
	ml_buf_fini(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_select),
		cmocka_unit_test(test_literal),
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_window_grows),
		cmocka_unit_test(test_state),
		cmocka_unit_test(test_made),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
