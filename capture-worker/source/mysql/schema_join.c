#include "capture-worker/source/mysql/schema_join.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "capture-worker/mounter/charset.h"
#include "capture-worker/mounter/tablemap.h"
#include "capture-worker/source/mysql/ddl_apply.h"
#include "capture-worker/source/mysql/ddl_column.h"

/* Appended by some cloud servers to tables without a key; in no definition. */
static const char cloud_row_id[] = "__#alibaba_rds_row_id#__";

static bool
named(const struct ml_tm_column *c, const char *name)
{
	return c->name.s != NULL && c->name.len == strlen(name) && strncasecmp(c->name.s, name, c->name.len) == 0;
}

static bool
same_text(struct ml_text a, struct ml_text b)
{
	return a.len == b.len && memcmp(a.s, b.s, a.len) == 0;
}

/* Bytes that a character of the definition's charset takes at most. */
static uint32_t
mbmaxlen(const struct ml_column *d)
{
	const struct ml_charset *cs = ml_charset_by_name(d->charset.s, d->charset.len);

	return cs == NULL || cs->kind == ML_CS_BINARY ? 1 : cs->mbmaxlen;
}

static uint8_t
blob_type(uint8_t prefix)
{
	return prefix == 1 ? ML_T_TINYBLOB : prefix == 2 ? ML_T_BLOB : prefix == 3 ? ML_T_MEDIUMBLOB : ML_T_LONGBLOB;
}

/* The declared type behind the log's; 0: none that there is. */
static uint8_t
type_of(const struct ml_tm_column *c)
{
	switch (c->real) {
	case ML_BT_TIMESTAMP2:
		return ML_T_TIMESTAMP;
	case ML_BT_DATETIME2:
		return ML_T_DATETIME;
	case ML_BT_TIME2:
		return ML_T_TIME;
	case ML_BT_NEWDATE:
		return ML_T_DATE;
	case ML_BT_NEWDECIMAL:
		return ML_T_DECIMAL;
	case ML_BT_VAR_STRING:
	case ML_BT_VARCHAR_COMPRESSED:
		return ML_T_VARCHAR;
	case ML_BT_BLOB:
	case ML_BT_BLOB_COMPRESSED:
		return blob_type(c->prefix);
	case ML_BT_VECTOR:
		return ML_T_VECTOR;
	default:
		return c->real; /* the codes are the same */
	}
}

/* An element of a TABLE_MAP's list, which is in the column's charset, as UTF-8. */
static struct ml_text
element(struct ml_charconv *cc, struct ml_arena *a, struct ml_text t)
{
	size_t n;
	const char *s;

	if (cc == NULL)
		return t;
	s = ml_charconv_utf8(cc, a, t.s, t.len, &n);
	return (struct ml_text){ s, (uint32_t)n };
}

static struct ml_charconv *
element_conv(const struct ml_tm_column *c)
{
	const struct ml_charset *cs = ml_charset_by_collation(c->collation);

	return cs == NULL || cs->kind == ML_CS_UTF8 || cs->kind == ML_CS_BINARY ? NULL : ml_charconv_new(cs);
}

static bool
elements_agree(const struct ml_tm_column *c, const struct ml_column *d)
{
	struct ml_charconv *cc;
	struct ml_arena a;
	bool same = c->n_elems == d->n_elems;

	if (c->elems == NULL)
		return true;
	if (!same)
		return false;
	cc = element_conv(c);
	ml_arena_init(&a, 0);
	for (int i = 0; same && i < c->n_elems; i++)
		same = same_text(element(cc, &a, c->elems[i]), d->elems[i]);
	ml_arena_fini(&a);
	ml_charconv_free(cc);
	return same;
}

