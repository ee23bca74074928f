#include "capture-worker/encoder/avro/value.h"

#include <stdio.h>

#include "capture-worker/encoder/avro/schema_text.h"
#include "capture-worker/encoder/avro_bin.h"
#include "common/text/num.h"

/* Digits that one step takes: 10^18 has room in 64 bits. */
#define STEP_DIGITS 18
#define LIMBS 5

static int
bad(const struct av_field *f, const char *what, struct ml_err *err)
{
	char text[256];

	snprintf(text, sizeof(text), "column %.*s: %s", (int)f->column->name.len, f->column->name.s, what);
	return ML_ERR(err, ErrAvroEncodeFailed, 0, text);
}

/* The shortest two's complement form of the n bytes at s, most significant first. */
static void
put_shortest(struct ml_out *o, const uint8_t *s, size_t n)
{
	for (; n > 1 && ((s[0] == 0 && s[1] < 0x80) || (s[0] == 0xFF && s[1] >= 0x80)); n--)
		s++;
	ml_avro_bytes(o, (const char *)s, n);
}

static void
put_long_decimal(struct ml_out *o, const uint64_t limb[LIMBS], bool negative)
{
	uint8_t bytes[8 * LIMBS];
	uint64_t carry = negative;

	for (int i = 0; i < LIMBS; i++) {
		uint64_t v = negative ? ~limb[i] + carry : limb[i];
		uint64_t be = __builtin_bswap64(v);

		carry = negative && carry && v == 0;
		memcpy(bytes + 8 * (LIMBS - 1 - i), &be, 8);
	}
	put_shortest(o, bytes, sizeof(bytes));
}

/* value * 10^scale as a whole number; the text has exactly scale digits behind the point. */
static int
put_decimal(struct ml_out *o, const struct av_field *f, const struct ml_datum *d, struct ml_err *err)
{
	const char *s = d->s, *end = s + d->len;
	uint64_t limb[LIMBS] = { 0 };
	unsigned used = 1;
	bool negative = s < end && *s == '-';

	s += negative;
	if (s == end)
		return bad(f, "not a decimal number", err);
	while (s < end) {
		uint64_t chunk = 0, factor = 1;

		for (int n = 0; s < end && n < STEP_DIGITS; s++) {
			if (*s == '.')
				continue;
			if (*s < '0' || *s > '9')
				return bad(f, "not a decimal number", err);
			chunk = chunk * 10 + (uint64_t)(*s - '0');
			factor *= 10;
			n++;
		}
		for (unsigned i = 0; i < used; i++) {
			unsigned __int128 v = (unsigned __int128)limb[i] * factor + chunk;

			limb[i] = (uint64_t)v;
			chunk = (uint64_t)(v >> 64);
		}
		if (chunk > 0) {
			/* The top limb stays free for the sign. */
			if (used == LIMBS - 1)
				return bad(f, "too many digits", err);
			limb[used++] = chunk;
		}
	}
	if (used == 1 && limb[0] <= INT64_MAX) {
		uint64_t be = __builtin_bswap64(negative ? -limb[0] : limb[0]);
		uint8_t bytes[8];

		memcpy(bytes, &be, 8);
		put_shortest(o, bytes, 8);
		return 0;
	}
	put_long_decimal(o, limb, negative);
	return 0;
}

/* Big-endian without leading zero bytes, at least one; the column's width does not show. */
static void
put_bits(struct ml_out *o, uint64_t v)
{
	unsigned n = (unsigned)(63 - __builtin_clzll(v | 1)) / 8 + 1;
	uint64_t be = __builtin_bswap64(v);
	char bytes[8];

	memcpy(bytes, &be, 8);
	ml_avro_bytes(o, bytes + 8 - n, n);
}

static int
put_enum(struct ml_out *o, const struct av_field *f, uint64_t index, struct ml_err *err)
{
	if (index == 0 || index > f->column->n_elems)
		return bad(f, "no such element of the enum", err);
	ml_avro_text(o, f->column->elems[index - 1]);
	return 0;
}

static int
put_set(struct ml_out *o, const struct av_field *f, uint64_t bits, struct ml_err *err)
{
	const struct ml_text *elems = f->column->elems;
	size_t len = 0;
	char *p;

	if (f->column->n_elems < 64 && bits >> f->column->n_elems != 0)
		return bad(f, "no such element of the set", err);
	for (uint64_t b = bits; b != 0; b &= b - 1)
		len += elems[__builtin_ctzll(b)].len + 1;
	len -= len > 0;
	p = ml_avro_int(ml_out_need(o, ML_UVARINT_MAX + len), (int64_t)len);
	for (uint64_t b = bits; b != 0; b &= b - 1) {
		const struct ml_text *t = &elems[__builtin_ctzll(b)];

		if (b != bits)
			*p++ = ',';
		memcpy(p, t->s, t->len);
		p += t->len;
	}
	o->p = p;
	return 0;
}

int
av_put_value(struct ml_out *o, const struct av_field *f, const struct ml_datum *d, struct ml_err *err)
{
	char *p;

	if (d->kind == ML_D_NULL) {
		if (!f->nullable)
			return bad(f, "NULL in a NOT NULL column", err);
		*ml_out_need(o, 1) = f->null_branch;
		o->p++;
		return 0;
	}
	p = ml_out_need(o, 1 + ML_UVARINT_MAX + ML_INT_TEXT_MAX);
	*p = f->value_branch;
	o->p = p + f->nullable;
	switch ((enum av_how)f->how) {
	case AV_LONG:
		o->p = ml_avro_int(o->p, d->i);
		return 0;
	case AV_U64_TEXT:
		/* At most 20 characters: the length is one byte. */
		p = o->p;
		o->p += 1 + ml_u64_text(p + 1, d->u);
		*p = (char)(2 * (o->p - p - 1));
		return 0;
	case AV_FLOAT:
		ml_avro_float(o, d->f32);
		return 0;
	case AV_DOUBLE:
		ml_avro_double(o, d->f64);
		return 0;
	case AV_BIT:
		put_bits(o, d->u);
		return 0;
	case AV_DECIMAL:
		return put_decimal(o, f, d, err);
	case AV_ENUM:
		return put_enum(o, f, d->u, err);
	case AV_SET:
		return put_set(o, f, d->u, err);
	case AV_BYTES:
		ml_avro_bytes(o, d->s, d->len);
		return 0;
	}
	return bad(f, "unknown type", err);
}
