#include "capture-worker/sink/mysql/ddl.h"

#include <errmsg.h>
#include <errno.h>
#include <fcntl.h>
#include <mysqld_error.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "capture-worker/event/mark.h"
#include "capture-worker/sink/mysql/ddl_collate.h"
#include "capture-worker/sink/mysql/ddl_doubt.h"
#include "capture-worker/sink/mysql/ddl_rewrite.h"
#include "capture-worker/sink/mysql/ddl_session.h"
#include "capture-worker/sink/mysql/literal.h"
#include "capture-worker/sink/mysql/worker.h"
#include "common/run/log.h"
#include "common/run/loop.h"

#define MAX_TRIES 20
/* What a statement may take on top of write-timeout, where it has a limit. */
#define GRACE_MS 5000
/* A DDL that takes longer is told of this often. */
#define SLOW_MS 30000
/* From this time on the API tells it, too. */
#define TELL_API_MS 60000
/* How long ADD INDEX in TiDB may hold up what comes behind it. */
#define ASYNC_WAIT_MS 10000
#define JOB_POLL_MS 5000
#define PAUSE_STEP_MS 100

/* TiDB's action codes (protocols.md 2.9). */
enum {
	ACTION_ADD_COLUMN = 5,
	ACTION_DROP_COLUMN = 6,
	ACTION_ADD_INDEX = 7,
	ACTION_MODIFY_COLUMN = 12,
	ACTION_RENAME_TABLE = 14,
	ACTION_ADD_PARTITION = 19,
	ACTION_ADD_PRIMARY_KEY = 32,
	ACTION_ADD_COLUMNS = 37,
	ACTION_DROP_COLUMNS = 38,
	ACTION_EXCHANGE_PARTITION = 42,
	ACTION_RENAME_TABLES = 47,
	ACTION_REORGANIZE_PARTITION = 64,
	ACTION_MULTI_SCHEMA_CHANGE = 61,
};

/* MariaDB: DROP VIEW of none; MySQL says 1051. */
#define ER_UNKNOWN_VIEW_NO 4092

void
sql_ddl_init(struct sql_ddl *d, const struct sql_target *t, const struct ml_sink_env *env)
{
	*d = (struct sql_ddl){ .target = t, .env = env, .seed = (uint32_t)ml_now_ms() };
	atomic_init(&d->conn.fd, -1);
	sql_ddl_ts_init(&d->progress, env, t->params->ddl_ts && !t->params->dry_run);
}

void
sql_ddl_fini(struct sql_ddl *d)
{
	sql_conn_close(&d->conn);
}

void
sql_ddl_stop(struct sql_ddl *d)
{
	atomic_store(&d->stop, true);
	sql_conn_break(&d->conn);
}

/* ---- errors ---- */

bool
sql_ddl_is_done(int lib)
{
	switch (lib) {
	case ER_DB_CREATE_EXISTS:
	case ER_DB_DROP_EXISTS:
	case ER_TABLE_EXISTS_ERROR:
	case ER_BAD_TABLE_ERROR:
	case ER_DUP_FIELDNAME:
	case ER_DUP_INDEX:
	case ER_MULTIPLE_PRI_KEY:
	case ER_KEY_DOES_NOT_EXISTS:
	case ER_CANT_DROP_FIELD_OR_KEY:
	case ER_BAD_FIELD_ERROR:
	case ER_DUP_KEYNAME:
	case ER_SAME_NAME_PARTITION:
	case 1507: /* partition to drop or change does not exist */
	case ER_UNKNOWN_VIEW_NO:
		return true;
	default:
		return false;
	}
}

