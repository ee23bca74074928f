/* test_sql_ddl.c - DDL's text and errors, its progress, and transactions in several batches. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "capture-worker/sink/mysql/ddl.h"
#include "capture-worker/sink/mysql/ddl_session.h"
#include "capture-worker/sink/mysql/join.h"
#include "capture-worker/sink/mysql/worker.h"
#include "tests/unit/capture-worker/sink/mysql/rows.h"

#define T(s)                                                                                                           \
	{                                                                                                              \
		s, sizeof(s) - 1                                                                                       \
	}

static void
errors_are_done_retried_or_final(void **state)
{
	static const struct {
		int lib;
		const char *text;
		bool done, retry;
	} rows[] = {
		{ 1007, "", true, true },
		{ 1008, "", true, true },
		{ 1050, "", true, true },
		{ 1051, "", true, true },
		{ 1060, "", true, true },
		{ 1061, "", true, true },
		{ 1068, "", true, true },
		{ 1091, "", true, true },
		{ 1176, "", true, true },
		{ 1507, "", true, true },
		{ 1517, "", true, true },
		{ 1831, "", true, true },
		{ 1044, "", false, false },
		{ 1045, "", false, false },
		{ 1046, "", false, false },
		{ 1049, "", false, false },
		{ 1064, "", false, false },
		{ 1146, "", false, false },
		{ 1505, "", false, false },
		{ 3750, "", false, false },
		{ 1273, "", false, false },
		{ 1105, "unknown", false, false },
		{ 1105, "Information schema is out of date", false, true },
		{ 1105, "Information schema is changed", false, true },
		{ 1213, "", false, true },
		{ 8028, "", false, true },
		{ 9007, "", false, true },
		{ 1290, "", false, true },
		{ 2013, "", false, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(sql_ddl_is_done(rows[i].lib), rows[i].done);
		assert_int_equal(sql_ddl_may_retry(rows[i].lib, rows[i].text), rows[i].retry);
	}
}

static void
the_session_has_the_sources_collations(void **state)
{
#define MARIADB_SET                                                                                                    \
	"SET character_set_collations = (SELECT IFNULL(GROUP_CONCAT(CONCAT(character_set_name, '=', "                  \
	"full_collation_name)), '') FROM information_schema.collation_character_set_applicability WHERE id IN ("
	static const struct {
		struct ml_ddl ddl;
		enum sql_server server;
		const char *want;
	} rows[] = {
		{ { .n_collations = 2, .collations = { 2048, 2304 } }, SQL_MARIADB, MARIADB_SET "2048, 2304))" },
		{ { .n_collations = 1, .collations = { 45 } }, SQL_MARIADB, MARIADB_SET "45))" },
		{ { .n_collations = 2, .collations = { 33, 45 } }, SQL_MYSQL,
			"SET default_collation_for_utf8mb4 = 45" },
		{ { .n_collations = 1, .collations = { 255 } }, SQL_MYSQL, "SET default_collation_for_utf8mb4 = 255" },
		/* One that MySQL does not know, and a source that does not tell. */
		{ { .n_collations = 1, .collations = { 2304 } }, SQL_MYSQL, "" },
		{ { .n_collations = 0 }, SQL_MYSQL, "" },
		{ { .n_collations = 0 }, SQL_MARIADB, "" },
	};
	struct ml_buf b = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ml_buf_clear(&b);
		ml_buf_puts(&b, "");
		assert_int_equal(sql_ddl_collations(&b, &rows[i].ddl, rows[i].server), rows[i].want[0] != '\0');
		assert_string_equal(b.data, rows[i].want);
	}
	ml_buf_fini(&b);
}

