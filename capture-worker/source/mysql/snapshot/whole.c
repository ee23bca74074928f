#include "capture-worker/source/mysql/snapshot/whole.h"

#include <stdio.h>
#include <unistd.h>

#include "capture-worker/source/mysql/feed_int.h"

/* Batches between the reader and the stream: enough that neither waits for the other's rhythm. */
#define QUEUE_BATCHES 4

int
ml_copy_whole_placed(void *arg, const char *file, uint64_t offset)
{
	struct ml_copy_job *j = arg;
	struct ml_snapshot *s = j->s;
	uint64_t one = 1;
	bool go;

	pthread_mutex_lock(&s->lock);
	snprintf(j->place_file, sizeof(j->place_file), "%s", file);
	j->place_offset = offset;
	j->state = ML_COPY_PLACED;
	atomic_store(&s->news, true);
	(void)!write(s->env.wake_fd, &one, sizeof(one));
	pthread_cond_broadcast(&s->work);
	while (!s->stopped && !j->cancelled && !j->go)
		pthread_cond_wait(&s->work, &s->lock);
	go = j->go && !s->stopped;
	pthread_mutex_unlock(&s->lock);
	return go ? 0 : -1;
}

int
ml_copy_whole_take(void *arg, struct ml_batch *b)
{
	struct ml_copy_job *j = arg;
	struct ml_snapshot *s = j->s;
	bool stopped;

	pthread_mutex_lock(&s->lock);
	while (!s->stopped && !j->cancelled && j->n_queued >= QUEUE_BATCHES)
		pthread_cond_wait(&s->work, &s->lock);
	stopped = s->stopped || j->cancelled;
	if (!stopped) {
		b->next = NULL;
		if (j->queue == NULL)
			j->queue = b;
		else
			j->queue_last->next = b;
		j->queue_last = b;
		j->n_queued++;
		pthread_cond_broadcast(&s->work);
	}
	pthread_mutex_unlock(&s->lock);
	if (!stopped)
		return 0;
	ml_batch_free(b);
	return -1;
}

void
ml_copy_whole_await(struct ml_copy_job *j)
{
	struct ml_snapshot *s = j->s;

	pthread_mutex_lock(&s->lock);
	while (!s->stopped && j->state == ML_COPY_WANTED)
		pthread_cond_wait(&s->work, &s->lock);
	pthread_mutex_unlock(&s->lock);
}

void
ml_copy_whole_cancel(struct ml_copy_job *j)
{
	struct ml_snapshot *s = j->s;

	pthread_mutex_lock(&s->lock);
	j->cancelled = true;
	pthread_cond_broadcast(&s->work);
	while (!s->stopped && j->state == ML_COPY_PLACED)
		pthread_cond_wait(&s->work, &s->lock);
	pthread_mutex_unlock(&s->lock);
}

void
ml_copy_whole_clear(struct ml_copy_job *j)
{
	while (j->queue != NULL) {
		struct ml_batch *b = j->queue;

		j->queue = b->next;
		b->next = NULL;
		ml_batch_free(b);
	}
	j->n_queued = 0;
	j->whole = j->go = j->cancelled = false;
}

/* The next batch; NULL: there are no more. */
static struct ml_batch *
next(struct ml_copy_job *j)
{
	struct ml_snapshot *s = j->s;
	struct ml_batch *b;

	pthread_mutex_lock(&s->lock);
	while (!s->stopped && j->queue == NULL && j->state == ML_COPY_PLACED)
		pthread_cond_wait(&s->work, &s->lock);
	b = s->stopped ? NULL : j->queue;
	if (b != NULL) {
		j->queue = b->next;
		b->next = NULL;
		j->n_queued--;
		pthread_cond_broadcast(&s->work);
	}
	pthread_mutex_unlock(&s->lock);
	return b;
}

int
ml_copy_whole_emit(struct ml_copy_job *j, struct ml_feed *f, struct ml_err *err)
{
	struct ml_snapshot *s = j->s;
	struct ml_batch *b;
	bool failed;
	ml_ts ts;

	if (s->create && j->schema->handle == NULL && ml_copy_empty_table(f, j->schema, err) < 0)
		return -1;
	if (!f->stopped && ml_feed_copy_begin(f, &ts, err) < 0)
		return -1;
	if (f->stopped)
		return 0;
	pthread_mutex_lock(&s->lock);
	j->go = true;
	pthread_cond_broadcast(&s->work);
	pthread_mutex_unlock(&s->lock);
	while (!f->stopped && (b = next(j)) != NULL) {
		j->table->rows += b->n_rows;
		ml_feed_copy_put(f, b, ts);
	}
	pthread_mutex_lock(&s->lock);
	f->stopped = f->stopped || s->stopped;
	failed = j->state != ML_COPY_READY;
	pthread_mutex_unlock(&s->lock);
	return failed && !f->stopped ? 1 : 0;
}
