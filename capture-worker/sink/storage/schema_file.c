/*
 * schema_file.c - schema files byte for byte as Go's encoding/json prints them: four spaces, '<' '>' '&' U+2028 U+2029
 * escaped, other text raw, bytes that are no UTF-8 as U+FFFD.
 */
#include "capture-worker/sink/storage/schema_file.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "common/text/jsonw.h"

struct widths {
	int flen, decimal;
};

/* A type's length and scale when none was declared (sinks.md 4.3). */
static struct widths
default_widths(const struct ml_column *c)
{
	bool u = c->flags & ML_F_UNSIGNED;

	switch (c->type) {
	case ML_T_BIT:
		return (struct widths){ 1, 0 };
	case ML_T_TINY:
		return (struct widths){ u ? 3 : 4, 0 };
	case ML_T_SHORT:
		return (struct widths){ u ? 5 : 6, 0 };
	case ML_T_INT24:
		return (struct widths){ u ? 8 : 9, 0 };
	case ML_T_LONG:
		return (struct widths){ u ? 10 : 11, 0 };
	case ML_T_LONGLONG:
		return (struct widths){ 20, 0 };
	case ML_T_DOUBLE:
		return (struct widths){ 22, -1 };
	case ML_T_FLOAT:
		return (struct widths){ 12, -1 };
	case ML_T_DECIMAL:
		return (struct widths){ 10, 0 };
	case ML_T_TIMESTAMP:
	case ML_T_DATETIME:
	case ML_T_TIME:
		return (struct widths){ 0, 0 };
	case ML_T_YEAR:
		return (struct widths){ 4, 0 };
	case ML_T_STRING:
		return (struct widths){ 1, 0 };
	case ML_T_VARCHAR:
	case ML_T_VARSTRING:
		return (struct widths){ 5, 0 };
	case ML_T_TINYBLOB:
		return (struct widths){ 255, 0 };
	case ML_T_BLOB:
		return (struct widths){ 65535, 0 };
	case ML_T_MEDIUMBLOB:
		return (struct widths){ 16777215, 0 };
	default:
		return (struct widths){ -1, -1 };
	}
}

/* Text of ColumnPrecision and ColumnScale; "" for none. */
static void
precision_and_scale(const struct ml_column *c, char precision[16], char scale[16])
{
	struct widths d = default_widths(c);
	int flen = c->flen >= 0 ? c->flen : d.flen;
	bool fraction = c->decimal > 0 && c->decimal != d.decimal;

	precision[0] = scale[0] = '\0';
	switch (c->type) {
	case ML_T_TIMESTAMP:
	case ML_T_DATETIME:
	case ML_T_TIME:
		break;
	case ML_T_DOUBLE:
	case ML_T_FLOAT:
		snprintf(precision, 16, "%d", flen);
		break;
	case ML_T_DECIMAL:
		snprintf(precision, 16, "%d", flen);
		snprintf(scale, 16, "%d", c->decimal >= 0 ? c->decimal : 0);
		return;
	case ML_T_LONGBLOB:
		/* 4294967295 does not fit the declared length's type. */
		snprintf(precision, 16, "%s", "4294967295");
		return;
	case ML_T_TINY:
	case ML_T_SHORT:
	case ML_T_INT24:
	case ML_T_LONG:
	case ML_T_LONGLONG:
	case ML_T_BIT:
	case ML_T_YEAR:
	case ML_T_STRING:
	case ML_T_VARCHAR:
	case ML_T_VARSTRING:
	case ML_T_TINYBLOB:
	case ML_T_BLOB:
	case ML_T_MEDIUMBLOB:
		snprintf(precision, 16, "%d", flen);
		return;
	default:
		return;
	}
	if (fraction)
		snprintf(scale, 16, "%d", c->decimal);
}

static void
put_field(struct ml_buf *b, const char *name, const char *value)
{
	if (value[0] != '\0')
		ml_buf_printf(b, ",\n            \"%s\": \"%s\"", name, value);
}

