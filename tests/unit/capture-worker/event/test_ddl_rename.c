/* Other names in the text of DDL: what is a table's name, and what only looks like one. */
#include "capture-worker/event/ddl_rename.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "capture-worker/event/ddl_token.h"

/* Tables of src and other get "_x", src becomes dst, keep stays whole; a table called stay is not renamed. */
static int
name(void *arg, struct ml_text db, struct ml_text table, struct ml_text *new_db, struct ml_text *new_table,
	struct ml_err *err)
{
	struct ml_arena *a = arg;
	char buf[200];

	if (strcmp(table.s, "forbidden") == 0)
		return ML_ERR(err, ErrTableRouteConflict, 0, "forbidden");
	*new_db = strcmp(db.s, "src") == 0 ? (struct ml_text){ "dst", 3 } : db;
	*new_table = table;
	if (table.len == 0 || strcmp(db.s, "keep") == 0 || strcmp(table.s, "stay") == 0)
		return 0;
	snprintf(buf, sizeof(buf), "%s_x", table.s);
	*new_table = (struct ml_text){ ml_arena_strndup(a, buf, strlen(buf)), (uint32_t)strlen(buf) };
	return 0;
}

static int
renamed(struct ml_arena *a, const char *sql, uint64_t sql_mode, struct ml_text *out, struct ml_err *err)
{
	struct ml_ddl_names names = {
		.db = { "src", 3 }, .new_db = { "dst", 3 }, .sql_mode = sql_mode, .name = name, .arg = a
	};

	return ml_ddl_rename(&names, (struct ml_text){ sql, (uint32_t)strlen(sql) }, a, out, err);
}

