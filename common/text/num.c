#include "common/text/num.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static const double pow10[] = { 1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
	1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22 };

/* A positive number as d[0].d[1]d[2]... * 10^x, no zeros at the end. */
struct digits {
	char d[24];
	int n, x;
};

static void
set_digits(struct digits *g, uint64_t m, int scale)
{
	g->n = (int)ml_u64_text(g->d, m);
	g->x = g->n - 1 - scale;
	while (g->n > 1 && g->d[g->n - 1] == '0')
		g->n--;
}

/*
 * Numbers people write down (12.5, 0.001) are m / 10^k with m exact and 10^k exact, so that one correctly rounded division
 * tells whether they read back as v; the least k that does has the fewest digits.  m < 10^15: then no other m of this k could
 * do so too.  max_k <= 22 keeps 10^k exact; for floats 8 keeps the way over double from rounding twice.
 */
static bool
short_digits(struct digits *g, double v, bool single)
{
	int max_k = single ? 8 : 22;
	/* All integers below are exact and distinct floats, so their digits are the shortest ones. */
	double max_m = single ? 16777216.0 : 1e15;

	for (int k = 0; k <= max_k; k++) {
		double m = v * pow10[k];

		if (m >= max_m)
			return false;
		m = rint(m);
		if (single ? (float)(m / pow10[k]) == (float)v : m / pow10[k] == v) {
			if (m == 0)
				return false;
			set_digits(g, (uint64_t)m, k);
			return true;
		}
	}
	return false;
}

static bool
reads_back(const char *text, double v, bool single)
{
	return single ? strtof(text, NULL) == (float)v : strtod(text, NULL) == v;
}

/* Adds one to the last digit of "d.ddde+xx"; false if it would carry. */
static bool
bump(char *text)
{
	char *last = strchr(text, 'e') - 1;

	if (*last == '9')
		return false;
	(*last)++;
	return true;
}

/*
 * Any v: the first precision whose nearest decimal reads back.  At a power of two the gap above v is twice the one below, so
 * there the next decimal above may read back where the nearest one (below) does not.
 */
static void
long_digits(struct digits *g, double v, bool single)
{
	char text[40];
	int most = single ? 9 : 17;

	for (int prec = 1; prec <= most; prec++) {
		snprintf(text, sizeof(text), "%.*e", prec - 1, v);
		if (reads_back(text, v, single) || (bump(text) && reads_back(text, v, single)))
			break;
	}
	g->n = 0;
	g->x = atoi(strchr(text, 'e') + 1);
	for (const char *p = text; *p != 'e'; p++)
		if (*p >= '0' && *p <= '9')
			g->d[g->n++] = *p;
	while (g->n > 1 && g->d[g->n - 1] == '0')
		g->n--;
}

static size_t
float_text(char *buf, double v, enum ml_float_form form, bool single)
{
	struct digits g;
	bool exponent;
	char *p = buf;

	if (signbit(v)) {
		*p++ = '-';
		v = -v;
	}
	if (v == 0) {
		*p++ = '0';
		return (size_t)(p - buf);
	}
	if (!short_digits(&g, v, single))
		long_digits(&g, v, single);
	exponent = form == ML_FLOAT_J && (single ? (float)v < 1e-6f || (float)v >= 1e21f : v < 1e-6 || v >= 1e21);
	if (exponent) {
		*p++ = g.d[0];
		if (g.n > 1) {
			*p++ = '.';
			memcpy(p, g.d + 1, (size_t)g.n - 1);
			p += g.n - 1;
		}
		*p++ = 'e';
		if (g.x >= 0)
			*p++ = '+';
		p += ml_i64_text(p, g.x);
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
