#include "capture-worker/event/schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

/* A small table's definition fits into two; there may be ten thousands of them. */
#define CHUNK_BYTES 1024

struct ml_schema *
ml_schema_new(void)
{
	struct ml_schema *s = calloc(1, sizeof(*s));

	if (s == NULL)
		abort();
	ml_arena_init(&s->arena, CHUNK_BYTES);
	atomic_init(&s->refs, 1);
	s->rid_column = -1;
	return s;
}

struct ml_schema *
ml_schema_ref(struct ml_schema *s)
{
	atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
	return s;
}

void
ml_schema_unref(struct ml_schema *s)
{
	if (s == NULL || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
		return;
	if (s->encoder_free != NULL)
		s->encoder_free(s->encoder);
	if (s->route_free != NULL)
		s->route_free(s->route);
	if (s->shape_free != NULL)
		s->shape_free(s->shape);
	if (s->events_free != NULL)
		s->events_free(s->events);
	if (s->target_free != NULL)
		s->target_free(s->target);
	ml_arena_fini(&s->arena);
	free(s);
}

int
ml_schema_column(const struct ml_schema *s, const char *name, size_t len)
{
	for (int i = 0; i < s->n_columns; i++)
		if (s->columns[i].name.len == len && strncasecmp(s->columns[i].name.s, name, len) == 0)
			return i;
	return -1;
}

bool
ml_schema_eligible(const struct ml_schema *s)
{
	return s->kind == ML_TABLE_VIEW || s->handle != NULL;
}

/* Basic name of a type; the text and the binary member of a pair differ. */
static const char *
basic_name(const struct ml_column *c)
{
	bool binary = c->flags & ML_F_BINARY;

	switch (c->type) {
	case ML_T_TINY:
		return "tinyint";
	case ML_T_SHORT:
		return "smallint";
	case ML_T_LONG:
		return "int";
	case ML_T_FLOAT:
		return "float";
	case ML_T_DOUBLE:
		return "double";
	case ML_T_TIMESTAMP:
		return "timestamp";
	case ML_T_LONGLONG:
		return "bigint";
	case ML_T_INT24:
		return "mediumint";
	case ML_T_DATE:
		return "date";
	case ML_T_TIME:
		return "time";
	case ML_T_DATETIME:
		return "datetime";
	case ML_T_YEAR:
		return "year";
	case ML_T_VARCHAR:
		return binary ? "varbinary" : "varchar";
	case ML_T_BIT:
		return "bit";
	case ML_T_VECTOR:
		return "vector";
	case ML_T_JSON:
		return "json";
	case ML_T_DECIMAL:
		return "decimal";
	case ML_T_ENUM:
		return "enum";
	case ML_T_SET:
		return "set";
	case ML_T_TINYBLOB:
		return binary ? "tinyblob" : "tinytext";
	case ML_T_MEDIUMBLOB:
		return binary ? "mediumblob" : "mediumtext";
	case ML_T_LONGBLOB:
		return binary ? "longblob" : "longtext";
	case ML_T_BLOB:
		return binary ? "blob" : "text";
	case ML_T_VARSTRING:
		return "var_string";
	case ML_T_STRING:
		return binary ? "binary" : "char";
	case ML_T_GEOMETRY:
		return "geometry";
	default:
		return "null";
	}
}

/* Display width of an integer type when none was declared (protocols.md 2.7). */
static int
default_width(const struct ml_column *c)
{
	bool u = c->flags & ML_F_UNSIGNED;

	switch (c->type) {
	case ML_T_TINY:
		return u ? 3 : 4;
	case ML_T_SHORT:
		return u ? 5 : 6;
	case ML_T_INT24:
		return u ? 8 : 9;
	case ML_T_LONG:
		return u ? 10 : 11;
	default:
		return 20;
	}
}

static struct ml_text
take(struct ml_arena *a, char *text, size_t len)
{
	return (struct ml_text){ ml_arena_strndup(a, text, len), (uint32_t)len };
}

static void
append_signs(const struct ml_column *c, char *buf, size_t size, size_t *n)
{
	if (c->type == ML_T_YEAR)
		return;
	if ((c->flags & ML_F_UNSIGNED) && c->type != ML_T_BIT)
		*n += (size_t)snprintf(buf + *n, size - *n, " unsigned");
	if (c->zerofill)
		*n += (size_t)snprintf(buf + *n, size - *n, " zerofill");
}

static void
short_text(struct ml_schema *s, struct ml_column *c)
{
	char buf[64];
	size_t n = (size_t)snprintf(buf, sizeof(buf), "%s", basic_name(c));

	append_signs(c, buf, sizeof(buf), &n);
	c->type_short = take(&s->arena, buf, n);
}

/* enum('a','b'): quotes doubled, NUL LF CR escaped. */
static void
elems_text(struct ml_schema *s, struct ml_column *c)
{
	size_t room = 16;
	char *buf, *p;

	for (int i = 0; i < c->n_elems; i++)
		room += 2 * (size_t)c->elems[i].len + 3;
	p = buf = ml_arena_bytes(&s->arena, room);
	p += sprintf(p, "%s(", basic_name(c));
	for (int i = 0; i < c->n_elems; i++) {
		if (i > 0)
			*p++ = ',';
		*p++ = '\'';
		for (uint32_t k = 0; k < c->elems[i].len; k++) {
			char ch = c->elems[i].s[k];

			if (ch == '\'' || ch == '\0' || ch == '\n' || ch == '\r')
				*p++ = ch == '\'' ? '\'' : '\\';
			*p++ = ch == '\0' ? '0' : ch == '\n' ? 'n' : ch == '\r' ? 'r' : ch;
		}
		*p++ = '\'';
	}
	*p++ = ')';
	*p = '\0';
	c->type_full = (struct ml_text){ buf, (uint32_t)(p - buf) };
}

static void
full_text(struct ml_schema *s, struct ml_column *c)
{
	const char *name = basic_name(c);
	char buf[96];
	size_t n;

	switch (c->type) {
	case ML_T_ENUM:
	case ML_T_SET:
		elems_text(s, c);
		return;
	case ML_T_TINY:
	case ML_T_SHORT:
	case ML_T_INT24:
	case ML_T_LONG:
	case ML_T_LONGLONG:
		n = (size_t)snprintf(buf, sizeof(buf), "%s(%d)", name, c->flen > 0 ? c->flen : default_width(c));
		break;
	case ML_T_BIT:
		n = (size_t)snprintf(buf, sizeof(buf), "bit(%d)", c->flen > 0 ? c->flen : 1);
		break;
	case ML_T_FLOAT:
	case ML_T_DOUBLE:
		n = c->decimal >= 0 && c->flen > 0
			    ? (size_t)snprintf(buf, sizeof(buf), "%s(%d,%d)", name, c->flen, c->decimal)
			    : (size_t)snprintf(buf, sizeof(buf), "%s", name);
		break;
	case ML_T_DECIMAL:
		n = (size_t)snprintf(buf, sizeof(buf), "decimal(%d,%d)", c->flen > 0 ? c->flen : 10,
			c->decimal > 0 ? c->decimal : 0);
		break;
	case ML_T_STRING:
	case ML_T_VARCHAR:
	case ML_T_VARSTRING:
		n = c->flen >= 0 ? (size_t)snprintf(buf, sizeof(buf), "%s(%d)", name, c->flen)
				 : (size_t)snprintf(buf, sizeof(buf), "%s", name);
		break;
	case ML_T_DATETIME:
	case ML_T_TIMESTAMP:
	case ML_T_TIME:
		n = c->decimal > 0 ? (size_t)snprintf(buf, sizeof(buf), "%s(%d)", name, c->decimal)
				   : (size_t)snprintf(buf, sizeof(buf), "%s", name);
		break;
	case ML_T_YEAR:
		n = (size_t)snprintf(buf, sizeof(buf), "year(4)");
		break;
	case ML_T_VECTOR:
		n = c->flen > 0 ? (size_t)snprintf(buf, sizeof(buf), "vector(%d)", c->flen)
				: (size_t)snprintf(buf, sizeof(buf), "vector");
		break;
	default:
		n = (size_t)snprintf(buf, sizeof(buf), "%s", name);
		break;
	}
	append_signs(c, buf, sizeof(buf), &n);
	c->type_full = take(&s->arena, buf, n);
}

static bool
is_integer(const struct ml_column *c)
{
	return c->type == ML_T_TINY || c->type == ML_T_SHORT || c->type == ML_T_INT24 || c->type == ML_T_LONG ||
	       c->type == ML_T_LONGLONG;
}

/* May this index serve as handle key without being the primary key? */
static bool
may_be_handle(const struct ml_index *i)
{
	return i->unique && !i->nullable && !i->virtual_column && !i->prefix;
}

static void
choose_handle(struct ml_schema *s)
{
	s->handle = NULL;
	for (int i = 0; i < s->n_indexes; i++)
		if (s->indexes[i].primary) {
			s->handle = &s->indexes[i];
			return;
		}
	/* The fewest columns; equal: the first, as definitions list indexes in the order of their ids. */
	for (int i = 0; i < s->n_indexes; i++)
		if (may_be_handle(&s->indexes[i]) && (s->handle == NULL || s->indexes[i].n_cols < s->handle->n_cols))
			s->handle = &s->indexes[i];
}

void
ml_schema_finish(struct ml_schema *s)
{
	char *q = ml_arena_bytes(&s->arena, (size_t)s->db.len + s->table.len + 2);

	memcpy(q, s->db.s, s->db.len);
	q[s->db.len] = '.';
	memcpy(q + s->db.len + 1, s->table.s, s->table.len);
	q[s->db.len + 1 + s->table.len] = '\0';
	s->qname = (struct ml_text){ q, s->db.len + 1 + s->table.len };
	for (int i = 0; i < s->n_columns; i++) {
		struct ml_column *c = &s->columns[i];

		c->id = (uint16_t)(i + 1);
		if (c->type_short.s == NULL)
			short_text(s, c);
		if (c->type_full.s == NULL)
			full_text(s, c);
	}
	for (int i = 0; i < s->n_indexes; i++) {
		const struct ml_index *x = &s->indexes[i];

		for (int k = 0; k < x->n_cols; k++) {
			uint8_t *f = &s->columns[x->cols[k]].flags;

			if (x->primary)
				*f |= ML_F_PRIMARY_KEY;
			else if (x->unique)
				*f |= ML_F_UNIQUE_KEY;
			/* The first column of a non-unique index, and every column of a composite one. */
			if (x->n_cols > 1 || (!x->primary && !x->unique))
				*f |= ML_F_MULTIPLE_KEY;
		}
	}
	choose_handle(s);
	s->rid_column = -1;
	if (s->handle != NULL) {
		for (int k = 0; k < s->handle->n_cols; k++)
			s->columns[s->handle->cols[k]].flags |= ML_F_HANDLE_KEY;
		if (s->handle->primary && s->handle->n_cols == 1 && is_integer(&s->columns[s->handle->cols[0]]))
			s->rid_column = (int16_t)s->handle->cols[0];
	}
}