static void
changes_names_of_tables_alone(void **state)
{
	static const struct {
		const char *sql, *want;
	} rows[] = {
		/* Statements. */
		{ "CREATE TABLE t (id INT)", "CREATE TABLE `t_x` (id INT)" },
		{ "CREATE TABLE src.t (id INT)", "CREATE TABLE `dst`.`t_x` (id INT)" },
		{ "create or replace table if not exists `src` . `t`(t INT)",
			"create or replace table if not exists `dst`.`t_x`(t INT)" },
		{ "CREATE TABLE keep.t (id INT)", "CREATE TABLE keep.t (id INT)" },
		{ "CREATE TABLE other.t (id INT)", "CREATE TABLE `other`.`t_x` (id INT)" },
		{ "CREATE TABLE stay (id INT)", "CREATE TABLE stay (id INT)" },
		{ "CREATE TABLE `a``b` (id INT)", "CREATE TABLE `a``b_x` (id INT)" },
		{ "CREATE TABLE src.5t (id INT)", "CREATE TABLE `dst`.`5t_x` (id INT)" },
		{ "CREATE TABLE t LIKE u", "CREATE TABLE `t_x` LIKE `u_x`" },
		{ "CREATE TABLE t (LIKE src.u)", "CREATE TABLE `t_x` (LIKE `dst`.`u_x`)" },
		{ "ALTER TABLE t ADD COLUMN t INT DEFAULT 1, DROP COLUMN u",
			"ALTER TABLE `t_x` ADD COLUMN t INT DEFAULT 1, DROP COLUMN u" },
		{ "ALTER ONLINE IGNORE TABLE IF EXISTS t NOWAIT ADD c INT",
			"ALTER ONLINE IGNORE TABLE IF EXISTS `t_x` NOWAIT ADD c INT" },
		{ "ALTER TABLE t RENAME u", "ALTER TABLE `t_x` RENAME `u_x`" },
		{ "ALTER TABLE t RENAME TO src.u, ADD c INT", "ALTER TABLE `t_x` RENAME TO `dst`.`u_x`, ADD c INT" },
		{ "ALTER TABLE t RENAME AS `u`", "ALTER TABLE `t_x` RENAME AS `u_x`" },
		{ "ALTER TABLE t RENAME COLUMN a TO b", "ALTER TABLE `t_x` RENAME COLUMN a TO b" },
		{ "ALTER TABLE t RENAME INDEX a TO b", "ALTER TABLE `t_x` RENAME INDEX a TO b" },
		{ "ALTER TABLE t RENAME KEY a TO b", "ALTER TABLE `t_x` RENAME KEY a TO b" },
		{ "ALTER TABLE t EXCHANGE PARTITION p WITH TABLE u WITHOUT VALIDATION",
			"ALTER TABLE `t_x` EXCHANGE PARTITION p WITH TABLE `u_x` WITHOUT VALIDATION" },
		{ "ALTER TABLE t CONVERT PARTITION p TO TABLE src.u",
			"ALTER TABLE `t_x` CONVERT PARTITION p TO TABLE `dst`.`u_x`" },
		{ "ALTER TABLE t CONVERT TO CHARACTER SET utf8mb4",
			"ALTER TABLE `t_x` CONVERT TO CHARACTER SET utf8mb4" },
		{ "ALTER TABLE t UNION=(u, src.v)", "ALTER TABLE `t_x` UNION=(`u_x`, `dst`.`v_x`)" },
		{ "CREATE TABLE t (a INT) ENGINE=MERGE UNION (u)",
			"CREATE TABLE `t_x` (a INT) ENGINE=MERGE UNION (`u_x`)" },
		{ "DROP TABLE IF EXISTS t, src.u, keep.v CASCADE",
			"DROP TABLE IF EXISTS `t_x`, `dst`.`u_x`, keep.v CASCADE" },
		{ "DROP VIEW t", "DROP VIEW `t_x`" },
		{ "RENAME TABLE a TO b, src.c WAIT 5 TO keep.d",
			"RENAME TABLE `a_x` TO `b_x`, `dst`.`c_x` WAIT 5 TO keep.d" },
		{ "TRUNCATE t", "TRUNCATE `t_x`" },
		{ "TRUNCATE TABLE src.t", "TRUNCATE TABLE `dst`.`t_x`" },
		{ "CREATE UNIQUE INDEX IF NOT EXISTS t USING BTREE ON t (t, u DESC)",
			"CREATE UNIQUE INDEX IF NOT EXISTS t USING BTREE ON `t_x` (t, u DESC)" },
		{ "CREATE FULLTEXT INDEX i ON src.t (a)", "CREATE FULLTEXT INDEX i ON `dst`.`t_x` (a)" },
		{ "DROP INDEX t ON t", "DROP INDEX t ON `t_x`" },
		{ "CREATE DATABASE IF NOT EXISTS src CHARSET utf8mb4",
			"CREATE DATABASE IF NOT EXISTS `dst` CHARSET utf8mb4" },
		{ "CREATE SCHEMA keep", "CREATE SCHEMA keep" },
		{ "ALTER DATABASE src COLLATE utf8mb4_bin", "ALTER DATABASE `dst` COLLATE utf8mb4_bin" },
		{ "ALTER DATABASE CHARACTER SET latin1", "ALTER DATABASE CHARACTER SET latin1" },
		{ "DROP DATABASE src", "DROP DATABASE `dst`" },
		/* Behind the table's name. */
		{ "CREATE TABLE t (a INT REFERENCES u (a), FOREIGN KEY (b) REFERENCES src.v (b) ON DELETE CASCADE)",
			"CREATE TABLE `t_x` (a INT REFERENCES `u_x` (a), FOREIGN KEY (b) REFERENCES `dst`.`v_x` (b) ON DELETE CASCADE)" },
		{ "CREATE TABLE t (a INT COMMENT 'src.t references u', b INT DEFAULT nextval(src.t))",
			"CREATE TABLE `t_x` (a INT COMMENT 'src.t references u', b INT DEFAULT nextval(src.t))" },
		{ "CREATE TABLE t (a INT DEFAULT (NEXT VALUE FOR t.s), b INT AS (src.t.a + t.a + u.a))",
			"CREATE TABLE `t_x` (a INT DEFAULT (NEXT VALUE FOR t.s), b INT AS (`dst`.`t_x`.a + `t_x`.a + u.a))" },
		{ "CREATE TABLE t (d DATE, y INT AS (EXTRACT(YEAR FROM d)), u INT AS (TRIM(BOTH 'x' FROM u)))",
			"CREATE TABLE `t_x` (d DATE, y INT AS (EXTRACT(YEAR FROM d)), u INT AS (TRIM(BOTH 'x' FROM u)))" },
		{ "CREATE TABLE t AS SELECT u.a, 'u.a' FROM u JOIN src.v w ON u.a = w.a",
			"CREATE TABLE `t_x` AS SELECT `u_x`.a, 'u.a' FROM `u_x` JOIN `dst`.`v_x` w ON `u_x`.a = w.a" },
		/* Queries. */
		{ "CREATE ALGORITHM=UNDEFINED DEFINER=`root`@`localhost` SQL SECURITY DEFINER VIEW `v` AS select `t`.`a` from `t`",
			"CREATE ALGORITHM=UNDEFINED DEFINER=`root`@`localhost` SQL SECURITY DEFINER VIEW `v_x` AS select `t_x`.`a` from `t_x`" },
		{ "CREATE DEFINER=t@127.0.0.1 VIEW v (t, u) AS SELECT t.*, src.u.b, u.c FROM t, u",
			"CREATE DEFINER=t@127.0.0.1 VIEW `v_x` (t, u) AS SELECT `t_x`.*, `dst`.`u_x`.b, `u_x`.c FROM `t_x`, `u_x`" },
		{ "CREATE VIEW`v`AS SELECT a.c FROM t`a`", "CREATE VIEW`v_x`AS SELECT a.c FROM `t_x` `a`" },
		{ "ALTER VIEW v AS SELECT 1 FROM DUAL", "ALTER VIEW `v_x` AS SELECT 1 FROM DUAL" },
		{ "CREATE VIEW v AS SELECT a.c, b.c FROM t AS a LEFT JOIN u b USING (c), w WHERE w.d IN (SELECT t.d FROM x.t)",
			"CREATE VIEW `v_x` AS SELECT a.c, b.c FROM `t_x` AS a LEFT JOIN `u_x` b USING (c), `w_x` WHERE `w_x`.d IN (SELECT `t_x`.d FROM `x`.`t_x`)" },
		{ "CREATE VIEW v AS SELECT s.c FROM (SELECT c FROM t) AS s, (t JOIN (u, w)) WHERE f(t.c) AND db.f(t.c) ORDER BY t.c, u.c",
			"CREATE VIEW `v_x` AS SELECT s.c FROM (SELECT c FROM `t_x`) AS s, (`t_x` JOIN (`u_x`, `w_x`)) WHERE f(`t_x`.c) AND db.f(`t_x`.c) ORDER BY `t_x`.c, `u_x`.c" },
		{ "CREATE VIEW v AS WITH RECURSIVE q (n) AS (SELECT 1 UNION SELECT n + 1 FROM q), p AS (SELECT * FROM t) SELECT q.n, p.a FROM q JOIN p JOIN u ON u.n = q.n",
			"CREATE VIEW `v_x` AS WITH RECURSIVE q (n) AS (SELECT 1 UNION SELECT n + 1 FROM q), p AS (SELECT * FROM `t_x`) SELECT q.n, p.a FROM q JOIN p JOIN `u_x` ON `u_x`.n = q.n" },
		{ "CREATE VIEW v AS SELECT j.a FROM t, JSON_TABLE(t.doc, '$[*]' COLUMNS (a INT PATH '$.a')) AS j",
			"CREATE VIEW `v_x` AS SELECT j.a FROM `t_x`, JSON_TABLE(`t_x`.doc, '$[*]' COLUMNS (a INT PATH '$.a')) AS j" },
		{ "CREATE VIEW v AS SELECT a FROM t PARTITION (p0) USE INDEX (t, u), u FOR SYSTEM_TIME FROM '1' TO '2' WITH CHECK OPTION",
			"CREATE VIEW `v_x` AS SELECT a FROM `t_x` PARTITION (p0) USE INDEX (t, u), `u_x` FOR SYSTEM_TIME FROM '1' TO '2' WITH CHECK OPTION" },
		{ "CREATE VIEW v AS (SELECT a FROM t) UNION ALL (SELECT b FROM u) LIMIT 3",
			"CREATE VIEW `v_x` AS (SELECT a FROM `t_x`) UNION ALL (SELECT b FROM `u_x`) LIMIT 3" },
	};
	struct ml_arena a;
	struct ml_text out;

	(void)state;
	ml_arena_init(&a, 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ml_err err = { 0 };

		if (renamed(&a, rows[i].sql, 0, &out, &err) != 0)
			fail_msg("%s: %s", rows[i].sql, err.text);
		assert_string_equal(out.s, rows[i].want);
		assert_int_equal(out.len, strlen(rows[i].want));
	}
	ml_arena_fini(&a);
}

