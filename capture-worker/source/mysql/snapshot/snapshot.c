#include "capture-worker/source/mysql/snapshot/snapshot.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "capture-worker/source/mysql/feed_int.h"
#include "capture-worker/source/mysql/snapshot/check.h"
#include "capture-worker/source/mysql/snapshot/hold.h"
#include "capture-worker/source/mysql/snapshot/snapshot_int.h"
#include "capture-worker/source/mysql/snapshot/whole.h"
#include "common/run/log.h"

/* One chunk's rows in memory, at most; and all chunks together are this part of the shard's quota. */
#define CHUNK_BYTES (32ull << 20)
#define QUOTA_PART 8
/* A table is divided when it has so many chunks for each reader. */
#define DIVIDE_CHUNKS 4
/* What failed is tried again after this; the user hears of it when it failed so many times in a row. */
#define RETRY_US 500000u
#define TELL_FAILURES 4

static uint64_t
mono_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static int64_t
wall_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- readers ---- */

static void *
reader_main(void *arg)
{
	struct ml_copy_job *j = arg;
	struct ml_snapshot *s = j->s;
	uint64_t one = 1;
	int rc;

	pthread_mutex_lock(&s->lock);
	for (;;) {
		while (!s->stopped && j->state != ML_COPY_WANTED)
			pthread_cond_wait(&s->work, &s->lock);
		if (s->stopped)
			break;
		pthread_mutex_unlock(&s->lock);
		j->err = (struct ml_err){ 0 };
		rc = j->look ? ml_copy_look(j->reader, j->schema, j->want.key, j->create, &j->seen, &j->err)
			     : ml_copy_read(j->reader, &j->want, &j->chunk, &j->err);
		pthread_mutex_lock(&s->lock);
		j->state = rc < 0 ? ML_COPY_FAILED : ML_COPY_READY;
		pthread_cond_broadcast(&s->work);
		atomic_store(&s->news, true);
		(void)!write(s->env.wake_fd, &one, sizeof(one));
	}
	pthread_mutex_unlock(&s->lock);
	mysql_thread_end();
	return NULL;
}

static int
start_readers(struct ml_snapshot *s, struct ml_err *err)
{
	for (uint32_t i = 0; i < s->n_jobs; i++) {
		struct ml_copy_job *j = &s->jobs[i];
		int rc;

		j->s = s;
		j->reader = ml_copy_reader_new(s->env.target, s->env.tz, s->env.env->quota);
		rc = pthread_create(&j->thread, NULL, reader_main, j);
		if (rc != 0)
			return ML_ERRF(err, ErrIO, rc, "cannot start a thread: %s", strerror(rc));
		pthread_setname_np(j->thread, "copy");
		j->started = true;
	}
	return 0;
}

static void
job_clear(struct ml_copy_job *j)
{
	ml_copy_chunk_fini(&j->chunk);
	ml_copy_whole_clear(j);
	ml_copy_look_fini(&j->seen);
	ml_copy_window_clear(&j->window);
	ml_schema_unref(j->schema);
	free(j->passed);
	ml_copy_bound_fini(&j->want.after);
	ml_copy_bound_fini(&j->want.upto);
	if (j->table != NULL && j->range < j->table->n_ranges)
		j->table->ranges[j->range].busy = false;
	j->schema = NULL;
	j->passed = NULL;
	j->table = NULL;
	j->dirty = false;
}

void
ml_snapshot_stop(struct ml_snapshot *s)
{
	pthread_mutex_lock(&s->lock);
	s->stopped = true;
	pthread_cond_broadcast(&s->work);
	pthread_mutex_unlock(&s->lock);
	for (uint32_t i = 0; i < s->n_jobs; i++)
		if (s->jobs[i].reader != NULL)
			ml_copy_reader_stop(s->jobs[i].reader);
}

