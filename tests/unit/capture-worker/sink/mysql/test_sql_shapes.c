/* test_sql_shapes.c - the statements that changes become. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/capture-worker/sink/mysql/rows.h"

enum { ITEM, OL, NOPK, G, BIN, WEIRD, JS, VK, BINKEY, JSKEY, TEXTKEY, VEC, N_TABLES };

static struct ml_schema *tables[N_TABLES];

enum { FRESH = 0, OLD = 1, TIDB = 2, ROWS = 4, SAFE = 8, UPSERT = 16, MYSQL = 32, IN = 64, VECTOR = 128 };

struct shape {
	int table;
	int mode;
	const char *rows[8];
	const char *want;
};

static const struct shape shapes[] = {
	/* 1: INSERT; 2: not surely new; 3: UPDATE sets every column; 4: DELETE; 5: a changed key */
	{ ITEM, FRESH, { "I 1|pen|5" }, "INSERT INTO `shop`.`item` (`id`,`name`,`qty`) VALUES (1,'pen',5)" },
	{ ITEM, OLD, { "I 1|pen|5" }, "REPLACE INTO `shop`.`item` (`id`,`name`,`qty`) VALUES (1,'pen',5)" },
	{ ITEM, SAFE, { "I 1|pen|5" }, "REPLACE INTO `shop`.`item` (`id`,`name`,`qty`) VALUES (1,'pen',5)" },
	{ ITEM, FRESH, { "U 1|pen|5>1|pen|6" },
		"UPDATE `shop`.`item` SET `id` = 1, `name` = 'pen', `qty` = 6 WHERE `id` = 1 LIMIT 1" },
	{ ITEM, FRESH, { "D 1|pen|5" }, "DELETE FROM `shop`.`item` WHERE `id` = 1 LIMIT 1" },
	{ ITEM, FRESH, { "U 1|pen|6>9|pen|6" },
		"UPDATE `shop`.`item` SET `id` = 9, `name` = 'pen', `qty` = 6 WHERE `id` = 1 LIMIT 1" },
	/* 6: ... split; one that keeps its key needs no DELETE */
	{ ITEM, OLD, { "U 1|pen|6>9|pen|6" },
		"DELETE FROM `shop`.`item` WHERE (`id` = 1);"
		"REPLACE INTO `shop`.`item` (`id`,`name`,`qty`) VALUES (9,'pen',6)" },
	{ ITEM, UPSERT, { "U 1|pen|6>9|pen|6" },
		"DELETE FROM `shop`.`item` WHERE (`id` = 1);"
		"REPLACE INTO `shop`.`item` (`id`,`name`,`qty`) VALUES (9,'pen',6)" },
	{ ITEM, OLD, { "U 1|pen|6>1|ink|6" }, "REPLACE INTO `shop`.`item` (`id`,`name`,`qty`) VALUES (1,'ink',6)" },
	/* 7, 8: several rows */
	{ ITEM, FRESH, { "I 1|pen|5", "I 2|ink|3", "I 3|N|0" },
		"INSERT INTO `shop`.`item` (`id`,`name`,`qty`) VALUES (1,'pen',5),(2,'ink',3),(3,NULL,0)" },
	{ ITEM, FRESH, { "D 1|pen|5", "D 2|ink|3" }, "DELETE FROM `shop`.`item` WHERE (`id` = 1) OR (`id` = 2)" },
	/* 9, 10: several UPDATEs, in TiDB and elsewhere */
	{ ITEM, TIDB, { "U 1|pen|5>1|pen|6", "U 2|ink|3>2|ink|7" },
		"UPDATE `shop`.`item` SET `id`=CASE WHEN `id` = 1 THEN 1 WHEN `id` = 2 THEN 2 END, `name`=CASE WHEN `id` = 1 "
		"THEN 'pen' WHEN `id` = 2 THEN 'ink' END, `qty`=CASE WHEN `id` = 1 THEN 6 WHEN `id` = 2 THEN 7 END WHERE (`id` "
		"= 1) OR (`id` = 2)" },
	{ ITEM, FRESH, { "U 1|pen|5>1|pen|6", "U 2|ink|3>2|ink|7" },
		"UPDATE `shop`.`item` SET `id` = 1, `name` = 'pen', `qty` = 6 WHERE `id` = 1 LIMIT 1;"
		"UPDATE `shop`.`item` SET `id` = 2, `name` = 'ink', `qty` = 7 WHERE `id` = 2 LIMIT 1" },
	/* 11: DELETEs, UPDATEs, INSERTs where no row is met twice */
	{ ITEM, FRESH, { "I 4|cap|1", "U 2|ink|7>2|ink|8", "D 1|pen|6" },
		"DELETE FROM `shop`.`item` WHERE (`id` = 1);"
		"UPDATE `shop`.`item` SET `id` = 2, `name` = 'ink', `qty` = 8 WHERE `id` = 2 LIMIT 1;"
		"INSERT INTO `shop`.`item` (`id`,`name`,`qty`) VALUES (4,'cap',1)" },
	/* 12: a composite key in the table's order alone, in the index's order among others */
	{ OL, FRESH, { "D 7|3|0" }, "DELETE FROM `shop`.`ol` WHERE `a` = 7 AND `b` = 3 LIMIT 1" },
	{ OL, FRESH, { "D 7|3|0", "D 7|4|0" },
		"DELETE FROM `shop`.`ol` WHERE (`b` = 3 AND `a` = 7) OR (`b` = 4 AND `a` = 7)" },
	/* 13, 14: no key: all values */
	{ NOPK, FRESH, { "D 1|N" }, "DELETE FROM `shop`.`nopk` WHERE `a` = 1 AND `b` IS NULL LIMIT 1" },
	{ NOPK, FRESH, { "U 1|N>1|x" },
		"UPDATE `shop`.`nopk` SET `a` = 1, `b` = 'x' WHERE `a` = 1 AND `b` IS NULL LIMIT 1" },
	{ NOPK, FRESH, { "I 1|N", "I 1|N", "D 1|N", "I 2|y" },
		"INSERT INTO `shop`.`nopk` (`a`,`b`) VALUES (1,NULL),(1,NULL);"
		"DELETE FROM `shop`.`nopk` WHERE `a` = 1 AND `b` IS NULL LIMIT 1;"
		"INSERT INTO `shop`.`nopk` (`a`,`b`) VALUES (2,'y')" },
	{ NOPK, OLD, { "U 1|N>1|x" },
		"DELETE FROM `shop`.`nopk` WHERE `a` = 1 AND `b` IS NULL LIMIT 1;"
		"REPLACE INTO `shop`.`nopk` (`a`,`b`) VALUES (1,'x')" },
	{ NOPK, FRESH, { "D 1|it's" },
		"DELETE FROM `shop`.`nopk` WHERE `a` = 1 AND `b` = 'it\\'s' AND HEX(CONVERT(`b` USING utf8mb4)) = HEX('it\\'s') LIMIT 1" },
	/* 15, 16, 17: generated columns, bytes, names */
	{ G, FRESH, { "I 1|2.50|4|10.00" }, "INSERT INTO `shop`.`g` (`id`,`price`,`n`) VALUES (1,'2.50',4)" },
	{ BIN, FRESH, { "I 1|x00275c|it's|2" },
		"INSERT INTO `shop`.`bin` (`id`,`v`,`s`,`e`) VALUES (1,_binary'\\0\\'\\\\','it\\'s',2)" },
	{ WEIRD, FRESH, { "D 1" }, "DELETE FROM `shop`.`we``ird` WHERE `id` = 1 LIMIT 1" },
	/* 18: batch-dml-enable=false */
	{ ITEM, ROWS, { "I 1|pen|5", "I 2|ink|3" },
		"INSERT INTO `shop`.`item` (`id`,`name`,`qty`) VALUES (1,'pen',5);"
		"INSERT INTO `shop`.`item` (`id`,`name`,`qty`) VALUES (2,'ink',3)" },
	/* Steps of one row stay in order, others gather around them. */
	{ ITEM, FRESH, { "I 1|a|1", "D 1|a|1", "I 1|b|1", "I 2|c|1", "U 2|c|1>2|c|2" },
		"INSERT INTO `shop`.`item` (`id`,`name`,`qty`) VALUES (1,'a',1),(2,'c',1);"
		"DELETE FROM `shop`.`item` WHERE (`id` = 1);"
		"UPDATE `shop`.`item` SET `id` = 2, `name` = 'c', `qty` = 2 WHERE `id` = 2 LIMIT 1;"
		"INSERT INTO `shop`.`item` (`id`,`name`,`qty`) VALUES (1,'b',1)" },
	/* A key that moves through two rows. */
	{ ITEM, OLD, { "U 1|a|1>3|a|1", "U 2|b|1>1|b|1", "U 3|a|1>2|a|1" },
		"DELETE FROM `shop`.`item` WHERE (`id` = 1);REPLACE INTO `shop`.`item` (`id`,`name`,`qty`) VALUES (3,'a',1);"
		"DELETE FROM `shop`.`item` WHERE (`id` = 2);REPLACE INTO `shop`.`item` (`id`,`name`,`qty`) VALUES (1,'b',1);"
		"DELETE FROM `shop`.`item` WHERE (`id` = 3);REPLACE INTO `shop`.`item` (`id`,`name`,`qty`) VALUES (2,'a',1)" },
	/* JSON has to be cast before MySQL finds it; MariaDB's is text. */
	{ JS, MYSQL, { "D {\"a\": 1}" }, "DELETE FROM `shop`.`js` WHERE `j` = CAST('{\\\"a\\\": 1}' AS JSON) LIMIT 1" },
	{ JS, FRESH, { "D {\"a\": 1}" }, "DELETE FROM `shop`.`js` WHERE `j` = '{\\\"a\\\": 1}' LIMIT 1" },
	/* where-clause=v2: lists, but for the one row of a statement of its own */
	{ ITEM, IN, { "D 1|pen|5", "D 2|ink|3" }, "DELETE FROM `shop`.`item` WHERE (`id`) IN ((1),(2))" },
	{ OL, IN, { "D 7|3|0", "D 7|4|0" }, "DELETE FROM `shop`.`ol` WHERE (`b`,`a`) IN ((3,7),(4,7))" },
	{ ITEM, IN, { "D 1|pen|5" }, "DELETE FROM `shop`.`item` WHERE `id` = 1 LIMIT 1" },
	{ ITEM, IN | OLD, { "U 1|pen|6>9|pen|6" },
		"DELETE FROM `shop`.`item` WHERE (`id`) IN ((1));"
		"REPLACE INTO `shop`.`item` (`id`,`name`,`qty`) VALUES (9,'pen',6)" },
	{ ITEM, IN | TIDB, { "U 1|pen|5>1|pen|6", "U 2|ink|3>2|ink|7" },
		"UPDATE `shop`.`item` SET `id`=CASE WHEN `id` = 1 THEN 1 WHEN `id` = 2 THEN 2 END, `name`=CASE WHEN `id` = 1 "
		"THEN 'pen' WHEN `id` = 2 THEN 'ink' END, `qty`=CASE WHEN `id` = 1 THEN 6 WHEN `id` = 2 THEN 7 END WHERE (`id`) "
		"IN ((1),(2))" },
	{ BINKEY, IN, { "D x00275c|2", "D x41|1" },
		"DELETE FROM `shop`.`binkey` WHERE (`v`,`e`) IN ((_binary'\\0\\'\\\\',2),(_binary'A',1))" },
	{ NOPK, IN, { "D 1|N", "D 2|N" },
		"DELETE FROM `shop`.`nopk` WHERE `a` = 1 AND `b` IS NULL LIMIT 1;"
		"DELETE FROM `shop`.`nopk` WHERE `a` = 2 AND `b` IS NULL LIMIT 1" },
	/* ... several columns with a text, which MariaDB does not find */
	{ TEXTKEY, IN, { "D 1|a", "D 2|b" },
		"DELETE FROM `shop`.`textkey` WHERE (`a` = 1 AND `t` = 'a') OR (`a` = 2 AND `t` = 'b')" },
	{ TEXTKEY, IN | MYSQL, { "D 1|a", "D 2|b" },
		"DELETE FROM `shop`.`textkey` WHERE (`a`,`t`) IN ((1,'a'),(2,'b'))" },
	/* ... and what has to be cast */
	{ JSKEY, IN | MYSQL, { "D 1|[1]", "D 2|[2]" },
		"DELETE FROM `shop`.`jskey` WHERE (`a` = 1 AND `j` = CAST('[1]' AS JSON)) OR (`a` = 2 AND `j` = CAST('[2]' AS JSON))" },
	{ JSKEY, IN, { "D 1|[1]", "D 2|[2]" }, "DELETE FROM `shop`.`jskey` WHERE (`a`,`j`) IN ((1,'[1]'),(2,'[2]'))" },
	/* Vectors are made of their texts where the target has any. */
	{ VEC, VECTOR, { "I 1|[1,2.5]", "I 2|N" },
		"INSERT INTO `shop`.`vec` (`a`,`v`) VALUES (1,VEC_FromText('[1,2.5]')),(2,NULL)" },
	{ VEC, VECTOR, { "U 1|[1]>1|[2]" },
		"UPDATE `shop`.`vec` SET `a` = 1, `v` = VEC_FromText('[2]') WHERE `a` = 1 AND `v` = VEC_FromText('[1]') LIMIT 1" },
	{ VEC, FRESH, { "I 1|[1,2.5]" }, "INSERT INTO `shop`.`vec` (`a`,`v`) VALUES (1,'[1,2.5]')" },
	/* A virtual column has no value, and is no key. */
	{ VK, FRESH, { "I 1|~" }, "INSERT INTO `shop`.`vk` (`a`) VALUES (1)" },
	{ VK, FRESH, { "D 1|~" }, "DELETE FROM `shop`.`vk` WHERE `a` = 1 LIMIT 1" },
};

