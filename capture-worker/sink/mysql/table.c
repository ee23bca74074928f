#include "capture-worker/sink/mysql/table.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "capture-worker/sink/mysql/literal.h"

static struct ml_text
keep(struct ml_arena *a, const struct ml_buf *b)
{
	return (struct ml_text){ ml_arena_strndup(a, b->data, b->len), (uint32_t)b->len };
}

static bool
has_value(const struct ml_schema *s, uint16_t c, const struct ml_datum *image)
{
	return !s->columns[c].virtual_generated && image[c].kind != ML_D_ABSENT;
}

static bool
is_written(const struct ml_schema *s, uint16_t c, const struct ml_datum *image)
{
	const struct ml_column *col = &s->columns[c];

	return has_value(s, c, image) && (col->flags & ML_F_GENERATED) == 0 && col->special != ML_SP_ROW_START &&
	       col->special != ML_SP_ROW_END;
}

static bool
is_string(uint8_t type)
{
	switch (type) {
	case ML_T_VARCHAR:
	case ML_T_VARSTRING:
	case ML_T_STRING:
	case ML_T_TINYBLOB:
	case ML_T_MEDIUMBLOB:
	case ML_T_LONGBLOB:
	case ML_T_BLOB:
		return true;
	default:
		return false;
	}
}

/* Whether the text's UTF-8 is the same wherever it is made: some charsets have two ways to it. */
static bool
is_exact(const struct ml_column *c)
{
	static const char *const names[] = { "utf8mb4", "utf8mb3", "ascii", "latin1" };

	for (size_t i = 0; is_string(c->type) && c->special == ML_SP_NONE && i < sizeof(names) / sizeof(names[0]); i++)
		if (c->charset.len == strlen(names[i]) && memcmp(c->charset.s, names[i], c->charset.len) == 0)
			return true;
	return false;
}

static void
set_col(struct sql_col *out, struct sql_table *t, const struct ml_schema *s, uint16_t c)
{
	struct ml_buf b = { 0 };

	sql_name(&b, s->columns[c].name.s, s->columns[c].name.len);
	*out = (struct sql_col){
		.name = keep(&t->arena, &b),
		.at = c,
		.quoting = sql_quoting_of(&s->columns[c]),
		.text = is_string(s->columns[c].type) && sql_quoting_of(&s->columns[c]) != SQL_BYTES,
		.exact = is_exact(&s->columns[c]),
		.vector = s->columns[c].type == ML_T_VECTOR || s->columns[c].special == ML_SP_VECTOR,
		.json = s->columns[c].type == ML_T_JSON,
		.json_text = s->columns[c].json_text,
	};
	ml_buf_fini(&b);
}

static struct ml_text
head(struct sql_table *t, const char *verb)
{
	struct ml_buf b = { 0 };
	struct ml_text out;

	ml_buf_printf(&b, "%s INTO %s (", verb, t->name.s);
	for (uint16_t i = 0; i < t->n_cols; i++) {
		if (i > 0)
			ml_buf_putc(&b, ',');
		ml_buf_put(&b, t->cols[i].name.s, t->cols[i].name.len);
	}
	ml_buf_puts(&b, ") VALUES ");
	out = keep(&t->arena, &b);
	ml_buf_fini(&b);
	return out;
}

/* An index that finds exactly one row: all columns there and never NULL. */
static bool
finds_rows(const struct ml_schema *s, const struct ml_index *x, const struct ml_datum *image)
{
	if ((!x->primary && !x->unique) || x->nullable || x->virtual_column)
		return false;
	for (uint16_t i = 0; i < x->n_cols; i++)
		if (!has_value(s, x->cols[i], image))
			return false;
	return true;
}

static const struct ml_index *
choose_key(const struct ml_schema *s, const struct ml_datum *image)
{
	if (s->handle != NULL && finds_rows(s, s->handle, image))
		return s->handle;
	for (uint16_t i = 0; i < s->n_indexes; i++)
		if (finds_rows(s, &s->indexes[i], image))
			return &s->indexes[i];
	return NULL;
}

static bool
in_index(const struct ml_index *x, uint16_t c)
{
	for (uint16_t i = 0; i < x->n_cols; i++)
		if (x->cols[i] == c)
			return true;
	return false;
}