/* All is copied: what the readers held is given back. */
static void
end_readers(struct ml_snapshot *s)
{
	ml_snapshot_stop(s);
	for (uint32_t i = 0; i < s->n_jobs; i++) {
		struct ml_copy_job *j = &s->jobs[i];

		if (j->started)
			pthread_join(j->thread, NULL);
		job_clear(j);
		ml_copy_window_fini(&j->window);
	}
	/* A stop from another thread may still look at the readers: they are freed with all the rest. */
	for (uint32_t i = 0; i < s->n_jobs; i++)
		s->jobs[i].started = false;
}

void
ml_snapshot_close(struct ml_snapshot *s)
{
	if (s == NULL)
		return;
	end_readers(s);
	for (uint32_t i = 0; i < s->n_jobs; i++)
		ml_copy_reader_free(s->jobs[i].reader);
	free(s->jobs);
	ml_copy_dbs_fini(&s->dbs);
	ml_copy_forget_left_out(s);
	free(s->left_out);
	ml_copy_state_fini(&s->state);
	pthread_cond_destroy(&s->work);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

int
ml_snapshot_open(struct ml_snapshot **out, const struct ml_snapshot_env *env, struct ml_feed *f, struct ml_err *err)
{
	struct ml_snapshot *s = calloc(1, sizeof(*s));
	uint64_t quota = env->env->quota_bytes;

	if (s == NULL)
		abort();
	s->env = *env;
	/*
	 * Where changes were delivered before the copy was asked for, the target has tables, and what is deleted in them now must
	 * arrive there.
	 */
	s->create = env->options.create_tables && env->env->every_ddl &&
		    (f->copied.len > 0 || env->env->checkpoint_ts <= env->env->spec->start_ts);
	s->env.options.create_tables = s->create;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->work, NULL);
	if (env->flavor == ML_MYSQL && !env->gtids && env->options.method != ML_COPY_LOCKED) {
		ML_ERR(err, ErrInvalidReplicaConfig, 0,
			"snapshot=incremental needs gtid_mode=ON where the upstream is MySQL");
		goto fail;
	}
	if (ml_copy_state_unpack(&s->state, (const uint8_t *)f->copied.data, f->copied.len) < 0) {
		ML_ERR(err, ErrInvalidReplicaConfig, 0, "what is stored of the initial copy is damaged");
		goto fail;
	}
	s->dbs_wanted = s->create && f->copied.len == 0;
	ml_copy_sync_tables(s, f, NULL);
	if (s->create && (s->dbs_wanted || s->n_shut > 0) &&
		ml_copy_dbs_read(&s->dbs, env->my, env->env->filter, err) < 0)
		goto fail;
	for (size_t i = 0; i < s->state.n; i++) {
		const struct ml_copy_table *t = s->state.v[i];

		if (!t->done && ml_snapshot_check_table(t->schema, env->env->every_ddl, &s->env.options, err) < 0)
			goto fail;
	}
	s->n_jobs = s->state.n_open > 0 ? env->options.threads : 0;
	s->jobs = calloc(s->n_jobs > 0 ? s->n_jobs : 1, sizeof(*s->jobs));
	if (s->jobs == NULL)
		abort();
	s->max_bytes = CHUNK_BYTES;
	if (quota > 0 && s->n_jobs > 0 && quota / (QUOTA_PART * s->n_jobs) < s->max_bytes)
		s->max_bytes = quota / (QUOTA_PART * s->n_jobs);
	if (s->n_jobs > 0)
		ml_info(env->env->object, "initial copy tables=%zu open=%zu readers=%u", s->state.n, s->state.n_open,
			s->n_jobs);
	if (start_readers(s, err) < 0)
		goto fail;
	*out = s;
	return 0;
fail:
	ml_snapshot_close(s);
	return -1;
}

bool
ml_snapshot_busy(const struct ml_snapshot *s)
{
	return s->state.n_open > 0;
}

/* ---- the stream ---- */

