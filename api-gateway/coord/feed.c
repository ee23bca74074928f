#include "api-gateway/coord/feed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "api-gateway/coord/coord.h"
#include "api-gateway/coord/shard.h"
#include "api-gateway/coord/store.h"
#include "common/run/log.h"

static const char *const state_name[] = {
	[ML_FEED_NORMAL] = "normal",
	[ML_FEED_PENDING] = "pending",
	[ML_FEED_FAILED] = "failed",
	[ML_FEED_STOPPED] = "stopped",
	[ML_FEED_FINISHED] = "finished",
	[ML_FEED_REMOVED] = "removed",
	[ML_FEED_WARNING] = "warning",
};

const char *
ml_feed_state_name(enum ml_feed_state s)
{
	return state_name[s];
}

bool
ml_feed_state_of(const char *name, enum ml_feed_state *s)
{
	if (strcmp(name, "error") == 0) {
		*s = ML_FEED_PENDING;
		return true;
	}
	for (size_t i = 0; i < sizeof(state_name) / sizeof(state_name[0]); i++) {
		if (i != ML_FEED_REMOVED && strcmp(state_name[i], name) == 0) {
			*s = (enum ml_feed_state)i;
			return true;
		}
	}
	return false;
}

bool
ml_feed_active(const struct ml_feed *f)
{
	return f->state == ML_FEED_NORMAL || f->state == ML_FEED_WARNING;
}

Ml__WorkerStats
ml_feed_totals(const struct ml_feed *f)
{
	Ml__WorkerStats t = f->stats_before;

	t.rows += f->stats.rows;
	t.bytes_in += f->stats.bytes_in;
	t.events += f->stats.events;
	t.ddls += f->stats.ddls;
	t.bytes_out += f->stats.bytes_out;
	t.memory_bytes = f->stats.memory_bytes;
	t.sink_errors += f->stats.sink_errors;
	t.source_reconnects += f->stats.source_reconnects;
	t.filtered_rows += f->stats.filtered_rows;
	t.txns += f->stats.txns;
	return t;
}

static void on_retry(void *arg);

struct ml_feed *
ml_feed_new(struct ml_coord *c, Ml__ChangefeedSpec *spec)
{
	struct ml_feed *f = calloc(1, sizeof(*f));
	size_t n = strlen(spec->namespace_) + strlen(spec->id) + 2;

	if (f == NULL || (f->name = malloc(n)) == NULL)
		abort();
	snprintf(f->name, n, "%s/%s", spec->namespace_, spec->id);
	f->c = c;
	f->spec = spec;
	f->checkpoint_ts = f->resolved_ts = spec->start_ts;
	ml__worker_stats__init(&f->stats);
	ml__worker_stats__init(&f->stats_before);
	f->advanced_ms = ml_now_ms();
	f->retry_timer = ml_timer_new(c->env.loop, on_retry, f);
	ml_list_init(&f->waiters);
	return f;
}

void
ml_feed_error_free(struct ml_feed_error *e)
{
	if (e == NULL)
		return;
	free(e->addr);
	free(e);
}

void
ml_feed_free(struct ml_feed *f)
{
	if (f == NULL)
		return;
	ml_shard_drop(f);
	ml_timer_free(f->retry_timer);
	ml__changefeed_spec__free_unpacked(f->spec, NULL);
	if (f->position != NULL)
		ml__position__free_unpacked(f->position, NULL);
	ml_feed_error_free(f->error);
	ml_feed_error_free(f->warning);
	ml_figures_fini(&f->figures);
	ml_figures_fini(&f->figures_before);
	if (f->running_ddl != NULL)
		ml__running_ddl__free_unpacked(f->running_ddl, NULL);
	free(f->creator_version);
	free(f->table_ids);
	free(f->name);
	free(f);
}

static void
changed(struct ml_feed *f)
{
	f->version++;
	f->info_dirty = true;
	ml_coord_save_soon(f->c);
}

static void
record(struct ml_feed *f, struct ml_feed_error **slot, const struct ml_err *err)
{
	struct ml_feed_error *e = calloc(1, sizeof(*e));

	if (e == NULL || (e->addr = strdup(f->c->env.config->advertise_addr)) == NULL)
		abort();
	e->time_us = (int64_t)ml_wall_ms() * 1000;
	e->err = *err;
	ml_feed_error_free(*slot);
	*slot = e;
	changed(f);
}

void
ml_feed_set_state(struct ml_feed *f, enum ml_feed_state s)
{
	if (f->state == s)
		return;
	ml_info(f->name, "state from=%s to=%s checkpoint_ts=%llu", state_name[f->state], state_name[s],
		(unsigned long long)f->checkpoint_ts);
	f->state = s;
	if (s != ML_FEED_PENDING)
		ml_timer_disarm(f->retry_timer);
	changed(f);
	ml_shard_converge(f);
}

void
ml_feed_start_over(struct ml_feed *f)
{
	ml_feed_error_free(f->error);
	ml_feed_error_free(f->warning);
	f->error = f->warning = NULL;
	ml_retry_reset(&f->retry);
	memset(f->shard.deaths_ms, 0, sizeof(f->shard.deaths_ms));
	f->retry_ts = f->warning_ts = f->checkpoint_ts;
	f->advanced_ms = ml_now_ms();
	ml_feed_set_state(f, ML_FEED_NORMAL);
}

