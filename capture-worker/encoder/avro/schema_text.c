#include "capture-worker/encoder/avro/schema_text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "capture-worker/encoder/connect_name.h"
#include "capture-worker/encoder/java_type.h"
#include "capture-worker/encoder/text/base64.h"
#include "capture-worker/encoder/text/escape.h"
#include "common/text/num.h"

enum av_how
av_how(const struct ml_column *c, const struct av_rules *rules)
{
	switch (c->type) {
	case ML_T_TINY:
	case ML_T_SHORT:
	case ML_T_INT24:
	case ML_T_LONG:
	case ML_T_YEAR:
		return AV_LONG;
	case ML_T_LONGLONG:
		return rules->bigint_text && (c->flags & ML_F_UNSIGNED) ? AV_U64_TEXT : AV_LONG;
	case ML_T_FLOAT:
		return AV_FLOAT;
	case ML_T_DOUBLE:
		return AV_DOUBLE;
	case ML_T_BIT:
		return AV_BIT;
	case ML_T_DECIMAL:
		return rules->decimal_text ? AV_BYTES : AV_DECIMAL;
	case ML_T_ENUM:
		return AV_ENUM;
	case ML_T_SET:
		return AV_SET;
	default:
		return AV_BYTES;
	}
}

/* Names of the Avro type and of `tidb_type`. */
static void
type_names(const struct ml_column *c, const struct av_rules *rules, const char **avro, const char **tidb)
{
	bool is_unsigned = c->flags & ML_F_UNSIGNED;

	*avro = "string";
	switch (c->type) {
	case ML_T_TINY:
	case ML_T_SHORT:
	case ML_T_INT24:
		*avro = "int";
		*tidb = is_unsigned ? "INT UNSIGNED" : "INT";
		return;
	case ML_T_LONG:
		*avro = is_unsigned ? "long" : "int";
		*tidb = is_unsigned ? "INT UNSIGNED" : "INT";
		return;
	case ML_T_LONGLONG:
		if (av_how(c, rules) == AV_LONG)
			*avro = "long";
		*tidb = is_unsigned ? "BIGINT UNSIGNED" : "BIGINT";
		return;
	case ML_T_FLOAT:
		*avro = "float";
		*tidb = "FLOAT";
		return;
	case ML_T_DOUBLE:
		*avro = "double";
		*tidb = "DOUBLE";
		return;
	case ML_T_BIT:
		*avro = "bytes";
		*tidb = "BIT";
		return;
	case ML_T_DECIMAL:
		if (!rules->decimal_text)
			*avro = "bytes";
		*tidb = "DECIMAL";
		return;
	case ML_T_YEAR:
		*avro = "int";
		*tidb = "YEAR";
		return;
	case ML_T_ENUM:
		*tidb = "ENUM";
		return;
	case ML_T_SET:
		*tidb = "SET";
		return;
	case ML_T_JSON:
		*tidb = "JSON";
		return;
	case ML_T_DATE:
		*tidb = "DATE";
		return;
	case ML_T_DATETIME:
		*tidb = "DATETIME";
		return;
	case ML_T_TIMESTAMP:
		*tidb = "TIMESTAMP";
		return;
	case ML_T_TIME:
		*tidb = "TIME";
		return;
	case ML_T_VECTOR:
		*tidb = "TiDBVECTORFloat32";
		return;
	default:
		if (ml_column_is_binary(c))
			*avro = "bytes";
		*tidb = ml_column_is_binary(c) ? "BLOB" : "TEXT";
		return;
	}
}

static void
put_string(struct ml_out *o, const char *s, size_t len)
{
	ml_out_lit(o, "\"");
	ml_escape_s(o, s, len);
	ml_out_lit(o, "\"");
}

static void
put_int(struct ml_out *o, int64_t v)
{
	o->p += ml_i64_text(ml_out_need(o, ML_INT_TEXT_MAX), v);
}

/* The elements joined by commas. */
static void
put_allowed(struct ml_out *o, const struct ml_column *c)
{
	for (int i = 0; i < c->n_elems; i++) {
		char *buf = malloc(2 * (size_t)c->elems[i].len + 1);

		if (buf == NULL)
			abort();
		if (i > 0)
			ml_out_lit(o, ",");
		ml_escape_s(o, buf, ml_connect_element(buf, c->elems[i]));
		free(buf);
	}
}

static void
put_type(struct ml_out *o, const struct ml_column *c, const struct av_rules *rules)
{
	const char *avro, *tidb;

	type_names(c, rules, &avro, &tidb);
	ml_out_lit(o, "{\"type\":");
	put_string(o, avro, strlen(avro));
	ml_out_lit(o, ",\"connect.parameters\":{");
	if (c->type == ML_T_ENUM || c->type == ML_T_SET) {
		ml_out_lit(o, "\"allowed\":\"");
		put_allowed(o, c);
		ml_out_lit(o, "\",");
	} else if (c->type == ML_T_BIT) {
		ml_out_lit(o, "\"length\":\"");
		put_int(o, c->flen > 0 ? c->flen : 1);
		ml_out_lit(o, "\",");
	}
	ml_out_lit(o, "\"tidb_type\":");
	put_string(o, tidb, strlen(tidb));
	ml_out_lit(o, "}");
	if (av_how(c, rules) == AV_DECIMAL) {
		ml_out_lit(o, ",\"logicalType\":\"decimal\",\"precision\":");
		put_int(o, c->flen > 0 ? c->flen : 10);
		ml_out_lit(o, ",\"scale\":");
		put_int(o, c->decimal > 0 ? c->decimal : 0);
	}
	ml_out_lit(o, "}");
}

