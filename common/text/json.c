#include "common/text/json.h"

#include <errno.h>
#include <stdlib.h>
#include <strings.h>

#include "common/text/jsonw.h"

struct parser {
	const unsigned char *p, *end;
	struct ml_arena *a;
	struct ml_err *err;
	int depth;
};

static int
fail_eof(struct parser *ps)
{
	return ML_ERRF(ps->err, ErrAPIInvalidParam, 0, "unexpected EOF");
}

static int
fail_char(struct parser *ps, const char *where)
{
	unsigned char c = *ps->p;

	if (c >= 0x20 && c < 0x7f)
		return ML_ERRF(ps->err, ErrAPIInvalidParam, 0, "invalid character '%c' %s", c, where);
	return ML_ERRF(ps->err, ErrAPIInvalidParam, 0, "invalid character '\\x%02x' %s", c, where);
}

static void
skip_space(struct parser *ps)
{
	while (ps->p < ps->end && (*ps->p == ' ' || *ps->p == '\t' || *ps->p == '\n' || *ps->p == '\r'))
		ps->p++;
}

static char *
put_rune(char *o, uint32_t c)
{
	if (c < 0x80) {
		*o++ = (char)c;
	} else if (c < 0x800) {
		*o++ = (char)(0xc0 | c >> 6);
		*o++ = (char)(0x80 | (c & 0x3f));
	} else if (c < 0x10000) {
		*o++ = (char)(0xe0 | c >> 12);
		*o++ = (char)(0x80 | (c >> 6 & 0x3f));
		*o++ = (char)(0x80 | (c & 0x3f));
	} else {
		*o++ = (char)(0xf0 | c >> 18);
		*o++ = (char)(0x80 | (c >> 12 & 0x3f));
		*o++ = (char)(0x80 | (c >> 6 & 0x3f));
		*o++ = (char)(0x80 | (c & 0x3f));
	}
	return o;
}

/* Four hex digits at p; -1 if they are not. */
static int32_t
hex4(const unsigned char *p)
{
	int32_t v = 0;

	for (int i = 0; i < 4; i++) {
		int d = p[i] >= '0' && p[i] <= '9'   ? p[i] - '0'
			: p[i] >= 'a' && p[i] <= 'f' ? p[i] - 'a' + 10
			: p[i] >= 'A' && p[i] <= 'F' ? p[i] - 'A' + 10
						     : -1;

		if (d < 0)
			return -1;
		v = v << 4 | d;
	}
	return v;
}

/* \uXXXX at ps->p (past the 'u'), with its low half if it is a surrogate pair. */
static int
parse_u(struct parser *ps, uint32_t *rune)
{
	int32_t v, low;

	if (ps->end - ps->p < 4)
		return fail_eof(ps);
	v = hex4(ps->p);
	if (v < 0)
		return fail_char(ps, "in \\u hexadecimal character escape");
	ps->p += 4;
	if (v >= 0xd800 && v < 0xdc00 && ps->end - ps->p >= 6 && ps->p[0] == '\\' && ps->p[1] == 'u' &&
		(low = hex4(ps->p + 2)) >= 0xdc00 && low < 0xe000) {
		ps->p += 6;
		*rune = 0x10000 + ((uint32_t)(v - 0xd800) << 10) + (uint32_t)(low - 0xdc00);
	} else {
		*rune = v >= 0xd800 && v < 0xe000 ? 0xfffd : (uint32_t)v;
	}
	return 0;
}

/* At the opening quote. */
static int
parse_string(struct parser *ps, const char **s, size_t *len)
{
	const unsigned char *q;
	char *out, *o;
	size_t raw;

	ps->p++;
	/* The decoded text is never more than three times the raw one: a bad byte becomes the three of U+FFFD. */
	for (q = ps->p; q < ps->end && *q != '"'; q++)
		if (*q == '\\' && ++q == ps->end)
			break;
	if (q == ps->end)
		return fail_eof(ps);
	raw = (size_t)(q - ps->p);
	out = o = ml_arena_bytes(ps->a, raw * 3 + 1);
	while (ps->p < q) {
		unsigned char c = *ps->p;
		uint32_t rune;
		size_t n;

		if (c < 0x20)
			return fail_char(ps, "in string literal");
		if (c != '\\') {
			n = c < 0x80 ? 1 : ml_utf8_len(ps->p, (size_t)(q - ps->p));
			if (n == 0) {
				o = put_rune(o, 0xfffd);
				ps->p++;
			} else {
				memcpy(o, ps->p, n);
				o += n;
				ps->p += n;
			}
			continue;
		}
		ps->p++;
		c = *ps->p++;
		switch (c) {
		case '"':
		case '\\':
		case '/':
			*o++ = (char)c;
			break;
		case 'b':
			*o++ = '\b';
			break;
		case 'f':
			*o++ = '\f';
			break;
		case 'n':
			*o++ = '\n';
			break;
		case 'r':
			*o++ = '\r';
			break;
		case 't':
			*o++ = '\t';
			break;
		case 'u':
			if (parse_u(ps, &rune) < 0)
				return -1;
			o = put_rune(o, rune);
			break;
		default:
			ps->p--;
			return fail_char(ps, "in string escape code");
		}
	}
	*o = '\0';
	*s = out;
	*len = (size_t)(o - out);
	ps->p = q + 1;
	return 0;
}

