/* test_sql_collate.c - collations of utf8mb4 by the names that an older MariaDB has for them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "capture-worker/sink/mysql/ddl_collate.h"

#define UCA "utf8mb4_uca1400_nopad_ai_ci"
#define MYSQL ML_COLLATION_UTF8MB4_0900_AI_CI

static void
statements_get_names_that_are_known(void **state)
{
	static const struct {
		const char *in, *want;
		uint16_t dflt;
	} rows[] = {
		{ "CREATE TABLE t (a INT) DEFAULT CHARSET=utf8mb4",
			"CREATE TABLE t (a INT) DEFAULT CHARSET=utf8mb4 COLLATE " UCA, MYSQL },
		{ "create table if not exists `t` (a int) character set 'utf8mb4' comment 'x'",
			"create table if not exists `t` (a int) character set 'utf8mb4' COLLATE " UCA " comment 'x'",
			MYSQL },
		{ "CREATE TABLE t (a INT) CHARSET utf8mb4",
			"CREATE TABLE t (a INT) CHARSET utf8mb4 COLLATE utf8mb4_uca1400_ai_ci", 2304 },
		{ "/* millrace */ CREATE TABLE t (a VARCHAR(9) CHARACTER SET utf8mb4 NOT NULL, b TEXT CHARSET utf8mb4)",
			"/* millrace */ CREATE TABLE t (a VARCHAR(9) CHARACTER SET utf8mb4 COLLATE " UCA
			" NOT NULL, b TEXT CHARSET utf8mb4 COLLATE " UCA ")",
			MYSQL },
		/* What names its collation keeps it, wherever it stands; others beside it do not. */
		{ "CREATE TABLE t (a TEXT CHARACTER SET utf8mb4 NOT NULL COLLATE utf8mb4_bin, b TEXT COLLATE utf8mb4_bin) "
		  "COLLATE=utf8mb4_bin ENGINE=InnoDB, CHARSET=utf8mb4",
			NULL, MYSQL },
		{ "CREATE TABLE t (a TEXT CHARACTER SET utf8mb4 BINARY, b TEXT CHARSET utf8mb4, c TEXT COLLATE utf8mb4_bin)",
			"CREATE TABLE t (a TEXT CHARACTER SET utf8mb4 BINARY, b TEXT CHARSET utf8mb4 COLLATE " UCA
			", c TEXT COLLATE utf8mb4_bin)",
			MYSQL },
		{ "ALTER TABLE t CONVERT TO CHARACTER SET utf8mb4, ADD c TEXT COLLATE utf8mb4_bin",
			"ALTER TABLE t CONVERT TO CHARACTER SET utf8mb4 COLLATE " UCA
			", ADD c TEXT COLLATE utf8mb4_bin",
			MYSQL },
		{ "ALTER TABLE t CHARSET=utf8mb4, DEFAULT COLLATE=utf8mb4_bin", NULL, MYSQL },
		{ "ALTER TABLE t ADD (a TEXT CHARACTER SET utf8mb4)",
			"ALTER TABLE t ADD (a TEXT CHARACTER SET utf8mb4 COLLATE " UCA ")", MYSQL },
		{ "CREATE DATABASE d CHARACTER SET = utf8mb4", "CREATE DATABASE d CHARACTER SET = utf8mb4 COLLATE " UCA,
			MYSQL },
		{ "CREATE TABLE t (a INT /*!80000 CHARACTER SET utf8mb4 */, b TEXT)", NULL, MYSQL },
		/* Values, expressions, other character sets, other statements, other defaults. */
		{ "CREATE TABLE t (a TEXT DEFAULT 'CHARSET utf8mb4', v INT AS (LENGTH(CAST(a AS CHAR CHARACTER SET utf8mb4)))) "
		  "CHARSET=latin1",
			NULL, MYSQL },
		{ "CREATE VIEW v AS SELECT CAST(1 AS CHAR CHARACTER SET utf8mb4) COLLATE utf8mb4_0900_ai_ci", NULL,
			MYSQL },
		{ "CREATE TABLE t (a INT) CHARSET=utf8mb4", NULL, ML_COLLATION_UTF8MB4_GENERAL_CI },
		{ "CREATE TABLE t (a INT) CHARSET=utf8mb4", NULL, 0 },
		{ "", NULL, MYSQL },
		{ "CREATE TABLE t (a INT) CHARSET=", NULL, MYSQL },
		{ "CREATE TABLE t (a INT) CHARSET=utf8mb4 COMMENT 'open",
			"CREATE TABLE t (a INT) CHARSET=utf8mb4 COLLATE " UCA " COMMENT 'open", MYSQL },
		/* Names of MySQL's own. */
		{ "CREATE TABLE t (a TEXT COLLATE utf8mb4_0900_as_cs, b TEXT COLLATE `utf8mb4_0900_bin`, c TEXT COLLATE "
		  "utf8mb4_ja_0900_as_cs) CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci",
			"CREATE TABLE t (a TEXT COLLATE utf8mb4_uca1400_nopad_as_cs, b TEXT COLLATE utf8mb4_nopad_bin, c TEXT "
			"COLLATE utf8mb4_ja_0900_as_cs) CHARSET=utf8mb4 COLLATE=" UCA,
			0 },
		{ "ALTER TABLE t COLLATE utf8mb4_0900_unheard", NULL, MYSQL },
	};
	struct ml_buf b = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ml_ddl ddl = { .n_collations = rows[i].dflt != 0, .collations = { rows[i].dflt } };

		ml_buf_clear(&b);
		ml_buf_puts(&b, rows[i].in);
		sql_ddl_collate(&b, &ddl);
		assert_string_equal(b.data, rows[i].want != NULL ? rows[i].want : rows[i].in);
	}
	ml_buf_fini(&b);
}

static void
only_some_servers_need_it(void **state)
{
	static const struct {
		enum sql_server server;
		const char *version;
		bool want;
	} rows[] = {
		{ SQL_MARIADB, "10.11.6-MariaDB-log", true },
		{ SQL_MARIADB, "10.10.1-MariaDB", true },
		{ SQL_MARIADB, "10.9.8-MariaDB", false },
		{ SQL_MARIADB, "11.4.5-MariaDB", false },
		{ SQL_MYSQL, "10.11.0", false },
		{ SQL_TIDB, "10.11.0", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sql_target t = { .server = rows[i].server };

		strcpy(t.version, rows[i].version);
		assert_int_equal(sql_collates(&t), rows[i].want);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(statements_get_names_that_are_known),
		cmocka_unit_test(only_some_servers_need_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