bool
sql_ddl_may_retry(int lib, const char *text)
{
	switch (lib) {
	case ER_DBACCESS_DENIED_ERROR:
	case ER_ACCESS_DENIED_ERROR:
	case ER_NO_DB_ERROR:
	case ER_BAD_DB_ERROR:
	case ER_PARSE_ERROR:
	case ER_KEY_COLUMN_DOES_NOT_EXIST:
	case ER_NO_SUCH_INDEX:
	case ER_NO_SUCH_TABLE:
	case ER_SYNTAX_ERROR:
	case ER_WRONG_COLUMN_NAME:
	case ER_PARTITION_MGMT_ON_NONPARTITIONED:
	case ER_NONUNIQ_TABLE:
	case 3750: /* a primary key is required */
	/* What one kind of server has and another has not: ours. */
	case ER_UNKNOWN_COLLATION:
	case ER_UNKNOWN_CHARACTER_SET:
	case ER_UNKNOWN_STORAGE_ENGINE:
	case ER_NOT_SUPPORTED_YET:
	case ER_FEATURE_DISABLED:
		return false;
	case ER_UNKNOWN_ERROR:
		return strstr(text, "Information schema is out of date") != NULL || strstr(text, "is changed") != NULL;
	default:
		return true;
	}
}

/* ---- the statement ---- */

void
sql_ddl_text(struct ml_buf *out, const struct ml_ddl *ddl, const struct sql_target *t)
{
	ml_buf_clear(out);
	if (t->mark_table)
		ml_buf_puts(out, ML_MARK_COMMENT " ");
	sql_ddl_name_indexes(out, ddl);
	if (sql_ddl_lacks_vectors(t))
		sql_ddl_vectors_to_text(out, ddl->sql_mode);
	if (sql_collates(t))
		sql_ddl_collate(out, ddl);
}

/* ---- running it ---- */

static bool
has_limit(int action)
{
	switch (action) {
	case ACTION_ADD_PARTITION:
	case ACTION_EXCHANGE_PARTITION:
	case ACTION_REORGANIZE_PARTITION:
	case ACTION_ADD_PRIMARY_KEY:
	case ACTION_ADD_INDEX:
	case ACTION_MODIFY_COLUMN:
	case ACTION_ADD_COLUMN:
	case ACTION_ADD_COLUMNS:
	case ACTION_DROP_COLUMN:
	case ACTION_DROP_COLUMNS:
	case ACTION_MULTI_SCHEMA_CHANGE:
		return false;
	default:
		return true;
	}
}

static void
tell_running(struct sql_ddl *d, uint64_t ms, const char *query)
{
	struct ml_err err;

	ML_ERR(&err, ErrDDLStillRunning, 0, (unsigned long long)ms / 1000, query);
	if (ms < TELL_API_MS || d->env->warn == NULL) {
		ml_warn(d->env->object, "%s", err.text);
		return;
	}
	d->env->warn(d->env->arg, &err);
	d->warned = true;
}

/* Sends the statement and waits, telling every SLOW_MS that it still runs.  limit_ms 0: for ever. */
static int
run_slow(struct sql_ddl *d, struct sql_conn *c, const struct ml_buf *text, uint64_t limit_ms, struct ml_err *err)
{
	uint64_t begin = ml_now_ms(), told = begin;
	struct pollfd p = { .fd = atomic_load(&c->fd), .events = POLLIN };

	if (mysql_send_query(c->my, text->data, (unsigned long)text->len) != 0)
		return sql_conn_error(c, err);
	while (poll(&p, 1, 1000) == 0) {
		uint64_t now = ml_now_ms();

		if (limit_ms > 0 && now - begin > limit_ms) {
			sql_conn_break(c);
			return ML_ERR(err, ErrMySQLTxnError, CR_SERVER_LOST, c->target->addr,
				"the statement took longer than its time limit", 0u);
		}
		if (now - told >= SLOW_MS) {
			told = now;
			tell_running(d, now - begin, text->data);
		}
	}
	if (mysql_read_query_result(c->my) != 0)
		return sql_conn_error(c, err);
	return sql_conn_rest(c, err);
}

