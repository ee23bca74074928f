#include "capture-worker/sink/mysql/ddl_async.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "capture-worker/sink/mysql/ddl.h"
#include "capture-worker/sink/mysql/literal.h"
#include "common/run/log.h"

/* TiDB's action codes (protocols.md 2.9). */
enum { ACTION_CREATE_SCHEMA = 1, ACTION_CREATE_TABLE = 3, ACTION_ADD_INDEX = 7, ACTION_CREATE_TABLES = 60 };

struct sql_async_job {
	struct sql_async_job *next;
	struct sql_ddl run; /* of this job alone */
	struct ml_ddl ddl;
	struct ml_buf text;
	struct ml_arena arena; /* of ddl's texts */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t news;
	bool done, left; /* left: the changefeed went on without it */
	int rc;
	struct ml_err err;
};

bool
sql_async_takes(const struct sql_target *t, const struct ml_ddl *ddl)
{
	return t->server == SQL_TIDB && ddl->action == ACTION_ADD_INDEX;
}

static uint64_t
table_hash(struct ml_text db, struct ml_text table)
{
	uint64_t h = UINT64_C(14695981039346656037);
	struct ml_text both[2] = { db, table };

	for (int k = 0; k < 2; k++) {
		for (uint32_t i = 0; i < both[k].len; i++)
			h = (h ^ (uint8_t)both[k].s[i]) * UINT64_C(1099511628211);
		h = (h ^ 0xFF) * UINT64_C(1099511628211);
	}
	return h != 0 ? h : 1;
}

static uint64_t *
find_quiet(struct sql_async *a, uint64_t hash)
{
	for (uint32_t i = 0; i < SQL_ASYNC_TABLES; i++)
		if (a->quiet[i] == hash)
			return &a->quiet[i];
	return NULL;
}

static void
job_free(struct sql_async_job *j)
{
	pthread_mutex_destroy(&j->lock);
	pthread_cond_destroy(&j->news);
	sql_ddl_fini(&j->run);
	ml_buf_fini(&j->text);
	ml_arena_fini(&j->arena);
	free(j);
}

/* Joins the jobs that are through, or (all) every one. */
static void
reap(struct sql_async *a, bool all)
{
	struct sql_async_job **at = &a->jobs, *j;

	while ((j = *at) != NULL) {
		bool done;

		if (all)
			sql_ddl_stop(&j->run);
		pthread_mutex_lock(&j->lock);
		done = j->done;
		pthread_mutex_unlock(&j->lock);
		if (!done && !all) {
			at = &j->next;
			continue;
		}
		*at = j->next;
		pthread_join(j->thread, NULL);
		job_free(j);
	}
}

static void *
job_main(void *arg)
{
	struct sql_async_job *j = arg;
	struct ml_err err = { 0 };
	int rc = sql_ddl_try(&j->run, &j->ddl, &j->text, &err);
	bool left;

	pthread_mutex_lock(&j->lock);
	j->rc = rc;
	j->err = err;
	left = j->left;
	pthread_mutex_unlock(&j->lock);
	if (left && rc != 0) {
		ml_log_err(ML_ERROR, j->run.env->object, &err, "an index is missing downstream");
		ml_error(j->run.env->object, "add it by hand: %s", j->text.data);
		if (j->run.env->warn != NULL)
			j->run.env->warn(j->run.env->arg, &err);
	} else if (left) {
		ml_info(j->run.env->object, "an index was added in the background query=%s", j->text.data);
	}
	pthread_mutex_lock(&j->lock);
	j->done = true;
	pthread_cond_signal(&j->news);
	pthread_mutex_unlock(&j->lock);
	mysql_thread_end();
	return NULL;
}

static struct ml_text
keep(struct ml_arena *a, struct ml_text t)
{
	return (struct ml_text){ ml_arena_strndup(a, t.s != NULL ? t.s : "", t.len), t.len };
}

