#include "capture-worker/verify/pair.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

void
ml_vf_put_name(struct ml_buf *out, const char *s, size_t len)
{
	ml_buf_putc(out, '`');
	for (size_t i = 0; i < len; i++) {
		if (s[i] == '`')
			ml_buf_putc(out, '`');
		ml_buf_putc(out, s[i]);
	}
	ml_buf_putc(out, '`');
}

static void
put_hex(struct ml_buf *out, const char *s, unsigned long len)
{
	static const char digits[] = "0123456789ABCDEF";

	ml_buf_need(out, 2 * len);
	for (unsigned long i = 0; i < len; i++) {
		ml_buf_putc(out, digits[(uint8_t)s[i] >> 4]);
		ml_buf_putc(out, digits[(uint8_t)s[i] & 15]);
	}
}

/* "srid:hex of the WKB", as the value was fetched. */
static void
put_geometry(struct ml_buf *out, const struct ml_my_conn *c, const char *s, unsigned long len)
{
	const char *colon = memchr(s, ':', len);

	if (colon == NULL) {
		ml_buf_puts(out, "NULL");
		return;
	}
	ml_buf_puts(out, "ST_GeomFromWKB(x'");
	ml_buf_put(out, colon + 1, len - (size_t)(colon + 1 - s));
	ml_buf_puts(out, "',");
	ml_buf_put(out, s, (size_t)(colon - s));
	if (c->flavor == ML_MYSQL && c->version >= 80000)
		ml_buf_puts(out, ",'axis-order=long-lat'");
	ml_buf_putc(out, ')');
}

void
ml_vf_put_literal(
	struct ml_buf *out, struct ml_my_conn *c, const struct ml_vf_col *col, const char *s, unsigned long len)
{
	if (s == NULL) {
		ml_buf_puts(out, "NULL");
		return;
	}
	switch (col->kind) {
	case ML_VF_NUMBER:
	case ML_VF_FLOATING:
	case ML_VF_CODE:
		ml_buf_put(out, s, len);
		return;
	case ML_VF_BINARY:
		ml_buf_puts(out, "x'");
		put_hex(out, s, len);
		ml_buf_putc(out, '\'');
		return;
	case ML_VF_GEOMETRY:
		put_geometry(out, c, s, len);
		return;
	case ML_VF_TEXT:
	case ML_VF_TIME:
	case ML_VF_JSON:
		ml_buf_putc(out, '\'');
		ml_buf_need(out, 2 * len + 1);
		out->len += mysql_real_escape_string(c->my, out->data + out->len, s, len);
		ml_buf_putc(out, '\'');
		return;
	}
}

static enum ml_vf_kind
kind_of(const struct ml_column *c)
{
	switch (c->type) {
	case ML_T_TINY:
	case ML_T_SHORT:
	case ML_T_INT24:
	case ML_T_LONG:
	case ML_T_LONGLONG:
	case ML_T_YEAR:
	case ML_T_DECIMAL:
		return ML_VF_NUMBER;
	case ML_T_FLOAT:
	case ML_T_DOUBLE:
		return ML_VF_FLOATING;
	case ML_T_BIT:
	case ML_T_ENUM:
	case ML_T_SET:
		return ML_VF_CODE;
	case ML_T_TIMESTAMP:
	case ML_T_DATE:
	case ML_T_TIME:
	case ML_T_DATETIME:
		return ML_VF_TIME;
	case ML_T_JSON:
		return ML_VF_JSON;
	case ML_T_GEOMETRY:
		return ML_VF_GEOMETRY;
	default:
		break;
	}
	if (c->special == ML_SP_INET4 || c->special == ML_SP_INET6 || c->special == ML_SP_UUID)
		return ML_VF_TEXT;
	return (c->flags & ML_F_BINARY) != 0 ? ML_VF_BINARY : ML_VF_TEXT;
}

static bool
is_utf8(const struct ml_column *c)
{
	return strncmp(c->charset.s, "utf8", 4) == 0 || strcmp(c->charset.s, "ascii") == 0;
}

/* A NUL-terminated malloc'ed text out of b, which is empty again. */
static char *
take(struct ml_buf *b)
{
	char *s;

	ml_buf_puts(b, "");
	s = b->data;
	*b = (struct ml_buf){ 0 };
	return s;
}

