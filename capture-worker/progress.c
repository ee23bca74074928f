#include "capture-worker/progress.h"

#include <pthread.h>
#include <stdlib.h>

struct item {
	Ml__Position *position;
	ml_ts resolved;
	bool durable;
};

struct ml_progress {
	pthread_mutex_t lock;
	struct item *ring;   /* of cap items; the item of batch n is ring[n % cap] */
	uint64_t cap;        /* a power of two */
	uint64_t head, next; /* first batch that is not durable; number of the next to enter */
	ml_ts checkpoint, resolved;
	Ml__Position *position; /* of checkpoint */
};

Ml__Position *
ml_position_dup(const Ml__Position *p)
{
	Ml__Position *copy;
	size_t n;
	uint8_t *packed;

	if (p == NULL)
		return NULL;
	n = ml__position__get_packed_size(p);
	packed = malloc(n > 0 ? n : 1);
	if (packed == NULL)
		abort();
	ml__position__pack(p, packed);
	copy = ml__position__unpack(NULL, n, packed);
	free(packed);
	if (copy == NULL)
		abort();
	return copy;
}

static void
free_position(Ml__Position *p)
{
	if (p != NULL)
		ml__position__free_unpacked(p, NULL);
}

struct ml_progress *
ml_progress_new(ml_ts checkpoint, const Ml__Position *position)
{
	struct ml_progress *p = calloc(1, sizeof(*p));

	if (p == NULL || (p->ring = calloc(64, sizeof(*p->ring))) == NULL)
		abort();
	pthread_mutex_init(&p->lock, NULL);
	p->cap = 64;
	p->checkpoint = p->resolved = checkpoint;
	p->position = ml_position_dup(position);
	return p;
}

void
ml_progress_free(struct ml_progress *p)
{
	if (p == NULL)
		return;
	for (uint64_t n = p->head; n < p->next; n++)
		free_position(p->ring[n % p->cap].position);
	free_position(p->position);
	pthread_mutex_destroy(&p->lock);
	free(p->ring);
	free(p);
}

/* Storage sinks hold batches for seconds: the ring grows with what is in flight, which the quota bounds. */
static void
grow(struct ml_progress *p)
{
	struct item *ring = calloc(p->cap * 2, sizeof(*ring));

	if (ring == NULL)
		abort();
	for (uint64_t n = p->head; n < p->next; n++)
		ring[n % (p->cap * 2)] = p->ring[n % p->cap];
	free(p->ring);
	p->ring = ring;
	p->cap *= 2;
}

uint64_t
ml_progress_enter(struct ml_progress *p, ml_ts resolved, const Ml__Position *position)
{
	Ml__Position *copy = resolved > 0 ? ml_position_dup(position) : NULL;
	uint64_t seq;

	pthread_mutex_lock(&p->lock);
	if (p->next - p->head == p->cap)
		grow(p);
	seq = p->next++;
	p->ring[seq % p->cap] = (struct item){ .position = copy, .resolved = resolved };
	if (resolved > p->resolved)
		p->resolved = resolved;
	pthread_mutex_unlock(&p->lock);
	return seq;
}

bool
ml_progress_durable(struct ml_progress *p, uint64_t seq)
{
	bool advanced = false;

	pthread_mutex_lock(&p->lock);
	if (seq >= p->head && seq < p->next)
		p->ring[seq % p->cap].durable = true;
	while (p->head < p->next && p->ring[p->head % p->cap].durable) {
		struct item *i = &p->ring[p->head % p->cap];

		/* A barrier below the checkpoint would be a fault of the source; the checkpoint never goes back. */
		if (i->resolved > p->checkpoint) {
			p->checkpoint = i->resolved;
			free_position(p->position);
			p->position = i->position;
			advanced = true;
		} else {
			free_position(i->position);
		}
		i->position = NULL;
		p->head++;
	}
	pthread_mutex_unlock(&p->lock);
	return advanced;
}

ml_ts
ml_progress_checkpoint(struct ml_progress *p)
{
	return ml_progress_get(p, NULL);
}

ml_ts
ml_progress_resolved(struct ml_progress *p)
{
	ml_ts ts;

	pthread_mutex_lock(&p->lock);
	ts = p->resolved;
	pthread_mutex_unlock(&p->lock);
	return ts;
}

ml_ts
ml_progress_get(struct ml_progress *p, Ml__Position **position)
{
	ml_ts ts;

	pthread_mutex_lock(&p->lock);
	ts = p->checkpoint;
	if (position != NULL)
		*position = ml_position_dup(p->position);
	pthread_mutex_unlock(&p->lock);
	return ts;
}