static void
put_column(struct ml_buf *b, const struct ml_schema *s, const struct ml_column *c, bool id)
{
	char type[64], precision[16], scale[16];
	size_t n = 0;

	ml_buf_puts(b, "        {");
	if (id)
		ml_buf_printf(b, "\n            \"ColumnId\": \"%u\",", c->id);
	ml_buf_puts(b, "\n            \"ColumnName\": ");
	ml_json_quote(b, c->name.s, c->name.len);
	if (s->kind == ML_TABLE_VIEW) {
		/* TiDB knows no types for a view's columns. */
		put_field(b, "ColumnType", "UNSPECIFIED");
		ml_buf_puts(b, "\n        }");
		return;
	}
	while (n < c->type_short.len && n < 40 && c->type_short.s[n] != ' ') {
		type[n] = (char)toupper((unsigned char)c->type_short.s[n]);
		n++;
	}
	type[n] = '\0';
	if ((c->flags & ML_F_UNSIGNED) || c->type == ML_T_BIT || c->type == ML_T_YEAR)
		strcat(type, " UNSIGNED");
	put_field(b, "ColumnType", type);
	if (c->has_default) {
		ml_buf_puts(b, ",\n            \"ColumnDefault\": ");
		ml_json_quote(b, c->dflt.s, c->dflt.len);
	}
	precision_and_scale(c, precision, scale);
	put_field(b, "ColumnPrecision", precision);
	put_field(b, "ColumnScale", scale);
	if (!(c->flags & ML_F_NULLABLE))
		put_field(b, "ColumnNullable", "false");
	if (c->flags & ML_F_PRIMARY_KEY)
		put_field(b, "ColumnIsPk", "true");
	ml_buf_puts(b, "\n        }");
}

static int
by_name(const void *a, const void *b)
{
	const struct ml_column *x = *(const struct ml_column *const *)a, *y = *(const struct ml_column *const *)b;
	uint32_t n = x->name.len < y->name.len ? x->name.len : y->name.len;
	int c = memcmp(x->name.s, y->name.s, n);

	return c != 0 ? c : (x->name.len > y->name.len) - (x->name.len < y->name.len);
}

/* "TableColumns" and "TableColumnsTotal"; sorted: the form of the checksum. */
static void
put_columns(struct ml_buf *b, const struct schema_file *f, bool sorted)
{
	size_t n = f->schema != NULL && f->table_len > 0 ? f->schema->n_columns : 0;
	const struct ml_column **cols;

	if (n == 0) {
		ml_buf_printf(b, "    \"TableColumns\": %s,\n    \"TableColumnsTotal\": 0\n}", sorted ? "[]" : "null");
		return;
	}
	cols = malloc(n * sizeof(*cols));
	if (cols == NULL)
		abort();
	for (size_t i = 0; i < n; i++)
		cols[i] = &f->schema->columns[i];
	if (sorted)
		qsort(cols, n, sizeof(*cols), by_name);
	ml_buf_puts(b, "    \"TableColumns\": [\n");
	for (size_t i = 0; i < n; i++) {
		put_column(b, f->schema, cols[i], f->column_id);
		ml_buf_puts(b, i + 1 < n ? ",\n" : "\n");
	}
	ml_buf_printf(b, "    ],\n    \"TableColumnsTotal\": %zu\n}", n);
	free(cols);
}

static void
put_names(struct ml_buf *b, const struct schema_file *f)
{
	ml_buf_puts(b, "{\n    \"Table\": ");
	ml_json_quote(b, f->table, f->table_len);
	ml_buf_puts(b, ",\n    \"Schema\": ");
	ml_json_quote(b, f->db, f->db_len);
}

void
schema_file_text(const struct schema_file *f, struct ml_buf *out)
{
	put_names(out, f);
	ml_buf_printf(out, ",\n    \"Version\": 1,\n    \"TableVersion\": %" PRIu64 ",\n    \"Query\": ", f->version);
	ml_json_quote(out, f->query, f->query_len);
	ml_buf_printf(out, ",\n    \"Type\": %d,\n", f->type);
	put_columns(out, f, false);
}

uint32_t
schema_file_checksum(const struct schema_file *f)
{
	struct ml_buf b = { 0 };
	uint32_t crc;

	put_names(&b, f);
	ml_buf_puts(&b, ",\n    \"Version\": 0,\n");
	put_columns(&b, f, true);
	crc = (uint32_t)crc32(0, (const Bytef *)b.data, (uInt)b.len);
	ml_buf_fini(&b);
	return crc;
}

void
schema_file_name(char out[64], ml_ts version, uint32_t checksum)
{
	snprintf(out, 64, "schema_%" PRIu64 "_%010" PRIu32 ".json", version, checksum);
}

bool
schema_file_parse_name(const char *name, ml_ts *version, uint32_t *checksum)
{
	int end = 0;
	uint64_t v, c;

	if (sscanf(name, "schema_%20" SCNu64 "_%10" SCNu64 ".json%n", &v, &c, &end) != 2 || end == 0 ||
		name[end] != '\0' || c > UINT32_MAX)
		return false;
	*version = v;
	*checksum = (uint32_t)c;
	return true;
}