static void
statements_that_number_rows_are_told(void **state)
{
	static const struct {
		struct ml_ddl ddl;
		bool want;
	} rows[] = {
		{ { .action = 5, .query = T("ALTER TABLE t ADD COLUMN i INT AUTO_INCREMENT PRIMARY KEY") }, true },
		{ { .action = 5, .query = T("/* it is */ alter ignore table t ADD COLUMN i INT") }, true },
		{ { .action = 21, .query = T("ALTER VIEW v AS SELECT 1") }, false },
		{ { .action = 4, .query = T("DROP TABLE `alter`") }, false },
		{ { .action = 3, .query = T("") }, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(sql_ddl_numbers_rows(&rows[i].ddl), rows[i].want);
}

static void
a_mark_stands_in_front(void **state)
{
	static const struct ml_ddl ddl = { .action = 3, .query = T("CREATE TABLE t (id INT)") };
	struct sql_params p = { 0 };
	struct sql_target t = { .params = &p, .server = SQL_MARIADB };
	struct ml_buf b = { 0 };

	(void)state;
	sql_ddl_text(&b, &ddl, &t);
	assert_string_equal(b.data, "CREATE TABLE t (id INT)");
	t.mark_table = true;
	sql_ddl_text(&b, &ddl, &t);
	assert_string_equal(b.data, "/* millrace */ CREATE TABLE t (id INT)");
	ml_buf_fini(&b);
}

static void
what_was_finished_is_known_by_its_place_in_the_commit(void **state)
{
	struct sql_ddl_ts p = { .on = true, .loaded = true, .ts = 100, .nth = 1, .finished = true };

	(void)state;
	assert_int_equal(sql_ddl_ts_past(&p, 99, 0), SQL_DDL_NEW);
	assert_int_equal(sql_ddl_ts_past(&p, 100, 0), SQL_DDL_FINISHED);
	assert_int_equal(sql_ddl_ts_past(&p, 100, 1), SQL_DDL_FINISHED);
	assert_int_equal(sql_ddl_ts_past(&p, 100, 2), SQL_DDL_NEW);
	assert_int_equal(sql_ddl_ts_past(&p, 101, 0), SQL_DDL_NEW);
	p.finished = false;
	assert_int_equal(sql_ddl_ts_past(&p, 100, 0), SQL_DDL_FINISHED);
	assert_int_equal(sql_ddl_ts_past(&p, 100, 1), SQL_DDL_IN_DOUBT);
	/* One that the target refused is as new as before, and those before it are done. */
	p.look = SQL_DDL_REFUSED;
	assert_int_equal(sql_ddl_ts_past(&p, 100, 0), SQL_DDL_FINISHED);
	assert_int_equal(sql_ddl_ts_past(&p, 100, 1), SQL_DDL_NEW);
	p.loaded = false;
	assert_int_equal(sql_ddl_ts_past(&p, 100, 0), SQL_DDL_NEW);
}

static void
delays_grow_within_bounds(void **state)
{
	uint32_t seed = 1;

	(void)state;
	for (uint32_t n = 1; n < 40; n++)
		for (int i = 0; i < 50; i++)
			assert_in_range(sql_retry_delay_ms(n, &seed), 500, 60000);
	for (int i = 0; i < 50; i++)
		assert_in_range(sql_retry_delay_ms(1, &seed), 500, 3500);
}

static struct sql_unit *
piece(struct ml_schema *s, const char *rows[], int n, ml_ts ts, struct sql_parcel *p)
{
	struct ml_batch *b = ml_batch_new();
	struct sql_unit *u;

	for (int i = 0; i < n; i++)
		rows_add(b, s, rows[i], ts);
	b->charged_bytes = 100;
	*p = (struct sql_parcel){ .b = b };
	u = rows_unit(b, 0, b->n_rows, true);
	u->parcel = p;
	return u;
}

static void
pieces_of_a_transaction_become_one_unit(void **state)
{
	struct ml_schema *s = rows_table("d", "t", 1, "id:i u:i", "P=id U=u");
	struct sql_parcel p[4];
	struct sql_unit *u[4], *whole;
	struct sql_join j;

	(void)state;
	u[0] = piece(s, (const char *[]){ "I 1|1", "I 2|N" }, 2, 10, &p[0]);
	u[1] = piece(s, (const char *[]){ "I 3|3" }, 1, 10, &p[1]);
	u[2] = piece(s, (const char *[]){ "D 1|1", "U 2|N>2|5" }, 2, 10, &p[2]);
	u[3] = piece(s, (const char *[]){ "I 9|9" }, 1, 11, &p[3]);
	sql_join_init(&j, 350, "cf/0");
	assert_null(sql_join_take(&j));
	assert_false(sql_join_goes_on(&j, u[0]));
	assert_true(sql_join_keep(&j, u[0]));
	assert_ptr_equal(sql_join_take(&j), u[0]); /* alone it is itself */
	assert_true(sql_join_keep(&j, u[0]));
	assert_true(sql_join_goes_on(&j, u[1]));
	assert_true(sql_join_keep(&j, u[1]));
	assert_true(sql_join_keep(&j, u[2]));
	assert_false(sql_join_goes_on(&j, u[3]));
	assert_false(sql_join_keep(&j, u[3])); /* too much */
	whole = sql_join_take(&j);
	assert_int_equal(whole->n_rows, 5);
	assert_int_equal(whole->rows[3].op, ML_OP_DELETE);
	assert_int_equal(whole->first[0], 0);
	assert_int_equal(whole->first[5], 2 + 1 + 2 + 2 + 2);
	assert_true(whole->hashes[whole->first[3]] == whole->hashes[whole->first[0]]); /* row 1 goes as it came */
	assert_ptr_equal(whole->piece, u[0]);
	assert_ptr_equal(u[0]->piece, u[1]);
	assert_ptr_equal(u[2]->piece, NULL);
	assert_null(sql_join_take(&j));
	for (int i = 0; i < 4; i++)
		ml_batch_free(p[i].b);
	ml_schema_unref(s);
	ml_batch_pool_drain();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(errors_are_done_retried_or_final),
		cmocka_unit_test(the_session_has_the_sources_collations),
		cmocka_unit_test(statements_that_number_rows_are_told),
		cmocka_unit_test(a_mark_stands_in_front),
		cmocka_unit_test(what_was_finished_is_known_by_its_place_in_the_commit),
		cmocka_unit_test(delays_grow_within_bounds),
		cmocka_unit_test(pieces_of_a_transaction_become_one_unit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
