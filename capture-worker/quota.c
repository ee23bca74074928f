#include "capture-worker/quota.h"

#include <pthread.h>
#include <stdlib.h>

struct ml_quota {
	pthread_mutex_t lock;
	pthread_cond_t given;
	uint64_t limit, used;
	int waiting;
	bool stopped;
};

struct ml_quota *
ml_quota_new(uint64_t limit_bytes)
{
	struct ml_quota *q = calloc(1, sizeof(*q));

	if (q == NULL)
		abort();
	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->given, NULL);
	q->limit = limit_bytes;
	return q;
}

void
ml_quota_free(struct ml_quota *q)
{
	if (q == NULL)
		return;
	pthread_cond_destroy(&q->given);
	pthread_mutex_destroy(&q->lock);
	free(q);
}

int
ml_quota_take(struct ml_quota *q, uint64_t bytes)
{
	int rc = 0;

	pthread_mutex_lock(&q->lock);
	while (!q->stopped && q->used > 0 && q->used + bytes > q->limit) {
		q->waiting++;
		pthread_cond_wait(&q->given, &q->lock);
		q->waiting--;
	}
	if (q->stopped)
		rc = -1;
	else
		q->used += bytes;
	pthread_mutex_unlock(&q->lock);
	return rc;
}

void
ml_quota_add(struct ml_quota *q, uint64_t bytes)
{
	pthread_mutex_lock(&q->lock);
	q->used += bytes;
	pthread_mutex_unlock(&q->lock);
}

void
ml_quota_give(struct ml_quota *q, uint64_t bytes)
{
	pthread_mutex_lock(&q->lock);
	q->used -= bytes < q->used ? bytes : q->used;
	if (q->waiting > 0)
		pthread_cond_broadcast(&q->given);
	pthread_mutex_unlock(&q->lock);
}

uint64_t
ml_quota_used(struct ml_quota *q)
{
	uint64_t used;

	pthread_mutex_lock(&q->lock);
	used = q->used;
	pthread_mutex_unlock(&q->lock);
	return used;
}

void
ml_quota_stop(struct ml_quota *q)
{
	pthread_mutex_lock(&q->lock);
	q->stopped = true;
	pthread_cond_broadcast(&q->given);
	pthread_mutex_unlock(&q->lock);
}
