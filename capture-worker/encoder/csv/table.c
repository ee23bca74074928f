#include "capture-worker/encoder/csv/table.h"

#include <stdlib.h>

#include "capture-worker/encoder/csv/field.h"

static void
table_free(void *p)
{
	struct csv_table *t = p;

	if (t == NULL)
		return;
	ml_arena_fini(&t->arena);
	free(t);
}

static enum csv_form
form_of(const struct ml_column *c)
{
	switch (c->type) {
	case ML_T_VARCHAR:
	case ML_T_VARSTRING:
	case ML_T_STRING:
	case ML_T_TINYBLOB:
	case ML_T_MEDIUMBLOB:
	case ML_T_LONGBLOB:
	case ML_T_BLOB:
		return c->flags & ML_F_BINARY ? CSV_BINARY : CSV_PLAIN;
	case ML_T_GEOMETRY:
		return CSV_BINARY;
	case ML_T_ENUM:
		return CSV_ENUM;
	case ML_T_SET:
		return CSV_SET;
	default:
		return CSV_PLAIN;
	}
}

static struct ml_text
field(struct ml_arena *a, const struct ml_csv_opts *c, struct ml_text t)
{
	struct ml_out o;

	ml_out_begin(&o, a);
	csv_string(&o, c, t.s, t.len);
	t.s = ml_out_end(&o, &t.len);
	return t;
}

static struct ml_text
head(struct ml_arena *a, const struct ml_csv_opts *c, const struct ml_schema *s, const char *op)
{
	struct ml_text t;
	struct ml_out o;

	ml_out_begin(&o, a);
	csv_string(&o, c, op, 1);
	ml_out_put(&o, c->delimiter, c->delimiter_len);
	csv_string(&o, c, s->table.s, s->table.len);
	ml_out_put(&o, c->delimiter, c->delimiter_len);
	csv_string(&o, c, s->db.s, s->db.len);
	t.s = ml_out_end(&o, &t.len);
	return t;
}

const struct csv_table *
csv_table_of(struct ml_schema *s, uint64_t serial, const struct ml_csv_opts *c)
{
	struct csv_table *t = s->encoder;

	if (__builtin_expect(t != NULL && t->serial == serial, 1))
		return t;
	if (s->encoder_free != NULL)
		s->encoder_free(s->encoder);
	t = calloc(1, sizeof(*t));
	if (t == NULL)
		abort();
	ml_arena_init(&t->arena, 4096);
	t->serial = serial;
	t->insert = head(&t->arena, c, s, "I");
	t->update = head(&t->arena, c, s, "U");
	t->delete = head(&t->arena, c, s, "D");
	t->columns = ml_arena_zalloc(&t->arena, s->n_columns * sizeof(*t->columns));
	for (int i = 0; i < s->n_columns; i++) {
		const struct ml_column *from = &s->columns[i];
		struct csv_column *to = &t->columns[i];
		struct ml_text *names;

		to->form = (uint8_t)form_of(from);
		to->elems = from->elems;
		to->n_elems = from->n_elems;
		if (to->form != CSV_ENUM)
			continue;
		to->elems = names = ml_arena_alloc(&t->arena, from->n_elems * sizeof(*names));
		for (int k = 0; k < from->n_elems; k++)
			names[k] = field(&t->arena, c, from->elems[k]);
	}
	s->encoder = t;
	s->encoder_free = table_free;
	return t;
}
