#include "capture-worker/sink/mysql/worker.h"

#include <mysqld_error.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "capture-worker/event/mark.h"
#include "capture-worker/sink/mysql/conflict.h"
#include "capture-worker/sink/mysql/flush.h"
#include "capture-worker/sink/mysql/stmt.h"
#include "common/base/fault.h"
#include "common/run/log.h"
#include "common/run/loop.h"

#define MAX_TRIES 8
#define RETRY_BASE_MS 500
#define RETRY_CAP_MS 60000
/* Two workers that wait for each other's locks: one was rolled back, and can go on when the other is through. */
#define DEADLOCK_QUICK_TRIES 5
#define DEADLOCK_MS 40
/* A connection is closed after this time without work, as TiCDC's are. */
#define IDLE_CLOSE_MS 300000
/* A transaction that waits for others longer than this is told of, at most once in as long. */
#define SLOW_US UINT64_C(60000000)
/* One that rested for this long is looked at before it is used. */
#define IDLE_CHECK_MS 1000
/* One packet of statements: large enough that round trips do not count, small enough that workers stay small. */
#define PACKET_BYTES (512u << 10)

struct worker {
	struct sql_engine *e;
	int32_t index;
	pthread_t thread;
	bool started;
	pthread_cond_t wake;
	struct sql_unit *queue, **queue_tail; /* under the engine's lock */
	uint32_t queued_rows;
	bool busy, troubled;
	struct sql_conn conn;
	struct sql_flush flush;
	struct sql_flush_env flush_env; /* the engine's, with a begin of its own where that names the worker */
	char begin[200];
	struct sql_args args;
	struct ml_buf template;
	struct sql_stmts *stmts; /* of conn; NULL: none yet */
	uint32_t seed;
	uint64_t done_us; /* the last flush was over */
};

struct sql_engine {
	struct sql_engine_env env;
	struct sql_flush_env flush_env;
	size_t packet_bytes;
	pthread_mutex_t lock;
	pthread_cond_t idle; /* n_units fell to 0, or failed */
	struct sql_conflict conflict;
	struct worker *workers;
	uint32_t n_workers;
	uint32_t current, current_rows; /* where units without a past go, and how many rows in a row */
	uint64_t n_units;               /* taken over and not committed */
	uint32_t n_troubled;            /* workers whose transaction was refused more than once */
	bool stopping, failed;
	struct ml_err err;
	struct ml_list parcels; /* all whose units are not all committed */
	_Atomic uint64_t bytes_out, errors;
	struct ml_figures figures; /* under the lock */
	uint64_t told_us;          /* of a transaction that waits long */
};

uint32_t
sql_retry_delay_ms(uint32_t n, uint32_t *seed)
{
	uint64_t t = n < 16 ? (uint64_t)RETRY_BASE_MS << n : RETRY_CAP_MS, u;

	if (t > RETRY_CAP_MS)
		t = RETRY_CAP_MS;
	t /= 2;
	u = (t + (uint64_t)rand_r(seed) % t) * 3;
	u = (uint64_t)rand_r(seed) % u + RETRY_BASE_MS;
	return u < RETRY_CAP_MS ? (uint32_t)u : RETRY_CAP_MS;
}

static uint64_t
clock_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* ---- units in and out; the engine's lock is held ---- */

static struct worker *
least_loaded(struct sql_engine *e)
{
	struct worker *best = NULL;

	for (uint32_t i = 1; i <= e->n_workers; i++) {
		struct worker *w = &e->workers[(e->current + i) % e->n_workers];
		uint32_t load = w->queued_rows + (w->busy ? 1 : 0);

		if (load == 0)
			return w;
		if (best == NULL || load < best->queued_rows + (best->busy ? 1 : 0))
			best = w;
	}
	return best;
}

