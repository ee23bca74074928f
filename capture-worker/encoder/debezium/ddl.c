#include "capture-worker/encoder/debezium/ddl.h"

#include <ctype.h>
#include <string.h>

#include "capture-worker/encoder/debezium/field.h"
#include "capture-worker/encoder/java_type.h"
#include "capture-worker/encoder/text/escape.h"
#include "common/text/num.h"

/* TiDB's action codes, protocols.md 2.9. */
enum {
	CREATE_TABLE = 3,
	DROP_TABLE = 4,
	DROP_INDEX = 8,
	TRUNCATE_TABLE = 11,
	RENAME_TABLE = 14,
	CREATE_VIEW = 21,
	DROP_VIEW = 24,
	RENAME_TABLES = 47,
};

/* Around the schema of `source`. */
static const char schema_head[] =
	",\"schema\":{\"optional\":false,\"type\":\"struct\",\"version\":1,\"name\":\"io.debezium.connector.mysql.SchemaChangeValue\",\"fields\":[";
static const char schema_tail[] =
	",{\"field\":\"ts_ms\",\"optional\":false,\"type\":\"int64\"},"
	"{\"field\":\"databaseName\",\"optional\":true,\"type\":\"string\"},"
	"{\"field\":\"schemaName\",\"optional\":true,\"type\":\"string\"},"
	"{\"field\":\"ddl\",\"optional\":true,\"type\":\"string\"},"
	"{\"field\":\"tableChanges\",\"optional\":false,\"type\":\"array\",\"items\":{\"name\":\"io.debezium.connector.schema.Change\",\"optional\":false,\"type\":\"struct\",\"version\":1,\"fields\":[{\"field\":\"type\",\"optional\":false,\"type\":\"string\"},"
	"{\"field\":\"id\",\"optional\":false,\"type\":\"string\"},"
	"{\"field\":\"table\",\"optional\":true,\"type\":\"struct\",\"name\":\"io.debezium.connector.schema.Table\",\"version\":1,\"fields\":[{\"field\":\"defaultCharsetName\",\"optional\":true,\"type\":\"string\"},"
	"{\"field\":\"primaryKeyColumnNames\",\"optional\":true,\"type\":\"array\",\"items\":{\"type\":\"string\",\"optional\":false}},"
	"{\"field\":\"columns\",\"optional\":false,\"type\":\"array\",\"items\":{\"name\":\"io.debezium.connector.schema.Column\",\"optional\":false,\"type\":\"struct\",\"version\":1,\"fields\":[{\"field\":\"name\",\"optional\":false,\"type\":\"string\"},"
	"{\"field\":\"jdbcType\",\"optional\":false,\"type\":\"int32\"},"
	"{\"field\":\"nativeType\",\"optional\":true,\"type\":\"int32\"},"
	"{\"field\":\"typeName\",\"optional\":false,\"type\":\"string\"},"
	"{\"field\":\"typeExpression\",\"optional\":true,\"type\":\"string\"},"
	"{\"field\":\"charsetName\",\"optional\":true,\"type\":\"string\"},"
	"{\"field\":\"length\",\"optional\":true,\"type\":\"int32\"},"
	"{\"field\":\"scale\",\"optional\":true,\"type\":\"int32\"},"
	"{\"field\":\"position\",\"optional\":false,\"type\":\"int32\"},"
	"{\"field\":\"optional\",\"optional\":true,\"type\":\"boolean\"},"
	"{\"field\":\"autoIncremented\",\"optional\":true,\"type\":\"boolean\"},"
	"{\"field\":\"generated\",\"optional\":true,\"type\":\"boolean\"},"
	"{\"field\":\"comment\",\"optional\":true,\"type\":\"string\"},"
	"{\"field\":\"defaultValueExpression\",\"optional\":true,\"type\":\"string\"},"
	"{\"field\":\"enumValues\",\"optional\":true,\"type\":\"array\",\"items\":{\"type\":\"string\",\"optional\":false}}]}},"
	"{\"field\":\"comment\",\"optional\":true,\"type\":\"string\"}]}]}}]}";

bool
dbz_ddl_told(const struct ml_ddl *ddl)
{
	return ddl->action != TRUNCATE_TABLE;
}

static void
put_str(struct ml_out *o, struct ml_text t)
{
	dbz_put_string(o, t.s, t.len);
}