void
ml_snapshot_rows(struct ml_snapshot *s, struct ml_batch *b, uint32_t from)
{
	uint32_t kept = from;

	if (s->state.n_open == 0)
		return;
	for (uint32_t i = from; i < b->n_rows; i++) {
		struct ml_row *row = &b->rows[i];
		const struct ml_index *key;

		if (kept != i)
			b->rows[kept] = *row;
		row = &b->rows[kept++];

		if (row->schema != s->last_schema) {
			s->last_schema = row->schema;
			s->last = ml_copy_state_find(&s->state, row->schema->table_id);
			if (s->last != NULL && s->last->done)
				s->last = NULL;
		}
		if (s->last == NULL)
			continue;
		/* The copy will have what it made of the table. */
		if (s->last->stage != ML_COPY_OPEN || row->schema->handle == NULL) {
			kept--;
			continue;
		}
		row->upsert = true;
		key = ml_copy_key(row->schema);
		for (uint32_t k = 0; k < s->n_jobs; k++) {
			struct ml_copy_job *j = &s->jobs[k];

			if (j->table == s->last && key != NULL)
				ml_copy_window_row(&j->window, key, row);
		}
	}
	b->n_changes -= b->n_rows - kept;
	b->n_rows = kept;
}

void
ml_snapshot_void(struct ml_snapshot *s)
{
	for (uint32_t k = 0; k < s->n_jobs; k++)
		s->jobs[k].dirty = true;
}

void
ml_snapshot_saved(struct ml_snapshot *s, ml_ts checkpoint_ts)
{
	uint64_t one = 1;

	if (checkpoint_ts <= atomic_load(&s->saved))
		return;
	atomic_store(&s->saved, checkpoint_ts);
	if (!s->create || atomic_load(&s->all_open))
		return;
	atomic_store(&s->news, true);
	(void)!write(s->env.wake_fd, &one, sizeof(one));
}

bool
ml_snapshot_due(const struct ml_snapshot *s)
{
	return s->n_waiting > 0 || atomic_load_explicit(&s->news, memory_order_relaxed);
}

static bool
before(uint64_t file, uint64_t offset, uint64_t file2, uint64_t offset2)
{
	return file < file2 || (file == file2 && offset < offset2);
}

bool
ml_snapshot_holds(const struct ml_snapshot *s, const struct ml_feed *f)
{
	return s->held && !s->hold_lost && s->state.n_open > 0 && !f->reader.open &&
	       !before(ml_binlog_number(f->reader.place.file), f->reader.place.offset, ml_binlog_number(s->hold_file),
		       s->hold_offset);
}

/* ---- jobs ---- */

static enum ml_copy_how
how_to_read(const struct ml_snapshot *s, const struct ml_copy_table *t, bool whole)
{
	if (s->held)
		return ML_COPY_HELD;
	if (s->env.flavor == ML_MARIADB && t->transactional)
		return ML_COPY_EXACT;
	if (!whole)
		return ML_COPY_AFTER;
	return t->transactional ? ML_COPY_LOCK_SHORT : ML_COPY_LOCK_LONG;
}

static bool
give(struct ml_snapshot *s, struct ml_feed *f, struct ml_copy_job *j, struct ml_copy_table *t, size_t range)
{
	struct ml_buf gtids = { 0 };

	j->table = t;
	j->range = range;
	j->create = t->stage == ML_COPY_UNMADE;
	j->look = !t->looked || j->create;
	j->dirty = false;
	j->schema = ml_schema_ref(t->schema);
	j->want = (struct ml_copy_want){
		.schema = j->schema,
		.key = ml_copy_key(j->schema),
		.max_rows = s->env.options.chunk_rows,
		.max_bytes = s->max_bytes,
		.file = s->hold_file,
		.offset = s->hold_offset,
	};
	j->whole = !j->look && j->want.key == NULL;
	j->want.how = how_to_read(s, t, j->whole);
	if (j->whole) {
		j->want.max_rows = j->want.max_bytes = 0;
		j->want.placed = ml_copy_whole_placed;
		j->want.take = ml_copy_whole_take;
		j->want.arg = j;
	} else if (!j->look) {
		t->ranges[range].busy = true;
		ml_copy_bound_copy(&j->want.after, &t->ranges[range].after);
		ml_copy_bound_copy(&j->want.upto, &t->ranges[range].upto);
	}
	if (s->env.flavor == ML_MYSQL) {
		ml_place_print_gtids(&f->reader.place, &gtids);
		j->passed = gtids.data;
		j->want.passed = j->passed;
	}
	j->file = ml_binlog_number(f->reader.place.file);
	j->offset = f->reader.place.offset;
	pthread_mutex_lock(&s->lock);
	j->state = ML_COPY_WANTED;
	pthread_cond_broadcast(&s->work);
	pthread_mutex_unlock(&s->lock);
	/* What the stream brings before the place is left out or not by the place: it must not come first. */
	if (j->whole)
		ml_copy_whole_await(j);
	return true;
}

