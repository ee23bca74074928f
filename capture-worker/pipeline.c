#include "capture-worker/pipeline.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "capture-worker/claim_store.h"
#include "capture-worker/dispatcher/dispatcher.h"
#include "capture-worker/encoder/split.h"
#include "capture-worker/filter/event.h"
#include "capture-worker/plan.h"
#include "capture-worker/progress.h"
#include "capture-worker/queue.h"
#include "capture-worker/quota.h"
#include "capture-worker/router/router.h"
#include "capture-worker/shaper/shaper.h"
#include "capture-worker/source/source.h"
#include "common/run/estate.h"
#include "common/run/figures.h"
#include "common/run/log.h"
#include "common/run/loop.h"
#include "common/text/tz.h"

/* Batches between two stages: enough that neither waits for the other's rhythm, few enough that latency stays small. */
#define QUEUE_BATCHES 8
#define QUOTA_DEFAULT (512ull << 20)
/* A stop does not wait for long for a checkpoint to be stored: who is to store it may be gone. */
#define STOP_SAVE_MS 1000
/* How often it is asked for again, since who was asked first may have died. */
#define ASK_SAVE_MS 500
/* How often a checkpoint message goes downstream at most (protocols.md 4.7). */
#define CHECKPOINT_EVERY_MS 1000

struct ml_pipeline {
	struct ml_pipeline_env env;
	struct ml_plan plan;
	struct ml_filter *filter;
	struct ml_tz *tz;
	struct ml_event_filter
		*events; /* NULL: none.  Rows pass it in the encode stage, or in the source's if there is none */
	struct ml_source_env source_env; /* source and sink keep pointers to theirs */
	struct ml_sink_env sink_env;
	const struct ml_source_ops *source_ops;
	struct ml_source *source;
	struct ml_shaper *shaper; /* NULL: the sink takes nothing */
	struct ml_router *router; /* NULL: tables keep their names.  Used by the stage that shapes rows */
	struct ml_dispatcher *dispatcher;
	struct ml_encoder *encoder;
	_Atomic(struct ml_claim_store *) claims; /* for the encoder's large messages; NULL: none, or a folder */
	struct ml_sink *sink;
	struct ml_quota *quota;
	struct ml_progress *progress;
	struct ml_queue *to_encode, *to_sink; /* one and the same when there is no encode stage */
	pthread_t source_thread, encode_thread, sink_thread;
	bool source_started, encode_started; /* by the sink thread */
	/* Encoder and dispatcher belong to the encode stage; the sink stage borrows them once a second for checkpoint messages. */
	pthread_mutex_t encode_lock;
	/* Set before the threads of the other stages start, and while stopping. */
	pthread_mutex_t state_lock;
	bool stopping;
	atomic_bool failed;
	atomic_bool advanced;  /* the checkpoint did, once */
	atomic_bool at_target; /* the source came to target_ts */
	pthread_mutex_t saved_lock;
	pthread_cond_t saved_news;
	ml_ts saved;          /* the newest checkpoint that is stored */
	bool ddl_was_written; /* sink stage: the next checkpoint is told at once */
	ml_ts told;           /* sink stage: last checkpoint told downstream */
	uint64_t told_ms;
	_Atomic ml_ts replicating_ts; /* for the sink */
	atomic_uint_fast64_t rows, filtered_rows, txns, ddls;
	pthread_mutex_t tables_lock;
	int64_t *tables; /* sorted */
	size_t n_tables, cap_tables;
};

static void
fail(struct ml_pipeline *p, const struct ml_err *err)
{
	if (atomic_exchange(&p->failed, true))
		return;
	ml_queue_stop(p->to_encode);
	ml_queue_stop(p->to_sink);
	ml_quota_stop(p->quota);
	ml_claim_store_stop(atomic_load(&p->claims));
	p->env.failed(p->env.arg, err);
}

/* ---- source stage ---- */