static bool
digit(const struct parser *ps)
{
	return ps->p < ps->end && *ps->p >= '0' && *ps->p <= '9';
}

static int
digits(struct parser *ps, const char *where)
{
	if (ps->p >= ps->end)
		return fail_eof(ps);
	if (!digit(ps))
		return fail_char(ps, where);
	while (digit(ps))
		ps->p++;
	return 0;
}

static int
parse_number(struct parser *ps, struct ml_json *j)
{
	const unsigned char *start = ps->p;

	if (*ps->p == '-')
		ps->p++;
	if (ps->p < ps->end && *ps->p == '0')
		ps->p++;
	else if (digits(ps, "in numeric literal") < 0)
		return -1;
	if (ps->p < ps->end && *ps->p == '.') {
		ps->p++;
		if (digits(ps, "after decimal point in numeric literal") < 0)
			return -1;
	}
	if (ps->p < ps->end && (*ps->p == 'e' || *ps->p == 'E')) {
		ps->p++;
		if (ps->p < ps->end && (*ps->p == '+' || *ps->p == '-'))
			ps->p++;
		if (digits(ps, "in exponent of numeric literal") < 0)
			return -1;
	}
	j->type = ML_JSON_NUMBER;
	j->len = (size_t)(ps->p - start);
	j->s = ml_arena_strndup(ps->a, (const char *)start, j->len);
	return 0;
}

static int
parse_word(struct parser *ps, const char *word)
{
	size_t n = strlen(word);

	for (size_t i = 0; i < n; i++, ps->p++) {
		if (ps->p >= ps->end)
			return fail_eof(ps);
		if (*ps->p != (unsigned char)word[i])
			return fail_char(ps, "in literal");
	}
	return 0;
}

static int parse_value(struct parser *ps, struct ml_json **out);

static int
parse_members(struct parser *ps, struct ml_json *j, bool object)
{
	struct ml_json **tail = &j->child, *m;
	unsigned char close = object ? '}' : ']';

	if (++ps->depth > ML_JSON_MAX_DEPTH)
		return ML_ERRF(ps->err, ErrAPIInvalidParam, 0, "exceeded max depth");
	ps->p++;
	skip_space(ps);
	if (ps->p < ps->end && *ps->p == close) {
		ps->p++;
		ps->depth--;
		return 0;
	}
	for (;;) {
		const char *key = NULL;
		size_t key_len = 0;

		if (object) {
			skip_space(ps);
			if (ps->p >= ps->end)
				return fail_eof(ps);
			if (*ps->p != '"')
				return fail_char(ps, "looking for beginning of object key string");
			if (parse_string(ps, &key, &key_len) < 0)
				return -1;
			skip_space(ps);
			if (ps->p >= ps->end)
				return fail_eof(ps);
			if (*ps->p != ':')
				return fail_char(ps, "after object key");
			ps->p++;
		}
		if (parse_value(ps, &m) < 0)
			return -1;
		m->key = key;
		m->key_len = key_len;
		*tail = m;
		tail = &m->next;
		j->n++;
		skip_space(ps);
		if (ps->p >= ps->end)
			return fail_eof(ps);
		if (*ps->p == close) {
			ps->p++;
			ps->depth--;
			return 0;
		}
		if (*ps->p != ',')
			return fail_char(ps, object ? "after object key:value pair" : "after array element");
		ps->p++;
	}
}

static int
parse_value(struct parser *ps, struct ml_json **out)
{
	struct ml_json *j = ml_arena_zalloc(ps->a, sizeof(*j));

	*out = j;
	skip_space(ps);
	if (ps->p >= ps->end)
		return fail_eof(ps);
	switch (*ps->p) {
	case '{':
		j->type = ML_JSON_OBJECT;
		return parse_members(ps, j, true);
	case '[':
		j->type = ML_JSON_ARRAY;
		return parse_members(ps, j, false);
	case '"':
		j->type = ML_JSON_STRING;
		return parse_string(ps, &j->s, &j->len);
	case 't':
		j->type = ML_JSON_BOOL;
		j->b = true;
		return parse_word(ps, "true");
	case 'f':
		j->type = ML_JSON_BOOL;
		return parse_word(ps, "false");
	case 'n':
		return parse_word(ps, "null");
	case '-':
	case '0':
	case '1':
	case '2':
	case '3':
	case '4':
	case '5':
	case '6':
	case '7':
	case '8':
	case '9':
		return parse_number(ps, j);
	default:
		return fail_char(ps, "looking for beginning of value");
	}
}