static struct sql_async_job *
job_new(const struct sql_ddl *like, const struct ml_ddl *ddl, const struct ml_buf *text)
{
	struct sql_async_job *j = calloc(1, sizeof(*j));
	struct ml_text *texts[] = { &j->ddl.query, &j->ddl.db, &j->ddl.table, &j->ddl.pre_db, &j->ddl.pre_table,
		&j->ddl.default_db, &j->ddl.charset, &j->ddl.collation };
	pthread_condattr_t monotonic;

	if (j == NULL)
		abort();
	ml_arena_init(&j->arena, 4096);
	j->ddl = *ddl;
	j->ddl.schema = j->ddl.pre_schema = NULL;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		*texts[i] = keep(&j->arena, *texts[i]);
	ml_buf_put(&j->text, text->data, text->len);
	sql_ddl_init(&j->run, like->target, like->env);
	/* Its progress is not kept: the next DDL is noted long before this one is done. */
	j->run.progress.on = false;
	pthread_mutex_init(&j->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&j->news, &monotonic);
	pthread_condattr_destroy(&monotonic);
	return j;
}

int
sql_async_run(struct sql_async *a, const struct sql_ddl *like, const struct ml_ddl *ddl, const struct ml_buf *text,
	uint32_t wait_ms, struct ml_err *err)
{
	uint64_t *quiet = find_quiet(a, table_hash(ddl->db, ddl->table));
	struct sql_async_job *j = job_new(like, ddl, text);
	struct timespec until;
	int rc;

	reap(a, false);
	if (quiet != NULL)
		*quiet = 0;
	rc = pthread_create(&j->thread, NULL, job_main, j);
	if (rc != 0) {
		job_free(j);
		return ML_ERRF(err, ErrIO, rc, "cannot start a thread: %s", strerror(rc));
	}
	pthread_setname_np(j->thread, "sql-index");
	j->next = a->jobs;
	a->jobs = j;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += wait_ms / 1000;
	until.tv_nsec += (long)(wait_ms % 1000) * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&j->lock);
	while (!j->done && pthread_cond_timedwait(&j->news, &j->lock, &until) == 0)
		;
	if (!j->done) {
		j->left = true;
		ml_info(like->env->object, "an index is being added in the background query=%s", text->data);
	} else if ((rc = j->rc) != 0) {
		*err = j->err;
	}
	pthread_mutex_unlock(&j->lock);
	return rc;
}

/* "ADMIN SHOW DDL JOBS .." has no row for the table, or cannot be asked. */
static bool
is_through(struct sql_conn *c, struct ml_text db, struct ml_text table)
{
	struct ml_err ignored = { 0 };
	struct ml_buf b = { 0 };
	char found[80];
	int rc;

	ml_buf_puts(&b, "ADMIN SHOW DDL JOBS 1 WHERE DB_NAME = ");
	sql_text(&b, db.s, db.len, false);
	ml_buf_puts(&b, " AND TABLE_NAME = ");
	sql_text(&b, table.s, table.len, false);
	ml_buf_puts(&b, " AND JOB_TYPE LIKE 'add index%' AND (STATE = 'running' OR STATE = 'queueing')");
	rc = sql_conn_scalar(c, b.data, found, sizeof(found), &ignored);
	ml_buf_fini(&b);
	return rc <= 0;
}

int
sql_async_await(struct sql_async *a, struct sql_conn *c, const struct ml_ddl *ddl, uint32_t poll_ms, struct ml_err *err)
{
	struct ml_text dbs[2] = { ddl->db, ddl->pre_db.len > 0 ? ddl->pre_db : ddl->db };
	struct ml_text tables[2] = { ddl->table, ddl->pre_table };

	(void)err;
	reap(a, false);
	if (c->target->server != SQL_TIDB || ddl->action == ACTION_CREATE_SCHEMA ||
		ddl->action == ACTION_CREATE_TABLE || ddl->action == ACTION_CREATE_TABLES)
		return 0;
	for (int i = 0; i < 2; i++) {
		uint64_t hash;

		if (tables[i].len == 0)
			continue;
		hash = table_hash(dbs[i], tables[i]);
		if (find_quiet(a, hash) != NULL)
			continue;
		while (!is_through(c, dbs[i], tables[i]))
			usleep(poll_ms * 1000);
		a->quiet[a->n_quiet++ % SQL_ASYNC_TABLES] = hash;
	}
	return 0;
}

void
sql_async_fini(struct sql_async *a)
{
	reap(a, true);
}
