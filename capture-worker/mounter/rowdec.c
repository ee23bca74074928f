#include "capture-worker/mounter/rowdec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "capture-worker/mounter/inflate.h"
#include "common/text/tz.h"

static int
mismatch(const struct ml_rowdec *dec, const char *at, struct ml_err *err, const char *why, const struct ml_text *col)
{
	char text[320];

	if (col != NULL && col->s != NULL)
		snprintf(text, sizeof(text), "%s: %.*s", why, (int)col->len, col->s);
	else
		snprintf(text, sizeof(text), "%s", why);
	return ML_ERR(
		err, ErrMySQLSchemaMismatch, 0, at, dec->schema->qname.s != NULL ? dec->schema->qname.s : "?", text);
}

static struct ml_charconv *
converter(struct ml_rowdec *dec, const struct ml_charset *cs)
{
	for (unsigned i = 0; i < dec->n_convs; i++)
		if (dec->conv_sets[i] == cs)
			return dec->convs[i];
	dec->convs[dec->n_convs] = ml_charconv_new(cs);
	if (dec->convs[dec->n_convs] == NULL)
		return NULL;
	dec->conv_sets[dec->n_convs] = cs;
	return dec->convs[dec->n_convs++];
}

/* Text columns: which bytes come out as they are.  Else NULL, or what is wrong. */
static const char *
plan_charset(struct ml_rowdec *dec, struct ml_coldec *cd, const struct ml_tm_column *tc, const struct ml_column *col)
{
	const struct ml_charset *cs = NULL;

	if (cd->op != ML_COP_BYTES && cd->op != ML_COP_COMPRESSED)
		return NULL;
	if (!ml_tm_is_character(tc))
		return NULL;
	if (tc->collation != 0)
		cs = ml_charset_by_collation(tc->collation);
	if (cs == NULL && col->charset.s != NULL)
		cs = ml_charset_by_name(col->charset.s, col->charset.len);
	if (cs == NULL)
		return "charset of a column is not known";
	if (cs->kind == ML_CS_BINARY && tc->real == ML_BT_STRING) {
		cd->op = ML_COP_PADDED;
		cd->width = tc->length;
	}
	if (cs->kind <= ML_CS_UTF8)
		return NULL;
	cd->conv = converter(dec, cs);
	if (cd->conv == NULL)
		return "charset of a column cannot be converted";
	if (cd->op == ML_COP_BYTES)
		cd->op = ML_COP_TEXT;
	return NULL;
}

/* Without names everything that both sides tell must agree; with them, the log alone decides. */
static const char *
compare(const struct ml_tm_column *tc, const struct ml_column *col)
{
	const struct ml_charset *cs = NULL;
	int bits = 0;

	if (tc->nullable != ((col->flags & ML_F_NULLABLE) != 0))
		return "a column's NOT NULL differs";
	if (col->charset.s != NULL)
		cs = ml_charset_by_name(col->charset.s, col->charset.len);
	switch (tc->real) {
	case ML_BT_NEWDECIMAL:
		return (col->flen < 0 || col->flen == tc->precision) && (col->decimal < 0 || col->decimal == tc->scale)
			       ? NULL
			       : "a DECIMAL's digits differ";
	case ML_BT_BIT:
		return col->flen < 0 || col->flen == tc->precision ? NULL : "a BIT's length differs";
	case ML_BT_TIMESTAMP2:
	case ML_BT_DATETIME2:
	case ML_BT_TIME2:
		return (col->decimal < 0 ? 0 : col->decimal) == tc->scale ? NULL : "fraction digits differ";
	case ML_BT_VARCHAR:
	case ML_BT_STRING:
	case ML_BT_VARCHAR_COMPRESSED:
		return col->special != ML_SP_NONE || col->flen < 0 || cs == NULL ||
				       (uint64_t)col->flen * cs->mbmaxlen == tc->length
			       ? NULL
			       : "a string's length differs";
	case ML_BT_BLOB:
	case ML_BT_BLOB_COMPRESSED:
		bits = col->type == ML_T_TINYBLOB     ? 1
		       : col->type == ML_T_BLOB       ? 2
		       : col->type == ML_T_MEDIUMBLOB ? 3
						      : 4;
		return bits == tc->prefix ? NULL : "a BLOB's size differs";
	case ML_BT_ENUM:
		return col->n_elems == 0 || (col->n_elems < 256 ? 1 : 2) == tc->prefix ? NULL
										       : "an ENUM's size differs";
	case ML_BT_SET:
		bits = (col->n_elems + 7) / 8;
		return col->n_elems == 0 || (bits > 4 ? 8 : bits) == tc->prefix ? NULL : "a SET's size differs";
	default:
		return NULL;
	}
}