static bool
in_hand(const struct ml_snapshot *s, const struct ml_copy_table *t)
{
	for (uint32_t k = 0; k < s->n_jobs; k++)
		if (s->jobs[k].table == t)
			return true;
	return false;
}

/* A TABLE_MAP may have made the definition clearer since. */
static void
refresh(struct ml_feed *f, struct ml_copy_table *t)
{
	const struct ml_schema *s = t->schema;
	struct ml_schema *now = ml_schema_store_get(f->store, s->db.s, s->db.len, s->table.s, s->table.len);

	if (now == NULL || now == s || now->table_id != t->id)
		return;
	(void)ml_schema_ref(now);
	ml_schema_unref(t->schema);
	t->schema = now;
}

/* A table of which the target is to be told; 0 tables left is the usual case. */
static bool
find_unmade(struct ml_snapshot *s, struct ml_feed *f, struct ml_copy_job *j, uint64_t now, uint64_t *wait_us)
{
	for (size_t i = 0; s->n_shut > 0 && i < s->state.n; i++) {
		struct ml_copy_table *t = s->state.v[i];

		if (t->stage != ML_COPY_UNMADE || t->schema == NULL || in_hand(s, t))
			continue;
		refresh(f, t);
		if (t->retry_us <= now && ml_schema_store_certain(f->store, t->schema))
			return give(s, f, j, t, SIZE_MAX);
		if (RETRY_US / 5 < *wait_us)
			*wait_us = RETRY_US / 5;
	}
	return false;
}

/* Work for an idle reader.  False: there is none now; *wait_us then falls to when there may be. */
static bool
find_work(struct ml_snapshot *s, struct ml_feed *f, struct ml_copy_job *j, uint64_t now, uint64_t *wait_us)
{
	/* All tables first, since they may refer to each other. */
	if (find_unmade(s, f, j, now, wait_us))
		return true;
	if (s->env.options.method == ML_COPY_LOCKED && !ml_copy_hold(s, f, now, wait_us))
		return false;
	if (s->next_us > now) {
		*wait_us = s->next_us - now < *wait_us ? s->next_us - now : *wait_us;
		return false;
	}
	/* Tables that have been begun come first, so that few are unfinished at a time. */
	for (int begun = 1; begun >= 0; begun--)
		for (size_t i = 0; i < s->state.n; i++) {
			struct ml_copy_table *t = s->state.v[i];

			if (t->done || (t->n_ranges > 0) != begun || t->schema == NULL || t->stage != ML_COPY_OPEN)
				continue;
			refresh(f, t);
			if (t->retry_us > now || !ml_schema_store_certain(f->store, t->schema)) {
				uint64_t us = t->retry_us > now ? t->retry_us - now : RETRY_US;

				*wait_us = us < *wait_us ? us : *wait_us;
				/* Only the stream can make it clear again. */
				s->hold_lost = s->held;
				continue;
			}
			if (!t->looked) {
				if (!in_hand(s, t))
					return give(s, f, j, t, SIZE_MAX);
				continue;
			}
			if (ml_copy_key(t->schema) == NULL) {
				if (!in_hand(s, t))
					return give(s, f, j, t, SIZE_MAX);
				continue;
			}
			if (!ml_copy_table_key_is(t, t->schema, ml_copy_key(t->schema))) {
				/* The bounds mean nothing under another key: from the start. */
				if (in_hand(s, t))
					continue;
				ml_copy_table_ranges(t, 1);
				ml_copy_table_set_key(t, t->schema, ml_copy_key(t->schema));
				t->rows = 0;
			}
			for (size_t k = 0; k < t->n_ranges; k++)
				if (!t->ranges[k].done && !t->ranges[k].busy)
					return give(s, f, j, t, k);
		}
	return false;
}

