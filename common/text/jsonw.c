#include "common/text/jsonw.h"

size_t
ml_utf8_len(const unsigned char *p, size_t left)
{
	unsigned char c = p[0];

	if (c >= 0xc2 && c <= 0xdf && left >= 2 && (p[1] & 0xc0) == 0x80)
		return 2;
	if (c >= 0xe0 && c <= 0xef && left >= 3 && (p[1] & 0xc0) == 0x80 && (p[2] & 0xc0) == 0x80 &&
		!(c == 0xe0 && p[1] < 0xa0) && !(c == 0xed && p[1] > 0x9f))
		return 3;
	if (c >= 0xf0 && c <= 0xf4 && left >= 4 && (p[1] & 0xc0) == 0x80 && (p[2] & 0xc0) == 0x80 &&
		(p[3] & 0xc0) == 0x80 && !(c == 0xf0 && p[1] < 0x90) && !(c == 0xf4 && p[1] > 0x8f))
		return 4;
	return 0;
}

void
ml_json_quote(struct ml_buf *out, const char *s, size_t len)
{
	const unsigned char *p = (const unsigned char *)s, *end = p + len;

	ml_buf_putc(out, '"');
	while (p < end) {
		const unsigned char *plain = p;
		size_t n;

		while (p < end && *p >= 0x20 && *p < 0x80 && *p != '"' && *p != '\\' && *p != '<' && *p != '>' &&
			*p != '&')
			p++;
		ml_buf_put(out, plain, (size_t)(p - plain));
		if (p == end)
			break;
		switch (*p) {
		case '"':
			ml_buf_puts(out, "\\\"");
			p++;
			continue;
		case '\\':
			ml_buf_puts(out, "\\\\");
			p++;
			continue;
		case '\n':
			ml_buf_puts(out, "\\n");
			p++;
			continue;
		case '\r':
			ml_buf_puts(out, "\\r");
			p++;
			continue;
		case '\t':
			ml_buf_puts(out, "\\t");
			p++;
			continue;
		default:
			break;
		}
		if (*p < 0x80) {
			ml_buf_printf(out, "\\u%04x", *p);
			p++;
			continue;
		}
		n = ml_utf8_len(p, (size_t)(end - p));
		if (n == 0) {
			ml_buf_puts(out, "\\ufffd");
			p++;
		} else if (n == 3 && p[0] == 0xe2 && p[1] == 0x80 && (p[2] == 0xa8 || p[2] == 0xa9)) {
			ml_buf_puts(out, p[2] == 0xa8 ? "\\u2028" : "\\u2029");
			p += 3;
		} else {
			ml_buf_put(out, p, n);
			p += n;
		}
	}
	ml_buf_putc(out, '"');
}

static void
newline(struct ml_jw *w)
{
	if (w->indent == 0)
		return;
	ml_buf_putc(w->out, '\n');
	for (int i = 0; i < w->depth * w->indent; i++)
		ml_buf_putc(w->out, ' ');
}

/* What stands before a key, or before a value that has none. */
static void
before(struct ml_jw *w)
{
	if (w->after_key) {
		w->after_key = false;
		return;
	}
	if (w->depth == 0)
		return;
	if (!w->empty)
		ml_buf_putc(w->out, ',');
	w->empty = false;
	newline(w);
}

void
ml_jw_open(struct ml_jw *w, char bracket)
{
	before(w);
	ml_buf_putc(w->out, bracket);
	w->depth++;
	w->empty = true;
}

void
ml_jw_close(struct ml_jw *w, char bracket)
{
	w->depth--;
	if (!w->empty)
		newline(w);
	ml_buf_putc(w->out, bracket);
	w->empty = false;
}

void
ml_jw_key(struct ml_jw *w, const char *key)
{
	before(w);
	ml_json_quote(w->out, key, strlen(key));
	ml_buf_puts(w->out, w->indent > 0 ? ": " : ":");
	w->after_key = true;
}

void
ml_jw_str(struct ml_jw *w, const char *s)
{
	before(w);
	if (s == NULL)
		s = "";
	ml_json_quote(w->out, s, strlen(s));
}

void
ml_jw_u64(struct ml_jw *w, uint64_t v)
{
	before(w);
	ml_buf_printf(w->out, "%llu", (unsigned long long)v);
}

void
ml_jw_i64(struct ml_jw *w, int64_t v)
{
	before(w);
	ml_buf_printf(w->out, "%lld", (long long)v);
}

void
ml_jw_bool(struct ml_jw *w, bool v)
{
	before(w);
	ml_buf_puts(w->out, v ? "true" : "false");
}

void
ml_jw_null(struct ml_jw *w)
{
	before(w);
	ml_buf_puts(w->out, "null");
}