void
ml_feed_error(struct ml_feed *f, const struct ml_err *err)
{
	uint64_t wait;

	if (!ml_feed_active(f)) {
		ml_log_err(ML_INFO, f->name, err, "error of a changefeed that does not run");
		return;
	}
	ml_log_err(ML_ERROR, f->name, err, "changefeed stopped by an error");
	record(f, &f->error, err);
	if (ml_err_is_fatal(err)) {
		ml_feed_set_state(f, ML_FEED_FAILED);
		return;
	}
	wait = ml_retry_error(&f->retry, ml_now_ms());
	ml_feed_set_state(f, ML_FEED_PENDING);
	ml_timer_arm(f->retry_timer, wait);
}

/* The back-off of `pending` is over. */
static void
on_retry(void *arg)
{
	struct ml_feed *f = arg;
	uint16_t chance = 32768;

	if (f->state != ML_FEED_PENDING || f->removing)
		return;
	if (getrandom(&chance, sizeof(chance), 0) < 0)
		chance = 32768;
	if (!ml_retry_go(&f->retry, ml_now_ms(), chance)) {
		ml_warn(f->name, "changefeed gives up: retried for as long as it may");
		ml_feed_set_state(f, ML_FEED_FAILED);
		return;
	}
	f->retry_ts = f->checkpoint_ts;
	f->advanced_ms = ml_now_ms();
	ml_feed_set_state(f, ML_FEED_WARNING);
}

void
ml_feed_warn(struct ml_feed *f, const struct ml_err *err)
{
	if (!ml_feed_active(f))
		return;
	ml_log_err(ML_WARN, f->name, err, "changefeed runs with trouble");
	record(f, &f->warning, err);
	f->warning_ts = f->checkpoint_ts;
	/* However long a table is rewritten downstream, that is no standstill. */
	if (err->code == ML_ErrDDLStillRunning)
		f->advanced_ms = ml_now_ms();
	ml_feed_set_state(f, ML_FEED_WARNING);
}

void
ml_feed_well(struct ml_feed *f)
{
	if (f->state != ML_FEED_WARNING)
		return;
	ml_retry_well(&f->retry, ml_now_ms());
	ml_feed_set_state(f, ML_FEED_NORMAL);
}

static void
broken_promise(struct ml_feed *f, const char *what, ml_ts ts)
{
	struct ml_err err;
	char text[200];

	snprintf(text, sizeof(text), "the worker reported %s %llu below checkpoint-ts %llu", what,
		(unsigned long long)ts, (unsigned long long)f->checkpoint_ts);
	ML_ERR(&err, ErrInternalCheckFailed, 0, text);
	ml_feed_error(f, &err);
}

static void
advance(struct ml_feed *f, ml_ts checkpoint_ts, const Ml__Position *position)
{
	if (position != NULL || checkpoint_ts > f->checkpoint_ts) {
		/* A place that belongs to another checkpoint would be wrong; none is only slower. */
		if (f->position != NULL)
			ml__position__free_unpacked(f->position, NULL);
		f->position = ml_position_copy(position);
		f->status_dirty = true;
	}
	if (checkpoint_ts == f->checkpoint_ts)
		return;
	f->checkpoint_ts = checkpoint_ts;
	f->advanced_ms = ml_now_ms();
	memset(f->shard.deaths_ms, 0, sizeof(f->shard.deaths_ms));
	if (f->state == ML_FEED_WARNING && checkpoint_ts > f->retry_ts && checkpoint_ts > f->warning_ts)
		ml_feed_well(f);
}

void
ml_feed_progress(struct ml_feed *f, ml_ts checkpoint_ts, ml_ts resolved_ts, const Ml__Position *position)
{
	if (checkpoint_ts < f->checkpoint_ts) {
		broken_promise(f, "checkpoint-ts", checkpoint_ts);
		return;
	}
	f->resolved_ts = resolved_ts > checkpoint_ts ? resolved_ts : checkpoint_ts;
	advance(f, checkpoint_ts, position);
	if (f->checkpoint_ts >= f->resolved_ts)
		f->advanced_ms = ml_now_ms(); /* nothing to deliver is not stuck */
}

void
ml_feed_finished(struct ml_feed *f, ml_ts checkpoint_ts)
{
	if (checkpoint_ts < f->checkpoint_ts) {
		broken_promise(f, "the end at", checkpoint_ts);
		return;
	}
	if (!ml_feed_active(f))
		return;
	advance(f, checkpoint_ts, NULL);
	f->resolved_ts = f->checkpoint_ts;
	ml_feed_set_state(f, ML_FEED_FINISHED);
}

void
ml_feed_tick(struct ml_feed *f, uint64_t now_ms)
{
	struct ml_err err;

	ml_shard_tick(f, now_ms);
	if (f->state != ML_FEED_WARNING || now_ms - f->advanced_ms < ML_RETRY_BUDGET_MS)
		return;
	ML_ERR(&err, ErrChangefeedUnretryable, 0,
		f->warning != NULL ? f->warning->err.text : "the checkpoint does not move");
	ml_feed_error(f, &err);
}
