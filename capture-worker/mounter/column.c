#include "capture-worker/mounter/column.h"

#include <math.h>
#include <string.h>

#include "capture-worker/mounter/inflate.h"
#include "capture-worker/mounter/json_binary.h"
#include "common/text/num.h"

/* Is the definition's type one that the log's type can stand for? */
static bool
same_type(const struct ml_tm_column *tc, const struct ml_column *col)
{
	uint8_t t = col->type;

	switch (tc->real) {
	case ML_BT_TINY:
	case ML_BT_SHORT:
	case ML_BT_LONG:
	case ML_BT_LONGLONG:
	case ML_BT_INT24:
	case ML_BT_FLOAT:
	case ML_BT_DOUBLE:
	case ML_BT_YEAR:
	case ML_BT_BIT:
	case ML_BT_DATE:
	case ML_BT_ENUM:
	case ML_BT_SET:
	case ML_BT_JSON:
	case ML_BT_GEOMETRY:
	case ML_BT_NULL:
		return t == tc->real;
	case ML_BT_NEWDATE:
		return t == ML_T_DATE;
	case ML_BT_TIMESTAMP:
	case ML_BT_TIMESTAMP2:
		return t == ML_T_TIMESTAMP;
	case ML_BT_DATETIME:
	case ML_BT_DATETIME2:
		return t == ML_T_DATETIME;
	case ML_BT_TIME:
	case ML_BT_TIME2:
		return t == ML_T_TIME;
	case ML_BT_NEWDECIMAL:
		return t == ML_T_DECIMAL;
	case ML_BT_VECTOR:
		return t == ML_T_VECTOR;
	case ML_BT_VARCHAR:
	case ML_BT_VAR_STRING:
	case ML_BT_VARCHAR_COMPRESSED:
		return t == ML_T_VARCHAR || t == ML_T_VARSTRING || (t == ML_T_VECTOR && col->special == ML_SP_VECTOR);
	case ML_BT_BLOB:
	case ML_BT_BLOB_COMPRESSED:
		return t == ML_T_BLOB || t == ML_T_TINYBLOB || t == ML_T_MEDIUMBLOB || t == ML_T_LONGBLOB ||
		       t == ML_T_JSON;
	case ML_BT_STRING:
		return t == ML_T_STRING || col->special == ML_SP_INET4 || col->special == ML_SP_INET6 ||
		       col->special == ML_SP_UUID;
	default:
		return false;
	}
}

static const char *
plan_old_temporal(struct ml_coldec *cd, const struct ml_tm_column *tc, const struct ml_column *col)
{
	int digits = col != NULL ? col->decimal : -1;

	cd->op = tc->code == ML_BT_TIME       ? ML_COP_OLD_TIME
		 : tc->code == ML_BT_DATETIME ? ML_COP_OLD_DATETIME
					      : ML_COP_OLD_TIMESTAMP;
	if (digits < 0 || digits > 6)
		return "fraction digits of an old temporal column are not known";
	cd->scale = (uint8_t)digits;
	cd->size = (uint8_t)ml_old_temporal_bytes(tc->code, (unsigned)digits);
	return NULL;
}

static void
plan_integer(struct ml_coldec *cd, unsigned size, bool is_unsigned)
{
	static const uint8_t sign[9] = { 0, ML_COP_I8, ML_COP_I16, ML_COP_I24, ML_COP_I32, 0, 0, 0, ML_COP_I64 };
	static const uint8_t unsign[9] = { 0, ML_COP_U8, ML_COP_U16, ML_COP_U24, ML_COP_U32, 0, 0, 0, ML_COP_U64 };

	cd->op = is_unsigned ? unsign[size] : sign[size];
	cd->size = (uint8_t)size;
}

/* STRING, VARCHAR and BLOB before their charset is looked at. */
static const char *
plan_bytes(struct ml_coldec *cd, const struct ml_tm_column *tc, const struct ml_column *col)
{
	cd->size = tc->prefix;
	cd->op = ML_COP_BYTES;
	switch (col != NULL ? col->special : ML_SP_NONE) {
	case ML_SP_INET4:
		cd->op = ML_COP_INET4;
		return tc->length == 4 ? NULL : "INET4 of a size other than 4";
	case ML_SP_INET6:
		cd->op = ML_COP_INET6;
		return tc->length == 16 ? NULL : "INET6 of a size other than 16";
	case ML_SP_UUID:
		cd->op = ML_COP_UUID;
		return tc->length == 16 ? NULL : "UUID of a size other than 16";
	case ML_SP_VECTOR:
		cd->op = ML_COP_VECTOR;
		return NULL;
	default:
		return NULL;
	}
}

