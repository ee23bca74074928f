#include "capture-worker/mounter/json_binary.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "capture-worker/mounter/tablemap.h"
#include "capture-worker/mounter/value.h"
#include "common/text/num.h"

enum {
	SMALL_OBJECT = 0,
	LARGE_OBJECT,
	SMALL_ARRAY,
	LARGE_ARRAY,
	LITERAL,
	INT16,
	UINT16,
	INT32,
	UINT32,
	INT64,
	UINT64,
	DOUBLE,
	STRING,
	OPAQUE = 15,
};

#define DEPTH_MAX 100 /* the servers' own limit */

/*
 * Text grows at the arena's end.  Values are found by offsets, which a broken document may let point to one place many times;
 * a sound one has at least three bytes for every value and every string byte once, which bounds the work.
 */
struct out {
	struct ml_arena *a;
	char *start, *p;
	size_t values_left, string_bytes_left;
};

static void
need(struct out *o, size_t n)
{
	size_t used = (size_t)(o->p - o->start);
	char *old = o->start;

	if ((size_t)(o->a->end - o->p) >= n)
		return;
	ml_arena_grow(o->a, 2 * (used + n));
	o->start = o->a->p;
	if (used > 0)
		memcpy(o->start, old, used);
	o->p = o->start + used;
}

static void
put(struct out *o, const char *s, size_t n)
{
	need(o, n);
	memcpy(o->p, s, n);
	o->p += n;
}

static bool
put_string(struct out *o, const uint8_t *s, size_t n)
{
	static const char hex[] = "0123456789abcdef";

	if (n > o->string_bytes_left)
		return false;
	o->string_bytes_left -= n;
	need(o, 6 * n + 2);
	*o->p++ = '"';
	for (size_t i = 0; i < n; i++) {
		uint8_t c = s[i];
		const char *at = c != 0 ? strchr("\"\"\\\\\bb\ff\nn\rr\tt", c) : NULL;

		if (c >= 0x20 && c != '"' && c != '\\') {
			*o->p++ = (char)c;
		} else if (at != NULL) {
			*o->p++ = '\\';
			*o->p++ = at[1];
		} else {
			memcpy(o->p, "\\u00", 4);
			o->p[4] = hex[c >> 4];
			o->p[5] = hex[c & 15];
			o->p += 6;
		}
	}
	*o->p++ = '"';
	return true;
}

/* The fewest digits; plain from 1e-15 to below 1e15, with ".0" if integral; else with an exponent. */
static void
put_double(struct out *o, double d)
{
	char plain[ML_FLOAT_TEXT_MAX], digits[ML_FLOAT_TEXT_MAX];
	size_t n, n_digits = 0, i = 0;
	int point = 0, exponent;
	bool fraction = false;
	double size = fabs(d);

	if (!isfinite(d))
		d = size = 0;
	n = ml_f64_text(plain, d, ML_FLOAT_F);
	need(o, n + 32);
	if (size == 0 || (size >= 1e-15 && size < 1e15)) {
		memcpy(o->p, plain, n);
		o->p += n;
		if (memchr(plain, '.', n) == NULL) {
			memcpy(o->p, ".0", 2);
			o->p += 2;
		}
		return;
	}
	if (plain[0] == '-') {
		*o->p++ = '-';
		i = 1;
	}
	for (; i < n; i++) {
		if (plain[i] == '.') {
			fraction = true;
			continue;
		}
		if (n_digits > 0 || plain[i] != '0')
			digits[n_digits++] = plain[i];
		else if (fraction)
			point--; /* zeros behind the point, before the first digit */
		if (!fraction && n_digits > 0)
			point++;
	}
	exponent = point - 1;
	while (n_digits > 1 && digits[n_digits - 1] == '0')
		n_digits--;
	*o->p++ = digits[0];
	if (n_digits > 1) {
		*o->p++ = '.';
		memcpy(o->p, digits + 1, n_digits - 1);
		o->p += n_digits - 1;
	}
	*o->p++ = 'e';
	o->p += ml_i64_text(o->p, exponent);
}

static void
put_base64(struct out *o, uint8_t type, const uint8_t *s, size_t n)
{
	static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	put(o, "\"base64:type", 12);
	need(o, n / 3 * 4 + 16);
	o->p += ml_u64_text(o->p, type);
	*o->p++ = ':';
	for (; n >= 3; s += 3, n -= 3) {
		*o->p++ = set[s[0] >> 2];
		*o->p++ = set[(s[0] & 3) << 4 | s[1] >> 4];
		*o->p++ = set[(s[1] & 15) << 2 | s[2] >> 6];
		*o->p++ = set[s[2] & 63];
	}
	if (n > 0) {
		*o->p++ = set[s[0] >> 2];
		*o->p++ = set[(s[0] & 3) << 4 | (n > 1 ? s[1] >> 4 : 0)];
		*o->p++ = n > 1 ? set[(s[1] & 15) << 2] : '=';
		*o->p++ = '=';
	}
	*o->p++ = '"';
}

static uint64_t
le(const uint8_t *p, unsigned n)
{
	uint64_t v = 0;

	while (n-- > 0)
		v = v << 8 | p[n];
	return v;
}

/* Seven bits a byte, least first; false: not ended within five bytes or n. */
static bool
read_varlen(const uint8_t **p, const uint8_t *end, size_t *out)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < 5 && *p < end; i++) {
		uint8_t b = *(*p)++;

		v |= (uint64_t)(b & 0x7F) << (7 * i);
		if (!(b & 0x80)) {
			*out = (size_t)v;
			return v <= UINT32_MAX;
		}
	}
	return false;
}

