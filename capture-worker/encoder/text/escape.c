/*
 * escape.c - see escape.h.  Sixteen bytes are looked at together and stored as they are; only where one of them needs care
 * does the writer stop at it.
 */
#include "capture-worker/encoder/text/escape.h"

#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* Input bytes for which room is taken at once: a byte becomes six at most ("\u0000"). */
#define STEP_BYTES 1024
#define WORST 6
/* The last store of a step may end this far behind what it means, and so may the last character. */
#define SLACK 48

enum how { PROFILE_E, PROFILE_S, PROFILE_I, LATIN1_E };

/* Second character of a short escape, 'u' for \u00xx, 0 for bytes that stand for themselves. */
static const char plain_escape[3][128] = {
#define COMMON                                                                                                         \
	[0x00] = 'u', [0x01] = 'u', [0x02] = 'u', [0x03] = 'u', [0x04] = 'u', [0x05] = 'u', [0x06] = 'u',              \
	[0x07] = 'u', [0x09] = 't', [0x0a] = 'n', [0x0b] = 'u', [0x0d] = 'r', [0x0e] = 'u', [0x0f] = 'u',              \
	[0x10] = 'u', [0x11] = 'u', [0x12] = 'u', [0x13] = 'u', [0x14] = 'u', [0x15] = 'u', [0x16] = 'u',              \
	[0x17] = 'u', [0x18] = 'u', [0x19] = 'u', [0x1a] = 'u', [0x1b] = 'u', [0x1c] = 'u', [0x1d] = 'u',              \
	[0x1e] = 'u', [0x1f] = 'u', ['"'] = '"', ['\\'] = '\\'
#define HTML ['<'] = 'u', ['>'] = 'u', ['&'] = 'u'
	[PROFILE_E] = { COMMON, HTML, [0x08] = 'u', [0x0c] = 'u' },
	[PROFILE_S] = { COMMON, HTML, [0x08] = 'b', [0x0c] = 'f' },
	[PROFILE_I] = { COMMON, [0x08] = 'u', [0x0c] = 'u' },
#undef HTML
#undef COMMON
};

unsigned
ml_utf8_rune(const uint8_t *s, const uint8_t *end, uint32_t *rune)
{
	size_t left = (size_t)(end - s);
	uint32_t r;

	if (s[0] < 0x80) {
		*rune = s[0];
		return 1;
	}
	if (s[0] < 0xC2)
		return 0;
	if (s[0] < 0xE0) {
		if (left < 2 || (s[1] & 0xC0) != 0x80)
			return 0;
		*rune = (uint32_t)(s[0] & 0x1F) << 6 | (s[1] & 0x3F);
		return 2;
	}
	if (s[0] < 0xF0) {
		if (left < 3 || (s[1] & 0xC0) != 0x80 || (s[2] & 0xC0) != 0x80)
			return 0;
		r = (uint32_t)(s[0] & 0x0F) << 12 | (uint32_t)(s[1] & 0x3F) << 6 | (s[2] & 0x3F);
		if (r < 0x800 || (r >= 0xD800 && r < 0xE000))
			return 0;
		*rune = r;
		return 3;
	}
	if (s[0] > 0xF4 || left < 4 || (s[1] & 0xC0) != 0x80 || (s[2] & 0xC0) != 0x80 || (s[3] & 0xC0) != 0x80)
		return 0;
	r = (uint32_t)(s[0] & 0x07) << 18 | (uint32_t)(s[1] & 0x3F) << 12 | (uint32_t)(s[2] & 0x3F) << 6 |
	    (s[3] & 0x3F);
	if (r < 0x10000 || r > 0x10FFFF)
		return 0;
	*rune = r;
	return 4;
}

static inline char *
put_u00(char *p, uint8_t c)
{
	static const char hex[] = "0123456789abcdef";

	memcpy(p, "\\u00", 4);
	p[4] = hex[c >> 4];
	p[5] = hex[c & 15];
	return p + 6;
}

/* One byte >= 0x80 and what belongs to it; at most SLACK - 16 bytes more than WORST for it. */
static inline char *
put_high(char *p, const uint8_t **s, const uint8_t *end, enum how how)
{
	uint32_t rune;
	unsigned n;

	if (how == LATIN1_E) {
		*p++ = (char)(0xC0 | **s >> 6);
		*p++ = (char)(0x80 | (**s & 0x3F));
		++*s;
		return p;
	}
	n = ml_utf8_rune(*s, end, &rune);
	if (n == 0) {
		memcpy(p, "\\ufffd", 6);
		++*s;
		return p + 6;
	}
	if (rune == 0x2028 || rune == 0x2029) {
		memcpy(p, rune == 0x2028 ? "\\u2028" : "\\u2029", 6);
		*s += 3;
		return p + 6;
	}
	memcpy(p, *s, n);
	*s += n;
	return p + n;
}