int
ml_json_parse(struct ml_json **out, struct ml_arena *a, const char *text, size_t len, struct ml_err *err)
{
	struct parser ps = {
		.p = (const unsigned char *)text, .end = (const unsigned char *)text + len, .a = a, .err = err
	};
	struct ml_json *j;

	skip_space(&ps);
	if (ps.p >= ps.end)
		return ML_ERRF(err, ErrAPIInvalidParam, 0, "EOF");
	if (parse_value(&ps, &j) < 0)
		return -1;
	*out = j;
	return 0;
}

static bool
same_key(const struct ml_json *m, const char *name, size_t len, bool exact)
{
	return m->key_len == len && (exact ? memcmp(m->key, name, len) : strncasecmp(m->key, name, len)) == 0;
}

const struct ml_json *
ml_json_get(const struct ml_json *j, const char *name)
{
	const struct ml_json *found = NULL;
	size_t len = strlen(name);

	if (j == NULL || j->type != ML_JSON_OBJECT)
		return NULL;
	for (const struct ml_json *m = j->child; m != NULL; m = m->next)
		if (same_key(m, name, len, false))
			found = m;
	return found;
}

const char *
ml_json_type_name(enum ml_json_type t)
{
	static const char *const names[] = { "null", "bool", "number", "string", "array", "object" };

	return names[t];
}

static void
print_string(const char *s, size_t len, struct ml_buf *out)
{
	ml_buf_putc(out, '"');
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c == '"' || c == '\\') {
			ml_buf_putc(out, '\\');
			ml_buf_putc(out, (char)c);
		} else if (c < 0x20) {
			ml_buf_printf(out, "\\u%04x", c);
		} else {
			ml_buf_putc(out, (char)c);
		}
	}
	ml_buf_putc(out, '"');
}

void
ml_json_print(const struct ml_json *j, struct ml_buf *out)
{
	switch (j->type) {
	case ML_JSON_NULL:
		ml_buf_puts(out, "null");
		break;
	case ML_JSON_BOOL:
		ml_buf_puts(out, j->b ? "true" : "false");
		break;
	case ML_JSON_NUMBER:
		ml_buf_put(out, j->s, j->len);
		break;
	case ML_JSON_STRING:
		print_string(j->s, j->len, out);
		break;
	case ML_JSON_ARRAY:
	case ML_JSON_OBJECT:
		ml_buf_putc(out, j->type == ML_JSON_OBJECT ? '{' : '[');
		for (const struct ml_json *m = j->child; m != NULL; m = m->next) {
			if (m != j->child)
				ml_buf_putc(out, ',');
			if (j->type == ML_JSON_OBJECT) {
				print_string(m->key, m->key_len, out);
				ml_buf_putc(out, ':');
			}
			ml_json_print(m, out);
		}
		ml_buf_putc(out, j->type == ML_JSON_OBJECT ? '}' : ']');
		break;
	}
}

static int
mismatch(const struct ml_json *m, const char *path, const char *name, const char *type, struct ml_err *err)
{
	if (m->type == ML_JSON_NUMBER)
		return ML_ERRF(err, ErrAPIInvalidParam, 0, "cannot decode number %.40s into field %s%s of type %s",
			m->s, path, name, type);
	return ML_ERRF(err, ErrAPIInvalidParam, 0, "cannot decode %s into field %s%s of type %s",
		ml_json_type_name(m->type), path, name, type);
}

static bool
integer_literal(const struct ml_json *m)
{
	return m->type == ML_JSON_NUMBER && strpbrk(m->s, ".eE") == NULL;
}

static bool
to_u64(const struct ml_json *m, uint64_t *v)
{
	if (!integer_literal(m) || m->s[0] == '-')
		return false;
	errno = 0;
	*v = strtoull(m->s, NULL, 10);
	return errno == 0;
}

static bool
to_i64(const struct ml_json *m, int64_t min, int64_t max, int64_t *v)
{
	if (!integer_literal(m))
		return false;
	errno = 0;
	*v = strtoll(m->s, NULL, 10);
	return errno == 0 && *v >= min && *v <= max;
}

