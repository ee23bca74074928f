#include "capture-worker/filter/expr/lex.h"

#include <string.h>

static bool
digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
name_char(char c)
{
	return digit(c) || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' || c == '$' ||
	       (unsigned char)c >= 0x80;
}

static int
hex(char c)
{
	return digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static struct ml_tok
bad(struct ml_lexing *l, struct ml_tok t, const char *why)
{
	t.kind = ML_TOK_BAD;
	l->why = why;
	l->p = l->end;
	return t;
}

/* '...', "..." or `...`; a doubled quote is one. */
static struct ml_tok
quoted(struct ml_lexing *l, struct ml_tok t, enum ml_tok_kind kind)
{
	char q = *l->p++, *out = ml_arena_bytes(l->a, (size_t)(l->end - l->p) + 1), *o = out;

	t.kind = kind;
	for (;; l->p++) {
		if (l->p == l->end)
			return bad(l, t, "a quote is not closed");
		if (*l->p == q) {
			if (l->p + 1 == l->end || l->p[1] != q)
				break;
			*o++ = q;
			l->p++;
		} else if (*l->p == '\\' && kind == ML_TOK_STRING) {
			if (++l->p == l->end)
				return bad(l, t, "a quote is not closed");
			switch (*l->p) {
			case '0':
				*o++ = '\0';
				break;
			case 'b':
				*o++ = '\b';
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
			case 'Z':
				*o++ = 26;
				break;
			/* LIKE's wildcards keep their escape. */
			case '%':
			case '_':
				*o++ = '\\';
				*o++ = *l->p;
				break;
			default:
				*o++ = *l->p;
			}
		} else {
			*o++ = *l->p;
		}
	}
	l->p++;
	t.s = out;
	t.len = (uint32_t)(o - out);
	if (kind == ML_TOK_QUOTED && t.len == 0)
		return bad(l, t, "an empty name");
	return t;
}

/* n digits of bits bits each (4 or 1), right-aligned to whole bytes. */
static struct ml_tok
bytes(struct ml_lexing *l, struct ml_tok t, const char *s, size_t n, int bits)
{
	size_t per = 8 / (size_t)bits, len = (n + per - 1) / per;
	char *out = ml_arena_zalloc(l->a, len + 1);

	for (size_t i = 0; i < n; i++) {
		int v = bits == 4 ? hex(s[i]) : s[i] == '0' ? 0 : s[i] == '1' ? 1 : -1;
		size_t from_end = n - 1 - i;

		if (v < 0)
			return bad(l, t, "a bad digit in a binary literal");
		out[len - 1 - from_end / per] |= (char)(v << (from_end % per * (size_t)bits));
	}
	t.kind = ML_TOK_BYTES;
	t.s = out;
	t.len = (uint32_t)len;
	return t;
}

static struct ml_tok
quoted_bytes(struct ml_lexing *l, struct ml_tok t, int bits)
{
	const char *s = l->p + 2, *e = memchr(s, '\'', (size_t)(l->end - s));

	if (e == NULL)
		return bad(l, t, "a quote is not closed");
	l->p = e + 1;
	if (bits == 4 && (e - s) % 2 != 0)
		return bad(l, t, "x'' takes an even number of digits");
	return bytes(l, t, s, (size_t)(e - s), bits);
}

static struct ml_tok
number(struct ml_lexing *l, struct ml_tok t)
{
	const char *s = l->p;

	if (s + 2 < l->end && s[0] == '0' && (s[1] == 'x' || s[1] == 'b')) {
		const char *e = s + 2;

		while (e < l->end && (s[1] == 'x' ? hex(*e) >= 0 : *e == '0' || *e == '1'))
			e++;
		if (e > s + 2 && (e == l->end || !name_char(*e))) {
			l->p = e;
			return bytes(l, t, s + 2, (size_t)(e - s - 2), s[1] == 'x' ? 4 : 1);
		}
	}
	t.kind = ML_TOK_INT;
	while (l->p < l->end && digit(*l->p))
		l->p++;
	if (l->p < l->end && *l->p == '.') {
		t.kind = ML_TOK_DECIMAL;
		for (l->p++; l->p < l->end && digit(*l->p); l->p++)
			;
	}
	if (l->p < l->end && (*l->p == 'e' || *l->p == 'E')) {
		const char *e = l->p + 1;

		if (e < l->end && (*e == '+' || *e == '-'))
			e++;
		if (e < l->end && digit(*e)) {
			t.kind = ML_TOK_REAL;
			while (e < l->end && digit(*e))
				e++;
			l->p = e;
		}
	}
	if (t.kind == ML_TOK_INT && l->p < l->end && name_char(*l->p)) {
		/* A name may begin with digits. */
		t.kind = ML_TOK_NAME;
		while (l->p < l->end && name_char(*l->p))
			l->p++;
	}
	t.s = s;
	t.len = (uint32_t)(l->p - s);
	return t;
}

static struct ml_tok
operator(struct ml_lexing *l, struct ml_tok t)
{
	static const struct {
		const char *text;
		int op;
	} ops[] = {
		{ "<=>", ML_SYM_NULL_EQ },
		{ "->>", ML_SYM_ARROW_TEXT },
		{ "<=", ML_SYM_LE },
		{ ">=", ML_SYM_GE },
		{ "<>", ML_SYM_NE },
		{ "!=", ML_SYM_NE },
		{ "<<", ML_SYM_SHL },
		{ ">>", ML_SYM_SHR },
		{ "&&", ML_SYM_AND_AND },
		{ "||", ML_SYM_OR_OR },
		{ "->", ML_SYM_ARROW },
	};
	size_t left = (size_t)(l->end - l->p);

	t.kind = ML_TOK_OP;
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		size_t n = strlen(ops[i].text);

		if (n <= left && memcmp(l->p, ops[i].text, n) == 0) {
			t.op = ops[i].op;
			l->p += n;
			return t;
		}
	}
	t.op = *l->p;
	if (t.op == '@' || t.op == '?')
		return bad(l, t, "variables are not allowed");
	if (*l->p == '\0' || strchr("()+-*/%&|^~!=<>,.", t.op) == NULL)
		return bad(l, t, "an unexpected character");
	l->p++;
	return t;
}