static char *
value_of(const struct ml_column *c, const struct ml_my_conn *conn)
{
	struct ml_buf name = { 0 }, b = { 0 };

	ml_vf_put_name(&name, c->name.s, c->name.len);
	switch (kind_of(c)) {
	case ML_VF_NUMBER:
		ml_buf_printf(&b, c->zerofill || c->type == ML_T_YEAR ? "%s+0" : "%s", name.data);
		break;
	case ML_VF_FLOATING:
		ml_buf_printf(&b, "%s+0e0", name.data);
		break;
	case ML_VF_CODE:
		ml_buf_printf(&b, "%s+0", name.data);
		break;
	case ML_VF_GEOMETRY:
		ml_buf_printf(&b, "CONCAT(ST_SRID(%s),':',HEX(ST_AsBinary(%s%s)))", name.data, name.data,
			conn->flavor == ML_MYSQL && conn->version >= 80000 ? ",'axis-order=long-lat'" : "");
		break;
	case ML_VF_TEXT:
		if (c->special != ML_SP_NONE)
			ml_buf_printf(&b, "CAST(%s AS CHAR)", name.data);
		else
			ml_buf_printf(&b, is_utf8(c) ? "%s" : "CONVERT(%s USING utf8mb4)", name.data);
		break;
	case ML_VF_BINARY:
	case ML_VF_TIME:
	case ML_VF_JSON:
		ml_buf_puts(&b, name.data);
		break;
	}
	ml_buf_fini(&name);
	return take(&b);
}

/* Its text may be anything and of any length: next to another such column only their lengths tell where one ends. */
static bool
varies(const struct ml_column *c)
{
	enum ml_vf_kind kind = kind_of(c);

	return kind == ML_VF_TEXT || kind == ML_VF_JSON;
}

/* So long that a row of such values may pass max_allowed_packet, whereupon CONCAT gives NULL. */
static bool
is_long(const struct ml_column *c)
{
	return c->type == ML_T_MEDIUMBLOB || c->type == ML_T_LONGBLOB || c->type == ML_T_JSON;
}

static char *
hash_of(const struct ml_vf_pair *p, enum ml_vf_side side, enum ml_vf_hash how)
{
	struct ml_buf b = { 0 }, nulls = { 0 };
	unsigned n_varying = 0, seen = 0;

	for (uint16_t i = 0; i < p->n_cols; i++)
		n_varying += !p->cols[i].soft && varies(p->cols[i].col[ML_VF_UP]) && !is_long(p->cols[i].col[ML_VF_UP]);
	ml_buf_puts(&b, how == ML_VF_CRC32 ? "CRC32(CONCAT_WS('#'" : "CAST(CONV(LEFT(MD5(CONCAT_WS('#'");
	for (uint16_t i = 0; i < p->n_cols; i++) {
		const struct ml_vf_col *col = &p->cols[i];
		const struct ml_column *up = col->col[ML_VF_UP], *down = col->col[ML_VF_DOWN];

		if (col->soft)
			continue;
		if (is_long(up) || is_long(down))
			ml_buf_printf(&b, ",MD5(%s)", col->value[side]);
		else if (col->kind == ML_VF_BINARY) /* MySQL refuses to put bytes that are no text behind text */
			ml_buf_printf(&b, ",HEX(%s)", col->value[side]);
		else if (varies(up) && ++seen < n_varying)
			ml_buf_printf(&b, ",LENGTH(%s),%s", col->value[side], col->value[side]);
		else
			ml_buf_printf(&b, ",%s", col->value[side]);
		if (((up->flags | down->flags) & ML_F_NULLABLE) != 0) {
			ml_buf_puts(&nulls, nulls.len > 0 ? ",ISNULL(" : "ISNULL(");
			ml_vf_put_name(&nulls, col->col[side]->name.s, col->col[side]->name.len);
			ml_buf_putc(&nulls, ')');
		}
	}
	if (nulls.len > 0)
		ml_buf_printf(&b, ",CONCAT(%s)", nulls.data);
	ml_buf_puts(&b, how == ML_VF_CRC32 ? ",''))" : ",'')),16),16,10) AS UNSIGNED)");
	ml_buf_fini(&nulls);
	return take(&b);
}

/* A key by which every row can be told: rows with NULL in a unique key cannot. */
static const struct ml_index *
key_of(const struct ml_schema *s)
{
	return s->handle;
}

/* Both servers put values of this column in the same order, and find them by it. */
static bool
same_order(const struct ml_vf_col *c)
{
	const struct ml_column *up = c->col[ML_VF_UP], *down = c->col[ML_VF_DOWN];

	switch (c->kind) {
	case ML_VF_NUMBER:
	case ML_VF_BINARY:
	case ML_VF_TIME:
		return kind_of(down) == c->kind && up->special == down->special;
	case ML_VF_TEXT:
		return kind_of(down) == c->kind && up->special == ML_SP_NONE && down->special == ML_SP_NONE &&
		       strcmp(up->collation.s, down->collation.s) == 0;
	default:
		return false;
	}
}

