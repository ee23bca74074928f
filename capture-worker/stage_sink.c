/*
 * stage_sink.c - gives batches to the sink in order, DDLs as barriers, and tells the checkpoint downstream.  Its thread sets
 * the pipeline up, since that may block as well.
 */
#include "capture-worker/pipeline_stages.h"

#include <string.h>

#include "common/run/log.h"
#include "common/run/loop.h"

/* A stop does not wait for long for a checkpoint to be stored: who is to store it may be gone. */
#define STOP_SAVE_MS 1000
/* How often it is asked for again, since who was asked first may have died. */
#define ASK_SAVE_MS 500
/* How often a checkpoint message goes downstream at most (protocols.md 4.7). */
#define CHECKPOINT_EVERY_MS 1000
/* So much of a DDL is shown while it runs. */
#define RUNNING_TEXT 400

static void
is_durable(struct ml_pipeline *p, uint64_t seq)
{
	if (ml_progress_durable(p->progress, seq) && !atomic_exchange(&p->advanced, true))
		p->env.advanced(p->env.arg);
}

void
pipeline_durable(void *arg, uint64_t seq)
{
	struct ml_pipeline *p = arg;

	if (!atomic_load(&p->failed))
		is_durable(p, seq);
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

/* For those who ask why nothing moves. */
static void
set_running(struct ml_pipeline *p, const struct ml_ddl *ddl)
{
	pthread_mutex_lock(&p->state_lock);
	p->running_ddl.len = 0;
	if (ddl != NULL) {
		ml_buf_put(
			&p->running_ddl, ddl->query.s, ddl->query.len < RUNNING_TEXT ? ddl->query.len : RUNNING_TEXT);
		p->running_ts = ddl->commit_ts;
		p->running_since_ms = ml_wall_ms();
	}
	pthread_mutex_unlock(&p->state_lock);
}

/* 1: the shard stops before. */
static int
run_ddl(struct ml_pipeline *p, struct ml_batch *b, struct ml_err *err)
{
	const struct ml_sink_ops *ops = p->plan.sink;
	bool all = p->plan.encoder != NULL && p->plan.encoder->ddl_all_partitions;
	int rc = 0;

	ml_info(p->env.object, "ddl table=%.*s.%.*s action=%d commit_ts=%llu", (int)b->barrier.ddl->db.len,
		b->barrier.ddl->db.s, (int)b->barrier.ddl->table.len, b->barrier.ddl->table.s, b->barrier.ddl->action,
		(unsigned long long)b->barrier.ddl->commit_ts);
	if (ops->flush(p->sink, err) != 0)
		return -1;
	if (ops->saves_before_ddl) {
		rc = await_saved(p, err);
		if (rc != 0)
			return rc;
	}
	set_running(p, b->barrier.ddl);
	rc = ops->ddl(p->sink, b->barrier.ddl, b->n_msgs > 0 ? &b->msgs[0] : NULL, all, err);
	set_running(p, NULL);
	if (rc != 0)
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
	if (b->barrier.kind == ML_BAR_DDL && pipeline_route_ddl(p, b, err) < 0)
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

void *
pipeline_sink_main(void *arg)
{
	struct ml_pipeline *p = arg;
	struct ml_err err = { 0 };
	struct ml_batch *b = NULL;
	enum ml_pop got;
	int rc = pipeline_set_up(p, &err);
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
		pipeline_fail(p, &err);
	return NULL;
}
