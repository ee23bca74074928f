#include "capture-worker/encoder/simple/definition.h"

#include <stdlib.h>
#include <string.h>

#include "capture-worker/encoder/avro_bin.h"
#include "capture-worker/encoder/text/escape.h"
#include "common/text/num.h"

/* What both forms tell of a column's type. */
struct type_facts {
	struct ml_text name, charset, collation;
	char charset_buf[64], collation_buf[64];
	int64_t length;
	int64_t decimal; /* 0: none */
	bool number;     /* has a sign at all */
	bool is_unsigned, zerofill;
};

/* An index as it is told: of the table, or the one that stands for the clustered key. */
struct index_facts {
	struct ml_text name;
	bool unique, primary, nullable;
	const uint16_t *cols;
	uint16_t n_cols;
};

static int64_t
with_fraction(const struct ml_column *c, int64_t length)
{
	return c->decimal > 0 ? length + 1 + c->decimal : length;
}

/* The display length that TiDB stores. */
static int64_t
length_of(const struct ml_column *c)
{
	bool u = c->flags & ML_F_UNSIGNED;
	int64_t n = 0;

	switch (c->type) {
	case ML_T_TINY:
		return c->flen > 0 ? c->flen : u ? 3 : 4;
	case ML_T_SHORT:
		return c->flen > 0 ? c->flen : u ? 5 : 6;
	case ML_T_INT24:
		return c->flen > 0 ? c->flen : u ? 8 : 9;
	case ML_T_LONG:
		return c->flen > 0 ? c->flen : u ? 10 : 11;
	case ML_T_LONGLONG:
		return c->flen > 0 ? c->flen : 20;
	case ML_T_FLOAT:
		return c->flen > 0 ? c->flen : 12;
	case ML_T_DOUBLE:
		return c->flen > 0 ? c->flen : 22;
	case ML_T_DECIMAL:
		return c->flen > 0 ? c->flen : 10;
	case ML_T_BIT:
		return c->flen > 0 ? c->flen : 1;
	case ML_T_YEAR:
		return 4;
	case ML_T_DATE:
		return 10;
	case ML_T_TIME:
		return with_fraction(c, 10);
	case ML_T_DATETIME:
	case ML_T_TIMESTAMP:
		return with_fraction(c, 19);
	case ML_T_TINYBLOB:
		return 255;
	case ML_T_BLOB:
		return 65535;
	case ML_T_MEDIUMBLOB:
		return 16777215;
	case ML_T_LONGBLOB:
	case ML_T_JSON:
		return 4294967295;
	case ML_T_ENUM:
		for (int i = 0; i < c->n_elems; i++)
			if (c->elems[i].len > n)
				n = c->elems[i].len;
		return n;
	case ML_T_SET:
		for (int i = 0; i < c->n_elems; i++)
			n += c->elems[i].len + (i > 0);
		return n;
	default:
		return c->flen;
	}
}

static bool
is_number(const struct ml_column *c)
{
	switch (c->type) {
	case ML_T_TINY:
	case ML_T_SHORT:
	case ML_T_INT24:
	case ML_T_LONG:
	case ML_T_LONGLONG:
	case ML_T_FLOAT:
	case ML_T_DOUBLE:
	case ML_T_DECIMAL:
	case ML_T_BIT:
	case ML_T_YEAR:
		return true;
	default:
		return false;
	}
}

/* utf8mb3 is utf8 to TiDB and those who read it; t has it in front, in the collation's name too. */
static struct ml_text
old_utf8(struct ml_text t, char buf[64])
{
	if (t.len < 7 || t.len > 60 || memcmp(t.s, "utf8mb3", 7) != 0)
		return t;
	memcpy(buf, "utf8", 4);
	memcpy(buf + 4, t.s + 7, t.len - 7);
	return (struct ml_text){ buf, t.len - 3 };
}

static void
type_of(struct type_facts *f, const struct ml_column *c)
{
	const char *blank = memchr(c->type_short.s, ' ', c->type_short.len);

	f->name = c->type_short;
	if (blank != NULL)
		f->name.len = (uint32_t)(blank - c->type_short.s);
	f->charset = f->collation = (struct ml_text){ "binary", 6 };
	if (!(c->flags & ML_F_BINARY)) {
		f->charset = old_utf8(c->charset, f->charset_buf);
		f->collation = old_utf8(c->collation, f->collation_buf);
	}
	f->length = length_of(c);
	f->decimal = c->type == ML_T_FLOAT || c->type == ML_T_DOUBLE || c->decimal < 0 ? 0 : c->decimal;
	f->number = is_number(c);
	f->is_unsigned = c->flags & ML_F_UNSIGNED;
	f->zerofill = c->zerofill || c->type == ML_T_YEAR;
}

