#include "capture-worker/encoder/debezium/field.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "capture-worker/encoder/connect_name.h"
#include "capture-worker/encoder/debezium/when.h"
#include "capture-worker/encoder/java_type.h"
#include "capture-worker/encoder/text/base64.h"
#include "capture-worker/encoder/text/escape.h"
#include "common/text/num.h"

enum dbz_how
dbz_how(const struct ml_column *c)
{
	switch (c->type) {
	case ML_T_TINY:
	case ML_T_SHORT:
	case ML_T_INT24:
	case ML_T_LONG:
	case ML_T_LONGLONG:
	case ML_T_YEAR:
		return DBZ_INT;
	case ML_T_FLOAT:
		return DBZ_FLOAT;
	case ML_T_DOUBLE:
		return DBZ_DOUBLE;
	case ML_T_DECIMAL:
		return DBZ_DECIMAL;
	case ML_T_BIT:
		return c->flen > 1 ? DBZ_BITS : DBZ_BOOL;
	case ML_T_ENUM:
		return DBZ_ENUM;
	case ML_T_SET:
		return DBZ_SET;
	case ML_T_DATE:
		return DBZ_DATE;
	case ML_T_DATETIME:
		return c->decimal > 3 ? DBZ_DATETIME_US : DBZ_DATETIME_MS;
	case ML_T_TIMESTAMP:
		return DBZ_TIMESTAMP;
	case ML_T_TIME:
		return DBZ_TIME;
	default:
		return ml_column_is_binary(c) ? DBZ_BASE64 : DBZ_TEXT;
	}
}

void
dbz_put_string(struct ml_out *o, const char *s, size_t len)
{
	ml_out_lit(o, "\"");
	ml_escape_i(o, s, len);
	ml_out_lit(o, "\"");
}

static void
put_int(struct ml_out *o, int64_t v)
{
	o->p += ml_i64_text(ml_out_need(o, ML_INT_TEXT_MAX), v);
}

/* The whole text as a number. */
static bool
read_number(const char *s, uint32_t len, double *v)
{
	char buf[128], *end;

	if (len == 0 || len >= sizeof(buf) || strspn(s, "0123456789+-.eE") < len)
		return false;
	memcpy(buf, s, len);
	buf[len] = '\0';
	*v = strtod(buf, &end);
	return end == buf + len && isfinite(*v);
}

/* Decimal digits that a double always keeps: so many of them come out as they went in. */
#define KEPT_DIGITS 15

/*
 * Length of the text without zeros that say nothing, if reading and printing it as a double gives just this; else 0.  That is
 * so for plain numbers of few digits that are not zero and not so small that form J2 has an exponent.
 */
static uint32_t
plain(const char *s, uint32_t len)
{
	uint32_t i = len > 0 && s[0] == '-', start = i, digits = 0, point = 0, end;

	for (; i < len; i++) {
		if (s[i] == '.' && point == 0 && i > start)
			point = i;
		else if (s[i] >= '0' && s[i] <= '9')
			digits += digits > 0 || s[i] != '0';
		else
			return 0;
	}
	end = len;
	if (point != 0) {
		while (end > point + 1 && s[end - 1] == '0')
			end--;
		digits -= digits < len - end ? digits : len - end;
		if (end == point + 1)
			end = point;
	}
	/* The first digit of those that remain says something, or there is no other and a point behind it. */
	if (digits == 0 || digits > KEPT_DIGITS || (s[start] == '0' && (point != start + 1 || end - point > 7)))
		return 0;
	/* 0.0000001 is for the exponent form; 0.000001 is the first that is not. */
	return end;
}

bool
dbz_put_decimal(struct ml_out *o, const char *s, uint32_t len)
{
	uint32_t n = plain(s, len);
	char buf[128];
	double v;

	if (n > 0) {
		ml_out_put(o, s, n);
		return true;
	}
	if (len >= sizeof(buf))
		return false;
	/* Rows' texts have no end mark. */
	memcpy(buf, s, len);
	buf[len] = '\0';
	if (!read_number(buf, len, &v))
		return false;
	o->p += ml_f64_text(ml_out_need(o, ML_FLOAT_TEXT_MAX), v, ML_FLOAT_J2);
	return true;
}

