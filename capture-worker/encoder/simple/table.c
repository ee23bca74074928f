#include "capture-worker/encoder/simple/table.h"

#include <stdlib.h>
#include <string.h>

#include "capture-worker/encoder/avro_bin.h"
#include "capture-worker/encoder/java_type.h"
#include "capture-worker/encoder/simple/definition.h"
#include "capture-worker/encoder/text/escape.h"
#include "common/text/num.h"

static void
table_free(void *p)
{
	struct sm_table *t = p;

	if (t == NULL)
		return;
	ml_arena_fini(&t->arena);
	free(t);
}

static struct ml_text
end_text(struct ml_out *o)
{
	struct ml_text t;

	t.s = ml_out_end(o, &t.len);
	return t;
}

static enum sm_how
how_of(const struct ml_column *c)
{
	switch (c->type) {
	case ML_T_TIMESTAMP:
		return SM_TIMESTAMP;
	case ML_T_TINY:
	case ML_T_SHORT:
	case ML_T_INT24:
	case ML_T_LONG:
	case ML_T_LONGLONG:
	case ML_T_YEAR:
	case ML_T_BIT:
	case ML_T_ENUM:
	case ML_T_SET:
		return SM_NUMBER;
	case ML_T_FLOAT:
	case ML_T_DOUBLE:
		return SM_FLOAT;
	default:
		return ml_column_is_binary(c) ? SM_BYTES : SM_STRING;
	}
}

/* ---- JSON ---- */

static void
put_string(struct ml_out *o, struct ml_text t)
{
	ml_out_lit(o, "\"");
	ml_escape_s(o, t.s, t.len);
	ml_out_lit(o, "\"");
}

static struct ml_text
head_json(struct ml_arena *a, const struct ml_schema *s, const char *op)
{
	struct ml_out o;

	ml_out_begin(&o, a);
	ml_out_lit(&o, "{\"version\":1,\"database\":");
	put_string(&o, s->db);
	ml_out_lit(&o, ",\"table\":");
	put_string(&o, s->table);
	ml_out_lit(&o, ",\"tableID\":");
	o.p += ml_i64_text(ml_out_need(&o, ML_INT_TEXT_MAX), s->table_id);
	ml_out_lit(&o, ",\"type\":\"");
	ml_out_put(&o, op, strlen(op));
	ml_out_lit(&o, "\",\"commitTs\":");
	return end_text(&o);
}

static void
column_json(struct sm_column *c, struct ml_arena *a, const struct ml_column *from, struct ml_text location)
{
	struct ml_out o;

	ml_out_begin(&o, a);
	ml_out_lit(&o, ",");
	put_string(&o, from->name);
	ml_out_lit(&o, ":null");
	c->null = end_text(&o);
	ml_out_begin(&o, a);
	ml_out_put(&o, c->null.s, c->null.len - 4);
	if (c->how == SM_TIMESTAMP) {
		ml_out_lit(&o, "{\"location\":");
		put_string(&o, location);
		ml_out_lit(&o, ",\"value\":");
	}
	ml_out_lit(&o, "\"");
	c->lead = end_text(&o);
}

static void
make_json(struct sm_table *t, const struct sm_form *f, const struct ml_schema *s)
{
	struct ml_arena *a = &t->arena;
	struct ml_out o;

	t->head[ML_OP_INSERT] = head_json(a, s, "INSERT");
	t->head[ML_OP_UPDATE] = head_json(a, s, "UPDATE");
	t->head[ML_OP_DELETE] = head_json(a, s, "DELETE");
	ml_out_begin(&o, a);
	ml_out_lit(&o, ",\"schemaVersion\":");
	o.p += ml_u64_text(ml_out_need(&o, ML_INT_TEXT_MAX), s->version);
	t->version = end_text(&o);
	for (int i = 0; i < s->n_columns; i++)
		column_json(&t->columns[i], a, &s->columns[t->columns[i].col], f->location);
	ml_out_begin(&o, a);
	sm_definition_json(&o, s);
	t->definition = end_text(&o);
}

