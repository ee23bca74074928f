#include "capture-worker/encoder/canal_json/table.h"

#include <stdio.h>
#include <stdlib.h>

#include "capture-worker/encoder/java_type.h"
#include "capture-worker/encoder/text/escape.h"
#include "capture-worker/event/msg.h"
#include "common/text/num.h"

/* Sets of columns vary by configuration, not by row; more than this many in one table are not worth keeping. */
#define MAX_SHAPES 16

static void
table_free(void *p)
{
	struct cj_table *t = p;

	if (t == NULL)
		return;
	ml_arena_fini(&t->arena);
	ml_arena_fini(&t->shape_arena);
	free(t);
}

static void
put_string(struct ml_out *o, struct ml_text t)
{
	ml_out_lit(o, "\"");
	ml_escape_e(o, t.s, t.len);
	ml_out_lit(o, "\"");
}

static struct ml_text
end_text(struct ml_out *o)
{
	struct ml_text t;

	t.s = ml_out_end(o, &t.len);
	return t;
}

static struct ml_text
code_text(struct ml_arena *a, int code)
{
	struct ml_text t = { .s = ml_arena_bytes(a, ML_INT_TEXT_MAX) };

	t.len = (uint32_t)ml_i64_text((char *)(uintptr_t)t.s, code);
	return t;
}

static struct ml_text
head_text(struct ml_arena *a, const struct ml_schema *s, const char *op)
{
	struct ml_out o;
	bool first = true;

	ml_out_begin(&o, a);
	ml_out_lit(&o, "{\"id\":0,\"database\":");
	put_string(&o, s->db);
	ml_out_lit(&o, ",\"table\":");
	put_string(&o, s->table);
	ml_out_lit(&o, ",\"pkNames\":[");
	for (int i = 0; i < s->n_columns; i++)
		if (s->columns[i].flags & ML_F_PRIMARY_KEY) {
			if (!first)
				ml_out_lit(&o, ",");
			first = false;
			put_string(&o, s->columns[i].name);
		}
	ml_out_lit(&o, "],\"isDdl\":false,\"type\":\"");
	ml_out_put(&o, op, strlen(op));
	ml_out_lit(&o, "\",\"es\":");
	return end_text(&o);
}

struct cj_table *
cj_table_of(struct ml_schema *s, uint64_t serial, bool full_types)
{
	struct cj_table *t = s->encoder;

	if (__builtin_expect(t != NULL && t->serial == serial, 1))
		return t;
	if (s->encoder_free != NULL)
		s->encoder_free(s->encoder);
	t = calloc(1, sizeof(*t));
	if (t == NULL)
		abort();
	ml_arena_init(&t->arena, 4096);
	ml_arena_init(&t->shape_arena, 4096);
	t->serial = serial;
	t->full_types = full_types;
	t->head[ML_OP_INSERT] = head_text(&t->arena, s, "INSERT");
	t->head[ML_OP_UPDATE] = head_text(&t->arena, s, "UPDATE");
	t->head[ML_OP_DELETE] = head_text(&t->arena, s, "DELETE");
	t->columns = ml_arena_zalloc(&t->arena, s->n_columns * sizeof(*t->columns));
	for (int i = 0; i < s->n_columns; i++) {
		struct ml_out o;
		struct ml_text piece;

		ml_out_begin(&o, &t->arena);
		ml_out_lit(&o, ",");
		put_string(&o, s->columns[i].name);
		ml_out_lit(&o, ":\"");
		piece = end_text(&o);
		t->columns[i] = (struct cj_column){
			.piece = piece.s,
			.len = piece.len,
			.bytes = ml_column_is_binary(&s->columns[i]) ? CJ_LATIN1 : CJ_TEXT,
		};
	}
	s->encoder = t;
	s->encoder_free = table_free;
	return t;
}

/* `"name":` with a comma in front but for the first column; piece has a quote behind that is left out. */
static void
put_name(struct ml_out *o, const struct cj_column *c, bool first)
{
	ml_out_put(o, c->piece + first, c->len - 1 - first);
}

static void
make_texts(struct cj_table *t, const struct ml_schema *s, struct cj_shape *sh)
{
	struct ml_arena *a = &t->shape_arena;
	struct ml_out o;
	struct ml_text rest;

	sh->codes = ml_arena_zalloc(a, sh->n_cols * sizeof(*sh->codes));
	ml_out_begin(&o, a);
	ml_out_put(&o, ",\"sql\":\"\",\"sqlType\":{", sh->n_cols > 0 ? 21 : 20);
	if (sh->n_cols == 0)
		ml_out_lit(&o, "null");
	for (int i = 0; i < sh->n_cols; i++) {
		uint16_t k = sh->cols[i];
		uint64_t bound = 0;
		int promoted = ml_java_code_promoted(&s->columns[k], &bound);

		put_name(&o, &t->columns[k], i == 0);
		if (promoted != 0) {
			struct cj_code *c = &sh->codes[sh->n_codes++];

			c->before = ml_out_end(&o, &c->before_len);
			c->column = k;
			c->bound = bound;
			c->code = code_text(a, ml_java_code(&s->columns[k]));
			c->promoted = code_text(a, promoted);
			ml_out_begin(&o, a);
		} else {
			o.p += ml_i64_text(ml_out_need(&o, ML_INT_TEXT_MAX), ml_java_code(&s->columns[k]));
		}
	}
	if (sh->n_cols > 0)
		ml_out_lit(&o, "}");
	ml_out_lit(&o, ",\"mysqlType\":{");
	for (int i = 0; i < sh->n_cols; i++) {
		const struct ml_column *c = &s->columns[sh->cols[i]];

		put_name(&o, &t->columns[sh->cols[i]], i == 0);
		put_string(&o, t->full_types ? c->type_full : c->type_short);
	}
	ml_out_lit(&o, "},\"old\":");
	rest = end_text(&o);
	sh->rest = rest.s;
	sh->rest_len = rest.len;
}

static struct cj_shape *
make_shape(struct cj_table *t, const struct ml_schema *s, const struct ml_datum *image, bool handle_only)
{
	struct cj_shape *sh;

	if (t->n_shapes == MAX_SHAPES) {
		ml_arena_reset(&t->shape_arena);
		t->shapes = NULL;
		t->n_shapes = 0;
	}
	sh = ml_arena_zalloc(&t->shape_arena, sizeof(*sh));
	sh->handle_only = handle_only;
	sh->cols = ml_arena_alloc(&t->shape_arena, s->n_columns * sizeof(*sh->cols));
	sh->absent = ml_arena_alloc(&t->shape_arena, s->n_columns);
	for (uint16_t i = 0; i < s->n_columns; i++) {
		sh->absent[i] = image[i].kind == ML_D_ABSENT;
		if (!sh->absent[i] && (!handle_only || (s->columns[i].flags & ML_F_HANDLE_KEY)))
			sh->cols[sh->n_cols++] = i;
	}
	make_texts(t, s, sh);
	sh->next = t->shapes;
	t->shapes = sh;
	t->n_shapes++;
	return sh;
}

const struct cj_shape *
cj_shape_of(struct cj_table *t, const struct ml_schema *s, const struct ml_datum *image, bool handle_only)
{
	for (const struct cj_shape *sh = t->shapes; sh != NULL; sh = sh->next) {
		unsigned differs = sh->handle_only != handle_only;

		for (int i = 0; i < s->n_columns; i++)
			differs |= (image[i].kind == ML_D_ABSENT) ^ sh->absent[i];
		if (!differs)
			return sh;
	}
	return make_shape(t, s, image, handle_only);
}