static bool
table_exists(struct sql_conn *c, struct ml_text db, struct ml_text table, struct ml_err *err)
{
	struct ml_buf b = { 0 };
	char found[8];
	int rc;

	ml_buf_puts(&b, "select 1 from information_schema.tables where table_schema = ");
	sql_text(&b, db.s, db.len, false);
	ml_buf_puts(&b, " and table_name = ");
	sql_text(&b, table.s, table.len, false);
	rc = sql_conn_scalar(c, b.data, found, sizeof(found), err);
	ml_buf_fini(&b);
	return rc > 0;
}

/* A RENAME whose old table is gone and whose new one is there is done. */
static bool
rename_is_done(struct sql_conn *c, const struct ml_ddl *ddl)
{
	struct ml_err e = { 0 };

	if (ddl->pre_table.len == 0 || (ddl->action != ACTION_RENAME_TABLE && ddl->action != ACTION_RENAME_TABLES))
		return false;
	return !table_exists(c, ddl->pre_db.len > 0 ? ddl->pre_db : ddl->db, ddl->pre_table, &e) &&
	       table_exists(c, ddl->db, ddl->table, &e) && e.code == ML_OK;
}

static int
execute(struct sql_ddl *d, struct sql_conn *c, const struct ml_ddl *ddl, const struct ml_buf *text, struct ml_err *err)
{
	uint64_t limit = has_limit(ddl->action) ? (uint64_t)d->target->params->write_timeout_ms + GRACE_MS : 0;

	if (sql_ddl_session(c, ddl, err) != 0)
		return -1;
	if (run_slow(d, c, text, limit, err) == 0)
		return 0;
	if (sql_is_lost(err->lib) ||
		(!sql_ddl_is_done(err->lib) && (err->lib != ER_NO_SUCH_TABLE || !rename_is_done(c, ddl))))
		return -1;
	ml_info(d->env->object, "DDL was done already downstream error=%d query=%s", err->lib, text->data);
	*err = (struct ml_err){ 0 };
	return 0;
}

/* Nobody knows whether the DDL, begun before a crash, was done.  1: it was; 0: it was not; -1: error, or ask a person. */
static int
settle_doubt(
	struct sql_ddl *d, struct sql_conn *c, const struct ml_ddl *ddl, const struct ml_buf *text, struct ml_err *err)
{
	uint64_t look;

	if (sql_ddl_await(c, text, err) < 0 || sql_ddl_look(&look, c, ddl, err) != 0)
		return -1;
	if (look != 0 && d->progress.look != 0)
		return look != d->progress.look;
	if (!sql_ddl_swaps(ddl))
		return 0;
	return ML_ERR(err, ErrDDLStateNotFound, 0, text->data, (unsigned long long)ddl->start_ts,
		d->env->spec->namespace_, d->env->spec->id);
}

/* What was begun over a connection that broke is in doubt like what was begun before a crash. */
static int
run_on(struct sql_ddl *d, struct sql_conn *c, const struct ml_ddl *ddl, const struct ml_buf *text, struct ml_err *err)
{
	struct ml_err ignored;
	uint64_t look;
	int rc;

	if (sql_ddl_ts_load(&d->progress, c, err) != 0)
		return -1;
	switch (sql_ddl_ts_past(&d->progress, d->ts, d->nth)) {
	case SQL_DDL_FINISHED:
		ml_info(d->env->object, "DDL was done before the last stop query=%s", text->data);
		return 0;
	case SQL_DDL_IN_DOUBT:
		rc = settle_doubt(d, c, ddl, text, err);
		if (rc < 0)
			return -1;
		if (rc > 0)
			ml_info(d->env->object, "DDL that was cut off turns out to be done query=%s", text->data);
		d->ran = d->ran || rc > 0;
		break;
	default:
		if (d->progress.on && (sql_ddl_look(&look, c, ddl, err) != 0 ||
					      sql_ddl_ts_note(&d->progress, c, d->ts, d->nth, false, look, err) != 0))
			return -1;
	}
	if (!d->ran && execute(d, c, ddl, text, err) != 0) {
		/* Else a person's change that makes it possible would be taken for its own. */
		if (!sql_is_lost(err->lib))
			(void)sql_ddl_ts_note(&d->progress, c, d->ts, d->nth, false, SQL_DDL_REFUSED, &ignored);
		return -1;
	}
	d->ran = true;
	return sql_ddl_ts_note(&d->progress, c, d->ts, d->nth, true, 0, err);
}

