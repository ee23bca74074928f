#include "capture-worker/filter/expr/collation.h"

#include <string.h>
#include <strings.h>

#include "capture-worker/filter/expr/collation_tables.h"

static bool
ends(const char *name, size_t len, const char *tail)
{
	size_t n = strlen(tail);

	return len >= n && strncasecmp(name + len - n, tail, n) == 0;
}

static bool
begins(const char *name, size_t len, const char *head)
{
	size_t n = strlen(head);

	return len >= n && strncasecmp(name, head, n) == 0;
}

struct ml_collation
ml_collation_of(const char *name, size_t len)
{
	struct ml_collation c = { ML_WEIGH_UNICODE, true };

	if (len == 0 || (len == 6 && strncasecmp(name, "binary", 6) == 0))
		return (struct ml_collation){ ML_WEIGH_BYTES, false };
	/* MariaDB's _nopad_ ones, and MySQL's of UCA 9. */
	if (memmem(name, len, "nopad", 5) != NULL || memmem(name, len, "_0900_", 6) != NULL)
		c.pad = false;
	if (ends(name, len, "_bin") || ends(name, len, "_cs"))
		c.weighing = ML_WEIGH_POINT;
	else if (begins(name, len, "latin1_swedish"))
		c.weighing = ML_WEIGH_LATIN1;
	else if (memmem(name, len, "general", 7) != NULL)
		c.weighing = ML_WEIGH_GENERAL;
	return c;
}

uint32_t
ml_utf8_next(const char **s, const char *end)
{
	const unsigned char *p = (const unsigned char *)*s;
	size_t left = (size_t)(end - *s), n;
	uint32_t c = p[0];

	if (c < 0x80) {
		(*s)++;
		return c;
	}
	n = c >= 0xf0 && c < 0xf5 ? 4 : c >= 0xe0 && c < 0xf0 ? 3 : c >= 0xc2 && c < 0xe0 ? 2 : 0;
	if (n == 0 || n > left)
		goto bad;
	c &= 0xffu >> (n + 1);
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			goto bad;
		c = c << 6 | (p[i] & 0x3f);
	}
	*s += n;
	return c;
bad:
	(*s)++;
	return 0x110000u + p[0];
}

static uint32_t
look_up(const uint16_t (*t)[2], size_t n, uint32_t c)
{
	size_t lo = 0, hi = n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (t[mid][0] < c)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < n && t[lo][0] == c ? t[lo][1] : c;
}

/* Weights of one character: at most four, none if it is ignorable. */
static size_t
weights(uint8_t weighing, uint32_t c, uint32_t w[4])
{
	static const uint16_t blocks[][2] = { ML_UNICODE_BLOCKS };
	size_t at = 0;

	switch (weighing) {
	case ML_WEIGH_GENERAL:
		if (c < 0x80)
			w[0] = c >= 'a' && c <= 'z' ? c - 32 : c;
		else
			/* All characters beyond the first plane are equal there. */
			w[0] = c > 0xffff ? 0xfffd : look_up(ml_weights_general, ml_weights_general_n, c);
		return 1;
	case ML_WEIGH_LATIN1:
		if (c < 0x80)
			w[0] = c >= 'a' && c <= 'z' ? c - 32 : c;
		else
			w[0] = c > 0xffff ? c : look_up(ml_weights_latin1, ml_weights_latin1_n, c);
		return 1;
	case ML_WEIGH_UNICODE:
		for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
			if (c >= blocks[i][0] && c <= blocks[i][1]) {
				uint32_t v = ml_weights_unicode[at + c - blocks[i][0]];
				size_t n = 0;

				if (v == 0xffff)
					break;
				if (v < 0xfe00) {
					w[0] = v;
					return v != 0;
				}
				for (; n < 4 && ml_weights_unicode_more[v - 0xfe00][n] != 0; n++)
					w[n] = ml_weights_unicode_more[v - 0xfe00][n];
				return n;
			}
			at += blocks[i][1] - blocks[i][0] + 1u;
		}
		w[0] = 0x10000 + c; /* behind all that have weights of their own */
		return 1;
	default:
		w[0] = c;
		return 1;
	}
}

/* Reads a text weight by weight. */
struct weigher {
	const char *s, *end;
	uint32_t w[4];
	size_t n, at;
	uint8_t weighing;
};

static bool
next_weight(struct weigher *x, uint32_t *w)
{
	while (x->at == x->n) {
		if (x->s == x->end)
			return false;
		x->n = weights(x->weighing, ml_utf8_next(&x->s, x->end), x->w);
		x->at = 0;
	}
	*w = x->w[x->at++];
	return true;
}

static uint32_t
blank(uint8_t weighing)
{
	uint32_t w[4] = { ' ' };

	weights(weighing, ' ', w);
	return w[0];
}

static int
cmp_bytes(const char *a, size_t a_len, const char *b, size_t b_len)
{
	size_t n = a_len < b_len ? a_len : b_len;
	int rc = n > 0 ? memcmp(a, b, n) : 0;

	return rc != 0 ? rc : (a_len > b_len) - (a_len < b_len);
}

static unsigned char
upper(unsigned char c)
{
	return c >= 'a' && c <= 'z' ? c - 32 : c;
}