/* Columns by id; calls see them through this array. */
static const struct ml_column **
by_id(const struct ml_schema *s)
{
	const struct ml_column **sorted = calloc(s->n_columns + 1u, sizeof(*sorted));
	int n = 0;

	if (sorted == NULL)
		abort();
	for (; n < s->n_columns; n++) {
		int at = n;

		for (; at > 0 && sorted[at - 1]->id > s->columns[n].id; at--)
			sorted[at] = sorted[at - 1];
		sorted[at] = &s->columns[n];
	}
	return sorted;
}

static bool
all_not_null(const struct ml_schema *s, const struct ml_index *x)
{
	for (int i = 0; i < x->n_cols; i++)
		if (s->columns[x->cols[i]].flags & ML_F_NULLABLE)
			return false;
	return true;
}

/*
 * The indexes that TiDB stores: a primary key of one integer column is the table itself and stands last, as a key `primary`,
 * which also the first unique index without NULL makes where there is no primary key.
 */
static unsigned
indexes_of(struct index_facts *out, const struct ml_schema *s, uint16_t *rid)
{
	unsigned n = 0;
	const struct ml_index *unique = NULL;
	bool primary = false;

	for (int i = 0; i < s->n_indexes; i++) {
		const struct ml_index *x = &s->indexes[i];

		if (x->primary && s->rid_column >= 0)
			continue;
		primary |= x->primary;
		if (x->unique && unique == NULL && all_not_null(s, x))
			unique = x;
		out[n++] = (struct index_facts){ .name = x->name,
			.unique = x->unique,
			.primary = x->primary,
			.nullable = !all_not_null(s, x),
			.cols = x->cols,
			.n_cols = x->n_cols };
	}
	if (!primary && (s->rid_column >= 0 || unique != NULL)) {
		out[n] = (struct index_facts){ .name = { "primary", 7 }, .unique = true, .primary = true };
		if (s->rid_column >= 0) {
			*rid = (uint16_t)s->rid_column;
			out[n].cols = rid;
			out[n].n_cols = 1;
		} else {
			out[n].cols = unique->cols;
			out[n].n_cols = unique->n_cols;
		}
		n++;
	}
	return n;
}

/* ---- JSON ---- */

static void
put_string(struct ml_out *o, struct ml_text t)
{
	ml_out_lit(o, "\"");
	ml_escape_s(o, t.s, t.len);
	ml_out_lit(o, "\"");
}

static void
put_int(struct ml_out *o, int64_t v)
{
	o->p += ml_i64_text(ml_out_need(o, ML_INT_TEXT_MAX), v);
}

static void
put_bool(struct ml_out *o, bool v)
{
	if (v)
		ml_out_lit(o, "true");
	else
		ml_out_lit(o, "false");
}

static void
put_default_json(struct ml_out *o, const struct ml_column *c)
{
	uint64_t v = 0;

	if (!c->has_default) {
		ml_out_lit(o, "null");
	} else if (c->type == ML_T_BIT) {
		for (uint32_t i = 0; i < c->dflt.len; i++)
			v = v << 8 | (uint8_t)c->dflt.s[i];
		o->p += ml_u64_text(ml_out_need(o, ML_INT_TEXT_MAX), v);
	} else {
		put_string(o, c->dflt);
	}
}

static void
put_column_json(struct ml_out *o, const struct ml_column *c)
{
	struct type_facts f;

	type_of(&f, c);
	ml_out_lit(o, "{\"name\":");
	put_string(o, c->name);
	ml_out_lit(o, ",\"dataType\":{\"mysqlType\":");
	put_string(o, f.name);
	ml_out_lit(o, ",\"charset\":");
	put_string(o, f.charset);
	ml_out_lit(o, ",\"collate\":");
	put_string(o, f.collation);
	if (f.length != 0) {
		ml_out_lit(o, ",\"length\":");
		put_int(o, f.length);
	}
	if (f.decimal != 0) {
		ml_out_lit(o, ",\"decimal\":");
		put_int(o, f.decimal);
	}
	for (int i = 0; i < c->n_elems; i++) {
		if (i == 0)
			ml_out_lit(o, ",\"elements\":[");
		else
			ml_out_lit(o, ",");
		put_string(o, c->elems[i]);
		if (i == c->n_elems - 1)
			ml_out_lit(o, "]");
	}
	if (f.is_unsigned)
		ml_out_lit(o, ",\"unsigned\":true");
	if (f.zerofill)
		ml_out_lit(o, ",\"zerofill\":true");
	ml_out_lit(o, "},\"nullable\":");
	put_bool(o, c->flags & ML_F_NULLABLE);
	ml_out_lit(o, ",\"default\":");
	put_default_json(o, c);
	ml_out_lit(o, "}");
}

