#include "supervisor/tally.h"

bool
ml_tally_add(struct ml_tally *t, const struct ml_death *d)
{
	t->last[t->n++ % ML_TALLY_DEATHS] = *d;
	/* After the addition the slot that comes next holds the oldest of the ring. */
	return t->n >= ML_TALLY_DEATHS && d->at_ms - t->last[t->n % ML_TALLY_DEATHS].at_ms <= ML_TALLY_WINDOW_MS;
}

void
ml_tally_clear(struct ml_tally *t)
{
	t->n = 0;
}
