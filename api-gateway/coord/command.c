/* command.c - create, update, pause, resume, remove: each goes to the store first and answers when it is durable. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api-gateway/coord/coord.h"
#include "api-gateway/coord/probe.h"
#include "api-gateway/coord/shard.h"
#include "api-gateway/coord/store.h"
#include "common/run/log.h"
#include "common/run/statedir.h"

/* A command that waits for its probe or for the store. */
struct command {
	struct ml_list link; /* c->commands */
	struct ml_coord *c;  /* NULL: the coordinator is gone, nobody is to be answered */
	enum { CREATE, UPDATE, PAUSE, RESUME, DELETE } kind;
	Ml__ChangefeedSpec *spec; /* CREATE, UPDATE until it is the changefeed's */
	struct ml_feed *f;        /* CREATE: the new one, not in the set yet */
	char *ns, *id;            /* of an existing changefeed: looked up again, since it may be gone meanwhile */
	unsigned version;         /* of f when its record was given to the store */
	ml_coord_reply *reply;
	void *arg;
};

struct waiter {
	struct ml_list link;
	ml_coord_reply *reply;
	void *arg;
	uint64_t since_ms;
};

/* East of UTC, of the system's zone now. */
static int32_t
local_offset_s(void)
{
	time_t now = (time_t)(ml_wall_ms() / 1000);
	struct tm tm;

	return localtime_r(&now, &tm) != NULL ? (int32_t)tm.tm_gmtoff : 0;
}

static char *
dup(const char *s)
{
	char *p = strdup(s);

	if (p == NULL)
		abort();
	return p;
}

static struct command *
command_new(struct ml_coord *c, int kind, ml_coord_reply *reply, void *arg)
{
	struct command *cmd = calloc(1, sizeof(*cmd));

	if (cmd == NULL)
		abort();
	cmd->c = c;
	cmd->kind = kind;
	cmd->reply = reply;
	cmd->arg = arg;
	ml_list_append(&c->commands, &cmd->link);
	return cmd;
}

static void
command_free(struct command *cmd)
{
	ml_list_remove(&cmd->link);
	if (cmd->spec != NULL)
		ml__changefeed_spec__free_unpacked(cmd->spec, NULL);
	if (cmd->kind == CREATE)
		ml_feed_free(cmd->f);
	free(cmd->ns);
	free(cmd->id);
	free(cmd);
}

static void
answer(struct command *cmd, const struct ml_err *err)
{
	ml_coord_reply *reply = cmd->reply;
	void *arg = cmd->arg;

	command_free(cmd);
	reply(err, arg);
}

void
ml_coord_free_commands(struct ml_coord *c)
{
	ML_LIST_FOREACH_SAFE (i, &c->commands) {
		struct command *cmd = ML_CONTAINER(i, struct command, link);

		/* Those with the store are freed by its answer, the others have nobody left to call them. */
		ml_list_remove(&cmd->link);
		if (cmd->kind == CREATE) {
			ml_feed_free(cmd->f);
			cmd->f = NULL;
		}
		if (cmd->version != 0)
			cmd->c = NULL;
		else
			command_free(cmd);
	}
	for (size_t i = 0; i < c->n_feeds; i++) {
		ML_LIST_FOREACH_SAFE (w, &c->feeds[i]->waiters) {
			ml_list_remove(w);
			free(ML_CONTAINER(w, struct waiter, link));
		}
	}
}

static struct command *
command_on(struct ml_feed *f, int kind, ml_coord_reply *reply, void *arg)
{
	struct command *cmd = command_new(f->c, kind, reply, arg);

	cmd->ns = dup(f->spec->namespace_);
	cmd->id = dup(f->spec->id);
	return cmd;
}

static struct ml_feed *
feed_of(const struct command *cmd)
{
	return ml_coord_find(cmd->c, cmd->ns, cmd->id);
}

/* The changefeed went away while the command was under way. */
static void
answer_gone(struct command *cmd)
{
	struct ml_err err;

	ML_ERR(&err, ErrChangeFeedNotExists, 0, cmd->ns, cmd->id);
	answer(cmd, &err);
}

/* ---- create ---- */