static bool
put_opaque(struct out *o, const uint8_t *p, const uint8_t *end)
{
	char text[ML_VALUE_MAX], *stop;
	uint8_t type;
	size_t n;

	if (p == end)
		return false;
	type = *p++;
	if (!read_varlen(&p, end, &n) || n > (size_t)(end - p) || n > o->string_bytes_left)
		return false;
	o->string_bytes_left -= n;
	switch (type) {
	case ML_BT_NEWDECIMAL:
		if (n < 2 || p[0] == 0 || p[0] > 65 || p[1] > 38 || p[1] > p[0] ||
			n != 2 + ml_decimal_bytes(p[0], p[1]))
			return false;
		stop = ml_decimal_text(text, p + 2, p[0], p[1]);
		if (stop == NULL)
			return false;
		put(o, text, (size_t)(stop - text));
		return true;
	case ML_BT_DATE:
	case ML_BT_TIME:
	case ML_BT_DATETIME:
	case ML_BT_TIMESTAMP:
		if (n != 8 || (stop = ml_packed_temporal_text(text, (int64_t)le(p, 8), type)) == NULL)
			return false;
		put(o, "\"", 1);
		put(o, text, (size_t)(stop - text));
		put(o, "\"", 1);
		return true;
	default:
		put_base64(o, type, p, n);
		return true;
	}
}

static bool put_value(struct out *o, uint8_t type, const uint8_t *p, const uint8_t *end, int depth);

/* All offsets count from p. */
static bool
put_container(struct out *o, bool object, unsigned w, const uint8_t *p, const uint8_t *end, int depth)
{
	size_t count, size, key_size = object ? w + 2u : 0, value_size = 1 + w;
	const uint8_t *keys, *values;

	if (depth > DEPTH_MAX || (size_t)(end - p) < 2 * w)
		return false;
	count = (size_t)le(p, w);
	size = (size_t)le(p + w, w);
	if (size > (size_t)(end - p) || size < 2 * w || count > (size - 2 * w) / (key_size + value_size))
		return false;
	end = p + size;
	keys = p + 2 * w;
	values = keys + count * key_size;
	put(o, object ? "{" : "[", 1);
	for (size_t i = 0; i < count; i++) {
		const uint8_t *entry = values + i * value_size;
		uint8_t type = entry[0];

		if (i > 0)
			put(o, ", ", 2);
		if (object) {
			const uint8_t *key = keys + i * key_size;
			size_t at = (size_t)le(key, w), len = (size_t)le(key + w, 2);

			if (at > size || len > size - at || !put_string(o, p + at, len))
				return false;
			put(o, ": ", 2);
		}
		if (type == LITERAL || type == INT16 || type == UINT16 ||
			(w == 4 && (type == INT32 || type == UINT32))) {
			if (!put_value(o, type, entry + 1, entry + value_size, depth))
				return false;
		} else {
			size_t at = (size_t)le(entry + 1, w);

			if (at >= size || !put_value(o, type, p + at, end, depth))
				return false;
		}
	}
	put(o, object ? "}" : "]", 1);
	return true;
}

static bool
put_value(struct out *o, uint8_t type, const uint8_t *p, const uint8_t *end, int depth)
{
	static const uint8_t sizes[] = { [LITERAL] = 1,
		[INT16] = 2,
		[UINT16] = 2,
		[INT32] = 4,
		[UINT32] = 4,
		[INT64] = 8,
		[UINT64] = 8,
		[DOUBLE] = 8,
		[STRING] = 0 };
	size_t n;
	double d;

	if (o->values_left-- == 0)
		return false;
	if (type <= LARGE_ARRAY)
		return put_container(o, type <= LARGE_OBJECT, type & 1 ? 4 : 2, p, end, depth + 1);
	if (type < STRING && (size_t)(end - p) < sizes[type])
		return false;
	need(o, ML_INT_TEXT_MAX);
	switch (type) {
	case LITERAL:
		if (*p > 2)
			return false;
		put(o, *p == 0 ? "null" : *p == 1 ? "true" : "false", *p == 2 ? 5 : 4);
		return true;
	case INT16:
		o->p += ml_i64_text(o->p, (int16_t)le(p, 2));
		return true;
	case INT32:
		o->p += ml_i64_text(o->p, (int32_t)le(p, 4));
		return true;
	case INT64:
		o->p += ml_i64_text(o->p, (int64_t)le(p, 8));
		return true;
	case UINT16:
	case UINT32:
	case UINT64:
		o->p += ml_u64_text(o->p, le(p, sizes[type]));
		return true;
	case DOUBLE:
		memcpy(&d, p, 8);
		put_double(o, d);
		return true;
	case STRING:
		return read_varlen(&p, end, &n) && n <= (size_t)(end - p) && put_string(o, p, n);
	case OPAQUE:
		return put_opaque(o, p, end);
	default:
		return false;
	}
}

const char *
ml_json_binary_text(struct ml_arena *a, const uint8_t *p, size_t n, size_t *out_len)
{
	struct out o = { .a = a, .start = a->p, .p = a->p, .values_left = n / 3 + 2, .string_bytes_left = n };

	if (n == 0) {
		*out_len = 4;
		return "null";
	}
	need(&o, 16);
	if (!put_value(&o, p[0], p + 1, p + n, 0))
		return NULL; /* what was written is free again: a->p has not moved */
	*out_len = (size_t)(o.p - o.start);
	a->p = o.p;
	return o.start;
}
