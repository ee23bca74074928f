#include "capture-worker/event/re2.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { MAX_REPEAT = 1000, MAX_DEPTH = 200 }; /* RE2's bound on {n}; PCRE2's own on brackets is 250 */

struct scan {
	const char *p, *end;
	struct ml_buf *out;
	char *why;
	size_t why_size;
};

static int
bad(struct scan *sc, const char *what, const char *from)
{
	snprintf(sc->why, sc->why_size, "invalid pattern: error parsing regexp: %s: `%.*s`", what,
		(int)(sc->p < sc->end ? sc->p - from + 1 : sc->end - from), from);
	return -1;
}

static bool
is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool
is_octal(char c)
{
	return c >= '0' && c <= '7';
}

static int
hex(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

static void
put_code_point(struct scan *sc, uint32_t c)
{
	ml_buf_printf(sc->out, "\\x{%x}", c);
}

/* "\x7f" and "\x{10ffff}"; sc->p is behind the 'x'. */
static int
hex_escape(struct scan *sc, const char *from)
{
	uint32_t c = 0;

	if (sc->p < sc->end && *sc->p == '{') {
		const char *first = ++sc->p;

		for (; sc->p < sc->end && hex(*sc->p) >= 0 && c <= 0x10ffff; sc->p++)
			c = c * 16 + (uint32_t)hex(*sc->p);
		if (sc->p == sc->end || *sc->p != '}' || sc->p == first || c > 0x10ffff)
			return bad(sc, "invalid escape sequence", from);
		sc->p++;
	} else {
		if (sc->end - sc->p < 2 || hex(sc->p[0]) < 0 || hex(sc->p[1]) < 0)
			return bad(sc, "invalid escape sequence", from);
		c = (uint32_t)(hex(sc->p[0]) * 16 + hex(sc->p[1]));
		sc->p += 2;
	}
	put_code_point(sc, c);
	return 0;
}

/* "\pN" and "\p{Greek}"; sc->p is behind the 'p'. */
static int
property(struct scan *sc, char letter, const char *from)
{
	const char *name;

	if (sc->p == sc->end)
		return bad(sc, "invalid character class range", from);
	if (*sc->p != '{') {
		if (!is_alnum(*sc->p))
			return bad(sc, "invalid character class range", from);
		ml_buf_printf(sc->out, "\\%c%c", letter, *sc->p++);
		return 0;
	}
	name = ++sc->p;
	if (sc->p < sc->end && *sc->p == '^')
		sc->p++;
	while (sc->p < sc->end && (is_alnum(*sc->p) || *sc->p == '_'))
		sc->p++;
	if (sc->p == sc->end || *sc->p != '}' || sc->p == name)
		return bad(sc, "invalid character class range", from);
	ml_buf_printf(sc->out, "\\%c{%.*s}", letter, (int)(sc->p - name), name);
	sc->p++;
	return 0;
}

/* An escape that is valid inside and outside a class; sc->p is at the backslash. */
static int
escape(struct scan *sc, bool in_class)
{
	const char *from = sc->p++;
	uint32_t c;
	char e;

	if (sc->p == sc->end) {
		sc->p = from;
		return bad(sc, "trailing backslash at end of expression", from);
	}
	e = *sc->p++;
	switch (e) {
	case 'd':
	case 'D':
	case 'w':
	case 'W':
		ml_buf_printf(sc->out, "\\%c", e);
		return 0;
	/* RE2's \s has no vertical tab, PCRE2's has. */
	case 's':
		/* "[:blank:]" first: it is no end of a range, as \s is none. */
		ml_buf_puts(sc->out, in_class ? "[:blank:]\\n\\f\\r" : "[\\t\\n\\f\\r ]");
		return 0;
	case 'S':
		ml_buf_puts(sc->out, in_class ? "\\S\\x0b" : "[^\\t\\n\\f\\r ]");
		return 0;
	case 'p':
	case 'P':
		return property(sc, e, from);
	case 'x':
		return hex_escape(sc, from);
	case 'a':
		put_code_point(sc, 7);
		return 0;
	case 'f':
		put_code_point(sc, 12);
		return 0;
	case 't':
		put_code_point(sc, 9);
		return 0;
	case 'n':
		put_code_point(sc, 10);
		return 0;
	case 'r':
		put_code_point(sc, 13);
		return 0;
	case 'v':
		put_code_point(sc, 11);
		return 0;
	case '0':
	case '1':
	case '2':
	case '3':
	case '4':
	case '5':
	case '6':
	case '7':
		/* "\1" alone would be a back-reference; "\12" and "\0" are octal. */
		if (e != '0' && (sc->p == sc->end || !is_octal(*sc->p)))
			break;
		c = (uint32_t)(e - '0');
		for (int i = 0; i < 2 && sc->p < sc->end && is_octal(*sc->p); i++)
			c = c * 8 + (uint32_t)(*sc->p++ - '0');
		put_code_point(sc, c);
		return 0;
	default:
		if ((unsigned char)e < 0x80 && !is_alnum(e)) {
			put_code_point(sc, (unsigned char)e);
			return 0;
		}
	}
	sc->p--;
	return bad(sc, "invalid escape sequence", from);
}

/* "[...]"; sc->p is at the '['. */
static int class(struct scan *sc)
{
	static const char *const names[] = { "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower",
		"print", "punct", "space", "upper", "word", "xdigit" };
	const char *from = sc->p++;

	ml_buf_putc(sc->out, '[');
	if (sc->p < sc->end && *sc->p == '^') {
		ml_buf_putc(sc->out, '^');
		sc->p++;
	}
	for (bool first = true; sc->p < sc->end && (*sc->p != ']' || first); first = false) {
		if (*sc->p == '\\') {
			bool set = sc->end - sc->p > 1 && strchr("dDwWsSpP", sc->p[1]) != NULL;

			if (escape(sc, true) != 0)
				return -1;
			if (set && sc->p < sc->end && *sc->p == '-') {
				ml_buf_puts(sc->out, "\\-"); /* behind a set a hyphen is only itself */
				sc->p++;
			}
			continue;
		}
		if (*sc->p == '[' && sc->end - sc->p > 2 && sc->p[1] == ':') {
			const char *name = sc->p + 2, *close;
			bool known = false;

			if (*name == '^')
				name++;
			close = memmem(name, (size_t)(sc->end - name), ":]", 2);
			for (size_t i = 0; close != NULL && i < sizeof(names) / sizeof(names[0]); i++)
				known |= strlen(names[i]) == (size_t)(close - name) &&
					 memcmp(names[i], name, (size_t)(close - name)) == 0;
			if (close != NULL && !known) {
				sc->p = close + 1;
				return bad(sc, "invalid character class range", name - 2);
			}
			if (known) {
				ml_buf_put(sc->out, sc->p, (size_t)(close + 2 - sc->p));
				sc->p = close + 2;
				continue;
			}
		}
		if (*sc->p == '[' || *sc->p == ']' || *sc->p == '^')
			ml_buf_putc(sc->out, '\\');
		ml_buf_putc(sc->out, *sc->p++);
	}
	if (sc->p == sc->end)
		return bad(sc, "missing closing ]", from);
	ml_buf_putc(sc->out, ']');
	sc->p++;
	return 0;
}

/* "(", "(?:", "(?flags)", "(?flags:", "(?P<name>", "(?<name>"; sc->p is at the '('.  *opened: a group begins. */
static int
group(struct scan *sc, bool *opened)
{
	const char *from = sc->p++, *name;

	*opened = true;
	if (sc->p == sc->end || *sc->p != '?') {
		ml_buf_puts(sc->out, "(?:");
		return 0;
	}
	sc->p++;
	if (sc->p < sc->end && (*sc->p == 'P' || *sc->p == '<')) {
		if (*sc->p == 'P')
			sc->p++;
		if (sc->p == sc->end || *sc->p != '<')
			return bad(sc, "invalid or unsupported Perl syntax", from);
		for (name = ++sc->p; sc->p < sc->end && (is_alnum(*sc->p) || *sc->p == '_'); sc->p++)
			;
		if (sc->p == sc->end || *sc->p != '>' || sc->p == name)
			return bad(sc, "invalid named capture", from);
		sc->p++;
		ml_buf_puts(sc->out, "(?:"); /* nobody asks for captures, and names might clash */
		return 0;
	}
	ml_buf_puts(sc->out, "(?");
	for (bool minus = false, any = false;; sc->p++) {
		char c = sc->p < sc->end ? *sc->p : '\0';

		if (c == ':' || c == ')') {
			if (minus && !any)
				break;
			*opened = c == ':';
			ml_buf_putc(sc->out, c);
			sc->p++;
			return 0;
		}
		if (c == '-' && !minus) {
			minus = true;
			any = false;
		} else if (c == 'i' || c == 'm' || c == 's' || c == 'U') {
			any = true;
		} else {
			break;
		}
		ml_buf_putc(sc->out, c);
	}
	return bad(sc, "invalid or unsupported Perl syntax", from);
}

static bool
count(const char **p, const char *end, int *n)
{
	const char *first = *p;

	for (*n = 0; *p < end && **p >= '0' && **p <= '9'; (*p)++)
		*n = *n > MAX_REPEAT ? *n : *n * 10 + **p - '0';
	return *p > first;
}

/* Is there a repetition {n}, {n,} or {n,m} at p?  Its length, or 0: then '{' is itself. */
static size_t
braces(const char *p, const char *end, int *least, int *most)
{
	const char *q = p + 1;

	if (!count(&q, end, least) || q == end)
		return 0;
	*most = *least;
	if (*q == ',') {
		q++;
		if (q < end && *q == '}')
			*most = -1;
		else if (!count(&q, end, most))
			return 0;
	}
	return q < end && *q == '}' ? (size_t)(q + 1 - p) : 0;
}

int
ml_re2_to_pcre2(struct ml_buf *out, const char *s, size_t len, char *why, size_t why_size)
{
	struct scan sc = { .p = s, .end = s + len, .out = out, .why = why, .why_size = why_size };
	const char *repeat = NULL; /* where the repetition just read began; one more may not follow */
	bool atom = false;         /* something that can be repeated stands before */
	int depth = 0, least, most;

	while (sc.p < sc.end) {
		const char *from = sc.p;
		size_t n = 0;
		bool opened;

		if (*sc.p == '*' || *sc.p == '+' || *sc.p == '?' ||
			(*sc.p == '{' && (n = braces(sc.p, sc.end, &least, &most)) > 0)) {
			sc.p += n > 0 ? n - 1 : 0;
			if (repeat != NULL)
				return bad(&sc, "invalid nested repetition operator", repeat);
			if (!atom)
				return bad(&sc, "missing argument to repetition operator", from);
			if (n > 0 && (least > MAX_REPEAT || most > MAX_REPEAT || (most >= 0 && most < least)))
				return bad(&sc, "invalid repeat count", from);
			sc.p++;
			if (sc.p < sc.end && *sc.p == '?')
				sc.p++;
			ml_buf_put(out, from, (size_t)(sc.p - from));
			repeat = from;
			continue;
		}
		repeat = NULL;
		atom = true;
		switch (*sc.p) {
		case '\\':
			if (sc.end - sc.p >= 2 &&
				(sc.p[1] == 'A' || sc.p[1] == 'b' || sc.p[1] == 'B' || sc.p[1] == 'z')) {
				ml_buf_put(out, sc.p, 2);
				sc.p += 2;
			} else if (sc.end - sc.p >= 2 && sc.p[1] == 'Q') {
				const char *close = memmem(sc.p + 2, (size_t)(sc.end - sc.p - 2), "\\E", 2);

				for (sc.p += 2; sc.p < (close != NULL ? close : sc.end); sc.p++) {
					if ((unsigned char)*sc.p < 0x80)
						put_code_point(&sc, (unsigned char)*sc.p);
					else
						ml_buf_putc(out, *sc.p);
				}
				if (close != NULL)
					sc.p = close + 2;
			} else if (escape(&sc, false) != 0) {
				return -1;
			}
			break;
		case '[':
			if (class(&sc) != 0)
				return -1;
			break;
		case '(':
			if (group(&sc, &opened) != 0)
				return -1;
			if (opened && ++depth > MAX_DEPTH)
				return bad(&sc, "expression nests too deeply", s);
			atom = false;
			break;
		case ')':
			if (depth-- == 0)
				return bad(&sc, "unexpected )", s);
			ml_buf_putc(out, *sc.p++);
			break;
		case '|':
			atom = false;
			ml_buf_putc(out, *sc.p++);
			break;
		case '{':
		case '}':
		case '#':
			ml_buf_putc(out, '\\');
			ml_buf_putc(out, *sc.p++);
			break;
		default:
			ml_buf_putc(out, *sc.p++);
		}
	}
	if (depth > 0) {
		sc.p = sc.end;
		return bad(&sc, "missing closing )", s);
	}
	return 0;
}