static void
set_key(struct sql_table *t, const struct ml_schema *s, const struct ml_index *x)
{
	t->key = ml_arena_alloc(&t->arena, x->n_cols * sizeof(*t->key));
	t->key_order = ml_arena_alloc(&t->arena, x->n_cols * sizeof(*t->key_order));
	for (uint16_t c = 0; c < s->n_columns; c++)
		if (in_index(x, c))
			set_col(&t->key[t->n_key++], t, s, c);
	for (uint16_t i = 0; i < x->n_cols; i++)
		for (uint16_t k = 0; k < t->n_key; k++)
			if (t->key[k].at == x->cols[i])
				t->key_order[i] = k;
	t->keyed = true;
}

static bool
ends(struct ml_text name, const char *tail)
{
	size_t n = strlen(tail);

	return name.len >= n && strcasecmp(name.s + name.len - n, tail) == 0;
}

static enum sql_fold
fold_of(const struct ml_index *x, const struct ml_column *c)
{
	if (!is_string(c->type))
		return SQL_FOLD_NONE;
	if (x->prefix && x->prefixes == NULL)
		return SQL_FOLD_WHOLE;
	if (c->special != ML_SP_NONE || (c->charset.len == 6 && memcmp(c->charset.s, "binary", 6) == 0))
		return SQL_FOLD_NONE;
	return ends(c->collation, "_bin") ? SQL_FOLD_PAD : SQL_FOLD_CASE;
}

static void
set_uniques(struct sql_table *t, const struct ml_schema *s, const struct ml_datum *image)
{
	uint32_t ordinal = 0;

	t->uniques = ml_arena_alloc(&t->arena, (s->n_indexes + 1u) * sizeof(*t->uniques));
	for (uint16_t i = 0; i < s->n_indexes; i++) {
		const struct ml_index *x = &s->indexes[i];
		struct sql_unique *u = &t->uniques[t->n_uniques];
		bool whole = true;

		if (!x->primary && !x->unique)
			continue;
		/*
		 * Of a virtual column nobody knows the value: any two may be equal.  With a column that was taken away the
		 * target has not that index.
		 */
		for (uint16_t k = 0; k < x->n_cols; k++)
			whole = whole && (s->columns[x->cols[k]].virtual_generated || has_value(s, x->cols[k], image));
		*u = (struct sql_unique){ .ordinal = ordinal++ };
		if (!whole)
			continue;
		u->cols = ml_arena_alloc(&t->arena, x->n_cols * sizeof(*u->cols));
		u->folds = ml_arena_alloc(&t->arena, x->n_cols * sizeof(*u->folds));
		u->prefixes = ml_arena_alloc(&t->arena, x->n_cols * sizeof(*u->prefixes));
		for (uint16_t k = 0; k < x->n_cols; k++) {
			if (s->columns[x->cols[k]].virtual_generated)
				continue;
			u->cols[u->n_cols] = x->cols[k];
			u->folds[u->n_cols] = (uint8_t)fold_of(x, &s->columns[x->cols[k]]);
			u->prefixes[u->n_cols++] = x->prefix && x->prefixes != NULL ? x->prefixes[k] : 0;
		}
		t->n_uniques++;
	}
}

static void
table_free(void *p)
{
	struct sql_table *t = p;

	if (t == NULL)
		return;
	ml_arena_fini(&t->arena);
	free(t);
}

static struct sql_table *
make(const struct ml_schema *s, const struct ml_datum *image)
{
	struct sql_table *t = calloc(1, sizeof(*t));
	const struct ml_index *key;
	struct ml_buf b = { 0 };

	if (t == NULL)
		abort();
	ml_arena_init(&t->arena, 4096);
	t->table_id = s->table_id;
	sql_name(&b, s->db.s, s->db.len);
	ml_buf_putc(&b, '.');
	sql_name(&b, s->table.s, s->table.len);
	t->name = keep(&t->arena, &b);
	ml_buf_fini(&b);
	t->cols = ml_arena_alloc(&t->arena, s->n_columns * sizeof(*t->cols));
	t->all = ml_arena_alloc(&t->arena, s->n_columns * sizeof(*t->all));
	for (uint16_t c = 0; c < s->n_columns; c++) {
		if (is_written(s, c, image))
			set_col(&t->cols[t->n_cols++], t, s, c);
		if (has_value(s, c, image))
			set_col(&t->all[t->n_all++], t, s, c);
	}
	key = choose_key(s, image);
	if (key != NULL)
		set_key(t, s, key);
	set_uniques(t, s, image);
	t->insert_head = head(t, "INSERT");
	t->replace_head = head(t, "REPLACE");
	return t;
}

const struct sql_table *
sql_table_of(struct ml_schema *s, const struct ml_datum *image)
{
	if (__builtin_expect(s->encoder == NULL, 0)) {
		s->encoder = make(s, image);
		s->encoder_free = table_free;
	}
	return s->encoder;
}