static void
put_index_json(struct ml_out *o, const struct ml_schema *s, const struct index_facts *x)
{
	ml_out_lit(o, "{\"name\":");
	put_string(o, x->name);
	ml_out_lit(o, ",\"unique\":");
	put_bool(o, x->unique);
	ml_out_lit(o, ",\"primary\":");
	put_bool(o, x->primary);
	ml_out_lit(o, ",\"nullable\":");
	put_bool(o, x->nullable);
	ml_out_lit(o, ",\"columns\":[");
	for (int i = 0; i < x->n_cols; i++) {
		if (i > 0)
			ml_out_lit(o, ",");
		put_string(o, s->columns[x->cols[i]].name);
	}
	ml_out_lit(o, "]}");
}

void
sm_definition_json(struct ml_out *o, const struct ml_schema *s)
{
	const struct ml_column **cols = by_id(s);
	struct index_facts *indexes = calloc(s->n_indexes + 1u, sizeof(*indexes));
	uint16_t rid;
	unsigned n;

	if (indexes == NULL)
		abort();
	ml_out_lit(o, "{\"schema\":");
	put_string(o, s->db);
	ml_out_lit(o, ",\"table\":");
	put_string(o, s->table);
	ml_out_lit(o, ",\"tableID\":");
	put_int(o, s->table_id);
	ml_out_lit(o, ",\"version\":");
	o->p += ml_u64_text(ml_out_need(o, ML_INT_TEXT_MAX), s->version);
	ml_out_lit(o, ",\"columns\":[");
	for (int i = 0; i < s->n_columns; i++) {
		if (i > 0)
			ml_out_lit(o, ",");
		put_column_json(o, cols[i]);
	}
	ml_out_lit(o, "],\"indexes\":[");
	n = indexes_of(indexes, s, &rid);
	for (unsigned i = 0; i < n; i++) {
		if (i > 0)
			ml_out_lit(o, ",");
		put_index_json(o, s, &indexes[i]);
	}
	ml_out_lit(o, "]}");
	free(cols);
	free(indexes);
}

/* ---- Avro ---- */

/* A union of null and something: which of both. */
static void
put_branch(struct ml_out *o, bool there)
{
	ml_avro_long(o, there);
}

static void
put_column_avro(struct ml_out *o, const struct ml_column *c)
{
	struct type_facts f;

	type_of(&f, c);
	ml_avro_text(o, c->name);
	ml_avro_text(o, f.name);
	ml_avro_text(o, f.charset);
	ml_avro_text(o, f.collation);
	ml_avro_long(o, f.length);
	put_branch(o, c->type == ML_T_DECIMAL);
	if (c->type == ML_T_DECIMAL)
		ml_avro_long(o, f.decimal);
	put_branch(o, c->type == ML_T_ENUM || c->type == ML_T_SET);
	if (c->type == ML_T_ENUM || c->type == ML_T_SET) {
		if (c->n_elems > 0)
			ml_avro_long(o, c->n_elems);
		for (int i = 0; i < c->n_elems; i++)
			ml_avro_text(o, c->elems[i]);
		ml_avro_long(o, 0);
	}
	put_branch(o, f.number);
	if (f.number)
		ml_avro_bool(o, f.is_unsigned);
	put_branch(o, f.number);
	if (f.number)
		ml_avro_bool(o, f.zerofill);
	ml_avro_bool(o, c->flags & ML_F_NULLABLE);
	put_branch(o, c->has_default);
	if (c->has_default)
		ml_avro_text(o, c->dflt);
}

void
sm_definition_avro(struct ml_out *o, const struct ml_schema *s)
{
	const struct ml_column **cols = by_id(s);
	struct index_facts *indexes = calloc(s->n_indexes + 1u, sizeof(*indexes));
	uint16_t rid;
	unsigned n;

	if (indexes == NULL)
		abort();
	ml_avro_text(o, s->db);
	ml_avro_text(o, s->table);
	ml_avro_long(o, s->table_id);
	ml_avro_long(o, (int64_t)s->version);
	if (s->n_columns > 0)
		ml_avro_long(o, s->n_columns);
	for (int i = 0; i < s->n_columns; i++)
		put_column_avro(o, cols[i]);
	ml_avro_long(o, 0);
	n = indexes_of(indexes, s, &rid);
	if (n > 0)
		ml_avro_long(o, n);
	for (unsigned i = 0; i < n; i++) {
		ml_avro_text(o, indexes[i].name);
		ml_avro_bool(o, indexes[i].unique);
		ml_avro_bool(o, indexes[i].primary);
		ml_avro_bool(o, indexes[i].nullable);
		ml_avro_long(o, indexes[i].n_cols);
		for (int k = 0; k < indexes[i].n_cols; k++)
			ml_avro_text(o, s->columns[indexes[i].cols[k]].name);
		ml_avro_long(o, 0);
	}
	ml_avro_long(o, 0);
	free(cols);
	free(indexes);
}
