#include "common/text/toml.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/arena.h"
#include "common/base/buf.h"

/*
 * How a table came to be decides who may add to it (TOML 1.0, "Table" and "Dotted keys"):
 *   IMPLIED   only named on the way to a header: a later header may define it
 *   HEADER    defined by [x]: not again
 *   DOTTED    by a dotted key: more dotted keys may add, a header may only define tables below it
 *   CLOSED    inline tables and arrays of values: nothing may be added
 *   ELEMENTS  array made of [[x]]: headers go into its last element
 */
enum { IMPLIED, HEADER, DOTTED, CLOSED, ELEMENTS };

struct doc { /* the root comes first, so that the root's address is the document's */
	struct ml_toml root;
	struct ml_arena arena;
	unsigned nodes;
};

struct rd {
	struct doc *doc;
	const char *p, *end;
	unsigned line;
	struct ml_err *err;
	struct ml_buf tmp; /* the string being read */
};

static int value(struct rd *r, struct ml_toml *v, unsigned depth);

#define BAD(r, ...) bad((r), __VA_ARGS__)
static int bad(struct rd *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static int
bad(struct rd *r, const char *fmt, ...)
{
	char text[200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return ML_ERRF(r->err, ErrConfigInvalid, 0, "line %u: %s", r->line, text);
}

static int
peek(const struct rd *r)
{
	return r->p < r->end ? (unsigned char)*r->p : -1;
}

static int
peek_at(const struct rd *r, size_t n)
{
	return (size_t)(r->end - r->p) > n ? (unsigned char)r->p[n] : -1;
}

static bool
starts(const struct rd *r, const char *s)
{
	size_t n = strlen(s);

	return (size_t)(r->end - r->p) >= n && memcmp(r->p, s, n) == 0;
}

static void
blanks(struct rd *r)
{
	while (peek(r) == ' ' || peek(r) == '\t')
		r->p++;
}

/* Takes a line end if one is here: "\n" or "\r\n". */
static bool
newline(struct rd *r)
{
	if (peek(r) == '\n')
		r->p++;
	else if (peek(r) == '\r' && peek_at(r, 1) == '\n')
		r->p += 2;
	else
		return false;
	r->line++;
	return true;
}

static bool
forbidden(int c)
{
	return (c >= 0 && c < 0x20 && c != '\t') || c == 0x7f;
}

/* Blanks, then a comment up to its line end, if any. */
static int
comment(struct rd *r)
{
	blanks(r);
	if (peek(r) != '#')
		return 0;
	while (peek(r) >= 0 && peek(r) != '\n' && !(peek(r) == '\r' && peek_at(r, 1) == '\n')) {
		if (forbidden(peek(r)))
			return BAD(r, "control character in a comment");
		r->p++;
	}
	return 0;
}

static int
end_of_line(struct rd *r)
{
	if (comment(r) != 0)
		return -1;
	if (peek(r) < 0 || newline(r))
		return 0;
	return BAD(r, "end of line expected");
}

/* Blanks, comments and line ends, inside of arrays. */
static int
gap(struct rd *r)
{
	do {
		if (comment(r) != 0)
			return -1;
	} while (newline(r));
	return 0;
}

static struct ml_toml *
node(struct rd *r, enum ml_toml_type type)
{
	struct ml_toml *v;

	if (++r->doc->nodes > ML_TOML_NODES_MAX) {
		BAD(r, "more than %u values", ML_TOML_NODES_MAX);
		return NULL;
	}
	v = ml_arena_zalloc(&r->doc->arena, sizeof(*v));
	v->type = type;
	v->line = r->line;
	return v;
}

static void
append(struct ml_toml *to, struct ml_toml *v)
{
	if (to->last != NULL)
		to->last->next = v;
	else
		to->first = v;
	to->last = v;
}

static struct ml_toml *
find(const struct ml_toml *table, const char *key)
{
	struct ml_toml *v;

	for (v = table->first; v != NULL && strcmp(v->key, key) != 0; v = v->next)
		continue;
	return v;
}

static const char *
keep(struct rd *r, const char *s, size_t n)
{
	return ml_arena_strndup(&r->doc->arena, s, n);
}

static int
put_utf8(struct rd *r, uint32_t c)
{
	char s[4];
	size_t n = 0;

	if (c == 0 || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return BAD(r, "escape of U+%04X, which is not allowed", c);
	if (c < 0x80) {
		s[n++] = (char)c;
	} else if (c < 0x800) {
		s[n++] = (char)(0xc0 | c >> 6);
		s[n++] = (char)(0x80 | (c & 63));
	} else if (c < 0x10000) {
		s[n++] = (char)(0xe0 | c >> 12);
		s[n++] = (char)(0x80 | (c >> 6 & 63));
		s[n++] = (char)(0x80 | (c & 63));
	} else {
		s[n++] = (char)(0xf0 | c >> 18);
		s[n++] = (char)(0x80 | (c >> 12 & 63));
		s[n++] = (char)(0x80 | (c >> 6 & 63));
		s[n++] = (char)(0x80 | (c & 63));
	}
	ml_buf_put(&r->tmp, s, n);
	return 0;
}

static int
hex_digit(int c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

/* After a backslash. */
static int
escape(struct rd *r)
{
	static const char from[] = "btnfr\"\\", to[] = "\b\t\n\f\r\"\\";
	int c = peek(r);
	const char *at = c > 0 ? strchr(from, c) : NULL;
	unsigned digits = c == 'u' ? 4 : c == 'U' ? 8 : 0;
	uint32_t code = 0;

	if (at != NULL) {
		ml_buf_putc(&r->tmp, to[at - from]);
		r->p++;
		return 0;
	}
	if (digits == 0)
		return BAD(r, "unknown escape in a string");
	r->p++;
	for (unsigned i = 0; i < digits; i++, r->p++) {
		int d = hex_digit(peek(r));

		if (d < 0)
			return BAD(r, "\\u needs 4 and \\U 8 hexadecimal digits");
		code = code << 4 | (uint32_t)d;
	}
	return put_utf8(r, code);
}

/* A string that starts here, of all four kinds if `many`, else one line only; into r->tmp. */
static int
string(struct rd *r, bool many)
{
	char q = (char)peek(r);
	const char triple[4] = { q, q, q, '\0' };
	bool lines = many && starts(r, triple);
	unsigned from = r->line;

	ml_buf_clear(&r->tmp);
	r->p += lines ? 3 : 1;
	if (lines)
		newline(r); /* the first one does not count */
	for (;;) {
		int c = peek(r);

		if (c < 0) {
			r->line = from;
			return BAD(r, "string without its end");
		}
		if (c == q && !lines) {
			r->p++;
			return 0;
		}
		if (c == q && starts(r, triple)) {
			/* One or two quotes may stand before the closing three. */
			for (unsigned extra = 0; extra < 2 && peek_at(r, 3) == q; extra++, r->p++)
				ml_buf_putc(&r->tmp, q);
			r->p += 3;
			return 0;
		}
		if (lines && newline(r)) {
			ml_buf_putc(&r->tmp, '\n');
			continue;
		}
		if (c == '\n' || c == '\r')
			return BAD(r, "line end within a string");
		if (forbidden(c))
			return BAD(r, "control character in a string");
		r->p++;
		if (c == '\\' && q == '"') {
			const char *back = r->p;

			blanks(r);
			if (lines && newline(r)) { /* a backslash at the line's end takes all white space away */
				do
					blanks(r);
				while (newline(r));
				continue;
			}
			r->p = back;
			if (escape(r) != 0)
				return -1;
			continue;
		}
		ml_buf_putc(&r->tmp, (char)c);
	}
}

static bool
bare(int c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-';
}

/* One part of a key, kept; NULL with err. */
static const char *
key_part(struct rd *r)
{
	const char *from = r->p;

	if (peek(r) == '"' || peek(r) == '\'') {
		if (string(r, false) != 0)
			return NULL;
		return keep(r, r->tmp.data != NULL ? r->tmp.data : "", r->tmp.len);
	}
	while (bare(peek(r)))
		r->p++;
	if (r->p == from) {
		BAD(r, "key expected");
		return NULL;
	}
	return keep(r, from, (size_t)(r->p - from));
}

static struct ml_toml *
add_table(struct rd *r, struct ml_toml *to, const char *key, int how)
{
	struct ml_toml *v = node(r, ML_TOML_TABLE);

	if (v == NULL)
		return NULL;
	v->key = key;
	v->how = (uint8_t)how;
	append(to, v);
	return v;
}

/* "key = value" into table. */
static int
pair(struct rd *r, struct ml_toml *table, unsigned depth)
{
	struct ml_toml *v;
	const char *key;

	for (;;) {
		key = key_part(r);
		if (key == NULL)
			return -1;
		blanks(r);
		if (peek(r) != '.')
			break;
		r->p++;
		blanks(r);
		if (++depth > ML_TOML_DEPTH_MAX)
			return BAD(r, "nested too deeply");
		v = find(table, key);
		if (v == NULL)
			v = add_table(r, table, key, DOTTED);
		else if (v->type != ML_TOML_TABLE || v->how != DOTTED)
			return BAD(r, "'%.60s' is defined already (line %u)", key, v->line);
		if (v == NULL)
			return -1;
		table = v;
	}
	v = find(table, key);
	if (v != NULL)
		return BAD(r, "'%.60s' is defined already (line %u)", key, v->line);
	if (peek(r) != '=')
		return BAD(r, "'=' expected after key '%.60s'", key);
	r->p++;
	blanks(r);
	v = node(r, ML_TOML_STRING);
	if (v == NULL)
		return -1;
	v->key = key;
	if (value(r, v, depth + 1) != 0)
		return -1;
	append(table, v);
	return 0;
}

static int
array(struct rd *r, struct ml_toml *v, unsigned depth)
{
	v->type = ML_TOML_ARRAY;
	v->how = CLOSED;
	r->p++;
	for (;;) {
		struct ml_toml *item;

		if (gap(r) != 0)
			return -1;
		if (peek(r) == ']')
			break;
		item = node(r, ML_TOML_STRING);
		if (item == NULL || value(r, item, depth + 1) != 0)
			return -1;
		append(v, item);
		if (gap(r) != 0)
			return -1;
		if (peek(r) == ']')
			break;
		if (peek(r) != ',')
			return BAD(r, "',' or ']' expected in an array");
		r->p++;
	}
	r->p++;
	return 0;
}

/* Dotted tables inside of an inline one are closed with it. */
static void
close_below(struct ml_toml *v)
{
	v->how = CLOSED;
	for (struct ml_toml *i = v->first; i != NULL; i = i->next)
		if (i->type == ML_TOML_TABLE && i->how != CLOSED)
			close_below(i);
}

static int
inline_table(struct rd *r, struct ml_toml *v, unsigned depth)
{
	v->type = ML_TOML_TABLE;
	v->how = DOTTED;
	r->p++;
	blanks(r);
	if (peek(r) == '}') {
		r->p++;
		v->how = CLOSED;
		return 0;
	}
	for (;;) {
		blanks(r);
		if (pair(r, v, depth) != 0)
			return -1;
		blanks(r);
		if (peek(r) == '}')
			break;
		if (peek(r) != ',')
			return BAD(r, "',' or '}' expected in an inline table");
		r->p++;
	}
	r->p++;
	close_below(v);
	return 0;
}

/* Copies digits of base without their underscores, which may stand only between digits.  False if that is not so. */
static bool
digits(const char **p, const char *end, int base, char *to, size_t size, size_t *n)
{
	bool last = false;
	size_t from = *n;

	for (; *p < end; (*p)++) {
		int d = hex_digit((unsigned char)**p);

		if (**p == '_') {
			if (!last)
				return false;
			last = false;
			continue;
		}
		if (d < 0 || d >= base)
			break;
		if (*n + 1 >= size)
			return false;
		to[(*n)++] = **p;
		last = true;
	}
	to[*n] = '\0';
	return last && *n > from;
}

/* Whether the word is an integer or a float; v is set then. */
static bool
number(struct ml_toml *v, const char *w, size_t len)
{
	char text[400];
	const char *p = w, *end = w + len;
	bool sign = len > 0 && (*w == '+' || *w == '-'), real = false;
	int base = 10;
	size_t n = 0, first;

	if (sign)
		text[n++] = *p++;
	if ((size_t)(end - p) == 3 && (memcmp(p, "inf", 3) == 0 || memcmp(p, "nan", 3) == 0)) {
		v->type = ML_TOML_FLOAT;
		v->real = *p == 'n' ? NAN : sign && *w == '-' ? -INFINITY : INFINITY;
		return true;
	}
	if (!sign && end - p > 2 && *p == '0' && strchr("xob", p[1]) != NULL) {
		base = p[1] == 'x' ? 16 : p[1] == 'o' ? 8 : 2;
		p += 2;
	}
	first = n;
	if (!digits(&p, end, base, text, sizeof(text), &n))
		return false;
	if (base == 10 && n - first > 1 && text[first] == '0')
		return false; /* leading zero */
	if (base == 10 && p < end && *p == '.') {
		real = true;
		text[n++] = *p++;
		if (!digits(&p, end, 10, text, sizeof(text) - 8, &n))
			return false;
	}
	if (base == 10 && p < end && (*p == 'e' || *p == 'E') && n < sizeof(text) - 8) {
		real = true;
		text[n++] = *p++;
		if (p < end && (*p == '+' || *p == '-'))
			text[n++] = *p++;
		if (!digits(&p, end, 10, text, sizeof(text), &n))
			return false;
	}
	if (p != end)
		return false;
	errno = 0;
	if (real) {
		v->type = ML_TOML_FLOAT;
		v->real = strtod(text, NULL);
		return true;
	}
	v->type = ML_TOML_INT;
	v->num = strtoll(text, NULL, base);
	return errno == 0;
}

/* n digits with a value in [min, max]. */
static bool
two(const char **p, const char *end, unsigned n, unsigned min, unsigned max)
{
	unsigned v = 0;

	if ((size_t)(end - *p) < n)
		return false;
	for (unsigned i = 0; i < n; i++, (*p)++) {
		if (**p < '0' || **p > '9')
			return false;
		v = v * 10 + (unsigned)(**p - '0');
	}
	return v >= min && v <= max;
}

static bool
one(const char **p, const char *end, const char *of)
{
	if (*p == end || **p == '\0' || strchr(of, **p) == NULL)
		return false;
	(*p)++;
	return true;
}

static bool
clock_time(const char **p, const char *end)
{
	if (!two(p, end, 2, 0, 23) || !one(p, end, ":") || !two(p, end, 2, 0, 59) || !one(p, end, ":") ||
		!two(p, end, 2, 0, 60))
		return false;
	if (one(p, end, ".")) {
		if (!two(p, end, 1, 0, 9))
			return false;
		while (*p < end && **p >= '0' && **p <= '9')
			(*p)++;
	}
	return true;
}

/* Whether the word is a date, a time, or both. */
static bool
date_time(const char *w, size_t len)
{
	const char *p = w, *end = w + len;

	if (len > 2 && w[2] == ':')
		return clock_time(&p, end) && p == end;
	if (!two(&p, end, 4, 0, 9999) || !one(&p, end, "-") || !two(&p, end, 2, 1, 12) || !one(&p, end, "-") ||
		!two(&p, end, 2, 1, 31))
		return false;
	if (p == end)
		return true;
	if (!one(&p, end, "Tt ") || !clock_time(&p, end))
		return false;
	if (p == end || (one(&p, end, "Zz") && p == end))
		return true;
	return one(&p, end, "+-") && two(&p, end, 2, 0, 23) && one(&p, end, ":") && two(&p, end, 2, 0, 59) && p == end;
}

static int
value(struct rd *r, struct ml_toml *v, unsigned depth)
{
	const char *from = r->p;
	size_t len;

	if (depth > ML_TOML_DEPTH_MAX)
		return BAD(r, "nested too deeply");
	v->line = r->line;
	if (peek(r) == '"' || peek(r) == '\'') {
		if (string(r, true) != 0)
			return -1;
		v->type = ML_TOML_STRING;
		v->text = keep(r, r->tmp.data != NULL ? r->tmp.data : "", r->tmp.len);
		return 0;
	}
	if (peek(r) == '[')
		return array(r, v, depth);
	if (peek(r) == '{')
		return inline_table(r, v, depth);
	while (bare(peek(r)) || peek(r) == '+' || peek(r) == '.' || peek(r) == ':' ||
		/* a blank may stand between date and time */
		(peek(r) == ' ' && r->p - from == 10 && from[4] == '-' && peek_at(r, 1) >= '0' && peek_at(r, 1) <= '9'))
		r->p++;
	len = (size_t)(r->p - from);
	v->text = keep(r, from, len);
	if (strcmp(v->text, "true") == 0 || strcmp(v->text, "false") == 0) {
		v->type = ML_TOML_BOOL;
		v->num = v->text[0] == 't';
		return 0;
	}
	if (date_time(from, len)) {
		v->type = ML_TOML_TIME;
		return 0;
	}
	if (number(v, from, len))
		return 0;
	return len == 0 ? BAD(r, "value expected") : BAD(r, "'%.60s' is not a value", v->text);
}

/* "[a.b]" or "[[a.b]]"; *table: where the pairs below it go. */
static int
header(struct rd *r, struct ml_toml **table)
{
	bool element = starts(r, "[[");
	struct ml_toml *at = &r->doc->root, *v;
	unsigned depth = 0;
	const char *key;

	r->p += element ? 2 : 1;
	for (;;) {
		blanks(r);
		key = key_part(r);
		if (key == NULL)
			return -1;
		blanks(r);
		if (++depth > ML_TOML_DEPTH_MAX)
			return BAD(r, "nested too deeply");
		v = find(at, key);
		if (peek(r) != '.')
			break;
		r->p++;
		if (v == NULL && (v = add_table(r, at, key, IMPLIED)) == NULL)
			return -1;
		if (v->how == ELEMENTS)
			v = v->last;
		if (v->type != ML_TOML_TABLE || v->how == CLOSED)
			return BAD(r, "'%.60s' is defined already (line %u)", key, v->line);
		at = v;
	}
	if (!starts(r, element ? "]]" : "]"))
		return BAD(r, "'%s' expected after '%.60s'", element ? "]]" : "]", key);
	r->p += element ? 2 : 1;
	if (element) {
		if (v == NULL) {
			v = node(r, ML_TOML_ARRAY);
			if (v == NULL)
				return -1;
			v->key = key;
			v->how = ELEMENTS;
			append(at, v);
		} else if (v->type != ML_TOML_ARRAY || v->how != ELEMENTS) {
			return BAD(r, "'%.60s' is defined already (line %u)", key, v->line);
		}
		v = add_table(r, v, NULL, HEADER);
	} else if (v == NULL) {
		v = add_table(r, at, key, HEADER);
	} else if (v->type == ML_TOML_TABLE && v->how == IMPLIED) {
		v->how = HEADER;
	} else {
		return BAD(r, "table '%.60s' is defined already (line %u)", key, v->line);
	}
	if (v == NULL)
		return -1;
	*table = v;
	return end_of_line(r);
}

/* Checks UTF-8 (RFC 3629) and tells the line of the first mistake; 0 if there is none. */
static unsigned
bad_utf8_line(const char *text, size_t len)
{
	const unsigned char *p = (const unsigned char *)text, *end = p + len;
	unsigned line = 1;

	while (p < end) {
		unsigned more = *p < 0x80                 ? 0
				: *p >= 0xc2 && *p < 0xe0 ? 1
				: *p >= 0xe0 && *p < 0xf0 ? 2
				: *p >= 0xf0 && *p < 0xf5 ? 3
							  : 9;

		if ((size_t)(end - p) <= more)
			return line;
		for (unsigned i = 1; i <= more; i++)
			if ((p[i] & 0xc0) != 0x80)
				return line;
		if ((*p == 0xe0 && p[1] < 0xa0) || (*p == 0xed && p[1] > 0x9f) || (*p == 0xf0 && p[1] < 0x90) ||
			(*p == 0xf4 && p[1] > 0x8f))
			return line;
		line += *p == '\n';
		p += more + 1;
	}
	return 0;
}

int
ml_toml_parse(struct ml_toml **out, const char *text, size_t len, struct ml_err *err)
{
	struct rd r = { .p = text, .end = text + len, .line = 1, .err = err };
	struct ml_toml *table;

	if (len > ML_TOML_MAX)
		return ML_ERRF(err, ErrConfigInvalid, 0, "%zu bytes; the most is %u", len, ML_TOML_MAX);
	r.line = bad_utf8_line(text, len);
	if (r.line != 0)
		return BAD(&r, "not UTF-8");
	r.line = 1;
	r.doc = calloc(1, sizeof(*r.doc));
	if (r.doc == NULL)
		return ML_ERR(err, ErrNoMemory, 0, "reading TOML");
	ml_arena_init(&r.doc->arena, 0);
	table = &r.doc->root;
	table->type = ML_TOML_TABLE;
	table->how = HEADER;
	table->line = 1;
	if (starts(&r, "\xef\xbb\xbf"))
		r.p += 3;
	while (r.p < r.end) {
		blanks(&r);
		if (peek(&r) == '[') {
			if (header(&r, &table) != 0)
				goto fail;
			continue;
		}
		if (peek(&r) >= 0 && peek(&r) != '#' && peek(&r) != '\n' && peek(&r) != '\r' && pair(&r, table, 0) != 0)
			goto fail;
		if (end_of_line(&r) != 0)
			goto fail;
	}
	ml_buf_fini(&r.tmp);
	*out = &r.doc->root;
	return 0;
fail:
	ml_buf_fini(&r.tmp);
	ml_toml_free(&r.doc->root);
	return -1;
}

void
ml_toml_free(struct ml_toml *root)
{
	struct doc *doc = (struct doc *)(void *)root;

	if (root == NULL)
		return;
	ml_arena_fini(&doc->arena);
	free(doc);
}

const struct ml_toml *
ml_toml_get(const struct ml_toml *table, const char *key)
{
	return table->type == ML_TOML_TABLE ? find(table, key) : NULL;
}

const char *
ml_toml_type_name(enum ml_toml_type type)
{
	static const char *const names[] = { "a string", "an integer", "a float", "a boolean", "a time", "an array",
		"a table" };

	return names[type];
}
