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
	struct ml_arena_chunk *c;

	if (size > SIZE_MAX / 2 || (c = malloc(sizeof(*c) + size)) == NULL) {
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

void
ml_arena_reset(struct ml_arena *a)
{
	struct ml_arena_chunk *keep = NULL;

	while (a->chunks != NULL) {
		struct ml_arena_chunk *c = a->chunks;

		a->chunks = c->next;
		if (keep == NULL && c->size == a->chunk_bytes)
			keep = c;
		else
			free(c);
	}
	a->p = a->end = NULL;
	a->total_bytes = 0;
	if (keep != NULL) {
		keep->next = NULL;
		a->chunks = keep;
		a->total_bytes = keep->size;
		a->p = keep->data;
		a->end = keep->data + keep->size;
	}
}

void
ml_arena_fini(struct ml_arena *a)
{
	while (a->chunks != NULL) {
		struct ml_arena_chunk *c = a->chunks;

		a->chunks = c->next;
		free(c);
	}
	a->p = a->end = NULL;
	a->total_bytes = 0;
}