/* A DDL after rows goes in a batch of its own: the sink must flush between them, and a batch is the sink's once written. */
static struct ml_batch *
split_off_ddl(struct ml_batch *b)
{
	struct ml_batch *d = ml_batch_new();
	const struct ml_ddl *from = b->barrier.ddl;
	struct ml_ddl *ddl = ml_arena_alloc(&d->arena, sizeof(*ddl));
	struct ml_text *texts[] = { &ddl->query, &ddl->db, &ddl->table, &ddl->pre_db, &ddl->pre_table, &ddl->charset,
		&ddl->collation, &ddl->default_db };

	*ddl = *from;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (texts[i]->s != NULL)
			texts[i]->s = ml_arena_strndup(&d->arena, texts[i]->s, texts[i]->len);
	if (ddl->schema != NULL)
		ml_batch_pin(d, ddl->schema);
	if (ddl->pre_schema != NULL)
		ml_batch_pin(d, ddl->pre_schema);
	d->barrier = b->barrier;
	d->barrier.ddl = ddl;
	b->barrier = (struct ml_barrier){ 0 };
	return d;
}

static int
enter(struct ml_pipeline *p, struct ml_batch *b)
{
	bool resolved = b->barrier.kind == ML_BAR_RESOLVED;

	/*
	 * A bare barrier costs no quota, so that a full one never holds back what would empty it.  Descriptions of tables grow
	 * as they are encoded, and nothing is in front of them.
	 */
	if (b->n_changes > 0 || b->barrier.kind == ML_BAR_TABLES) {
		/* What the source has charged already waits for room all the same. */
		uint64_t bytes = b->quota != NULL ? 0 : ml_batch_bytes(b);

		if (ml_quota_take(p->quota, bytes) != 0) {
			ml_batch_free(b);
			return -1;
		}
		b->quota = p->quota;
		b->charged_bytes += bytes;
	}
	b->seq = ml_progress_enter(p->progress, resolved ? b->barrier.ts : 0, resolved ? b->barrier.position : NULL);
	atomic_fetch_add_explicit(&p->rows, b->n_changes, memory_order_relaxed);
	atomic_fetch_add_explicit(&p->txns, b->n_txns, memory_order_relaxed);
	if (b->barrier.kind == ML_BAR_DDL)
		atomic_fetch_add_explicit(&p->ddls, 1, memory_order_relaxed);
	if (ml_queue_push(p->to_encode, b) != 0) {
		ml_batch_free(b);
		return -1;
	}
	return 0;
}

/* Takes out the rows that event filters leave out.  counted: `rows` has them already. */
static int
filter_rows(struct ml_pipeline *p, struct ml_batch *b, bool counted, struct ml_err *err)
{
	uint64_t before = b->n_changes;

	if (ml_event_filter_rows(p->events, b, err) != 0)
		return -1;
	if (b->n_changes == before)
		return 0;
	atomic_fetch_add_explicit(&p->filtered_rows, before - b->n_changes, memory_order_relaxed);
	if (counted)
		atomic_fetch_sub_explicit(&p->rows, before - b->n_changes, memory_order_relaxed);
	return 0;
}

static int
on_emit(void *arg, struct ml_batch *b)
{
	struct ml_pipeline *p = arg;
	struct ml_err err = { 0 };

	/* The source has learnt the new definition already: the DDL is only not told. */
	if (b->barrier.kind == ML_BAR_DDL && !b->barrier.ddl->copied && ml_event_filter_ddl(p->events, b->barrier.ddl))
		b->barrier = (struct ml_barrier){ 0 };
	if (p->plan.encoder == NULL && filter_rows(p, b, false, &err) != 0) {
		ml_batch_free(b);
		fail(p, &err);
		return -1;
	}
	if (b->barrier.kind == ML_BAR_DDL && b->n_changes > 0) {
		struct ml_batch *d = split_off_ddl(b);

		if (enter(p, b) != 0) {
			ml_batch_free(d);
			return -1;
		}
		b = d;
	}
	return enter(p, b);
}

static void
on_warn(void *arg, const struct ml_err *err)
{
	struct ml_pipeline *p = arg;

	p->env.warned(p->env.arg, err);
}

static void
on_clock(void *arg, ml_ts now)
{
	struct ml_pipeline *p = arg;

	atomic_store(&p->replicating_ts, now);
}

