/*
 * mysql.c - the sink of mysql://, tidb:// and mariadb:// URIs: batches become units with their keys here; worker.c commits
 * them.
 */
#include "capture-worker/sink/mysql/mysql.h"

#include <stdlib.h>
#include <string.h>

#include "capture-worker/quota.h"
#include "capture-worker/sink/mysql/create.h"
#include "capture-worker/sink/mysql/ddl.h"
#include "capture-worker/sink/mysql/join.h"
#include "capture-worker/sink/mysql/key.h"
#include "capture-worker/sink/mysql/params.h"
#include "capture-worker/sink/mysql/syncpoint.h"
#include "capture-worker/sink/mysql/worker.h"
#include "common/base/fault.h"
#include "common/run/log.h"
#include "common/run/loop.h"

/* The pipeline's, where the server's configuration has none. */
#define QUOTA_DEFAULT (512ull << 20)

struct mysql_sink {
	struct ml_sink base;
	const struct ml_sink_env *env;
	struct sql_params params;
	struct sql_target target;
	struct sql_engine *engine;
	struct sql_ddl ddl;
	struct sql_async async;
	struct sql_syncpoint syncpoint;
	struct sql_join join;
	ml_ts written; /* largest commit_ts handed to the engine */
	struct ml_buf scratch;
};

static int
check(const struct ml_sink_env *env, struct ml_err *err)
{
	struct sql_params p;

	struct sql_syncpoint syncpoint;

	if (sql_syncpoint_init(&syncpoint, NULL, env, err) != 0 || sql_params_init(&p, env, err) != 0)
		return -1;
	sql_params_fini(&p);
	return 0;
}

static void
on_durable(void *arg, uint64_t seq)
{
	struct mysql_sink *s = arg;

	s->env->durable(s->env->arg, seq);
}

static void
on_fail(void *arg, const struct ml_err *err)
{
	struct mysql_sink *s = arg;

	s->env->fail(s->env->arg, err);
}

static void
on_trouble(void *arg, const struct ml_err *err)
{
	struct mysql_sink *s = arg;

	if (s->env->warn != NULL)
		s->env->warn(s->env->arg, err);
}

static void
close_sink(struct ml_sink *base)
{
	struct mysql_sink *s = (struct mysql_sink *)base;

	if (s == NULL)
		return;
	sql_engine_stop(s->engine);
	sql_async_fini(&s->async);
	sql_ddl_fini(&s->ddl);
	sql_target_fini(&s->target);
	sql_params_fini(&s->params);
	ml_buf_fini(&s->scratch);
	free(s);
}

static int
open_sink(struct ml_sink **out, const struct ml_sink_env *env, struct ml_err *err)
{
	struct mysql_sink *s = calloc(1, sizeof(*s));
	struct sql_engine_env engine = {
		.params = &s->params,
		.target = &s->target,
		.object = env->object,
		.arg = s,
		.durable = on_durable,
		.fail = on_fail,
		.warn = on_trouble,
	};

	if (s == NULL)
		return ML_ERR(err, ErrNoMemory, 0, "opening the MySQL sink");
	s->base.ops = &ml_sink_mysql;
	s->env = env;
	if (sql_syncpoint_init(&s->syncpoint, &s->target, env, err) != 0 ||
		sql_params_init(&s->params, env, err) != 0 ||
		sql_target_probe(&s->target, &s->params, env->object, err) != 0) {
		close_sink(&s->base);
		return -1;
	}
	/* TiDB takes more writers at once than it is worth on one server. */
	if (s->target.server == SQL_TIDB && !s->params.workers_given)
		s->params.workers = 64;
	/* A transaction that is kept takes up quota: others must still pass. */
	sql_join_init(&s->join,
		(env->config != NULL && env->config->worker_memory_quota_bytes > 0
				? env->config->worker_memory_quota_bytes
				: QUOTA_DEFAULT) /
			4,
		env->object);
	sql_ddl_init(&s->ddl, &s->target, env);
	s->ddl.async = &s->async;
	if (sql_engine_start(&s->engine, &engine, err) != 0) {
		close_sink(&s->base);
		return -1;
	}
	*out = &s->base;
	return 0;
}

/* A row of a table without a key is found by all its values, which the user must have asked for. */
static int
check_row(const struct mysql_sink *s, const struct sql_table *t, const struct ml_row *row, struct ml_err *err)
{
	if (t->keyed || s->env->spec->force_replicate)
		return 0;
	return ML_ERR(err, ErrTableIneligible, 0, row->schema->qname.s);
}

static bool
is_fresh(const struct mysql_sink *s, const struct ml_row *row)
{
	ml_ts since = s->env->replicating_ts != NULL ? atomic_load(s->env->replicating_ts) : 0;

	return !s->params.safe_mode && since != 0 && row->commit_ts > since;
}