void
dbz_put_bits(struct ml_out *o, uint64_t v, int n)
{
	uint8_t bytes[8];

	for (int i = 0; i < 8; i++)
		bytes[i] = (uint8_t)(v >> (8 * i));
	ml_base64(o, bytes, (size_t)(n < 1 ? 1 : n > 64 ? 64 : n) / 8 + (n % 8 != 0 && n < 64));
}

bool
dbz_bit_default(const struct ml_column *c, uint64_t *v)
{
	*v = 0;
	if (c->dflt.len == 0 || c->dflt.len > 8)
		return false;
	for (uint32_t i = 0; i < c->dflt.len; i++)
		*v = *v << 8 | (uint8_t)c->dflt.s[i];
	return true;
}

bool
dbz_default_is_now(const struct ml_column *c)
{
	return (c->type == ML_T_TIMESTAMP || c->type == ML_T_DATETIME) && c->dflt.len >= 17 &&
	       strncasecmp(c->dflt.s, "CURRENT_TIMESTAMP", 17) == 0;
}

static bool
has_default(const struct ml_column *c)
{
	return c->has_default && !c->default_expr;
}

/* `{"type":"..."` and what follows from the type up to, not including, `"field"`. */
static void
put_type(struct ml_out *o, const struct ml_column *c)
{
	bool is_unsigned = c->flags & ML_F_UNSIGNED;
	const char *type = "string", *name = NULL;
	int version = 1;

	switch (c->type) {
	case ML_T_TINY:
		type = "int16";
		break;
	case ML_T_SHORT:
		type = is_unsigned ? "int32" : "int16";
		break;
	case ML_T_INT24:
		type = "int32";
		break;
	case ML_T_LONG:
		type = is_unsigned ? "int64" : "int32";
		break;
	case ML_T_LONGLONG:
		type = "int64";
		break;
	case ML_T_FLOAT:
		type = c->decimal >= 0 ? "double" : "float";
		break;
	case ML_T_DOUBLE:
	case ML_T_DECIMAL:
		type = "double";
		break;
	case ML_T_BIT:
		type = c->flen > 1 ? "bytes" : "boolean";
		name = c->flen > 1 ? "io.debezium.data.Bits" : NULL;
		break;
	case ML_T_ENUM:
		name = "io.debezium.data.Enum";
		break;
	case ML_T_SET:
		name = "io.debezium.data.EnumSet";
		break;
	case ML_T_DATE:
		type = "int32";
		name = "io.debezium.time.Date";
		break;
	case ML_T_DATETIME:
		type = "int64";
		name = c->decimal > 3 ? "io.debezium.time.MicroTimestamp" : "io.debezium.time.Timestamp";
		break;
	case ML_T_TIMESTAMP:
		name = "io.debezium.time.ZonedTimestamp";
		break;
	case ML_T_TIME:
		type = "int64";
		name = "io.debezium.time.MicroTime";
		break;
	case ML_T_YEAR:
		type = "int32";
		name = "io.debezium.time.Year";
		break;
	case ML_T_JSON:
		name = "io.debezium.data.Json";
		break;
	case ML_T_VECTOR:
		name = "io.debezium.data.TiDBVectorFloat32";
		version = 0;
		break;
	default:
		break;
	}
	ml_out_lit(o, "{\"type\":\"");
	ml_out_put(o, type, strlen(type));
	if (c->flags & ML_F_NULLABLE)
		ml_out_lit(o, "\",\"optional\":true");
	else
		ml_out_lit(o, "\",\"optional\":false");
	if (name != NULL) {
		ml_out_lit(o, ",\"name\":\"");
		ml_out_put(o, name, strlen(name));
		ml_out_lit(o, "\"");
		if (version == 1)
			ml_out_lit(o, ",\"version\":1");
	}
}

