#include "capture-worker/sink/storage/s3/xml.h"

#include <stdlib.h>
#include <string.h>

void
xml_init(struct xml *x, const char *doc, size_t len)
{
	*x = (struct xml){ .p = doc, .end = doc + len };
	/* A byte order mark. */
	if (len >= 3 && memcmp(doc, "\xef\xbb\xbf", 3) == 0)
		x->p += 3;
}

static bool
starts(const struct xml *x, const char *s)
{
	size_t n = strlen(s);

	return (size_t)(x->end - x->p) >= n && memcmp(x->p, s, n) == 0;
}

/* Moves behind the next s; false if there is none. */
static bool
skip_past(struct xml *x, const char *s)
{
	const char *at = memmem(x->p, (size_t)(x->end - x->p), s, strlen(s));

	if (at == NULL)
		return false;
	x->p = at + strlen(s);
	return true;
}

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool
blank(struct xml_span t)
{
	for (size_t i = 0; i < t.len; i++)
		if (!is_space(t.s[i]))
			return false;
	return true;
}

static enum xml_what
bad(struct xml *x)
{
	/* Stays bad: a NUL is refused. */
	x->p = "";
	x->end = x->p + 1;
	x->closing = false;
	return XML_BAD;
}

/* The name at p, its prefix cut off. */
static bool
read_name(struct xml *x)
{
	const char *from = x->p;

	while (x->p < x->end && !is_space(*x->p) && memchr("<>/=\"'&", *x->p, 7) == NULL && *x->p != '\0') {
		if (*x->p == ':')
			from = x->p + 1;
		x->p++;
	}
	x->name = (struct xml_span){ from, (size_t)(x->p - from) };
	return x->name.len > 0;
}

static bool
same_span(struct xml_span a, struct xml_span b)
{
	return a.len == b.len && memcmp(a.s, b.s, a.len) == 0;
}

static enum xml_what
close_tag(struct xml *x)
{
	x->p += 2;
	if (!read_name(x))
		return bad(x);
	while (x->p < x->end && is_space(*x->p))
		x->p++;
	if (x->p == x->end || *x->p != '>' || x->depth == 0 || !same_span(x->name, x->names[x->depth - 1]))
		return bad(x);
	x->p++;
	x->depth--;
	return XML_CLOSE;
}

static enum xml_what
open_tag(struct xml *x)
{
	x->p++;
	if (!read_name(x) || x->depth == XML_DEPTH_MAX || (x->depth == 0 && x->rooted))
		return bad(x);
	for (; x->p < x->end && *x->p != '>'; x->p++) {
		if (*x->p == '<' || *x->p == '\0')
			return bad(x);
		if (*x->p == '"' || *x->p == '\'') {
			const char *close = memchr(x->p + 1, *x->p, (size_t)(x->end - x->p - 1));

			if (close == NULL)
				return bad(x);
			x->p = close;
		}
	}
	if (x->p == x->end)
		return bad(x);
	x->closing = x->p[-1] == '/';
	x->p++;
	x->rooted = true;
	x->names[x->depth++] = x->name;
	return XML_OPEN;
}

enum xml_what
xml_next(struct xml *x)
{
	if (x->closing) {
		x->closing = false;
		x->name = x->names[--x->depth];
		return XML_CLOSE;
	}
	while (x->p < x->end) {
		if (*x->p != '<') {
			const char *to = memchr(x->p, '<', (size_t)(x->end - x->p));

			if (to == NULL)
				to = x->end;
			x->text = (struct xml_span){ x->p, (size_t)(to - x->p) };
			x->cdata = false;
			if (memchr(x->p, '\0', x->text.len) != NULL || (x->depth == 0 && !blank(x->text)))
				return bad(x);
			x->p = to;
			if (x->depth > 0)
				return XML_TEXT;
		} else if (starts(x, "<?")) {
			if (!skip_past(x, "?>"))
				return bad(x);
		} else if (starts(x, "<!--")) {
			if (!skip_past(x, "-->"))
				return bad(x);
		} else if (starts(x, "<![CDATA[")) {
			const char *from = x->p + strlen("<![CDATA[");

			if (x->depth == 0 || !skip_past(x, "]]>"))
				return bad(x);
			x->text = (struct xml_span){ from, (size_t)(x->p - 3 - from) };
			x->cdata = true;
			return x->p - 3 < from || memchr(from, '\0', x->text.len) != NULL ? bad(x) : XML_TEXT;
		} else if (starts(x, "<!")) {
			return bad(x);
		} else if (starts(x, "</")) {
			return close_tag(x);
		} else {
			return open_tag(x);
		}
	}
	return x->depth == 0 && x->rooted ? XML_END : bad(x);
}

