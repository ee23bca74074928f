#include "capture-worker/event/schema_copy.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static struct ml_text
keep(struct ml_arena *a, struct ml_text t)
{
	if (t.s == NULL)
		return t;
	return (struct ml_text){ ml_arena_strndup(a, t.s, t.len), t.len };
}

static void
keep_column(struct ml_column *c, const struct ml_column *from, struct ml_arena *a)
{
	*c = *from;
	c->name = keep(a, from->name);
	c->dflt = keep(a, from->dflt);
	c->charset = keep(a, from->charset);
	c->collation = keep(a, from->collation);
	c->type_full = keep(a, from->type_full);
	c->type_short = keep(a, from->type_short);
	c->comment = keep(a, from->comment);
	c->elems = ml_arena_alloc(a, (from->n_elems + 1u) * sizeof(*c->elems));
	for (int i = 0; i < from->n_elems; i++)
		c->elems[i] = keep(a, from->elems[i]);
}

struct ml_schema *
ml_schema_renamed(const struct ml_schema *s, struct ml_text db, struct ml_text table)
{
	struct ml_schema *n = ml_schema_new();
	struct ml_arena *a = &n->arena;

	n->db = keep(a, db);
	n->table = keep(a, table);
	n->table_id = s->table_id;
	n->version = s->version;
	n->kind = s->kind;
	n->charset = keep(a, s->charset);
	n->collation = keep(a, s->collation);
	n->comment = keep(a, s->comment);
	n->columns = ml_arena_zalloc(a, (s->n_columns + 1u) * sizeof(*n->columns));
	n->n_columns = s->n_columns;
	for (int i = 0; i < s->n_columns; i++)
		keep_column(&n->columns[i], &s->columns[i], a);
	n->indexes = ml_arena_zalloc(a, (s->n_indexes + 1u) * sizeof(*n->indexes));
	n->n_indexes = s->n_indexes;
	for (int i = 0; i < s->n_indexes; i++) {
		struct ml_index *x = &n->indexes[i];

		*x = s->indexes[i];
		x->name = keep(a, x->name);
		x->cols = ml_arena_alloc(a, (x->n_cols + 1u) * sizeof(*x->cols));
		memcpy(x->cols, s->indexes[i].cols, x->n_cols * sizeof(*x->cols));
		if (x->prefixes != NULL) {
			x->prefixes = ml_arena_alloc(a, (x->n_cols + 1u) * sizeof(*x->prefixes));
			memcpy(x->prefixes, s->indexes[i].prefixes, x->n_cols * sizeof(*x->prefixes));
		}
	}
	/* Its names; the rest comes out as it was. */
	ml_schema_finish(n);
	return n;
}

static bool
same(struct ml_text a, struct ml_text b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.s, b.s, a.len) == 0);
}

static bool
same_name(struct ml_text a, struct ml_text b)
{
	return a.len == b.len && (a.len == 0 || strncasecmp(a.s, b.s, a.len) == 0);
}

static bool
same_elems(const struct ml_column *a, const struct ml_column *b)
{
	if (a->n_elems != b->n_elems)
		return false;
	for (int i = 0; i < a->n_elems; i++)
		if (!same(a->elems[i], b->elems[i]))
			return false;
	return true;
}

static bool
identical_columns(const struct ml_column *a, const struct ml_column *b)
{
	return same(a->name, b->name) && a->type == b->type && a->flags == b->flags && a->special == b->special &&
	       a->zerofill == b->zerofill && a->virtual_generated == b->virtual_generated &&
	       a->auto_increment == b->auto_increment && a->json_text == b->json_text &&
	       a->has_default == b->has_default && a->flen == b->flen && a->decimal == b->decimal &&
	       same(a->dflt, b->dflt) && same(a->charset, b->charset) && same(a->collation, b->collation) &&
	       same(a->type_full, b->type_full) && same(a->type_short, b->type_short) && same(a->comment, b->comment) &&
	       same_elems(a, b);
}

static bool
identical_indexes(const struct ml_index *a, const struct ml_index *b)
{
	return same(a->name, b->name) && a->primary == b->primary && a->unique == b->unique &&
	       a->nullable == b->nullable && a->prefix == b->prefix && a->virtual_column == b->virtual_column &&
	       a->n_cols == b->n_cols && memcmp(a->cols, b->cols, a->n_cols * sizeof(*a->cols)) == 0 &&
	       (!a->prefix || a->prefixes == NULL || b->prefixes == NULL ||
		       memcmp(a->prefixes, b->prefixes, a->n_cols * sizeof(*a->prefixes)) == 0);
}

bool
ml_schema_identical(const struct ml_schema *a, const struct ml_schema *b)
{
	if (a->kind != b->kind || a->n_columns != b->n_columns || a->n_indexes != b->n_indexes ||
		!same(a->charset, b->charset) || !same(a->collation, b->collation) || !same(a->comment, b->comment))
		return false;
	for (int i = 0; i < a->n_columns; i++)
		if (!identical_columns(&a->columns[i], &b->columns[i]))
			return false;
	for (int i = 0; i < a->n_indexes; i++)
		if (!identical_indexes(&a->indexes[i], &b->indexes[i]))
			return false;
	return true;
}

static bool
columns_agree(const struct ml_column *a, const struct ml_column *b)
{
	const unsigned mask =
		ML_F_BINARY | ML_F_GENERATED | ML_F_NULLABLE | ML_F_UNSIGNED | ML_F_PRIMARY_KEY | ML_F_HANDLE_KEY;

	return same_name(a->name, b->name) && a->type == b->type && (a->flags & mask) == (b->flags & mask) &&
	       a->special == b->special && a->virtual_generated == b->virtual_generated && a->flen == b->flen &&
	       a->decimal == b->decimal && same(a->charset, b->charset) && same(a->type_full, b->type_full) &&
	       same_elems(a, b);
}

bool
ml_schema_agrees(const struct ml_schema *a, const struct ml_schema *b, char *why, size_t why_size)
{
	uint16_t n = a->n_columns < b->n_columns ? a->n_columns : b->n_columns;

	for (int i = 0; i < n; i++)
		if (!columns_agree(&a->columns[i], &b->columns[i])) {
			snprintf(why, why_size, "column %.64s", a->columns[i].name.s);
			return false;
		}
	if (a->n_columns != b->n_columns) {
		snprintf(why, why_size, "column %.64s", (a->n_columns > n ? a : b)->columns[n].name.s);
		return false;
	}
	if ((a->kind == ML_TABLE_VIEW) != (b->kind == ML_TABLE_VIEW)) {
		snprintf(why, why_size, "one is a view");
		return false;
	}
	return true;
}