static bool
same_txn(const struct ml_row *a, const struct ml_row *b)
{
	return a->commit_ts == b->commit_ts && a->start_ts == b->start_ts;
}

/* Of the newer image, about. */
static size_t
row_bytes(const struct ml_row *row)
{
	const struct ml_datum *image = row->after != NULL ? row->after : row->before;
	size_t n = 0;

	for (int i = 0; i < row->schema->n_columns; i++)
		n += image[i].kind == ML_D_BYTES ? image[i].len : 8;
	return n;
}

/* Keys of all rows of b: hashes[first[i]] up to hashes[first[i + 1]] are row i's. */
static int
hash_rows(struct mysql_sink *s, struct ml_batch *b, uint64_t **hashes, uint32_t **first, struct ml_err *err)
{
	size_t cap = 0, n = 0, bytes;
	uint64_t *h;
	uint32_t *f = ml_arena_alloc(&b->arena, (b->n_rows + 1u) * sizeof(*f));

	for (uint32_t i = 0; i < b->n_rows; i++) {
		const struct ml_row *row = &b->rows[i];
		const struct sql_table *t = sql_table_of(row->schema, row->after != NULL ? row->after : row->before);

		if (check_row(s, t, row, err) != 0)
			return -1;
		cap += sql_keys_max(t);
		if ((bytes = row_bytes(row)) >= ML_FIG_LARGE_ROW_BYTES)
			sql_engine_observe(s->engine, ML_FIG_LARGE_ROW, bytes);
	}
	h = ml_arena_alloc(&b->arena, cap * sizeof(*h));
	for (uint32_t i = 0; i < b->n_rows; i++) {
		f[i] = (uint32_t)n;
		n += sql_keys_of(h + n, b->rows[i].schema->encoder, &b->rows[i], &s->scratch);
	}
	f[b->n_rows] = (uint32_t)n;
	*hashes = h;
	*first = f;
	return 0;
}

static struct sql_unit *
unit_new(struct mysql_sink *s, struct sql_parcel *p, uint32_t from, uint32_t to, const uint64_t *hashes,
	const uint32_t *first)
{
	struct ml_arena *a = &p->b->arena;
	struct sql_unit *u = ml_arena_zalloc(a, sizeof(*u));
	uint32_t n = first[to] - first[from];

	u->parcel = p;
	u->rows = p->b->rows + from;
	u->n_rows = to - from;
	u->fresh = is_fresh(s, u->rows);
	u->hashes = hashes;
	u->first = first + from;
	u->nodes = ml_arena_alloc(a, n * sizeof(*u->nodes));
	u->waits = ml_arena_alloc(a, n * sizeof(*u->waits));
	return u;
}

/* Writes the sync point at or below ts, if one is due; everything handed over so far lies at or below it. */
static int
pass(struct mysql_sink *s, ml_ts ts, struct ml_err *err)
{
	ml_ts point = sql_syncpoint_due(&s->syncpoint, ts);

	if (point == 0)
		return 0;
	if (sql_engine_wait(s->engine, err) != 0)
		return -1;
	return sql_syncpoint_write(&s->syncpoint, point, err);
}

/* Hands units over; where a sync point lies between two of them, the ones before it are committed first. */
static int
hand_over(struct mysql_sink *s, struct sql_unit *units, struct ml_err *err)
{
	struct sql_unit *first = units, *next;

	for (struct sql_unit *u = units, *last = NULL; u != NULL; last = u, u = next) {
		ml_ts ts = u->rows[0].commit_ts, due = s->syncpoint.next;

		next = u->next;
		if (ts <= s->written)
			continue; /* more of the same transaction */
		if (s->syncpoint.on && (due == 0 || ts > due)) {
			if (last != NULL) {
				last->next = NULL;
				if (sql_engine_add(s->engine, first, err) != 0)
					return -1;
				first = u;
			}
			if (pass(s, ts - 1, err) != 0)
				return -1;
		}
		s->written = ts;
	}
	return first != NULL ? sql_engine_add(s->engine, first, err) : 0;
}

/* Whole transactions: what was kept and turns out to be over goes first; what may go on in the next batch is kept. */
static int
hand_over_whole(struct mysql_sink *s, struct sql_unit *units, bool ends, struct ml_err *err)
{
	struct sql_unit *kept = NULL, **at = &units;

	if (sql_join_goes_on(&s->join, units)) {
		struct sql_unit *u = units;

		units = u->next;
		u->next = NULL;
		if (!sql_join_keep(&s->join, u)) {
			kept = sql_join_take(&s->join);
			kept->next = u;
		} else if (units != NULL || ends) {
			kept = sql_join_take(&s->join);
		}
	} else {
		kept = sql_join_take(&s->join);
	}
	if (kept != NULL && hand_over(s, kept, err) != 0)
		return -1;
	if (units == NULL)
		return 0;
	while (!ends && *at != NULL && (*at)->next != NULL)
		at = &(*at)->next;
	if (!ends && sql_join_keep(&s->join, *at))
		*at = NULL;
	return units != NULL ? hand_over(s, units, err) : 0;
}