static void
set_bound(struct ml_copy_bound *b, uint64_t v, bool is_signed)
{
	char text[24], *p = text;
	struct ml_copy_bound one = { .v = &p, .n = 1 };

	snprintf(text, sizeof(text), is_signed ? "%lld" : "%llu", (long long)v);
	ml_copy_bound_copy(b, &one);
}

/* The table is known now: ranges for its readers, unless it goes on where it was. */
static void
looked(struct ml_snapshot *s, struct ml_copy_job *j)
{
	struct ml_copy_table *t = j->table;
	const struct ml_copy_look *l = &j->seen;
	uint64_t n = s->n_jobs, chunk = s->env.options.chunk_rows, step;

	t->looked = true;
	t->transactional = l->transactional;
	if (l->rows > t->estimated)
		t->estimated = l->rows;
	if (t->n_ranges > 0)
		return;
	t->started_ms = wall_ms();
	if (ml_copy_key(t->schema) == NULL)
		return;
	if (!l->has_range || l->rows < DIVIDE_CHUNKS * chunk * n || l->max - l->min < n)
		n = 1;
	ml_copy_table_ranges(t, n);
	ml_copy_table_set_key(t, t->schema, ml_copy_key(t->schema));
	step = n > 1 ? (l->max - l->min) / n : 0;
	for (uint64_t i = 1; i < n; i++) {
		set_bound(&t->ranges[i - 1].upto, l->min + i * step, l->is_signed);
		set_bound(&t->ranges[i].after, l->min + i * step, l->is_signed);
	}
}

static void
failed(struct ml_snapshot *s, struct ml_copy_job *j, uint64_t now)
{
	struct ml_copy_table *t = j->table;

	if (t == NULL)
		return;
	t->retry_us = now + RETRY_US;
	/* A definition that changed under the view, too. */
	s->hold_lost = s->hold_lost || s->held;
	if (s->held)
		t->retry_us = now;
	t->failures++;
	ml_log_err(t->failures >= TELL_FAILURES ? ML_WARN : ML_DEBUG, s->env.env->object, &j->err,
		"a chunk of the initial copy is to be read again");
	if (t->failures == TELL_FAILURES) {
		s->env.env->warn(s->env.env->arg, &j->err);
		s->warned = true;
	}
}

static void
throttle(struct ml_snapshot *s, uint64_t rows, uint64_t now)
{
	uint64_t rate = s->env.options.rows_per_second;

	if (rate == 0)
		return;
	if (s->next_us < now)
		s->next_us = now;
	s->next_us += rows * 1000000 / rate;
}

static void
finish_table(struct ml_snapshot *s, struct ml_copy_job *j)
{
	struct ml_copy_table *t = j->table;

	j->table = NULL;
	t->finished_ms = wall_ms();
	t->estimated = t->rows;
	ml_copy_state_done(&s->state, t);
	s->last_schema = NULL;
	ml_info(s->env.env->object, "table copied table=%s.%s rows=%llu open=%zu", t->db, t->name,
		(unsigned long long)t->rows, s->state.n_open);
}

static void
all_well(struct ml_snapshot *s)
{
	if (s->warned)
		s->env.env->warn(s->env.env->arg, NULL);
	s->warned = false;
}

