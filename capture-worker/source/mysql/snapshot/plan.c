#include "capture-worker/source/mysql/snapshot/plan.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

void
ml_copy_bound_fini(struct ml_copy_bound *b)
{
	for (size_t i = 0; i < b->n; i++)
		free(b->v[i]);
	free(b->v);
	*b = (struct ml_copy_bound){ 0 };
}

void
ml_copy_bound_copy(struct ml_copy_bound *to, const struct ml_copy_bound *from)
{
	struct ml_copy_bound b = { .n = from->n };

	if (from->n > 0) {
		b.v = calloc(from->n, sizeof(*b.v));
		if (b.v == NULL)
			abort();
	}
	for (size_t i = 0; i < from->n; i++)
		if ((b.v[i] = strdup(from->v[i])) == NULL)
			abort();
	ml_copy_bound_fini(to);
	*to = b;
}

static bool
is_binary(const struct ml_column *c)
{
	return c->charset.len == 0 || (c->charset.len == 6 && strncasecmp(c->charset.s, "binary", 6) == 0);
}

enum ml_copy_kind
ml_copy_kind_of(const struct ml_column *c)
{
	if (c->virtual_generated)
		return ML_CK_ABSENT;
	switch (c->special) {
	case ML_SP_INET4:
	case ML_SP_INET6:
	case ML_SP_UUID:
		return ML_CK_PLAIN;
	case ML_SP_VECTOR:
		return ML_CK_VECTOR;
	default:
		break;
	}
	switch (c->type) {
	case ML_T_TINY:
	case ML_T_SHORT:
	case ML_T_INT24:
	case ML_T_LONG:
	case ML_T_LONGLONG:
		return (c->flags & ML_F_UNSIGNED) != 0 ? ML_CK_U64 : ML_CK_I64;
	case ML_T_YEAR:
		return ML_CK_I64;
	case ML_T_BIT:
	case ML_T_ENUM:
	case ML_T_SET:
		return ML_CK_U64;
	case ML_T_FLOAT:
		return ML_CK_F32;
	case ML_T_DOUBLE:
		return ML_CK_F64;
	case ML_T_DATE:
		return ML_CK_DATE;
	case ML_T_DATETIME:
		return ML_CK_DATETIME;
	case ML_T_TIMESTAMP:
		return ML_CK_TIMESTAMP;
	case ML_T_TIME:
		return ML_CK_TIME;
	case ML_T_DECIMAL:
		return ML_CK_DECIMAL;
	case ML_T_VECTOR:
		return ML_CK_VECTOR;
	case ML_T_JSON:
	case ML_T_GEOMETRY:
		return ML_CK_BYTES;
	default:
		return is_binary(c) ? ML_CK_BYTES : ML_CK_TEXT;
	}
}

const struct ml_index *
ml_copy_key(const struct ml_schema *s)
{
	const struct ml_index *k = s->handle;

	if (k == NULL || k->prefix || k->nullable || k->virtual_column || k->n_cols == 0)
		return NULL;
	for (uint16_t i = 0; i < k->n_cols; i++) {
		const struct ml_column *c = &s->columns[k->cols[i]];

		if (c->type == ML_T_GEOMETRY || c->type == ML_T_JSON || ml_copy_kind_of(c) == ML_CK_VECTOR ||
			ml_copy_kind_of(c) == ML_CK_ABSENT)
			return NULL;
	}
	return k;
}

bool
ml_copy_key_is_integer(const struct ml_schema *s, const struct ml_index *key)
{
	if (key == NULL || key->n_cols != 1)
		return false;
	switch (s->columns[key->cols[0]].type) {
	case ML_T_TINY:
	case ML_T_SHORT:
	case ML_T_INT24:
	case ML_T_LONG:
	case ML_T_LONGLONG:
		return true;
	default:
		return false;
	}
}

static void
put_quoted(struct ml_buf *out, struct ml_text name)
{
	ml_buf_putc(out, '`');
	for (uint32_t i = 0; i < name.len; i++) {
		if (name.s[i] == '`')
			ml_buf_putc(out, '`');
		ml_buf_putc(out, name.s[i]);
	}
	ml_buf_putc(out, '`');
}

