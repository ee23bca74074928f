#include "common/text/num.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/text/pow10.h"

static const char pairs[201] = "0001020304050607080910111213141516171819"
			       "2021222324252627282930313233343536373839"
			       "4041424344454647484950515253545556575859"
			       "6061626364656667686970717273747576777879"
			       "8081828384858687888990919293949596979899";

size_t
ml_u64_text(char *buf, uint64_t v)
{
	char tmp[ML_INT_TEXT_MAX], *p = tmp + sizeof(tmp);
	size_t n;

	while (v >= 100) {
		p -= 2;
		memcpy(p, pairs + v % 100 * 2, 2);
		v /= 100;
	}
	if (v >= 10) {
		p -= 2;
		memcpy(p, pairs + v * 2, 2);
	} else {
		*--p = (char)('0' + v);
	}
	n = (size_t)(tmp + sizeof(tmp) - p);
	memcpy(buf, p, n);
	return n;
}

size_t
ml_i64_text(char *buf, int64_t v)
{
	if (v >= 0)
		return ml_u64_text(buf, (uint64_t)v);
	*buf = '-';
	return 1 + ml_u64_text(buf + 1, 0 - (uint64_t)v);
}

/* A positive number as d[0].d[1]d[2]... * 10^x, no zeros at the end. */
struct digits {
	char d[24];
	int n, x;
};

/* m * 10^k as digits. */
static void
set_digits(struct digits *g, uint64_t m, int k)
{
	g->n = (int)ml_u64_text(g->d, m);
	g->x = g->n - 1 + k;
	while (g->n > 1 && g->d[g->n - 1] == '0')
		g->n--;
}

/* floor(log2 10^k), exact for |k| <= 1233; >> of a negative number keeps its sign with the compilers we have. */
static int
log2_pow10(int k)
{
	return (k * 1741647) >> 19;
}

/* g * v / 2^128, made odd if anything was cut off: enough to compare with, as if all bits were there. */
static uint64_t
mul_odd(const struct ml_pow10 *g, uint64_t v)
{
	unsigned __int128 low = (unsigned __int128)g->lo * v;
	unsigned __int128 all = (unsigned __int128)g->hi * v + (uint64_t)(low >> 64);

	return (uint64_t)(all >> 64) | ((uint64_t)all > 1);
}

/*
 * The shortest decimal in the interval of numbers that are read as c * 2^q, the nearest to it if there are several; c > 0.
 * closer: c is a power of two, so that the lower neighbour is half as far as the upper one.
 *
 * Giulietti's algorithm ("The Schubfach way to render doubles", 2020): k is chosen such that the interval holds at least one
 * multiple of 10^k and at most one of 10^(k+1).  So the answer is that one, or a neighbour of c * 2^q among the former.
 * All values are quadrupled, so that the bounds, half-way to the neighbours, are integers too.
 */
static void
shortest(struct digits *out, uint64_t c, int q, bool closer)
{
	int k = (q * 1262611 - (closer ? 524031 : 0)) >> 22; /* floor(log10 of the interval's width) */
	int shift = q + log2_pow10(-k) + 1;
	const struct ml_pow10 *g = &ml_pow10[-k - ML_POW10_MIN];
	uint64_t odd = c & 1; /* a bound itself is read as the even one of its two neighbours */
	uint64_t lower = mul_odd(g, (4 * c - 2 + closer) << shift) + odd;
	uint64_t value = mul_odd(g, (4 * c) << shift);
	uint64_t upper = mul_odd(g, (4 * c + 2) << shift) - odd;
	uint64_t s = value / 4;
	bool down, up;

	if (s >= 10) {
		uint64_t tens = s / 10;

		down = lower <= 40 * tens;
		up = 40 * tens + 40 <= upper;
		if (down != up) {
			set_digits(out, tens + up, k + 1);
			return;
		}
	}
	down = lower <= 4 * s;
	up = 4 * s + 4 <= upper;
	if (down == up) {
		uint64_t half = 4 * s + 2;

		up = value > half || (value == half && (s & 1));
	}
	set_digits(out, s + up, k);
}