static void
push(struct sql_engine *e, struct worker *w, struct sql_unit *u, uint64_t now_us)
{
	u->next = NULL;
	*w->queue_tail = u;
	w->queue_tail = &u->next;
	if (w->queued_rows == 0)
		pthread_cond_signal(&w->wake);
	w->queued_rows += u->n_rows;
	ml_figure_add(&e->figures, ML_FIG_CONFLICT, now_us - u->since_us, 1);
	if (now_us - u->since_us > SLOW_US && now_us - e->told_us > SLOW_US) {
		e->told_us = now_us;
		ml_warn(e->env.object,
			"a transaction has waited long for others with the same keys table=%s commit_ts=%llu seconds=%llu",
			u->rows[0].schema->qname.s, (unsigned long long)u->rows[0].commit_ts,
			(unsigned long long)(now_us - u->since_us) / 1000000);
	}
	u->since_us = now_us;
	sql_conflict_assign(&e->conflict, u, w->index);
}

/* Units without a past go to one worker until it has a flush's worth: few large transactions are cheaper than many small ones. */
static void
assign_ready(struct sql_engine *e, uint64_t now_us)
{
	struct sql_unit *u;

	while ((u = sql_conflict_ready(&e->conflict)) != NULL) {
		if (u->worker >= 0) {
			push(e, &e->workers[u->worker], u, now_us);
			continue;
		}
		if (e->current_rows >= e->flush_env.max_txn_row) {
			e->current = (uint32_t)least_loaded(e)->index;
			e->current_rows = 0;
		}
		e->current_rows += u->n_rows;
		push(e, &e->workers[e->current], u, now_us);
	}
}

int
sql_engine_check(struct sql_engine *e, struct ml_err *err)
{
	int rc;

	pthread_mutex_lock(&e->lock);
	rc = e->failed ? -1 : 0;
	if (rc != 0)
		*err = e->err;
	pthread_mutex_unlock(&e->lock);
	return rc;
}

static void
parcel_done(struct sql_engine *e, struct sql_parcel *p)
{
	uint64_t seq = p->seq;

	if (atomic_fetch_sub(&p->units, 1) > 1)
		return;
	pthread_mutex_lock(&e->lock);
	ml_list_remove(&p->in);
	pthread_mutex_unlock(&e->lock);
	ml_batch_free(p->b);
	e->env.durable(e->env.arg, seq);
}

void
sql_engine_begin(struct sql_engine *e, struct sql_parcel *p)
{
	pthread_mutex_lock(&e->lock);
	ml_list_append(&e->parcels, &p->in);
	pthread_mutex_unlock(&e->lock);
}

int
sql_engine_add(struct sql_engine *e, struct sql_unit *units, struct ml_err *err)
{
	struct sql_unit *next;
	uint64_t now_us;

	pthread_mutex_lock(&e->lock);
	now_us = clock_us();
	if (e->failed) {
		*err = e->err;
		pthread_mutex_unlock(&e->lock);
		return -1;
	}
	/* A new batch begins with a worker that has nothing to do. */
	e->current_rows = e->flush_env.max_txn_row;
	for (struct sql_unit *u = units; u != NULL; u = next) {
		next = u->next;
		e->n_units++;
		u->since_us = now_us;
		sql_conflict_add(&e->conflict, u);
		assign_ready(e, now_us);
	}
	pthread_mutex_unlock(&e->lock);
	return 0;
}

int
sql_engine_wait(struct sql_engine *e, struct ml_err *err)
{
	int rc;

	pthread_mutex_lock(&e->lock);
	while (e->n_units > 0 && !e->failed)
		pthread_cond_wait(&e->idle, &e->lock);
	rc = e->failed ? -1 : 0;
	if (rc != 0)
		*err = e->err;
	pthread_mutex_unlock(&e->lock);
	return rc;
}

/* ---- a worker ---- */

/* Sleeps; false if the engine stops. */
static bool
pause_ms(struct worker *w, uint32_t ms)
{
	struct sql_engine *e = w->e;
	uint64_t end = ml_now_ms() + ms, now;
	bool go_on;

	pthread_mutex_lock(&e->lock);
	while (!e->stopping && !e->failed && (now = ml_now_ms()) < end) {
		struct timespec until;

		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += (long)((end - now) % 1000) * 1000000;
		until.tv_sec += (time_t)((end - now) / 1000) + until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		pthread_cond_timedwait(&w->wake, &e->lock, &until);
	}
	go_on = !e->stopping && !e->failed;
	pthread_mutex_unlock(&e->lock);
	return go_on;
}

