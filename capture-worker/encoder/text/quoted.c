#include "capture-worker/encoder/text/quoted.h"

#include <string.h>

#include "capture-worker/encoder/text/escape.h"
#include "capture-worker/encoder/text/printable.h"

/* Input bytes for which room is taken at once, and what a byte becomes at most: '<' is \u003c. */
#define STEP_BYTES 1024
#define WORST 6
/* The longest rune that ends behind its step: \\U0010ffff. */
#define SLACK 16

static char *
put_hex(char *p, uint32_t v, int digits)
{
	static const char hex[] = "0123456789abcdef";

	for (int i = digits; i-- > 0;)
		*p++ = hex[v >> (4 * i) & 15];
	return p;
}

static char *
put_backslash(char *p, char c)
{
	memcpy(p, "\\\\", 2);
	p[2] = c;
	return p + 3;
}

static char *
put_ascii(char *p, uint8_t c)
{
	static const char letters[] = "abtnvfr"; /* 07 to 0d */

	if (c >= 0x07 && c <= 0x0D)
		return put_backslash(p, letters[c - 7]);
	if (c < 0x20 || c == 0x7F)
		return put_hex(put_backslash(p, 'x'), c, 2);
	switch (c) {
	case '"':
		memcpy(p, "\\\\\\\"", 4);
		return p + 4;
	case '\\':
		memcpy(p, "\\\\\\\\", 4);
		return p + 4;
	case '<':
	case '>':
	case '&':
		memcpy(p, "\\u00", 4);
		return put_hex(p + 4, c, 2);
	default:
		*p = (char)c;
		return p + 1;
	}
}

static char *
put_high(char *p, const uint8_t **s, const uint8_t *end)
{
	uint32_t rune;
	unsigned n = ml_utf8_rune(*s, end, &rune);

	if (n == 0) {
		p = put_hex(put_backslash(p, 'x'), **s, 2);
		++*s;
		return p;
	}
	/* U+FFFD itself is printable: a symbol. */
	if (ml_rune_printable(rune)) {
		memcpy(p, *s, n);
		p += n;
	} else if (rune < 0x10000) {
		p = put_hex(put_backslash(p, 'u'), rune, 4);
	} else {
		p = put_hex(put_backslash(p, 'U'), rune, 8);
	}
	*s += n;
	return p;
}

void
ml_quoted(struct ml_out *o, const char *text, size_t len)
{
	const uint8_t *s = (const uint8_t *)text, *end = s + len;

	while (s < end) {
		size_t take = (size_t)(end - s) < STEP_BYTES ? (size_t)(end - s) : STEP_BYTES;
		char *p = ml_out_need(o, WORST * take + SLACK);
		const uint8_t *stop = s + take;

		while (s < stop) {
			if (*s < 0x80)
				p = put_ascii(p, *s++);
			else
				p = put_high(p, &s, end);
		}
		o->p = p;
	}
}