/* ---- Avro ---- */

static struct ml_text
head_avro(struct ml_arena *a, const struct ml_schema *s, int op)
{
	struct ml_out o;

	ml_out_begin(&o, a);
	/* Message, DML, payload 3, version 1. */
	ml_out_lit(&o, "\x16\x06\x06\x02");
	ml_avro_text(&o, s->db);
	ml_avro_text(&o, s->table);
	ml_avro_long(&o, s->table_id);
	ml_avro_long(&o, op);
	return end_text(&o);
}

/* Index of the column's branch in the union of values. */
static int
branch_of(const struct sm_column *c, const struct ml_column *from)
{
	switch ((enum sm_how)c->how) {
	case SM_NUMBER:
		return from->type == ML_T_LONGLONG && (from->flags & ML_F_UNSIGNED) ? 7 : 1;
	case SM_FLOAT:
		return from->type == ML_T_FLOAT ? 2 : 3;
	case SM_BYTES:
		return 5;
	case SM_TIMESTAMP:
		return 6;
	case SM_STRING:
		break;
	}
	return 4;
}

static void
column_avro(struct sm_column *c, struct ml_arena *a, const struct ml_column *from, struct ml_text location)
{
	struct ml_out o;

	ml_out_begin(&o, a);
	ml_avro_text(&o, from->name);
	ml_avro_long(&o, 0);
	c->null = end_text(&o);
	ml_out_begin(&o, a);
	ml_avro_text(&o, from->name);
	ml_avro_long(&o, branch_of(c, from));
	if (c->how == SM_TIMESTAMP)
		ml_avro_text(&o, location);
	c->lead = end_text(&o);
}

static void
make_avro(struct sm_table *t, const struct sm_form *f, const struct ml_schema *s)
{
	struct ml_arena *a = &t->arena;
	struct ml_out o;

	t->head[ML_OP_INSERT] = head_avro(a, s, 0);
	t->head[ML_OP_UPDATE] = head_avro(a, s, 1);
	t->head[ML_OP_DELETE] = head_avro(a, s, 2);
	ml_out_begin(&o, a);
	ml_avro_long(&o, (int64_t)s->version);
	t->version = end_text(&o);
	for (int i = 0; i < s->n_columns; i++)
		column_avro(&t->columns[i], a, &s->columns[t->columns[i].col], f->location);
	ml_out_begin(&o, a);
	sm_definition_avro(&o, s);
	t->definition = end_text(&o);
}

static int
compare_names(struct ml_text a, struct ml_text b)
{
	int d = memcmp(a.s, b.s, a.len < b.len ? a.len : b.len);

	return d != 0 ? d : (a.len > b.len) - (a.len < b.len);
}

struct sm_table *
sm_table_of(const struct sm_form *f, struct ml_schema *s)
{
	struct sm_table *t = s->encoder;

	if (__builtin_expect(t != NULL && t->serial == f->serial, 1))
		return t;
	if (s->encoder_free != NULL)
		s->encoder_free(s->encoder);
	t = calloc(1, sizeof(*t));
	if (t == NULL)
		abort();
	ml_arena_init(&t->arena, 4096);
	t->serial = f->serial;
	t->columns = ml_arena_zalloc(&t->arena, s->n_columns * sizeof(*t->columns));
	for (uint16_t i = 0; i < s->n_columns; i++) {
		int at = i;

		/* JSON objects have their keys sorted. */
		for (; !f->avro && at > 0 &&
			compare_names(s->columns[t->columns[at - 1].col].name, s->columns[i].name) > 0;
			at--)
			t->columns[at] = t->columns[at - 1];
		t->columns[at] = (struct sm_column){
			.col = i, .how = how_of(&s->columns[i]), .handle = s->columns[i].flags & ML_F_HANDLE_KEY
		};
	}
	if (f->avro)
		make_avro(t, f, s);
	else
		make_json(t, f, s);
	s->encoder = t;
	s->encoder_free = table_free;
	return t;
}
