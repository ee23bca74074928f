#include "capture-worker/verify/verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "capture-worker/filter/filter.h"
#include "capture-worker/source/mysql/schema_read.h"
#include "capture-worker/verify/repair.h"
#include "capture-worker/verify/report.h"
#include "common/text/uri.h"

/* A checksum of a chunk takes seconds at most; a server that is silent for longer is gone. */
#define IO_TIMEOUT_S 600
#define PROGRESS_MS 250

struct verify {
	const struct ml_vf_options *o;
	struct ml_my_target *target[2];
	struct ml_vf_report report;
	struct ml_vf_job **jobs; /* the largest first, so that no long one is left for the end */
	size_t n_jobs;
	pthread_mutex_t lock;
	pthread_cond_t progress;  /* a thread ended */
	size_t finished, running; /* tables, threads */
	volatile bool failed;
	struct ml_err err; /* the first */
};

static int
make_target(struct verify *v, int side, struct ml_err *err)
{
	static char none[] = "";
	Ml__Upstream u = ML__UPSTREAM__INIT;
	struct ml_uri *uri;
	const char *scheme, *ca, *cert, *key;
	char *copy = strdup(v->o->uri[side]);
	int rc;

	if (copy == NULL)
		abort();
	if (ml_uri_parse(&uri, copy, err) != 0) {
		free(copy);
		return -1;
	}
	scheme = uri->scheme;
	if (strcmp(scheme, "mysql") != 0 && strcmp(scheme, "mysql+ssl") != 0 && strcmp(scheme, "tidb") != 0 &&
		strcmp(scheme, "tidb+ssl") != 0 && strcmp(scheme, "mariadb") != 0) {
		ML_ERRF(err, ErrConfigInvalid, 0, "scheme %s cannot be compared; give mysql://user@host:port/", scheme);
		ml_uri_free(uri);
		free(copy);
		return -1;
	}
	u.uri = copy;
	u.password = v->o->password[side] != NULL ? v->o->password[side] : none;
	ca = ml_uri_get(uri, "ssl-ca");
	cert = ml_uri_get(uri, "ssl-cert");
	key = ml_uri_get(uri, "ssl-key");
	u.ssl_ca = ca != NULL ? (char *)(uintptr_t)ca : none;
	u.ssl_cert = cert != NULL ? (char *)(uintptr_t)cert : none;
	u.ssl_key = key != NULL ? (char *)(uintptr_t)key : none;
	rc = ml_my_target_new(&v->target[side], &u, err);
	ml_uri_free(uri);
	free(copy);
	return rc;
}

static void
hang_up(struct ml_vf_conns *c)
{
	ml_my_close(&c->c[0]);
	ml_my_close(&c->c[1]);
}

static int
call(struct verify *v, struct ml_vf_conns *c, struct ml_err *err)
{
	static const char *const settings[] = {
		"SET SESSION sql_mode='NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES'",
		"SET SESSION time_zone='+00:00',net_write_timeout=600",
		"SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
		"SET SESSION foreign_key_checks=0",
	};

	memset(c, 0, sizeof(*c));
	for (int side = 0; side < 2; side++) {
		char ignored[8];

		if (ml_my_connect(&c->c[side], v->target[side], IO_TIMEOUT_S, err) != 0)
			goto fail;
		for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
			if (ml_my_query(&c->c[side], settings[i], NULL, err) != 0)
				goto fail;
		/* Servers differ in the name, and either may lack it. */
		if (ml_my_scalar_opt(&c->c[side], "SET SESSION max_statement_time=0", ignored, sizeof(ignored), err) <
				0 ||
			ml_my_scalar_opt(
				&c->c[side], "SET SESSION max_execution_time=0", ignored, sizeof(ignored), err) < 0)
			goto fail;
		continue;
	fail:
		ml_err_in(err, side == ML_VF_UP ? "upstream" : "downstream");
		hang_up(c);
		return -1;
	}
	return 0;
}

/* ---- tables ---- */

static struct ml_schema *
find(const struct ml_schema_list *l, const struct ml_schema *s)
{
	/* Names differ in case where one server folds them; an exact match goes first. */
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->v[i]->qname.s, s->qname.s) == 0)
			return l->v[i];
	for (size_t i = 0; i < l->n; i++)
		if (strcasecmp(l->v[i]->qname.s, s->qname.s) == 0)
			return l->v[i];
	return NULL;
}

static bool
has_db(const struct ml_schema_list *l, const struct ml_schema *s)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcasecmp(l->v[i]->db.s, s->db.s) == 0)
			return true;
	return false;
}

