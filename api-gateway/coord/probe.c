#include "api-gateway/coord/probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api-gateway/coord/store.h"
#include "common/run/inbox.h"
#include "common/run/log.h"

/* How much later than the supervisor's SIGKILL we give up ourselves. */
#define SLACK_MS 2000u

struct probe {
	struct ml_list link;
	struct ml_coord *c;
	Ml__ChangefeedSpec *spec;
	bool update;
	uint64_t epoch; /* 0: waits for its turn */
	uint64_t start_ms;
	struct ml_chan *ch;
	bool died; /* ShardDied came, ch may still hold the result */
	struct ml_err died_err;
	ml_probe_done *done;
	void *arg;
};

enum { IN_PROBE = 0 };

static void on_message(struct ml_chan *ch, const Ml__Envelope *m, int fd, void *arg);
static void on_closed(struct ml_chan *ch, enum ml_chan_end end, const struct ml_err *err, void *arg);
static const struct ml_chan_handlers handlers = { .message = on_message, .closed = on_closed };

static void
fill_key(Ml__ShardKey *key, const struct probe *p)
{
	ml__shard_key__init(key);
	key->namespace_ = p->spec->namespace_;
	key->changefeed_id = p->spec->id;
	key->epoch = p->epoch;
}

static void
begin(struct probe *p)
{
	Ml__Envelope env = ML__ENVELOPE__INIT;
	Ml__StartShard m = ML__START_SHARD__INIT;
	Ml__ShardKey key;
	struct ml_coord *c = p->c;

	p->epoch = ++c->last_probe;
	p->start_ms = ml_now_ms();
	c->n_probing++;
	fill_key(&key, p);
	m.key = &key;
	m.role = ML__ROLE__ROLE_PROBE;
	m.deadline_ms = ML_PROBE_DEADLINE_MS;
	env.body_case = ML__ENVELOPE__BODY_START_SHARD;
	env.start_shard = &m;
	ml_chan_send(c->env.supervisor, &env, -1);
}

static void
probe_free(struct probe *p)
{
	ml_list_remove(&p->link);
	ml_chan_free(p->ch);
	ml__changefeed_spec__free_unpacked(p->spec, NULL);
	free(p);
}

/* Takes p out, lets the next one begin, and tells its owner. */
static void
finish(struct probe *p, const Ml__ProbeResult *r, const struct ml_err *err)
{
	struct ml_coord *c = p->c;
	ml_probe_done *done = p->done;
	void *arg = p->arg;

	c->n_probing--;
	probe_free(p);
	ML_LIST_FOREACH (i, &c->probes) {
		struct probe *next = ML_CONTAINER(i, struct probe, link);

		if (next->epoch == 0 && c->n_probing < ML_PROBE_MAX)
			begin(next);
	}
	done(r, err, arg);
}

static void
kill_probe(struct probe *p)
{
	Ml__ShardKey key;

	fill_key(&key, p);
	ml_coord_stop_shard(p->c, &key, 0);
}

void
ml_probe_start(struct ml_coord *c, const Ml__ChangefeedSpec *spec, bool update, ml_probe_done *done, void *arg)
{
	struct probe *p = calloc(1, sizeof(*p));

	if (p == NULL)
		abort();
	p->c = c;
	p->spec = ml_spec_copy(spec);
	p->update = update;
	p->done = done;
	p->arg = arg;
	ml_list_append(&c->probes, &p->link);
	if (c->n_probing < ML_PROBE_MAX)
		begin(p);
}

static struct probe *
find(struct ml_coord *c, const Ml__ShardKey *key)
{
	ML_LIST_FOREACH (i, &c->probes) {
		struct probe *p = ML_CONTAINER(i, struct probe, link);

		if (p->epoch == key->epoch && p->epoch != 0)
			return p;
	}
	return NULL;
}

