#include "capture-worker/sink/mysql/sql.h"

#include <stdlib.h>

#include "capture-worker/sink/mysql/literal.h"

#define PUT(o, literal) ml_buf_put((o)->text, "" literal, sizeof(literal) - 1)

void
sql_args_fini(struct sql_args *a)
{
	free(a->v);
	*a = (struct sql_args){ 0 };
}

static void
put_text(struct sql_out *o, struct ml_text s)
{
	ml_buf_put(o->text, s.s, s.len);
}

static void
put_plain(struct sql_out *o, const struct sql_col *c, const struct ml_datum *d)
{
	if (o->args == NULL || d->kind == ML_D_ABSENT) {
		sql_literal(o->text, d, c->quoting, o->no_backslash);
		return;
	}
	if (o->args->n == o->args->cap) {
		o->args->cap = o->args->cap > 0 ? 2 * o->args->cap : 64;
		o->args->v = realloc(o->args->v, o->args->cap * sizeof(*o->args->v));
		if (o->args->v == NULL)
			abort();
	}
	o->args->v[o->args->n++] = (struct sql_arg){ d, c->quoting };
	PUT(o, "?");
}

static void
put_value(struct sql_out *o, const struct sql_col *c, const struct ml_datum *d)
{
	bool convert = c->vector && o->to_vector != NULL && d->kind == ML_D_BYTES;

	if (__builtin_expect(convert, 0)) {
		ml_buf_puts(o->text, o->to_vector);
		PUT(o, "(");
	}
	put_plain(o, c, d);
	if (__builtin_expect(convert, 0))
		PUT(o, ")");
}

void
sql_insert(struct sql_out *o, const struct sql_table *t, bool replace, const struct sql_change *rows, uint32_t n)
{
	put_text(o, replace ? t->replace_head : t->insert_head);
	for (uint32_t r = 0; r < n; r++) {
		if (r > 0)
			PUT(o, ",");
		PUT(o, "(");
		for (uint16_t i = 0; i < t->n_cols; i++) {
			if (i > 0)
				PUT(o, ",");
			put_value(o, &t->cols[i], &rows[r].after[t->cols[i].at]);
		}
		PUT(o, ")");
	}
}

/* "`c` = 1", "`c` IS NULL" */
static void
put_equal(struct sql_out *o, const struct sql_col *c, const struct ml_datum *image)
{
	const struct ml_datum *d = &image[c->at];

	if (c->json_text && o->json_type && d->kind != ML_D_NULL) {
		PUT(o, "(");
		put_text(o, c->name);
		PUT(o, " = CAST(");
		put_value(o, c, d);
		PUT(o, " AS JSON) OR ");
		put_text(o, c->name);
		PUT(o, " = ");
		put_value(o, c, d);
		PUT(o, ")");
		return;
	}
	put_text(o, c->name);
	if (d->kind == ML_D_NULL) {
		PUT(o, " IS NULL");
	} else if (c->json && o->json_type) {
		PUT(o, " = CAST(");
		put_value(o, c, d);
		PUT(o, " AS JSON)");
	} else {
		PUT(o, " = ");
		put_value(o, c, d);
	}
}

/*
 * Collations take many texts for equal, and a table without a key may hold several of them: only the one with these bytes is
 * meant.
 */
static void
put_same_bytes(struct sql_out *o, const struct sql_col *c, const struct ml_datum *image)
{
	PUT(o, " AND HEX(CONVERT(");
	put_text(o, c->name);
	PUT(o, " USING utf8mb4)) = HEX(");
	put_value(o, c, &image[c->at]);
	PUT(o, ")");
}

/* Shape A: " WHERE `k1` = 1 AND `k2` = 2 LIMIT 1", key columns in the order of the table. */
static void
put_where(struct sql_out *o, const struct sql_table *t, const struct ml_datum *image)
{
	const struct sql_col *cols = t->keyed ? t->key : t->all;
	uint16_t n = t->keyed ? t->n_key : t->n_all;

	PUT(o, " WHERE ");
	for (uint16_t i = 0; i < n; i++) {
		if (i > 0)
			PUT(o, " AND ");
		put_equal(o, &cols[i], image);
		if (!t->keyed && cols[i].exact && image[cols[i].at].kind == ML_D_BYTES &&
			!(cols[i].json_text && o->json_type))
			put_same_bytes(o, &cols[i], image);
	}
	PUT(o, " LIMIT 1");
}