static void
estimate(struct ml_vf_job *j, struct ml_my_conn *c)
{
	struct ml_buf sql = { 0 };
	char text[32];

	ml_buf_puts(&sql, "SELECT TABLE_ROWS FROM information_schema.TABLES WHERE TABLE_SCHEMA=");
	ml_my_quote(c, &sql, j->pair->schema[ML_VF_UP]->db.s);
	ml_buf_puts(&sql, " AND TABLE_NAME=");
	ml_my_quote(c, &sql, j->pair->schema[ML_VF_UP]->table.s);
	if (ml_my_scalar(c, sql.data, text, sizeof(text), NULL) > 0)
		j->estimate = strtoull(text, NULL, 10);
	ml_buf_fini(&sql);
}

static void
add_job(struct verify *v, struct ml_vf_conns *c, struct ml_schema *up, struct ml_schema *down, bool only_down)
{
	struct ml_vf_job *j = ml_vf_job_new(ml_vf_pair_new(up, down, c->c, v->o->hash), v->o->chunk_rows);

	j->only_down = only_down;
	/* Nothing to compare: the report alone is left. */
	j->cursor.ended = only_down || down == NULL || j->pair->n_cols == 0;
	if (!j->cursor.ended)
		estimate(j, &c->c[ML_VF_UP]);
	v->jobs[v->n_jobs++] = j;
}

static int
by_size(const void *x, const void *y)
{
	const struct ml_vf_job *const *a = x, *const *b = y;

	return ((*a)->estimate < (*b)->estimate) - ((*a)->estimate > (*b)->estimate);
}

static bool
comparable(const struct ml_schema *s)
{
	return s->kind != ML_TABLE_VIEW && s->kind != ML_TABLE_SEQUENCE;
}

static int
find_tables(struct verify *v, struct ml_vf_conns *c, struct ml_err *err)
{
	Ml__ChangefeedSpec spec = ML__CHANGEFEED_SPEC__INIT;
	struct ml_schema_list lists[2] = { 0 };
	struct ml_filter *filter = NULL;
	int rc = -1;

	spec.filter_rules = v->o->rules;
	spec.n_filter_rules = v->o->n_rules;
	spec.case_sensitive = v->o->case_sensitive;
	if (ml_filter_new(&filter, &spec, err) != 0)
		return -1;
	for (int side = 0; side < 2; side++)
		if (ml_schema_read_tables(&c->c[side], v->target[side], filter, &lists[side], err) != 0) {
			ml_err_in(err, side == ML_VF_UP ? "upstream" : "downstream");
			goto out;
		}
	v->jobs = calloc(lists[0].n + lists[1].n + 1, sizeof(struct ml_vf_job *));
	if (v->jobs == NULL)
		abort();
	for (size_t i = 0; i < lists[ML_VF_UP].n; i++) {
		struct ml_schema *up = lists[ML_VF_UP].v[i];

		if (comparable(up))
			add_job(v, c, up, find(&lists[ML_VF_DOWN], up), false);
	}
	/* A copy may hold schemas of its own; but in one that is copied, a table too many is a difference. */
	for (size_t i = 0; i < lists[ML_VF_DOWN].n; i++) {
		struct ml_schema *down = lists[ML_VF_DOWN].v[i];

		if (comparable(down) && has_db(&lists[ML_VF_UP], down) && find(&lists[ML_VF_UP], down) == NULL)
			add_job(v, c, down, NULL, true);
	}
	if (v->n_jobs == 0) {
		ML_ERRF(err, ErrConfigInvalid, 0, "no table of the upstream passes the filter");
		goto out;
	}
	qsort(v->jobs, v->n_jobs, sizeof(struct ml_vf_job *), by_size);
	rc = 0;
out:
	ml_filter_free(filter);
	ml_schema_list_fini(&lists[0]);
	ml_schema_list_fini(&lists[1]);
	return rc;
}

/* ---- threads ---- */

static void
fail(struct verify *v, const struct ml_err *err)
{
	pthread_mutex_lock(&v->lock);
	if (!v->failed)
		v->err = *err;
	v->failed = true;
	pthread_mutex_unlock(&v->lock);
}

