#include "capture-worker/encoder/maxwell/table.h"

#include <stdlib.h>

#include "capture-worker/encoder/by_name.h"
#include "capture-worker/encoder/text/escape.h"

static void
table_free(void *p)
{
	struct mx_table *t = p;

	if (t == NULL)
		return;
	ml_arena_fini(&t->arena);
	free(t);
}

static bool
is_binary(const struct ml_column *c)
{
	switch (c->type) {
	case ML_T_VARCHAR:
	case ML_T_VARSTRING:
	case ML_T_STRING:
	case ML_T_TINYBLOB:
	case ML_T_MEDIUMBLOB:
	case ML_T_LONGBLOB:
	case ML_T_BLOB:
		return (c->flags & ML_F_BINARY) != 0;
	case ML_T_GEOMETRY:
		return true;
	default:
		return false;
	}
}

static void
make_column(struct mx_table *t, struct mx_column *out, const struct ml_schema *s, const struct ml_column *c)
{
	struct ml_out o;

	ml_out_begin(&o, &t->arena);
	ml_out_lit(&o, ",\"");
	ml_escape_s(&o, c->name.s, c->name.len);
	ml_out_lit(&o, "\":");
	out->piece = ml_out_end(&o, &out->len);
	out->column = (uint16_t)(c - s->columns);
	out->base64 = is_binary(c);
	out->handle = (c->flags & ML_F_HANDLE_KEY) != 0;
	out->always_old = c->type == ML_T_VECTOR;
}

static void
make_head(struct mx_table *t, const struct ml_schema *s, int op)
{
	static const char *const types[] = {
		[ML_OP_INSERT] = "insert", [ML_OP_UPDATE] = "update", [ML_OP_DELETE] = "delete"
	};
	struct ml_out o;

	ml_out_begin(&o, &t->arena);
	ml_out_lit(&o, "{\"database\":\"");
	ml_escape_s(&o, s->db.s, s->db.len);
	ml_out_lit(&o, "\",\"table\":\"");
	ml_escape_s(&o, s->table.s, s->table.len);
	ml_out_lit(&o, "\",\"type\":\"");
	ml_out_put(&o, types[op], 6);
	ml_out_lit(&o, "\",\"ts\":");
	t->head[op].s = ml_out_end(&o, &t->head[op].len);
}

struct mx_table *
mx_table_of(struct ml_schema *s, uint64_t serial)
{
	struct mx_table *t = s->encoder;
	const struct ml_column **sorted;

	if (__builtin_expect(t != NULL && t->serial == serial, 1))
		return t;
	if (s->encoder_free != NULL)
		s->encoder_free(s->encoder);
	t = calloc(1, sizeof(*t));
	if (t == NULL)
		abort();
	ml_arena_init(&t->arena, 4096);
	t->serial = serial;
	for (int op = ML_OP_INSERT; op <= ML_OP_DELETE; op++)
		make_head(t, s, op);
	sorted = ml_columns_by_name(s, &t->arena);
	t->columns = ml_arena_zalloc(&t->arena, s->n_columns * sizeof(*t->columns));
	for (int i = 0; i < s->n_columns; i++)
		make_column(t, &t->columns[i], s, sorted[i]);
	s->encoder = t;
	s->encoder_free = table_free;
	return t;
}

const char *
mx_type_name(const struct ml_column *c)
{
	switch (c->type) {
	case ML_T_TINY:
	case ML_T_SHORT:
	case ML_T_INT24:
	case ML_T_LONG:
		return "int";
	case ML_T_LONGLONG:
		return "bigint";
	case ML_T_VARCHAR:
	case ML_T_VARSTRING:
	case ML_T_STRING:
	case ML_T_TINYBLOB:
	case ML_T_MEDIUMBLOB:
	case ML_T_LONGBLOB:
	case ML_T_BLOB:
	case ML_T_VECTOR:
	case ML_T_GEOMETRY:
		return "string";
	case ML_T_DATE:
		return "date";
	case ML_T_DATETIME:
	case ML_T_TIMESTAMP:
		return "datetime";
	case ML_T_TIME:
		return "time";
	case ML_T_YEAR:
		return "year";
	case ML_T_ENUM:
		return "enum";
	case ML_T_SET:
		return "set";
	case ML_T_BIT:
		return "bit";
	case ML_T_JSON:
		return "json";
	case ML_T_FLOAT:
	case ML_T_DOUBLE:
		return "float";
	case ML_T_DECIMAL:
		return "decimal";
	default:
		return "";
	}
}
