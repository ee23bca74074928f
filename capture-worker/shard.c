#include "capture-worker/shard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture-worker/pipeline.h"
#include "common/run/inbox.h"
#include "common/run/log.h"
#include "common/run/statedir.h"

/* How often the gateway hears of an advancing checkpoint: it persists once a second, dashboards look no faster. */
#define REPORT_MS 100
/* A report also goes out without any advance, so that counters and lag stay fresh. */
#define REPORT_IDLE_MS 1000
#define LAST_WORDS_MS 500
/* How often a DDL that takes its time is worth a line. */
#define RUNNING_LOG_MS 10000

enum state { EMPTY, RUNNING, DRAINING, DONE, FAULTED };

struct ml_shard {
	struct ml_shard_env env;
	char object[288];
	enum state state;
	struct ml_chan *gateway; /* NULL while there is none */
	Ml__Assign *assign;      /* what the pipeline runs; NULL while EMPTY */
	Ml__ServerConfig config; /* shallow copy */
	char state_dir[1024];
	struct ml_pipeline *pipeline;
	struct ml_timer *report;
	ml_ts told_checkpoint, told_resolved;
	uint64_t told_ms;
	uint64_t running_logged_ms; /* Unix time */
	bool stop_wanted, save_now;
	Ml__Fault *warning; /* the last warning that is not over, for a new gateway; NULL: none */
};

/* What a pipeline thread hands to the loop's thread. */
struct note {
	struct ml_shard *sh;
	struct ml_err err;
	bool over, finished;
};

static void
send_body(struct ml_shard *sh, Ml__Envelope__BodyCase kind, void *body)
{
	Ml__Envelope m = ML__ENVELOPE__INIT;

	if (sh->gateway == NULL)
		return;
	m.body_case = kind;
	m.progress = body; /* the oneof's members share one pointer */
	ml_chan_send(sh->gateway, &m, -1);
}

/* The process ends soon: what the gateway must hear goes out first, unless it does not read. */
static void
send_last_words(struct ml_shard *sh)
{
	if (sh->gateway != NULL)
		ml_chan_drain(sh->gateway, LAST_WORDS_MS);
}

/* A DDL may take hours downstream, and everything behind it waits. */
static void
log_running(struct ml_shard *sh, const Ml__RunningDdl *ddl)
{
	uint64_t now = ml_wall_ms();

	if (ddl == NULL || now < (uint64_t)ddl->started_ms + RUNNING_LOG_MS ||
		now < sh->running_logged_ms + RUNNING_LOG_MS)
		return;
	sh->running_logged_ms = now;
	ml_info(sh->object, "a DDL is running downstream for_s=%llu commit_ts=%llu query=%s",
		(unsigned long long)(now - (uint64_t)ddl->started_ms) / 1000, (unsigned long long)ddl->commit_ts,
		ddl->query);
}

static void
send_progress(struct ml_shard *sh)
{
	Ml__Progress *p;

	if (sh->pipeline == NULL || sh->gateway == NULL || ml_chan_full(sh->gateway))
		return;
	p = ml_pipeline_progress(sh->pipeline);
	p->save_now = sh->save_now;
	send_body(sh, ML__ENVELOPE__BODY_PROGRESS, p);
	log_running(sh, p->running_ddl);
	sh->told_checkpoint = p->checkpoint_ts;
	sh->told_resolved = p->resolved_ts;
	sh->told_ms = ml_now_ms();
	ml__progress__free_unpacked(p, NULL);
}

static void
on_report(void *arg)
{
	struct ml_shard *sh = arg;
	ml_ts checkpoint, resolved;

	if (sh->state != RUNNING && sh->state != DRAINING)
		return;
	ml_pipeline_marks(sh->pipeline, &checkpoint, &resolved);
	if (checkpoint != sh->told_checkpoint || ml_now_ms() - sh->told_ms >= REPORT_IDLE_MS)
		send_progress(sh);
	ml_timer_arm(sh->report, REPORT_MS);
}

static void
send_hello(struct ml_shard *sh)
{
	Ml__WorkerHello hello = ML__WORKER_HELLO__INIT;
	Ml__ShardKey key = *sh->env.key;
	Ml__Progress *p = NULL;

	if (sh->assign != NULL)
		key.epoch = sh->assign->epoch;
	hello.key = &key;
	hello.assigned = sh->state != EMPTY;
	if (sh->pipeline != NULL) {
		p = ml_pipeline_progress(sh->pipeline);
		hello.checkpoint_ts = p->checkpoint_ts;
		hello.resolved_ts = p->resolved_ts;
		hello.position = p->position;
	}
	send_body(sh, ML__ENVELOPE__BODY_WORKER_HELLO, &hello);
	if (p != NULL)
		ml__progress__free_unpacked(p, NULL);
	if (sh->warning != NULL)
		send_body(sh, ML__ENVELOPE__BODY_FAULT, sh->warning);
}