static void
put_parameters(struct ml_out *o, const struct ml_column *c, enum dbz_how how)
{
	if (how == DBZ_BITS) {
		ml_out_lit(o, ",\"parameters\":{\"length\":\"");
		put_int(o, c->flen);
		ml_out_lit(o, "\"}");
	}
	if (how != DBZ_ENUM && how != DBZ_SET)
		return;
	ml_out_lit(o, ",\"parameters\":{\"allowed\":\"");
	for (int i = 0; i < c->n_elems; i++) {
		if (i > 0)
			ml_out_lit(o, ",");
		if (how == DBZ_ENUM) {
			char *buf = malloc(2 * (size_t)c->elems[i].len + 1);

			if (buf == NULL)
				abort();
			ml_escape_i(o, buf, ml_connect_element(buf, c->elems[i]));
			free(buf);
		} else {
			ml_escape_i(o, c->elems[i].s, c->elems[i].len);
		}
	}
	ml_out_lit(o, "\"}");
}

/* A day or instant that is none: 0 where NULL may not be; false: nothing is written. */
static bool
put_unreal(struct ml_out *o, const struct ml_column *c)
{
	if (c->flags & ML_F_NULLABLE)
		return false;
	ml_out_lit(o, "0");
	return true;
}

static bool
put_bit(struct ml_out *o, const struct ml_column *c, enum dbz_how how)
{
	uint64_t v;

	if (!dbz_bit_default(c, &v))
		return false;
	if (how == DBZ_BOOL && v != 0) {
		ml_out_lit(o, "true");
	} else if (how == DBZ_BOOL) {
		ml_out_lit(o, "false");
	} else {
		ml_out_lit(o, "\"");
		dbz_put_bits(o, v, c->flen);
		ml_out_lit(o, "\"");
	}
	return true;
}

static bool
put_date(struct ml_out *o, const struct ml_column *c)
{
	int64_t days;

	if (dbz_date(c->dflt.s, c->dflt.len, &days) != DBZ_REAL)
		return put_unreal(o, c);
	put_int(o, days);
	return true;
}

static bool
put_datetime(struct ml_out *o, const struct ml_column *c, enum dbz_how how)
{
	int64_t us;

	if (dbz_default_is_now(c)) {
		ml_out_lit(o, "0");
		return true;
	}
	switch (dbz_datetime(c->dflt.s, c->dflt.len, &us)) {
	case DBZ_REAL:
		/* No fraction is lost: there are three digits at most. */
		put_int(o, how == DBZ_DATETIME_US ? us : us / 1000);
		return true;
	case DBZ_UNREAL:
		return put_unreal(o, c);
	case DBZ_UNREADABLE:
		break;
	}
	ml_out_lit(o, "0");
	return true;
}

static bool
put_time(struct ml_out *o, const struct ml_column *c)
{
	int64_t us;

	if (!dbz_time(c->dflt.s, c->dflt.len, &us))
		return false;
	put_int(o, us);
	return true;
}

/* CURRENT_TIMESTAMP as the default of a TIMESTAMP. */
static bool
put_now(struct ml_out *o, const struct ml_column *c)
{
	if (c->flags & ML_F_NULLABLE)
		return false;
	ml_out_lit(o, DBZ_EPOCH);
	return true;
}

