/*
 * writer.c - data files.
 *
 * The sink stage's thread collects rows: up to BUFFER_BYTES of a file stay in memory, more goes to a temporary file, so the
 * batch they came from can be freed at once.  Closing (sync and rename, or upload; index) is slow and belongs to worker
 * threads; all files of a table have the same worker, so its files become visible in order.
 *
 * A batch is durable when the last file that holds a row of it is closed: struct ticket counts those files.
 */
#include "capture-worker/sink/storage/writer.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#include "capture-worker/sink/storage/store.h"
#include "common/base/list.h"
#include "common/run/log.h"
#include "common/run/loop.h"

/* A file's rows in memory before they go to disk. */
#define BUFFER_BYTES (64u << 10)
#define BUFFER_FIRST 4096
/* All buffers together; beyond it everything is closed. */
#define BUFFERS_MAX (64u << 20)
/* Temporary files open at a time; the one used longest ago is closed and opened again when rows for it come. */
#define FDS_MAX 128
/* worker-count and the store bound this too. */
#define THREADS_MAX 32
/* Files a worker may have before it (sinks.md 4.6). */
#define QUEUE_MAX 64
/* Of these the first so many keep their descriptors. */
#define QUEUE_FDS 4
/* A transaction that no row was seen of for so long is taken for ended. */
#define IDLE_MS 1000
/* Longest wait for a store that gets nothing done: a call's limit, and some time for the thread to say so. */
#define STUCK_MS (STORE_CALL_MAX_MS + 10 * 1000)
#define JOIN_MAX_S 2

struct ticket {
	uint64_t seq;
	atomic_uint left; /* files, and one while the batch is being written */
};

struct file {
	struct ml_list link; /* open files, or a worker's queue */
	struct ml_list used; /* files with a descriptor, the least recently used first */
	struct data_dir *dir;
	struct spool spool;
	bool full; /* as large as wanted: closed at the next boundary */
	struct ticket **tickets;
	size_t n_tickets, cap_tickets;
};

struct data_dir {
	struct data_dir *next;
	char *path;
	unsigned worker;
	/* The sink thread's: */
	struct file *open; /* the file rows go to now */
	char spilled[16];  /* date element of the directory that last got a temporary file; "-" for none */
	/* The worker's: */
	char date[16];
	bool known; /* `next_index` is that of `date` */
	uint64_t next_index;
};

struct worker {
	struct writer *w;
	pthread_t thread;
	bool runs;
	struct ml_list queue; /* under lock */
	size_t n;             /* queued, the one in work included; under lock */
	pthread_cond_t work;
};

struct writer {
	const struct ml_sink_env *env;
	const struct storage_options *o;
	const struct ml_tz *tz;
	struct data_dir *dirs;
	struct ml_list files, used;
	size_t n_fds, buffered, n_full;
	struct ticket *now; /* of the batch being written */
	bool mid_txn;
	uint64_t last_flush_ms, last_row_ms;

	pthread_mutex_t lock;
	pthread_cond_t done; /* a file was closed, or the writer failed */
	size_t pending;      /* files with the workers; under lock */
	bool stop;           /* under lock */
	atomic_bool failed;
	struct ml_err error; /* under lock */
	_Atomic uint64_t bytes_out, errors;
	unsigned n_workers;
	struct worker workers[THREADS_MAX];
};

static void *
must(void *p)
{
	if (p == NULL)
		abort();
	return p;
}

/* ---- closing, in the workers ---- */

static void
file_free(struct file *f)
{
	spool_fini(&f->spool);
	free(f->tickets);
	free(f);
}

/* "" or "/2026-11-25": the date element by the server's zone, at this moment. */
static void
date_element(const struct writer *w, char out[16])
{
	static const char *const formats[] = { "", "/%Y", "/%Y-%m", "/%Y-%m-%d" };
	int64_t s = (int64_t)(ml_wall_ms() / 1000);
	time_t local = (time_t)(s + ml_tz_range_at(w->tz, s).offset_s);
	struct tm tm;

	gmtime_r(&local, &tm);
	out[0] = '\0';
	if (w->o->date != STORAGE_DATE_NONE)
		strftime(out, 16, formats[w->o->date], &tm);
}

