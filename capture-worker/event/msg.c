#include "capture-worker/event/msg.h"

void
ml_out_grow(struct ml_out *o, size_t n)
{
	size_t len = ml_out_len(o);
	const char *old = o->start;

	/* Half as much again, so that a long text moves a bounded number of times. */
	ml_arena_grow(o->arena, len + len / 2 + n);
	if (len > 0)
		memcpy(o->arena->p, old, len);
	o->start = o->arena->p;
	o->p = o->start + len;
	o->end = o->arena->end;
}
