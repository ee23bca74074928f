#include "capture-worker/encoder/craft/table.h"

#include <stdlib.h>

static void
table_free(void *p)
{
	struct cr_table *t = p;

	if (t == NULL)
		return;
	free(t->columns);
	free(t);
}

struct cr_table *
cr_table_of(struct ml_schema *s, uint64_t serial, struct cr_terms *terms)
{
	struct cr_table *t = s->encoder;

	if (__builtin_expect(t != NULL && t->serial == serial, 1))
		return t;
	if (s->encoder_free != NULL)
		s->encoder_free(s->encoder);
	t = calloc(1, sizeof(*t));
	if (t == NULL || (t->columns = calloc(s->n_columns + 1u, sizeof(*t->columns))) == NULL)
		abort();
	t->serial = serial;
	t->schema = cr_terms_intern(terms, s->db);
	t->table = cr_terms_intern(terms, s->table);
	for (int i = 0; i < s->n_columns; i++) {
		const struct ml_column *c = &s->columns[i];

		t->columns[i] = (struct cr_column){ .name = cr_terms_intern(terms, c->name),
			.type = c->type,
			.flags = c->flags,
			.handle = (c->flags & ML_F_HANDLE_KEY) != 0 };
	}
	s->encoder = t;
	s->encoder_free = table_free;
	return t;
}
