#include "api-gateway/coord/shard.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api-gateway/coord/coord.h"
#include "common/run/inbox.h"
#include "common/run/log.h"

/* Phases as states of the inbox: who is stopping may still report how far it came. */
#define IN(phase) (1u << (phase))

static void on_message(struct ml_chan *ch, const Ml__Envelope *m, int fd, void *arg);
static void on_closed(struct ml_chan *ch, enum ml_chan_end end, const struct ml_err *err, void *arg);
static void gone(struct ml_feed *f);
static const struct ml_chan_handlers handlers = { .message = on_message, .closed = on_closed };

/* Takes a copy; NULL: none. */
static void
set_running(struct ml_feed *f, const Ml__RunningDdl *from)
{
	Ml__RunningDdl *to = NULL;

	if (f->running_ddl != NULL)
		ml__running_ddl__free_unpacked(f->running_ddl, NULL);
	if (from != NULL) {
		to = malloc(sizeof(*to));
		if (to == NULL)
			abort();
		ml__running_ddl__init(to);
		to->query = strdup(from->query);
		if (to->query == NULL)
			abort();
		to->commit_ts = from->commit_ts;
		to->started_ms = from->started_ms;
	}
	f->running_ddl = to;
}

static void
phase(struct ml_feed *f, enum ml_shard_phase p)
{
	f->shard.phase = p;
	if (p == ML_SHARD_RUNNING) {
		f->shard.once = true;
		f->started_us = (int64_t)ml_wall_ms() * 1000;
	}
	if (p == ML_SHARD_OFF) {
		free(f->table_ids);
		f->table_ids = NULL;
		f->n_table_ids = 0;
		set_running(f, NULL);
		f->resolved_ts = f->checkpoint_ts;
		f->stats.memory_bytes = 0;
	}
}

static void
fill_key(Ml__ShardKey *key, const struct ml_feed *f, uint64_t epoch)
{
	ml__shard_key__init(key);
	key->namespace_ = f->spec->namespace_;
	key->changefeed_id = f->spec->id;
	key->epoch = epoch;
}

static void
stop_epoch(struct ml_feed *f, uint64_t epoch, uint32_t grace_ms)
{
	Ml__ShardKey key;

	fill_key(&key, f, epoch);
	ml_coord_stop_shard(f->c, &key, grace_ms);
}

static void
start(struct ml_feed *f)
{
	Ml__Envelope env = ML__ENVELOPE__INIT;
	Ml__StartShard m = ML__START_SHARD__INIT;
	Ml__ShardKey key;

	f->shard.epoch = f->epoch;
	fill_key(&key, f, f->epoch);
	m.key = &key;
	m.role = ML__ROLE__ROLE_WORKER;
	env.body_case = ML__ENVELOPE__BODY_START_SHARD;
	env.start_shard = &m;
	ml_chan_send(f->c->env.supervisor, &env, -1);
	phase(f, ML_SHARD_STARTING);
}

/* The epoch of the next start differs from all before, also from one that a crashed gateway gave out and did not store. */
static void
next_epoch(struct ml_feed *f)
{
	uint64_t now_us = ml_wall_ms() * 1000;

	f->epoch = now_us > f->epoch ? now_us : f->epoch + 1;
	f->version++;
	f->info_dirty = true;
	ml_coord_save_soon(f->c);
}

static void
stop(struct ml_feed *f, uint32_t grace_ms)
{
	stop_epoch(f, f->shard.epoch, grace_ms);
	phase(f, ML_SHARD_STOPPING);
	next_epoch(f);
}

void
ml_shard_converge(struct ml_feed *f)
{
	bool want = ml_feed_active(f) && !f->removing;

	if (!f->c->running)
		return; /* not started yet, or the node stops: the supervisor ends the workers itself */
	if (f->shard.phase == ML_SHARD_OFF && want)
		start(f);
	else if (f->shard.phase != ML_SHARD_OFF && f->shard.phase != ML_SHARD_STOPPING && !want)
		stop(f, ML_SHARD_GRACE_MS);
	if (f->shard.phase == ML_SHARD_OFF && f->removing)
		ml_coord_delete(f);
}

void
ml_shard_drop(struct ml_feed *f)
{
	ml_chan_free(f->shard.ch);
	f->shard.ch = NULL;
	f->shard.hello = false;
	f->shard.ch_lost_ms = 0;
}