static bool
named(const struct ml_text *t, const char *name)
{
	return t->len == strlen(name) && strncasecmp(t->s, name, t->len) == 0;
}

/* Columns that a TABLE_MAP without names may have behind those of the definition. */
static bool
extra_columns_fit(const struct ml_tablemap *tm, const struct ml_schema *schema)
{
	unsigned extra = tm->n_columns - schema->n_columns;
	const struct ml_tm_column *last = &tm->columns[tm->n_columns - 1];

	if (schema->kind == ML_TABLE_VERSIONED && extra == 2)
		return last[0].code == last[-1].code &&
		       ((last->code == ML_BT_TIMESTAMP2 && last->scale == 6) || last->code == ML_BT_LONGLONG);
	return extra == 1 && last->code == ML_BT_LONGLONG;
}

/* The definition's column for column i of the log: index, -1: none, nobody wants it. */
static int
partner(const struct ml_tablemap *tm, const struct ml_schema *schema, unsigned i)
{
	if (tm->has_names)
		return ml_schema_column(schema, tm->columns[i].name.s, tm->columns[i].name.len);
	return i < schema->n_columns ? (int)i : -1;
}

/* For a system-versioned table: which column of the log says when the row ended; -1: none. */
static int
find_row_end(const struct ml_tablemap *tm, const struct ml_schema *schema)
{
	if (schema->kind != ML_TABLE_VERSIONED)
		return -1;
	for (unsigned i = 0; i < tm->n_columns; i++) {
		int k = partner(tm, schema, i);

		if (k >= 0 && schema->columns[k].special == ML_SP_ROW_END)
			return (int)i;
	}
	if (!tm->has_names)
		return tm->n_columns == schema->n_columns + 2 ? tm->n_columns - 1 : -1;
	for (unsigned i = 0; i < tm->n_columns; i++)
		if (partner(tm, schema, i) < 0 && named(&tm->columns[i].name, "row_end"))
			return (int)i;
	/* The server adds the column to every key, behind the key's own. */
	return tm->has_pk ? tm->pk[tm->n_pk - 1] : -1;
}

/* What "has not ended" looks like: the end of time, or the greatest transaction number. */
static const char *
plan_row_end(struct ml_rowdec *dec, const struct ml_tm_column *tc)
{
	static const uint8_t y2038[8] = { 0x7F, 0xFF, 0xFF, 0xFF, 0x0F, 0x42, 0x3F },
			     y2106[8] = { 0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 0x42, 0x3F };

	if (tc->code == ML_BT_TIMESTAMP2 && tc->scale == 6) {
		dec->row_end_size = 7;
		memcpy(&dec->live_end[0], y2038, 8);
		memcpy(&dec->live_end[1], y2106, 8);
		return NULL;
	}
	if (tc->code == ML_BT_LONGLONG) {
		dec->row_end_size = 8;
		dec->live_end[0] = dec->live_end[1] = UINT64_MAX;
		return NULL;
	}
	return "row_end of a system-versioned table is of an unknown type";
}

static void
plan_steps(struct ml_rowdec *dec)
{
	uint32_t fixed = 0;

	dec->steps = ml_arena_alloc(&dec->arena, dec->n_columns * sizeof(*dec->steps));
	for (unsigned i = 0; i < dec->n_columns; i++) {
		const struct ml_coldec *cd = &dec->cols[i];

		if (cd->op <= ML_COP_LAST_FIXED) {
			fixed += cd->size;
			continue;
		}
		dec->steps[dec->n_steps++] = (struct ml_step){ .fixed = fixed, .prefix = cd->size };
		fixed = 0;
	}
	dec->tail = fixed;
}

