#include "capture-worker/event/ddl_token.h"

#include <string.h>

/* Client charsets whose later bytes may look like ASCII: their characters must be stepped over whole. */
enum multibyte { MB_NONE, MB_GBK, MB_BIG5, MB_SJIS, MB_GB18030 };

/* Collation ids of those charsets; MariaDB's NOPAD twins stand 1024 higher. */
static uint8_t
multibyte_of(uint16_t collation)
{
	if (collation >= 1024 && collation < 2048)
		collation = (uint16_t)(collation - 1024);
	switch (collation) {
	case 28:
	case 87:
		return MB_GBK;
	case 1:
	case 84:
		return MB_BIG5;
	case 13:
	case 88:
	case 95:
	case 96:
		return MB_SJIS;
	case 248:
	case 249:
	case 250:
		return MB_GB18030;
	default:
		return MB_NONE;
	}
}

void
ml_lexer_init(
	struct ml_lexer *lx, const char *sql, size_t len, uint64_t sql_mode, uint16_t client_collation, bool mariadb)
{
	*lx = (struct ml_lexer){
		.p = sql,
		.end = sql + len,
		.multibyte = multibyte_of(client_collation),
		.mariadb = mariadb,
		.ansi_quotes = (sql_mode & ML_SQL_MODE_ANSI_QUOTES) != 0,
		.no_backslash = (sql_mode & ML_SQL_MODE_NO_BACKSLASH_ESCAPES) != 0,
	};
}

static inline bool
in(uint8_t c, uint8_t low, uint8_t high)
{
	return c >= low && c <= high;
}

/* Bytes of the character at p: 1 unless it is a valid longer one of the client's charset. */
static size_t
char_len(uint8_t family, const char *s, const char *end)
{
	const uint8_t *p = (const uint8_t *)s;
	size_t left = (size_t)(end - s);

	if (family == MB_NONE || p[0] < 0x80 || left < 2)
		return 1;
	switch (family) {
	case MB_GBK:
		return in(p[0], 0x81, 0xFE) && (in(p[1], 0x40, 0x7E) || in(p[1], 0x80, 0xFE)) ? 2 : 1;
	case MB_BIG5:
		return in(p[0], 0xA1, 0xF9) && (in(p[1], 0x40, 0x7E) || in(p[1], 0xA1, 0xFE)) ? 2 : 1;
	case MB_SJIS:
		return (in(p[0], 0x81, 0x9F) || in(p[0], 0xE0, 0xFC)) && (in(p[1], 0x40, 0x7E) || in(p[1], 0x80, 0xFC))
			       ? 2
			       : 1;
	default:
		if (!in(p[0], 0x81, 0xFE))
			return 1;
		if (in(p[1], 0x40, 0x7E) || in(p[1], 0x80, 0xFE))
			return 2;
		return left >= 4 && in(p[1], 0x30, 0x39) && in(p[2], 0x81, 0xFE) && in(p[3], 0x30, 0x39) ? 4 : 1;
	}
}

static bool
is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_word(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$' ||
	       (uint8_t)c >= 0x80;
}