bool
xml_is(struct xml_span name, const char *s)
{
	return name.len == strlen(s) && memcmp(name.s, s, name.len) == 0;
}

static void
put_utf8(struct ml_buf *out, uint32_t c)
{
	if (c < 0x80) {
		ml_buf_putc(out, (char)c);
	} else if (c < 0x800) {
		ml_buf_putc(out, (char)(0xc0 | c >> 6));
		ml_buf_putc(out, (char)(0x80 | (c & 0x3f)));
	} else if (c < 0x10000) {
		ml_buf_putc(out, (char)(0xe0 | c >> 12));
		ml_buf_putc(out, (char)(0x80 | (c >> 6 & 0x3f)));
		ml_buf_putc(out, (char)(0x80 | (c & 0x3f)));
	} else {
		ml_buf_putc(out, (char)(0xf0 | c >> 18));
		ml_buf_putc(out, (char)(0x80 | (c >> 12 & 0x3f)));
		ml_buf_putc(out, (char)(0x80 | (c >> 6 & 0x3f)));
		ml_buf_putc(out, (char)(0x80 | (c & 0x3f)));
	}
}

/* The reference between '&' and ';'. */
static int
put_reference(struct ml_buf *out, const char *s, size_t n)
{
	static const struct {
		const char *name;
		char c;
	} named[] = {
		{ "amp", '&' },
		{ "lt", '<' },
		{ "gt", '>' },
		{ "quot", '"' },
		{ "apos", '\'' },
	};
	bool hex = n > 1 && s[0] == '#' && s[1] == 'x';
	uint32_t c = 0;

	for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++)
		if (xml_is((struct xml_span){ s, n }, named[i].name)) {
			ml_buf_putc(out, named[i].c);
			return 0;
		}
	if (n < 2 || s[0] != '#' || (hex && n < 3))
		return -1;
	for (size_t i = hex ? 2 : 1; i < n; i++) {
		int d = s[i] >= '0' && s[i] <= '9'   ? s[i] - '0'
			: !hex                       ? -1
			: s[i] >= 'a' && s[i] <= 'f' ? s[i] - 'a' + 10
			: s[i] >= 'A' && s[i] <= 'F' ? s[i] - 'A' + 10
						     : -1;

		if (d < 0)
			return -1;
		c = c * (hex ? 16 : 10) + (uint32_t)d;
		if (c > 0x10ffff)
			return -1;
	}
	if (c == 0 || (c >= 0xd800 && c < 0xe000))
		return -1;
	put_utf8(out, c);
	return 0;
}

int
xml_put_text(const struct xml *x, struct ml_buf *out)
{
	const char *p = x->text.s, *end = p + x->text.len;

	while (p < end) {
		const char *amp = x->cdata ? NULL : memchr(p, '&', (size_t)(end - p)), *semi;

		ml_buf_put(out, p, (size_t)((amp != NULL ? amp : end) - p));
		if (amp == NULL)
			break;
		semi = memchr(amp, ';', (size_t)(end - amp));
		if (semi == NULL || put_reference(out, amp + 1, (size_t)(semi - amp - 1)) != 0)
			return -1;
		p = semi + 1;
	}
	return 0;
}

bool
xml_root(const char *doc, size_t len, char *out, size_t size)
{
	struct xml x;
	size_t n;

	xml_init(&x, doc, len);
	if (xml_next(&x) != XML_OPEN)
		return false;
	n = x.name.len < size ? x.name.len : size - 1;
	memcpy(out, x.name.s, n);
	out[n] = '\0';
	return true;
}