static void
disconnect(struct worker *w)
{
	sql_stmts_free(w->stmts);
	w->stmts = NULL;
	sql_conn_close(&w->conn);
}

static int
connected(struct worker *w, struct ml_err *err)
{
	if (w->conn.my != NULL && ml_now_ms() - w->conn.used_ms >= IDLE_CHECK_MS && !sql_conn_alive(&w->conn))
		disconnect(w);
	return w->conn.my != NULL ? 0 : sql_conn_open(&w->conn, w->e->env.target, false, err);
}

/* Several statements a packet; *failed: the statement that failed, n_stmts for those around them. */
static int
send_packets(struct worker *w, uint32_t *failed, struct ml_err *err)
{
	const struct sql_flush *f = &w->flush;
	uint32_t first = 0, begins = 0;
	size_t at = 0;

	for (const char *p = w->flush_env.begin; *p != '\0'; p++)
		begins += *p == ';';
	while (at < f->text.len) {
		uint32_t last = first, n;
		size_t end;

		/* As many as fit, but one at least; COMMIT goes with the last. */
		while (last + 1 < f->n_stmts &&
			f->stmts[last + 1].at + f->stmts[last + 1].len - at <= w->e->packet_bytes)
			last++;
		end = last + 1 < f->n_stmts ? f->stmts[last].at + f->stmts[last].len : f->text.len;
		if (sql_conn_run(&w->conn, f->text.data + at, end - at, &n, err) != 0) {
			if (first == 0)
				n = n >= begins ? n - begins : f->n_stmts;
			*failed = n < f->n_stmts - first ? first + n : f->n_stmts;
			return -1;
		}
		first = last + 1;
		at = end < f->text.len ? f->stmts[first].at : end;
	}
	return 0;
}

static int
send_one(struct worker *w, uint32_t i, struct ml_err *err)
{
	const struct sql_flush *f = &w->flush;
	const struct sql_target *t = w->e->env.target;
	int rc = 1;

	if (t->cache_prep_stmts) {
		if (w->stmts == NULL)
			w->stmts = sql_stmts_new(t->max_prep_stmts);
		sql_flush_template(&w->template, &w->args, f, &w->flush_env, i);
		rc = sql_stmts_run(w->stmts, &w->conn, &w->template, &w->args, err);
		if (rc > 0)
			sql_engine_observe(w->e, ML_FIG_PREPARE_ERROR, 1);
	}
	return rc <= 0 ? rc : sql_conn_run(&w->conn, f->text.data + f->stmts[i].at, f->stmts[i].len, NULL, err);
}

static int
send_one_by_one(struct worker *w, uint32_t *failed, struct ml_err *err)
{
	const char *begin = w->flush_env.begin;
	const struct sql_flush *f = &w->flush;

	*failed = f->n_stmts;
	if (sql_conn_run(&w->conn, begin, strlen(begin), NULL, err) != 0)
		return -1;
	for (uint32_t i = 0; i < f->n_stmts; i++)
		if (send_one(w, i, err) != 0) {
			*failed = i;
			return -1;
		}
	return sql_conn_run(&w->conn, "COMMIT", 6, NULL, err);
}

/* The server's words may quote a row's value: those are nobody's business but the row's owner's. */
static void
hide_values(struct ml_err *err)
{
	char *open, *close;

	switch (err->lib) {
	case ER_DUP_ENTRY:
	case ER_TRUNCATED_WRONG_VALUE:
	case ER_TRUNCATED_WRONG_VALUE_FOR_FIELD:
	case ER_WRONG_VALUE:
	case ER_WRONG_VALUE_FOR_TYPE:
		break;
	default:
		return;
	}
	open = strchr(err->text, '\'');
	if (open == NULL)
		return;
	/* The value ends before " for ": it may hold quotes itself. */
	close = strstr(open + 1, "' for ");
	if (close == NULL)
		close = strrchr(open + 1, '\'');
	if (close != NULL && close > open + 1) {
		open[1] = '?';
		memmove(open + 2, close, strlen(close) + 1);
	}
}

