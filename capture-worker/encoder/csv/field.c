#include "capture-worker/encoder/csv/field.h"

#include <string.h>

#include "capture-worker/encoder/text/base64.h"

static void
put_quoted(struct ml_out *o, char quote, const char *s, size_t n)
{
	const char *end = s + n;
	char *p = ml_out_need(o, 2 * n + 2);

	*p++ = quote;
	for (;;) {
		const char *q = memchr(s, quote, (size_t)(end - s));
		size_t plain = (size_t)((q != NULL ? q + 1 : end) - s);

		memcpy(p, s, plain);
		p += plain;
		*p++ = quote; /* the second of two, or the last */
		if (q == NULL)
			break;
		s += plain;
	}
	o->p = p;
}

static void
put_escaped(struct ml_out *o, const struct ml_csv_opts *c, const char *s, size_t n)
{
	const char *end = s + n;
	char *p = ml_out_need(o, 2 * n);

	while (s < end) {
		char ch = *s;

		if (ch == c->delimiter[0] && (size_t)(end - s) >= c->delimiter_len &&
			memcmp(s, c->delimiter, c->delimiter_len) == 0) {
			for (unsigned i = 0; i < c->delimiter_len; i++) {
				*p++ = '\\';
				*p++ = *s++;
			}
			continue;
		}
		s++;
		if (ch == '\\' || ch == '\r' || ch == '\n') {
			*p++ = '\\';
			ch = ch == '\r' ? 'r' : ch == '\n' ? 'n' : ch;
		}
		*p++ = ch;
	}
	o->p = p;
}

void
csv_string(struct ml_out *o, const struct ml_csv_opts *c, const char *s, size_t n)
{
	if (c->quote != '\0')
		put_quoted(o, c->quote, s, n);
	else
		put_escaped(o, c, s, n);
}

static void
put_hex(struct ml_out *o, const char *s, size_t n)
{
	static const char hex[] = "0123456789abcdef";
	char *p = ml_out_need(o, 2 * n);

	for (size_t i = 0; i < n; i++) {
		*p++ = hex[(unsigned char)s[i] >> 4];
		*p++ = hex[s[i] & 15];
	}
	o->p = p;
}

static void
put_encoded(struct ml_out *o, const struct ml_csv_opts *c, const char *s, size_t n)
{
	if (c->hex)
		put_hex(o, s, n);
	else
		ml_base64(o, s, n);
}

/* Is the character that would have to be doubled or escaped one of the encoding's own?  Hardly, but nothing forbids it. */
static bool
clashes(const struct ml_csv_opts *c)
{
	static const char hex[] = "0123456789abcdef";
	static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";
	char ch = c->quote != '\0' ? c->quote : c->delimiter[0];

	return c->hex ? memchr(hex, ch, sizeof(hex) - 1) != NULL : memchr(base64, ch, sizeof(base64) - 1) != NULL;
}

void
csv_binary(struct ml_out *o, const struct ml_csv_opts *c, const char *s, size_t n)
{
	size_t from = ml_out_len(o), len;

	if (!clashes(c)) {
		ml_out_put(o, &c->quote, c->quote != '\0');
		put_encoded(o, c, s, n);
		ml_out_put(o, &c->quote, c->quote != '\0');
		return;
	}
	put_encoded(o, c, s, n);
	len = ml_out_len(o) - from;
	/* With room for it the string is made behind its source, which stays where it is; then it takes the source's place. */
	ml_out_need(o, 2 * len + 2);
	csv_string(o, c, o->start + from, len);
	memmove(o->start + from, o->start + from + len, ml_out_len(o) - from - len);
	o->p -= len;
}
