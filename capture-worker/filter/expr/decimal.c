#include "capture-worker/filter/expr/decimal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BASE 1000000000u

static const uint32_t pow10_[10] = { 1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000 };

static void
trim(struct ml_dec *d)
{
	while (d->n > 0 && d->w[d->n - 1] == 0)
		d->n--;
	if (d->n == 0)
		d->neg = false;
}

bool
ml_dec_is_zero(const struct ml_dec *d)
{
	return d->n == 0;
}

void
ml_dec_of_u64(struct ml_dec *d, uint64_t v)
{
	d->neg = false;
	d->scale = d->n = 0;
	for (; v > 0; v /= BASE)
		d->w[d->n++] = (uint32_t)(v % BASE);
}

void
ml_dec_of_i64(struct ml_dec *d, int64_t v)
{
	ml_dec_of_u64(d, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
	d->neg = v < 0;
}

/* d = d * m + add; false when the limbs are full. */
static bool
mul_small(struct ml_dec *d, uint32_t m, uint32_t add)
{
	uint64_t carry = add;

	for (int i = 0; i < d->n; i++) {
		carry += (uint64_t)d->w[i] * m;
		d->w[i] = (uint32_t)(carry % BASE);
		carry /= BASE;
	}
	if (carry > 0) {
		if (d->n == ML_DEC_LIMBS)
			return false;
		d->w[d->n++] = (uint32_t)carry;
	}
	return true;
}

/* d = d / m; the remainder. */
static uint32_t
div_small(struct ml_dec *d, uint32_t m)
{
	uint64_t r = 0;

	for (int i = d->n; i-- > 0;) {
		r = r * BASE + d->w[i];
		d->w[i] = (uint32_t)(r / m);
		r %= m;
	}
	while (d->n > 0 && d->w[d->n - 1] == 0)
		d->n--;
	return (uint32_t)r;
}

static bool
widen(struct ml_dec *d, int digits)
{
	for (; digits > 0; digits -= digits < 9 ? digits : 9)
		if (!mul_small(d, pow10_[digits < 9 ? digits : 9], 0))
			return false;
	return true;
}

static int
digits(const struct ml_dec *d)
{
	int n = 0;

	if (d->n == 0)
		return 0;
	for (uint32_t v = d->w[d->n - 1]; v > 0; v /= 10)
		n++;
	return n + 9 * (d->n - 1);
}

static int
cmp_limbs(const struct ml_dec *a, const struct ml_dec *b)
{
	if (a->n != b->n)
		return a->n < b->n ? -1 : 1;
	for (int i = a->n; i-- > 0;)
		if (a->w[i] != b->w[i])
			return a->w[i] < b->w[i] ? -1 : 1;
	return 0;
}

/* Both operands with the larger scale. */
static bool
align(struct ml_dec *x, struct ml_dec *y, const struct ml_dec *a, const struct ml_dec *b)
{
	*x = *a;
	*y = *b;
	if (a->scale < b->scale) {
		x->scale = b->scale;
		return widen(x, b->scale - a->scale);
	}
	y->scale = a->scale;
	return widen(y, a->scale - b->scale);
}

int
ml_dec_cmp(const struct ml_dec *a, const struct ml_dec *b)
{
	struct ml_dec x, y;
	int rc;

	if (a->neg != b->neg)
		return a->neg ? -1 : 1;
	if (a->scale == b->scale) {
		rc = cmp_limbs(a, b);
	} else {
		/* Digits are bounded, so widening cannot fail. */
		(void)align(&x, &y, a, b);
		rc = cmp_limbs(&x, &y);
	}
	return a->neg ? -rc : rc;
}

/* Limits of the type: integer digits beyond them are an overflow, fraction digits are rounded away. */
static bool
fit(struct ml_dec *d)
{
	trim(d);
	if (d->scale > ML_DEC_SCALE && !ml_dec_round(d, ML_DEC_SCALE, ML_DEC_HALF_UP))
		return false;
	return digits(d) <= ML_DEC_DIGITS;
}

bool
ml_dec_add(struct ml_dec *out, const struct ml_dec *a, const struct ml_dec *b, bool subtract)
{
	struct ml_dec x, y;

	if (!align(&x, &y, a, b))
		return false;
	if (subtract)
		y.neg = !y.neg;
	if (x.neg == y.neg) {
		uint32_t carry = 0;

		while (x.n < y.n)
			x.w[x.n++] = 0;
		while (y.n < x.n)
			y.w[y.n++] = 0;
		for (int i = 0; i < x.n; i++) {
			uint32_t v = x.w[i] + y.w[i] + carry;

			carry = v >= BASE;
			x.w[i] = carry ? v - BASE : v;
		}
		if (carry) {
			if (x.n == ML_DEC_LIMBS)
				return false;
			x.w[x.n++] = 1;
		}
	} else {
		uint32_t borrow = 0;

		if (cmp_limbs(&x, &y) < 0) {
			struct ml_dec t = x;

			x = y;
			y = t;
		}
		while (y.n < x.n)
			y.w[y.n++] = 0;
		for (int i = 0; i < x.n; i++) {
			uint32_t v = x.w[i] + BASE - y.w[i] - borrow;

			borrow = v < BASE;
			x.w[i] = borrow ? v : v - BASE;
		}
	}
	*out = x;
	return fit(out);
}

bool
ml_dec_mul(struct ml_dec *out, const struct ml_dec *a, const struct ml_dec *b)
{
	struct ml_dec x = { .neg = a->neg != b->neg, .scale = (uint8_t)(a->scale + b->scale) };

	if (a->n + b->n > ML_DEC_LIMBS)
		return false;
	memset(x.w, 0, sizeof(x.w));
	for (int i = 0; i < a->n; i++) {
		uint64_t carry = 0;

		for (int k = 0; k < b->n; k++) {
			carry += (uint64_t)a->w[i] * b->w[k] + x.w[i + k];
			x.w[i + k] = (uint32_t)(carry % BASE);
			carry /= BASE;
		}
		x.w[i + b->n] = (uint32_t)carry;
	}
	x.n = (uint8_t)(a->n + b->n);
	*out = x;
	return fit(out);
}

/* q = x / y, x becomes the remainder; Knuth's algorithm D in base 10^9. */
static void
divide(struct ml_dec *q, struct ml_dec *x, const struct ml_dec *by)
{
	struct ml_dec y = *by;
	uint32_t u[ML_DEC_LIMBS + 1], scale;
	int n = y.n, m;

	q->n = 0;
	if (cmp_limbs(x, by) < 0)
		return;
	if (n == 1) {
		uint32_t r;

		memcpy(q->w, x->w, sizeof(q->w));
		q->n = x->n;
		r = div_small(q, y.w[0]);
		x->n = r > 0;
		x->w[0] = r;
		return;
	}
	scale = BASE / (y.w[n - 1] + 1);
	(void)mul_small(&y, scale, 0); /* keeps its length */
	{
		uint64_t carry = 0;

		for (int i = 0; i < x->n; i++) {
			carry += (uint64_t)x->w[i] * scale;
			u[i] = (uint32_t)(carry % BASE);
			carry /= BASE;
		}
		u[x->n] = (uint32_t)carry;
	}
	m = x->n - n;
	for (int j = m; j >= 0; j--) {
		uint64_t top = (uint64_t)u[j + n] * BASE + u[j + n - 1];
		uint64_t guess = top / y.w[n - 1], rest = top % y.w[n - 1], carry = 0;
		int64_t borrow = 0;

		while (guess >= BASE || guess * y.w[n - 2] > rest * BASE + u[j + n - 2]) {
			guess--;
			rest += y.w[n - 1];
			if (rest >= BASE)
				break;
		}
		for (int i = 0; i < n; i++) {
			int64_t v;

			carry += guess * y.w[i];
			v = (int64_t)u[i + j] - (int64_t)(carry % BASE) + borrow;
			carry /= BASE;
			borrow = v < 0 ? -1 : 0;
			u[i + j] = (uint32_t)(v < 0 ? v + BASE : v);
		}
		{
			int64_t v = (int64_t)u[j + n] - (int64_t)carry + borrow;

			borrow = v < 0 ? -1 : 0;
			u[j + n] = (uint32_t)(v < 0 ? v + BASE : v);
		}
		if (borrow < 0) {
			uint32_t over = 0;

			guess--;
			for (int i = 0; i < n; i++) {
				uint32_t v = u[i + j] + y.w[i] + over;

				over = v >= BASE;
				u[i + j] = over ? v - BASE : v;
			}
			u[j + n] = (u[j + n] + over) % BASE;
		}
		q->w[j] = (uint32_t)guess;
	}
	q->n = (uint8_t)(m + 1);
	while (q->n > 0 && q->w[q->n - 1] == 0)
		q->n--;
	memcpy(x->w, u, (size_t)n * sizeof(u[0]));
	x->n = (uint8_t)n;
	(void)div_small(x, scale);
}

static int
words(int n)
{
	return (n + 8) / 9;
}

bool
ml_dec_div(struct ml_dec *out, const struct ml_dec *a, const struct ml_dec *b)
{
	struct ml_dec x = *a, q = { 0 };
	/* Four digits more than the dividend has, in whole words of nine: MySQL's own count. */
	int frac_a = 9 * words(a->scale), frac_b = 9 * words(b->scale),
	    more = 4 - (frac_a - a->scale + frac_b - b->scale), scale;

	if (more < 0)
		more = 0;
	scale = 9 * words(frac_a + frac_b + more);
	if (!widen(&x, scale + b->scale - a->scale))
		return false;
	divide(&q, &x, b);
	q.neg = a->neg != b->neg;
	q.scale = (uint8_t)scale;
	trim(&q);
	if (q.scale > ML_DEC_SCALE && !ml_dec_round(&q, ML_DEC_SCALE, ML_DEC_TRUNCATE))
		return false;
	*out = q;
	return digits(out) <= ML_DEC_DIGITS;
}

bool
ml_dec_mod(struct ml_dec *out, const struct ml_dec *a, const struct ml_dec *b)
{
	struct ml_dec x, y, q;

	if (!align(&x, &y, a, b))
		return false;
	divide(&q, &x, &y);
	x.neg = a->neg;
	trim(&x);
	*out = x;
	return true;
}

bool
ml_dec_round(struct ml_dec *d, int scale, enum ml_dec_mode mode)
{
	int drop = d->scale - scale, pad = scale < 0 ? -scale : 0;
	bool rest = false, half = false, up;

	if (scale > ML_DEC_SCALE)
		drop = d->scale - ML_DEC_SCALE;
	if (drop <= 0) {
		if (!widen(d, -drop))
			return false;
		d->scale = (uint8_t)(d->scale - drop);
		return true;
	}
	if (drop > digits(d) + 1) {
		rest = d->n > 0;
		d->n = 0;
	} else {
		for (; drop > 9; drop -= 9)
			rest |= div_small(d, BASE) != 0;
		if (drop > 1)
			rest |= div_small(d, pow10_[drop - 1]) != 0;
		{
			uint32_t last = div_small(d, 10);

			half = last >= 5;
			rest |= last != 0;
		}
	}
	up = mode == ML_DEC_HALF_UP ? half : mode == ML_DEC_TRUNCATE ? false : rest && (mode == ML_DEC_FLOOR) == d->neg;
	if (up && !mul_small(d, 1, 1))
		return false;
	if (!widen(d, pad))
		return false;
	d->scale = (uint8_t)(scale > 0 ? scale : 0);
	trim(d);
	return true;
}

size_t
ml_dec_parse(struct ml_dec *d, const char *s, size_t len)
{
	size_t i = 0, end;
	long exp = 0, scale = 0;
	int kept = 0;
	bool any = false, point = false, neg = false, large = false;

	*d = (struct ml_dec){ 0 };
	while (i < len && (s[i] == ' ' || (s[i] >= '\t' && s[i] <= '\r')))
		i++;
	if (i < len && (s[i] == '-' || s[i] == '+'))
		neg = s[i++] == '-';
	for (; i < len; i++) {
		if (s[i] == '.' && !point) {
			point = true;
			continue;
		}
		if (s[i] < '0' || s[i] > '9')
			break;
		any = true;
		/* Digits beyond what any number can hold only count for its size. */
		if (kept < ML_DEC_DIGITS + ML_DEC_SCALE + 9) {
			(void)mul_small(d, 10, (uint32_t)(s[i] - '0'));
			kept += d->n > 0;
			scale += point;
		} else {
			scale -= !point;
		}
	}
	if (!any)
		return 0;
	end = i;
	if (i < len && (s[i] == 'e' || s[i] == 'E')) {
		size_t k = i + 1;
		bool minus = false;

		if (k < len && (s[k] == '-' || s[k] == '+'))
			minus = s[k++] == '-';
		if (k < len && s[k] >= '0' && s[k] <= '9') {
			for (; k < len && s[k] >= '0' && s[k] <= '9'; k++)
				if (exp < 100000)
					exp = exp * 10 + (s[k] - '0');
			scale += minus ? exp : -exp;
			end = k;
		}
	}
	if (d->n == 0)
		scale = scale < 0 ? 0 : scale > ML_DEC_SCALE ? ML_DEC_SCALE : scale;
	if (scale < 0) {
		large = digits(d) - scale > ML_DEC_DIGITS || !widen(d, (int)-scale);
		scale = 0;
	}
	if (scale > ML_DEC_SCALE) {
		/* Rounded in one go, so that no digit is rounded twice. */
		if (scale > 250) {
			d->n = 0;
			d->scale = ML_DEC_SCALE;
		} else {
			d->scale = (uint8_t)scale;
			(void)ml_dec_round(d, ML_DEC_SCALE, ML_DEC_HALF_UP);
		}
	} else {
		d->scale = (uint8_t)scale;
	}
	if (large || digits(d) > ML_DEC_DIGITS) {
		for (int w = 0; w < ML_DEC_DIGITS / 9; w++)
			d->w[w] = BASE - 1;
		d->n = ML_DEC_DIGITS / 9;
		d->scale = 0;
	}
	d->neg = neg;
	trim(d);
	return end;
}

size_t
ml_dec_text(const struct ml_dec *d, char buf[ML_DEC_TEXT_MAX])
{
	char all[9 * ML_DEC_LIMBS + 40], *p = all + sizeof(all), *end = p;
	int n = 0;
	size_t len;

	for (int i = 0; i < d->n; i++) {
		uint32_t v = d->w[i];

		for (int k = 0; k < 9 && (v > 0 || i + 1 < d->n); k++, v /= 10) {
			if (n++ == d->scale && d->scale > 0)
				*--p = '.';
			*--p = (char)('0' + v % 10);
		}
	}
	while (n <= d->scale) {
		if (n++ == d->scale && d->scale > 0)
			*--p = '.';
		*--p = '0';
	}
	if (d->neg)
		*--p = '-';
	len = (size_t)(end - p);
	if (len > ML_DEC_TEXT_MAX)
		len = ML_DEC_TEXT_MAX; /* 81 digits, sign, point: never */
	memcpy(buf, p, len);
	return len;
}

double
ml_dec_f64(const struct ml_dec *d)
{
	char buf[ML_DEC_TEXT_MAX + 1];

	buf[ml_dec_text(d, buf)] = '\0';
	return strtod(buf, NULL);
}

bool
ml_dec_u64(const struct ml_dec *d, uint64_t *v)
{
	struct ml_dec x = *d;
	unsigned __int128 n = 0;

	*v = d->neg ? 0 : UINT64_MAX;
	if (!ml_dec_round(&x, 0, ML_DEC_HALF_UP) || x.n > 3 || (x.neg && x.n > 0))
		return false;
	for (int i = x.n; i-- > 0;)
		n = n * BASE + x.w[i];
	if (n > UINT64_MAX)
		return false;
	*v = (uint64_t)n;
	return true;
}

bool
ml_dec_i64(const struct ml_dec *d, int64_t *v)
{
	struct ml_dec x = *d;
	uint64_t u;

	x.neg = false;
	if (ml_dec_u64(&x, &u) && u <= (uint64_t)INT64_MAX + d->neg) {
		*v = d->neg ? (int64_t)(0 - u) : (int64_t)u;
		return true;
	}
	*v = d->neg ? INT64_MIN : INT64_MAX;
	return false;
}