/* "Failed query info: <template>; " in front, without values. */
static void
name_statement(struct worker *w, uint32_t i, struct ml_err *err)
{
	struct ml_err e = *err;

	hide_values(&e);
	if (i < w->flush.n_stmts) {
		sql_flush_template(&w->template, &w->args, &w->flush, &w->flush_env, i);
		ML_ERRF(err, ErrMySQLTxnError, e.lib, "Failed query info: %.500s; %s", w->template.data, e.text);
	} else {
		*err = e;
	}
}

static int
try_flush(struct worker *w, bool one_by_one, struct ml_err *err)
{
	const struct sql_params *p = w->e->env.params;
	uint32_t failed = w->flush.n_stmts;
	int rc;

	if (p->dry_run) {
		if (p->dry_run_delay_ms > 0)
			pause_ms(w, p->dry_run_delay_ms);
		return 0;
	}
	if (connected(w, err) != 0)
		return -1;
	rc = one_by_one ? send_one_by_one(w, &failed, err) : send_packets(w, &failed, err);
	if (rc == 0)
		return 0;
	name_statement(w, failed, err);
	/* The server rolls back what is open when the connection goes. */
	disconnect(w);
	return -1;
}

enum verdict { RETRY, RETRY_SAFE, GIVE_UP };

static enum verdict
judge(const struct ml_err *err, bool safe)
{
	switch (err->lib) {
	case ER_DUP_ENTRY:
		/* Written before, or by somebody else: REPLACE settles it. */
		return safe ? GIVE_UP : RETRY_SAFE;
	case ER_NO_SUCH_TABLE:
	case ER_BAD_DB_ERROR:
		return GIVE_UP;
	default:
		/* Whether a COMMIT without an answer was done nobody knows: the rows may be there. */
		return sql_is_lost(err->lib) ? RETRY_SAFE : RETRY;
	}
}

static void
final_error(struct ml_err *err, uint32_t tries)
{
	if (err->lib == ER_DUP_ENTRY) {
		struct ml_err e = *err;

		ML_ERR(err, ErrMySQLDuplicateEntry, e.lib, e.text);
	} else if (tries >= MAX_TRIES) {
		ml_err_wrap(err, ML_ErrReachMaxTry, "reach maximum try: %d, error", MAX_TRIES);
	}
}

/* Once refused may be a deadlock or a server that went away for a moment; err NULL: it is over. */
static void
tell_trouble(struct worker *w, const struct ml_err *err)
{
	struct sql_engine *e = w->e;
	bool tell = err != NULL;

	if (!tell && !w->troubled)
		return;
	pthread_mutex_lock(&e->lock);
	if (w->troubled != tell)
		e->n_troubled += tell ? 1 : UINT32_MAX;
	w->troubled = tell;
	/* Under the lock, so that what is told last is the last. */
	if (e->env.warn != NULL && (tell || e->n_troubled == 0))
		e->env.warn(e->env.arg, err);
	pthread_mutex_unlock(&e->lock);
}