const char *
ml_coldec_plan(struct ml_coldec *cd, const struct ml_tm_column *tc, const struct ml_column *col)
{
	bool is_unsigned = tc->is_unsigned;

	*cd = (struct ml_coldec){ .out = -1, .precision = tc->precision, .scale = tc->scale };
	if (col != NULL && !same_type(tc, col))
		return "a column is of another type";
	switch (tc->real) {
	case ML_BT_TINY:
		plan_integer(cd, 1, is_unsigned);
		return NULL;
	case ML_BT_SHORT:
		plan_integer(cd, 2, is_unsigned);
		return NULL;
	case ML_BT_INT24:
		plan_integer(cd, 3, is_unsigned);
		return NULL;
	case ML_BT_LONG:
		plan_integer(cd, 4, is_unsigned);
		return NULL;
	case ML_BT_LONGLONG:
		plan_integer(cd, 8, is_unsigned);
		return NULL;
	case ML_BT_FLOAT:
	case ML_BT_DOUBLE:
		cd->op = tc->length == 4 ? ML_COP_F32 : ML_COP_F64;
		cd->size = (uint8_t)tc->length;
		return NULL;
	case ML_BT_YEAR:
		cd->op = ML_COP_YEAR;
		cd->size = 1;
		return NULL;
	case ML_BT_DATE:
	case ML_BT_NEWDATE:
		cd->op = ML_COP_DATE;
		cd->size = 3;
		return NULL;
	case ML_BT_TIMESTAMP:
	case ML_BT_TIME:
	case ML_BT_DATETIME:
		return plan_old_temporal(cd, tc, col);
	case ML_BT_TIMESTAMP2:
		cd->op = ML_COP_TIMESTAMP2;
		cd->size = (uint8_t)(4 + ml_fraction_bytes(tc->scale));
		return NULL;
	case ML_BT_DATETIME2:
		cd->op = ML_COP_DATETIME2;
		cd->size = (uint8_t)(5 + ml_fraction_bytes(tc->scale));
		return NULL;
	case ML_BT_TIME2:
		cd->op = ML_COP_TIME2;
		cd->size = (uint8_t)(3 + ml_fraction_bytes(tc->scale));
		return NULL;
	case ML_BT_BIT:
		cd->op = ML_COP_BIT;
		cd->size = (uint8_t)((tc->precision + 7) / 8);
		return NULL;
	case ML_BT_NEWDECIMAL:
		cd->op = ML_COP_DECIMAL;
		cd->size = (uint8_t)ml_decimal_bytes(tc->precision, tc->scale);
		return NULL;
	case ML_BT_ENUM:
	case ML_BT_SET:
		cd->op = ML_COP_ULE;
		cd->size = tc->prefix;
		return NULL;
	case ML_BT_STRING:
	case ML_BT_VARCHAR:
	case ML_BT_VAR_STRING:
	case ML_BT_BLOB:
		return plan_bytes(cd, tc, col);
	case ML_BT_BLOB_COMPRESSED:
	case ML_BT_VARCHAR_COMPRESSED:
		cd->op = ML_COP_COMPRESSED;
		cd->size = tc->prefix;
		return NULL;
	case ML_BT_GEOMETRY:
		cd->op = ML_COP_BYTES;
		cd->size = tc->prefix;
		return NULL;
	case ML_BT_JSON:
		cd->op = ML_COP_JSON;
		cd->size = tc->prefix;
		return NULL;
	case ML_BT_VECTOR:
		cd->op = ML_COP_VECTOR;
		cd->size = tc->prefix;
		return NULL;
	default:
		cd->op = ML_COP_NOTHING;
		return NULL;
	}
}

static bool
give(struct ml_datum *d, const char *s, size_t len)
{
	d->kind = ML_D_BYTES;
	d->s = s;
	d->len = (uint32_t)len;
	return true;
}

static bool
refuse(struct ml_colenv *env, const char *why)
{
	env->bad = why;
	return false;
}

/* Text without the zeros at its end: they come back. */
static const uint8_t *
padded(struct ml_colenv *env, const uint8_t *p, size_t n, size_t width)
{
	uint8_t *out;

	if (n >= width)
		return p;
	out = (uint8_t *)ml_arena_bytes(env->arena, width);
	if (n > 0)
		memcpy(out, p, n);
	memset(out + n, 0, width - n);
	return out;
}

static bool
convert(const struct ml_coldec *cd, struct ml_colenv *env, struct ml_datum *d, const char *s, size_t n)
{
	size_t len = n;

	if (cd->conv != NULL)
		s = ml_charconv_utf8(cd->conv, env->arena, s, n, &len);
	return give(d, s, len);
}