static void
reads_quotes_as_the_session_did(void **state)
{
	static const char sql[] = "ALTER TABLE \"t\" ADD \"c\" INT DEFAULT '\"t\"' COMMENT 'a\\' REFERENCES u";
	struct ml_err err = { 0 };
	struct ml_arena a;
	struct ml_text out;

	(void)state;
	ml_arena_init(&a, 0);
	assert_int_equal(renamed(&a, sql, 0, &out, &err), -1);
	assert_int_equal(renamed(&a, sql, ML_SQL_MODE_ANSI_QUOTES | ML_SQL_MODE_NO_BACKSLASH_ESCAPES, &out, &err), 0);
	assert_string_equal(out.s, "ALTER TABLE `t_x` ADD \"c\" INT DEFAULT '\"t\"' COMMENT 'a\\' REFERENCES `u_x`");
	ml_arena_fini(&a);
}

static void
puts_databases_in_front_where_the_default_is_another(void **state)
{
	struct ml_err err = { 0 };
	struct ml_arena a;
	struct ml_text out, query = { "CREATE TABLE src.t LIKE u", 25 };
	struct ml_ddl_names names = { .db = { "other", 5 }, .new_db = { "dst", 3 }, .name = name, .arg = &a };

	(void)state;
	ml_arena_init(&a, 0);
	assert_int_equal(ml_ddl_rename(&names, query, &a, &out, &err), 0);
	assert_string_equal(out.s, "CREATE TABLE `dst`.`t_x` LIKE `other`.`u_x`");
	/* A table that keeps its name, but not its database. */
	query = (struct ml_text){ "DROP TABLE stay", 15 };
	assert_int_equal(ml_ddl_rename(&names, query, &a, &out, &err), 0);
	assert_string_equal(out.s, "DROP TABLE `other`.`stay`");
	ml_arena_fini(&a);
}