/* Commits the units (a list); retries as long as that makes sense. */
static int
flush_units(struct worker *w, struct sql_unit *units, uint32_t n_rows, struct ml_err *err)
{
	struct sql_engine *e = w->e;
	bool safe = false, built_safe = true, one_by_one = !e->env.params->multi_stmt;

	for (uint32_t tries = 1;; tries++) {
		enum verdict v;
		uint32_t delay;

		if (tries == 1 || built_safe != safe)
			sql_flush_build(&w->flush, &w->flush_env, units, n_rows, safe);
		built_safe = safe;
		if (w->flush.n_stmts == 0 || try_flush(w, one_by_one, err) == 0) {
			atomic_fetch_add_explicit(&e->bytes_out, w->flush.text.len, memory_order_relaxed);
			tell_trouble(w, NULL);
			return 0;
		}
		atomic_fetch_add_explicit(&e->errors, 1, memory_order_relaxed);
		v = judge(err, safe);
		if (v == GIVE_UP || tries >= MAX_TRIES) {
			final_error(err, tries);
			return -1;
		}
		ml_log_err(ML_WARN, e->env.object, err, "a downstream transaction failed and is tried again");
		if (tries > 1 && (err->lib != ER_LOCK_DEADLOCK || tries > DEADLOCK_QUICK_TRIES))
			tell_trouble(w, err);
		one_by_one = true;
		delay = sql_retry_delay_ms(tries, &w->seed);
		if (v == RETRY_SAFE && err->lib == ER_DUP_ENTRY)
			delay = 0;
		else if (err->lib == ER_LOCK_DEADLOCK && tries <= DEADLOCK_QUICK_TRIES)
			delay = (uint32_t)rand_r(&w->seed) % (DEADLOCK_MS * tries);
		safe = safe || v == RETRY_SAFE;
		if (!pause_ms(w, delay))
			return -1;
	}
}

/* Waits for work; takes units for one flush.  NULL: the engine stops. */
static struct sql_unit *
take(struct worker *w, uint32_t *n_rows)
{
	struct sql_engine *e = w->e;
	struct sql_unit *first = NULL, *last = NULL;
	uint64_t now_us;

	*n_rows = 0;
	pthread_mutex_lock(&e->lock);
	w->busy = false;
	while (w->queue == NULL && !e->stopping && !e->failed) {
		struct timespec until;

		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec += IDLE_CLOSE_MS / 1000;
		if (pthread_cond_timedwait(&w->wake, &e->lock, &until) != 0 && w->queue == NULL) {
			pthread_mutex_unlock(&e->lock);
			disconnect(w);
			pthread_mutex_lock(&e->lock);
		}
	}
	if (!e->stopping && !e->failed) {
		w->busy = true;
		first = last = w->queue;
		*n_rows = first->n_rows;
		now_us = clock_us();
		ml_figure_add(&e->figures, ML_FIG_QUEUE, now_us - first->since_us, 1);
		while (last->next != NULL && *n_rows + last->next->n_rows <= e->flush_env.max_txn_row) {
			last = last->next;
			*n_rows += last->n_rows;
			ml_figure_add(&e->figures, ML_FIG_QUEUE, now_us - last->since_us, 1);
		}
		w->queue = last->next;
		if (w->queue == NULL)
			w->queue_tail = &w->queue;
		last->next = NULL;
		w->queued_rows -= *n_rows;
	}
	pthread_mutex_unlock(&e->lock);
	return first;
}

/* Under the engine's lock. */
static void
count_flush(struct worker *w, uint32_t n_rows, uint64_t begin_us, uint64_t committed_us, uint64_t now_us)
{
	struct ml_figures *f = &w->e->figures;

	ml_figure_add(f, ML_FIG_BATCH_ROWS, n_rows, 1);
	ml_figure_add(f, ML_FIG_COMMIT, committed_us - begin_us, 1);
	ml_figure_add(f, ML_FIG_CALLBACK, now_us - committed_us, 1);
	ml_figure_add(f, ML_FIG_FLUSH, now_us - begin_us, 1);
	ml_figure_add(f, ML_FIG_TOTAL, now_us - w->done_us, 1);
	f->v[ML_FIG_WORDS + (unsigned)w->index] += n_rows;
	w->done_us = now_us;
}

