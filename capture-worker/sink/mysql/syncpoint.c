#include "capture-worker/sink/mysql/syncpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "capture-worker/event/mark.h"
#include "capture-worker/sink/mysql/literal.h"
#include "capture-worker/sink/mysql/worker.h"
#include "common/run/log.h"
#include "common/run/loop.h"
#include "common/text/json.h"
#include "common/text/replica.h"
#include "common/text/uri.h"

#define INTERVAL_MS (10u * 60 * 1000)
#define RETENTION_MS (24u * 3600 * 1000)
#define LEAST_INTERVAL_MS 30000u
#define LEAST_RETENTION_MS 3600000u
#define MAX_TRIES 20
#define ER_UNKNOWN_VARIABLE_NO 1193

/* A duration, as Go's text or in nanoseconds. */
static int
read_ms(uint64_t *ms, const struct ml_json *doc, const char *key, uint64_t least, struct ml_err *err)
{
	const struct ml_json *v = ml_replica_get(doc, key);
	int64_t ns;

	if (v == NULL)
		return 0;
	if (v->type == ML_JSON_NUMBER)
		ns = strtoll(v->s, NULL, 10);
	else if (v->type != ML_JSON_STRING || ml_parse_duration_ns(v->s, &ns) != 0)
		ns = -1;
	if (ns < (int64_t)least * 1000000)
		return ML_ERRF(err, ErrInvalidReplicaConfig, 0, "invalid replica config, %s must be larger than %llus",
			key, (unsigned long long)least / 1000);
	*ms = (uint64_t)ns / 1000000;
	return 0;
}

int
sql_syncpoint_init(
	struct sql_syncpoint *s, const struct sql_target *t, const struct ml_sink_env *env, struct ml_err *err)
{
	const char *text = env->spec->replica_config_json;
	struct ml_json *doc;
	struct ml_arena a;
	int rc;

	*s = (struct sql_syncpoint){ .target = t,
		.env = env,
		.interval_ms = INTERVAL_MS,
		.retention_ms = RETENTION_MS,
		.seed = (uint32_t)ml_now_ms() };
	if (text == NULL || !ml_replica_on(text, "enable-sync-point"))
		return 0;
	s->on = true;
	ml_arena_init(&a, 4096);
	rc = ml_json_parse(&doc, &a, text, strlen(text), err);
	if (rc == 0)
		rc = read_ms(&s->interval_ms, doc, "sync-point-interval", LEAST_INTERVAL_MS, err) != 0 ||
				     read_ms(&s->retention_ms, doc, "sync-point-retention", LEAST_RETENTION_MS, err) !=
					     0
			     ? -1
			     : 0;
	ml_arena_fini(&a);
	return rc;
}

/* The smallest multiple of the interval at or above ts. */
static ml_ts
multiple(const struct sql_syncpoint *s, ml_ts ts)
{
	uint64_t ms = ml_ts_ms(ts) + (ml_ts_from_ms(ml_ts_ms(ts)) < ts);

	return ml_ts_from_ms((ms + s->interval_ms - 1) / s->interval_ms * s->interval_ms);
}

ml_ts
sql_syncpoint_due(struct sql_syncpoint *s, ml_ts ts)
{
	ml_ts since, point;

	if (!s->on)
		return 0;
	if (s->next == 0) {
		since = s->env->replicating_ts != NULL ? atomic_load(s->env->replicating_ts) : 0;
		if (since == 0)
			return 0;
		s->next = multiple(s, since + 1);
	}
	if (s->next > ts)
		return 0;
	/* The last one at or below ts. */
	point = ml_ts_from_ms(ml_ts_ms(ts) / s->interval_ms * s->interval_ms);
	s->next = point + ml_ts_from_ms(s->interval_ms);
	return point;
}

static int
run(struct sql_conn *c, const char *text, struct ml_err *err)
{
	return sql_conn_run(c, text, strlen(text), NULL, err);
}

static int
make_table(struct sql_syncpoint *s, struct sql_conn *c, struct ml_err *err)
{
	char text[700];

	/* A GTID position is longer than a timestamp. */
	snprintf(text, sizeof(text),
		"CREATE TABLE IF NOT EXISTS " ML_MARK_DB
		".syncpoint_v1 (ticdc_cluster_id varchar(255), changefeed varchar(255), "
		"primary_ts varchar(18), secondary_ts varchar(%d), created_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP, "
		"INDEX (created_at), PRIMARY KEY (changefeed, primary_ts))",
		s->target->server == SQL_TIDB ? 18 : 4096);
	if (s->ready)
		return 0;
	if (run(c, "CREATE DATABASE IF NOT EXISTS " ML_MARK_DB, err) != 0 || run(c, text, err) != 0)
		return -1;
	s->ready = true;
	return 0;
}

