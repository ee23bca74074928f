/* What `millrace verify` asks servers for: conditions of chunks, checksums of rows; and JSON that it compares itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "capture-worker/verify/cursor.h"
#include "capture-worker/verify/json_same.h"

static struct ml_text
text(const char *s)
{
	return (struct ml_text){ s, (uint32_t)strlen(s) };
}

struct col {
	const char *name, *charset, *collation;
	uint8_t type, flags;
};

/* A table shop.t whose first n_key columns are the primary key. */
static struct ml_schema *
table(const struct col *cols, uint16_t n, uint16_t n_key)
{
	struct ml_schema *s = ml_schema_new();

	s->db = text("shop");
	s->table = text("t");
	s->charset = text("utf8mb4");
	s->collation = text("utf8mb4_general_ci");
	s->comment = text("");
	s->n_columns = n;
	s->columns = ml_arena_zalloc(&s->arena, n * sizeof(*s->columns));
	for (uint16_t i = 0; i < n; i++) {
		struct ml_column *c = &s->columns[i];

		*c = (struct ml_column){ .name = text(cols[i].name),
			.id = (uint16_t)(i + 1),
			.type = cols[i].type,
			.flags = cols[i].flags,
			.flen = -1,
			.decimal = -1,
			.charset = text(cols[i].charset != NULL ? cols[i].charset : ""),
			.collation = text(cols[i].collation != NULL ? cols[i].collation : ""),
			.dflt = text(""),
			.type_full = text("x"),
			.type_short = text("x"),
			.comment = text("") };
	}
	if (n_key > 0) {
		s->n_indexes = 1;
		s->indexes = ml_arena_zalloc(&s->arena, sizeof(*s->indexes));
		s->indexes[0] = (struct ml_index){ .name = text("PRIMARY"),
			.primary = true,
			.unique = true,
			.n_cols = n_key,
			.cols = ml_arena_alloc(&s->arena, n_key * sizeof(uint16_t)) };
		for (uint16_t i = 0; i < n_key; i++)
			s->indexes[0].cols[i] = i;
	}
	ml_schema_finish(s);
	return s;
}

static struct ml_vf_pair *
pair(struct ml_schema *up, struct ml_schema *down)
{
	static const struct ml_my_conn conn[2] = { { .flavor = ML_MARIADB, .version = 101100 },
		{ .flavor = ML_MYSQL, .version = 80033 } };
	struct ml_vf_pair *p = ml_vf_pair_new(up, down, conn, ML_VF_CRC32);

	ml_schema_unref(up);
	ml_schema_unref(down);
	return p;
}

#define UTF8 "utf8mb4", "utf8mb4_general_ci"

static const struct col two_keys[] = { { "a`b", NULL, NULL, ML_T_LONG, 0 }, { "w", UTF8, ML_T_VARCHAR, 0 },
	{ "x", NULL, NULL, ML_T_FLOAT, ML_F_NULLABLE } };

static void
test_bounds(void **state)
{
	struct ml_vf_pair *p = pair(table(two_keys, 3, 2), table(two_keys, 3, 2));
	static char five[] = "5", word[] = "'z'";
	char *bound[] = { five, word };
	struct ml_buf b = { 0 };

	(void)state;
	assert_int_equal(p->n_key, 2);
	assert_int_equal(p->n_walk, 2);
	assert_false(p->integer_key);
	ml_vf_put_bound(&b, p, bound, 1, false);
	assert_string_equal(b.data, "(`a``b`>5)");
	ml_buf_clear(&b);
	ml_vf_put_bound(&b, p, bound, 2, false);
	assert_string_equal(b.data, "(`a``b`>5 OR (`a``b`=5 AND `w`>'z'))");
	ml_buf_clear(&b);
	ml_vf_put_bound(&b, p, bound, 2, true);
	assert_string_equal(b.data, "(`a``b`<5 OR (`a``b`=5 AND `w`<='z'))");
	ml_buf_fini(&b);
	ml_vf_pair_free(p);
}

static void
test_keys_that_cannot_be_walked(void **state)
{
	static const struct col other_collation[] = { { "a`b", NULL, NULL, ML_T_LONG, 0 },
		{ "w", "utf8mb4", "utf8mb4_bin", ML_T_VARCHAR, 0 }, { "x", NULL, NULL, ML_T_FLOAT, ML_F_NULLABLE } };
	static const struct col coded[] = { { "e", UTF8, ML_T_ENUM, 0 } };
	static const struct col number[] = { { "id", NULL, NULL, ML_T_LONGLONG, ML_F_UNSIGNED } };
	struct ml_vf_pair *p = pair(table(two_keys, 3, 2), table(other_collation, 3, 2));

	(void)state;
	/* The first column alone has one order on both sides. */
	assert_int_equal(p->n_key, 2);
	assert_int_equal(p->n_walk, 1);
	ml_vf_pair_free(p);
	p = pair(table(coded, 1, 1), table(coded, 1, 1));
	assert_int_equal(p->n_key, 1);
	assert_int_equal(p->n_walk, 0);
	ml_vf_pair_free(p);
	p = pair(table(number, 1, 1), table(number, 1, 1));
	assert_true(p->integer_key);
	ml_vf_pair_free(p);
	p = pair(table(number, 1, 0), table(number, 1, 0));
	assert_int_equal(p->n_key, 0);
	ml_vf_pair_free(p);
}