static int
finish(struct verify *v, struct ml_vf_job *j, struct ml_vf_conns *c, struct ml_err *err)
{
	if (ml_vf_job_settle(j, c, v->o->settle_ms, &v->failed, err) != 0)
		return -1;
	if (v->o->repair && ml_vf_repair(j, c, err) != 0)
		return -1;
	if (ml_vf_report_table(&v->report, j, c, err) != 0)
		return -1;
	pthread_mutex_lock(&v->lock);
	v->finished++;
	pthread_mutex_unlock(&v->lock);
	return 0;
}

static void *
work(void *arg)
{
	struct verify *v = arg;
	struct ml_vf_conns c;
	struct ml_err err = { 0 };

	if (call(v, &c, &err) != 0) {
		fail(v, &err);
	} else {
		for (size_t i = 0; i < v->n_jobs && !v->failed;) {
			bool last;
			int rc = ml_vf_job_chunk(v->jobs[i], &c, &last, &err);

			if (rc > 0 && last)
				rc = finish(v, v->jobs[i], &c, &err) != 0 ? -1 : 0;
			if (rc < 0) {
				ml_err_in(&err, "%s", v->jobs[i]->pair->schema[ML_VF_UP]->qname.s);
				fail(v, &err);
			}
			i += rc == 0;
		}
		hang_up(&c);
	}
	mysql_thread_end();
	pthread_mutex_lock(&v->lock);
	v->running--;
	pthread_cond_signal(&v->progress);
	pthread_mutex_unlock(&v->lock);
	return NULL;
}

static void
show_progress(struct verify *v)
{
	uint64_t rows = 0, estimated = 0;

	for (size_t i = 0; i < v->n_jobs; i++) {
		pthread_mutex_lock(&v->jobs[i]->lock);
		rows += v->jobs[i]->rows;
		estimated += v->jobs[i]->estimate > v->jobs[i]->rows ? v->jobs[i]->estimate : v->jobs[i]->rows;
		pthread_mutex_unlock(&v->jobs[i]->lock);
	}
	ml_vf_report_progress(&v->report, rows, estimated, v->finished, v->n_jobs);
}

static void
work_all(struct verify *v)
{
	pthread_t threads[64];
	uint32_t n = 0;

	for (; n < v->o->threads; n++) {
		pthread_mutex_lock(&v->lock);
		v->running++;
		pthread_mutex_unlock(&v->lock);
		if (pthread_create(&threads[n], NULL, work, v) != 0) {
			struct ml_err err = { 0 };

			ML_ERR(&err, ErrNoMemory, 0, "starting a thread");
			fail(v, &err);
			v->running--;
			break;
		}
	}
	pthread_mutex_lock(&v->lock);
	while (v->running > 0) {
		struct timespec t;

		clock_gettime(CLOCK_REALTIME, &t);
		t.tv_nsec += PROGRESS_MS * 1000000l;
		t.tv_sec += t.tv_nsec / 1000000000;
		t.tv_nsec %= 1000000000;
		pthread_cond_timedwait(&v->progress, &v->lock, &t);
		pthread_mutex_unlock(&v->lock);
		show_progress(v);
		pthread_mutex_lock(&v->lock);
	}
	pthread_mutex_unlock(&v->lock);
	for (uint32_t i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
}

int
ml_vf_run(const struct ml_vf_options *o, struct ml_err *err)
{
	struct verify v = { .o = o };
	struct ml_vf_conns c = { 0 };
	int rc = -1;

	pthread_mutex_init(&v.lock, NULL);
	pthread_cond_init(&v.progress, NULL);
	ml_vf_report_init(&v.report, o);
	if (make_target(&v, ML_VF_UP, err) != 0 || make_target(&v, ML_VF_DOWN, err) != 0 || call(&v, &c, err) != 0)
		goto out;
	if (find_tables(&v, &c, err) != 0)
		goto out;
	/* Tables without chunks are told at once, by this thread. */
	for (size_t i = 0; i < v.n_jobs; i++)
		if (v.jobs[i]->cursor.ended && finish(&v, v.jobs[i], &c, err) != 0)
			goto out;
	work_all(&v);
	if (v.failed) {
		*err = v.err;
		goto out;
	}
	ml_vf_report_end(&v.report);
	rc = v.report.equal == v.report.tables ? 0 : 1;
out:
	hang_up(&c);
	for (size_t i = 0; i < v.n_jobs; i++)
		ml_vf_job_free(v.jobs[i]);
	free(v.jobs);
	ml_my_target_free(v.target[0]);
	ml_my_target_free(v.target[1]);
	ml_vf_report_fini(&v.report);
	pthread_cond_destroy(&v.progress);
	pthread_mutex_destroy(&v.lock);
	return rc;
}