static void
on_table(void *arg, int64_t table_id, bool followed)
{
	struct ml_pipeline *p = arg;
	size_t i = 0;

	pthread_mutex_lock(&p->tables_lock);
	while (i < p->n_tables && p->tables[i] < table_id)
		i++;
	bool known = i < p->n_tables && p->tables[i] == table_id;
	if (followed && !known) {
		if (p->n_tables == p->cap_tables) {
			p->cap_tables = p->cap_tables > 0 ? p->cap_tables * 2 : 16;
			p->tables = realloc(p->tables, p->cap_tables * sizeof(*p->tables));
			if (p->tables == NULL)
				abort();
		}
		memmove(p->tables + i + 1, p->tables + i, (p->n_tables - i) * sizeof(*p->tables));
		p->tables[i] = table_id;
		p->n_tables++;
	} else if (!followed && known) {
		memmove(p->tables + i, p->tables + i + 1, (p->n_tables - i - 1) * sizeof(*p->tables));
		p->n_tables--;
	}
	pthread_mutex_unlock(&p->tables_lock);
}

static void *
source_main(void *arg)
{
	struct ml_pipeline *p = arg;
	struct ml_err err = { 0 };
	bool stopping;

	if (p->source_ops->run(p->source, &err) != 0) {
		pthread_mutex_lock(&p->state_lock);
		stopping = p->stopping;
		pthread_mutex_unlock(&p->state_lock);
		/* A stop may surface as a broken read; what entered is flushed all the same. */
		if (!stopping && !atomic_load(&p->failed)) {
			fail(p, &err);
			return NULL;
		}
	} else {
		pthread_mutex_lock(&p->state_lock);
		if (!p->stopping)
			atomic_store(&p->at_target, true);
		pthread_mutex_unlock(&p->state_lock);
	}
	ml_queue_end(p->to_encode);
	return NULL;
}

/* ---- encode stage ---- */

/* Gives b's DDL its names downstream, or takes it out of b. */
static int
route_ddl(struct ml_pipeline *p, struct ml_batch *b, struct ml_err *err)
{
	int rc = p->router != NULL ? ml_router_ddl(p->router, b, err) : 0;

	/* A database whose tables go to several ones: those are made with the tables. */
	if (rc < 0 && b->barrier.ddl->copied && b->barrier.ddl->table.len == 0) {
		*err = (struct ml_err){ 0 };
		rc = 1;
	}
	if (rc > 0)
		b->barrier = (struct ml_barrier){ 0 };
	return rc;
}

/* Encodes b's DDL into b->msgs[0]; a protocol without a form for it leaves none. */
static int
encode_ddl(struct ml_pipeline *p, struct ml_batch *b, struct ml_err *err)
{
	struct ml_topic *topic = NULL;
	struct ml_msg m = { 0 };
	int rc;

	if (p->plan.sink->topics && ml_dispatcher_ddl(p->dispatcher, b->barrier.ddl, &topic, err) != 0)
		return -1;
	rc = route_ddl(p, b, err);
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	rc = p->encoder->ops->ddl(p->encoder, b->barrier.ddl, &b->arena, &m, err);
	if (rc <= 0)
		return rc;
	m.topic = topic;
	m.partition = 0;
	*ml_batch_msg(b) = m;
	return 0;
}

/* Describes the tables that the pins are. */
static int
encode_tables(struct ml_pipeline *p, struct ml_batch *b, struct ml_err *err)
{
	uint32_t n = b->n_pins;

	for (uint32_t i = 0; i < n; i++) {
		struct ml_schema *s = b->pins[i], *to = s;
		struct ml_topic *topic = NULL;

		if (p->router != NULL && ml_router_listed(p->router, s, &to, err) != 0)
			return -1;
		if (!p->encoder->wants_tables)
			continue;
		if ((p->plan.sink->topics && ml_dispatcher_table(p->dispatcher, s, &topic, err) != 0) ||
			p->encoder->ops->table(p->encoder, b, to, topic, err) != 0)
			return -1;
	}
	return 0;
}

static int
encode_batch(struct ml_pipeline *p, struct ml_batch *b, struct ml_err *err)
{
	if (b->barrier.kind == ML_BAR_DDL)
		return encode_ddl(p, b, err);
	if (b->barrier.kind == ML_BAR_TABLES)
		return encode_tables(p, b, err);
	if (filter_rows(p, b, true, err) != 0)
		return -1;
	if (b->n_rows == 0)
		return p->plan.encoder->by_time ? p->encoder->ops->rows(p->encoder, b, err) : 0;
	ml_split_updates(b, p->plan.raw_change_event);
	if (ml_shaper_rows(p->shaper, b, err) != 0)
		return -1;
	if (p->plan.sink->topics)
		for (uint32_t i = 0; i < b->n_rows; i++)
			if (ml_dispatcher_row(p->dispatcher, &b->rows[i], err) != 0)
				return -1;
	if (p->router != NULL && ml_router_rows(p->router, b, err) != 0)
		return -1;
	return p->encoder->ops->rows(p->encoder, b, err);
}