static const char *
cluster_of(const struct sql_syncpoint *s)
{
	const Ml__ServerConfig *config = s->env->config;

	return config != NULL && config->cluster_id != NULL ? config->cluster_id : "";
}

static void
put_text(struct ml_buf *b, const char *text)
{
	sql_text(b, text, strlen(text), false);
}

static int
insert(struct sql_syncpoint *s, struct sql_conn *c, ml_ts point, const char *secondary, struct ml_err *err)
{
	struct ml_buf b = { 0 };
	int rc;

	ml_buf_puts(&b, "insert ignore into " ML_MARK_DB
			".syncpoint_v1 (ticdc_cluster_id, changefeed, primary_ts, secondary_ts) VALUES (");
	put_text(&b, cluster_of(s));
	ml_buf_puts(&b, ", ");
	put_text(&b, s->env->spec->id);
	ml_buf_printf(&b, ", '%llu', ", (unsigned long long)point);
	put_text(&b, secondary);
	ml_buf_puts(&b, ")");
	rc = run(c, b.data, err);
	ml_buf_fini(&b);
	return rc;
}

/* Old ones go, once a retention; that this fails is only told. */
static void
clean_up(struct sql_syncpoint *s, struct sql_conn *c)
{
	uint64_t now = ml_now_ms();
	struct ml_buf b = { 0 };
	struct ml_err err = { 0 };

	if (s->cleaned_ms != 0 && now - s->cleaned_ms < s->retention_ms)
		return;
	s->cleaned_ms = now;
	ml_buf_puts(&b, "DELETE IGNORE FROM " ML_MARK_DB ".syncpoint_v1 WHERE ticdc_cluster_id = ");
	put_text(&b, cluster_of(s));
	ml_buf_puts(&b, " and changefeed = ");
	put_text(&b, s->env->spec->id);
	ml_buf_printf(&b, " and created_at < (NOW() - INTERVAL %.2f SECOND)", (double)s->retention_ms / 1000);
	if (run(c, b.data, &err) != 0)
		ml_log_err(ML_WARN, s->env->object, &err, "cannot remove old sync points");
	ml_buf_fini(&b);
}

static int
write_on(struct sql_syncpoint *s, struct sql_conn *c, ml_ts point, struct ml_err *err)
{
	const char *ask = s->target->server == SQL_TIDB      ? "select @@tidb_current_ts"
			  : s->target->server == SQL_MARIADB ? "select @@gtid_binlog_pos"
							     : "select @@gtid_executed";
	char secondary[4097] = "", set[80];

	if (make_table(s, c, err) != 0 || run(c, "START TRANSACTION", err) != 0)
		return -1;
	if (s->target->write_source && run(c, "SET SESSION tidb_cdc_write_source = 1", err) != 0)
		return -1;
	if (sql_conn_scalar(c, ask, secondary, sizeof(secondary), err) < 0 || insert(s, c, point, secondary, err) != 0)
		return -1;
	if (s->target->server == SQL_TIDB) {
		snprintf(set, sizeof(set), "set global tidb_external_ts = %.20s", secondary);
		if (run(c, set, err) != 0 && err->lib != ER_UNKNOWN_VARIABLE_NO)
			return -1;
		*err = (struct ml_err){ 0 };
	}
	if (run(c, "COMMIT", err) != 0)
		return -1;
	clean_up(s, c);
	return 0;
}

int
sql_syncpoint_write(struct sql_syncpoint *s, ml_ts point, struct ml_err *err)
{
	if (s->target->params->dry_run)
		return 0;
	for (uint32_t tries = 1;; tries++) {
		struct sql_conn c = { 0 };
		int rc;

		*err = (struct ml_err){ 0 };
		rc = sql_conn_open(&c, s->target, false, err);
		if (rc == 0)
			rc = write_on(s, &c, point, err);
		sql_conn_close(&c);
		if (rc == 0) {
			ml_info(s->env->object, "sync point written primary_ts=%llu", (unsigned long long)point);
			return 0;
		}
		if (tries >= MAX_TRIES)
			return -1;
		ml_log_err(ML_WARN, s->env->object, err, "a sync point cannot be written and is tried again");
		usleep(sql_retry_delay_ms(tries, &s->seed) * 1000);
	}
}