static void
put_int(struct ml_out *o, int64_t v)
{
	o->p += ml_i64_text(ml_out_need(o, ML_INT_TEXT_MAX), v);
}

static void
put_u64(struct ml_out *o, uint64_t v)
{
	o->p += ml_u64_text(ml_out_need(o, ML_INT_TEXT_MAX), v);
}

static void
put_bool(struct ml_out *o, bool v)
{
	if (v)
		ml_out_lit(o, "true");
	else
		ml_out_lit(o, "false");
}

void
dbz_put_ddl_key(struct ml_out *o, const struct dbz_form *f, const struct ml_ddl *ddl)
{
	ml_out_lit(o, "{\"payload\":{\"databaseName\":");
	put_str(o, ddl->db);
	ml_out_lit(o, "}");
	if (f->with_schema)
		ml_out_lit(o,
			",\"schema\":{\"type\":\"struct\",\"name\":\"io.debezium.connector.mysql.SchemaChangeKey\","
			"\"optional\":false,\"version\":1,\"fields\":[{\"field\":\"databaseName\","
			"\"optional\":false,\"type\":\"string\"}]}");
	ml_out_lit(o, "}");
}

/* Numbers of java.sql.Types, and of Oracle's for TIMESTAMP WITH TIME ZONE. */
static int
jdbc_type(const struct ml_column *c)
{
	bool binary = ml_column_is_binary(c);

	switch (c->type) {
	case ML_T_LONGLONG:
		return -5;
	case ML_T_TINY:
	case ML_T_SHORT:
		return 5;
	case ML_T_INT24:
	case ML_T_LONG:
	case ML_T_YEAR:
		return 4;
	case ML_T_DECIMAL:
		return 3;
	case ML_T_FLOAT:
		return 6;
	case ML_T_DOUBLE:
		return 8;
	case ML_T_BIT:
		return -7;
	case ML_T_DATE:
		return 91;
	case ML_T_TIME:
		return 92;
	case ML_T_DATETIME:
		return 93;
	case ML_T_TIMESTAMP:
		return 2014;
	case ML_T_JSON:
	case ML_T_VECTOR:
	case ML_T_GEOMETRY:
		return 1111;
	case ML_T_ENUM:
	case ML_T_SET:
		return 1;
	case ML_T_STRING:
		return binary ? -2 : 1;
	case ML_T_VARCHAR:
	case ML_T_VARSTRING:
		return binary ? -3 : 12;
	default:
		return binary ? 2004 : 12;
	}
}

/* The length as Debezium counts it; -1: none is told. */
static int
length_of(const struct ml_column *c)
{
	bool is_unsigned = c->flags & ML_F_UNSIGNED;
	int usual;

	switch (c->type) {
	case ML_T_TINY:
		usual = is_unsigned ? 3 : 4;
		break;
	case ML_T_SHORT:
		usual = is_unsigned ? 5 : 6;
		break;
	case ML_T_INT24:
		usual = is_unsigned ? 8 : 9;
		break;
	case ML_T_LONG:
		usual = is_unsigned ? 10 : 11;
		break;
	case ML_T_LONGLONG:
		usual = 20;
		break;
	case ML_T_BIT:
		usual = 1;
		break;
	case ML_T_FLOAT:
	case ML_T_DOUBLE:
		return c->decimal >= 0 ? c->flen : -1;
	case ML_T_DECIMAL:
	case ML_T_STRING:
	case ML_T_VARCHAR:
	case ML_T_VARSTRING:
		return c->flen;
	case ML_T_TIME:
	case ML_T_DATETIME:
	case ML_T_TIMESTAMP:
		return c->fraction_unsaid ? -1 : c->decimal;
	case ML_T_ENUM:
		return 1;
	case ML_T_SET:
		return 2 * c->n_elems - 1;
	default:
		return -1;
	}
	return c->flen == usual ? -1 : c->flen;
}

static void
put_number(struct ml_out *o, int v)
{
	if (v < 0)
		ml_out_lit(o, "null");
	else
		put_int(o, v);
}