static int
write_batch(struct ml_sink *base, struct ml_batch *b, struct ml_err *err)
{
	struct mysql_sink *s = (struct mysql_sink *)base;
	struct sql_unit *units = NULL, **tail = &units;
	struct sql_parcel *p;
	uint64_t *hashes, now;
	uint32_t *first, n = 0;
	bool ends;

	if (ml_fault("sink_crash", s->env->spec->id))
		abort();
	if (hash_rows(s, b, &hashes, &first, err) != 0) {
		ml_batch_free(b);
		return -1;
	}
	p = ml_arena_zalloc(&b->arena, sizeof(*p));
	p->b = b;
	p->seq = b->seq;
	for (uint32_t from = 0, to; from < b->n_rows; from = to, n++) {
		for (to = from + 1; to < b->n_rows && same_txn(&b->rows[from], &b->rows[to]); to++)
			;
		*tail = unit_new(s, p, from, to, hashes, first);
		tail = &(*tail)->next;
	}
	atomic_init(&p->units, n);
	now = ml_batch_bytes(b);
	if (b->quota != NULL && now > b->charged_bytes) {
		ml_quota_add(b->quota, now - b->charged_bytes);
		b->charged_bytes = now;
	}
	/* Read before any of it is handed over: then the batch may go at any moment. */
	ends = b->barrier.kind != ML_BAR_NONE;
	sql_engine_begin(s->engine, p);
	return s->params.table_atomicity ? hand_over_whole(s, units, ends, err) : hand_over(s, units, err);
}

static int
flush(struct ml_sink *base, struct ml_err *err)
{
	struct mysql_sink *s = (struct mysql_sink *)base;
	struct sql_unit *kept = sql_join_take(&s->join);

	if (kept != NULL && hand_over(s, kept, err) != 0)
		return -1;
	return sql_engine_wait(s->engine, err);
}

static int
ddl(struct ml_sink *base, const struct ml_ddl *d, const struct ml_msg *m, bool all_partitions, struct ml_err *err)
{
	struct mysql_sink *s = (struct mysql_sink *)base;
	uint64_t begin = ml_now_ms();

	(void)m;
	(void)all_partitions;
	if ((d->commit_ts > 0 && pass(s, d->commit_ts - 1, err) != 0) ||
		(d->copied ? sql_create_run(&s->ddl, d, err) : sql_ddl_run(&s->ddl, d, err)) != 0)
		return -1;
	sql_engine_observe(s->engine, ML_FIG_DDL, (ml_now_ms() - begin) * 1000);
	return 0;
}

static int
checkpoint(struct ml_sink *base, ml_ts ts, const struct ml_msg *m, struct ml_topic **topics, size_t n_topics,
	struct ml_err *err)
{
	struct mysql_sink *s = (struct mysql_sink *)base;

	(void)m;
	(void)topics;
	(void)n_topics;
	/* Without later rows in the target, all up to ts being there is a sync point too. */
	if (s->written <= ts && pass(s, ts, err) != 0)
		return -1;
	return sql_engine_check(s->engine, err);
}

static int
tick(struct ml_sink *base, struct ml_err *err)
{
	return sql_engine_check(((struct mysql_sink *)base)->engine, err);
}

static void
forget(struct ml_sink *base)
{
	struct mysql_sink *s = (struct mysql_sink *)base;

	sql_ddl_ts_forget(&s->ddl.progress, &s->target);
}

static const char *
instance(struct ml_sink *base)
{
	return ((struct mysql_sink *)base)->target.identity;
}

static void
stats(struct ml_sink *base, uint64_t *bytes_out, uint64_t *errors)
{
	sql_engine_stats(((struct mysql_sink *)base)->engine, bytes_out, errors);
}

static void
figures(struct ml_sink *base, struct ml_figures *f)
{
	sql_engine_figures(((struct mysql_sink *)base)->engine, f);
}

const struct ml_sink_ops ml_sink_mysql = {
	.schemes = { "mysql", "mysql+ssl", "tidb", "tidb+ssl", "mariadb" },
	.takes = ML_TAKES_ROWS,
	.sync_points = true,
	.saves_before_ddl = true,
	.check = check,
	.open = open_sink,
	.write = write_batch,
	.flush = flush,
	.ddl = ddl,
	.checkpoint = checkpoint,
	.tick = tick,
	.close = close_sink,
	.forget = forget,
	.instance = instance,
	.stats = stats,
	.figures = figures,
};