static int
make_tables(void **state)
{
	(void)state;
	tables[ITEM] = rows_table("shop", "item", 1, "id:i name:v qty:i", "P=id");
	tables[OL] = rows_table("shop", "ol", 2, "a:i b:i v:i", "P=b,a");
	tables[NOPK] = rows_table("shop", "nopk", 3, "a:i b:v", "");
	tables[G] = rows_table("shop", "g", 4, "id:i price:d n:i total:d:g", "P=id");
	tables[BIN] = rows_table("shop", "bin", 5, "id:i v:b s:v e:e", "P=id");
	tables[WEIRD] = rows_table("shop", "we`ird", 6, "id:i", "P=id");
	tables[JS] = rows_table("shop", "js", 7, "j:j", "");
	tables[BINKEY] = rows_table("shop", "binkey", 9, "v:b e:e", "P=v,e");
	tables[JSKEY] = rows_table("shop", "jskey", 10, "a:i j:j", "P=a,j");
	tables[TEXTKEY] = rows_table("shop", "textkey", 11, "a:i t:v", "P=a,t");
	tables[VEC] = rows_table("shop", "vec", 12, "a:i v:x", "");
	tables[VK] = rows_table("shop", "vk", 8, "a:i v:i:V", "U=v");
	return 0;
}

