#include "capture-worker/source/mysql/snapshot/hold.h"

#include "capture-worker/source/mysql/feed_int.h"
#include "capture-worker/source/mysql/snapshot/reader_int.h"
#include "capture-worker/source/mysql/start.h"
#include "common/run/log.h"

#define LOOK_US 100000u
/* After a lock that could not be had, others get their turn first. */
#define RETRY_US 5000000u

static bool
readers_rest(struct ml_snapshot *s)
{
	bool rest = true;

	pthread_mutex_lock(&s->lock);
	for (uint32_t k = 0; k < s->n_jobs; k++)
		rest = rest && s->jobs[k].state == ML_COPY_IDLE;
	pthread_mutex_unlock(&s->lock);
	return rest;
}

/* The definitions are those that the view will have, unless a DDL comes just now. */
static bool
all_certain(struct ml_snapshot *s, struct ml_feed *f)
{
	for (size_t i = 0; i < s->state.n; i++) {
		const struct ml_copy_table *t = s->state.v[i];

		if (!t->done && (t->schema == NULL || !ml_schema_store_certain(f->store, t->schema)))
			return false;
	}
	return true;
}

static void
give_up_views(struct ml_snapshot *s)
{
	struct ml_err ignored;

	for (uint32_t k = 0; k < s->n_jobs; k++)
		(void)ml_copy_reader_hold(s->jobs[k].reader, false, &ignored);
	s->held = s->hold_lost = false;
}

/* The lock is held for as long as the views take to open. */
static int
lock(struct ml_snapshot *s, struct ml_err *err)
{
	struct ml_my_conn locker = { 0 };
	int rc = 0;

	for (uint32_t k = 0; rc == 0 && k < s->n_jobs; k++)
		rc = ml_copy_reader_connect(s->jobs[k].reader, err);
	if (rc < 0 || ml_copy_lock(s->jobs[0].reader, &locker, NULL, err) < 0)
		return -1;
	for (uint32_t k = 0; rc == 0 && k < s->n_jobs; k++)
		rc = ml_copy_reader_hold(s->jobs[k].reader, true, err);
	if (rc == 0)
		rc = ml_start_head_offset(&locker, s->hold_file, &s->hold_offset, err);
	ml_copy_unlock(&locker);
	return rc;
}

bool
ml_copy_hold(struct ml_snapshot *s, struct ml_feed *f, uint64_t now_us, uint64_t *wait_us)
{
	struct ml_err err = { 0 };

	if (s->held && !s->hold_lost)
		return true;
	if (LOOK_US < *wait_us)
		*wait_us = LOOK_US;
	if (!readers_rest(s))
		return false;
	if (s->held)
		give_up_views(s);
	if (now_us < s->hold_retry_us || s->n_shut > 0 || !ml_feed_copy_ready(f) || !all_certain(s, f))
		return false;
	if (lock(s, &err) < 0) {
		give_up_views(s);
		s->hold_retry_us = now_us + RETRY_US;
		ml_log_err(ML_WARN, s->env.env->object, &err, "the tables cannot be locked for a moment, trying again");
		s->env.env->warn(s->env.env->arg, &err);
		s->warned = true;
		return false;
	}
	if (s->warned)
		s->env.env->warn(s->env.env->arg, NULL);
	s->warned = false;
	s->held = true;
	ml_info(s->env.env->object, "tables were locked for a moment, reading them as of then file=%s offset=%llu",
		s->hold_file, (unsigned long long)s->hold_offset);
	return true;
}
