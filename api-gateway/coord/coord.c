#include "api-gateway/coord/coord.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api-gateway/coord/probe.h"
#include "api-gateway/coord/shard.h"
#include "api-gateway/coord/store.h"
#include "common/run/log.h"

#define TICK_MS 1000u

/* What one batch wrote, so that its end can tell the workers, or make it dirty again. */
struct ml_save {
	struct ml_coord *c; /* NULL: the coordinator is gone */
	struct entry {
		struct ml_feed *f;
		ml_ts checkpoint_ts;
		bool info, status;
	} * entries;
	size_t n;
};

static void on_tick(void *arg);
static void on_save_timer(void *arg);

struct ml_coord *
ml_coord_new(const struct ml_coord_env *env)
{
	struct ml_coord *c = calloc(1, sizeof(*c));

	if (c == NULL)
		abort();
	c->env = *env;
	ml_list_init(&c->commands);
	ml_list_init(&c->probes);
	c->last_probe = ml_wall_ms() * 1000;
	c->tick = ml_timer_new(env->loop, on_tick, c);
	c->save_timer = ml_timer_new(env->loop, on_save_timer, c);
	return c;
}

void
ml_coord_free(struct ml_coord *c)
{
	if (c == NULL)
		return;
	ml_coord_free_commands(c);
	ml_probe_free_all(c);
	for (size_t i = 0; i < c->n_feeds; i++)
		ml_feed_free(c->feeds[i]);
	free(c->feeds);
	ml_timer_free(c->tick);
	ml_timer_free(c->save_timer);
	if (c->saving != NULL)
		c->saving->c = NULL;
	free(c);
}

/* ---- the set ---- */