/* One file from temporary to final: sinks.md 4.8, steps 2 and 3. */
static int
file_close(struct writer *w, struct file *f, struct ml_err *err)
{
	struct store *s = w->o->store;
	struct data_dir *d = f->dir;
	char date[16], dir[STORE_PATH_MAX], meta[STORE_PATH_MAX + 8], name[64];
	int rc;

	date_element(w, date);
	if (snprintf(dir, sizeof(dir), "%s%s", d->path, date) >= (int)sizeof(dir))
		return store_error(s, d->path, ENAMETOOLONG, strerror(ENAMETOOLONG), err);
	snprintf(meta, sizeof(meta), "%s/meta", dir);
	if (!d->known || strcmp(d->date, date) != 0) {
		if (s->ops->prepare(s, dir, err) != 0 || store_next_index(s, dir, w->o->ext, &d->next_index, err) != 0)
			return -1;
		strcpy(d->date, date);
		d->known = true;
	}
	if (s->ops->settle(s, &f->spool, dir, w->o->ext, err) != 0)
		return -1;
	do {
		snprintf(name, sizeof(name), "CDC%0*" PRIu64 "%s", w->o->index_width, d->next_index++, w->o->ext);
		rc = s->ops->place(s, &f->spool, dir, name, err);
	} while (rc == 1);
	if (rc != 0)
		return -1;
	strcat(name, "\n");
	/* Not synced: whoever finds it old or empty probes for the next free number. */
	return s->ops->put(s, meta, "CDC.index", name, strlen(name), false, err);
}

/* The first error is kept: nothing is said to be durable after it.  True if this is the first. */
static bool
keep_error(struct writer *w, const struct ml_err *err)
{
	bool first;

	atomic_fetch_add(&w->errors, 1);
	pthread_mutex_lock(&w->lock);
	first = !atomic_load(&w->failed);
	if (first) {
		w->error = *err;
		atomic_store(&w->failed, true);
	}
	first &= !w->stop;
	pthread_cond_broadcast(&w->done);
	pthread_mutex_unlock(&w->lock);
	return first;
}

static void
ticket_down(struct writer *w, struct ticket *k)
{
	if (atomic_fetch_sub(&k->left, 1) != 1)
		return;
	if (!atomic_load(&w->failed))
		w->env->durable(w->env->arg, k->seq);
	free(k);
}

static void
finish(struct writer *w, struct file *f)
{
	struct ml_err err;

	if (!atomic_load(&w->failed)) {
		if (file_close(w, f, &err) == 0)
			atomic_fetch_add(&w->bytes_out, f->spool.bytes);
		else if (keep_error(w, &err) && w->env->fail != NULL)
			w->env->fail(w->env->arg, &err);
	}
	for (size_t i = 0; i < f->n_tickets; i++)
		ticket_down(w, f->tickets[i]);
	file_free(f);
}

static void *
worker_main(void *arg)
{
	struct worker *me = arg;
	struct writer *w = me->w;

	pthread_mutex_lock(&w->lock);
	for (;;) {
		struct file *f;

		while (ml_list_empty(&me->queue) && !w->stop)
			pthread_cond_wait(&me->work, &w->lock);
		if (ml_list_empty(&me->queue))
			break;
		f = ML_CONTAINER(me->queue.next, struct file, link);
		ml_list_remove(&f->link);
		pthread_mutex_unlock(&w->lock);
		finish(w, f);
		pthread_mutex_lock(&w->lock);
		me->n--;
		w->pending--;
		atomic_fetch_add(&w->o->store->moved, 1);
		pthread_cond_broadcast(&w->done);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

/* ---- collecting, in the sink stage's thread ---- */

static int
kept_error(struct writer *w, struct ml_err *err)
{
	pthread_mutex_lock(&w->lock);
	if (err != NULL)
		*err = w->error;
	pthread_mutex_unlock(&w->lock);
	return -1;
}

/* Waits on done for 100 ms at most; the lock is held. */
static void
wait_done(struct writer *w)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += 100 * 1000000L;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000L;
	}
	pthread_cond_timedwait(&w->done, &w->lock, &until);
}