/* The default in the schema; false: none. */
static bool
put_default(struct ml_out *o, const struct ml_column *c, enum dbz_how how)
{
	int64_t us;
	double v;

	switch (how) {
	case DBZ_INT:
	case DBZ_FLOAT:
	case DBZ_DOUBLE:
	case DBZ_DECIMAL:
		if (!read_number(c->dflt.s, c->dflt.len, &v))
			return false;
		if (c->type == ML_T_YEAR)
			v += v < 70 ? 2000 : v < 100 ? 1900 : 0;
		o->p += ml_f64_text(ml_out_need(o, ML_FLOAT_TEXT_MAX), v, ML_FLOAT_J2);
		return true;
	case DBZ_BOOL:
	case DBZ_BITS:
		return put_bit(o, c, how);
	case DBZ_DATE:
		return put_date(o, c);
	case DBZ_DATETIME_MS:
	case DBZ_DATETIME_US:
		return put_datetime(o, c, how);
	case DBZ_TIMESTAMP:
		if (dbz_default_is_now(c))
			return put_now(o, c);
		switch (dbz_datetime(c->dflt.s, c->dflt.len, &us)) {
		case DBZ_UNREADABLE:
			ml_out_lit(o, "0");
			return true;
		case DBZ_UNREAL:
			ml_out_lit(o, DBZ_EPOCH);
			return true;
		case DBZ_REAL:
			break;
		}
		if (us < DBZ_TIMESTAMP_MIN_US)
			ml_out_lit(o, DBZ_EPOCH);
		else
			dbz_put_instant(o, us, c->decimal);
		return true;
	case DBZ_TIME:
		return put_time(o, c);
	case DBZ_TEXT:
	case DBZ_BASE64:
	case DBZ_ENUM:
	case DBZ_SET:
		break;
	}
	dbz_put_string(o, c->dflt.s, c->dflt.len);
	return true;
}

bool
dbz_put_field(struct ml_out *o, const struct ml_column *c)
{
	enum dbz_how how = dbz_how(c);
	uint64_t bits;
	size_t at;

	if (c->type == ML_T_BIT && has_default(c) && !dbz_bit_default(c, &bits))
		return false;
	put_type(o, c);
	put_parameters(o, c, how);
	ml_out_lit(o, ",\"field\":");
	dbz_put_string(o, c->name.s, c->name.len);
	if (has_default(c)) {
		at = ml_out_len(o);
		ml_out_lit(o, ",\"default\":");
		if (!put_default(o, c, how))
			o->p = o->start + at;
	}
	ml_out_lit(o, "}");
	return true;
}

/* The default as a value; false: none. */
static bool
put_default_value(struct ml_out *o, const struct ml_column *c, enum dbz_how how, const struct ml_tz *tz)
{
	const char *s = c->dflt.s;
	double v;

	switch (how) {
	case DBZ_INT:
		if (!read_number(s, c->dflt.len, &v))
			return false;
		/* As it stands in the schema's text: a string. */
		if (c->type == ML_T_YEAR)
			break;
		if (s[0] == '-')
			put_int(o, strtoll(s, NULL, 10));
		else
			put_int(o, (int64_t)strtoull(s, NULL, 10));
		return true;
	case DBZ_FLOAT:
		if (!read_number(s, c->dflt.len, &v) || fabs(v) > (double)FLT_MAX)
			return false;
		o->p += ml_f32_text(ml_out_need(o, ML_FLOAT_TEXT_MAX), (float)v, ML_FLOAT_J2);
		return true;
	case DBZ_DOUBLE:
	case DBZ_DECIMAL:
		return dbz_put_decimal(o, s, c->dflt.len);
	case DBZ_BOOL:
	case DBZ_BITS:
		return put_bit(o, c, how);
	case DBZ_BASE64:
		ml_out_lit(o, "\"");
		ml_base64(o, s, c->dflt.len);
		ml_out_lit(o, "\"");
		return true;
	case DBZ_DATE:
		return put_date(o, c);
	case DBZ_DATETIME_MS:
	case DBZ_DATETIME_US:
		return put_datetime(o, c, how);
	case DBZ_TIMESTAMP:
		if (dbz_default_is_now(c))
			return put_now(o, c);
		dbz_put_timestamp(o, s, c->dflt.len, tz);
		return true;
	case DBZ_TIME:
		return put_time(o, c);
	case DBZ_TEXT:
	case DBZ_ENUM:
	case DBZ_SET:
		break;
	}
	dbz_put_string(o, s, c->dflt.len);
	return true;
}

void
dbz_put_null(struct ml_out *o, const struct ml_column *c, const struct ml_tz *tz)
{
	if (!has_default(c) || !put_default_value(o, c, dbz_how(c), tz))
		ml_out_lit(o, "null");
}
