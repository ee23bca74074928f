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

void
ml_arena_reset(struct ml_arena *a)
{
	size_t kept = 0, keep = ML_ARENA_SPARE * a->chunk_bytes;

	for (struct ml_arena_chunk *c = a->spare; c != NULL; c = c->next)
		kept += c->size;
	while (a->chunks != NULL) {
		struct ml_arena_chunk *c = a->chunks;

		a->chunks = c->next;
		if (c->size <= keep - kept) {
			c->next = a->spare;
			a->spare = c;
			kept += c->size;
		} else {
			free(c);
		}
	}
	a->p = a->end = NULL;
	a->total_bytes = 0;
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