static void
finish(struct worker *w, struct sql_unit *units, uint32_t n_rows, uint64_t begin_us)
{
	struct sql_engine *e = w->e;
	uint64_t n = 0, committed_us = clock_us(), wall_ms = ml_wall_ms();

	pthread_mutex_lock(&e->lock);
	for (struct sql_unit *u = units; u != NULL; u = u->next, n++) {
		uint64_t ms = ml_ts_ms(u->rows[0].commit_ts);

		sql_conflict_finish(&e->conflict, u);
		ml_figure_add(&e->figures, ML_FIG_FLUSH_LAG, wall_ms > ms ? (wall_ms - ms) * 1000 : 0, 1);
	}
	assign_ready(e, committed_us);
	pthread_mutex_unlock(&e->lock);
	for (struct sql_unit *u = units, *next; u != NULL; u = next) {
		struct sql_unit *piece = u->piece, *more;

		next = u->next;
		if (piece == NULL)
			parcel_done(e, u->parcel);
		/* The last piece's batch holds the unit itself. */
		for (; piece != NULL; piece = more) {
			more = piece->piece;
			parcel_done(e, piece->parcel);
		}
	}
	/* Only now: who waits for everything must find it durable. */
	pthread_mutex_lock(&e->lock);
	count_flush(w, n_rows, begin_us, committed_us, clock_us());
	e->n_units -= n;
	if (e->n_units == 0)
		pthread_cond_broadcast(&e->idle);
	pthread_mutex_unlock(&e->lock);
}

static void
fail(struct sql_engine *e, const struct ml_err *err)
{
	bool first;

	pthread_mutex_lock(&e->lock);
	first = !e->failed && !e->stopping;
	if (first) {
		e->failed = true;
		e->err = *err;
	}
	for (uint32_t i = 0; i < e->n_workers; i++)
		pthread_cond_signal(&e->workers[i].wake);
	pthread_cond_broadcast(&e->idle);
	pthread_mutex_unlock(&e->lock);
	if (first)
		e->env.fail(e->env.arg, err);
}

static void *
worker_main(void *arg)
{
	struct worker *w = arg;
	struct sql_unit *units;
	struct ml_err err;
	uint32_t n_rows;

	w->done_us = clock_us();
	while ((units = take(w, &n_rows)) != NULL) {
		uint64_t begin_us = clock_us();

		err = (struct ml_err){ 0 };
		if (flush_units(w, units, n_rows, &err) != 0) {
			fail(w->e, &err);
			break;
		}
		finish(w, units, n_rows, begin_us);
		sql_flush_trim(&w->flush);
	}
	disconnect(w);
	mysql_thread_end();
	return NULL;
}

/* ---- the engine ---- */

/* MariaDB takes a vector's text for zeros without a word.  Servers without vectors have texts in their place. */
static const char *
to_vector(const struct sql_target *t)
{
	unsigned major = 0, minor = 0;

	if (t->params->has_vector_type || t->server == SQL_TIDB || sscanf(t->version, "%u.%u", &major, &minor) != 2)
		return NULL;
	if (t->server == SQL_MARIADB)
		return major > 11 || (major == 11 && minor >= 7) ? "VEC_FromText" : NULL;
	return major >= 9 ? "STRING_TO_VECTOR" : NULL;
}

static void
set_limits(struct sql_engine *e)
{
	const struct sql_params *p = e->env.params;
	const struct sql_target *t = e->env.target;

	e->packet_bytes = t->max_allowed_packet / 2 < PACKET_BYTES ? t->max_allowed_packet / 2 : PACKET_BYTES;
	e->flush_env = (struct sql_flush_env){
		.max_txn_row = p->max_txn_row,
		.max_multi_update_row = p->max_multi_update_row,
		.max_multi_update_row_size = p->max_multi_update_row_size,
		.batch_dml = p->batch_dml,
		.tidb = t->server == SQL_TIDB,
		.json_type = t->server != SQL_MARIADB,
		.to_vector = to_vector(t),
		.in_lists = p->in_lists,
		.text_in_lists = t->server != SQL_MARIADB,
		.max_statement_bytes = e->packet_bytes / 2,
		.begin = t->write_source ? "START TRANSACTION;SET SESSION tidb_cdc_write_source = 1;"
					 : "START TRANSACTION;",
	};
}

/* With the mark's table: each worker has a row of its own there, or they would wait for each other. */
static void
set_begin(struct worker *w)
{
	w->flush_env = w->e->flush_env;
	if (!w->e->env.target->mark_table)
		return;
	snprintf(w->begin, sizeof(w->begin),
		"START TRANSACTION;INSERT INTO " ML_MARK_DB "." ML_MARK_TABLE
		" (id, n) VALUES (%d, 1) ON DUPLICATE KEY UPDATE n = n + 1;",
		(int)w->index);
	w->flush_env.begin = w->begin;
}

