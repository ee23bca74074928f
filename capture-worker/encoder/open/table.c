#include "capture-worker/encoder/open/table.h"

#include <stdlib.h>

#include "capture-worker/encoder/by_name.h"
#include "capture-worker/encoder/text/escape.h"
#include "common/text/num.h"

static void
table_free(void *p)
{
	struct op_table *t = p;

	if (t == NULL)
		return;
	ml_arena_fini(&t->arena);
	free(t);
}

static enum op_bytes
bytes_form(const struct ml_column *c)
{
	switch (c->type) {
	case ML_T_VARCHAR:
	case ML_T_VARSTRING:
	case ML_T_STRING:
		return c->flags & ML_F_BINARY ? OP_QUOTED : OP_TEXT;
	case ML_T_TINYBLOB:
	case ML_T_MEDIUMBLOB:
	case ML_T_LONGBLOB:
	case ML_T_BLOB:
	case ML_T_GEOMETRY:
		return OP_BASE64;
	default:
		return OP_TEXT;
	}
}

static void
make_column(struct op_table *t, struct op_column *out, const struct ml_schema *s, const struct ml_column *c)
{
	struct ml_out o;

	ml_out_begin(&o, &t->arena);
	ml_out_lit(&o, ",\"");
	ml_escape_s(&o, c->name.s, c->name.len);
	ml_out_lit(&o, "\":{\"t\":");
	o.p += ml_u64_text(ml_out_need(&o, ML_INT_TEXT_MAX), c->type);
	if (c->flags & ML_F_HANDLE_KEY)
		ml_out_lit(&o, ",\"h\":true");
	ml_out_lit(&o, ",\"f\":");
	o.p += ml_u64_text(ml_out_need(&o, ML_INT_TEXT_MAX), c->flags);
	ml_out_lit(&o, ",\"v\":");
	out->piece = ml_out_end(&o, &out->len);
	out->column = (uint16_t)(c - s->columns);
	out->bytes = bytes_form(c);
	out->handle = c->flags & ML_F_HANDLE_KEY;
	t->has_handle |= out->handle;
}

struct op_table *
op_table_of(struct ml_schema *s, uint64_t serial)
{
	struct op_table *t = s->encoder;
	const struct ml_column **sorted;
	struct ml_out o;

	if (__builtin_expect(t != NULL && t->serial == serial, 1))
		return t;
	if (s->encoder_free != NULL)
		s->encoder_free(s->encoder);
	t = calloc(1, sizeof(*t));
	if (t == NULL)
		abort();
	ml_arena_init(&t->arena, 4096);
	t->serial = serial;
	ml_out_begin(&o, &t->arena);
	ml_out_lit(&o, ",\"scm\":\"");
	ml_escape_s(&o, s->db.s, s->db.len);
	ml_out_lit(&o, "\",\"tbl\":\"");
	ml_escape_s(&o, s->table.s, s->table.len);
	ml_out_lit(&o, "\"");
	t->names.s = ml_out_end(&o, &t->names.len);
	sorted = ml_columns_by_name(s, &t->arena);
	t->columns = ml_arena_zalloc(&t->arena, s->n_columns * sizeof(*t->columns));
	for (int i = 0; i < s->n_columns; i++)
		make_column(t, &t->columns[i], s, sorted[i]);
	s->encoder = t;
	s->encoder_free = table_free;
	return t;
}