static char
upper(char c)
{
	return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

static void
skip_line(struct ml_lexer *lx)
{
	const char *nl = memchr(lx->p, '\n', (size_t)(lx->end - lx->p));

	lx->p = nl == NULL ? lx->end : nl + 1;
}

/*
 * At "/" "*".  Ordinary comments are passed over; executable ones are entered.  False: unterminated.
 *
 * MariaDB does not run what is meant for MySQL 5.7 and later, versions 50700 to 99999; MySQL knows nothing of M!.  In the log
 * other comments that the server did not run have lost their "!".
 */
static bool
comment(struct ml_lexer *lx)
{
	const char *p = lx->p + 2, *end = lx->end, *close;
	unsigned version = 0, digits = 0;
	bool run = false;

	if (p < end && *p == '!') {
		p++;
		run = true;
	} else if (lx->mariadb && end - p >= 2 && p[0] == 'M' && p[1] == '!') {
		p += 2;
		run = true;
	}
	if (run) {
		while (digits < 6 && p < end && is_digit(*p)) {
			version = version * 10 + (unsigned)(*p++ - '0');
			digits++;
		}
		if (digits < 5)
			p -= digits; /* not a version but the first token */
		else if (lx->mariadb && lx->p[2] == '!' && version >= 50700 && version <= 99999)
			run = false;
	}
	if (run) {
		lx->p = p;
		lx->in_executable = true;
		return true;
	}
	close = memmem(lx->p + 2, (size_t)(end - lx->p - 2), "*/", 2);
	if (close == NULL)
		return false;
	lx->p = close + 2;
	return true;
}

/* To behind the closing quote q; lx->p stands behind the opening one.  False: there is none. */
static bool
quoted(struct ml_lexer *lx, char q, bool escapes)
{
	while (lx->p < lx->end) {
		char c = *lx->p;

		if (c == q) {
			lx->p++;
			if (lx->p >= lx->end || *lx->p != q)
				return true;
			lx->p++;
		} else if (c == '\\' && escapes) {
			lx->p++;
			if (lx->p < lx->end)
				lx->p += char_len(lx->multibyte, lx->p, lx->end);
		} else {
			lx->p += char_len(lx->multibyte, lx->p, lx->end);
		}
	}
	return false;
}

/* Digits, a fraction, an exponent; or a word that only begins with a digit. */
static uint8_t
number(struct ml_lexer *lx)
{
	const char *start = lx->p, *q;
	bool digits = true;

	while (lx->p < lx->end && is_word(*lx->p)) {
		digits = digits && is_digit(*lx->p);
		lx->p += char_len(lx->multibyte, lx->p, lx->end);
	}
	if (!digits) {
		size_t n = (size_t)(lx->p - start);

		if (n > 2 && start[0] == '0' && (start[1] == 'x' || start[1] == 'b'))
			return ML_TK_NUMBER;
		for (q = start; is_digit(*q); q++)
			;
		/* 1e5, and 1e that a sign follows. */
		if (*q != 'e' && *q != 'E')
			return ML_TK_WORD;
		for (q++; q < lx->p && is_digit(*q); q++)
			;
		if (q != lx->p)
			return ML_TK_WORD;
		if (q[-1] != 'e' && q[-1] != 'E')
			return ML_TK_NUMBER;
		if (lx->end - q < 2 || (*q != '-' && *q != '+') || !is_digit(q[1]))
			return ML_TK_WORD;
	} else if (lx->end - lx->p >= 2 && *lx->p == '.' && is_digit(lx->p[1])) {
		for (lx->p++; lx->p < lx->end && is_digit(*lx->p); lx->p++)
			;
		if (lx->p >= lx->end || (*lx->p != 'e' && *lx->p != 'E'))
			return ML_TK_NUMBER;
		lx->p++;
	} else {
		return ML_TK_NUMBER;
	}
	if (lx->p < lx->end && (*lx->p == '-' || *lx->p == '+'))
		lx->p++;
	while (lx->p < lx->end && is_digit(*lx->p))
		lx->p++;
	return ML_TK_NUMBER;
}

/* Blanks, comments, ends of executable comments.  False: an unterminated comment stands at lx->p. */
static bool
skip(struct ml_lexer *lx, bool *blank)
{
	for (;; *blank = true) {
		size_t left = (size_t)(lx->end - lx->p);
		char c = left > 0 ? *lx->p : '\0';

		if (left == 0)
			return true;
		if (is_blank(c) || c == '\0') {
			lx->p++;
		} else if (c == '#') {
			skip_line(lx);
		} else if (c == '-' && left >= 2 && lx->p[1] == '-' && (left == 2 || (uint8_t)lx->p[2] <= ' ')) {
			skip_line(lx);
		} else if (c == '/' && left >= 2 && lx->p[1] == '*') {
			if (!comment(lx))
				return false;
		} else if (c == '*' && lx->in_executable && left >= 2 && lx->p[1] == '/') {
			lx->p += 2;
			lx->in_executable = false;
		} else {
			return true;
		}
	}
}

struct ml_tok
ml_lexer_next(struct ml_lexer *lx)
{
	struct ml_tok t = { .kind = ML_TK_END };
	bool closed = true;
	char c;

	if (!skip(lx, &t.blank)) {
		t.kind = ML_TK_BAD;
		t.s = lx->p;
		t.len = (uint32_t)(lx->end - lx->p);
		lx->p = lx->end;
		return t;
	}
	t.s = lx->p;
	t.executable = lx->in_executable;
	if (lx->p >= lx->end)
		return t;
	c = *lx->p;
	if (c == '\'' || c == '"') {
		t.kind = c == '"' && lx->ansi_quotes ? ML_TK_IDENT : ML_TK_STRING;
		lx->p++;
		closed = quoted(lx, c, t.kind == ML_TK_STRING && !lx->no_backslash);
	} else if (c == '`') {
		t.kind = ML_TK_IDENT;
		lx->p++;
		closed = quoted(lx, c, false);
	} else if (lx->end - lx->p >= 2 && lx->p[1] == '\'' &&
		   (upper(c) == 'X' || upper(c) == 'B' || upper(c) == 'N')) {
		t.kind = ML_TK_STRING;
		lx->p += 2;
		closed = quoted(lx, '\'', upper(c) == 'N' && !lx->no_backslash);
	} else if (is_digit(c)) {
		t.kind = number(lx);
	} else if (c == '.' && lx->end - lx->p >= 2 && is_digit(lx->p[1]) && t.blank) {
		t.kind = ML_TK_NUMBER; /* .5; but db.5t is a name */
		for (lx->p++; lx->p < lx->end && is_digit(*lx->p); lx->p++)
			;
	} else if (is_word(c)) {
		t.kind = ML_TK_WORD;
		while (lx->p < lx->end && is_word(*lx->p))
			lx->p += char_len(lx->multibyte, lx->p, lx->end);
	} else {
		t.kind = ML_TK_PUNCT;
		lx->p++;
	}
	if (!closed)
		t.kind = ML_TK_BAD;
	t.len = (uint32_t)(lx->p - t.s);
	return t;
}

bool
ml_tok_is(const struct ml_tok *t, const char *w)
{
	size_t n = strlen(w);

	if (t->kind != ML_TK_WORD || t->len != n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (upper(t->s[i]) != w[i])
			return false;
	return true;
}

static int
hex_digit(char c)
{
	if (is_digit(c))
		return c - '0';
	c = upper(c);
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

struct ml_text
ml_digits_text(const char *s, size_t n, unsigned bits, struct ml_arena *a)
{
	size_t per = 8 / bits, len = (n + per - 1) / per;
	char *out = ml_arena_bytes(a, len + 1);

	memset(out, 0, len + 1);
	for (size_t i = 0; i < n; i++) {
		size_t from_end = n - 1 - i;
		int d = hex_digit(s[i]);

		if (d < 0 || d >= 1 << bits)
			d = 0;
		out[len - 1 - from_end / per] |= (char)(d << (bits * (from_end % per)));
	}
	return (struct ml_text){ out, (uint32_t)len };
}

static char
unescape(char c)
{
	switch (c) {
	case '0':
		return '\0';
	case 'n':
		return '\n';
	case 'r':
		return '\r';
	case 't':
		return '\t';
	case 'b':
		return '\b';
	case 'Z':
		return '\x1A';
	default:
		return c;
	}
}

struct ml_text
ml_tok_text(const struct ml_lexer *lx, const struct ml_tok *t, struct ml_arena *a)
{
	const char *p = t->s, *end = t->s + t->len;
	bool escapes;
	char q, *out, *o;

	if (t->kind != ML_TK_IDENT && t->kind != ML_TK_STRING)
		return (struct ml_text){ ml_arena_strndup(a, t->s, t->len), t->len };
	if (*p != '\'' && *p != '"' && *p != '`') {
		if (upper(*p) != 'N')
			return ml_digits_text(p + 2, (size_t)(end - p) - 3, upper(*p) == 'X' ? 4 : 1, a);
		p++;
	}
	q = *p++;
	end--;
	escapes = t->kind == ML_TK_STRING && !lx->no_backslash;
	out = o = ml_arena_bytes(a, (size_t)(end - p) + 1);
	while (p < end) {
		size_t n = char_len(lx->multibyte, p, end);

		if (*p == q && n == 1) {
			*o++ = q;
			p += 2; /* the second of a pair */
		} else if (*p == '\\' && escapes && p + 1 < end) {
			p++;
			/* \% and \_ keep their backslash: they matter to LIKE. */
			if (*p == '%' || *p == '_')
				*o++ = '\\';
			n = char_len(lx->multibyte, p, end);
			if (n == 1)
				*o++ = unescape(*p);
			else
				o = (char *)memcpy(o, p, n) + n;
			p += n;
		} else {
			memcpy(o, p, n);
			o += n;
			p += n;
		}
	}
	*o = '\0';
	return (struct ml_text){ out, (uint32_t)(o - out) };
}