static int
find(const struct ml_vf_pair *p, uint16_t col)
{
	const struct ml_schema *up = p->schema[ML_VF_UP];

	for (uint16_t i = 0; i < p->n_cols; i++)
		if (p->cols[i].col[ML_VF_UP] == &up->columns[col])
			return i;
	return -1;
}

static void
choose_key(struct ml_vf_pair *p)
{
	const struct ml_index *key = key_of(p->schema[ML_VF_UP]);
	bool walking = true;

	if (key == NULL)
		return;
	p->key = calloc(key->n_cols, sizeof(*p->key));
	if (p->key == NULL)
		abort();
	for (uint16_t i = 0; i < key->n_cols; i++) {
		int at = find(p, key->cols[i]);

		/* The copy lacks a column of the key, or it is no value to be compared by. */
		if (at < 0 || p->cols[at].soft || p->cols[at].kind == ML_VF_GEOMETRY) {
			p->n_key = p->n_walk = 0;
			return;
		}
		p->key[p->n_key++] = (uint16_t)at;
		walking = walking && !key->prefix && same_order(&p->cols[at]);
		p->n_walk += walking;
	}
	const struct ml_vf_col *first = &p->cols[p->key[0]];

	p->integer_key = p->n_key == 1 && p->n_walk == 1 && first->kind == ML_VF_NUMBER &&
			 first->col[ML_VF_UP]->type != ML_T_DECIMAL && first->col[ML_VF_UP]->type != ML_T_YEAR &&
			 first->col[ML_VF_DOWN]->type != ML_T_DECIMAL;
}

static char *
from_of(const struct ml_schema *s)
{
	struct ml_buf b = { 0 };

	ml_vf_put_name(&b, s->db.s, s->db.len);
	ml_buf_putc(&b, '.');
	ml_vf_put_name(&b, s->table.s, s->table.len);
	return take(&b);
}

struct ml_vf_pair *
ml_vf_pair_new(struct ml_schema *up, struct ml_schema *down, const struct ml_my_conn conn[2], enum ml_vf_hash hash)
{
	struct ml_vf_pair *p = calloc(1, sizeof(*p));

	if (p == NULL)
		abort();
	p->schema[ML_VF_UP] = ml_schema_ref(up);
	p->from[ML_VF_UP] = from_of(up);
	if (down == NULL)
		return p;
	p->schema[ML_VF_DOWN] = ml_schema_ref(down);
	p->from[ML_VF_DOWN] = from_of(down);
	p->cols = calloc(up->n_columns, sizeof(*p->cols));
	if (p->cols == NULL)
		abort();
	for (uint16_t i = 0; i < up->n_columns; i++) {
		const struct ml_column *c = &up->columns[i];
		struct ml_vf_col *col = &p->cols[p->n_cols];
		int at;

		/* The server derives these from the others, each by its own clock where the period of a version is meant. */
		if (c->virtual_generated || c->special == ML_SP_ROW_START || c->special == ML_SP_ROW_END)
			continue;
		at = ml_schema_column(down, c->name.s, c->name.len);
		if (at < 0) {
			ml_buf_printf(&p->lacks, "%s%s", p->lacks.len > 0 ? ", " : "", c->name.s);
			continue;
		}
		col->col[ML_VF_UP] = c;
		col->col[ML_VF_DOWN] = &down->columns[at];
		col->kind = kind_of(c);
		col->soft = (col->kind == ML_VF_JSON) != (kind_of(col->col[ML_VF_DOWN]) == ML_VF_JSON);
		if (col->soft)
			col->kind = ML_VF_JSON;
		p->n_soft += col->soft;
		for (int side = 0; side < 2; side++)
			col->value[side] = value_of(col->col[side], &conn[side]);
		p->n_cols++;
	}
	choose_key(p);
	for (int side = 0; side < 2; side++)
		p->hash[side] = hash_of(p, side, hash);
	return p;
}

void
ml_vf_pair_free(struct ml_vf_pair *p)
{
	if (p == NULL)
		return;
	for (int side = 0; side < 2; side++) {
		ml_schema_unref(p->schema[side]);
		free(p->from[side]);
		free(p->hash[side]);
		for (uint16_t i = 0; i < p->n_cols; i++)
			free(p->cols[i].value[side]);
	}
	free(p->cols);
	free(p->key);
	ml_buf_fini(&p->lacks);
	free(p);
}