static void *
encode_main(void *arg)
{
	struct ml_pipeline *p = arg;
	struct ml_err err = { 0 };
	struct ml_batch *b;
	enum ml_pop got;

	while ((got = ml_queue_pop(p->to_encode, &b, -1)) == ML_POP_BATCH) {
		uint64_t now;
		int rc;

		pthread_mutex_lock(&p->encode_lock);
		rc = encode_batch(p, b, &err);
		pthread_mutex_unlock(&p->encode_lock);
		now = ml_batch_bytes(b);
		if (b->quota != NULL && now > b->charged_bytes) {
			ml_quota_add(p->quota, now - b->charged_bytes);
			b->charged_bytes = now;
		}
		if (rc != 0) {
			ml_batch_free(b);
			fail(p, &err);
			return NULL;
		}
		if (ml_queue_push(p->to_sink, b) != 0) {
			ml_batch_free(b);
			return NULL;
		}
	}
	if (got == ML_POP_END)
		ml_queue_end(p->to_sink);
	return NULL;
}

/* ---- sink stage ---- */

static void
is_durable(struct ml_pipeline *p, uint64_t seq)
{
	if (ml_progress_durable(p->progress, seq) && !atomic_exchange(&p->advanced, true))
		p->env.advanced(p->env.arg);
}

static void
on_durable(void *arg, uint64_t seq)
{
	struct ml_pipeline *p = arg;

	if (!atomic_load(&p->failed))
		is_durable(p, seq);
}

static void
on_sink_fail(void *arg, const struct ml_err *err)
{
	fail(arg, err);
}

static bool
stopping(struct ml_pipeline *p)
{
	bool yes;

	pthread_mutex_lock(&p->state_lock);
	yes = p->stopping;
	pthread_mutex_unlock(&p->state_lock);
	return yes;
}

/* Waits until the checkpoint of now is stored.  0; 1: the shard stops first; -1. */
static int
await_saved(struct ml_pipeline *p, struct ml_err *err)
{
	ml_ts want = ml_progress_checkpoint(p->progress);
	uint64_t asked_ms = 0, stop_ms = 0;
	int rc = 0;

	pthread_mutex_lock(&p->saved_lock);
	while (p->saved < want && rc == 0) {
		uint64_t now = ml_now_ms();
		struct timespec t;

		if (asked_ms == 0 || now - asked_ms >= ASK_SAVE_MS) {
			p->env.save_wanted(p->env.arg);
			asked_ms = now;
		}
		clock_gettime(CLOCK_REALTIME, &t);
		t.tv_nsec += ML_SINK_TICK_MS * 1000000l;
		t.tv_sec += t.tv_nsec / 1000000000;
		t.tv_nsec %= 1000000000;
		pthread_cond_timedwait(&p->saved_news, &p->saved_lock, &t);
		pthread_mutex_unlock(&p->saved_lock);
		rc = p->plan.sink->tick(p->sink, err);
		if (rc == 0 && atomic_load(&p->failed))
			rc = -1;
		if (rc == 0 && stopping(p)) {
			stop_ms = stop_ms == 0 ? now : stop_ms;
			rc = now - stop_ms >= STOP_SAVE_MS ? 1 : 0;
		}
		pthread_mutex_lock(&p->saved_lock);
	}
	pthread_mutex_unlock(&p->saved_lock);
	return rc;
}

