/* test_sql_create.c - the source's definitions as other servers take them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "capture-worker/sink/mysql/create.h"

static void
definitions_are_rewritten_for_the_target(void **state)
{
	static const struct {
		enum sql_server server;
		const char *text, *want;
	} rows[] = {
		/* MariaDB takes what MariaDB says. */
		{ SQL_MARIADB,
			"CREATE TABLE IF NOT EXISTS `t` ( `a` text DEFAULT 'x', `b` varchar(9) COMPRESSED DEFAULT uuid() )",
			"CREATE TABLE IF NOT EXISTS `t` ( `a` text DEFAULT 'x', `b` varchar(9) COMPRESSED DEFAULT uuid() )" },
		{ SQL_MYSQL, "CREATE TABLE `t` ( `a` text DEFAULT 'x', `b` varchar(9) COMPRESSED DEFAULT uuid() )",
			"CREATE TABLE `t` ( `a` text DEFAULT ('x'), `b` varchar(9)  DEFAULT (uuid()) )" },
		/* Nothing but plain defaults of types that have none elsewhere, and calls, needs parentheses. */
		{ SQL_TIDB, "CREATE TABLE `t` ( `a` int DEFAULT -1, `b` blob DEFAULT NULL, `c` char(3) DEFAULT 'b' )",
			NULL },
		{ SQL_MYSQL,
			"CREATE TABLE `t` ( `a` datetime DEFAULT current_timestamp() ON UPDATE current_timestamp() )",
			NULL },
		{ SQL_MYSQL, "CREATE TABLE `t` ( `a` int DEFAULT (1 + 2), `e` enum('a',') DEFAULT b') DEFAULT 'a' )",
			NULL },
		{ SQL_MYSQL, "CREATE TABLE `t` ( `a` longtext DEFAULT -1 COMMENT 'DEFAULT 1' CHECK (json_valid(`a`)) )",
			"CREATE TABLE `t` ( `a` longtext DEFAULT (-1) COMMENT 'DEFAULT 1' CHECK (json_valid(`a`)) )" },
		{ SQL_MYSQL,
			"CREATE TABLE `t` ( `text` int DEFAULT 1, `a` int DEFAULT concat('(',substr(')',1)) NOT NULL )",
			"CREATE TABLE `t` ( `text` int DEFAULT 1, `a` int DEFAULT (concat('(',substr(')',1))) NOT NULL )" },
		{ SQL_MYSQL,
			"CREATE TABLE `t` ( `a` text DEFAULT _utf8mb4'x' ) ROW_FORMAT=COMPRESSED DEFAULT CHARSET=utf8mb4",
			"CREATE TABLE `t` ( `a` text DEFAULT (_utf8mb4'x') ) ROW_FORMAT=COMPRESSED DEFAULT CHARSET=utf8mb4" },
		/* Names that a server made of the table's. */
		{ SQL_MARIADB,
			"CREATE TABLE `t` ( `a` int, CONSTRAINT `old_ibfk_12` FOREIGN KEY (`a`) REFERENCES `x` (`y_ibfk_1`) )",
			"CREATE TABLE `t` ( `a` int, CONSTRAINT `new``t_ibfk_12` FOREIGN KEY (`a`) REFERENCES `x` (`y_ibfk_1`) )" },
		{ SQL_MARIADB,
			"CREATE TABLE `t` ( `a` int, CONSTRAINT `ibfk_1` CHECK (1), CONSTRAINT `x_ibfk_` CHECK (2) )",
			NULL },
		/* Nothing that is cut off is read beyond its end. */
		{ SQL_MYSQL, "CREATE TABLE `t` ( `a` text DEFAULT", NULL },
		{ SQL_MYSQL, "CREATE TABLE `t` ( `a` text DEFAULT 'x", NULL },
		{ SQL_MYSQL, "CREATE TABLE `t` ( `a` int DEFAULT f(", "CREATE TABLE `t` ( `a` int DEFAULT (f()" },
		{ SQL_MYSQL, "CREATE TABLE `t` ( CONSTRAINT", NULL },
		{ SQL_MYSQL, "", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ml_ddl ddl = {
			.query = { rows[i].text, (uint32_t)strlen(rows[i].text) },
			.table = { "new`t", 5 },
		};
		struct ml_buf b = { 0 };

		sql_create_text(&b, &ddl, rows[i].server);
		assert_string_equal(b.len > 0 ? b.data : "", rows[i].want != NULL ? rows[i].want : rows[i].text);
		ml_buf_fini(&b);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(definitions_are_rewritten_for_the_target) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