static void
refuses_what_it_does_not_understand(void **state)
{
	static const struct {
		const char *sql, *want;
		enum ml_code code;
	} rows[] = {
		{ "", "another kind", ML_ErrTableRoutingFailed },
		{ "INSERT INTO t VALUES (1)", "another kind", ML_ErrTableRoutingFailed },
		{ "CREATE TRIGGER t BEFORE INSERT ON t FOR EACH ROW SET @a = 1", "another kind",
			ML_ErrTableRoutingFailed },
		{ "ALTER EVENT e DISABLE", "another kind", ML_ErrTableRoutingFailed },
		{ "DROP USER u", "another kind", ML_ErrTableRoutingFailed },
		{ "RENAME USER a TO b", "another kind", ML_ErrTableRoutingFailed },
		{ "CREATE TABLE", "no name of a table", ML_ErrTableRoutingFailed },
		{ "CREATE TABLE 'x' (a INT)", "no name of a table", ML_ErrTableRoutingFailed },
		{ "CREATE TABLE a.b.c (a INT)", "too long a name", ML_ErrTableRoutingFailed },
		{ "CREATE TABLE t (a INT", "not closed", ML_ErrTableRoutingFailed },
		{ "CREATE TABLE t a INT)", "not opened", ML_ErrTableRoutingFailed },
		{ "CREATE TABLE t (a INT COMMENT 'x)", "not closed", ML_ErrTableRoutingFailed },
		{ "CREATE VIEW v SELECT 1", "without a query", ML_ErrTableRoutingFailed },
		{ "CREATE VIEW v AS TABLE t", "TABLE in a query", ML_ErrTableRoutingFailed },
		{ "CREATE VIEW v AS SELECT 1 FROM {OJ t}", "not a table", ML_ErrTableRoutingFailed },
		{ "DROP TABLE ``", "an empty name", ML_ErrTableRoutingFailed },
		{ "RENAME TABLE a b", "without a new name", ML_ErrTableRoutingFailed },
		{ "DROP TABLE a b", "not the end", ML_ErrTableRoutingFailed },
		{ "DROP INDEX i", "no table", ML_ErrTableRoutingFailed },
		{ "CREATE VIEW v AS SELECT t.a FROM t WHERE EXISTS (SELECT t.b FROM u t)", "several tables",
			ML_ErrTableRoutingFailed },
		{ "CREATE VIEW v AS SELECT t_x.a FROM t", "several tables", ML_ErrTableRoutingFailed },
		{ "CREATE VIEW v AS SELECT t_x.a FROM t, u t_x", "an alias", ML_ErrTableRoutingFailed },
		{ "DROP TABLE forbidden", "forbidden", ML_ErrTableRouteConflict },
		{ "CREATE VIEW v AS SELECT keep.forbidden.a", "forbidden", ML_ErrTableRouteConflict },
	};
	struct ml_arena a;
	struct ml_text out;

	(void)state;
	ml_arena_init(&a, 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ml_err err = { 0 };

		if (renamed(&a, rows[i].sql, 0, &out, &err) != -1)
			fail_msg("accepted: %s", rows[i].sql);
		assert_int_equal(err.code, rows[i].code);
		if (strstr(err.text, rows[i].want) == NULL)
			fail_msg("%s: %s", rows[i].sql, err.text);
	}
	ml_arena_fini(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(changes_names_of_tables_alone),
		cmocka_unit_test(reads_quotes_as_the_session_did),
		cmocka_unit_test(puts_databases_in_front_where_the_default_is_another),
		cmocka_unit_test(refuses_what_it_does_not_understand),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
