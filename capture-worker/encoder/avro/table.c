#include "capture-worker/encoder/avro/table.h"

#include <stdlib.h>

/* Sets of columns vary by configuration, not by row; more than this many in one table are not worth keeping. */
#define MAX_SHAPES 16

static void
table_free(void *p)
{
	struct av_table *t = p;

	if (t == NULL)
		return;
	ml_arena_fini(&t->arena);
	free(t);
}

static struct av_table *
table_of(const struct av_maker *mk, struct ml_schema *s)
{
	struct av_table *t = s->encoder;

	if (__builtin_expect(t != NULL && t->serial == mk->serial, 1))
		return t;
	if (s->encoder_free != NULL)
		s->encoder_free(s->encoder);
	t = calloc(1, sizeof(*t));
	if (t == NULL)
		abort();
	ml_arena_init(&t->arena, 4096);
	t->serial = mk->serial;
	s->encoder = t;
	s->encoder_free = table_free;
	return t;
}

/* The fields of the columns cols; registers their schema. */
static int
make_record(struct av_record *r, const struct av_maker *mk, struct av_table *t, const struct ml_schema *s,
	struct ml_text topic, const char *suffix, const uint16_t *cols, uint16_t n_cols, bool value, struct ml_err *err)
{
	char *subject = ml_arena_bytes(&t->arena, topic.len + strlen(suffix) + 1);
	struct ml_arena a;
	struct ml_out o;
	const char *text;
	uint32_t len, id = 0;
	int rc;

	memcpy(subject, topic.s, topic.len);
	memcpy(subject + topic.len, suffix, strlen(suffix) + 1);
	for (uint32_t i = 0; i < topic.len; i++)
		if (subject[i] == '.')
			subject[i] = '_';
	ml_arena_init(&a, 0);
	ml_out_begin(&o, &a);
	av_schema_text(&o, s, cols, n_cols, &mk->rules, value);
	text = ml_out_end(&o, &len);
	rc = ml_schema_registry_id(mk->registry, subject, text, len, &id, err);
	ml_arena_fini(&a);
	if (rc != 0)
		return ml_err_in(err, "registering the schema of %s", s->qname.s);
	id = __builtin_bswap32(id);
	r->head[0] = 0;
	memcpy(r->head + 1, &id, 4);
	r->n_fields = n_cols;
	r->fields = ml_arena_zalloc(&t->arena, n_cols * sizeof(*r->fields));
	for (int i = 0; i < n_cols; i++) {
		const struct ml_column *c = &s->columns[cols[i]];
		bool first = av_value_first(c, &mk->rules);

		r->fields[i] = (struct av_field){
			.column = c,
			.col = cols[i],
			.how = av_how(c, &mk->rules),
			.nullable = c->flags & ML_F_NULLABLE,
			.value_branch = first ? 0 : 2,
			.null_branch = first ? 2 : 0,
		};
	}
	return 0;
}

static struct av_shape *
make_shape(const struct av_maker *mk, struct av_table *t, const struct ml_schema *s, struct ml_text topic,
	const struct ml_datum *image, struct ml_err *err)
{
	struct av_shape *sh;
	uint16_t *keys, n_keys = 0;

	if (t->n_shapes == MAX_SHAPES) {
		ml_arena_reset(&t->arena);
		t->shapes = NULL;
		t->n_shapes = 0;
	}
	sh = ml_arena_zalloc(&t->arena, sizeof(*sh));
	sh->absent = ml_arena_alloc(&t->arena, s->n_columns);
	sh->cols = ml_arena_alloc(&t->arena, s->n_columns * sizeof(*sh->cols));
	keys = ml_arena_alloc(&t->arena, s->n_columns * sizeof(*keys));
	for (uint16_t i = 0; i < s->n_columns; i++) {
		sh->absent[i] = image[i].kind == ML_D_ABSENT;
		if (sh->absent[i])
			continue;
		sh->cols[sh->n_cols++] = i;
		if (s->columns[i].flags & ML_F_HANDLE_KEY)
			keys[n_keys++] = i;
	}
	if (n_keys > 0 && make_record(&sh->key, mk, t, s, topic, "-key", keys, n_keys, false, err) != 0)
		return NULL;
	sh->next = t->shapes;
	t->shapes = sh;
	t->n_shapes++;
	return sh;
}

static int
make_value(const struct av_maker *mk, struct av_table *t, const struct ml_schema *s, struct ml_text topic,
	struct av_shape *sh, struct ml_err *err)
{
	if (sh->n_cols > 0 && make_record(&sh->value, mk, t, s, topic, "-value", sh->cols, sh->n_cols, true, err) != 0)
		return -1;
	sh->has_value = true;
	return 0;
}

const struct av_shape *
av_shape_of(const struct av_maker *mk, struct ml_schema *s, struct ml_text topic, const struct ml_datum *image,
	bool value, struct ml_err *err)
{
	struct av_table *t = table_of(mk, s);
	struct av_shape *sh;

	for (sh = t->shapes; sh != NULL; sh = sh->next) {
		unsigned differs = 0;

		for (int i = 0; i < s->n_columns; i++)
			differs |= (image[i].kind == ML_D_ABSENT) ^ sh->absent[i];
		if (!differs)
			break;
	}
	if (sh == NULL)
		sh = make_shape(mk, t, s, topic, image, err);
	if (sh == NULL || (value && !sh->has_value && make_value(mk, t, s, topic, sh, err) != 0))
		return NULL;
	return sh;
}
