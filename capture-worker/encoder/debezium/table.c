#include "capture-worker/encoder/debezium/table.h"

#include <stdlib.h>
#include <string.h>

#include "capture-worker/encoder/connect_name.h"
#include "capture-worker/encoder/debezium/field.h"
#include "capture-worker/encoder/text/escape.h"
#include "capture-worker/event/msg.h"

/* Sets of columns vary by configuration, not by row; more than this many in one table are not worth keeping. */
#define MAX_SHAPES 16

static const char source_schema[] =
	"{\"type\":\"struct\",\"fields\":[{\"type\":\"string\",\"optional\":false,\"field\":\"version\"},"
	"{\"type\":\"string\",\"optional\":false,\"field\":\"connector\"},"
	"{\"type\":\"string\",\"optional\":false,\"field\":\"name\"},"
	"{\"type\":\"int64\",\"optional\":false,\"field\":\"ts_ms\"},"
	"{\"type\":\"string\",\"optional\":true,\"name\":\"io.debezium.data.Enum\",\"version\":1,\"parameters\":{\"allowed\":\"true,last,false,incremental\"},\"default\":\"false\",\"field\":\"snapshot\"},"
	"{\"type\":\"string\",\"optional\":false,\"field\":\"db\"},"
	"{\"type\":\"string\",\"optional\":true,\"field\":\"sequence\"},"
	"{\"type\":\"string\",\"optional\":true,\"field\":\"table\"},"
	"{\"type\":\"int64\",\"optional\":false,\"field\":\"server_id\"},"
	"{\"type\":\"string\",\"optional\":true,\"field\":\"gtid\"},"
	"{\"type\":\"string\",\"optional\":false,\"field\":\"file\"},"
	"{\"type\":\"int64\",\"optional\":false,\"field\":\"pos\"},"
	"{\"type\":\"int32\",\"optional\":false,\"field\":\"row\"},"
	"{\"type\":\"int64\",\"optional\":true,\"field\":\"thread\"},"
	"{\"type\":\"string\",\"optional\":true,\"field\":\"query\"}],\"optional\":false,\"name\":\"io.debezium.connector.mysql.Source\",\"field\":\"source\"}";
const struct ml_text dbz_source_schema = { source_schema, sizeof(source_schema) - 1 };

/* Behind it, to the end of the schema. */
static const char envelope_tail[] =
	",{\"type\":\"string\",\"optional\":false,\"field\":\"op\"},"
	"{\"type\":\"int64\",\"optional\":true,\"field\":\"ts_ms\"},"
	"{\"type\":\"struct\",\"fields\":[{\"type\":\"string\",\"optional\":false,\"field\":\"id\"},"
	"{\"type\":\"int64\",\"optional\":false,\"field\":\"total_order\"},"
	"{\"type\":\"int64\",\"optional\":false,\"field\":\"data_collection_order\"}],\"optional\":true,\"name\":\"event.block\",\"version\":1,\"field\":\"transaction\"}]}";

static void
table_free(void *p)
{
	struct dbz_table *t = p;

	if (t == NULL)
		return;
	ml_arena_fini(&t->arena);
	ml_arena_fini(&t->shape_arena);
	free(t);
}

static struct ml_text
end_text(struct ml_out *o)
{
	struct ml_text t;

	t.s = ml_out_end(o, &t.len);
	return t;
}

void
dbz_put_source_mid(struct ml_out *o, struct ml_text db, struct ml_text table)
{
	ml_out_lit(o, ",\"snapshot\":\"false\",\"db\":");
	dbz_put_string(o, db.s, db.len);
	ml_out_lit(o, ",\"table\":");
	dbz_put_string(o, table.s, table.len);
	ml_out_lit(o, ",\"server_id\":0,\"gtid\":null,\"file\":\"\",\"pos\":0,\"row\":0,\"thread\":0,\"query\":null,"
		      "\"commit_ts\":");
}