void
ml_copy_name(struct ml_buf *out, const struct ml_schema *s)
{
	put_quoted(out, s->db);
	ml_buf_putc(out, '.');
	put_quoted(out, s->table);
}

/* "k1 > a OR (k1 = a AND (k2 > b OR (k2 = b AND ...)))", with the last comparison as given. */
static void
put_side(struct ml_buf *out, const struct ml_schema *s, const struct ml_index *key, const struct ml_copy_bound *b,
	const char *strict, const char *last)
{
	ml_buf_putc(out, '(');
	/* What a range is made of also where an optimizer gives up on the OR. */
	if (key->n_cols > 1) {
		put_quoted(out, s->columns[key->cols[0]].name);
		ml_buf_printf(out, " %s= %s AND (", strict, b->v[0]);
	}
	for (uint16_t i = 0; i < key->n_cols; i++) {
		bool end = i + 1 == key->n_cols;

		put_quoted(out, s->columns[key->cols[i]].name);
		ml_buf_printf(out, " %s %s", end ? last : strict, b->v[i]);
		if (end)
			break;
		ml_buf_puts(out, " OR (");
		put_quoted(out, s->columns[key->cols[i]].name);
		ml_buf_printf(out, " = %s AND (", b->v[i]);
	}
	for (uint16_t i = 1; i < key->n_cols; i++)
		ml_buf_puts(out, "))");
	if (key->n_cols > 1)
		ml_buf_putc(out, ')');
	ml_buf_putc(out, ')');
}

void
ml_copy_select(struct ml_buf *out, const struct ml_schema *s, const struct ml_index *key,
	const struct ml_copy_bound *after, const struct ml_copy_bound *upto, uint64_t limit)
{
	const char *comma = "";

	ml_buf_puts(out, "SELECT ");
	for (uint16_t i = 0; i < s->n_columns; i++) {
		const struct ml_column *c = &s->columns[i];
		bool by_number = c->type == ML_T_BIT || c->type == ML_T_ENUM || c->type == ML_T_SET;

		if (ml_copy_kind_of(c) == ML_CK_ABSENT)
			continue;
		ml_buf_puts(out, comma);
		comma = ", ";
		if (by_number)
			ml_buf_puts(out, "CAST(");
		put_quoted(out, c->name);
		if (by_number)
			ml_buf_puts(out, " AS UNSIGNED)");
	}
	ml_buf_puts(out, " FROM ");
	ml_copy_name(out, s);
	if (key == NULL)
		return;
	if (key->name.len > 0) {
		ml_buf_puts(out, " FORCE INDEX (");
		put_quoted(out, key->name);
		ml_buf_putc(out, ')');
	}
	if (after->n > 0 || upto->n > 0)
		ml_buf_puts(out, " WHERE ");
	if (after->n > 0)
		put_side(out, s, key, after, ">", ">");
	if (after->n > 0 && upto->n > 0)
		ml_buf_puts(out, " AND ");
	if (upto->n > 0)
		put_side(out, s, key, upto, "<", "<=");
	ml_buf_puts(out, " ORDER BY ");
	for (uint16_t i = 0; i < key->n_cols; i++) {
		ml_buf_puts(out, i > 0 ? ", " : "");
		put_quoted(out, s->columns[key->cols[i]].name);
	}
	if (limit > 0)
		ml_buf_printf(out, " LIMIT %llu", (unsigned long long)limit);
}

void
ml_copy_literal(struct ml_buf *out, const struct ml_column *c, const void *p, size_t n)
{
	static const char hex[] = "0123456789abcdef";
	const uint8_t *b = p;

	if (ml_copy_kind_of(c) == ML_CK_TEXT) {
		bool mb3 = (c->charset.len == 7 && strncasecmp(c->charset.s, "utf8mb3", 7) == 0);

		/* Servers before MariaDB 10.6 and MySQL 8.0 know it by its old name only. */
		ml_buf_printf(out, "_%.*s ", mb3 ? 4 : (int)c->charset.len, c->charset.s);
	}
	ml_buf_puts(out, "x'");
	for (size_t i = 0; i < n; i++) {
		ml_buf_putc(out, hex[b[i] >> 4]);
		ml_buf_putc(out, hex[b[i] & 15]);
	}
	ml_buf_putc(out, '\'');
}