/* `bigint unsigned` in capitals; DECIMAL never has a sign. */
static void
put_type_name(struct ml_out *o, const struct ml_column *c)
{
	const char *blank = c->type == ML_T_DECIMAL ? memchr(c->type_short.s, ' ', c->type_short.len) : NULL;
	uint32_t n = blank != NULL ? (uint32_t)(blank - c->type_short.s) : c->type_short.len;
	char *p = ml_out_need(o, n);

	for (uint32_t i = 0; i < n; i++)
		*p++ = (char)toupper((unsigned char)c->type_short.s[i]);
	o->p = p;
}

static void
put_default(struct ml_out *o, const struct ml_column *c)
{
	uint64_t v;
	int bit = 63;

	if (!c->has_default || c->default_expr) {
		ml_out_lit(o, "null");
	} else if (dbz_default_is_now(c)) {
		ml_out_lit(o, "\"1970-01-01 00:00:00\"");
	} else if (c->type == ML_T_BIT && dbz_bit_default(c, &v)) {
		while (bit > 0 && !(v >> bit & 1))
			bit--;
		ml_out_lit(o, "\"");
		for (; bit >= 0; bit--)
			ml_out_put(o, v >> bit & 1 ? "1" : "0", 1);
		ml_out_lit(o, "\"");
	} else {
		put_str(o, c->dflt);
	}
}

static void
put_elements(struct ml_out *o, const struct ml_column *c)
{
	if (c->type != ML_T_ENUM && c->type != ML_T_SET) {
		ml_out_lit(o, "null");
		return;
	}
	ml_out_lit(o, "[");
	for (int i = 0; i < c->n_elems; i++) {
		if (i > 0)
			ml_out_lit(o, ",");
		ml_out_lit(o, "\"'");
		ml_escape_i(o, c->elems[i].s, c->elems[i].len);
		ml_out_lit(o, "'\"");
	}
	ml_out_lit(o, "]");
}

/* TiDB knows utf8mb3 as utf8. */
static void
put_charset(struct ml_out *o, struct ml_text charset)
{
	if (charset.len == 0)
		ml_out_lit(o, "null");
	else if (charset.len == 7 && memcmp(charset.s, "utf8mb3", 7) == 0)
		ml_out_lit(o, "\"utf8\"");
	else
		put_str(o, charset);
}

static void
put_column(struct ml_out *o, const struct ml_column *c, int position)
{
	bool text = (c->type == ML_T_ENUM || c->type == ML_T_SET || jdbc_type(c) == 1 || jdbc_type(c) == 12);
	bool automatic = c->auto_increment || c->on_update_now;

	ml_out_lit(o, "{\"name\":");
	put_str(o, c->name);
	ml_out_lit(o, ",\"jdbcType\":");
	put_int(o, jdbc_type(c));
	ml_out_lit(o, ",\"nativeType\":null,\"comment\":null,\"defaultValueExpression\":");
	put_default(o, c);
	ml_out_lit(o, ",\"enumValues\":");
	put_elements(o, c);
	ml_out_lit(o, ",\"typeName\":\"");
	put_type_name(o, c);
	ml_out_lit(o, "\",\"typeExpression\":\"");
	put_type_name(o, c);
	if (c->type == ML_T_DOUBLE && c->decimal >= 0) {
		ml_out_lit(o, "(");
		put_int(o, c->flen);
		ml_out_lit(o, ",");
		put_int(o, c->decimal);
		ml_out_lit(o, ")");
	}
	ml_out_lit(o, "\",\"charsetName\":");
	put_charset(o, text ? c->charset : (struct ml_text){ "", 0 });
	ml_out_lit(o, ",\"length\":");
	put_number(o, length_of(c));
	ml_out_lit(o, ",\"scale\":");
	put_number(o, c->type == ML_T_DECIMAL || c->type == ML_T_FLOAT || c->type == ML_T_DOUBLE ? c->decimal : -1);
	ml_out_lit(o, ",\"position\":");
	put_int(o, position);
	ml_out_lit(o, ",\"optional\":");
	put_bool(o, c->flags & ML_F_NULLABLE);
	ml_out_lit(o, ",\"autoIncremented\":");
	put_bool(o, automatic);
	/* What the database fills in on its own; generated columns are not meant. */
	ml_out_lit(o, ",\"generated\":");
	put_bool(o, automatic);
	ml_out_lit(o, "}");
}