#ifdef __SSE2__
/* Bytes of v that may not be copied as they are, one bit each: < 0x20, " \, and but for profile I >= 0x80, < > &. */
static inline unsigned
special(__m128i v, enum how how)
{
	if (how == PROFILE_I) {
		__m128i i = _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(0x1f)), v);

		i = _mm_or_si128(i, _mm_cmpeq_epi8(v, _mm_set1_epi8('"')));
		i = _mm_or_si128(i, _mm_cmpeq_epi8(v, _mm_set1_epi8('\\')));
		return (unsigned)_mm_movemask_epi8(i);
	}

	/* As signed bytes, both controls and bytes >= 0x80 are below 0x20. */
	__m128i m = _mm_cmpgt_epi8(_mm_set1_epi8(0x20), v);

	m = _mm_or_si128(m, _mm_cmpeq_epi8(v, _mm_set1_epi8('\\')));
	/* '"' and '&' are equal but for bit 2, '<' and '>' but for bit 1. */
	m = _mm_or_si128(m, _mm_cmpeq_epi8(_mm_or_si128(v, _mm_set1_epi8(4)), _mm_set1_epi8('&')));
	m = _mm_or_si128(m, _mm_cmpeq_epi8(_mm_or_si128(v, _mm_set1_epi8(2)), _mm_set1_epi8('>')));
	return (unsigned)_mm_movemask_epi8(m);
}

static inline uint64_t
load8(const uint8_t *s)
{
	uint64_t v;

	memcpy(&v, s, 8);
	return v;
}

static inline uint64_t
load4(const uint8_t *s)
{
	uint32_t v;

	memcpy(&v, s, 4);
	return v;
}

/* The n < 16 bytes at s with zeros behind, without reading past them. */
static inline __m128i
load_tail(const uint8_t *s, size_t n)
{
	uint64_t lo = 0, hi = 0;

	if (n > 8) {
		lo = load8(s);
		hi = load8(s + n - 8) >> (8 * (16 - n));
	} else if (n == 8) {
		lo = load8(s);
	} else if (n >= 4) {
		lo = load4(s) | load4(s + n - 4) << (8 * (n - 4));
	} else if (n > 0) {
		lo = s[0] | (uint64_t)s[n / 2] << (8 * (n / 2)) | (uint64_t)s[n - 1] << (8 * (n - 1));
	}
	return _mm_set_epi64x((long long)hi, (long long)lo);
}

/* Copies bytes up to the first special one or the end; up to 16 bytes behind p are overwritten. */
static inline char *
copy_plain(char *p, const uint8_t **s, const uint8_t *end, enum how how)
{
	unsigned mask, n;

	while (end - *s >= 16) {
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)*s);

		_mm_storeu_si128((__m128i *)(void *)p, v);
		mask = special(v, how);
		if (mask != 0) {
			n = (unsigned)__builtin_ctz(mask);
			*s += n;
			return p + n;
		}
		*s += 16;
		p += 16;
	}
	n = (unsigned)(end - *s);
	if (n > 0) {
		__m128i v = load_tail(*s, n);

		_mm_storeu_si128((__m128i *)(void *)p, v);
		mask = special(v, how) | 1u << n;
		n = (unsigned)__builtin_ctz(mask);
		*s += n;
		p += n;
	}
	return p;
}
#else
static inline char *
copy_plain(char *p, const uint8_t **s, const uint8_t *end, enum how how)
{
	const uint8_t *q = *s;

	while (q < end &&
		(*q < 0x80 ? plain_escape[how == PROFILE_I ? PROFILE_I : PROFILE_E][*q] == 0 : how == PROFILE_I))
		*p++ = (char)*q++;
	*s = q;
	return p;
}
#endif

static inline __attribute__((always_inline)) void
escape(struct ml_out *o, const char *text, size_t len, enum how how)
{
	const uint8_t *s = (const uint8_t *)text, *end = s + len;
	const char *table = plain_escape[how == LATIN1_E ? PROFILE_E : how];

	while (s < end) {
		size_t take = (size_t)(end - s) < STEP_BYTES ? (size_t)(end - s) : STEP_BYTES;
		char *p = ml_out_need(o, WORST * take + SLACK);
		const uint8_t *stop = s + take;

		for (;;) {
			p = copy_plain(p, &s, stop, how);
			if (s >= stop)
				break;
			/* The last character of a step may end behind it, so it is read up to the end of the text. */
			if (*s >= 0x80) {
				do
					p = put_high(p, &s, end, how);
				while (s < stop && *s >= 0x80);
			} else {
				char c = table[*s];

				if (c == 'u') {
					p = put_u00(p, *s);
				} else {
					*p++ = '\\';
					*p++ = c;
				}
				s++;
			}
			if (s >= stop)
				break;
		}
		o->p = p;
	}
}

void
ml_escape_e(struct ml_out *o, const char *s, size_t n)
{
	escape(o, s, n, PROFILE_E);
}

void
ml_escape_s(struct ml_out *o, const char *s, size_t n)
{
	escape(o, s, n, PROFILE_S);
}

void
ml_escape_i(struct ml_out *o, const char *s, size_t n)
{
	escape(o, s, n, PROFILE_I);
}

void
ml_escape_latin1(struct ml_out *o, const char *s, size_t n)
{
	escape(o, s, n, LATIN1_E);
}