/* The stream stands at or behind the chunk's place: its rows go out. */
static int
emit_chunk(struct ml_snapshot *s, struct ml_feed *f, struct ml_copy_job *j, struct ml_err *err)
{
	struct ml_copy_table *t = j->table;
	struct ml_copy_range *r = &t->ranges[j->range];
	/* All that the window has seen is older than the view, which therefore is whole. */
	bool exact = j->want.how == ML_COPY_HELD && j->chunk.offset == f->reader.place.offset &&
		     ml_binlog_number(j->chunk.file) == ml_binlog_number(f->reader.place.file);
	bool done = true;
	ml_ts ts;

	if (j->chunk.rows > 0 && ml_feed_copy_begin(f, &ts, err) < 0)
		return -1;
	while (j->chunk.first != NULL && !f->stopped) {
		struct ml_batch *b = j->chunk.first;

		j->chunk.first = b->next;
		b->next = NULL;
		if (!exact)
			(void)ml_copy_window_cut(&j->window, j->want.key, b);
		if (b->n_rows == 0)
			ml_batch_free(b);
		else
			ml_feed_copy_put(f, b, ts);
	}
	if (f->stopped)
		return 0;
	t->rows += j->chunk.rows;
	if (t->rows > t->estimated)
		t->estimated = t->rows;
	t->failures = 0;
	r->done = j->chunk.end;
	if (j->chunk.last.n > 0)
		ml_copy_bound_copy(&r->after, &j->chunk.last);
	for (size_t i = 0; i < t->n_ranges; i++)
		done = done && t->ranges[i].done;
	if (done) {
		r->busy = false;
		finish_table(s, j);
	}
	all_well(s);
	ml_copy_state_pack(&s->state, &f->copied);
	if (j->chunk.rows > 0 || done)
		ml_feed_copy_end(f);
	return 0;
}

/* The stream stands where the table's definition was read: the target is told of it. */
static int
make_table(struct ml_snapshot *s, struct ml_feed *f, struct ml_copy_job *j, struct ml_err *err)
{
	struct ml_copy_table *t = j->table;

	if (ml_copy_make_table(f, &s->dbs, j->schema, j->seen.create.data, j->seen.create.len, &t->made_ts, err) < 0)
		return -1;
	if (f->stopped)
		return 0;
	t->stage = ML_COPY_MADE;
	t->failures = 0;
	ml_copy_state_pack(&s->state, &f->copied);
	ml_feed_copy_end(f);
	return 0;
}

/* Tables of which it is stored that the target has been told. */
static void
open_made(struct ml_snapshot *s)
{
	ml_ts saved = atomic_load(&s->saved);

	for (size_t i = 0; s->n_shut > 0 && i < s->state.n; i++) {
		struct ml_copy_table *t = s->state.v[i];

		if (t->stage != ML_COPY_MADE || t->made_ts > saved)
			continue;
		t->stage = ML_COPY_OPEN;
		s->n_shut--;
	}
	if (s->n_shut == 0 && !s->dbs_wanted)
		atomic_store(&s->all_open, true);
}

/* The reader of a whole table knows its place, and waits for us.  1: the stream has to come there first. */
static int
take_whole(struct ml_snapshot *s, struct ml_feed *f, struct ml_copy_job *j, uint64_t now, struct ml_err *err)
{
	uint64_t file = ml_binlog_number(f->reader.place.file), offset = f->reader.place.offset;
	uint64_t at = ml_binlog_number(j->place_file);
	struct ml_copy_table *t = j->table;
	int rc;

	if (t == NULL || j->dirty || before(at, j->place_offset, file, offset)) {
		ml_copy_whole_cancel(j);
		if (t != NULL)
			t->retry_us = now + RETRY_US / 10;
		return 0;
	}
	if (before(file, offset, at, j->place_offset) || !ml_feed_copy_ready(f))
		return 1;
	if (s->held && !t->transactional)
		return ML_ERRF(err, ErrInvalidReplicaConfig, 0,
			"invalid replica config, snapshot=locked: table %s.%s has no key, and its engine no view of one instant; leave it "
			"out by the filter, or set snapshot=incremental",
			t->db, t->name);
	t->rows = 0;
	rc = ml_copy_whole_emit(j, f, err);
	if (rc < 0 || f->stopped)
		return rc;
	if (rc > 0) {
		failed(s, j, now);
		return 0;
	}
	t->failures = 0;
	finish_table(s, j);
	all_well(s);
	ml_copy_state_pack(&s->state, &f->copied);
	ml_feed_copy_end(f);
	return 0;
}