/* The primary key, else the first unique index that has no NULLs. */
static const struct ml_index *
key_of(const struct ml_schema *s)
{
	for (int pass = 0; pass < 2; pass++)
		for (int i = 0; i < s->n_indexes; i++) {
			const struct ml_index *x = &s->indexes[i];
			bool nullable = false;

			for (int k = 0; k < x->n_cols; k++)
				nullable |= (s->columns[x->cols[k]].flags & ML_F_NULLABLE) != 0;
			if (pass == 0 ? x->primary : x->unique && !nullable)
				return x;
		}
	return NULL;
}

static void
put_table(struct ml_out *o, const struct ml_schema *s)
{
	const struct ml_index *key = key_of(s);

	ml_out_lit(o, "{\"defaultCharsetName\":");
	put_charset(o, s->charset);
	ml_out_lit(o, ",\"primaryKeyColumnNames\":[");
	for (int i = 0; key != NULL && i < key->n_cols; i++) {
		if (i > 0)
			ml_out_lit(o, ",");
		put_str(o, s->columns[key->cols[i]].name);
	}
	ml_out_lit(o, "],\"columns\":[");
	for (int i = 0; i < s->n_columns; i++) {
		if (i > 0)
			ml_out_lit(o, ",");
		put_column(o, &s->columns[i], i + 1);
	}
	ml_out_lit(o, "],\"comment\":null}");
}

/* `\"db\".\"table\"`, inside a JSON string. */
static void
put_id(struct ml_out *o, struct ml_text db, struct ml_text table)
{
	ml_out_lit(o, "\\\"");
	ml_escape_i(o, db.s, db.len);
	ml_out_lit(o, "\\\".\\\"");
	ml_escape_i(o, table.s, table.len);
	ml_out_lit(o, "\\\"");
}

static void
put_change(struct ml_out *o, const struct ml_ddl *ddl)
{
	struct ml_text pre_db = ddl->pre_db, pre_table = ddl->pre_table;

	switch (ddl->action) {
	case CREATE_TABLE:
	case CREATE_VIEW:
		ml_out_lit(o, "{\"type\":\"CREATE\",\"id\":\"");
		break;
	case DROP_TABLE:
	case DROP_VIEW:
	case DROP_INDEX:
		ml_out_lit(o, "{\"type\":\"DROP\",\"id\":\"");
		break;
	default:
		ml_out_lit(o, "{\"type\":\"ALTER\",\"id\":\"");
		break;
	}
	if (ddl->action == RENAME_TABLE || ddl->action == RENAME_TABLES) {
		if (pre_table.len == 0 && ddl->pre_schema != NULL)
			pre_table = ddl->pre_schema->table;
		if (pre_db.len == 0)
			pre_db = ddl->pre_schema != NULL ? ddl->pre_schema->db : ddl->db;
		if (pre_table.len > 0) {
			put_id(o, pre_db, pre_table);
			ml_out_lit(o, ",");
		}
	}
	put_id(o, ddl->db, ddl->table);
	ml_out_lit(o, "\",\"table\":");
	if (ddl->action == DROP_TABLE || ddl->schema == NULL)
		ml_out_lit(o, "null");
	else
		put_table(o, ddl->schema);
	ml_out_lit(o, "}");
}

void
dbz_put_ddl_value(
	struct ml_out *o, const struct dbz_form *f, struct ml_text head, const struct ml_ddl *ddl, uint64_t now_ms)
{
	ml_out_put(o, head.s, head.len);
	put_u64(o, ml_ts_ms(ddl->commit_ts));
	dbz_put_source_mid(o, ddl->db, ddl->table);
	put_u64(o, ddl->commit_ts);
	ml_out_lit(o, ",\"cluster_id\":");
	put_str(o, f->cluster);
	ml_out_lit(o, "},\"ts_ms\":");
	put_u64(o, now_ms);
	ml_out_lit(o, ",\"databaseName\":");
	put_str(o, ddl->db);
	ml_out_lit(o, ",\"schemaName\":null,\"ddl\":");
	put_str(o, ddl->query);
	ml_out_lit(o, ",\"tableChanges\":[");
	if (ddl->table.len > 0)
		put_change(o, ddl);
	ml_out_lit(o, "]}");
	if (f->with_schema) {
		ml_out_put(o, schema_head, sizeof(schema_head) - 1);
		ml_out_put(o, dbz_source_schema.s, dbz_source_schema.len);
		ml_out_put(o, schema_tail, sizeof(schema_tail) - 1);
	}
	ml_out_lit(o, "}");
}
