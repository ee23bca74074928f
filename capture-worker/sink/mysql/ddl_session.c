#include "capture-worker/sink/mysql/ddl_session.h"

#include <mysqld_error.h>
#include <stdio.h>
#include <string.h>

#include "capture-worker/event/ddl_token.h"
#include "capture-worker/event/mark.h"
#include "capture-worker/sink/mysql/literal.h"

/* TiDB's action codes (protocols.md 2.9). */
enum {
	ACTION_CREATE_SCHEMA = 1,
	ACTION_DROP_SCHEMA = 2,
	ACTION_CREATE_VIEW = 21,
};

void
sql_ddl_mode(struct ml_buf *b, uint64_t mode, enum sql_server server)
{
	static const struct {
		uint64_t bit;
		const char *name;
		bool mariadb_only;
	} modes[] = {
		{ 1, "REAL_AS_FLOAT", false },
		{ 2, "PIPES_AS_CONCAT", false },
		{ 4, "ANSI_QUOTES", false },
		{ 8, "IGNORE_SPACE", false },
		{ 0x200, "ORACLE", true },
		{ 0x8000, "NO_FIELD_OPTIONS", true },
		{ 0x100000, "NO_BACKSLASH_ESCAPES", false },
		{ 0x20000000, "HIGH_NOT_PRECEDENCE", false },
	};
	const char *comma = ",";

	ml_buf_puts(b, "SET sql_mode = 'NO_ENGINE_SUBSTITUTION,NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES");
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if ((mode & modes[i].bit) != 0 && (!modes[i].mariadb_only || server == SQL_MARIADB))
			ml_buf_printf(b, "%s%s", comma, modes[i].name);
	ml_buf_puts(b, "'");
}

bool
sql_ddl_collations(struct ml_buf *b, const struct ml_ddl *ddl, enum sql_server server)
{
	if (server == SQL_MARIADB && ddl->n_collations > 0) {
		ml_buf_puts(b,
			"SET character_set_collations = (SELECT IFNULL(GROUP_CONCAT(CONCAT(character_set_name, '=', "
			"full_collation_name)), '') FROM information_schema.collation_character_set_applicability "
			"WHERE id IN (");
		for (uint8_t i = 0; i < ddl->n_collations; i++)
			ml_buf_printf(b, "%s%u", i > 0 ? ", " : "", ddl->collations[i]);
		ml_buf_puts(b, "))");
		return true;
	}
	for (uint8_t i = 0; server == SQL_MYSQL && i < ddl->n_collations; i++)
		if (ddl->collations[i] == ML_COLLATION_UTF8MB4_GENERAL_CI ||
			ddl->collations[i] == ML_COLLATION_UTF8MB4_0900_AI_CI) {
			ml_buf_printf(b, "SET default_collation_for_utf8mb4 = %u", ddl->collations[i]);
			return true;
		}
	return false;
}

static int
run(struct sql_conn *c, const char *text, struct ml_err *err)
{
	return sql_conn_run(c, text, strlen(text), NULL, err);
}

/* As run, for what a server may lack: then it does not need it, or there is nothing better.  True if it was taken. */
static bool
suggest(struct sql_conn *c, const char *text)
{
	struct ml_err ignored;

	return run(c, text, &ignored) == 0;
}

void
sql_ddl_lenient(struct sql_conn *c)
{
	(void)suggest(c, "SET innodb_strict_mode = OFF");
	(void)suggest(c, "SET system_versioning_alter_history = 'KEEP'");
	(void)suggest(c, "SET sql_require_primary_key = OFF");
	(void)suggest(c, "SET lock_wait_timeout = 31536000");
}

static bool
set_server_collation(struct sql_conn *c, const struct ml_ddl *ddl)
{
	char text[64];

	snprintf(text, sizeof(text), "SET collation_server = %u", ddl->server_collation);
	if (ddl->server_collation != 0 && suggest(c, text))
		return true;
	/* What MariaDB makes of it from 11.4 on, and has from 10.10 on. */
	return ddl->server_collation == ML_COLLATION_UTF8MB4_0900_AI_CI &&
	       suggest(c, "SET collation_server = 'utf8mb4_uca1400_nopad_ai_ci'");
}

