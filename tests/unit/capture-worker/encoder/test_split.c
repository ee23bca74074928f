/* Which UPDATEs are split, and in what order the rows of a transaction stand afterwards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "capture-worker/encoder/split.h"

/* Column 0: primary key; 1: nullable unique; 2: plain; 3: a unique VARCHAR. */
static struct ml_schema *
make_table(int64_t id)
{
	struct ml_schema *s = ml_schema_new();

	s->db = (struct ml_text){ "d", 1 };
	s->table = (struct ml_text){ "t", 1 };
	s->table_id = id;
	s->n_columns = 4;
	s->columns = ml_arena_zalloc(&s->arena, 4 * sizeof(*s->columns));
	for (int i = 0; i < 4; i++) {
		s->columns[i].name = (struct ml_text){ &"abcd"[i], 1 };
		s->columns[i].type = i == 3 ? ML_T_VARCHAR : ML_T_LONG;
		s->columns[i].flags = i > 0 ? ML_F_NULLABLE : 0;
		s->columns[i].flen = s->columns[i].decimal = -1;
	}
	s->n_indexes = 3;
	s->indexes = ml_arena_zalloc(&s->arena, 3 * sizeof(*s->indexes));
	for (int i = 0; i < 3; i++) {
		s->indexes[i].n_cols = 1;
		s->indexes[i].cols = ml_arena_zalloc(&s->arena, sizeof(uint16_t));
		s->indexes[i].unique = true;
	}
	s->indexes[0].primary = true;
	s->indexes[1].cols[0] = 1;
	s->indexes[1].nullable = true;
	s->indexes[2].cols[0] = 3;
	s->indexes[2].nullable = true;
	ml_schema_finish(s);
	return s;
}

/* "1 5 7 x": integers and a text; N is NULL. */
static const struct ml_datum *
image(struct ml_batch *b, const char *text)
{
	struct ml_datum *d = ml_arena_zalloc(&b->arena, 4 * sizeof(*d));
	char v[4][16];

	assert_int_equal(sscanf(text, "%15s %15s %15s %15s", v[0], v[1], v[2], v[3]), 4);
	for (int i = 0; i < 4; i++) {
		if (strcmp(v[i], "N") == 0) {
			d[i].kind = ML_D_NULL;
		} else if (i == 3) {
			d[i].kind = ML_D_BYTES;
			d[i].s = ml_arena_strndup(&b->arena, v[i], strlen(v[i]));
			d[i].len = (uint32_t)strlen(v[i]);
		} else {
			d[i].kind = ML_D_I64;
			d[i].i = strtol(v[i], NULL, 10);
		}
	}
	return d;
}

/* "t1 @5 update 1 5 7 x > 1 5 8 x": table, commit ts, kind, images. */
static void
add(struct ml_batch *b, struct ml_schema **tables, const char *line)
{
	struct ml_row *row = ml_batch_row(b);
	const char *arrow = strchr(line, '>');
	char op;

	*row = (struct ml_row){ .schema = tables[line[1] - '1'] };
	assert_int_equal(sscanf(line + 2, " @%lu %c", &row->commit_ts, &op), 2);
	row->start_ts = row->commit_ts - 1;
	row->op = op == 'i' ? ML_OP_INSERT : op == 'u' ? ML_OP_UPDATE : ML_OP_DELETE;
	if (row->op != ML_OP_INSERT)
		row->before = image(b, strchr(strchr(line, '@'), ' ') + 8);
	if (row->op != ML_OP_DELETE)
		row->after = image(b, arrow != NULL ? arrow + 1 : strchr(strchr(line, '@'), ' ') + 8);
	ml_batch_pin(b, row->schema);
}

/* One letter a row and the primary key of its image: "1d7" is a DELETE of 7 in table 1; upper case: half of a split UPDATE. */
static void
show(const struct ml_batch *b, char *buf)
{
	for (uint32_t i = 0; i < b->n_rows; i++) {
		const struct ml_row *row = &b->rows[i];
		char c = " iud"[row->op];

		assert_true((row->before != NULL) == (row->op != ML_OP_INSERT));
		assert_true((row->after != NULL) == (row->op != ML_OP_DELETE));
		buf += sprintf(buf, "%s%ld%c%ld", i > 0 ? " " : "", row->schema->table_id, row->split ? c - 32 : c,
			(row->after != NULL ? row->after : row->before)[0].i);
	}
	*buf = '\0';
}