static bool
string_agrees(const struct ml_tm_column *c, const struct ml_column *d, uint8_t type)
{
	if (d->special == ML_SP_INET6 || d->special == ML_SP_UUID)
		return type == ML_T_STRING && c->length == 16;
	if (d->special == ML_SP_INET4)
		return type == ML_T_STRING && c->length == 4;
	if (d->special == ML_SP_VECTOR)
		return type == ML_T_VARCHAR && c->length == (uint32_t)d->flen * 4;
	if (d->type == ML_T_VARSTRING)
		return type == ML_T_VARCHAR;
	return d->type == type && c->length == (uint32_t)d->flen * mbmaxlen(d);
}

/* Is d a definition of the column that the TABLE_MAP describes, in all that both tell?  (Nullability is not asked.) */
static bool
agrees(const struct ml_tablemap *tm, const struct ml_tm_column *c, const struct ml_column *d)
{
	const struct ml_charset *cs, *dcs;
	uint8_t type = type_of(c);

	switch (type) {
	case ML_T_TINY:
	case ML_T_SHORT:
	case ML_T_INT24:
	case ML_T_LONG:
	case ML_T_LONGLONG:
	case ML_T_FLOAT:
	case ML_T_DOUBLE:
		return d->type == type && (!tm->has_signedness || c->is_unsigned == ((d->flags & ML_F_UNSIGNED) != 0));
	case ML_T_DECIMAL:
		return d->type == type && d->flen == c->precision && d->decimal == c->scale &&
		       (!tm->has_signedness || c->is_unsigned == ((d->flags & ML_F_UNSIGNED) != 0));
	case ML_T_BIT:
		return d->type == type && d->flen == c->precision;
	case ML_T_TIMESTAMP:
	case ML_T_DATETIME:
	case ML_T_TIME:
		return d->type == type && (c->real < ML_BT_TIMESTAMP2 || d->decimal == c->scale);
	case ML_T_STRING:
	case ML_T_VARCHAR:
		if (!string_agrees(c, d, type))
			return false;
		break;
	case ML_T_LONGBLOB:
		if (d->type == ML_T_JSON && d->json_text)
			return true;
		/* fall through */
	case ML_T_TINYBLOB:
	case ML_T_BLOB:
	case ML_T_MEDIUMBLOB:
		if (d->type != type)
			return false;
		break;
	case ML_T_ENUM:
	case ML_T_SET:
		if (d->type != type || !elements_agree(c, d))
			return false;
		break;
	default:
		return d->type == type;
	}
	if (!tm->has_charsets || c->collation == 0 || d->special != ML_SP_NONE)
		return true;
	cs = ml_charset_by_collation(c->collation);
	dcs = ml_charset_by_name(d->charset.s, d->charset.len);
	return cs == NULL || (dcs != NULL && strcmp(cs->name, dcs->name) == 0);
}

