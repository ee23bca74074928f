#include "capture-worker/encoder/by_name.h"

#include <stdlib.h>

static int
by_name(const void *a, const void *b)
{
	const struct ml_column *x = *(const struct ml_column *const *)a, *y = *(const struct ml_column *const *)b;
	uint32_t n = x->name.len < y->name.len ? x->name.len : y->name.len;
	int d = memcmp(x->name.s, y->name.s, n);

	return d != 0 ? d : (x->name.len > y->name.len) - (x->name.len < y->name.len);
}

const struct ml_column **
ml_columns_by_name(const struct ml_schema *s, struct ml_arena *a)
{
	const struct ml_column **sorted = ml_arena_alloc(a, s->n_columns * sizeof(*sorted));

	for (int i = 0; i < s->n_columns; i++)
		sorted[i] = &s->columns[i];
	qsort(sorted, s->n_columns, sizeof(*sorted), by_name);
	return sorted;
}
