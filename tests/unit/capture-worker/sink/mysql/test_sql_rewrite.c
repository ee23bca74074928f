/* test_sql_rewrite.c - names for indexes without one, as the source has them; vectors where the target has none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "capture-worker/sink/mysql/ddl_rewrite.h"
#include "capture-worker/source/mysql/ddl_apply.h"

static struct ml_text
lit(const char *s)
{
	return (struct ml_text){ s, (uint32_t)strlen(s) };
}

/* The definition behind the statement. */
static struct ml_schema *
step(struct ml_schema *before, const char *sql)
{
	struct ml_ddl_env env = { .mariadb = true, .default_db = "d", .default_db_len = 1 };
	struct ml_schema *after;
	struct ml_ddl_stmt st;
	struct ml_arena a;
	bool uncertain;

	ml_arena_init(&a, 0);
	assert_int_equal(ml_ddl_classify(&env, sql, strlen(sql), &a, &st), ML_DDL_DDL);
	after = ml_ddl_apply(before, &st.items[0], lit("utf8mb4"), lit("utf8mb4_general_ci"), &uncertain);
	ml_arena_fini(&a);
	return after;
}

static void
indexes_get_the_names_that_they_have_at_the_source(void **state)
{
	static const char base[] =
		"CREATE TABLE t (id INT PRIMARY KEY, a INT, b VARCHAR(20), c TEXT, `q``u` INT, KEY b (b))";
	/* want NULL: as it is.  Statements that begin with CREATE TABLE make the table, others change that of base. */
	static const struct {
		const char *sql, *want;
	} rows[] = {
		{ "ALTER TABLE t ADD INDEX (a)", "ALTER TABLE t ADD INDEX `a` (a)" },
		{ "ALTER TABLE t ADD KEY(a)", "ALTER TABLE t ADD KEY `a` (a)" },
		{ "alter table t add unique (a, id)", "alter table t add unique `a` (a, id)" },
		{ "ALTER TABLE t ADD UNIQUE KEY (b)", "ALTER TABLE t ADD UNIQUE KEY `b_2` (b)" },
		{ "ALTER TABLE t ADD INDEX (b(3) DESC, a)", "ALTER TABLE t ADD INDEX `b_2` (b(3) DESC, a)" },
		{ "ALTER TABLE t ADD INDEX USING BTREE (a)", "ALTER TABLE t ADD INDEX `a` USING BTREE (a)" },
		{ "ALTER TABLE t ADD FULLTEXT (c), ADD KEY (a)",
			"ALTER TABLE t ADD FULLTEXT `c` (c), ADD KEY `a` (a)" },
		{ "ALTER TABLE t ADD CONSTRAINT UNIQUE (a)", "ALTER TABLE t ADD CONSTRAINT UNIQUE `a` (a)" },
		{ "ALTER TABLE t ADD INDEX IF NOT EXISTS (a)", "ALTER TABLE t ADD INDEX IF NOT EXISTS `a` (a)" },
		{ "ALTER TABLE t ADD INDEX (`q``u`)", "ALTER TABLE t ADD INDEX `q``u` (`q``u`)" },
		{ "ALTER TABLE t ADD x INT, ADD INDEX/* why */(x)",
			"ALTER TABLE t ADD x INT, ADD INDEX/* why */`x` (x)" },
		{ "ALTER TABLE t ADD (x INT, KEY (x, a))", "ALTER TABLE t ADD (x INT, KEY `x` (x, a))" },
		{ "CREATE TABLE n (id INT PRIMARY KEY, a INT, e ENUM('(','KEY (a)'), KEY (a), UNIQUE (e,a)) COMMENT 'KEY (a)'",
			"CREATE TABLE n (id INT PRIMARY KEY, a INT, e ENUM('(','KEY (a)'), KEY `a` (a), UNIQUE `e` (e,a)) COMMENT 'KEY (a)'" },
		/* Named already. */
		{ "ALTER TABLE t ADD INDEX x (a), ADD UNIQUE `y` (b), ADD CONSTRAINT z UNIQUE (a, b)", NULL },
		{ "CREATE TABLE n (id INT PRIMARY KEY, a INT, KEY x (a))", NULL },
		{ "CREATE UNIQUE INDEX x ON t (a)", NULL },
		{ "ALTER TABLE t DROP PRIMARY KEY, ADD PRIMARY KEY (a)", NULL },
		/* Two that count by the same column: who knows which comes first. */
		{ "ALTER TABLE t ADD INDEX (a), ADD UNIQUE (a, b)", NULL },
		{ "CREATE TABLE n (id INT PRIMARY KEY, KEY (a), a INT UNIQUE)", NULL },
		/* Servers make indexes for foreign keys, or not. */
		{ "ALTER TABLE t ADD INDEX (a), ADD FOREIGN KEY (a) REFERENCES p (id)", NULL },
		{ "CREATE TABLE n (id INT PRIMARY KEY, `primary` INT, KEY (`primary`))", NULL },
		{ "ALTER TABLE t ADD INDEX ((a + 1))", NULL },
		{ "ALTER TABLE t ADD INDEX (a", NULL },
		{ "ALTER TABLE t ADD INDEX (a, 'x", NULL },
		{ "ALTER TABLE t ADD CONSTRAINT CHECK (a > 0)", NULL },
		{ "ALTER TABLE t COMMENT = 'ADD INDEX (a)'", NULL },
		{ "RENAME TABLE t TO u", NULL },
		{ "", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool create = strncmp(rows[i].sql, "CREATE TABLE", 12) == 0;
		bool whole = strstr(rows[i].sql, "(a") == NULL || strchr(rows[i].sql, ')') != NULL;
		struct ml_schema *before = create ? NULL : step(NULL, base);
		struct ml_schema *after = rows[i].sql[0] != '\0' && whole ? step(before, rows[i].sql) : NULL;
		struct ml_ddl ddl = { .query = lit(rows[i].sql), .schema = after, .pre_schema = before };
		struct ml_buf out = { 0 };

		sql_ddl_name_indexes(&out, &ddl);
		assert_string_equal(out.len > 0 ? out.data : "", rows[i].want != NULL ? rows[i].want : rows[i].sql);
		ml_buf_clear(&out);
		/* Without the definitions there is nothing to say. */
		ddl.schema = NULL;
		sql_ddl_name_indexes(&out, &ddl);
		assert_string_equal(out.len > 0 ? out.data : "", rows[i].sql);
		ml_buf_fini(&out);
		ml_schema_unref(before);
		ml_schema_unref(after);
	}
}

static void
vectors_become_texts(void **state)
{
	static const char *const rows[][2] = {
		{ "CREATE TABLE t (id INT PRIMARY KEY, v VECTOR(3) NOT NULL, w vector(1536))",
			"CREATE TABLE t (id INT PRIMARY KEY, v LONGTEXT NOT NULL, w LONGTEXT)" },
		{ "ALTER TABLE t ADD COLUMN v vector (5) COMMENT 'VECTOR(5)'",
			"ALTER TABLE t ADD COLUMN v LONGTEXT COMMENT 'VECTOR(5)'" },
		{ "CREATE TABLE vector (vector INT, `VECTOR(3)` INT, KEY vector (vector))", NULL },
		{ "ALTER TABLE t ADD v VECTOR(", NULL },
		{ "DROP TABLE vector", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ml_buf b = { 0 };

		ml_buf_puts(&b, rows[i][0]);
		sql_ddl_vectors_to_text(&b, 0);
		assert_string_equal(b.data, rows[i][1] != NULL ? rows[i][1] : rows[i][0]);
		ml_buf_fini(&b);
	}
}

static void
vectors_are_lacking_where_the_user_has_them_and_the_target_not(void **state)
{
	static const struct {
		enum sql_server server;
		const char *version;
		bool lacks;
	} rows[] = {
		{ SQL_MYSQL, "8.0.36", true },
		{ SQL_MARIADB, "10.11.6-MariaDB", true },
		{ SQL_TIDB, "8.0.11-TiDB-v8.3.0", true },
		{ SQL_TIDB, "5.7.25-TiDB-v7.5.1", true },
		{ SQL_TIDB, "8.0.11-TiDB-v8.4.0", false },
		{ SQL_TIDB, "8.0.11-TiDB-v10.0.0-beta", false },
		{ SQL_TIDB, "something", true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (int has = 0; has < 2; has++) {
			struct sql_params p = { .has_vector_type = has };
			struct sql_target t = { .params = &p, .server = rows[i].server };

			strcpy(t.version, rows[i].version);
			assert_int_equal(sql_ddl_lacks_vectors(&t), has && rows[i].lacks);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(indexes_get_the_names_that_they_have_at_the_source),
		cmocka_unit_test(vectors_become_texts),
		cmocka_unit_test(vectors_are_lacking_where_the_user_has_them_and_the_target_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