/* 1: the shard stops before. */
static int
run_ddl(struct ml_pipeline *p, struct ml_batch *b, struct ml_err *err)
{
	const struct ml_sink_ops *ops = p->plan.sink;
	bool all = p->plan.encoder != NULL && p->plan.encoder->ddl_all_partitions;

	ml_info(p->env.object, "ddl table=%.*s.%.*s action=%d commit_ts=%llu", (int)b->barrier.ddl->db.len,
		b->barrier.ddl->db.s, (int)b->barrier.ddl->table.len, b->barrier.ddl->table.s, b->barrier.ddl->action,
		(unsigned long long)b->barrier.ddl->commit_ts);
	if (ops->flush(p->sink, err) != 0)
		return -1;
	if (ops->saves_before_ddl) {
		int rc = await_saved(p, err);

		if (rc != 0)
			return rc;
	}
	if (ops->ddl(p->sink, b->barrier.ddl, b->n_msgs > 0 ? &b->msgs[0] : NULL, all, err) != 0)
		return -1;
	p->ddl_was_written = true;
	return 0;
}

/* Where nothing is encoded: what the encode stage would do to names and rows. */
static int
shape_batch(struct ml_pipeline *p, struct ml_batch *b, struct ml_err *err)
{
	struct ml_schema *to;
	uint32_t n = b->n_pins;

	if (p->encoder != NULL || p->shaper == NULL)
		return 0;
	if (p->router != NULL && b->barrier.kind == ML_BAR_TABLES)
		for (uint32_t i = 0; i < n; i++)
			if (ml_router_listed(p->router, b->pins[i], &to, err) != 0)
				return -1;
	if (b->barrier.kind == ML_BAR_DDL && route_ddl(p, b, err) < 0)
		return -1;
	if (ml_shaper_rows(p->shaper, b, err) != 0)
		return -1;
	return p->router != NULL ? ml_router_rows(p->router, b, err) : 0;
}

/* 1: the shard stops before all of it is taken. */
static int
take_batch(struct ml_pipeline *p, struct ml_batch *b, struct ml_err *err)
{
	uint64_t seq = b->seq;

	if (shape_batch(p, b, err) != 0) {
		ml_batch_free(b);
		return -1;
	}
	if (b->barrier.kind == ML_BAR_DDL) {
		int rc = run_ddl(p, b, err);

		ml_batch_free(b);
		if (rc == 0)
			is_durable(p, seq);
		return rc;
	}
	if (b->n_changes == 0 && b->n_msgs == 0) {
		/* Only a barrier: nothing for the sink. */
		ml_batch_free(b);
		is_durable(p, seq);
		return 0;
	}
	return p->plan.sink->write(p->sink, b, err);
}

/* Tells the checkpoint downstream when it advanced: at most once a second, and at once after a DDL. */
static int
tell_checkpoint(struct ml_pipeline *p, bool last, struct ml_err *err)
{
	ml_ts checkpoint = ml_progress_checkpoint(p->progress);
	uint64_t now = ml_now_ms();
	struct ml_topic **topics = NULL;
	struct ml_arena arena;
	struct ml_msg m;
	size_t n = 0;
	int rc = 0;

	if (checkpoint <= p->told || (!last && !p->ddl_was_written && now - p->told_ms < CHECKPOINT_EVERY_MS))
		return 0;
	ml_arena_init(&arena, 4096);
	if (p->encoder != NULL && p->encoder->ops->checkpoint != NULL) {
		pthread_mutex_lock(&p->encode_lock);
		rc = p->encoder->ops->checkpoint(p->encoder, checkpoint, &arena, &m, err);
		if (rc > 0 && p->plan.sink->topics && ml_dispatcher_topics(p->dispatcher, &topics, &n, err) != 0)
			rc = -1;
		/* The array is the dispatcher's and grows in the encode stage; topics themselves stay. */
		if (rc > 0 && n > 0) {
			struct ml_topic **copy = ml_arena_alloc(&arena, n * sizeof(struct ml_topic *));

			memcpy(copy, topics, n * sizeof(struct ml_topic *));
			topics = copy;
		}
		pthread_mutex_unlock(&p->encode_lock);
	}
	if (rc >= 0)
		rc = p->plan.sink->checkpoint(p->sink, checkpoint, rc > 0 ? &m : NULL, topics, n, err);
	ml_arena_fini(&arena);
	if (rc != 0)
		return -1;
	ml_debug(p->env.object, "checkpoint told downstream checkpoint_ts=%llu in_flight_bytes=%llu",
		(unsigned long long)checkpoint, (unsigned long long)ml_quota_used(p->quota));
	p->told = checkpoint;
	p->told_ms = now;
	p->ddl_was_written = false;
	return 0;
}