void
ml_probe_up(struct ml_coord *c, const Ml__ShardUp *m, int fd)
{
	struct probe *p = find(c, m->key);
	Ml__Envelope env = ML__ENVELOPE__INIT;
	Ml__Probe ask = ML__PROBE__INIT;

	if (p == NULL || p->ch != NULL) {
		/* Of a gateway before this one: nobody waits for it. */
		close(fd);
		if (p == NULL)
			ml_coord_stop_shard(c, m->key, 0);
		return;
	}
	p->ch = ml_chan_new(c->env.loop, fd, "probe", &handlers, p);
	if (p->spec->upstream == NULL)
		p->spec->upstream = c->env.config->upstream;
	ask.spec = p->spec;
	ask.update = p->update;
	env.body_case = ML__ENVELOPE__BODY_PROBE;
	env.probe = &ask;
	ml_chan_send(p->ch, &env, -1);
	if (p->spec->upstream == c->env.config->upstream)
		p->spec->upstream = NULL;
}

static void
on_hello(struct ml_chan *ch, const Ml__Envelope *m, int fd, void *arg)
{
	(void)ch;
	(void)m;
	(void)fd;
	(void)arg; /* it has been asked already */
}

static void
on_result(struct ml_chan *ch, const Ml__Envelope *m, int fd, void *arg)
{
	(void)ch;
	(void)fd;
	finish(arg, m->probe_result, NULL);
}

static const struct ml_inbox_row inbox[] = {
	{ ML__ENVELOPE__BODY_WORKER_HELLO, 1u << IN_PROBE, on_hello },
	{ ML__ENVELOPE__BODY_PROBE_RESULT, 1u << IN_PROBE, on_result },
};

static void
on_message(struct ml_chan *ch, const Ml__Envelope *m, int fd, void *arg)
{
	ml_inbox_take(inbox, sizeof(inbox) / sizeof(inbox[0]), IN_PROBE, ch, m, fd, arg);
}

static void
on_closed(struct ml_chan *ch, enum ml_chan_end end, const struct ml_err *cause, void *arg)
{
	struct probe *p = arg;
	struct ml_err err = *cause;

	(void)ch;
	ml_chan_free(p->ch);
	p->ch = NULL;
	if (p->died) {
		err = p->died_err;
		finish(p, NULL, &err);
	} else if (end == ML_CHAN_BAD) {
		kill_probe(p);
		finish(p, NULL, &err);
	}
	/* else its ShardDied is on the way and says why */
}

void
ml_probe_died(struct ml_coord *c, const Ml__ShardDied *m)
{
	struct probe *p = find(c, m->key);
	struct ml_err err = { 0 };
	char name[300];

	if (p == NULL)
		return; /* it had answered */
	snprintf(name, sizeof(name), "%s/%s", p->spec->namespace_, p->spec->id);
	if (ml_now_ms() - p->start_ms >= ML_PROBE_DEADLINE_MS)
		ML_ERRF(&err, ErrWorkerNotReady, 0, "the check of changefeed %s was not finished within %u ms", name,
			ML_PROBE_DEADLINE_MS);
	else
		ML_ERR(&err, ErrWorkerDied, m->signal, name, m->reason);
	p->died = true;
	p->died_err = err;
	if (p->ch == NULL)
		finish(p, NULL, &err);
	/* else its last words are in the channel */
}

void
ml_probe_tick(struct ml_coord *c, uint64_t now_ms)
{
	ML_LIST_FOREACH_SAFE (i, &c->probes) {
		struct probe *p = ML_CONTAINER(i, struct probe, link);
		struct ml_err err;
		char name[300];

		if (p->epoch == 0 || now_ms - p->start_ms < ML_PROBE_DEADLINE_MS + SLACK_MS)
			continue;
		snprintf(name, sizeof(name), "%s/%s", p->spec->namespace_, p->spec->id);
		ML_ERRF(&err, ErrWorkerNotReady, 0, "the check of changefeed %s was not finished within %u ms", name,
			ML_PROBE_DEADLINE_MS);
		kill_probe(p);
		finish(p, NULL, &err);
		return; /* the list may have changed; the next tick takes the next one */
	}
}

void
ml_probe_free_all(struct ml_coord *c)
{
	while (!ml_list_empty(&c->probes))
		probe_free(ML_CONTAINER(c->probes.next, struct probe, link));
}