static void
test_checksum_of_a_row(void **state)
{
	static const struct col up[] = { { "id", NULL, NULL, ML_T_LONG, 0 },
		{ "l", "latin1", "latin1_swedish_ci", ML_T_VARCHAR, 0 },
		{ "b", "binary", "binary", ML_T_BLOB, ML_F_BINARY | ML_F_NULLABLE }, { "f", NULL, NULL, ML_T_FLOAT, 0 },
		{ "j", UTF8, ML_T_LONGBLOB, 0 }, { "g", NULL, NULL, ML_T_GEOMETRY, 0 } };
	static const struct col down[] = { { "id", NULL, NULL, ML_T_LONG, 0 }, { "l", UTF8, ML_T_VARCHAR, 0 },
		{ "b", "binary", "binary", ML_T_BLOB, ML_F_BINARY | ML_F_NULLABLE }, { "f", NULL, NULL, ML_T_FLOAT, 0 },
		{ "j", NULL, NULL, ML_T_JSON, 0 }, { "G", NULL, NULL, ML_T_GEOMETRY, 0 } };
	struct ml_vf_pair *p = pair(table(up, 6, 1), table(down, 6, 1));

	(void)state;
	/* JSON here and text there is left to be compared row by row. */
	assert_int_equal(p->n_soft, 1);
	assert_true(p->cols[4].soft);
	assert_string_equal(p->hash[ML_VF_UP],
		"CRC32(CONCAT_WS('#',`id`,CONVERT(`l` USING utf8mb4),HEX(`b`),`f`+0e0,"
		"CONCAT(ST_SRID(`g`),':',HEX(ST_AsBinary(`g`))),CONCAT(ISNULL(`b`)),''))");
	assert_string_equal(p->hash[ML_VF_DOWN],
		"CRC32(CONCAT_WS('#',`id`,`l`,HEX(`b`),`f`+0e0,"
		"CONCAT(ST_SRID(`G`),':',HEX(ST_AsBinary(`G`,'axis-order=long-lat'))),CONCAT(ISNULL(`b`)),''))");
	ml_vf_pair_free(p);
}

static void
test_lacking_columns(void **state)
{
	static const struct col down[] = { { "w", UTF8, ML_T_VARCHAR, 0 } };
	struct ml_vf_pair *p = pair(table(two_keys, 3, 2), table(down, 1, 0));

	(void)state;
	assert_string_equal(p->lacks.data, "a`b, x");
	assert_int_equal(p->n_cols, 1);
	assert_int_equal(p->n_key, 0);
	ml_vf_pair_free(p);
}

static void
test_width_follows_the_rows(void **state)
{
	struct ml_vf_cursor k;

	(void)state;
	ml_vf_cursor_init(&k, 1000);
	assert_int_equal((int)k.width, 1000);
	ml_vf_cursor_learn(&k, 500);
	assert_int_equal((int)k.width, 2000);
	ml_vf_cursor_learn(&k, 0);
	assert_int_equal((int)k.width, 16000);
	ml_vf_cursor_learn(&k, 1000000);
	assert_int_equal((int)k.width, 4000);
	for (int i = 0; i < 100; i++)
		ml_vf_cursor_learn(&k, 0);
	assert_true(k.width == (__int128)1 << 64);
	for (int i = 0; i < 100; i++)
		ml_vf_cursor_learn(&k, UINT64_MAX);
	assert_true(k.width == 1);
	ml_vf_cursor_fini(&k);
}

static void
test_json(void **state)
{
	static const struct {
		const char *a, *b;
		bool same;
	} cases[] = {
		{ "{\"a\":1,\"b\":[true,null]}", "{ \"b\" : [true, null], \"a\" : 1 }", true },
		{ "{\"a\":1}", "{\"a\":1,\"b\":2}", false },
		{ "{\"a\":1,\"b\":2}", "{\"a\":1}", false },
		{ "{\"a\":1}", "{\"A\":1}", false },
		{ "[1,2]", "[1,2,3]", false },
		{ "[1,2,3]", "[1,2]", false },
		{ "[1,2]", "[2,1]", false },
		{ "1.0", "1.00", true },
		{ "1e2", "100", true },
		{ "9007199254740993", "9007199254740992", false },
		{ "\"\\u00e9\"", "\"\xc3\xa9\"", true },
		{ "\"a\"", "\"b\"", false },
		{ "null", "false", false },
		{ "{\"a\":1,\"a\":2}", "{\"a\":2}", true },
		{ "no json", "no json", true },
		{ "no json", "nojson", false },
		{ "", "", true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (ml_vf_json_same(cases[i].a, strlen(cases[i].a), cases[i].b, strlen(cases[i].b)) != cases[i].same)
			fail_msg("%s and %s", cases[i].a, cases[i].b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_keys_that_cannot_be_walked),
		cmocka_unit_test(test_checksum_of_a_row),
		cmocka_unit_test(test_lacking_columns),
		cmocka_unit_test(test_width_follows_the_rows),
		cmocka_unit_test(test_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