/*
 * The ASCII characters in front of both, which most texts are all of.  True if they decide; else *n is how many are equal.
 */
static bool
cmp_ascii(uint8_t weighing, const char *a, const char *b, size_t len, size_t *n, int *rc)
{
	size_t i = 0;

	for (; i < len; i++) {
		unsigned char x = (unsigned char)a[i], y = (unsigned char)b[i];

		if ((x | y) >= 0x80)
			break;
		if (x == y)
			continue;
		if (weighing == ML_WEIGH_POINT) {
			*rc = x < y ? -1 : 1;
			return true;
		}
		if (upper(x) == upper(y))
			continue;
		if (weighing == ML_WEIGH_UNICODE) {
			uint16_t v = ml_weights_unicode[x], w = ml_weights_unicode[y];

			if (v == 0 || w == 0)
				break; /* ignorable */
			*rc = v < w ? -1 : 1;
			return true;
		}
		*rc = upper(x) < upper(y) ? -1 : 1;
		return true;
	}
	*n = i;
	return false;
}

int
ml_collation_cmp(struct ml_collation c, const char *a, size_t a_len, const char *b, size_t b_len)
{
	struct weigher x, y;
	uint32_t v, w;
	size_t n;
	int rc;

	if (c.weighing == ML_WEIGH_BYTES)
		return cmp_bytes(a, a_len, b, b_len);
	if (c.weighing == ML_WEIGH_POINT && !c.pad)
		return cmp_bytes(a, a_len, b, b_len); /* UTF-8 keeps the order of code points */
	if (cmp_ascii(c.weighing, a, b, a_len < b_len ? a_len : b_len, &n, &rc))
		return rc;
	if (n == a_len && n == b_len)
		return 0;
	x = (struct weigher){ .s = a + n, .end = a + a_len, .weighing = c.weighing };
	y = (struct weigher){ .s = b + n, .end = b + b_len, .weighing = c.weighing };
	for (;;) {
		bool more = next_weight(&x, &v), too = next_weight(&y, &w);

		if (!more && !too)
			return 0;
		if (!more || !too) {
			if (!c.pad)
				return more ? 1 : -1;
			if (!more)
				v = blank(c.weighing);
			else
				w = blank(c.weighing);
		}
		if (v != w)
			return v < w ? -1 : 1;
	}
}

static bool
same_char(uint8_t weighing, uint32_t a, uint32_t b)
{
	uint32_t v[4], w[4];
	size_t n, m;

	if (a == b)
		return true;
	if (weighing <= ML_WEIGH_POINT)
		return false;
	if (a >= 0x20 && a < 0x80 && b >= 0x20 && b < 0x80)
		return upper((unsigned char)a) == upper((unsigned char)b);
	n = weights(weighing, a, v);
	m = weights(weighing, b, w);
	return n == m && memcmp(v, w, n * sizeof(v[0])) == 0;
}

static uint32_t
next_char(uint8_t weighing, const char **s, const char *end)
{
	if (weighing == ML_WEIGH_BYTES || (unsigned char)**s < 0x80)
		return (unsigned char)*(*s)++;
	return ml_utf8_next(s, end);
}

bool
ml_collation_like(
	struct ml_collation c, const char *s, size_t len, const char *pattern, size_t pattern_len, int32_t escape)
{
	const char *end = s + len, *p = pattern, *p_end = pattern + pattern_len;
	const char *retry_s = NULL, *retry_p = NULL; /* behind the last '%', and where its text began */

	/* Only the last '%' need ever be widened, so this is linear in text times pattern. */
	while (s < end || p < p_end) {
		if (p < p_end) {
			const char *next_p = p, *next_s = s;
			uint32_t want = next_char(c.weighing, &next_p, p_end);
			bool literal = false;

			if (escape >= 0 && want == (uint32_t)escape && next_p < p_end) {
				want = next_char(c.weighing, &next_p, p_end);
				literal = true;
			}
			if (!literal && want == '%') {
				retry_p = next_p;
				retry_s = s;
				p = next_p;
				continue;
			}
			if (s < end) {
				uint32_t have = next_char(c.weighing, &next_s, end);

				if ((!literal && want == '_') || same_char(c.weighing, want, have)) {
					p = next_p;
					s = next_s;
					continue;
				}
			}
		}
		if (retry_p == NULL || retry_s == end)
			return false;
		(void)next_char(c.weighing, &retry_s, end);
		s = retry_s;
		p = retry_p;
	}
	return true;
}

long
ml_collation_find(struct ml_collation c, const char *s, size_t len, size_t from, const char *what, size_t what_len)
{
	const char *end = s + len, *at = s + from;

	for (;;) {
		const char *x = at, *y = what, *y_end = what + what_len;

		while (x < end && y < y_end) {
			const char *nx = x, *ny = y;

			if (!same_char(c.weighing, next_char(c.weighing, &nx, end), next_char(c.weighing, &ny, y_end)))
				break;
			x = nx;
			y = ny;
		}
		if (y == y_end)
			return at - s;
		if (at == end)
			return -1;
		(void)next_char(c.weighing, &at, end);
	}
}
