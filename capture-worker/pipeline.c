#include "capture-worker/pipeline.h"

#include <stdlib.h>
#include <string.h>

#include "capture-worker/pipeline_stages.h"
#include "common/run/estate.h"
#include "common/run/figures.h"
#include "common/run/log.h"
#include "common/run/loop.h"

/* Batches between two stages: enough that neither waits for the other's rhythm, few enough that latency stays small. */
#define QUEUE_BATCHES 8
#define QUOTA_DEFAULT (512ull << 20)
/* From when on a DDL counts as one that runs. */
#define RUNNING_SHOWN_MS 1000

void
pipeline_fail(struct ml_pipeline *p, const struct ml_err *err)
{
	if (atomic_exchange(&p->failed, true))
		return;
	ml_queue_stop(p->to_encode);
	ml_queue_stop(p->to_sink);
	ml_quota_stop(p->quota);
	ml_claim_store_stop(atomic_load(&p->claims));
	p->env.failed(p->env.arg, err);
}

/* ---- for source and sink ---- */

void
pipeline_warn(void *arg, const struct ml_err *err)
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
on_sink_fail(void *arg, const struct ml_err *err)
{
	pipeline_fail(arg, err);
}

/* ---- on the way up ---- */

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
		.emit = pipeline_emit,
		.warn = pipeline_warn,
		.table = pipeline_table,
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
		rc = start_thread(&p->encode_thread, pipeline_encode_main, p, "encode", err);
		p->encode_started = rc == 0;
	}
	if (p->stopping) {
		ml_queue_end(p->to_encode);
	} else if (rc == 0) {
		rc = start_thread(&p->source_thread, pipeline_source_main, p, "source", err);
		p->source_started = rc == 0;
	}
	pthread_mutex_unlock(&p->state_lock);
	return rc;
}

int
pipeline_set_up(struct ml_pipeline *p, struct ml_err *err)
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
	env->durable = pipeline_durable;
	env->fail = on_sink_fail;
	env->warn = pipeline_warn;
	env->state_dir = p->env.state_dir;
	env->replicating_ts = &p->replicating_ts;
	ml_estate_settle(ML_ESTATE_WAIT_MS);
	if (p->plan.sink->check(env, err) != 0 || p->plan.sink->open(&p->sink, env, err) != 0 ||
		open_encoder(p, err) != 0 || open_source(p, err) != 0)
		return -1;
	return start_stages(p, err);
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
	if (start_thread(&p->sink_thread, pipeline_sink_main, p, "sink", err) != 0) {
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
	ml_buf_fini(&p->running_ddl);
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
put_running(struct ml_pipeline *p, Ml__Progress *m)
{
	if (p->running_ddl.len == 0 || ml_wall_ms() < p->running_since_ms + RUNNING_SHOWN_MS)
		return;
	m->running_ddl = malloc(sizeof(*m->running_ddl));
	if (m->running_ddl == NULL)
		abort();
	ml__running_ddl__init(m->running_ddl);
	m->running_ddl->query = strndup(p->running_ddl.data, p->running_ddl.len);
	if (m->running_ddl->query == NULL)
		abort();
	m->running_ddl->commit_ts = p->running_ts;
	m->running_ddl->started_ms = (int64_t)p->running_since_ms;
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
	put_running(p, m);
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