static int
to_str(const struct ml_json *m, const char *path, const char *name, const char *type, const char **s,
	struct ml_err *err)
{
	if (m->type != ML_JSON_STRING)
		return mismatch(m, path, name, type, err);
	if (memchr(m->s, '\0', m->len) != NULL)
		return ML_ERRF(err, ErrAPIInvalidParam, 0, "field %s%s holds a NUL character", path, name);
	*s = m->s;
	return 0;
}

static int
decode_array(const struct ml_json *m, const char *path, const struct ml_json_field *f, void *out, struct ml_arena *a,
	struct ml_err *err)
{
	const char *type = f->kind == ML_JK_STRS ? "[]string" : "[]uint64";
	size_t i = 0;

	if (m->type != ML_JSON_ARRAY)
		return mismatch(m, path, f->name, type, err);
	if (f->kind == ML_JK_STRS) {
		struct ml_json_strs *strs = out;

		strs->v = ml_arena_zalloc(a, (m->n + 1) * sizeof(*strs->v));
		strs->n = m->n;
		for (const struct ml_json *e = m->child; e != NULL; e = e->next, i++) {
			strs->v[i] = "";
			if (e->type != ML_JSON_NULL && to_str(e, path, f->name, type, &strs->v[i], err) < 0)
				return -1;
		}
	} else {
		struct ml_json_u64s *nums = out;

		nums->v = ml_arena_zalloc(a, (m->n + 1) * sizeof(*nums->v));
		nums->n = m->n;
		for (const struct ml_json *e = m->child; e != NULL; e = e->next, i++)
			if (e->type != ML_JSON_NULL && !to_u64(e, &nums->v[i]))
				return mismatch(e, path, f->name, type, err);
	}
	return 0;
}

static int
decode_field(const struct ml_json *m, const char *path, const struct ml_json_field *f, char *base, struct ml_arena *a,
	struct ml_err *err)
{
	void *out = base + f->offset;
	uint64_t u;
	int64_t i;

	switch (f->kind) {
	case ML_JK_STR:
		return to_str(m, path, f->name, "string", out, err);
	case ML_JK_BOOL:
		if (m->type != ML_JSON_BOOL)
			return mismatch(m, path, f->name, "bool", err);
		*(bool *)out = m->b;
		return 0;
	case ML_JK_U64:
		if (!to_u64(m, &u))
			return mismatch(m, path, f->name, "uint64", err);
		*(uint64_t *)out = u;
		return 0;
	case ML_JK_I64:
		if (!to_i64(m, INT64_MIN, INT64_MAX, &i))
			return mismatch(m, path, f->name, "int64", err);
		*(int64_t *)out = i;
		return 0;
	case ML_JK_I32:
		if (!to_i64(m, INT32_MIN, INT32_MAX, &i))
			return mismatch(m, path, f->name, "int", err);
		*(int32_t *)out = (int32_t)i;
		return 0;
	case ML_JK_STRS:
	case ML_JK_U64S:
		return decode_array(m, path, f, out, a, err);
	case ML_JK_OBJECT:
	case ML_JK_ARRAY:
		if (m->type != (f->kind == ML_JK_OBJECT ? ML_JSON_OBJECT : ML_JSON_ARRAY))
			return mismatch(m, path, f->name, f->kind == ML_JK_OBJECT ? "object" : "array", err);
		*(const struct ml_json **)out = m;
		return 0;
	}
	return 0;
}

int
ml_json_decode(const struct ml_json *j, const char *path, const struct ml_json_field *fields, size_t n_fields,
	void *out, struct ml_arena *a, struct ml_err *err)
{
	if (j->type == ML_JSON_NULL)
		return 0;
	if (j->type != ML_JSON_OBJECT) {
		size_t n = strlen(path);

		if (n == 0)
			return ML_ERRF(err, ErrAPIInvalidParam, 0, "cannot decode %s into an object",
				ml_json_type_name(j->type));
		return ML_ERRF(err, ErrAPIInvalidParam, 0, "cannot decode %s into field %.*s of type object",
			ml_json_type_name(j->type), (int)n - 1, path);
	}
	for (const struct ml_json *m = j->child; m != NULL; m = m->next) {
		const struct ml_json_field *f = NULL;

		for (size_t i = 0; i < n_fields && f == NULL; i++)
			if (same_key(m, fields[i].name, strlen(fields[i].name), true))
				f = &fields[i];
		for (size_t i = 0; i < n_fields && f == NULL; i++)
			if (same_key(m, fields[i].name, strlen(fields[i].name), false))
				f = &fields[i];
		if (f == NULL || m->type == ML_JSON_NULL)
			continue;
		if (decode_field(m, path, f, out, a, err) < 0)
			return -1;
	}
	return 0;
}
