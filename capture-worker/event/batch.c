/*
 * batch.c - batches and their pool.  The pool holds a few batches only: enough that a busy pipeline allocates nothing in the
 * steady state, few enough that an idle worker stays small.
 */
#include "capture-worker/event/batch.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "capture-worker/quota.h"

/* As many as the queues of one pipeline hold. */
#define POOL_MAX 16
/*
 * What all of them keep together, beyond the quota; and one of them, which is more than 2,048 rows of 200 bytes take with
 * debezium's schema beside each: the rare batch that was larger shall not have it all.
 */
#define POOL_BYTES (32u << 20)
#define KEEP_BYTES (8u << 20)
/* Rows of 200 bytes, 2,048 of them, in four chunks; an idle batch touches one page of the first. */
#define CHUNK_BYTES (128u << 10)

static struct {
	pthread_mutex_t lock;
	struct ml_batch *free;
	int n;
	size_t kept_bytes; /* promised to the free ones and to those on their way */
} pool = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void *
grow(void *p, uint32_t *cap, size_t item, uint32_t first)
{
	uint32_t n = *cap > 0 ? *cap * 2 : first;

	if (n < *cap || (p = realloc(p, n * item)) == NULL) {
		fprintf(stderr, "out of memory: batch array of %u items\n", n);
		abort();
	}
	*cap = n;
	return p;
}

struct ml_batch *
ml_batch_new(void)
{
	struct ml_batch *b;

	pthread_mutex_lock(&pool.lock);
	b = pool.free;
	if (b != NULL) {
		pool.free = b->next;
		pool.n--;
		pool.kept_bytes -= b->kept_bytes;
	}
	pthread_mutex_unlock(&pool.lock);
	if (b == NULL) {
		b = calloc(1, sizeof(*b));
		if (b == NULL)
			abort();
		ml_arena_init(&b->arena, CHUNK_BYTES);
	}
	b->next = NULL;
	return b;
}

static void
destroy(struct ml_batch *b)
{
	ml_arena_fini(&b->arena);
	free(b->rows);
	free(b->msgs);
	free(b->pins);
	free(b);
}

void
ml_batch_free(struct ml_batch *b)
{
	size_t keep, kept;

	if (b == NULL)
		return;
	for (uint32_t i = 0; i < b->n_pins; i++)
		ml_schema_unref(b->pins[i]);
	if (b->quota != NULL)
		ml_quota_give(b->quota, b->charged_bytes);
	pthread_mutex_lock(&pool.lock);
	keep = POOL_BYTES - pool.kept_bytes < KEEP_BYTES ? POOL_BYTES - pool.kept_bytes : KEEP_BYTES;
	pool.kept_bytes += keep;
	pthread_mutex_unlock(&pool.lock);
	kept = ml_arena_reset_to(&b->arena, keep);
	b->n_rows = b->n_msgs = b->n_pins = b->n_txns = 0;
	b->n_changes = b->bytes_in = b->seq = b->charged_bytes = 0;
	b->barrier = (struct ml_barrier){ 0 };
	b->quota = NULL;
	pthread_mutex_lock(&pool.lock);
	pool.kept_bytes -= keep;
	if (pool.n < POOL_MAX) {
		pool.kept_bytes += kept;
		b->kept_bytes = kept;
		b->next = pool.free;
		pool.free = b;
		pool.n++;
		b = NULL;
	}
	pthread_mutex_unlock(&pool.lock);
	if (b != NULL)
		destroy(b);
}

void
ml_batch_pool_drain(void)
{
	pthread_mutex_lock(&pool.lock);
	while (pool.free != NULL) {
		struct ml_batch *b = pool.free;

		pool.free = b->next;
		pool.kept_bytes -= b->kept_bytes;
		destroy(b);
	}
	pool.n = 0;
	pthread_mutex_unlock(&pool.lock);
}

struct ml_row *
ml_batch_row(struct ml_batch *b)
{
	if (__builtin_expect(b->n_rows == b->cap_rows, 0))
		b->rows = grow(b->rows, &b->cap_rows, sizeof(*b->rows), 64);
	return &b->rows[b->n_rows++];
}

struct ml_msg *
ml_batch_msg(struct ml_batch *b)
{
	if (__builtin_expect(b->n_msgs == b->cap_msgs, 0))
		b->msgs = grow(b->msgs, &b->cap_msgs, sizeof(*b->msgs), 64);
	return &b->msgs[b->n_msgs++];
}

void
ml_batch_pin(struct ml_batch *b, struct ml_schema *s)
{
	/* Rows of a few tables alternate at most; a longer search would cost more than a second reference does. */
	for (uint32_t i = b->n_pins; i-- > 0 && i + 4 > b->n_pins;)
		if (b->pins[i] == s)
			return;
	if (b->n_pins == b->cap_pins)
		b->pins = grow(b->pins, &b->cap_pins, sizeof(struct ml_schema *), 8);
	b->pins[b->n_pins++] = ml_schema_ref(s);
}

static char *
copy_text(struct ml_batch *b, const char *s)
{
	return s == NULL ? (char *)"" : ml_arena_strndup(&b->arena, s, strlen(s));
}

const Ml__Position *
ml_batch_position(struct ml_batch *b, const Ml__Position *p)
{
	Ml__Position *c = ml_arena_alloc(&b->arena, sizeof(*c));

	*c = *p;
	c->base.unknown_fields = NULL;
	c->base.n_unknown_fields = 0;
	c->flavor = copy_text(b, p->flavor);
	c->server = copy_text(b, p->server);
	c->file = copy_text(b, p->file);
	c->gtid = copy_text(b, p->gtid);
	if (p->copied.len > 0)
		c->copied.data = (uint8_t *)ml_arena_strndup(&b->arena, (const char *)p->copied.data, p->copied.len);
	return c;
}

size_t
ml_batch_bytes(const struct ml_batch *b)
{
	return b->arena.total_bytes + (size_t)b->n_rows * sizeof(*b->rows) + (size_t)b->n_msgs * sizeof(*b->msgs);
}