static int
open_claims(void *arg, struct ml_claim_place **out, const char *uri, struct ml_err *err)
{
	struct ml_pipeline *p = arg;
	struct ml_claim_store *s;

	if (ml_claim_store_open(&s, uri, p->env.config, p->env.object, err) != 0)
		return -1;
	atomic_store(&p->claims, s);
	*out = ml_claim_store_place(s);
	return 0;
}

static int
open_encoder(struct ml_pipeline *p, struct ml_err *err)
{
	struct ml_encoder_env env = {
		.spec = p->env.spec,
		.config = p->env.config,
		.sink_uri = p->plan.uri,
		.max_message_bytes =
			p->plan.sink->max_message_bytes != NULL ? p->plan.sink->max_message_bytes(p->sink) : SIZE_MAX,
		.storage = p->plan.sink->storage,
		.now_ms = ml_wall_ms,
		.claim_place = open_claims,
		.claim_arg = p,
	};

	if (p->plan.sink->takes != ML_TAKES_NOTHING &&
		(ml_shaper_new(&p->shaper, p->env.spec, p->plan.sink->topics, err) != 0 ||
			ml_router_new(&p->router, p->env.spec, p->filter, p->plan.sink->takes == ML_TAKES_ROWS,
				p->env.object, err) != 0))
		return -1;
	if (p->plan.encoder == NULL)
		return 0;
	if (ml_dispatcher_new(&p->dispatcher, p->env.spec, p->plan.topic, p->plan.encoder->name,
		    p->plan.sink->open_topic, p->sink, err) != 0)
		return -1;
	return p->plan.encoder->open(&p->encoder, &env, err);
}

static uint64_t
quota_bytes(const struct ml_pipeline *p)
{
	uint64_t n = p->env.config->worker_memory_quota_bytes;

	return n > 0 ? n : QUOTA_DEFAULT;
}

static int
open_source(struct ml_pipeline *p, struct ml_err *err)
{
	p->source_env = (struct ml_source_env){
		.spec = p->env.spec,
		.config = p->env.config,
		.object = p->env.object,
		.filter = p->filter,
		.want_values = p->plan.sink->takes != ML_TAKES_NOTHING || ml_event_filter_wants_rows(p->events),
		.want_tables = (p->encoder != NULL && p->encoder->wants_tables) || p->router != NULL,
		.every_ddl = p->plan.sink->takes == ML_TAKES_ROWS,
		.checkpoint_ts = p->env.checkpoint_ts,
		.position = p->env.position,
		.state_dir = p->env.state_dir,
		.quota = p->quota,
		.quota_bytes = quota_bytes(p),
		.arg = p,
		.emit = on_emit,
		.warn = on_warn,
		.table = on_table,
		.clock = on_clock,
	};

	p->source_ops = ml_source_for(p->env.spec->upstream->uri, err);
	return p->source_ops == NULL ? -1 : p->source_ops->open(&p->source, &p->source_env, err);
}

static int
start_thread(pthread_t *t, void *(*fn)(void *), struct ml_pipeline *p, const char *name, struct ml_err *err)
{
	int rc = pthread_create(t, NULL, fn, p);

	if (rc != 0)
		return ML_ERRF(err, ErrIO, rc, "cannot start a thread: %s", strerror(rc));
	pthread_setname_np(*t, name);
	return 0;
}

/* The other stages' threads, unless a stop came first. */
static int
start_stages(struct ml_pipeline *p, struct ml_err *err)
{
	int rc = 0;

	pthread_mutex_lock(&p->state_lock);
	if (p->plan.encoder != NULL) {
		rc = start_thread(&p->encode_thread, encode_main, p, "encode", err);
		p->encode_started = rc == 0;
	}
	if (p->stopping) {
		ml_queue_end(p->to_encode);
	} else if (rc == 0) {
		rc = start_thread(&p->source_thread, source_main, p, "source", err);
		p->source_started = rc == 0;
	}
	pthread_mutex_unlock(&p->state_lock);
	return rc;
}