/* What the TABLE_MAP alone tells. */
static void
generic(struct ml_column *d, const struct ml_tm_column *c, struct ml_arena *a)
{
	const struct ml_charset *cs = ml_charset_by_collation(c->collation);
	struct ml_charconv *cc;

	memset(d, 0, sizeof(*d));
	d->name = (struct ml_text){ ml_arena_strndup(a, c->name.s, c->name.len), c->name.len };
	d->type = type_of(c);
	d->flen = d->decimal = -1;
	d->dflt = d->comment = (struct ml_text){ "", 0 };
	if (c->is_unsigned && d->type != ML_T_YEAR)
		d->flags |= ML_F_UNSIGNED;
	if (c->nullable)
		d->flags |= ML_F_NULLABLE;
	if (ml_type_is_text(d->type)) {
		if (cs == NULL && c->collation == 0)
			cs = ml_charset_by_collation(ML_COLLATION_BINARY);
		d->charset = cs != NULL ? (struct ml_text){ cs->name, (uint32_t)strlen(cs->name) }
					: (struct ml_text){ "", 0 };
	}
	switch (d->type) {
	case ML_T_DECIMAL:
		d->flen = c->precision;
		d->decimal = c->scale;
		break;
	case ML_T_BIT:
		d->flen = c->precision;
		break;
	case ML_T_YEAR:
		d->flen = 4;
		break;
	case ML_T_TIMESTAMP:
	case ML_T_DATETIME:
	case ML_T_TIME:
		d->decimal = c->real >= ML_BT_TIMESTAMP2 ? c->scale : -1;
		break;
	case ML_T_STRING:
	case ML_T_VARCHAR:
		d->flen = (int32_t)(c->length / (cs != NULL && cs->kind != ML_CS_BINARY ? cs->mbmaxlen : 1));
		break;
	case ML_T_VECTOR:
		d->flen = c->vector_dim > 0 ? (int32_t)c->vector_dim : -1;
		break;
	case ML_T_ENUM:
	case ML_T_SET:
		cc = element_conv(c);
		d->n_elems = c->elems != NULL ? c->n_elems : 0;
		d->elems = ml_arena_alloc(a, (d->n_elems + 1u) * sizeof(*d->elems));
		for (int i = 0; i < d->n_elems; i++) {
			struct ml_text t = element(cc, a, c->elems[i]);

			d->elems[i] = (struct ml_text){ ml_arena_strndup(a, t.s, t.len), t.len };
		}
		ml_charconv_free(cc);
		break;
	default:
		break;
	}
	/* A type of BLOB was told by its prefix, not by TEXT(n): settle must not grow it. */
	ml_column_settle(d, a, d->charset, d->collation);
	d->charset = (struct ml_text){ ml_arena_strndup(a, d->charset.s, d->charset.len), d->charset.len };
}

/* Columns of the TABLE_MAP that rows are shown with; MariaDB's implicit versioning columns and cloud keys are not. */
static size_t
shown(const struct ml_tablemap *tm, const struct ml_schema *def, uint16_t *cols, bool *versioned)
{
	bool row_end_in_pk = false;
	size_t n = 0;

	for (int i = 0; i < tm->n_columns; i++)
		row_end_in_pk = row_end_in_pk || (named(&tm->columns[i], "row_end") && tm->columns[i].pk_part > 0);
	*versioned = (def != NULL && def->kind == ML_TABLE_VERSIONED) ||
		     (row_end_in_pk && (def == NULL || ml_schema_column(def, "row_end", 7) < 0));
	for (int i = 0; i < tm->n_columns; i++) {
		const struct ml_tm_column *c = &tm->columns[i];

		if (named(c, cloud_row_id))
			continue;
		if (*versioned && (named(c, "row_start") || named(c, "row_end")) &&
			(def == NULL || ml_schema_column(def, c->name.s, c->name.len) < 0))
			continue;
		cols[n++] = (uint16_t)i;
	}
	return n;
}

static int
place_of(const uint16_t *cols, size_t n, uint16_t tm_col)
{
	for (size_t i = 0; i < n; i++)
		if (cols[i] == tm_col)
			return (int)i;
	return -1;
}

/* Is it the end of the row's time?  The server appends that to the key of a system-versioned table. */
static bool
is_row_end(const struct ml_schema *def, const struct ml_tm_column *c)
{
	int at = def != NULL && def->kind == ML_TABLE_VERSIONED ? ml_schema_column(def, c->name.s, c->name.len) : -1;

	return at >= 0 && def->columns[at].special == ML_SP_ROW_END;
}

/* Primary key of the TABLE_MAP by shown columns, into out; its number of columns. */
static uint16_t
key_of(const struct ml_tablemap *tm, const struct ml_schema *def, const uint16_t *cols, size_t n, uint16_t *out,
	bool *prefix)
{
	uint16_t k = 0;

	*prefix = false;
	for (int i = 0; tm->has_pk && i < tm->n_pk; i++) {
		int at = place_of(cols, n, tm->pk[i]);

		if (at < 0 || is_row_end(def, &tm->columns[tm->pk[i]]))
			continue;
		*prefix = *prefix || tm->columns[tm->pk[i]].pk_prefix > 0;
		out[k++] = (uint16_t)at;
	}
	return k;
}