static int
free_tables(void **state)
{
	(void)state;
	for (int i = 0; i < N_TABLES; i++)
		ml_schema_unref(tables[i]);
	ml_batch_pool_drain();
	return 0;
}

static struct sql_flush_env
env_of(int mode)
{
	return (struct sql_flush_env){
		.max_txn_row = 256,
		.max_multi_update_row = 40,
		.max_multi_update_row_size = 1024,
		.batch_dml = (mode & ROWS) == 0,
		.tidb = (mode & TIDB) != 0,
		.json_type = (mode & (TIDB | MYSQL)) != 0,
		.to_vector = (mode & VECTOR) != 0 ? "VEC_FromText" : NULL,
		.in_lists = (mode & IN) != 0,
		.text_in_lists = (mode & (TIDB | MYSQL)) != 0,
		.max_statement_bytes = 1 << 20,
		.begin = "START TRANSACTION;",
	};
}

static void
changes_become_these_statements(void **state)
{
	struct sql_flush f;

	(void)state;
	sql_flush_init(&f);
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		const struct shape *x = &shapes[i];
		struct sql_flush_env env = env_of(x->mode);
		struct ml_batch *b = ml_batch_new();
		char want[1200];

		for (int r = 0; r < 8 && x->rows[r] != NULL; r++)
			rows_add(b, tables[x->table], x->rows[r], 10);
		for (uint32_t r = 0; r < b->n_rows; r++)
			b->rows[r].upsert = (x->mode & UPSERT) != 0;
		sql_flush_build(
			&f, &env, rows_unit(b, 0, b->n_rows, (x->mode & OLD) == 0), b->n_rows, (x->mode & SAFE) != 0);
		snprintf(want, sizeof(want), "START TRANSACTION;%s;COMMIT", x->want);
		assert_string_equal(f.text.data, want);
		ml_batch_free(b);
	}
	sql_flush_fini(&f);
}