/* A COMPRESSED column's value: nothing, a zero and plain bytes, or a descriptor and the stream. */
static bool
uncompress(const struct ml_coldec *cd, struct ml_colenv *env, struct ml_datum *d, const uint8_t *p, size_t n)
{
	const uint8_t *end = p + n;
	size_t plain;
	bool raw;
	char *out;

	if (n == 0)
		return give(d, (const char *)p, 0);
	if (*p == 0)
		return convert(cd, env, d, (const char *)p + 1, n - 1);
	if (ml_inflate_descriptor(&p, end, &plain, &raw) != 0)
		return refuse(env, "COMPRESSED value with an unknown header");
	out = ml_arena_bytes(env->arena, plain);
	if (ml_inflate_run(env->inflate, raw, p, (size_t)(end - p), (uint8_t *)out, plain) != 0)
		return refuse(env, "COMPRESSED value does not unpack");
	return convert(cd, env, d, out, plain);
}

/* "[1,2.5,-3]" */
static bool
vector_text(struct ml_colenv *env, struct ml_datum *d, const uint8_t *p, size_t n)
{
	char *start, *out;

	if (n % 4 != 0)
		return refuse(env, "VECTOR of broken size");
	/* A float takes 49 characters at most, and a comma. */
	start = out = ml_arena_bytes(env->arena, n / 4 * 56 + ML_FLOAT_TEXT_MAX);
	*out++ = '[';
	for (size_t i = 0; i < n; i += 4) {
		float f;

		memcpy(&f, p + i, 4);
		if (i > 0)
			*out++ = ',';
		out += ml_f32_text(out, isfinite(f) ? f : 0, ML_FLOAT_F);
	}
	*out++ = ']';
	env->arena->p = out;
	return give(d, start, (size_t)(out - start));
}

static char *
fixed_text(const struct ml_coldec *cd, struct ml_colenv *env, char *out, const uint8_t *p)
{
	switch (cd->op) {
	case ML_COP_DECIMAL:
		return ml_decimal_text(out, p, cd->precision, cd->scale);
	case ML_COP_DATE:
		return ml_date_text(out, p);
	case ML_COP_TIME2:
		return ml_time2_text(out, p, cd->scale);
	case ML_COP_DATETIME2:
		return ml_datetime2_text(out, p, cd->scale);
	case ML_COP_TIMESTAMP2:
		return ml_timestamp2_text(&env->stamp, out, p, cd->scale);
	case ML_COP_OLD_TIME:
		return ml_old_time_text(out, p, cd->scale);
	case ML_COP_OLD_DATETIME:
		return ml_old_datetime_text(out, p, cd->scale);
	case ML_COP_OLD_TIMESTAMP:
		return ml_old_timestamp_text(&env->stamp, out, p, cd->scale);
	case ML_COP_INET4:
		return ml_inet4_text(out, p);
	case ML_COP_INET6:
		return ml_inet6_text(out, p);
	case ML_COP_UUID:
		return ml_uuid_text(out, p);
	default:
		return NULL;
	}
}

bool
ml_coldec_value(const struct ml_coldec *cd, struct ml_colenv *env, struct ml_datum *d, const uint8_t *p, size_t n)
{
	struct ml_arena *a = env->arena;
	const char *s;
	char *out, *end;
	size_t len;

	switch (cd->op) {
	case ML_COP_PADDED:
		return give(d, (const char *)padded(env, p, n, cd->width), n > cd->width ? n : cd->width);
	case ML_COP_TEXT:
		return convert(cd, env, d, (const char *)p, n);
	case ML_COP_COMPRESSED:
		return uncompress(cd, env, d, p, n);
	case ML_COP_JSON:
		s = ml_json_binary_text(a, p, n, &len);
		if (s == NULL) { /* servers before 5.7.22 logged generated columns cut short: NULL, not the end */
			d->kind = ML_D_NULL;
			return true;
		}
		return give(d, s, len);
	case ML_COP_VECTOR:
		return vector_text(env, d, p, n);
	case ML_COP_INET4:
	case ML_COP_INET6:
	case ML_COP_UUID:
		len = cd->op == ML_COP_INET4 ? 4 : 16;
		if (n > len)
			return refuse(env, "address longer than its type");
		p = padded(env, p, n, len);
		break;
	default:
		break;
	}
	if ((size_t)(a->end - a->p) < ML_VALUE_MAX)
		ml_arena_grow(a, ML_VALUE_MAX);
	out = a->p;
	end = fixed_text(cd, env, out, p);
	if (end == NULL)
		return refuse(env, "value out of its type's range");
	a->p = end;
	return give(d, out, (size_t)(end - out));
}