static uint64_t
max_of(const struct ml_column *c)
{
	switch (c->type) {
	case ML_T_TINY:
		return UINT8_MAX;
	case ML_T_SHORT:
		return UINT16_MAX;
	case ML_T_INT24:
		return (1u << 24) - 1;
	case ML_T_LONG:
		return UINT32_MAX;
	default:
		return UINT64_MAX;
	}
}

static void
make_column(struct dbz_table *t, struct dbz_column *c, const struct ml_column *from)
{
	struct ml_arena *a = &t->arena;
	struct ml_text text;
	struct ml_out o;

	ml_out_begin(&o, a);
	ml_out_lit(&o, ",");
	dbz_put_string(&o, from->name.s, from->name.len);
	ml_out_lit(&o, ":");
	text = end_text(&o);
	*c = (struct dbz_column){
		.piece = text.s,
		.len = text.len,
		.how = (uint8_t)dbz_how(from),
		.not_null = !(from->flags & ML_F_NULLABLE),
		.n_bits = (uint16_t)(from->type == ML_T_BIT ? from->flen : 0),
		.n_elems = from->n_elems,
		.max = max_of(from),
	};
	ml_out_begin(&o, a);
	dbz_put_null(&o, from, t->form->tz);
	c->null = end_text(&o);
	c->elems = ml_arena_alloc(a, (from->n_elems + 1u) * sizeof(*c->elems));
	for (int i = 0; i < from->n_elems; i++) {
		ml_out_begin(&o, a);
		ml_escape_i(&o, from->elems[i].s, from->elems[i].len);
		c->elems[i] = end_text(&o);
	}
}

struct dbz_table *
dbz_table_of(const struct dbz_form *f, struct ml_schema *s)
{
	struct dbz_table *t = s->encoder;
	struct ml_out o;

	if (__builtin_expect(t != NULL && t->serial == f->serial, 1))
		return t;
	if (s->encoder_free != NULL)
		s->encoder_free(s->encoder);
	t = calloc(1, sizeof(*t));
	if (t == NULL)
		abort();
	ml_arena_init(&t->arena, 4096);
	ml_arena_init(&t->shape_arena, 4096);
	t->serial = f->serial;
	t->form = f;
	ml_out_begin(&o, &t->arena);
	dbz_put_source_mid(&o, s->db, s->table);
	t->mid = end_text(&o);
	t->columns = ml_arena_zalloc(&t->arena, s->n_columns * sizeof(*t->columns));
	for (int i = 0; i < s->n_columns; i++)
		make_column(t, &t->columns[i], &s->columns[i]);
	s->encoder = t;
	s->encoder_free = table_free;
	return t;
}

/* `"name":"<cluster>.<schema>.<table><suffix>"` */
static void
put_name(struct ml_out *o, const struct dbz_table *t, const struct ml_schema *s, const char *suffix)
{
	ml_out_lit(o, "\"name\":\"");
	ml_connect_name(o, t->form->cluster);
	ml_out_lit(o, ".");
	ml_connect_name(o, s->db);
	ml_out_lit(o, ".");
	ml_connect_table_name(o, s->table);
	ml_out_put(o, suffix, strlen(suffix));
	ml_out_lit(o, "\"");
}

static void
put_field(struct ml_out *o, const struct ml_column *c, bool *first)
{
	size_t at = ml_out_len(o);

	if (!*first)
		ml_out_lit(o, ",");
	if (dbz_put_field(o, c))
		*first = false;
	else
		o->p = o->start + at;
}

static void
put_key_schema(struct ml_out *o, const struct dbz_table *t, const struct ml_schema *s, const struct dbz_shape *sh)
{
	bool first = true;

	ml_out_lit(o, ",\"schema\":{\"type\":\"struct\",");
	put_name(o, t, s, ".Key");
	ml_out_lit(o, ",\"optional\":false,\"fields\":[");
	for (int i = 0; i < sh->n_keys; i++)
		put_field(o, &s->columns[sh->keys[i]], &first);
	ml_out_lit(o, "]}");
}