/* Everything that may block or fail on the way up. */
static int
set_up(struct ml_pipeline *p, struct ml_err *err)
{
	struct ml_sink_env *env = &p->sink_env;

	if (ml_plan_init(&p->plan, p->env.spec, err) != 0 || ml_filter_new(&p->filter, p->env.spec, err) != 0 ||
		ml_tz_open(&p->tz, p->env.config->tz, err) != 0 ||
		ml_event_filter_new(&p->events, p->env.spec, p->tz, p->env.object, err) != 0)
		return -1;
	if (p->plan.encoder != NULL)
		p->to_sink = ml_queue_new(QUEUE_BATCHES);
	*env = ml_plan_sink_env(&p->plan, p->env.spec, p->env.config, p->env.object);
	env->arg = p;
	env->durable = on_durable;
	env->fail = on_sink_fail;
	env->warn = on_warn;
	env->state_dir = p->env.state_dir;
	env->replicating_ts = &p->replicating_ts;
	ml_estate_settle(ML_ESTATE_WAIT_MS);
	if (p->plan.sink->check(env, err) != 0 || p->plan.sink->open(&p->sink, env, err) != 0 ||
		open_encoder(p, err) != 0 || open_source(p, err) != 0)
		return -1;
	return start_stages(p, err);
}

static void *
sink_main(void *arg)
{
	struct ml_pipeline *p = arg;
	struct ml_err err = { 0 };
	struct ml_batch *b = NULL;
	enum ml_pop got;
	int rc = set_up(p, &err);
	uint64_t ticked_ms = ml_now_ms();

	while (rc == 0) {
		/* Batches that keep coming must not keep the sink from what it does by time. */
		if (ml_now_ms() - ticked_ms >= ML_SINK_TICK_MS) {
			ticked_ms = ml_now_ms();
			rc = p->plan.sink->tick(p->sink, &err);
			if (rc != 0)
				break;
		}
		got = ml_queue_pop(p->to_sink, &b, ML_SINK_TICK_MS);
		if (got == ML_POP_STOPPED)
			return NULL;
		if (got == ML_POP_BATCH)
			rc = take_batch(p, b, &err);
		if (rc > 0) {
			p->env.drained(p->env.arg, false);
			return NULL;
		}
		if (rc == 0 && got == ML_POP_END) {
			rc = p->plan.sink->flush(p->sink, &err);
			if (rc == 0 && !atomic_load(&p->failed) && tell_checkpoint(p, true, &err) == 0) {
				p->env.drained(p->env.arg, atomic_load(&p->at_target));
				return NULL;
			}
			rc = -1;
		} else if (rc == 0) {
			rc = tell_checkpoint(p, false, &err);
		}
	}
	if (err.code != ML_OK)
		fail(p, &err);
	return NULL;
}

/* ---- control ---- */

int
ml_pipeline_start(struct ml_pipeline **out, const struct ml_pipeline_env *env, struct ml_err *err)
{
	struct ml_pipeline *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return ML_ERR(err, ErrNoMemory, 0, "starting a pipeline");
	p->env = *env;
	pthread_mutex_init(&p->encode_lock, NULL);
	pthread_mutex_init(&p->state_lock, NULL);
	pthread_mutex_init(&p->tables_lock, NULL);
	pthread_mutex_init(&p->saved_lock, NULL);
	pthread_cond_init(&p->saved_news, NULL);
	p->quota = ml_quota_new(
		env->config->worker_memory_quota_bytes > 0 ? env->config->worker_memory_quota_bytes : QUOTA_DEFAULT);
	p->progress = ml_progress_new(env->checkpoint_ts, env->position);
	p->to_encode = p->to_sink = ml_queue_new(QUEUE_BATCHES);
	p->told = env->checkpoint_ts;
	*out = p;
	if (start_thread(&p->sink_thread, sink_main, p, "sink", err) != 0) {
		*out = NULL;
		ml_queue_free(p->to_encode);
		ml_progress_free(p->progress);
		ml_quota_free(p->quota);
		free(p);
		return -1;
	}
	return 0;
}

void
ml_pipeline_stop(struct ml_pipeline *p)
{
	pthread_mutex_lock(&p->state_lock);
	p->stopping = true;
	if (p->source_started)
		p->source_ops->stop(p->source);
	pthread_mutex_unlock(&p->state_lock);
}