/* What a reader has ended.  1: it has to wait for the stream. */
static int
take(struct ml_snapshot *s, struct ml_feed *f, struct ml_copy_job *j, bool ok, uint64_t now, struct ml_err *err)
{
	uint64_t file = ml_binlog_number(f->reader.place.file), offset = f->reader.place.offset, at;

	if (!ok) {
		failed(s, j, now);
		return 0;
	}
	if (j->table == NULL || j->dirty)
		return 0;
	if (j->look && !j->create) {
		looked(s, j);
		return 0;
	}
	if (j->create) {
		at = ml_binlog_number(j->seen.file);
		if (before(file, offset, at, j->seen.offset) || !ml_feed_copy_ready(f))
			return 1;
		/* Not before: the ranges are of a table that is made. */
		if (make_table(s, f, j, err) < 0)
			return -1;
		looked(s, j);
		return 0;
	}
	at = ml_binlog_number(j->chunk.file);
	/* The server had logged what the stream had read when the window was opened, but did not show it yet. */
	if (before(at, j->chunk.offset, j->file, j->offset) ||
		ml_schema_store_get(f->store, j->schema->db.s, j->schema->db.len, j->schema->table.s,
			j->schema->table.len) != j->schema) {
		j->table->retry_us = now + RETRY_US / 10;
		return 0;
	}
	if (before(file, offset, at, j->chunk.offset) || !ml_feed_copy_ready(f))
		return 1;
	throttle(s, j->chunk.rows, now);
	return emit_chunk(s, f, j, err);
}

static void
set_idle(struct ml_snapshot *s, struct ml_copy_job *j)
{
	job_clear(j);
	pthread_mutex_lock(&s->lock);
	j->state = ML_COPY_IDLE;
	pthread_mutex_unlock(&s->lock);
}

int
ml_snapshot_step(struct ml_snapshot *s, struct ml_feed *f, uint64_t *wait_us, struct ml_err *err)
{
	uint64_t now = mono_us();

	*wait_us = UINT64_MAX;
	if (s->dbs_wanted) {
		if (!ml_feed_copy_ready(f)) {
			*wait_us = RETRY_US / 5;
			return 0;
		}
		if (ml_copy_make_dbs(f, &s->dbs, err) < 0)
			return -1;
		if (f->stopped)
			return 0;
		s->dbs_wanted = false;
	}
	if (s->state.n_open == 0 && s->n_jobs == 0)
		return 0;
	open_made(s);
	atomic_store(&s->news, false);
	s->n_waiting = 0;
	for (uint32_t k = 0; k < s->n_jobs && !f->stopped; k++) {
		struct ml_copy_job *j = &s->jobs[k];
		enum ml_copy_job_state state;

		pthread_mutex_lock(&s->lock);
		state = j->state;
		pthread_mutex_unlock(&s->lock);
		if (state == ML_COPY_PLACED) {
			int rc = take_whole(s, f, j, now, err);

			if (rc < 0)
				return -1;
			s->n_waiting += rc > 0;
			if (rc > 0 || f->stopped)
				continue;
			state = ML_COPY_IDLE;
			set_idle(s, j);
		} else if (state == ML_COPY_READY || state == ML_COPY_FAILED) {
			int rc = take(s, f, j, state == ML_COPY_READY, now, err);

			if (rc < 0)
				return -1;
			if (rc > 0) {
				s->n_waiting++;
				continue;
			}
			state = ML_COPY_IDLE;
			set_idle(s, j);
		}
		if (state == ML_COPY_IDLE)
			(void)find_work(s, f, j, now, wait_us);
	}
	if (s->state.n_open == 0 && !f->stopped) {
		ml_info(s->env.env->object, "initial copy is complete");
		end_readers(s);
		s->n_jobs = 0;
	}
	return 0;
}