int
xml_child(const char *doc, size_t len, const char *name, struct ml_buf *out)
{
	struct xml x;
	bool in = false, found = false;

	xml_init(&x, doc, len);
	for (;;)
		switch (xml_next(&x)) {
		case XML_OPEN:
			if (x.depth == 2 && !found && xml_is(x.name, name))
				in = found = true;
			break;
		case XML_CLOSE:
			if (x.depth == 1)
				in = false;
			break;
		case XML_TEXT:
			if (in && x.depth == 2 && xml_put_text(&x, out) != 0)
				return -1;
			break;
		case XML_END:
			return found;
		case XML_BAD:
			return -1;
		}
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Undoes a form's encoding in place; -1 for a bad escape or a NUL. */
static int
url_decode(struct ml_buf *b)
{
	size_t to = 0;

	for (size_t i = 0; i < b->len; i++) {
		char c = b->data[i];

		if (c == '%') {
			int hi = i + 2 < b->len ? hex_digit(b->data[i + 1]) : -1,
			    lo = i + 2 < b->len ? hex_digit(b->data[i + 2]) : -1;

			if (hi < 0 || lo < 0)
				return -1;
			c = (char)(hi << 4 | lo);
			i += 2;
		} else if (c == '+') {
			c = ' ';
		}
		if (c == '\0')
			return -1;
		b->data[to++] = c;
	}
	b->len = to;
	if (b->data != NULL)
		b->data[to] = '\0';
	return 0;
}

static int
give(struct ml_buf *key, struct ml_buf *size, bool encoded, xml_key_fn *fn, void *arg)
{
	if (key->len == 0 || (encoded && url_decode(key) != 0))
		return -1;
	return fn(arg, key->data, size->len > 0 ? strtoull(size->data, NULL, 10) : 0);
}

static int
list_objects(const char *doc, size_t len, bool encoded, xml_key_fn *fn, void *arg)
{
	struct ml_buf key = { 0 }, size = { 0 }, *to = NULL;
	bool object = false;
	struct xml x;
	int rc = 1; /* going on */

	xml_init(&x, doc, len);
	while (rc == 1)
		switch (xml_next(&x)) {
		case XML_OPEN:
			if (x.depth == 2) {
				object = xml_is(x.name, "Contents");
				ml_buf_clear(&key);
				ml_buf_clear(&size);
			}
			to = x.depth != 3 || !object  ? NULL
			     : xml_is(x.name, "Key")  ? &key
			     : xml_is(x.name, "Size") ? &size
						      : NULL;
			break;
		case XML_CLOSE:
			to = NULL;
			if (x.depth == 1 && object) {
				object = false;
				if (give(&key, &size, encoded, fn, arg) != 0)
					rc = -1;
			}
			break;
		case XML_TEXT:
			if (to != NULL && xml_put_text(&x, to) != 0)
				rc = -1;
			break;
		case XML_END:
			rc = 0;
			break;
		case XML_BAD:
			rc = -1;
			break;
		}
	ml_buf_fini(&key);
	ml_buf_fini(&size);
	return rc;
}

int
xml_list(const char *doc, size_t len, xml_key_fn *fn, void *arg, struct xml_listing *l)
{
	struct ml_buf encoding = { 0 }, more = { 0 };
	char root[32];
	int rc = -1;

	ml_buf_clear(&l->token);
	l->more = false;
	if (xml_root(doc, len, root, sizeof(root)) && strcmp(root, "ListBucketResult") == 0 &&
		xml_child(doc, len, "EncodingType", &encoding) >= 0 && xml_child(doc, len, "IsTruncated", &more) >= 0 &&
		xml_child(doc, len, "NextContinuationToken", &l->token) >= 0) {
		l->more = more.len == 4 && memcmp(more.data, "true", 4) == 0;
		/* Without the token it would be the same page for ever. */
		if (!l->more || l->token.len > 0)
			rc = list_objects(doc, len, encoding.len == 3 && memcmp(encoding.data, "url", 3) == 0, fn, arg);
	}
	ml_buf_fini(&encoding);
	ml_buf_fini(&more);
	return rc;
}