/*
 * What the source's session had.  Where the target lacks a collation its own default of the same character set serves.  TiDB's
 * defaults are its own.
 */
static void
put_defaults(struct sql_conn *c, const struct ml_ddl *ddl)
{
	struct ml_buf b = { 0 };

	if (c->target->server == SQL_TIDB)
		return;
	/* First, since it decides what the second of the next two means. */
	if (sql_ddl_collations(&b, ddl, c->target->server))
		(void)suggest(c, b.data);
	if (ddl->action == ACTION_CREATE_SCHEMA && !set_server_collation(c, ddl) && ddl->charset.len > 0) {
		ml_buf_clear(&b);
		ml_buf_puts(&b, "SET character_set_server = ");
		sql_text(&b, ddl->charset.s, ddl->charset.len, false);
		(void)suggest(c, b.data);
	}
	if (ddl->implicit_timestamps)
		(void)suggest(c, "SET explicit_defaults_for_timestamp = OFF");
	ml_buf_fini(&b);
}

/* USE of the database in which names without one are meant. */
static int
use_db(struct sql_conn *c, const struct ml_ddl *ddl, struct ml_err *err)
{
	struct ml_text dbs[2] = { ddl->default_db, ddl->db };
	int rc = 0;

	if (ddl->action == ACTION_CREATE_SCHEMA || ddl->action == ACTION_DROP_SCHEMA)
		return 0;
	for (int i = 0; i < 2; i++) {
		struct ml_buf b = { 0 };

		if (dbs[i].len == 0)
			continue;
		ml_buf_puts(&b, "USE ");
		sql_name(&b, dbs[i].s, dbs[i].len);
		rc = sql_conn_run(c, b.data, b.len, NULL, err);
		ml_buf_fini(&b);
		/* The event's database need not be replicated: then the statement names its own. */
		if (rc == 0 || err->lib != ER_BAD_DB_ERROR)
			return rc;
	}
	return rc;
}

void
sql_ddl_mark(struct sql_conn *c)
{
	char text[100];

	snprintf(text, sizeof(text), "SET auto_increment_increment = %d, auto_increment_offset = %d", ML_MARK_INCREMENT,
		ML_MARK_OFFSET);
	(void)suggest(c, text);
}

bool
sql_ddl_numbers_rows(const struct ml_ddl *ddl)
{
	struct ml_lexer lx;
	struct ml_tok t;

	ml_lexer_init(&lx, ddl->query.s, ddl->query.len, ddl->sql_mode, 0, true);
	t = ml_lexer_next(&lx);
	return ml_tok_is(&t, "ALTER") && ddl->action != ACTION_CREATE_VIEW;
}

int
sql_ddl_session(struct sql_conn *c, const struct ml_ddl *ddl, struct ml_err *err)
{
	uint64_t us = ddl->time_us > 0 ? ddl->time_us : ml_ts_ms(ddl->commit_ts) * 1000;
	struct ml_buf mode = { 0 };
	char stamp[64];
	int rc;

	sql_ddl_lenient(c);
	put_defaults(c, ddl);
	if (c->target->mark_table && !sql_ddl_numbers_rows(ddl))
		sql_ddl_mark(c);
	sql_ddl_mode(&mode, ddl->sql_mode, c->target->server);
	/* What CURRENT_TIMESTAMP of a new column was upstream, the old rows get here too. */
	snprintf(stamp, sizeof(stamp), "SET TIMESTAMP = %llu.%06u", (unsigned long long)(us / 1000000),
		(unsigned)(us % 1000000));
	rc = use_db(c, ddl, err) != 0 || run(c, mode.data, err) != 0 || run(c, stamp, err) != 0 ||
			     (c->target->write_source && run(c, "SET SESSION tidb_cdc_write_source = 1", err) != 0)
		     ? -1
		     : 0;
	ml_buf_fini(&mode);
	return rc;
}