static size_t
find(const struct ml_coord *c, const char *ns, const char *id, bool *found)
{
	size_t lo = 0, hi = c->n_feeds;

	*found = false;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const Ml__ChangefeedSpec *s = c->feeds[mid]->spec;
		int order = strcmp(s->namespace_, ns);

		if (order == 0)
			order = strcmp(s->id, id);
		if (order == 0) {
			*found = true;
			return mid;
		}
		if (order < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct ml_feed *
ml_coord_find(const struct ml_coord *c, const char *ns, const char *id)
{
	bool found;
	size_t i = find(c, ns, id, &found);

	return found ? c->feeds[i] : NULL;
}

void
ml_coord_insert(struct ml_coord *c, struct ml_feed *f)
{
	bool found;
	size_t i = find(c, f->spec->namespace_, f->spec->id, &found);

	if (c->n_feeds == c->cap_feeds) {
		c->cap_feeds = c->cap_feeds > 0 ? c->cap_feeds * 2 : 16;
		c->feeds = reallocarray(c->feeds, c->cap_feeds, sizeof(struct ml_feed *));
		if (c->feeds == NULL)
			abort();
	}
	memmove(&c->feeds[i + 1], &c->feeds[i], (c->n_feeds - i) * sizeof(struct ml_feed *));
	c->feeds[i] = f;
	c->n_feeds++;
}

void
ml_coord_take_out(struct ml_coord *c, struct ml_feed *f)
{
	bool found;
	size_t i = find(c, f->spec->namespace_, f->spec->id, &found);

	if (found && c->feeds[i] == f) {
		c->n_feeds--;
		memmove(&c->feeds[i], &c->feeds[i + 1], (c->n_feeds - i) * sizeof(struct ml_feed *));
	}
	ml_feed_free(f);
}

/* ---- load, start, stop ---- */

struct loading {
	struct ml_coord *c;
	struct ml_err *err;
	bool failed;
};

static void
load_one(const char *key, const void *value, size_t len, uint64_t mod_rev, void *arg)
{
	struct loading *l = arg;
	struct ml_coord *c = l->c;
	enum ml_store_kind kind;
	struct ml_feed *f = NULL;
	char *ns, *id;

	(void)mod_rev;
	if (l->failed || !ml_store_parse_key(c->env.config->cluster_id, key, &kind, &ns, &id))
		return;
	/* Keys come in order, so ".../info/x" of a namespace before ".../status/x". */
	if (kind == ML_STORE_INFO) {
		if (ml_store_read_info(c, value, len, &f, l->err) < 0)
			l->failed = true;
		else if (strcmp(f->spec->namespace_, ns) != 0 || strcmp(f->spec->id, id) != 0 ||
			 ml_coord_find(c, ns, id) != NULL) {
			ML_ERR(l->err, ErrMetaStore, 0, "a changefeed's record is under another's key");
			ml_feed_free(f);
			l->failed = true;
		} else {
			ml_coord_insert(c, f);
		}
	} else if ((f = ml_coord_find(c, ns, id)) != NULL && ml_store_read_status(f, value, len, l->err) < 0) {
		l->failed = true;
	}
	if (l->failed)
		ml_err_in(l->err, "key %s", key);
	free(ns);
	free(id);
}

int
ml_coord_load(struct ml_coord *c, struct ml_meta *meta, struct ml_err *err)
{
	struct loading l = { .c = c, .err = err };
	char *prefix = ml_store_prefix(c->env.config->cluster_id);
	int rc = meta->ops->list(meta, prefix, load_one, &l, err);

	free(prefix);
	if (rc < 0 || l.failed) {
		while (c->n_feeds > 0)
			ml_feed_free(c->feeds[--c->n_feeds]);
		return -1;
	}
	c->meta = meta;
	for (size_t i = 0; i < c->n_feeds; i++)
		c->feeds[i]->retry_ts = c->feeds[i]->warning_ts = c->feeds[i]->checkpoint_ts;
	ml_info("-", "changefeeds read from the store count=%zu", c->n_feeds);
	return 0;
}

void
ml_coord_start(struct ml_coord *c)
{
	c->running = true;
	ml_timer_arm(c->tick, TICK_MS);
	for (size_t i = 0; i < c->n_feeds; i++) {
		struct ml_feed *f = c->feeds[i];

		ml_shard_converge(f);
		/* The back-off was memory: a new streak begins, and its first retry is at once. */
		if (f->state == ML_FEED_PENDING)
			ml_timer_arm(f->retry_timer, ml_retry_error(&f->retry, ml_now_ms()));
	}
}

void
ml_coord_halt(struct ml_coord *c)
{
	c->running = false;
}

static void
on_tick(void *arg)
{
	struct ml_coord *c = arg;
	uint64_t now = ml_now_ms();

	/* A tick may fail a changefeed but never takes one out of the set. */
	for (size_t i = 0; i < c->n_feeds; i++)
		ml_feed_tick(c->feeds[i], now);
	ml_probe_tick(c, now);
	ml_coord_tick_commands(c, now);
	ml_coord_save_now(c);
	ml_timer_arm(c->tick, TICK_MS);
}

/* ---- from the supervisor ---- */

void
ml_coord_stop_shard(struct ml_coord *c, Ml__ShardKey *key, uint32_t grace_ms)
{
	Ml__Envelope env = ML__ENVELOPE__INIT;
	Ml__StopShard m = ML__STOP_SHARD__INIT;

	m.key = key;
	m.grace_ms = grace_ms;
	env.body_case = ML__ENVELOPE__BODY_STOP_SHARD;
	env.stop_shard = &m;
	ml_chan_send(c->env.supervisor, &env, -1);
}

void
ml_coord_shard_up(struct ml_coord *c, const Ml__ShardUp *m, int fd)
{
	struct ml_feed *f;

	if (m->key == NULL || fd < 0) {
		if (fd >= 0)
			close(fd);
		return;
	}
	if (m->role == ML__ROLE__ROLE_PROBE) {
		ml_probe_up(c, m, fd);
		return;
	}
	f = ml_coord_find(c, m->key->namespace_, m->key->changefeed_id);
	if (f != NULL) {
		ml_shard_up(f, m, fd);
		return;
	}
	ml_warn("-", "worker of no known changefeed is stopped changefeed=%s/%s pid=%lld", m->key->namespace_,
		m->key->changefeed_id, (long long)m->pid);
	close(fd);
	ml_coord_stop_shard(c, m->key, 0);
}

void
ml_coord_shard_died(struct ml_coord *c, const Ml__ShardDied *m)
{
	struct ml_feed *f;

	if (m->key == NULL)
		return;
	if (m->role == ML__ROLE__ROLE_PROBE) {
		ml_probe_died(c, m);
		return;
	}
	f = ml_coord_find(c, m->key->namespace_, m->key->changefeed_id);
	if (f != NULL)
		ml_shard_died(f, m);
}

/* ---- saving ---- */

static void
on_saved(enum ml_meta_outcome outcome, uint64_t rev, const struct ml_err *err, void *arg)
{
	struct ml_save *s = arg;
	struct ml_coord *c = s->c;

	(void)rev;
	for (size_t i = 0; c != NULL && i < s->n; i++) {
		struct entry *e = &s->entries[i];

		if (outcome == ML_META_DONE) {
			if (e->status && e->checkpoint_ts > e->f->saved_ts) {
				e->f->saved_ts = e->checkpoint_ts;
				ml_shard_saved(e->f, e->checkpoint_ts);
			}
		} else {
			e->f->info_dirty = e->f->info_dirty || e->info;
			e->f->status_dirty = e->f->status_dirty || e->status;
		}
	}
	free(s->entries);
	free(s);
	if (c == NULL)
		return;
	c->saving = NULL;
	if (outcome != ML_META_DONE) {
		if (!c->store_failing)
			ml_log_err(ML_ERROR, "-", err, "changefeeds not saved, tried again each second");
		c->store_failing = true;
		return; /* the tick tries again */
	}
	if (c->store_failing)
		ml_info("-", "changefeeds are saved again");
	c->store_failing = false;
	if (c->save_again) {
		c->save_again = false;
		ml_coord_save_now(c);
	}
}

static void
save(struct ml_coord *c, bool statuses)
{
	const char *cluster = c->env.config->cluster_id;
	struct ml_meta_txn *t = NULL;
	struct ml_save *s = NULL;

	if (c->meta == NULL)
		return;
	if (c->saving != NULL) {
		c->save_again = true;
		return;
	}
	for (size_t i = 0; i < c->n_feeds; i++) {
		struct ml_feed *f = c->feeds[i];
		bool info = f->info_dirty, status = statuses && f->status_dirty;

		if (f->deleting || (!info && !status))
			continue;
		if (s == NULL) {
			t = ml_meta_txn_new();
			s = calloc(1, sizeof(*s));
			if (s == NULL || (s->entries = calloc(c->n_feeds, sizeof(*s->entries))) == NULL)
				abort();
			s->c = c;
		}
		if (info)
			ml_store_put_info(t, cluster, f, f->state);
		/* The invariant of the store: a checkpoint never falls. */
		if (status && f->checkpoint_ts >= f->saved_ts)
			ml_store_put_status(t, cluster, f);
		s->entries[s->n++] =
			(struct entry){ .f = f, .checkpoint_ts = f->checkpoint_ts, .info = info, .status = status };
		f->info_dirty = f->info_dirty && !info;
		f->status_dirty = f->status_dirty && !status;
	}
	if (s == NULL)
		return;
	c->saving = s;
	ml_meta_commit(c->meta, t, on_saved, s);
}

static void
on_save_timer(void *arg)
{
	save(arg, false);
}

void
ml_coord_save_soon(struct ml_coord *c)
{
	ml_timer_arm(c->save_timer, 0);
}

void
ml_coord_save_now(struct ml_coord *c)
{
	save(c, true);
}

void
ml_coord_flush(struct ml_coord *c)
{
	/* A batch that is under way may fail; writing its records once more costs nothing. */
	if (c->saving != NULL) {
		for (size_t i = 0; i < c->saving->n; i++) {
			c->saving->entries[i].f->info_dirty |= c->saving->entries[i].info;
			c->saving->entries[i].f->status_dirty |= c->saving->entries[i].status;
		}
		c->saving->c = NULL;
		c->saving = NULL;
	}
	save(c, true);
}