/* 19: transactions of one flush decide for themselves; rows of several come together. */
static void
transactions_are_merged_where_no_key_is_shared(void **state)
{
	struct sql_flush_env env = env_of(FRESH);
	struct ml_batch *b = ml_batch_new();
	struct sql_unit *one, *two, *three;
	struct sql_flush f;

	(void)state;
	sql_flush_init(&f);
	rows_add(b, tables[ITEM], "I 1|a|1", 10);
	rows_add(b, tables[ITEM], "I 2|b|1", 11);
	rows_add(b, tables[ITEM], "I 3|c|1", 12);
	one = rows_unit(b, 0, 1, false);
	two = rows_unit(b, 1, 2, true);
	three = rows_unit(b, 2, 3, true);
	one->next = two;
	two->next = three;
	sql_flush_build(&f, &env, one, 3, false);
	assert_string_equal(f.text.data,
		"START TRANSACTION;"
		"REPLACE INTO `shop`.`item` (`id`,`name`,`qty`) VALUES (1,'a',1);"
		"INSERT INTO `shop`.`item` (`id`,`name`,`qty`) VALUES (2,'b',1),(3,'c',1);COMMIT");
	sql_flush_fini(&f);
	ml_batch_free(b);
}

static void
long_lists_are_cut(void **state)
{
	struct sql_flush_env env = env_of(FRESH);
	struct ml_batch *b = ml_batch_new();
	struct sql_flush f;
	char row[40];

	(void)state;
	env.max_txn_row = 4;
	sql_flush_init(&f);
	for (int i = 0; i < 10; i++) {
		snprintf(row, sizeof(row), "I %d|xyz|1", i);
		rows_add(b, tables[ITEM], row, 10);
	}
	sql_flush_build(&f, &env, rows_unit(b, 0, 10, true), 10, false);
	assert_int_equal(f.n_stmts, 3);
	assert_int_equal(f.stmts[2].n, 2);
	/* By size: a row that is too large alone still goes. */
	env.max_statement_bytes = 1;
	sql_flush_build(&f, &env, rows_unit(b, 0, 10, true), 10, false);
	assert_int_equal(f.n_stmts, 10);
	ml_batch_free(b);
	/* As many as there are by default, and one. */
	env = env_of(TIDB);
	b = ml_batch_new();
	for (int i = 0; i < 257; i++) {
		snprintf(row, sizeof(row), "I %d|xyz|1", i);
		rows_add(b, tables[ITEM], row, 10);
	}
	sql_flush_build(&f, &env, rows_unit(b, 0, 257, true), 257, false);
	assert_int_equal(f.n_stmts, 2);
	assert_int_equal(f.stmts[1].n, 1);
	ml_batch_free(b);
	b = ml_batch_new();
	for (int i = 0; i < 41; i++) {
		snprintf(row, sizeof(row), "U %d|abc|1>%d|abc|2", i, i);
		rows_add(b, tables[ITEM], row, 10);
	}
	sql_flush_build(&f, &env, rows_unit(b, 0, 41, true), 41, false);
	assert_int_equal(f.n_stmts, 2);
	assert_int_equal(f.stmts[0].n, 40);
	assert_int_equal(f.stmts[1].n, 1);
	/* Rows of 8 + 5 + 8 bytes: just too large for that, and just not. */
	env.max_multi_update_row_size = 21;
	sql_flush_build(&f, &env, rows_unit(b, 0, 41, true), 41, false);
	assert_int_equal(f.n_stmts, 41);
	env.max_multi_update_row_size = 22;
	sql_flush_build(&f, &env, rows_unit(b, 0, 41, true), 41, false);
	assert_int_equal(f.n_stmts, 2);
	env.max_multi_update_row_size = 0;
	sql_flush_build(&f, &env, rows_unit(b, 0, 41, true), 41, false);
	assert_int_equal(f.n_stmts, 41);
	sql_flush_fini(&f);
	ml_batch_free(b);
}

