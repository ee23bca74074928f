#include "capture-worker/worker.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "capture-worker/probe.h"
#include "capture-worker/shard.h"
#include "common/run/estate.h"
#include "common/run/log.h"
#include "common/run/proc.h"
#include "common/run/statedir.h"

struct worker {
	struct ml_loop *loop;
	struct ml_proc *proc;
	Ml__ShardKey key;
	struct ml_shard *shard;  /* ROLE_WORKER */
	struct ml_chan *gateway; /* ROLE_PROBE: where the probe comes from and its result goes */
	Ml__Envelope *probe;     /* the one being run */
	Ml__ProbeResult result;
};

static void
end_well(void *arg)
{
	struct worker *w = arg;

	ml_proc_end(w->proc, ML_EXIT_OK);
}

static void
on_done(void *arg)
{
	struct worker *w = arg;

	/* At the end of the turn: the shard's last message is still being written. */
	ml_loop_later(w->loop, end_well, w);
}

static void
end_faulted(void *arg)
{
	struct worker *w = arg;

	ml_proc_end(w->proc, ML_EXIT_FAULT);
}

static void
on_faulted(void *arg)
{
	struct worker *w = arg;

	ml_loop_later(w->loop, end_faulted, w);
}

static void
on_stop(uint32_t grace_ms, void *arg)
{
	struct worker *w = arg;

	ml_info(ml_proc_object(w->proc), "stopping grace_ms=%u", grace_ms);
	if (w->shard != NULL)
		ml_shard_stop(w->shard);
	else
		ml_proc_end(w->proc, ML_EXIT_OK);
}

/* What has been written downstream must not arrive when a successor is at work. */
static void
on_leave(bool orphan, void *arg)
{
	(void)arg;
	ml_estate_leave(orphan ? ML_PROC_ORPHAN_MS : ML_ESTATE_LEAVE_MS);
}

static void
open_estate(struct worker *w)
{
	char dir[1024];
	struct ml_err err;

	/* Where the directory cannot be made, the shard says so. */
	if (ml_proc_role(w->proc) == ML__ROLE__ROLE_WORKER &&
		ml_state_dir_make(dir, sizeof(dir), ml_proc_config(w->proc)->data_dir, w->key.namespace_,
			w->key.changefeed_id, w->key.shard, &err) == 0)
		ml_estate_open(dir, ml_proc_object(w->proc));
}

/* ---- probe ---- */

static void
probe_done(void *arg)
{
	struct worker *w = arg;
	Ml__Envelope m = ML__ENVELOPE__INIT;

	m.body_case = ML__ENVELOPE__BODY_PROBE_RESULT;
	m.probe_result = &w->result;
	m.reply_to = w->probe->id;
	if (w->gateway == NULL || ml_chan_send(w->gateway, &m, -1) == 0)
		ml_warn(ml_proc_object(w->proc), "nobody waits for the probe's result");
	ml_loop_later(w->loop, end_well, w);
}

static void *
probe_main(void *arg)
{
	struct worker *w = arg;

	ml_probe_run(w->probe->probe, ml_proc_config(w->proc), ml_proc_object(w->proc), &w->result);
	ml_loop_wake(w->loop, probe_done, w);
	return NULL;
}

static void
take_probe(struct ml_chan *ch, const Ml__Envelope *m, int fd, void *arg)
{
	struct worker *w = arg;
	size_t size = ml__envelope__get_packed_size(m);
	uint8_t *packed;
	pthread_t t;

	(void)fd;
	if (m->probe->spec == NULL || m->probe->spec->upstream == NULL) {
		ml_chan_refuse(ch, "Probe without a spec or an upstream");
		return;
	}
	packed = malloc(size);
	if (packed == NULL)
		abort();
	ml__envelope__pack(m, packed);
	w->probe = ml__envelope__unpack(NULL, size, packed);
	free(packed);
	ml__probe_result__init(&w->result);
	/* Foreign client libraries block: they get a thread, and the supervisor's deadline ends it if it hangs. */
	if (w->probe == NULL || pthread_create(&t, NULL, probe_main, w) != 0)
		abort();
	pthread_detach(t);
}

static void
on_probe_message(struct ml_chan *ch, const Ml__Envelope *m, int fd, void *arg)
{
	static const struct ml_inbox_row rows[] = { { ML__ENVELOPE__BODY_PROBE, 1u << 0, take_probe } };
	struct worker *w = arg;

	ml_inbox_take(rows, 1, w->probe == NULL ? 0 : 1, ch, m, fd, w);
}

static void
on_probe_closed(struct ml_chan *ch, enum ml_chan_end end, const struct ml_err *err, void *arg)
{
	struct worker *w = arg;

	(void)end;
	(void)err;
	(void)ch;
	/* Nobody waits for the answer any more. */
	ml_proc_end(w->proc, ML_EXIT_OK);
}

/* ---- both ---- */

static void
take_gateway(struct ml_chan *ch, const Ml__Envelope *m, int fd, void *arg)
{
	static const struct ml_chan_handlers probe_handlers = { .message = on_probe_message,
		.closed = on_probe_closed };
	struct worker *w = arg;
	Ml__Envelope hello = ML__ENVELOPE__INIT;
	Ml__WorkerHello body = ML__WORKER_HELLO__INIT;

	(void)m;
	if (fd < 0) {
		ml_chan_refuse(ch, "GatewayChannel without a descriptor");
		return;
	}
	if (w->shard != NULL) {
		ml_shard_gateway(w->shard, fd);
		return;
	}
	ml_chan_free(w->gateway);
	w->gateway = ml_chan_new(w->loop, fd, "gateway", &probe_handlers, w);
	body.key = &w->key;
	hello.body_case = ML__ENVELOPE__BODY_WORKER_HELLO;
	hello.worker_hello = &body;
	ml_chan_send(w->gateway, &hello, -1);
}

void
ml_worker_main(void)
{
	static const struct ml_inbox_row rows[] = {
		{ ML__ENVELOPE__BODY_GATEWAY_CHANNEL, ML_PROC_IN_STARTING | ML_PROC_IN_UP, take_gateway },
	};
	static struct worker w;
	struct ml_proc_desc desc = {
		.role = ML__ROLE__ROLE_WORKER,
		.log_name = "worker",
		.rows = rows,
		.n_rows = 1,
		.stop = on_stop,
		.leave = on_leave,
		.arg = &w,
	};
	const Ml__Welcome *welcome;

	w.loop = ml_loop_new();
	if (w.loop == NULL)
		_exit(ML_EXIT_ORPHAN);
	w.proc = ml_proc_start(w.loop, &desc);
	welcome = ml_proc_welcome(w.proc);
	ml__shard_key__init(&w.key);
	w.key.namespace_ = welcome->namespace_;
	w.key.changefeed_id = welcome->changefeed_id;
	w.key.shard = welcome->shard;
	open_estate(&w);
	if (ml_proc_role(w.proc) == ML__ROLE__ROLE_WORKER) {
		struct ml_shard_env env = {
			.loop = w.loop,
			.config = ml_proc_config(w.proc),
			.key = &w.key,
			.arg = &w,
			.done = on_done,
			.faulted = on_faulted,
		};

		w.shard = ml_shard_new(&env);
	}
	ml_proc_ready(w.proc);
	ml_loop_run(w.loop);
	ml_proc_end(w.proc, ML_EXIT_ORPHAN);
}