/* An integer below 2^53 has neighbours at least one away, so its own digits are the shortest. */
static bool
small_integer(struct digits *out, double v)
{
	if (v >= 0x1p53 || v != (double)(uint64_t)v)
		return false;
	set_digits(out, (uint64_t)v, 0);
	return true;
}

static void
double_digits(struct digits *out, double v)
{
	uint64_t bits, c;
	int exp;

	if (small_integer(out, v))
		return;
	memcpy(&bits, &v, sizeof(bits));
	c = bits & ((UINT64_C(1) << 52) - 1);
	exp = (int)(bits >> 52 & 2047);
	if (exp == 0)
		shortest(out, c, -1074, false);
	else
		shortest(out, c | UINT64_C(1) << 52, exp - 1075, c == 0 && exp > 1);
}

static void
float_digits(struct digits *out, float v)
{
	uint32_t bits, c;
	int exp;

	/* Floats are sparser: from 2^24 on an integer's own digits may be too many. */
	if (v < 0x1p24f && small_integer(out, (double)v))
		return;
	memcpy(&bits, &v, sizeof(bits));
	c = bits & ((UINT32_C(1) << 23) - 1);
	exp = (int)(bits >> 23 & 255);
	if (exp == 0)
		shortest(out, c, -149, false);
	else
		shortest(out, c | UINT32_C(1) << 23, exp - 150, c == 0 && exp > 1);
}

/* v > 0 whose digits are g: is it written with an exponent? */
static bool
has_exponent(const struct digits *g, double v, enum ml_float_form form, bool single)
{
	switch (form) {
	case ML_FLOAT_J:
	case ML_FLOAT_J2:
		return single ? (float)v < 1e-6f || (float)v >= 1e21f : v < 1e-6 || v >= 1e21;
	case ML_FLOAT_G:
		return g->x < -4 || g->x >= 6;
	default:
		return false;
	}
}

static size_t
float_text(char *buf, double v, enum ml_float_form form, bool single)
{
	struct digits g;
	char *p = buf;

	if (signbit(v)) {
		*p++ = '-';
		v = -v;
	}
	if (v == 0) {
		*p++ = '0';
		return (size_t)(p - buf);
	}
	if (single)
		float_digits(&g, (float)v);
	else
		double_digits(&g, v);
	if (has_exponent(&g, v, form, single)) {
		*p++ = g.d[0];
		if (g.n > 1) {
			*p++ = '.';
			memcpy(p, g.d + 1, (size_t)g.n - 1);
			p += g.n - 1;
		}
		*p++ = 'e';
		*p++ = g.x >= 0 ? '+' : '-';
		if (form != ML_FLOAT_J && abs(g.x) < 10)
			*p++ = '0';
		p += ml_i64_text(p, abs(g.x));
	} else if (g.x < 0) {
		memcpy(p, "0.", 2);
		p += 2;
		memset(p, '0', (size_t)(-g.x - 1));
		p += -g.x - 1;
		memcpy(p, g.d, (size_t)g.n);
		p += g.n;
	} else if (g.n <= g.x + 1) {
		memcpy(p, g.d, (size_t)g.n);
		memset(p + g.n, '0', (size_t)(g.x + 1 - g.n));
		p += g.x + 1;
	} else {
		memcpy(p, g.d, (size_t)g.x + 1);
		p += g.x + 1;
		*p++ = '.';
		memcpy(p, g.d + g.x + 1, (size_t)(g.n - g.x - 1));
		p += g.n - g.x - 1;
	}
	return (size_t)(p - buf);
}

size_t
ml_f64_text(char *buf, double v, enum ml_float_form form)
{
	return float_text(buf, v, form, false);
}

size_t
ml_f32_text(char *buf, float v, enum ml_float_form form)
{
	return float_text(buf, (double)v, form, true);
}
