/*
 * arena.h - bump allocator: many small pieces with one lifetime, given back together.
 *
 * Not thread safe: one owner at a time.  ml_arena_reset keeps chunks, so a recycled arena allocates nothing in the steady
 * state.
 */
#ifndef ML_COMMON_BASE_ARENA_H
#define ML_COMMON_BASE_ARENA_H
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct ml_arena_chunk {
	struct ml_arena_chunk *next;
	size_t size; /* of data[] */
	char data[] __attribute__((aligned(16)));
};

struct ml_arena {
	char *p, *end;                 /* free part of the newest chunk */
	struct ml_arena_chunk *chunks; /* newest first */
	struct ml_arena_chunk *spare;  /* kept by a reset */
	size_t chunk_bytes;            /* size of an ordinary chunk */
	size_t total_bytes;            /* of the chunks in use */
};

/*
 * A batch of 2,048 encoded rows fills about this many chunks, or fewer larger ones where many rows make one message; memory of
 * that size is kept, what a rare larger batch took goes back to the system.
 */
#define ML_ARENA_SPARE 16

/* chunk_bytes: size of an ordinary chunk, 0 for 64 KiB.  Allocates nothing yet. */
void ml_arena_init(struct ml_arena *a, size_t chunk_bytes);
/* All pointers into the arena die; chunks are kept as spare ones, up to ML_ARENA_SPARE times chunk_bytes. */
void ml_arena_reset(struct ml_arena *a);
/* The same with another bound; returns the bytes that are kept. */
size_t ml_arena_reset_to(struct ml_arena *a, size_t keep_bytes);
void ml_arena_fini(struct ml_arena *a);
/* A new chunk with room for at least n bytes becomes the current one.  Aborts when the system is out of memory. */
void ml_arena_grow(struct ml_arena *a, size_t n);

/* n bytes aligned to 8, not zeroed; never NULL. */
static inline void *
ml_arena_alloc(struct ml_arena *a, size_t n)
{
	/* Text of any length may have been taken before. */
	size_t pad = -(uintptr_t)a->p & 7;
	char *p;

	if (__builtin_expect((size_t)(a->end - a->p) < pad || (size_t)(a->end - a->p) - pad < n, 0)) {
		ml_arena_grow(a, n);
		pad = 0;
	}
	p = a->p + pad;
	a->p = p + n;
	return p;
}

/* n bytes without alignment, for text. */
static inline char *
ml_arena_bytes(struct ml_arena *a, size_t n)
{
	char *p;

	if (__builtin_expect((size_t)(a->end - a->p) < n, 0))
		ml_arena_grow(a, n);
	p = a->p;
	a->p += n;
	return p;
}

static inline void *
ml_arena_zalloc(struct ml_arena *a, size_t n)
{
	return memset(ml_arena_alloc(a, n), 0, n);
}

/* A copy of n bytes with a NUL behind it. */
static inline char *
ml_arena_strndup(struct ml_arena *a, const char *s, size_t n)
{
	char *p = ml_arena_bytes(a, n + 1);

	memcpy(p, s, n);
	p[n] = '\0';
	return p;
}
#endif