struct ml_tok
ml_lex_next(struct ml_lexing *l)
{
	struct ml_tok t = { 0 };
	char c;

	for (;;) {
		while (l->p < l->end && (*l->p == ' ' || (*l->p >= '\t' && *l->p <= '\r')))
			l->p++;
		if (l->end - l->p < 2 || l->p[0] != '/' || l->p[1] != '*')
			break;
		{
			const char *e = memmem(l->p + 2, (size_t)(l->end - l->p - 2), "*/", 2);

			t.at = (size_t)(l->p - l->start);
			if (e == NULL)
				return bad(l, t, "a comment is not closed");
			l->p = e + 2;
		}
	}
	t.at = (size_t)(l->p - l->start);
	if (l->p == l->end)
		return t;
	c = *l->p;
	if (c == '\'' || c == '"')
		return quoted(l, t, ML_TOK_STRING);
	if (c == '`')
		return quoted(l, t, ML_TOK_QUOTED);
	if (l->end - l->p > 1 && l->p[1] == '\'' && (c == 'x' || c == 'X'))
		return quoted_bytes(l, t, 4);
	if (l->end - l->p > 1 && l->p[1] == '\'' && (c == 'b' || c == 'B'))
		return quoted_bytes(l, t, 1);
	if (digit(c) || (c == '.' && l->end - l->p > 1 && digit(l->p[1])))
		return number(l, t);
	if (name_char(c)) {
		t.kind = ML_TOK_NAME;
		t.s = l->p;
		while (l->p < l->end && name_char(*l->p))
			l->p++;
		t.len = (uint32_t)(l->p - t.s);
		return t;
	}
	return operator(l, t);
}