/* ---- over the worker's channel ---- */

static void
assign(struct ml_feed *f)
{
	Ml__Envelope env = ML__ENVELOPE__INIT;
	Ml__Assign m = ML__ASSIGN__INIT;
	Ml__Upstream *stored = f->spec->upstream;

	if (!f->shard.hello || f->shard.strays > 0 || f->shard.phase != ML_SHARD_UP)
		return;
	if (stored == NULL)
		f->spec->upstream = f->c->env.config->upstream;
	m.spec = f->spec;
	m.epoch = f->shard.epoch;
	m.checkpoint_ts = f->checkpoint_ts;
	m.position = f->position;
	env.body_case = ML__ENVELOPE__BODY_ASSIGN;
	env.assign = &m;
	ml_chan_send(f->shard.ch, &env, -1);
	f->spec->upstream = stored;
	phase(f, ML_SHARD_RUNNING);
	ml_info(f->name, "assigned pid=%lld epoch=%llu checkpoint_ts=%llu", (long long)f->shard.pid,
		(unsigned long long)f->shard.epoch, (unsigned long long)f->checkpoint_ts);
}

static void
on_hello(struct ml_chan *ch, const Ml__Envelope *env, int fd, void *arg)
{
	const Ml__WorkerHello *m = env->worker_hello;
	struct ml_feed *f = arg;

	(void)fd;
	if (m->key == NULL || strcmp(m->key->namespace_, f->spec->namespace_) != 0 ||
		strcmp(m->key->changefeed_id, f->spec->id) != 0 || (m->assigned && m->key->epoch != f->shard.epoch)) {
		ml_chan_refuse(ch, "WorkerHello of another shard");
		return;
	}
	if (f->shard.hello) {
		ml_chan_refuse(ch, "second WorkerHello");
		return;
	}
	f->shard.hello = true;
	f->shard.ch_lost_ms = 0;
	if (!m->assigned) {
		/* A new process counts from zero. */
		ml_figures_sum(&f->figures_before, &f->figures);
		ml_figures_fini(&f->figures);
		f->stats_before = ml_feed_totals(f);
		f->stats_before.memory_bytes = 0;
		ml__worker_stats__init(&f->stats);
		assign(f);
		return;
	}
	/* It went on while no gateway was there: what it has done since the last save is news, less than that is not believable. */
	if (m->checkpoint_ts < f->checkpoint_ts) {
		ml_warn(f->name, "worker that ran on is behind the store, restarted checkpoint_ts=%llu stored_ts=%llu",
			(unsigned long long)m->checkpoint_ts, (unsigned long long)f->checkpoint_ts);
		stop(f, 0);
		return;
	}
	phase(f, ML_SHARD_RUNNING);
	ml_info(f->name, "taken over pid=%lld checkpoint_ts=%llu", (long long)f->shard.pid,
		(unsigned long long)m->checkpoint_ts);
	ml_feed_progress(f, m->checkpoint_ts, m->resolved_ts, m->position);
}

static void
on_progress(struct ml_chan *ch, const Ml__Envelope *env, int fd, void *arg)
{
	const Ml__Progress *m = env->progress;
	struct ml_feed *f = arg;
	int64_t *ids;

	(void)ch;
	(void)fd;
	if (m->stats != NULL) {
		f->stats = *m->stats;
		f->stats.base.unknown_fields = NULL; /* those belong to m */
		f->stats.base.n_unknown_fields = 0;
		ml_figures_set(&f->figures, m->stats->figures, m->stats->n_figures);
		f->stats.figures = NULL;
		f->stats.n_figures = 0;
	}
	if (m->n_table_ids != f->n_table_ids ||
		(m->n_table_ids > 0 && memcmp(m->table_ids, f->table_ids, m->n_table_ids * sizeof(*ids)) != 0)) {
		ids = reallocarray(f->table_ids, m->n_table_ids > 0 ? m->n_table_ids : 1, sizeof(*ids));
		if (ids == NULL)
			abort();
		if (m->n_table_ids > 0)
			memcpy(ids, m->table_ids, m->n_table_ids * sizeof(*ids));
		f->table_ids = ids;
		f->n_table_ids = m->n_table_ids;
	}
	set_running(f, m->running_ddl);
	ml_feed_progress(f, m->checkpoint_ts, m->resolved_ts, m->position);
	if (!m->save_now)
		return;
	/* Stored already, but the worker did not hear of it from the gateway that was here before. */
	if (f->saved_ts >= m->checkpoint_ts)
		ml_shard_saved(f, f->saved_ts);
	else
		ml_coord_save_now(f->c);
}