static int
plan(struct ml_rowdec *dec, const struct ml_tablemap *tm, const char *at, struct ml_err *err)
{
	struct ml_schema *schema = dec->schema;
	bool *joined = ml_arena_zalloc(&dec->arena, schema->n_columns * sizeof(*joined));
	unsigned wanted = 0;
	const char *bad;

	if (!tm->has_names && tm->n_columns != schema->n_columns &&
		(tm->n_columns < schema->n_columns || !extra_columns_fit(tm, schema))) {
		char why[96];

		snprintf(why, sizeof(why), "%u columns in the log, %u in the definition", tm->n_columns,
			schema->n_columns);
		return mismatch(dec, at, err, why, NULL);
	}
	dec->row_end = find_row_end(tm, schema);
	if (schema->kind == ML_TABLE_VERSIONED && dec->row_end < 0)
		return mismatch(dec, at, err, "system-versioned table without row_end", NULL);
	if (dec->row_end >= 0 && (bad = plan_row_end(dec, &tm->columns[dec->row_end])) != NULL)
		return mismatch(dec, at, err, bad, NULL);
	for (unsigned i = 0; i < tm->n_columns; i++) {
		const struct ml_tm_column *tc = &tm->columns[i];
		struct ml_coldec *cd = &dec->cols[i];
		int k = partner(tm, schema, i);
		struct ml_column *col = k >= 0 ? &schema->columns[k] : NULL;
		struct ml_tm_column own = *tc;

		if (!tm->has_signedness && col != NULL)
			own.is_unsigned = (col->flags & ML_F_UNSIGNED) != 0;
		bad = ml_coldec_plan(cd, &own, col);
		cd->derived = col != NULL && (col->virtual_generated || (col->flags & ML_F_GENERATED) != 0);
		if (bad == NULL && col != NULL && !tm->has_names)
			bad = compare(tc, col);
		if (bad == NULL && col != NULL)
			bad = plan_charset(dec, cd, tc, col);
		if (bad != NULL)
			return mismatch(dec, at, err, bad, col != NULL ? &col->name : &tc->name);
		dec->n_json += tc->real == ML_BT_JSON;
		if (col == NULL)
			continue;
		if (joined[k])
			return mismatch(dec, at, err, "two columns of the log have one name", &col->name);
		joined[k] = true;
		wanted++;
		/* Never handed on: what sinks must not write, and the columns of versioning. */
		if (!col->virtual_generated && col->special != ML_SP_ROW_START && col->special != ML_SP_ROW_END)
			cd->out = (int16_t)k;
		else
			dec->prefill = true;
	}
	if (wanted != schema->n_columns)
		return mismatch(dec, at, err, "the log lacks a column of the definition", NULL);
	dec->old_json = ml_arena_zalloc(&dec->arena, dec->n_json * sizeof(*dec->old_json));
	plan_steps(dec);
	return 0;
}

int
ml_rowdec_new(struct ml_rowdec **out, const struct ml_tablemap *tm, struct ml_schema *schema, const struct ml_tz *tz,
	const char *at, struct ml_err *err)
{
	struct ml_rowdec *dec = calloc(1, sizeof(*dec));

	if (dec == NULL)
		abort();
	ml_arena_init(&dec->arena, 4096);
	dec->schema = ml_schema_ref(schema);
	dec->n_columns = tm->n_columns;
	dec->null_bytes = (uint16_t)((tm->n_columns + 7) / 8);
	dec->last_null_mask = (uint8_t)(0xFF >> (8 * dec->null_bytes - tm->n_columns));
	dec->row_end = -1;
	dec->cols = ml_arena_zalloc(&dec->arena, tm->n_columns * sizeof(*dec->cols));
	dec->convs = ml_arena_zalloc(&dec->arena, tm->n_columns * sizeof(struct ml_charconv *));
	dec->conv_sets = ml_arena_zalloc(&dec->arena, tm->n_columns * sizeof(const struct ml_charset *));
	ml_stamp_init(&dec->env.stamp, tz);
	if (plan(dec, tm, at, err) != 0) {
		ml_rowdec_free(dec);
		return -1;
	}
	for (unsigned i = 0; i < dec->n_columns && dec->env.inflate == NULL; i++)
		if (dec->cols[i].op == ML_COP_COMPRESSED)
			dec->env.inflate = ml_inflate_new();
	*out = dec;
	return 0;
}

void
ml_rowdec_free(struct ml_rowdec *dec)
{
	if (dec == NULL)
		return;
	for (unsigned i = 0; i < dec->n_convs; i++)
		ml_charconv_free(dec->convs[i]);
	ml_inflate_free(dec->env.inflate);
	ml_schema_unref(dec->schema);
	ml_arena_fini(&dec->arena);
	free(dec);
}

struct ml_schema *
ml_rowdec_schema(const struct ml_rowdec *dec)
{
	return dec->schema;
}