static void
on_created(enum ml_meta_outcome outcome, uint64_t rev, const struct ml_err *err, void *arg)
{
	struct command *cmd = arg;
	struct ml_coord *c = cmd->c;
	struct ml_feed *f = cmd->f;
	struct ml_err taken;

	(void)rev;
	if (c == NULL) {
		command_free(cmd);
		return;
	}
	if (outcome == ML_META_CONFLICT) {
		ML_ERR(&taken, ErrChangeFeedAlreadyExists, 0, f->spec->id);
		answer(cmd, &taken);
		return;
	}
	if (outcome == ML_META_FAILED) {
		ml_log_err(ML_ERROR, f->name, err, "changefeed not created");
		answer(cmd, err);
		return;
	}
	cmd->f = NULL;
	ml_coord_insert(c, f);
	ml_info(f->name, "created start_ts=%llu target_ts=%llu upstream_id=%llu", (unsigned long long)f->spec->start_ts,
		(unsigned long long)f->spec->target_ts, (unsigned long long)f->upstream_id);
	ml_shard_converge(f);
	answer(cmd, NULL);
}

static void
on_create_probe(const Ml__ProbeResult *r, const struct ml_err *err, void *arg)
{
	struct command *cmd = arg;
	struct ml_coord *c = cmd->c;
	const char *cluster = c->env.config->cluster_id;
	struct ml_meta_txn *t;
	struct ml_feed *f;
	struct ml_err refused;
	char *key;

	if (r == NULL) {
		answer(cmd, err);
		return;
	}
	if (r->code[0] != '\0') {
		ml_err_named(&refused, r->code, r->text);
		answer(cmd, &refused);
		return;
	}
	for (size_t i = 0; i < r->n_warnings; i++)
		ml_warn(cmd->spec->id, "created with a warning text=\"%s\"", r->warnings[i]);
	cmd->spec->start_ts = r->start_ts;
	if (cmd->spec->target_ts != 0 && cmd->spec->target_ts <= cmd->spec->start_ts) {
		ML_ERR(&refused, ErrTargetTsBeforeStartTs, 0, (unsigned long long)cmd->spec->target_ts,
			(unsigned long long)cmd->spec->start_ts);
		answer(cmd, &refused);
		return;
	}
	f = ml_feed_new(c, cmd->spec);
	cmd->spec = NULL;
	cmd->f = f;
	f->upstream_id = r->upstream_id;
	f->position = ml_position_copy(r->position);
	f->creator_version = dup(c->env.version);
	f->create_time_us = (int64_t)ml_wall_ms() * 1000;
	f->create_offset_s = local_offset_s();
	f->epoch = ml_wall_ms() * 1000;
	f->saved_ts = f->checkpoint_ts;
	cmd->version = 1;
	t = ml_meta_txn_new();
	key = ml_store_key(cluster, ML_STORE_INFO, f->spec->namespace_, f->spec->id);
	ml_meta_txn_if(t, key, 0);
	free(key);
	ml_store_put_info(t, cluster, f, ML_FEED_NORMAL);
	ml_store_put_status(t, cluster, f);
	ml_meta_commit(c->meta, t, on_created, cmd);
}

static bool
taken(const struct ml_coord *c, const char *ns, const char *id)
{
	if (ml_coord_find(c, ns, id) != NULL)
		return true;
	ML_LIST_FOREACH (i, &c->commands) {
		const struct command *cmd = ML_CONTAINER(i, struct command, link);
		const Ml__ChangefeedSpec *s = cmd->kind != CREATE ? NULL : cmd->f != NULL ? cmd->f->spec : cmd->spec;

		if (s != NULL && strcmp(s->namespace_, ns) == 0 && strcmp(s->id, id) == 0)
			return true;
	}
	return false;
}

void
ml_coord_create(struct ml_coord *c, Ml__ChangefeedSpec *spec, ml_coord_reply *reply, void *arg)
{
	struct command *cmd;
	struct ml_err err;

	if (taken(c, spec->namespace_, spec->id)) {
		ML_ERR(&err, ErrChangeFeedAlreadyExists, 0, spec->id);
		ml__changefeed_spec__free_unpacked(spec, NULL);
		reply(&err, arg);
		return;
	}
	cmd = command_new(c, CREATE, reply, arg);
	cmd->spec = spec;
	ml_probe_start(c, spec, false, on_create_probe, cmd);
}

/* ---- update ---- */

int
ml_coord_may_update(const struct ml_feed *f, struct ml_err *err)
{
	if (f->state != ML_FEED_STOPPED && f->state != ML_FEED_FAILED)
		return ML_ERR(err, ErrChangefeedUpdateRefused, 0,
			"can only update changefeed config when it is stopped or failed");
	return 0;
}