void
ml_pipeline_free(struct ml_pipeline *p)
{
	struct ml_queue *second;

	if (p == NULL)
		return;
	pthread_join(p->sink_thread, NULL);
	second = p->to_sink != p->to_encode ? p->to_sink : NULL;
	ml_queue_stop(p->to_encode);
	ml_queue_stop(p->to_sink);
	ml_quota_stop(p->quota);
	if (p->source_started) {
		p->source_ops->stop(p->source);
		pthread_join(p->source_thread, NULL);
	}
	if (p->encode_started)
		pthread_join(p->encode_thread, NULL);
	if (p->source != NULL)
		p->source_ops->close(p->source);
	if (p->sink != NULL)
		p->plan.sink->close(p->sink);
	ml_queue_free(p->to_encode);
	ml_queue_free(second);
	ml_batch_pool_drain();
	if (p->encoder != NULL)
		p->encoder->ops->close(p->encoder);
	ml_claim_store_free(atomic_load(&p->claims));
	ml_dispatcher_free(p->dispatcher);
	ml_shaper_free(p->shaper);
	ml_router_free(p->router);
	ml_filter_free(p->filter);
	ml_event_filter_free(p->events);
	ml_tz_free(p->tz);
	ml_plan_fini(&p->plan);
	ml_progress_free(p->progress);
	ml_quota_free(p->quota);
	pthread_mutex_destroy(&p->encode_lock);
	pthread_mutex_destroy(&p->state_lock);
	pthread_mutex_destroy(&p->tables_lock);
	pthread_mutex_destroy(&p->saved_lock);
	pthread_cond_destroy(&p->saved_news);
	free(p->tables);
	free(p);
}

void
ml_pipeline_marks(struct ml_pipeline *p, ml_ts *checkpoint, ml_ts *resolved)
{
	*checkpoint = ml_progress_checkpoint(p->progress);
	*resolved = ml_progress_resolved(p->progress);
}

static void
put_figures(struct ml_pipeline *p, Ml__WorkerStats *s)
{
	struct ml_figures f = { 0 };

	p->plan.sink->figures(p->sink, &f);
	s->figures = f.v;
	s->n_figures = f.n;
}

Ml__Progress *
ml_pipeline_progress(struct ml_pipeline *p)
{
	Ml__Progress *m = malloc(sizeof(*m));
	Ml__WorkerStats *s = malloc(sizeof(*s));
	uint64_t reconnects = 0;

	if (m == NULL || s == NULL)
		abort();
	ml__progress__init(m);
	ml__worker_stats__init(s);
	m->stats = s;
	m->checkpoint_ts = ml_progress_get(p->progress, &m->position);
	m->resolved_ts = ml_progress_resolved(p->progress);
	pthread_mutex_lock(&p->tables_lock);
	if (p->n_tables > 0) {
		m->table_ids = malloc(p->n_tables * sizeof(*p->tables));
		if (m->table_ids == NULL)
			abort();
		memcpy(m->table_ids, p->tables, p->n_tables * sizeof(*p->tables));
		m->n_table_ids = p->n_tables;
	}
	pthread_mutex_unlock(&p->tables_lock);
	s->filtered_rows = atomic_load(&p->filtered_rows);
	s->rows = atomic_load(&p->rows);
	s->txns = atomic_load(&p->txns);
	s->ddls = atomic_load(&p->ddls);
	s->memory_bytes = ml_quota_used(p->quota);
	pthread_mutex_lock(&p->state_lock);
	if (p->source_started)
		p->source_ops->stats(p->source, &s->bytes_in, &s->events, &reconnects);
	s->source_reconnects = reconnects;
	if (p->source_started && p->plan.sink->stats != NULL)
		p->plan.sink->stats(p->sink, &s->bytes_out, &s->sink_errors);
	if (p->source_started && p->plan.sink->figures != NULL)
		put_figures(p, s);
	pthread_mutex_unlock(&p->state_lock);
	return m;
}

void
ml_pipeline_saved(struct ml_pipeline *p, ml_ts checkpoint)
{
	pthread_mutex_lock(&p->saved_lock);
	if (checkpoint > p->saved)
		p->saved = checkpoint;
	pthread_cond_signal(&p->saved_news);
	pthread_mutex_unlock(&p->saved_lock);
	pthread_mutex_lock(&p->state_lock);
	if (p->source_started && p->source_ops->saved != NULL)
		p->source_ops->saved(p->source, checkpoint);
	pthread_mutex_unlock(&p->state_lock);
}