/* A wait that may last as long as the store gets something done. */
struct patience {
	uint64_t moved, until_ms;
};

static bool
patient(const struct writer *w, struct patience *p)
{
	uint64_t moved = atomic_load(&w->o->store->moved), now = ml_now_ms();

	if (p->until_ms == 0 || moved != p->moved)
		*p = (struct patience){ moved, now + STUCK_MS };
	return now < p->until_ms;
}

static int
hangs(struct writer *w, struct ml_err *err)
{
	store_error(w->o->store, "", ETIMEDOUT, "the storage does not answer", err);
	keep_error(w, err);
	return -1;
}

/* Gives an open file to its worker.  1: its queue is full and wait is false. */
static int
file_give(struct writer *w, struct file *f, bool wait, struct ml_err *err)
{
	struct worker *to = &w->workers[f->dir->worker];
	struct patience p = { 0 };

	pthread_mutex_lock(&w->lock);
	while (to->n >= QUEUE_MAX && wait && !atomic_load(&w->failed) && patient(w, &p))
		wait_done(w);
	if (to->n >= QUEUE_MAX || atomic_load(&w->failed)) {
		pthread_mutex_unlock(&w->lock);
		return atomic_load(&w->failed) ? kept_error(w, err) : wait ? hangs(w, err) : 1;
	}
	ml_list_remove(&f->link);
	ml_list_append(&to->queue, &f->link);
	to->n++;
	w->pending++;
	/* The worker may free the file from here on, but not before the lock is given back. */
	if (f->spool.fd >= 0) {
		w->n_fds--;
		if (to->n > QUEUE_FDS) {
			close(f->spool.fd); /* its turn is far off; the store opens it again */
			f->spool.fd = -1;
		}
	}
	ml_list_remove(&f->used);
	w->buffered -= f->spool.cap;
	w->n_full -= f->full;
	f->dir->open = NULL;
	pthread_cond_signal(&to->work);
	pthread_mutex_unlock(&w->lock);
	return 0;
}

static int
give_all(struct writer *w, bool wait, bool only_full, struct ml_err *err)
{
	int rc = 0;

	ML_LIST_FOREACH_SAFE (i, &w->files) {
		struct file *f = ML_CONTAINER(i, struct file, link);

		if (rc >= 0 && (!only_full || f->full) && (rc = file_give(w, f, wait, err)) < 0)
			return -1;
	}
	return 0;
}

static struct file *
file_new(struct writer *w, struct data_dir *d)
{
	struct file *f = must(calloc(1, sizeof(*f)));

	f->dir = d;
	f->spool.fd = -1;
	ml_list_append(&w->files, &f->link);
	ml_list_init(&f->used);
	d->open = f;
	return f;
}

/* Writes the buffer to the temporary file, which is made if need be, and bounds the number of open ones. */
static int
spill(struct writer *w, struct file *f, struct ml_err *err)
{
	if (f->spool.fd < 0 && !w->o->store->ops->discards) {
		char date[16], dir[STORE_PATH_MAX];

		if (w->n_fds >= FDS_MAX) {
			struct file *old = ML_CONTAINER(w->used.next, struct file, used);

			if (spool_write_out(&old->spool, err) != 0)
				return -1;
			close(old->spool.fd);
			old->spool.fd = -1;
			ml_list_remove(&old->used);
			w->n_fds--;
		}
		date_element(w, date);
		snprintf(dir, sizeof(dir), "%s%s", f->dir->path, date);
		/* What a crash left there goes first: it may be what fills the disk. */
		if (strcmp(f->dir->spilled, date) != 0) {
			if (w->o->store->ops->prepare(w->o->store, dir, err) != 0)
				return -1;
			strcpy(f->dir->spilled, date);
		}
		if (spool_open(&f->spool, w->o->store, dir, w->o->ext, err) != 0)
			return -1;
		w->n_fds++;
	}
	ml_list_remove(&f->used);
	if (f->spool.fd >= 0)
		ml_list_append(&w->used, &f->used);
	return spool_write_out(&f->spool, err);
}