static void
on_updated(enum ml_meta_outcome outcome, uint64_t rev, const struct ml_err *err, void *arg)
{
	struct command *cmd = arg;
	struct ml_feed *f;

	(void)rev;
	if (cmd->c == NULL) {
		command_free(cmd);
		return;
	}
	f = feed_of(cmd);
	if (outcome != ML_META_DONE) {
		answer(cmd, err);
		return;
	}
	if (f == NULL) {
		answer_gone(cmd);
		return;
	}
	ml__changefeed_spec__free_unpacked(f->spec, NULL);
	f->spec = cmd->spec;
	cmd->spec = NULL;
	if (f->version != cmd->version - 1) {
		f->info_dirty = true;
		ml_coord_save_soon(f->c);
	}
	ml_info(f->name, "configuration changed");
	answer(cmd, NULL);
}

/* Gives f's record, as it is to be, to the store.  version 0 means "not with the store", so it is counted from 1. */
static void
commit_info(struct command *cmd, struct ml_feed *f, enum ml_feed_state s, ml_meta_done *done)
{
	struct ml_meta_txn *t = ml_meta_txn_new();
	const char *cluster = f->c->env.config->cluster_id;

	cmd->version = f->version + 1;
	ml_store_put_info(t, cluster, f, s);
	if (f->checkpoint_ts >= f->saved_ts)
		ml_store_put_status(t, cluster, f);
	ml_meta_commit(f->c->meta, t, done, cmd);
}

static void
on_update_probe(const Ml__ProbeResult *r, const struct ml_err *err, void *arg)
{
	struct command *cmd = arg;
	struct ml_feed *f = feed_of(cmd);
	Ml__ChangefeedSpec *old;
	struct ml_err refused;

	if (r == NULL) {
		answer(cmd, err);
		return;
	}
	if (f == NULL || f->removing) {
		answer_gone(cmd);
		return;
	}
	if (r->code[0] != '\0') {
		ml_err_named(&refused, r->code, r->text);
		ml_err_wrap(&refused, ML_ErrChangefeedUpdateRefused, "changefeed update error");
		answer(cmd, &refused);
		return;
	}
	if (ml_coord_may_update(f, &refused) < 0) { /* it was resumed meanwhile */
		answer(cmd, &refused);
		return;
	}
	for (size_t i = 0; i < r->n_warnings; i++)
		ml_warn(f->name, "updated with a warning text=\"%s\"", r->warnings[i]);
	old = f->spec;
	f->spec = cmd->spec;
	commit_info(cmd, f, f->state, on_updated);
	f->spec = old;
}

void
ml_coord_update(struct ml_coord *c, struct ml_feed *f, Ml__ChangefeedSpec *spec, ml_coord_reply *reply, void *arg)
{
	struct command *cmd;
	struct ml_err err;

	if (ml_spec_equal(f->spec, spec)) {
		ml__changefeed_spec__free_unpacked(spec, NULL);
		ML_ERR(&err, ErrChangefeedUpdateRefused, 0,
			"changefeed config is the same with the old one, do nothing");
		reply(&err, arg);
		return;
	}
	cmd = command_on(f, UPDATE, reply, arg);
	cmd->spec = spec;
	ml_probe_start(c, spec, true, on_update_probe, cmd);
}

/* ---- pause, resume ---- */

static bool
may_pause(const struct ml_feed *f)
{
	return !f->removing && (ml_feed_active(f) || f->state == ML_FEED_PENDING);
}

static bool
may_resume(const struct ml_feed *f)
{
	return !f->removing &&
	       (f->state == ML_FEED_STOPPED || f->state == ML_FEED_FAILED || f->state == ML_FEED_FINISHED);
}

static void
on_switched(enum ml_meta_outcome outcome, uint64_t rev, const struct ml_err *err, void *arg)
{
	struct command *cmd = arg;
	struct ml_feed *f;

	(void)rev;
	if (cmd->c == NULL) {
		command_free(cmd);
		return;
	}
	if (outcome != ML_META_DONE) {
		answer(cmd, err);
		return;
	}
	f = feed_of(cmd);
	if (f == NULL) {
		answer_gone(cmd);
		return;
	}
	if (cmd->kind == PAUSE && may_pause(f))
		ml_feed_set_state(f, ML_FEED_STOPPED);
	else if (cmd->kind == RESUME && may_resume(f))
		ml_feed_start_over(f);
	else {
		f->info_dirty = true; /* something else came first: the store holds what memory does not */
		ml_coord_save_soon(f->c);
	}
	answer(cmd, NULL);
}

void
ml_coord_pause(struct ml_feed *f, ml_coord_reply *reply, void *arg)
{
	if (!may_pause(f)) {
		ml_info(f->name, "pause has no effect state=%s", ml_feed_state_name(f->state));
		reply(NULL, arg);
		return;
	}
	commit_info(command_on(f, PAUSE, reply, arg), f, ML_FEED_STOPPED, on_switched);
}