static void
splits_by_the_keys_and_reorders_the_transaction(void **state)
{
	static const struct {
		const char *name, *lines[6], *want;
		bool raw;
	} rows[] = {
		{ "no key changes: order stays",
			{ "t1 @5 insert 1 1 1 a", "t1 @5 update 2 2 2 b > 2 2 9 b", "t1 @5 delete 3 3 3 c" },
			"1i1 1u2 1d3", false },
		{ "primary key", { "t1 @5 update 1 1 1 a > 2 1 1 a" }, "1D1 1I2", false },
		{ "nullable unique key from NULL", { "t1 @5 update 1 N 1 a > 1 4 1 a" }, "1D1 1I1", false },
		{ "nullable unique key to NULL", { "t1 @5 update 1 4 1 a > 1 N 1 a" }, "1D1 1I1", false },
		{ "NULL stays NULL", { "t1 @5 update 1 N 1 N > 1 N 2 N" }, "1u1", false },
		{ "unique text", { "t1 @5 update 1 N 1 a > 1 N 1 A" }, "1D1 1I1", false },
		{ "NULL and the text null are one key text", { "t1 @5 update 1 N 1 N > 1 N 1 null" }, "1u1", false },
		{ "swapped unique values: deletes first",
			{ "t1 @5 update 1 10 0 a > 1 20 0 a", "t1 @5 update 2 20 0 b > 2 10 0 b" }, "1D1 1D2 1I1 1I2",
			false },
		{ "all of the unit is reordered, stably",
			{ "t1 @5 insert 9 9 0 i", "t1 @5 update 4 4 0 d > 4 4 1 d", "t1 @5 update 1 1 0 a > 2 1 0 a",
				"t1 @5 delete 8 8 0 h", "t1 @5 insert 7 7 0 g" },
			"1D1 1d8 1u4 1i9 1I2 1i7", false },
		{ "other transactions keep their order",
			{ "t1 @5 insert 1 1 0 a", "t1 @6 update 1 1 0 a > 2 1 0 a", "t1 @7 insert 5 5 0 e",
				"t1 @7 delete 5 5 0 e" },
			"1i1 1D1 1I2 1i5 1d5", false },
		{ "other tables keep their places",
			{ "t1 @5 insert 3 3 0 c", "t2 @5 insert 1 1 0 a", "t1 @5 update 1 1 0 a > 2 1 0 a",
				"t2 @5 delete 1 1 0 a", "t1 @5 insert 6 6 0 f", "t2 @5 insert 2 2 0 b" },
			"1D1 2i1 1i3 2d1 1I2 1i6 2i2", false },
		{ "two tables split",
			{ "t1 @5 update 1 1 0 a > 2 1 0 a", "t2 @5 update 1 1 0 a > 3 1 0 a", "t1 @5 delete 7 7 0 g" },
			"1D1 2D1 2I3 1d7 1I2", false },
		{ "a row touched twice keeps its steps in order",
			{ "t1 @5 insert 1 1 0 a", "t1 @5 delete 1 1 0 a", "t1 @5 update 2 2 0 b > 3 2 0 b" },
			"1i1 1d1 1D2 1I3", false },
		{ "a key handed on keeps its steps in order",
			{ "t1 @5 update 1 1 0 a > 2 1 0 a", "t1 @5 update 2 1 0 a > 3 1 0 a",
				"t2 @5 update 4 4 0 d > 5 4 0 d", "t2 @5 delete 9 9 0 i" },
			"1D1 1I2 1D2 1I3 2D4 2d9 2I5", false },
		{ "the same row by a value of a unique key too",
			{ "t1 @5 update 1 5 0 a > 1 6 0 a", "t1 @5 update 1 6 0 a > 1 7 0 a" }, "1D1 1I1 1D1 1I1",
			false },
		{ "raw change events: nothing is split", { "t1 @5 update 1 1 1 a > 2 1 1 a" }, "1u2", true },
	};
	struct ml_schema *tables[] = { make_table(1), make_table(2) };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ml_batch *b = ml_batch_new();
		char got[256];

		for (size_t k = 0; k < 6 && rows[i].lines[k] != NULL; k++)
			add(b, tables, rows[i].lines[k]);
		ml_split_updates(b, rows[i].raw);
		show(b, got);
		if (strcmp(got, rows[i].want) != 0)
			fail_msg("%s: want %s, got %s", rows[i].name, rows[i].want, got);
		ml_batch_free(b);
	}
	ml_schema_unref(tables[0]);
	ml_schema_unref(tables[1]);
	ml_batch_pool_drain();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(splits_by_the_keys_and_reorders_the_transaction),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