static void
file_ticket(struct file *f, struct ticket *k)
{
	if (f->n_tickets > 0 && f->tickets[f->n_tickets - 1] == k)
		return;
	if (f->n_tickets == f->cap_tickets) {
		f->cap_tickets = f->cap_tickets > 0 ? f->cap_tickets * 2 : 8;
		f->tickets = must(reallocarray(f->tickets, f->cap_tickets, sizeof(struct ticket *)));
	}
	f->tickets[f->n_tickets++] = k;
	atomic_fetch_add(&k->left, 1);
}

int
writer_begin(struct writer *w, uint64_t seq, struct ml_err *err)
{
	if (atomic_load(&w->failed))
		return kept_error(w, err);
	w->now = must(calloc(1, sizeof(*w->now)));
	w->now->seq = seq;
	atomic_store(&w->now->left, 1);
	return 0;
}

static int
put_row(struct writer *w, struct data_dir *d, const char *text, size_t len, struct ml_err *err)
{
	struct file *f = d->open != NULL ? d->open : file_new(w, d);
	struct spool *p = &f->spool;

	file_ticket(f, w->now);
	p->bytes += len;
	if (p->bytes >= w->o->file_bytes && !f->full) {
		f->full = true;
		w->n_full++;
	}
	if (p->len + len > BUFFER_BYTES && p->len > 0 && spill(w, f, err) != 0)
		return -1;
	if (len >= BUFFER_BYTES)
		/* Straight to the file: the row is larger than a buffer. */
		return spill(w, f, err) != 0 ? -1 : spool_append(p, text, len, err);
	if (p->cap - p->len < len) {
		size_t cap = p->cap > 0 ? p->cap : BUFFER_FIRST;

		while (cap - p->len < len)
			cap *= 2;
		p->buf = must(realloc(p->buf, cap));
		w->buffered += cap - p->cap;
		p->cap = cap;
	}
	memcpy(p->buf + p->len, text, len);
	p->len += len;
	return 0;
}

int
writer_row(struct writer *w, struct data_dir *d, const char *text, size_t len, struct ml_err *err)
{
	if (put_row(w, d, text, len, err) == 0)
		return 0;
	keep_error(w, err);
	return -1;
}

int
writer_end(struct writer *w, bool boundary, struct ml_err *err)
{
	struct ticket *k = w->now;
	int rc = 0;

	w->now = NULL;
	w->mid_txn = !boundary;
	w->last_row_ms = ml_now_ms();
	if (atomic_load(&w->failed))
		rc = kept_error(w, err);
	else if (w->buffered > BUFFERS_MAX)
		rc = give_all(w, true, false, err);
	else if (boundary && w->n_full > 0)
		rc = give_all(w, true, true, err);
	ticket_down(w, k);
	return rc;
}

int
writer_tick(struct writer *w, struct ml_err *err)
{
	uint64_t now = ml_now_ms();

	if (atomic_load(&w->failed))
		return kept_error(w, err);
	if (now - w->last_flush_ms < w->o->flush_ms || (w->mid_txn && now - w->last_row_ms < IDLE_MS))
		return 0;
	w->last_flush_ms = now;
	return give_all(w, false, false, err);
}

int
writer_flush(struct writer *w, struct ml_err *err)
{
	struct patience p = { 0 };
	bool done;

	if (give_all(w, true, false, err) != 0)
		return -1;
	pthread_mutex_lock(&w->lock);
	while (w->pending > 0 && !atomic_load(&w->failed) && patient(w, &p))
		wait_done(w);
	done = w->pending == 0;
	pthread_mutex_unlock(&w->lock);
	w->last_flush_ms = ml_now_ms();
	if (atomic_load(&w->failed))
		return kept_error(w, err);
	return done ? 0 : hangs(w, err);
}