static void
a_template_holds_no_values(void **state)
{
	struct sql_flush_env env = env_of(TIDB);
	struct ml_batch *b = ml_batch_new();
	struct ml_buf text = { 0 };
	struct sql_args args = { 0 };
	struct sql_flush f;

	(void)state;
	sql_flush_init(&f);
	rows_add(b, tables[ITEM], "U 1|pen|5>1|pen|6", 10);
	rows_add(b, tables[ITEM], "U 2|ink|5>2|ink|7", 10);
	sql_flush_build(&f, &env, rows_unit(b, 0, 2, true), 2, false);
	sql_flush_template(&text, &args, &f, &env, 0);
	assert_string_equal(text.data,
		"UPDATE `shop`.`item` SET `id`=CASE WHEN `id` = ? THEN ? WHEN `id` = ? THEN ? END, `name`=CASE WHEN `id` = ? "
		"THEN ? WHEN `id` = ? THEN ? END, `qty`=CASE WHEN `id` = ? THEN ? WHEN `id` = ? THEN ? END WHERE (`id` = ?) OR "
		"(`id` = ?)");
	assert_int_equal(args.n, 14);
	/* 1,1,2,2, 1,'pen',2,'ink', 1,6,2,7, 1,2 */
	assert_int_equal(args.v[2].datum->i, 2);
	assert_memory_equal(args.v[5].datum->s, "pen", 3);
	assert_int_equal(args.v[9].datum->i, 6);
	assert_int_equal(args.v[13].datum->i, 2);
	sql_args_fini(&args);
	ml_buf_fini(&text);
	sql_flush_fini(&f);
	ml_batch_free(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(changes_become_these_statements),
		cmocka_unit_test(transactions_are_merged_where_no_key_is_shared),
		cmocka_unit_test(long_lists_are_cut),
		cmocka_unit_test(a_template_holds_no_values),
	};

	return cmocka_run_group_tests(tests, make_tables, free_tables);
}