static void
on_fault(struct ml_chan *ch, const Ml__Envelope *env, int fd, void *arg)
{
	const Ml__Fault *m = env->fault;
	struct ml_feed *f = arg;
	struct ml_err err = { 0 };

	(void)ch;
	(void)fd;
	if (f->shard.phase == ML_SHARD_STOPPING)
		return; /* it was asked to go */
	if (m->cleared) {
		ml_feed_well(f);
		return;
	}
	ml_err_named(&err, m->code, m->text);
	if (m->warning)
		ml_feed_warn(f, &err);
	else
		ml_feed_error(f, &err);
}

static void
on_finished(struct ml_chan *ch, const Ml__Envelope *env, int fd, void *arg)
{
	(void)ch;
	(void)fd;
	ml_feed_finished(arg, env->finished->checkpoint_ts);
}

static const struct ml_inbox_row inbox[] = {
	{ ML__ENVELOPE__BODY_WORKER_HELLO, IN(ML_SHARD_UP), on_hello },
	{ ML__ENVELOPE__BODY_PROGRESS, IN(ML_SHARD_RUNNING) | IN(ML_SHARD_STOPPING), on_progress },
	{ ML__ENVELOPE__BODY_FAULT, IN(ML_SHARD_UP) | IN(ML_SHARD_RUNNING) | IN(ML_SHARD_STOPPING), on_fault },
	{ ML__ENVELOPE__BODY_FINISHED, IN(ML_SHARD_RUNNING) | IN(ML_SHARD_STOPPING), on_finished },
};

static void
on_message(struct ml_chan *ch, const Ml__Envelope *m, int fd, void *arg)
{
	struct ml_feed *f = arg;

	/* A stopped worker may have said hello just before it heard of it. */
	if (f->shard.phase == ML_SHARD_STOPPING && m->body_case == ML__ENVELOPE__BODY_WORKER_HELLO)
		return;
	ml_inbox_take(inbox, sizeof(inbox) / sizeof(inbox[0]), f->shard.phase, ch, m, fd, f);
}

static void
on_closed(struct ml_chan *ch, enum ml_chan_end end, const struct ml_err *cause, void *arg)
{
	struct ml_feed *f = arg;
	struct ml_err err = *cause;

	(void)ch;
	ml_shard_drop(f);
	if (f->shard.died) {
		gone(f);
		return;
	}
	if (f->shard.phase != ML_SHARD_UP && f->shard.phase != ML_SHARD_RUNNING)
		return;
	if (end == ML_CHAN_BAD) {
		ml_log_err(ML_ERROR, f->name, &err, "worker broke the protocol");
		ml_feed_error(f, &err);
		return;
	}
	f->shard.ch_lost_ms = ml_now_ms(); /* its ShardDied is on the way */
}

/* ---- from the supervisor ---- */

void
ml_shard_up(struct ml_feed *f, const Ml__ShardUp *m, int fd)
{
	bool ours;

	if (f->shard.died && m->key->epoch == f->shard.epoch)
		gone(f); /* the next one is here already: no more waiting for last words */
	ours = m->key->epoch == f->shard.epoch &&
	       (f->shard.phase == ML_SHARD_STARTING || f->shard.phase == ML_SHARD_UP ||
		       f->shard.phase == ML_SHARD_RUNNING);
	/* It ran before this gateway did: the stored epoch tells whether it is still wanted. */
	if (!ours && m->running && f->shard.phase == ML_SHARD_OFF && m->key->epoch == f->epoch && ml_feed_active(f) &&
		!f->removing) {
		f->shard.epoch = f->epoch;
		ours = true;
	}
	if (!ours) {
		close(fd);
		if (m->key->epoch == f->shard.epoch && f->shard.phase == ML_SHARD_STOPPING)
			return; /* StopShard crossed it */
		ml_info(f->name, "worker of an older epoch is stopped pid=%lld epoch=%llu", (long long)m->pid,
			(unsigned long long)m->key->epoch);
		f->shard.strays++;
		stop_epoch(f, m->key->epoch, 0);
		return;
	}
	ml_shard_drop(f);
	f->shard.died = false;
	f->shard.pid = m->pid;
	f->shard.ch = ml_chan_new(f->c->env.loop, fd, f->name, &handlers, f);
	f->shard.ch_lost_ms = ml_now_ms(); /* until WorkerHello */
	phase(f, ML_SHARD_UP);
}