void
sql_update(struct sql_out *o, const struct sql_table *t, const struct sql_change *row)
{
	PUT(o, "UPDATE ");
	put_text(o, t->name);
	PUT(o, " SET ");
	for (uint16_t i = 0; i < t->n_cols; i++) {
		if (i > 0)
			PUT(o, ", ");
		put_text(o, t->cols[i].name);
		PUT(o, " = ");
		put_value(o, &t->cols[i], &row->after[t->cols[i].at]);
	}
	put_where(o, t, row->before);
}

void
sql_delete(struct sql_out *o, const struct sql_table *t, const struct sql_change *row)
{
	PUT(o, "DELETE FROM ");
	put_text(o, t->name);
	put_where(o, t, row->before);
}

/* Shape B: "`k1` = 1 AND `k2` = 2", key columns in the order of the index. */
static void
put_key(struct sql_out *o, const struct sql_table *t, const struct ml_datum *image)
{
	for (uint16_t i = 0; i < t->n_key; i++) {
		if (i > 0)
			PUT(o, " AND ");
		put_equal(o, &t->key[t->key_order[i]], image);
	}
}

/*
 * Whether a plain list can say it: no NULL, and nothing that must be cast.  MariaDB (10.11) finds nothing at all by a list
 * of two rows or more with a text, if that column's charset in the target is not the session's.
 */
static bool
fits_list(const struct sql_out *o, const struct sql_table *t, const struct sql_change *rows, uint32_t n)
{
	for (uint16_t i = 0; i < t->n_key; i++) {
		const struct sql_col *c = &t->key[i];

		if ((o->json_type && (c->json || c->json_text)) || (c->text && t->n_key > 1 && !o->text_in_lists))
			return false;
		for (uint32_t r = 0; r < n; r++)
			if (rows[r].before[c->at].kind == ML_D_NULL)
				return false;
	}
	return true;
}

/* "(`k1`,`k2`) IN ((1,2),(3,4))" */
static void
put_list(struct sql_out *o, const struct sql_table *t, const struct sql_change *rows, uint32_t n)
{
	for (uint16_t i = 0; i < t->n_key; i++) {
		ml_buf_putc(o->text, i > 0 ? ',' : '(');
		put_text(o, t->key[t->key_order[i]].name);
	}
	PUT(o, ") IN (");
	for (uint32_t r = 0; r < n; r++) {
		if (r > 0)
			PUT(o, ",");
		for (uint16_t i = 0; i < t->n_key; i++) {
			const struct sql_col *c = &t->key[t->key_order[i]];

			ml_buf_putc(o->text, i > 0 ? ',' : '(');
			put_value(o, c, &rows[r].before[c->at]);
		}
		PUT(o, ")");
	}
	PUT(o, ")");
}

static void
put_keys(struct sql_out *o, const struct sql_table *t, const struct sql_change *rows, uint32_t n)
{
	PUT(o, " WHERE ");
	if (o->in_lists && fits_list(o, t, rows, n)) {
		put_list(o, t, rows, n);
		return;
	}
	for (uint32_t r = 0; r < n; r++) {
		if (r > 0)
			PUT(o, " OR ");
		PUT(o, "(");
		put_key(o, t, rows[r].before);
		PUT(o, ")");
	}
}

void
sql_delete_many(struct sql_out *o, const struct sql_table *t, const struct sql_change *rows, uint32_t n)
{
	PUT(o, "DELETE FROM ");
	put_text(o, t->name);
	put_keys(o, t, rows, n);
}

void
sql_update_many(struct sql_out *o, const struct sql_table *t, const struct sql_change *rows, uint32_t n)
{
	PUT(o, "UPDATE ");
	put_text(o, t->name);
	PUT(o, " SET ");
	for (uint16_t i = 0; i < t->n_cols; i++) {
		const struct sql_col *c = &t->cols[i];

		if (i > 0)
			PUT(o, ", ");
		put_text(o, c->name);
		PUT(o, "=CASE");
		for (uint32_t r = 0; r < n; r++) {
			PUT(o, " WHEN ");
			put_key(o, t, rows[r].before);
			PUT(o, " THEN ");
			put_value(o, c, &rows[r].after[c->at]);
		}
		PUT(o, " END");
	}
	put_keys(o, t, rows, n);
}