/*
 * MariaDB reports a table's first unique key without NULL as its primary key when it has none.  Only the definition tells the
 * two apart: true if it has no primary key and this one as a unique key.
 */
static bool
is_promoted(const struct ml_schema *def, const struct ml_tablemap *tm, const uint16_t *cols, const uint16_t *key,
	uint16_t n_key)
{
	if (def == NULL || n_key == 0 || (def->n_indexes > 0 && def->indexes[0].primary))
		return false;
	for (int i = 0; i < def->n_indexes; i++) {
		const struct ml_index *x = &def->indexes[i];
		uint16_t k = 0;

		if (!x->unique || x->n_cols != n_key)
			continue;
		while (k < n_key && x->cols[k] < def->n_columns) {
			const struct ml_text *name = &tm->columns[cols[key[k]]].name;

			if (ml_schema_column(def, name->s, name->len) != x->cols[k])
				break;
			k++;
		}
		if (k == n_key)
			return true;
	}
	return false;
}

static bool
nullable_agrees(const struct ml_tm_column *c, const struct ml_column *d)
{
	return c->nullable == ((d->flags & ML_F_NULLABLE) != 0);
}

static bool
is_same(const struct ml_tablemap *tm, const struct ml_schema *def, const uint16_t *cols, size_t n, const uint16_t *key,
	uint16_t n_key)
{
	const struct ml_index *pk = def->n_indexes > 0 && def->indexes[0].primary ? &def->indexes[0] : NULL;

	if (def->n_columns != n || def->kind == ML_TABLE_VIEW || (pk != NULL ? pk->n_cols : 0) != n_key)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!same_text(tm->columns[cols[i]].name, def->columns[i].name) ||
			!agrees(tm, &tm->columns[cols[i]], &def->columns[i]) ||
			!nullable_agrees(&tm->columns[cols[i]], &def->columns[i]))
			return false;
	for (uint16_t i = 0; i < n_key; i++)
		if (pk->cols[i] != key[i])
			return false;
	return true;
}

/* A secondary index of the definition, if all its columns are still there and were decorated. */
static void
carry_index(struct ml_schema *s, const struct ml_index *x, const int *of_def)
{
	struct ml_index *n = &s->indexes[s->n_indexes];

	for (int i = 0; i < x->n_cols; i++)
		if (of_def[x->cols[i]] < 0)
			return;
	ml_index_keep(n, x, &s->arena);
	n->nullable = false;
	for (int i = 0; i < x->n_cols; i++) {
		n->cols[i] = (uint16_t)of_def[x->cols[i]];
		n->nullable = n->nullable || (s->columns[n->cols[i]].flags & ML_F_NULLABLE);
	}
	s->n_indexes++;
}

