#include "capture-worker/queue.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

struct ml_queue {
	pthread_mutex_t lock;
	pthread_cond_t not_empty, not_full;
	struct ml_batch *head, **tail;
	unsigned n, capacity;
	bool ended, stopped, reader_waits, writer_waits;
};

struct ml_queue *
ml_queue_new(unsigned capacity)
{
	struct ml_queue *q = calloc(1, sizeof(*q));
	pthread_condattr_t attr;

	if (q == NULL)
		abort();
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->not_empty, &attr);
	pthread_cond_init(&q->not_full, &attr);
	pthread_condattr_destroy(&attr);
	q->tail = &q->head;
	q->capacity = capacity;
	return q;
}

void
ml_queue_free(struct ml_queue *q)
{
	if (q == NULL)
		return;
	while (q->head != NULL) {
		struct ml_batch *b = q->head;

		q->head = b->next;
		ml_batch_free(b);
	}
	pthread_cond_destroy(&q->not_empty);
	pthread_cond_destroy(&q->not_full);
	pthread_mutex_destroy(&q->lock);
	free(q);
}

int
ml_queue_push(struct ml_queue *q, struct ml_batch *b)
{
	int rc = -1;

	pthread_mutex_lock(&q->lock);
	while (q->n == q->capacity && !q->stopped) {
		q->writer_waits = true;
		pthread_cond_wait(&q->not_full, &q->lock);
	}
	q->writer_waits = false;
	if (!q->stopped) {
		b->next = NULL;
		*q->tail = b;
		q->tail = &b->next;
		q->n++;
		if (q->reader_waits)
			pthread_cond_signal(&q->not_empty);
		rc = 0;
	}
	pthread_mutex_unlock(&q->lock);
	return rc;
}

void
ml_queue_end(struct ml_queue *q)
{
	pthread_mutex_lock(&q->lock);
	q->ended = true;
	pthread_cond_signal(&q->not_empty);
	pthread_mutex_unlock(&q->lock);
}

enum ml_pop
ml_queue_pop(struct ml_queue *q, struct ml_batch **b, int timeout_ms)
{
	enum ml_pop rc = ML_POP_BATCH;
	struct timespec until;
	int waited = 0;

	if (timeout_ms >= 0) {
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec += timeout_ms / 1000;
		until.tv_nsec += (timeout_ms % 1000) * 1000000L;
		if (until.tv_nsec >= 1000000000L) {
			until.tv_sec++;
			until.tv_nsec -= 1000000000L;
		}
	}
	pthread_mutex_lock(&q->lock);
	while (q->n == 0 && !q->ended && !q->stopped && waited == 0) {
		q->reader_waits = true;
		if (timeout_ms < 0)
			pthread_cond_wait(&q->not_empty, &q->lock);
		else
			waited = pthread_cond_timedwait(&q->not_empty, &q->lock, &until);
	}
	q->reader_waits = false;
	if (q->stopped) {
		rc = ML_POP_STOPPED;
	} else if (q->n > 0) {
		*b = q->head;
		q->head = q->head->next;
		if (q->head == NULL)
			q->tail = &q->head;
		q->n--;
		if (q->writer_waits)
			pthread_cond_signal(&q->not_full);
	} else {
		rc = q->ended ? ML_POP_END : ML_POP_TIMEOUT;
	}
	pthread_mutex_unlock(&q->lock);
	return rc;
}

void
ml_queue_stop(struct ml_queue *q)
{
	pthread_mutex_lock(&q->lock);
	q->stopped = true;
	pthread_cond_broadcast(&q->not_empty);
	pthread_cond_broadcast(&q->not_full);
	pthread_mutex_unlock(&q->lock);
}
