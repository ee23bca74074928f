#include "common/base/arena.h"

#include <stdio.h>
#include <stdlib.h>

void
ml_arena_init(struct ml_arena *a, size_t chunk_bytes)
{
	*a = (struct ml_arena){ .chunk_bytes = chunk_bytes > 0 ? chunk_bytes : 65536 };
}

void
ml_arena_grow(struct ml_arena *a, size_t n)
{
	size_t size = n > a->chunk_bytes ? n : a->chunk_bytes;
	struct ml_arena_chunk *c = a->spare;

	if (c != NULL && size == a->chunk_bytes) {
		a->spare = c->next;
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
	int kept = 0;

	for (struct ml_arena_chunk *c = a->spare; c != NULL; c = c->next)
		kept++;
	while (a->chunks != NULL) {
		struct ml_arena_chunk *c = a->chunks;

		a->chunks = c->next;
		if (c->size == a->chunk_bytes && kept < ML_ARENA_SPARE) {
			c->next = a->spare;
			a->spare = c;
			kept++;
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