/* Is the default a number as a whole?  An expression of the same column is not. */
static bool
number_of(struct ml_text t, long double *v)
{
	char *end;

	if (t.len == 0)
		return false;
	*v = strtold(t.s, &end);
	return end == t.s + t.len && isfinite(*v);
}

/* The default as JSON; false, and nothing written, if the schema shall have none (protocols.md 8.4). */
static bool
put_default(struct ml_out *o, const struct ml_column *c, const struct av_rules *rules)
{
	enum av_how how = av_how(c, rules);
	char *end;
	long double v;

	if (!c->has_default || how == AV_DECIMAL || (c->dflt.len == 4 && memcmp(c->dflt.s, "null", 4) == 0))
		return false;
	switch (how) {
	case AV_LONG:
		if (!number_of(c->dflt, &v))
			return false;
		if (v > (long double)INT64_MAX) {
			/* What the data does, too: the 64 bits as a signed number. */
			put_int(o, (int64_t)strtoull(c->dflt.s, &end, 10));
			return true;
		}
		put_int(o, llrintl(v));
		return true;
	case AV_FLOAT:
	case AV_DOUBLE:
		if (!number_of(c->dflt, &v))
			return false;
		o->p += ml_f64_text(ml_out_need(o, ML_FLOAT_TEXT_MAX),
			how == AV_FLOAT ? (double)strtof(c->dflt.s, &end) : strtod(c->dflt.s, &end), ML_FLOAT_J);
		return true;
	default:
		if (how == AV_BIT || ml_column_is_binary(c)) {
			ml_out_lit(o, "\"");
			ml_base64(o, c->dflt.s, c->dflt.len);
			ml_out_lit(o, "\"");
		} else {
			put_string(o, c->dflt.s, c->dflt.len);
		}
		return true;
	}
}

bool
av_value_first(const struct ml_column *c, const struct av_rules *rules)
{
	struct ml_arena a;
	struct ml_out o;
	bool has;

	ml_arena_init(&a, 0);
	ml_out_begin(&o, &a);
	has = put_default(&o, c, rules);
	ml_arena_fini(&a);
	return has;
}

static void
put_field(struct ml_out *o, const struct ml_column *c, const struct av_rules *rules)
{
	bool nullable = c->flags & ML_F_NULLABLE, has;
	size_t at = ml_out_len(o);

	ml_out_lit(o, "{\"default\":");
	has = put_default(o, c, rules);
	if (!has && nullable) {
		ml_out_lit(o, "null");
	} else if (!has) {
		o->p = o->start + at;
		ml_out_lit(o, "{");
	}
	if (has || nullable)
		ml_out_lit(o, ",");
	ml_out_lit(o, "\"name\":\"");
	ml_connect_name(o, c->name);
	ml_out_lit(o, "\",\"type\":");
	if (nullable && has)
		ml_out_lit(o, "[");
	else if (nullable)
		ml_out_lit(o, "[\"null\",");
	put_type(o, c, rules);
	if (nullable && has)
		ml_out_lit(o, ",\"null\"]");
	else if (nullable)
		ml_out_lit(o, "]");
	ml_out_lit(o, "}");
}

void
av_schema_text(struct ml_out *o, const struct ml_schema *s, const uint16_t *cols, uint16_t n_cols,
	const struct av_rules *rules, bool extension)
{
	ml_out_lit(o, "{\"type\":\"record\",\"name\":\"");
	ml_connect_name(o, s->table);
	ml_out_lit(o, "\",\"namespace\":\"");
	ml_connect_name(o, rules->namespace);
	if (s->db.len > 0) {
		ml_out_lit(o, ".");
		ml_connect_name(o, s->db);
	}
	ml_out_lit(o, "\",\"fields\":[");
	for (int i = 0; i < n_cols; i++) {
		if (i > 0)
			ml_out_lit(o, ",");
		put_field(o, &s->columns[cols[i]], rules);
	}
	if (extension && rules->extension) {
		if (n_cols > 0)
			ml_out_lit(o, ",");
		ml_out_lit(o, "{\"default\":\"\",\"name\":\"_tidb_op\",\"type\":\"string\"},"
			      "{\"default\":0,\"name\":\"_tidb_commit_ts\",\"type\":\"long\"},"
			      "{\"default\":0,\"name\":\"_tidb_commit_physical_time\",\"type\":\"long\"}");
		if (rules->checksum)
			ml_out_lit(o, ",{\"default\":\"\",\"name\":\"_tidb_row_level_checksum\",\"type\":\"string\"},"
				      "{\"default\":false,\"name\":\"_tidb_corrupted\",\"type\":\"boolean\"},"
				      "{\"default\":0,\"name\":\"_tidb_checksum_version\",\"type\":\"int\"}");
	}
	ml_out_lit(o, "]}");
}