static int
start_worker(struct worker *w, struct ml_err *err)
{
	char name[16];
	int rc = pthread_create(&w->thread, NULL, worker_main, w);

	if (rc != 0)
		return ML_ERRF(err, ErrIO, rc, "cannot start a thread: %s", strerror(rc));
	w->started = true;
	snprintf(name, sizeof(name), "sql-%d", (int)w->index);
	pthread_setname_np(w->thread, name);
	return 0;
}

int
sql_engine_start(struct sql_engine **out, const struct sql_engine_env *env, struct ml_err *err)
{
	struct sql_engine *e = calloc(1, sizeof(*e));
	pthread_condattr_t monotonic;

	if (e == NULL)
		abort();
	e->env = *env;
	set_limits(e);
	ml_list_init(&e->parcels);
	sql_conflict_init(&e->conflict);
	pthread_mutex_init(&e->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&e->idle, NULL);
	e->n_workers = env->params->workers;
	ml_figures_init(&e->figures, e->n_workers);
	e->workers = calloc(e->n_workers, sizeof(*e->workers));
	if (e->workers == NULL)
		abort();
	for (uint32_t i = 0; i < e->n_workers; i++) {
		struct worker *w = &e->workers[i];

		w->e = e;
		w->index = (int32_t)i;
		w->queue_tail = &w->queue;
		w->seed = (uint32_t)ml_now_ms() * 31 + i;
		atomic_store(&w->conn.fd, -1);
		pthread_cond_init(&w->wake, &monotonic);
		sql_flush_init(&w->flush);
		set_begin(w);
	}
	pthread_condattr_destroy(&monotonic);
	for (uint32_t i = 0; i < e->n_workers; i++)
		if (start_worker(&e->workers[i], err) != 0) {
			sql_engine_stop(e);
			return -1;
		}
	*out = e;
	return 0;
}

void
sql_engine_stop(struct sql_engine *e)
{
	if (e == NULL)
		return;
	pthread_mutex_lock(&e->lock);
	e->stopping = true;
	for (uint32_t i = 0; i < e->n_workers; i++) {
		pthread_cond_signal(&e->workers[i].wake);
		/* One that waits for its server would do so for minutes. */
		sql_conn_break(&e->workers[i].conn);
	}
	pthread_mutex_unlock(&e->lock);
	for (uint32_t i = 0; i < e->n_workers; i++) {
		struct worker *w = &e->workers[i];

		if (w->started)
			pthread_join(w->thread, NULL);
		sql_flush_fini(&w->flush);
		sql_args_fini(&w->args);
		ml_buf_fini(&w->template);
		pthread_cond_destroy(&w->wake);
	}
	while (!ml_list_empty(&e->parcels)) {
		struct sql_parcel *p = ML_CONTAINER(e->parcels.next, struct sql_parcel, in);

		ml_list_remove(&p->in);
		ml_batch_free(p->b);
	}
	sql_conflict_fini(&e->conflict);
	ml_figures_fini(&e->figures);
	pthread_cond_destroy(&e->idle);
	pthread_mutex_destroy(&e->lock);
	free(e->workers);
	free(e);
}

void
sql_engine_stats(struct sql_engine *e, uint64_t *bytes_out, uint64_t *errors)
{
	*bytes_out = atomic_load(&e->bytes_out);
	*errors = atomic_load(&e->errors);
}

void
sql_engine_figures(struct sql_engine *e, struct ml_figures *f)
{
	pthread_mutex_lock(&e->lock);
	ml_figures_set(f, e->figures.v, e->figures.n);
	pthread_mutex_unlock(&e->lock);
}

void
sql_engine_observe(struct sql_engine *e, enum ml_figure which, uint64_t value)
{
	pthread_mutex_lock(&e->lock);
	ml_figure_add(&e->figures, which, value, 1);
	pthread_mutex_unlock(&e->lock);
}