struct data_dir *
writer_dir(struct writer *w, const char *path, const char *db, const char *table)
{
	struct data_dir *d = w->dirs;
	uLong crc;

	while (d != NULL && strcmp(d->path, path) != 0)
		d = d->next;
	if (d != NULL)
		return d;
	d = must(calloc(1, sizeof(*d)));
	d->path = must(strdup(path));
	strcpy(d->spilled, "-");
	crc = crc32(0, (const Bytef *)db, (uInt)strlen(db));
	d->worker = (unsigned)(crc32(crc, (const Bytef *)table, (uInt)strlen(table)) % w->n_workers);
	d->next = w->dirs;
	w->dirs = d;
	return d;
}

void
writer_forget(struct writer *w)
{
	while (w->dirs != NULL) {
		struct data_dir *d = w->dirs;

		w->dirs = d->next;
		free(d->path);
		free(d);
	}
}

void
writer_fail(struct writer *w, const struct ml_err *err)
{
	keep_error(w, err);
}

void
writer_stats(const struct writer *w, uint64_t *bytes_out, uint64_t *errors)
{
	*bytes_out = atomic_load(&w->bytes_out);
	*errors = atomic_load(&w->errors);
}

int
writer_new(struct writer **out, const struct ml_sink_env *env, const struct storage_options *o, const struct ml_tz *tz,
	struct ml_err *err)
{
	struct writer *w = must(calloc(1, sizeof(*w)));
	pthread_condattr_t attr;

	w->env = env;
	w->o = o;
	w->tz = tz;
	ml_list_init(&w->files);
	ml_list_init(&w->used);
	w->last_flush_ms = ml_now_ms();
	pthread_mutex_init(&w->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&w->done, &attr);
	pthread_condattr_destroy(&attr);
	w->n_workers = o->workers < o->store->ops->threads ? o->workers : o->store->ops->threads;
	if (w->n_workers > THREADS_MAX)
		w->n_workers = THREADS_MAX;
	for (unsigned i = 0; i < w->n_workers; i++) {
		struct worker *k = &w->workers[i];
		int rc;

		k->w = w;
		ml_list_init(&k->queue);
		pthread_cond_init(&k->work, NULL);
		rc = pthread_create(&k->thread, NULL, worker_main, k);
		if (rc != 0) {
			writer_free(w);
			return ML_ERR(err, ErrFailToCreateExternalStorage, rc, strerror(rc));
		}
		k->runs = true;
		pthread_setname_np(k->thread, "storage");
	}
	*out = w;
	return 0;
}

bool
writer_free(struct writer *w)
{
	struct timespec until;
	struct ml_err closed;
	bool gone = true;

	if (w == NULL)
		return true;
	store_error(w->o->store, "", 0, "the sink is closed", &closed);
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	if (!atomic_load(&w->failed)) {
		/* Queued files are dropped now, and nothing is said to be durable any more. */
		w->error = closed;
		atomic_store(&w->failed, true);
	}
	for (unsigned i = 0; i < w->n_workers; i++)
		if (w->workers[i].runs)
			pthread_cond_signal(&w->workers[i].work);
	pthread_mutex_unlock(&w->lock);
	w->o->store->ops->stop(w->o->store);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += JOIN_MAX_S;
	for (unsigned i = 0; i < w->n_workers; i++)
		if (w->workers[i].runs && pthread_timedjoin_np(w->workers[i].thread, NULL, &until) != 0) {
			pthread_detach(w->workers[i].thread);
			gone = false;
		}
	ML_LIST_FOREACH_SAFE (i, &w->files) {
		struct file *f = ML_CONTAINER(i, struct file, link);

		ml_list_remove(i);
		ml_list_remove(&f->used);
		finish(w, f);
	}
	if (w->now != NULL)
		ticket_down(w, w->now);
	if (!gone) {
		ml_warn(w->env->object, "the storage takes long to close; a thread is left behind");
		return false;
	}
	writer_forget(w);
	pthread_mutex_destroy(&w->lock);
	pthread_cond_destroy(&w->done);
	for (unsigned i = 0; i < w->n_workers; i++)
		if (w->workers[i].runs)
			pthread_cond_destroy(&w->workers[i].work);
	free(w);
	return true;
}