/* The struct of a row as member before or after; virtual columns stand behind the others, though rows have no values of them. */
static void
put_image_schema(struct ml_out *o, const struct dbz_table *t, const struct ml_schema *s, const struct dbz_shape *sh,
	const char *member)
{
	bool first = true;

	ml_out_lit(o, "{\"type\":\"struct\",\"optional\":true,");
	put_name(o, t, s, ".Value");
	ml_out_lit(o, ",\"field\":\"");
	ml_out_put(o, member, strlen(member));
	ml_out_lit(o, "\",\"fields\":[");
	for (int i = 0; i < sh->n_cols; i++)
		put_field(o, &s->columns[sh->cols[i]], &first);
	for (int i = 0; i < s->n_columns; i++)
		if (s->columns[i].virtual_generated && sh->absent[i])
			put_field(o, &s->columns[i], &first);
	ml_out_lit(o, "]}");
}

static void
put_value_schema(struct ml_out *o, const struct dbz_table *t, const struct ml_schema *s, const struct dbz_shape *sh)
{
	ml_out_lit(o, ",\"schema\":{\"type\":\"struct\",\"optional\":false,");
	put_name(o, t, s, ".Envelope");
	ml_out_lit(o, ",\"version\":1,\"fields\":[");
	put_image_schema(o, t, s, sh, "before");
	ml_out_lit(o, ",");
	put_image_schema(o, t, s, sh, "after");
	ml_out_lit(o, ",");
	ml_out_put(o, dbz_source_schema.s, dbz_source_schema.len);
	ml_out_put(o, envelope_tail, sizeof(envelope_tail) - 1);
}

static struct dbz_shape *
make_shape(struct dbz_table *t, const struct ml_schema *s, const struct ml_datum *image)
{
	struct ml_arena *a = &t->shape_arena;
	struct dbz_shape *sh;
	struct ml_out o;

	if (t->n_shapes == MAX_SHAPES) {
		ml_arena_reset(a);
		t->shapes = NULL;
		t->n_shapes = 0;
	}
	sh = ml_arena_zalloc(a, sizeof(*sh));
	sh->cols = ml_arena_alloc(a, s->n_columns * sizeof(*sh->cols));
	sh->keys = ml_arena_alloc(a, s->n_columns * sizeof(*sh->keys));
	sh->absent = ml_arena_alloc(a, s->n_columns);
	for (uint16_t i = 0; i < s->n_columns; i++) {
		sh->absent[i] = image[i].kind == ML_D_ABSENT;
		if (sh->absent[i])
			continue;
		sh->cols[sh->n_cols++] = i;
		if (s->columns[i].flags & ML_F_HANDLE_KEY)
			sh->keys[sh->n_keys++] = i;
	}
	ml_out_begin(&o, a);
	ml_out_lit(&o, "}");
	if (t->form->with_schema)
		put_key_schema(&o, t, s, sh);
	ml_out_lit(&o, "}");
	sh->key_end = end_text(&o);
	ml_out_begin(&o, a);
	ml_out_lit(&o, "}}");
	if (t->form->with_schema)
		put_value_schema(&o, t, s, sh);
	ml_out_lit(&o, "}");
	sh->value_end = end_text(&o);
	sh->next = t->shapes;
	t->shapes = sh;
	t->n_shapes++;
	return sh;
}

const struct dbz_shape *
dbz_shape_of(struct dbz_table *t, const struct ml_schema *s, const struct ml_datum *image)
{
	for (const struct dbz_shape *sh = t->shapes; sh != NULL; sh = sh->next) {
		unsigned differs = 0;

		for (int i = 0; i < s->n_columns; i++)
			differs |= (image[i].kind == ML_D_ABSENT) ^ sh->absent[i];
		if (!differs)
			return sh;
	}
	return make_shape(t, s, image);
}
