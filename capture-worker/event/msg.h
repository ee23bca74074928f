/*
 * msg.h - encoded messages, and the writer that puts text straight into the batch's memory.
 */
#ifndef ML_WORKER_EVENT_MSG_H
#define ML_WORKER_EVENT_MSG_H
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "capture-worker/event/row.h"

struct ml_msg {
	const char *key; /* NULL: null key; non-NULL with key_len 0: empty key.  Consumers see the difference */
	const char *value;
	uint32_t key_len, value_len;
	const struct ml_topic *topic;
	struct ml_schema *schema; /* of its first row; pinned by the batch; NULL for control messages */
	ml_ts commit_ts;          /* of its last row */
	int32_t partition;
	uint32_t rows;
	/* The sink's own, unset before: its queue, and what the message belongs to there. */
	struct ml_msg *next;
	void *owner;
};

/*
 * Writer of one text at a time into an arena.  Between ml_out_begin and ml_out_end the text may move (when a chunk is full it
 * is copied to a larger one), so hold offsets, not pointers.
 */
struct ml_out {
	struct ml_arena *arena;
	char *start, *p, *end;
};

void ml_out_grow(struct ml_out *o, size_t n); /* room for n more bytes */

static inline void
ml_out_begin(struct ml_out *o, struct ml_arena *a)
{
	o->arena = a;
	o->start = o->p = a->p;
	o->end = a->end;
}

static inline size_t
ml_out_len(const struct ml_out *o)
{
	return (size_t)(o->p - o->start);
}

/* The text is done and belongs to the arena. */
static inline const char *
ml_out_end(struct ml_out *o, uint32_t *len)
{
	*len = (uint32_t)(o->p - o->start);
	o->arena->p = o->p;
	return o->start;
}

/* Room for n more bytes at o->p; write there and advance p. */
static inline char *
ml_out_need(struct ml_out *o, size_t n)
{
	if (__builtin_expect((size_t)(o->end - o->p) < n, 0))
		ml_out_grow(o, n);
	return o->p;
}

static inline void
ml_out_put(struct ml_out *o, const void *s, size_t n)
{
	memcpy(ml_out_need(o, n), s, n);
	o->p += n;
}

#define ml_out_lit(o, literal) ml_out_put((o), "" literal, sizeof(literal) - 1)
#endif
