#include "capture-worker/sink/mysql/ddl_ts.h"

#include <mysqld_error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture-worker/event/mark.h"
#include "capture-worker/sink/mysql/literal.h"
#include "common/run/log.h"

static const char *const tables[] = {
	"CREATE DATABASE IF NOT EXISTS " ML_MARK_DB,
	"CREATE TABLE IF NOT EXISTS " ML_MARK_DB
	".ddl_ts_v1 (ticdc_cluster_id varchar(255), changefeed varchar(255), ddl_ts "
	"varchar(18), table_id bigint(21), finished bool, is_syncpoint bool, INDEX (ticdc_cluster_id, changefeed, table_id), "
	"PRIMARY KEY (ticdc_cluster_id, changefeed, table_id)) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
	"CREATE TABLE IF NOT EXISTS " ML_MARK_DB
	".millrace_ddl (ticdc_cluster_id varchar(255), changefeed varchar(255), "
	"commit_ts bigint unsigned NOT NULL, nth int unsigned NOT NULL, finished bool NOT NULL, look bigint unsigned NOT NULL, PRIMARY KEY (ticdc_cluster_id, "
	"changefeed)) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
};

bool
sql_is_denied(int lib)
{
	switch (lib) {
	case ER_DBACCESS_DENIED_ERROR:
	case ER_TABLEACCESS_DENIED_ERROR:
	case ER_SPECIFIC_ACCESS_DENIED_ERROR:
		return true;
	default:
		return false;
	}
}

void
sql_ddl_ts_init(struct sql_ddl_ts *p, const struct ml_sink_env *env, bool on)
{
	*p = (struct sql_ddl_ts){ .env = env, .on = on };
}

static void
put_id(struct ml_buf *b, const struct ml_sink_env *env, const char *between)
{
	const char *cluster = env->config != NULL && env->config->cluster_id != NULL ? env->config->cluster_id : "";
	char id[600];

	snprintf(id, sizeof(id), "%s/%s", env->spec->namespace_, env->spec->id);
	sql_text(b, cluster, strlen(cluster), false);
	ml_buf_puts(b, between);
	sql_text(b, id, strlen(id), false);
}

static int
read_row(struct sql_ddl_ts *p, struct sql_conn *c, struct ml_err *err)
{
	struct ml_buf b = { 0 };
	unsigned long long ts, look;
	unsigned nth, finished;
	char text[80];
	int rc;

	ml_buf_puts(&b, "SELECT CONCAT_WS(' ', commit_ts, nth, finished, look) FROM " ML_MARK_DB ".millrace_ddl WHERE "
			"ticdc_cluster_id = ");
	put_id(&b, p->env, " AND changefeed = ");
	rc = sql_conn_scalar(c, b.data, text, sizeof(text), err);
	ml_buf_fini(&b);
	if (rc > 0 && sscanf(text, "%llu %u %u %llu", &ts, &nth, &finished, &look) == 4) {
		p->ts = ts;
		p->nth = nth;
		p->finished = finished != 0;
		p->look = look;
	}
	return rc < 0 ? -1 : 0;
}

int
sql_ddl_ts_load(struct sql_ddl_ts *p, struct sql_conn *c, struct ml_err *err)
{
	int rc = 0;

	if (!p->on || p->loaded)
		return 0;
	for (size_t i = 0; rc == 0 && i < sizeof(tables) / sizeof(tables[0]); i++)
		rc = sql_conn_run(c, tables[i], strlen(tables[i]), NULL, err);
	if (rc == 0)
		rc = read_row(p, c, err);
	if (rc != 0 && sql_is_denied(err->lib)) {
		ml_log_err(ML_WARN, p->env->object, err,
			"the progress of DDL cannot be kept in the target's " ML_MARK_DB
			", a DDL may be done again after a crash");
		*err = (struct ml_err){ 0 };
		p->on = false;
		return 0;
	}
	p->loaded = rc == 0;
	return rc;
}

enum sql_ddl_past
sql_ddl_ts_past(const struct sql_ddl_ts *p, ml_ts ts, uint32_t nth)
{
	if (!p->loaded || p->ts != ts || nth > p->nth)
		return SQL_DDL_NEW;
	if (nth == p->nth && !p->finished && p->look == SQL_DDL_REFUSED)
		return SQL_DDL_NEW;
	return nth < p->nth || p->finished ? SQL_DDL_FINISHED : SQL_DDL_IN_DOUBT;
}

int
sql_ddl_ts_note(struct sql_ddl_ts *p, struct sql_conn *c, ml_ts ts, uint32_t nth, bool finished, uint64_t look,
	struct ml_err *err)
{
	struct ml_buf b = { 0 };
	int rc;

	if (!p->on)
		return 0;
	ml_buf_puts(&b, "START TRANSACTION;REPLACE INTO " ML_MARK_DB ".millrace_ddl (ticdc_cluster_id, changefeed, "
			"commit_ts, nth, finished, look) VALUES (");
	put_id(&b, p->env, ", ");
	ml_buf_printf(&b,
		", %llu, %u, %d, %llu);REPLACE INTO " ML_MARK_DB ".ddl_ts_v1 (ticdc_cluster_id, changefeed, ddl_ts, "
		"table_id, finished, is_syncpoint) VALUES (",
		(unsigned long long)ts, nth, finished, (unsigned long long)look);
	put_id(&b, p->env, ", ");
	ml_buf_printf(&b, ", '%llu', 0, %d, 0);COMMIT", (unsigned long long)ts, finished);
	rc = sql_conn_run(c, b.data, b.len, NULL, err);
	ml_buf_fini(&b);
	if (rc == 0) {
		p->ts = ts;
		p->nth = nth;
		p->finished = finished;
		p->look = look;
	}
	return rc;
}

void
sql_ddl_ts_forget(const struct sql_ddl_ts *p, const struct sql_target *t)
{
	static const char *const names[] = { "millrace_ddl", "ddl_ts_v1" };
	struct sql_conn c = { 0 };
	struct ml_buf b = { 0 };
	struct ml_err err = { 0 };

	if (!p->on || sql_conn_open(&c, t, false, &err) != 0)
		return;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		ml_buf_clear(&b);
		ml_buf_printf(&b, "DELETE FROM " ML_MARK_DB ".%s WHERE ticdc_cluster_id = ", names[i]);
		put_id(&b, p->env, " AND changefeed = ");
		/* No table, no row; nobody may be told of it either. */
		(void)sql_conn_run(&c, b.data, b.len, NULL, &err);
	}
	ml_buf_fini(&b);
	sql_conn_close(&c);
}