/* ---- from the pipeline ---- */

static void
set_warning(struct ml_shard *sh, const struct ml_err *err)
{
	if (sh->warning != NULL)
		ml__fault__free_unpacked(sh->warning, NULL);
	sh->warning = NULL;
	if (err == NULL)
		return;
	sh->warning = malloc(sizeof(*sh->warning));
	if (sh->warning == NULL)
		abort();
	ml__fault__init(sh->warning);
	sh->warning->code = strdup(ml_code_name(err->code));
	sh->warning->text = strdup(err->text);
	sh->warning->warning = true;
}

static void
take_advanced(void *arg)
{
	struct note *n = arg;

	if (n->sh->state == RUNNING || n->sh->state == DRAINING)
		send_progress(n->sh);
	free(n);
}

static void
take_save_wanted(void *arg)
{
	struct note *n = arg;

	if (n->sh->state == RUNNING || n->sh->state == DRAINING) {
		n->sh->save_now = true;
		send_progress(n->sh);
		n->sh->save_now = false;
	}
	free(n);
}

static void
take_failed(void *arg)
{
	struct note *n = arg;
	struct ml_shard *sh = n->sh;
	Ml__Fault fault = ML__FAULT__INIT;

	if (sh->state == RUNNING || sh->state == DRAINING) {
		ml_log_err(ML_ERROR, sh->object, &n->err, "shard failed");
		send_progress(sh);
		fault.code = (char *)ml_code_name(n->err.code);
		fault.text = n->err.text;
		send_body(sh, ML__ENVELOPE__BODY_FAULT, &fault);
		send_last_words(sh);
		sh->state = FAULTED;
		sh->env.faulted(sh->env.arg);
	}
	free(n);
}

static void
take_warned(void *arg)
{
	struct note *n = arg;
	struct ml_shard *sh = n->sh;
	Ml__Fault over = ML__FAULT__INIT;

	if (sh->state == RUNNING || sh->state == DRAINING) {
		if (n->over) {
			over.warning = over.cleared = true;
			set_warning(sh, NULL);
			ml_info(sh->object, "trouble is over");
			send_body(sh, ML__ENVELOPE__BODY_FAULT, &over);
		} else {
			ml_log_err(ML_WARN, sh->object, &n->err, "trouble, trying again");
			set_warning(sh, &n->err);
			send_body(sh, ML__ENVELOPE__BODY_FAULT, sh->warning);
		}
	}
	free(n);
}

static void
take_drained(void *arg)
{
	struct note *n = arg;
	struct ml_shard *sh = n->sh;
	Ml__Finished finished = ML__FINISHED__INIT;
	ml_ts resolved;

	if (sh->state == RUNNING || sh->state == DRAINING) {
		send_progress(sh);
		ml_pipeline_marks(sh->pipeline, &finished.checkpoint_ts, &resolved);
		ml_info(sh->object, "drained checkpoint_ts=%llu finished=%d",
			(unsigned long long)finished.checkpoint_ts, n->finished);
		if (n->finished)
			send_body(sh, ML__ENVELOPE__BODY_FINISHED, &finished);
		send_last_words(sh);
		sh->state = DONE;
		/* A finished changefeed waits for the gateway's order: exiting now would look like a death. */
		if (!n->finished || sh->stop_wanted)
			sh->env.done(sh->env.arg);
	}
	free(n);
}

static struct note *
note_new(void *arg, const struct ml_err *err)
{
	struct note *n = calloc(1, sizeof(*n));

	if (n == NULL)
		abort();
	n->sh = arg;
	if (err != NULL)
		n->err = *err;
	return n;
}

static void
on_failed(void *arg, const struct ml_err *err)
{
	struct note *n = note_new(arg, err);

	ml_loop_wake(n->sh->env.loop, take_failed, n);
}

static void
on_warned(void *arg, const struct ml_err *err)
{
	struct note *n = note_new(arg, err);

	n->over = err == NULL;
	ml_loop_wake(n->sh->env.loop, take_warned, n);
}

/* Whoever made the changefeed may wait to see it run: the first advance is no matter for the timer. */
static void
on_advanced(void *arg)
{
	struct note *n = note_new(arg, NULL);

	ml_loop_wake(n->sh->env.loop, take_advanced, n);
}

static void
on_save_wanted(void *arg)
{
	struct note *n = note_new(arg, NULL);

	ml_loop_wake(n->sh->env.loop, take_save_wanted, n);
}

static void
on_drained(void *arg, bool finished)
{
	struct note *n = note_new(arg, NULL);

	n->finished = finished;
	ml_loop_wake(n->sh->env.loop, take_drained, n);
}

/* ---- from the gateway ---- */