static struct ml_schema *
build(const struct ml_tablemap *tm, const struct ml_schema *def, const uint16_t *cols, size_t n, const uint16_t *key,
	uint16_t n_key, bool prefix, bool versioned, bool *poor)
{
	struct ml_schema *s = ml_schema_shell(def, tm->db, tm->table, n, (def != NULL ? def->n_indexes : 0) + 1u);
	int *of_def = calloc(def != NULL ? def->n_columns + 1u : 1u, sizeof(*of_def));

	if (of_def == NULL)
		abort();
	for (int i = 0; def != NULL && i < def->n_columns; i++)
		of_def[i] = -1;
	s->kind = versioned ? ML_TABLE_VERSIONED : ML_TABLE_BASE;
	for (size_t i = 0; i < n; i++) {
		const struct ml_tm_column *c = &tm->columns[cols[i]];
		struct ml_column *d = &s->columns[s->n_columns++];
		int at = def != NULL ? ml_schema_column(def, c->name.s, c->name.len) : -1;

		if (at >= 0 && agrees(tm, c, &def->columns[at])) {
			ml_column_keep(d, &def->columns[at], &s->arena);
			d->name = (struct ml_text){ ml_arena_strndup(&s->arena, c->name.s, c->name.len), c->name.len };
			d->flags = (uint8_t)(c->nullable ? d->flags | ML_F_NULLABLE : d->flags & ~ML_F_NULLABLE);
			of_def[at] = (int)i;
		} else {
			generic(d, c, &s->arena);
			*poor = true;
		}
	}
	if (n_key > 0) {
		struct ml_index *x = &s->indexes[s->n_indexes++];

		x->name = (struct ml_text){ "PRIMARY", 7 };
		x->primary = x->unique = true;
		x->prefix = prefix;
		x->n_cols = n_key;
		x->cols = ml_arena_alloc(&s->arena, n_key * sizeof(*x->cols));
		memcpy(x->cols, key, n_key * sizeof(*x->cols));
	}
	for (int i = 0; def != NULL && i < def->n_indexes; i++)
		if (!def->indexes[i].primary)
			carry_index(s, &def->indexes[i], of_def);
	free(of_def);
	ml_schema_finish(s);
	return s;
}

/*
 * No names: by position.  The TABLE_MAP may have more columns behind: a cloud's BIGINT key, or row_start and row_end of a
 * system-versioned table.
 */
static enum ml_join
by_position(const struct ml_tablemap *tm, struct ml_schema *def, char *why, size_t why_size)
{
	int extra = def != NULL ? (int)tm->n_columns - def->n_columns : 0;

	if (def == NULL) {
		snprintf(why, why_size, "no definition is known");
		return ML_JOIN_MISMATCH;
	}
	if (extra != 0 && !(extra == 2 && def->kind == ML_TABLE_VERSIONED) &&
		!(extra == 1 && tm->columns[tm->n_columns - 1].real == ML_BT_LONGLONG)) {
		snprintf(why, why_size, "the log has %u columns, the definition %u", tm->n_columns, def->n_columns);
		return ML_JOIN_MISMATCH;
	}
	for (int i = 0; i < def->n_columns; i++) {
		const struct ml_tm_column *c = &tm->columns[i];

		if (agrees(tm, c, &def->columns[i]) && nullable_agrees(c, &def->columns[i]))
			continue;
		snprintf(why, why_size, "column %d: the log has type %u (metadata %u%s), the definition `%s` %s", i + 1,
			c->real, c->meta, c->nullable ? "" : ", not null", def->columns[i].name.s,
			def->columns[i].type_full.s);
		return ML_JOIN_MISMATCH;
	}
	return ML_JOIN_SAME;
}

enum ml_join
ml_schema_join(struct ml_schema **out, const struct ml_tablemap *tm, struct ml_schema *def, bool *poor, char *why,
	size_t why_size)
{
	uint16_t *cols, *key, n_key;
	size_t n;
	bool versioned, prefix;
	enum ml_join result = ML_JOIN_SAME;

	*poor = false;
	if (!tm->has_names)
		return by_position(tm, def, why, why_size);
	cols = malloc((tm->n_columns + 1u) * sizeof(*cols));
	key = malloc((tm->n_pk + 1u) * sizeof(*key));
	if (cols == NULL || key == NULL)
		abort();
	if (def != NULL && def->kind == ML_TABLE_VIEW)
		def = NULL; /* the name was a view's when it was read */
	n = shown(tm, def, cols, &versioned);
	n_key = key_of(tm, def, cols, n, key, &prefix);
	if (is_promoted(def, tm, cols, key, n_key))
		n_key = 0;
	if (def == NULL || !is_same(tm, def, cols, n, key, n_key)) {
		*poor = def == NULL;
		*out = build(tm, def, cols, n, key, n_key, prefix, versioned, poor);
		result = ML_JOIN_BUILT;
	}
	free(cols);
	free(key);
	return result;
}