static int
try_once(struct sql_ddl *d, const struct ml_ddl *ddl, const struct ml_buf *text, struct ml_err *err)
{
	int rc;

	if (sql_conn_open(&d->conn, d->target, true, err) != 0)
		return -1;
	rc = d->async != NULL ? sql_async_await(d->async, &d->conn, ddl, JOB_POLL_MS, err) : 0;
	if (rc == 0)
		rc = run_on(d, &d->conn, ddl, text, err);
	sql_conn_close(&d->conn);
	return rc;
}

/* The target will not take it, however often it is asked. */
static int
refused(const struct ml_ddl *ddl, const struct ml_buf *text, struct ml_err *err)
{
	struct ml_err e = *err;

	ml_err_set(err, ML_ErrExecDDLFailed, e.lib,
		"exec DDL failed: query: %.480s, startTs: %llu: %.200s. If you want to skip this DDL and continue with "
		"replication, you can manually execute this DDL downstream. Afterwards, add `ignore-txn-start-ts=[%llu]` to "
		"the changefeed in the filter configuration.",
		text->data, (unsigned long long)ddl->start_ts, e.text, (unsigned long long)ddl->start_ts);
	return -1;
}

/* Sleeps; false if it is to stop. */
static bool
pause_ms(struct sql_ddl *d, uint32_t ms)
{
	uint64_t end = ml_now_ms() + ms;

	while (!atomic_load(&d->stop) && ml_now_ms() < end)
		usleep(PAUSE_STEP_MS * 1000);
	return !atomic_load(&d->stop);
}

int
sql_ddl_try(struct sql_ddl *d, const struct ml_ddl *ddl, const struct ml_buf *text, struct ml_err *err)
{
	for (uint32_t tries = 1;; tries++) {
		*err = (struct ml_err){ 0 };
		if (try_once(d, ddl, text, err) == 0)
			return 0;
		if (err->code == ML_ErrDDLStateNotFound || atomic_load(&d->stop))
			return -1;
		if (err->code != ML_ErrMySQLConnectionError && !sql_ddl_may_retry(err->lib, err->text))
			return refused(ddl, text, err);
		if (tries >= MAX_TRIES)
			return ml_err_wrap(err, ML_ErrReachMaxTry,
				"reach maximum try: %d, error: Failed query info: %.400s; ", MAX_TRIES, text->data);
		ml_log_err(ML_WARN, d->env->object, err, "a DDL failed downstream and is tried again");
		if (d->env->warn != NULL) {
			d->env->warn(d->env->arg, err);
			d->warned = true;
		}
		if (!pause_ms(d, sql_retry_delay_ms(tries, &d->seed)))
			return -1;
	}
}

int
sql_ddl_run(struct sql_ddl *d, const struct ml_ddl *ddl, struct ml_err *err)
{
	struct ml_buf text = { 0 };
	uint64_t begin = ml_now_ms();
	int rc;

	d->nth = ddl->commit_ts == d->ts ? d->nth + 1 : 0;
	d->ts = ddl->commit_ts;
	d->ran = false;
	sql_ddl_text(&text, ddl, d->target);
	if (d->target->params->dry_run)
		rc = 0;
	else if (d->async != NULL && sql_async_takes(d->target, ddl))
		rc = sql_async_run(d->async, d, ddl, &text, ASYNC_WAIT_MS, err);
	else
		rc = sql_ddl_try(d, ddl, &text, err);
	if (rc == 0) {
		ml_info(d->env->object, "DDL done downstream commit_ts=%llu ms=%llu query=%s",
			(unsigned long long)ddl->commit_ts, (unsigned long long)(ml_now_ms() - begin), text.data);
		if (d->warned)
			d->env->warn(d->env->arg, NULL);
		d->warned = false;
	}
	ml_buf_fini(&text);
	return rc;
}