static void
take_assign(struct ml_chan *ch, const Ml__Envelope *m, int fd, void *arg)
{
	struct ml_shard *sh = arg;
	size_t size = ml__assign__get_packed_size(m->assign);
	uint8_t *packed = malloc(size > 0 ? size : 1);
	struct ml_err err = { 0 };

	(void)fd;
	if (packed == NULL)
		abort();
	if (m->assign->spec == NULL || m->assign->spec->upstream == NULL) {
		free(packed);
		ml_chan_refuse(ch, "Assign without a spec or an upstream");
		return;
	}
	/* The message dies with this call; the pipeline lives on its copy. */
	ml__assign__pack(m->assign, packed);
	sh->assign = ml__assign__unpack(NULL, size, packed);
	free(packed);
	if (sh->assign == NULL)
		abort();
	sh->state = RUNNING;
	ml_info(sh->object, "assigned epoch=%llu checkpoint_ts=%llu", (unsigned long long)sh->assign->epoch,
		(unsigned long long)sh->assign->checkpoint_ts);
	struct ml_pipeline_env env = {
		.spec = sh->assign->spec,
		.config = &sh->config,
		.object = sh->object,
		.checkpoint_ts = sh->assign->checkpoint_ts,
		.position = sh->assign->position,
		.state_dir = sh->state_dir,
		.arg = sh,
		.failed = on_failed,
		.warned = on_warned,
		.advanced = on_advanced,
		.save_wanted = on_save_wanted,
		.drained = on_drained,
	};
	if (ml_state_dir_make(sh->state_dir, sizeof(sh->state_dir), sh->config.data_dir, sh->env.key->namespace_,
		    sh->env.key->changefeed_id, sh->env.key->shard, &err) != 0 ||
		ml_pipeline_start(&sh->pipeline, &env, &err) != 0) {
		take_failed(note_new(sh, &err));
		return;
	}
	ml_timer_arm(sh->report, REPORT_MS);
}

static void
take_saved(struct ml_chan *ch, const Ml__Envelope *m, int fd, void *arg)
{
	struct ml_shard *sh = arg;

	(void)ch;
	(void)fd;
	if (sh->pipeline != NULL)
		ml_pipeline_saved(sh->pipeline, m->progress_saved->checkpoint_ts);
}

static const struct ml_inbox_row inbox[] = {
	{ ML__ENVELOPE__BODY_ASSIGN, 1u << EMPTY, take_assign },
	{ ML__ENVELOPE__BODY_PROGRESS_SAVED, 1u << RUNNING | 1u << DRAINING | 1u << DONE | 1u << FAULTED, take_saved },
};

static void
on_message(struct ml_chan *ch, const Ml__Envelope *m, int fd, void *arg)
{
	struct ml_shard *sh = arg;

	ml_inbox_take(inbox, sizeof(inbox) / sizeof(inbox[0]), sh->state, ch, m, fd, sh);
}

static void
on_closed(struct ml_chan *ch, enum ml_chan_end end, const struct ml_err *err, void *arg)
{
	struct ml_shard *sh = arg;

	/* The gateway died, or said something wrong: replication goes on, the supervisor will bring a new channel. */
	if (end == ML_CHAN_BAD)
		ml_log_err(ML_ERROR, sh->object, err, "gateway channel refused");
	else
		ml_info(sh->object, "gateway channel closed");
	sh->gateway = NULL;
	ml_chan_free(ch);
}

static const struct ml_chan_handlers handlers = { .message = on_message, .closed = on_closed };

struct ml_shard *
ml_shard_new(const struct ml_shard_env *env)
{
	struct ml_shard *sh = calloc(1, sizeof(*sh));

	if (sh == NULL)
		abort();
	sh->env = *env;
	sh->config = *env->config;
	snprintf(sh->object, sizeof(sh->object), "%s/%s/%u", env->key->namespace_, env->key->changefeed_id,
		env->key->shard);
	sh->report = ml_timer_new(env->loop, on_report, sh);
	return sh;
}

void
ml_shard_free(struct ml_shard *sh)
{
	if (sh == NULL)
		return;
	ml_timer_free(sh->report);
	ml_chan_free(sh->gateway);
	ml_pipeline_free(sh->pipeline);
	set_warning(sh, NULL);
	if (sh->assign != NULL)
		ml__assign__free_unpacked(sh->assign, NULL);
	free(sh);
}

void
ml_shard_gateway(struct ml_shard *sh, int fd)
{
	ml_chan_free(sh->gateway);
	sh->gateway = ml_chan_new(sh->env.loop, fd, "gateway", &handlers, sh);
	if (sh->gateway == NULL)
		return;
	send_hello(sh);
	if (sh->state == RUNNING || sh->state == DRAINING || sh->state == DONE)
		send_progress(sh);
}

void
ml_shard_stop(struct ml_shard *sh)
{
	sh->stop_wanted = true;
	if (sh->state == RUNNING && sh->pipeline != NULL) {
		sh->state = DRAINING;
		ml_pipeline_stop(sh->pipeline);
	} else if (sh->state == EMPTY || sh->state == DONE) {
		sh->env.done(sh->env.arg);
	}
}
