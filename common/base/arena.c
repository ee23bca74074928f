#include "common/base/arena.h"

#include <stdio.h>
#include <stdlib.h>

void
ml_arena_init(struct ml_arena *a, size_t chunk_bytes)
{
	*a = (struct ml_arena){ .chunk_bytes = chunk_bytes > 0 ? chunk_bytes : 65536 };
}

/* Takes the smallest spare chunk of at least n bytes from the list; NULL: there is none. */
static struct ml_arena_chunk *
take_spare(struct ml_arena *a, size_t n)
{
	struct ml_arena_chunk **best = NULL, *c;

	for (struct ml_arena_chunk **at = &a->spare; *at != NULL; at = &(*at)->next)
		if ((*at)->size >= n && (best == NULL || (*at)->size < (*best)->size))
			best = at;
	if (best == NULL)
		return NULL;
	c = *best;
	*best = c->next;
	return c;
}

void
ml_arena_grow(struct ml_arena *a, size_t n)
{
	size_t size = n > a->chunk_bytes ? n : a->chunk_bytes;
	struct ml_arena_chunk *c = take_spare(a, size);

	if (c != NULL) {
		size = c->size;
	} else if (size > SIZE_MAX / 2 || (c = malloc(sizeof(*c) + size)) == NULL) {
		fprintf(stderr, "out of memory: arena of %zu bytes\n", size);
		abort();
	}
	c->size = size;
	c->next = a->chunks;
	a->chunks = c;
	a->total_bytes += size;
	a->p = c->data;
	a->end = c->data + size;
}

static void
free_chunks(struct ml_arena_chunk *c)
{
	while (c != NULL) {
		struct ml_arena_chunk *next = c->next;

		free(c);
		c = next;
	}
}

/* Moves what still fits from one list to another; the rest is freed. */
static void
keep_chunks(struct ml_arena_chunk **to, struct ml_arena_chunk *from, size_t *kept, size_t keep_bytes)
{
	while (from != NULL) {
		struct ml_arena_chunk *c = from;

		from = c->next;
		if (c->size <= keep_bytes - *kept) {
			c->next = *to;
			*to = c;
			*kept += c->size;
		} else {
			free(c);
		}
	}
}

size_t
ml_arena_reset_to(struct ml_arena *a, size_t keep_bytes)
{
	struct ml_arena_chunk *spare = a->spare;
	size_t kept = 0;

	a->spare = NULL;
	keep_chunks(&a->spare, spare, &kept, keep_bytes);
	keep_chunks(&a->spare, a->chunks, &kept, keep_bytes);
	a->chunks = NULL;
	a->p = a->end = NULL;
	a->total_bytes = 0;
	return kept;
}

void
ml_arena_reset(struct ml_arena *a)
{
	(void)ml_arena_reset_to(a, ML_ARENA_SPARE * a->chunk_bytes);
}

void
ml_arena_fini(struct ml_arena *a)
{
	free_chunks(a->chunks);
	free_chunks(a->spare);
	a->chunks = a->spare = NULL;
	a->p = a->end = NULL;
	a->total_bytes = 0;
}