/* Counts a death nobody asked for; many without progress are worth a warning. */
static void
count_death(struct ml_feed *f, const struct ml_err *err)
{
	uint64_t now = ml_now_ms(), *d = f->shard.deaths_ms;

	f->restarts++;
	memmove(d, d + 1, (ML_SHARD_DEATHS - 1) * sizeof(*d));
	d[ML_SHARD_DEATHS - 1] = now;
	if (d[0] != 0 && now - d[0] <= ML_SHARD_DEATHS_WINDOW_MS)
		ml_feed_warn(f, err);
}

/* The process is gone, and all that it had sent has been read. */
static void
gone(struct ml_feed *f)
{
	bool asked = f->shard.phase == ML_SHARD_STOPPING, restarting = f->shard.died_restarting;
	struct ml_err err = f->shard.died_err;

	ml_shard_drop(f);
	f->shard.died = false;
	f->shard.pid = 0;
	if (f->status_dirty)
		ml_coord_save_now(f->c);
	if (asked || err.code == ML_OK) {
		phase(f, ML_SHARD_OFF);
		ml_shard_converge(f);
		return;
	}
	count_death(f, &err);
	if (restarting) {
		phase(f, ML_SHARD_STARTING); /* ShardUp follows by itself */
		return;
	}
	phase(f, ML_SHARD_OFF);
	next_epoch(f);
	ml_feed_error(f, &err);
}

void
ml_shard_died(struct ml_feed *f, const Ml__ShardDied *m)
{
	struct ml_shard *sh = &f->shard;

	if (m->key->epoch != sh->epoch || sh->phase == ML_SHARD_OFF) {
		if (!m->restarting && sh->strays > 0) {
			sh->strays--;
			assign(f);
		}
		return;
	}
	if (sh->phase == ML_SHARD_STOPPING && m->restarting)
		return; /* StopShard is on its way: another ShardDied follows */
	sh->died_restarting = m->restarting;
	sh->died_err = (struct ml_err){ 0 };
	if (!m->stopped) {
		ml_warn(f->name, "worker died pid=%lld reason=\"%s\" lived_ms=%llu restarting=%d", (long long)m->pid,
			m->reason, (unsigned long long)m->lived_ms, m->restarting);
		ML_ERR(&sh->died_err, ErrWorkerDied, m->signal, f->name, m->reason);
	}
	sh->died = true;
	if (sh->ch == NULL) {
		gone(f);
		return;
	}
	sh->ch_lost_ms = ml_now_ms(); /* its last words are in the channel: read them first, for instance a Fault */
}

void
ml_shard_saved(struct ml_feed *f, ml_ts checkpoint_ts)
{
	Ml__Envelope env = ML__ENVELOPE__INIT;
	Ml__ProgressSaved m = ML__PROGRESS_SAVED__INIT;

	if ((f->shard.phase != ML_SHARD_RUNNING && f->shard.phase != ML_SHARD_STOPPING) || f->shard.ch == NULL ||
		ml_chan_full(f->shard.ch))
		return;
	m.checkpoint_ts = checkpoint_ts;
	env.body_case = ML__ENVELOPE__BODY_PROGRESS_SAVED;
	env.progress_saved = &m;
	ml_chan_send(f->shard.ch, &env, -1);
}

void
ml_shard_tick(struct ml_feed *f, uint64_t now_ms)
{
	struct ml_shard *sh = &f->shard;
	struct ml_err err;

	if (sh->ch_lost_ms == 0 || now_ms - sh->ch_lost_ms < ML_SHARD_DEADLINE_MS)
		return;
	sh->ch_lost_ms = 0;
	if (sh->died) {
		gone(f);
		return;
	}
	if (sh->phase != ML_SHARD_UP && sh->phase != ML_SHARD_RUNNING)
		return;
	if (sh->ch != NULL)
		ML_ERR(&err, ErrWorkerNotReady, 0, f->name, (int)ML_SHARD_DEADLINE_MS);
	else
		ML_ERR(&err, ErrChannel, 0, "the worker closed its channel");
	ml_feed_error(f, &err);
}