void
ml_coord_resume(struct ml_feed *f, ml_coord_reply *reply, void *arg)
{
	if (!may_resume(f)) {
		ml_info(f->name, "resume has no effect state=%s", ml_feed_state_name(f->state));
		reply(NULL, arg);
		return;
	}
	commit_info(command_on(f, RESUME, reply, arg), f, ML_FEED_NORMAL, on_switched);
}

/* ---- remove ---- */

static void
answer_waiters(struct ml_list *waiters, const struct ml_err *err, uint64_t older_than_ms)
{
	struct ml_list due;

	ml_list_init(&due);
	ML_LIST_FOREACH_SAFE (i, waiters) {
		if (ML_CONTAINER(i, struct waiter, link)->since_ms > older_than_ms)
			continue;
		ml_list_remove(i);
		ml_list_append(&due, i);
	}
	while (!ml_list_empty(&due)) {
		struct waiter *w = ML_CONTAINER(due.next, struct waiter, link);

		ml_list_remove(&w->link);
		w->reply(err, w->arg);
		free(w);
	}
}

static void
on_deleted(enum ml_meta_outcome outcome, uint64_t rev, const struct ml_err *err, void *arg)
{
	struct command *cmd = arg;
	struct ml_list waiters;
	struct ml_err cannot;
	struct ml_coord *c = cmd->c;
	struct ml_feed *f;

	(void)rev;
	f = c != NULL ? feed_of(cmd) : NULL;
	command_free(cmd);
	if (f == NULL)
		return;
	if (outcome != ML_META_DONE) {
		ml_log_err(ML_ERROR, f->name, err, "changefeed not removed");
		f->removing = f->deleting = false;
		answer_waiters(&f->waiters, err, UINT64_MAX);
		ml_shard_converge(f);
		return;
	}
	ml_info(f->name, "removed");
	/* Its worker is gone; a later changefeed of the same name must find nothing of this one. */
	if (ml_state_dir_remove(c->env.config->data_dir, f->spec->namespace_, f->spec->id, 0, &cannot) != 0)
		ml_log_err(ML_WARN, f->name, &cannot, "state folder left behind");
	ml_list_init(&waiters);
	while (!ml_list_empty(&f->waiters)) {
		struct ml_list *i = f->waiters.next;

		ml_list_remove(i);
		ml_list_append(&waiters, i);
	}
	ml_coord_take_out(c, f);
	answer_waiters(&waiters, NULL, UINT64_MAX);
}

void
ml_coord_delete(struct ml_feed *f)
{
	struct ml_coord *c = f->c;
	struct ml_meta_txn *t;
	struct command *cmd;

	if (f->deleting)
		return;
	f->deleting = true;
	cmd = command_on(f, DELETE, NULL, NULL);
	cmd->version = 1;
	t = ml_meta_txn_new();
	for (int kind = ML_STORE_INFO; kind <= ML_STORE_STATUS; kind++) {
		char *key = ml_store_key(c->env.config->cluster_id, (enum ml_store_kind)kind, cmd->ns, cmd->id);

		ml_meta_txn_del(t, key);
		free(key);
	}
	ml_meta_commit(c->meta, t, on_deleted, cmd);
}

void
ml_coord_remove(struct ml_feed *f, ml_coord_reply *reply, void *arg)
{
	struct waiter *w = calloc(1, sizeof(*w));

	if (w == NULL)
		abort();
	w->reply = reply;
	w->arg = arg;
	w->since_ms = ml_now_ms();
	ml_list_append(&f->waiters, &w->link);
	f->removing = true;
	ml_shard_converge(f);
}

void
ml_coord_tick_commands(struct ml_coord *c, uint64_t now_ms)
{
	if (now_ms < ML_COORD_REMOVE_MS)
		return;
	for (size_t i = 0; i < c->n_feeds; i++) {
		struct ml_feed *f = c->feeds[i];
		struct ml_err inner, err;
		char text[sizeof(inner.text) + 80];

		if (ml_list_empty(&f->waiters))
			continue;
		ML_ERR(&inner, ErrChangeFeedDeletionUnfinished, 0, f->spec->namespace_, f->spec->id);
		ML_ERR(&err, ErrReachMaxTry, 0, 100, ml_err_print(&inner, text, sizeof(text)));
		answer_waiters(&f->waiters, &err, now_ms - ML_COORD_REMOVE_MS);
	}
}
