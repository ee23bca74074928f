#include "capture-worker/shaper/constant.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS "0123456789"

static int
text_datum(struct ml_datum *out, struct ml_arena *a, const char *s, size_t len)
{
	*out = (struct ml_datum){ .kind = ML_D_BYTES, .s = ml_arena_strndup(a, s, len), .len = (uint32_t)len };
	return 0;
}

static unsigned
int_bits(const struct ml_column *c)
{
	switch (c->type) {
	case ML_T_TINY:
		return 8;
	case ML_T_SHORT:
		return 16;
	case ML_T_INT24:
		return 24;
	case ML_T_LONG:
		return 32;
	case ML_T_BIT:
		return c->flen > 0 && c->flen < 64 ? (unsigned)c->flen : c->flen == 64 ? 64 : 1;
	default:
		return 64;
	}
}

static int
integer(struct ml_datum *out, const struct ml_column *c, const char *s)
{
	bool is_unsigned = c->type == ML_T_BIT || (c->flags & ML_F_UNSIGNED && c->type != ML_T_YEAR);
	unsigned bits = int_bits(c);
	char *end;

	errno = 0;
	if (is_unsigned) {
		uint64_t v = strtoull(s, &end, 10);

		if (s[0] == '-' || *end != '\0' || errno != 0 || (bits < 64 && v >> bits != 0))
			return -1;
		*out = (struct ml_datum){ .kind = ML_D_U64, .u = v };
	} else {
		int64_t v = strtoll(s, &end, 10), bound = INT64_C(1) << (bits - 1 < 63 ? bits - 1 : 62);

		if (*end != '\0' || errno != 0 || (bits < 64 && (v >= bound || v < -bound)) ||
			(c->type == ML_T_YEAR && v != 0 && (v < 1901 || v > 2155)))
			return -1;
		*out = (struct ml_datum){ .kind = ML_D_I64, .i = v };
	}
	return 0;
}

static int
floating(struct ml_datum *out, const struct ml_column *c, const char *s)
{
	char *end;
	double v = strtod(s, &end);

	if (*end != '\0' || !isfinite(v) || (c->type == ML_T_FLOAT && !isfinite((float)v)))
		return -1;
	*out = c->type == ML_T_FLOAT ? (struct ml_datum){ .kind = ML_D_F32, .f32 = (float)v }
				     : (struct ml_datum){ .kind = ML_D_F64, .f64 = v };
	return 0;
}

/* -12.5 as the column has it: -12.5000. */
static int
decimal(struct ml_datum *out, const struct ml_column *c, const char *s, struct ml_arena *a)
{
	size_t scale = c->decimal > 0 ? (size_t)c->decimal : 0, precision = c->flen > 0 ? (size_t)c->flen : 10;
	size_t sign = *s == '-', whole = strspn(s + sign, DIGITS), fraction = 0, n;
	const char *rest = s + sign + whole;
	char text[100];

	if (sign && (c->flags & ML_F_UNSIGNED))
		return -1;
	if (*rest == '.') {
		fraction = strspn(rest + 1, DIGITS);
		rest += 1 + fraction;
	}
	/* JSON has no leading zeros; a 0 before the point takes no digit. */
	if (*rest != '\0' || fraction > scale || (s[sign] == '0' ? 0 : whole) > precision - scale ||
		sign + whole + scale + 2 > sizeof(text))
		return -1;
	n = sign + whole;
	memcpy(text, s, n);
	if (scale > 0) {
		text[n++] = '.';
		memcpy(text + n, s + sign + whole + (fraction > 0), fraction);
		memset(text + n + fraction, '0', scale - fraction);
		n += scale;
	}
	return text_datum(out, a, text, n);
}

static bool
two_digits(const char *s, int most)
{
	return s[0] >= '0' && s[0] <= '9' && s[1] >= '0' && s[1] <= '9' && (s[0] - '0') * 10 + s[1] - '0' <= most;
}

/* YYYY-MM-DD, and for times hh:mm:ss[.ffffff] behind it. */
static int
date(struct ml_datum *out, const struct ml_column *c, const char *s, size_t len, struct ml_arena *a)
{
	size_t scale = c->type != ML_T_DATE && c->decimal > 0 ? (size_t)c->decimal : 0,
	       n = c->type == ML_T_DATE ? 10 : 19;
	char text[32];

	if (scale > 6 || len < n || len > n + (scale > 0 ? 1 + scale : 0) || !two_digits(s, 99) ||
		!two_digits(s + 2, 99) || s[4] != '-' || !two_digits(s + 5, 12) || s[7] != '-' ||
		!two_digits(s + 8, 31))
		return -1;
	if (n == 19 && (s[10] != ' ' || !two_digits(s + 11, 23) || s[13] != ':' || !two_digits(s + 14, 59) ||
			       s[16] != ':' || !two_digits(s + 17, 59)))
		return -1;
	if (len > n && (s[n] != '.' || len == n + 1 || strspn(s + n + 1, DIGITS) != len - n - 1))
		return -1;
	memcpy(text, s, len);
	if (scale > 0) {
		text[n] = '.';
		if (len == n)
			len++;
		memset(text + len, '0', n + 1 + scale - len);
		len = n + 1 + scale;
	}
	return text_datum(out, a, text, len);
}

int
ml_constant_of(struct ml_datum *out, const struct ml_column *c, bool string, enum ml_json_type type, const char *s,
	size_t len, struct ml_arena *a)
{
	if (type == ML_JSON_NULL) {
		*out = (struct ml_datum){ .kind = ML_D_NULL };
		return c->flags & ML_F_NULLABLE ? 0 : -1;
	}
	if (type == ML_JSON_STRING && string)
		return text_datum(out, a, s, len);
	switch (c->type) {
	case ML_T_TINY:
	case ML_T_SHORT:
	case ML_T_INT24:
	case ML_T_LONG:
	case ML_T_LONGLONG:
	case ML_T_YEAR:
	case ML_T_BIT:
		return type == ML_JSON_NUMBER ? integer(out, c, s) : -1;
	case ML_T_FLOAT:
	case ML_T_DOUBLE:
		return type == ML_JSON_NUMBER ? floating(out, c, s) : -1;
	case ML_T_DECIMAL:
		return type == ML_JSON_NUMBER ? decimal(out, c, s, a) : -1;
	case ML_T_DATE:
	case ML_T_DATETIME:
	case ML_T_TIMESTAMP:
		return type == ML_JSON_STRING ? date(out, c, s, len, a) : -1;
	default:
		return -1;
	}
}
