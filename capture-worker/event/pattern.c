#include "capture-worker/event/pattern.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "capture-worker/event/re2.h"
#include "common/base/buf.h"

struct ml_pattern {
	bool star;     /* "*": everything */
	char *literal; /* compared byte by byte, or ASCII case-insensitively; NULL: regexp */
	size_t literal_len;
	bool fold; /* literal: ignore case */
	pcre2_code *code;
};

static int fail(char *why, size_t why_size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static int
fail(char *why, size_t why_size, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, why_size, fmt, ap);
	va_end(ap);
	return -1;
}

static bool
alnum(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* PCRE2 text that stands for the byte itself. */
static void
put_literal(struct ml_buf *re, unsigned char c)
{
	if (c < 0x20 || c == 0x7f) {
		ml_buf_printf(re, "\\x%02x", c);
		return;
	}
	if (c < 0x80 && !alnum(c) && c != '_')
		ml_buf_putc(re, '\\');
	ml_buf_putc(re, (char)c);
}

static int
compile(struct ml_pattern *p, const struct ml_buf *re, bool case_sensitive, char *why, size_t why_size)
{
	uint32_t options = PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C | PCRE2_NO_AUTO_CAPTURE;
	pcre2_compile_context *ctx = pcre2_compile_context_create(NULL);
	PCRE2_SIZE at;
	int code;

	if (ctx == NULL)
		return fail(why, why_size, "out of memory");
	pcre2_set_newline(ctx, PCRE2_NEWLINE_LF);
	if (!case_sensitive)
		options |= PCRE2_CASELESS;
	p->code = pcre2_compile((PCRE2_SPTR)(re->data != NULL ? re->data : ""), re->len, options, &code, &at, ctx);
	pcre2_compile_context_free(ctx);
	if (p->code == NULL) {
		PCRE2_UCHAR text[160];

		pcre2_get_error_message(code, text, sizeof(text));
		return fail(why, why_size, "invalid pattern: error parsing regexp: %s", (const char *)text);
	}
	return 0;
}

static bool
ascii(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)s[i] >= 0x80)
			return false;
	return true;
}

/* A literal; other scripts' letters need the engine's tables to ignore case. */
static int
set_literal(struct ml_pattern *p, const struct ml_buf *text, bool case_sensitive, char *why, size_t why_size)
{
	const char *s = text->data != NULL ? text->data : "";

	if (!case_sensitive && !ascii(s, text->len)) {
		struct ml_buf re = { 0 };
		int rc;

		ml_buf_puts(&re, "\\A");
		for (size_t i = 0; i < text->len; i++)
			put_literal(&re, (unsigned char)s[i]);
		ml_buf_puts(&re, "\\z");
		rc = compile(p, &re, false, why, why_size);
		ml_buf_fini(&re);
		return rc;
	}
	p->literal = malloc(text->len + 1);
	if (p->literal == NULL)
		return fail(why, why_size, "out of memory");
	memcpy(p->literal, s, text->len);
	p->literal[text->len] = '\0';
	p->literal_len = text->len;
	p->fold = !case_sensitive;
	return 0;
}

static int
parse_regexp(struct ml_pattern *p, const char **s, bool case_sensitive, char *why, size_t why_size)
{
	const char *start = *s + 1, *q = start;
	struct ml_buf re = { 0 };
	int rc;

	while (*q != '\0' && *q != '/')
		q += q[0] == '\\' && q[1] != '\0' ? 2 : 1;
	if (*q != '/' || q == start)
		return fail(why, why_size, "syntax error: incomplete regexp");
	rc = ml_re2_to_pcre2(&re, start, (size_t)(q - start), why, why_size);
	if (rc == 0)
		rc = compile(p, &re, case_sensitive, why, why_size);
	ml_buf_fini(&re);
	*s = q + 1;
	return rc;
}

static int
parse_quoted(struct ml_pattern *p, const char **s, bool case_sensitive, char *why, size_t why_size)
{
	struct ml_buf text = { 0 };
	const char *q = *s + 1;
	char quote = **s;
	int rc;

	for (; *q != '\0' && (*q != quote || q[1] == quote); q++) {
		ml_buf_putc(&text, *q);
		if (*q == quote)
			q++;
	}
	if (*q != quote || text.len == 0) {
		ml_buf_fini(&text);
		return fail(why, why_size, "syntax error: incomplete quoted identifier");
	}
	rc = set_literal(p, &text, case_sensitive, why, why_size);
	ml_buf_fini(&text);
	*s = q + 1;
	return rc;
}

/* "[a-z]", "[!a-z]" at *s: members have the engine's meaning, but '^', '[' and '&' are only themselves. */
static int
parse_class(struct ml_buf *re, const char **s, char *why, size_t why_size)
{
	const char *q = *s + 1;
	size_t members = 0;

	ml_buf_putc(re, '[');
	if (*q == '!') {
		ml_buf_putc(re, '^');
		q++;
	}
	for (; *q != '\0' && *q != ']'; q++, members++) {
		if (*q == '\\') {
			q++;
			if (*q == '\0' || alnum((unsigned char)*q))
				return fail(why, why_size, "syntax error: failed to parse character class");
			put_literal(re, (unsigned char)*q);
		} else if (*q == '-') {
			ml_buf_putc(re, '-');
		} else {
			put_literal(re, (unsigned char)*q);
		}
	}
	if (*q != ']' || members == 0)
		return fail(why, why_size, "syntax error: failed to parse character class");
	ml_buf_putc(re, ']');
	*s = q + 1;
	return 0;
}

static int
parse_glob(struct ml_pattern *p, const char **s, bool case_sensitive, char *why, size_t why_size)
{
	struct ml_buf re = { 0 }, text = { 0 };
	const char *start = *s, *q = start;
	bool wild = false;
	int rc = -1;

	ml_buf_puts(&re, "(?s)\\A");
	while (*q != '\0' && *q != '.') {
		unsigned char c = (unsigned char)*q;

		if (c == '\\') {
			c = (unsigned char)q[1];
			if (c == '\0') {
				fail(why, why_size, "syntax error: cannot place \\ at end of line");
				goto out;
			}
			if (alnum(c)) {
				fail(why, why_size,
					"cannot escape a letter or number (\\%c), it is reserved for future extension",
					c);
				goto out;
			}
			put_literal(&re, c);
			ml_buf_putc(&text, (char)c);
			q += 2;
		} else if (c == '*' || c == '?') {
			ml_buf_puts(&re, c == '*' ? ".*" : ".");
			wild = true;
			q++;
		} else if (c == '[') {
			wild = true;
			if (parse_class(&re, &q, why, why_size) != 0)
				goto out;
		} else if (alnum(c) || c == '_' || c == '$' || c >= 0x80) {
			/* Beside a wildcard a bare '$' is the engine's anchor, as in TiCDC. */
			ml_buf_putc(&re, (char)c);
			ml_buf_putc(&text, (char)c);
			q++;
		} else {
			fail(why, why_size, "unexpected special character '%c'", c);
			goto out;
		}
	}
	p->star = q - start == 1 && *start == '*';
	ml_buf_puts(&re, "\\z");
	if (p->star)
		rc = 0;
	else if (wild)
		rc = compile(p, &re, case_sensitive, why, why_size);
	else
		rc = set_literal(p, &text, case_sensitive, why, why_size);
	*s = q;
out:
	ml_buf_fini(&re);
	ml_buf_fini(&text);
	return rc;
}

int
ml_pattern_parse(struct ml_pattern **out, const char **s, bool case_sensitive, char *why, size_t why_size)
{
	struct ml_pattern *p;
	int rc;

	if (**s == '\0')
		return fail(why, why_size, "syntax error: missing pattern");
	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return fail(why, why_size, "out of memory");
	switch (**s) {
	case '/':
		rc = parse_regexp(p, s, case_sensitive, why, why_size);
		break;
	case '"':
	case '`':
		rc = parse_quoted(p, s, case_sensitive, why, why_size);
		break;
	default:
		rc = parse_glob(p, s, case_sensitive, why, why_size);
	}
	if (rc != 0) {
		ml_pattern_free(p);
		return -1;
	}
	*out = p;
	return 0;
}

int
ml_pattern_regexp(struct ml_pattern **out, const char *s, size_t len, bool case_sensitive, char *why, size_t why_size)
{
	struct ml_pattern *p = calloc(1, sizeof(*p));
	struct ml_buf re = { 0 };
	int rc;

	if (p == NULL)
		return fail(why, why_size, "out of memory");
	rc = ml_re2_to_pcre2(&re, s, len, why, why_size);
	if (rc == 0)
		rc = compile(p, &re, case_sensitive, why, why_size);
	ml_buf_fini(&re);
	if (rc != 0) {
		ml_pattern_free(p);
		return -1;
	}
	*out = p;
	return 0;
}

void
ml_pattern_free(struct ml_pattern *p)
{
	if (p == NULL)
		return;
	pcre2_code_free(p->code);
	free(p->literal);
	free(p);
}

bool
ml_pattern_is_star(const struct ml_pattern *p)
{
	return p->star;
}

/* Length of the well-formed UTF-8 character at s, 0 if there is none. */
static size_t
utf8_len(const unsigned char *s, size_t left)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = s[0] < 0x80 ? 1 : s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : s[0] >= 0xc2 ? 2 : 0;
	uint32_t c;

	if (n <= 1)
		return n;
	if (n > left || s[0] > 0xf4)
		return 0;
	c = s[0] & (0xffu >> (n + 1));
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	return c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff) ? 0 : n;
}

static void
replace_bad_bytes(struct ml_buf *out, const char *s, size_t len)
{
	for (size_t i = 0; i < len;) {
		size_t n = utf8_len((const unsigned char *)s + i, len - i);

		if (n == 0)
			ml_buf_puts(out, "\xef\xbf\xbd");
		else
			ml_buf_put(out, s + i, n);
		i += n > 0 ? n : 1;
	}
}

/*
 * The breadth-first matcher keeps its states in a workspace; small patterns fit on the stack, a larger one is tried again
 * with the heap up to a bound that only a pattern made to hurt would pass.
 */
static int
run(const pcre2_code *code, const char *s, size_t len, pcre2_match_data *md)
{
	const uint32_t options = PCRE2_DFA_SHORTEST;
	int small[1000], *big, rc;

	rc = pcre2_dfa_match(code, (PCRE2_SPTR)s, len, 0, options, md, NULL, small, sizeof(small) / sizeof(small[0]));
	for (size_t n = 16000; rc == PCRE2_ERROR_DFA_WSSIZE && n <= 256000; n *= 4) {
		big = malloc(n * sizeof(*big));
		if (big == NULL)
			return PCRE2_ERROR_NOMEMORY;
		rc = pcre2_dfa_match(code, (PCRE2_SPTR)s, len, 0, options, md, NULL, big, n);
		free(big);
	}
	return rc;
}

/* md: for one pair of offsets. */
static enum ml_found
match(const struct ml_pattern *p, const char *name, size_t len, pcre2_match_data *md)
{
	int rc = run(p->code, name, len, md);

	if (rc <= PCRE2_ERROR_UTF8_ERR1 && rc >= PCRE2_ERROR_UTF8_ERR21) {
		struct ml_buf clean = { 0 };

		replace_bad_bytes(&clean, name, len);
		rc = run(p->code, clean.data, clean.len, md);
		ml_buf_fini(&clean);
	}
	if (rc == PCRE2_ERROR_NOMATCH)
		return ML_FOUND_NO;
	return rc >= 0 ? ML_FOUND_YES : ML_FOUND_UNKNOWN;
}

/* Without the engine; true if that was enough. */
static bool
match_literal(const struct ml_pattern *p, const char *name, size_t len, enum ml_found *found)
{
	*found = ML_FOUND_YES;
	if (p->star)
		return true;
	if (p->literal == NULL)
		return false;
	if (len != p->literal_len ||
		(p->fold ? strncasecmp(name, p->literal, len) : memcmp(name, p->literal, len)) != 0)
		*found = ML_FOUND_NO;
	return true;
}

enum ml_found
ml_pattern_match(const struct ml_pattern *p, const char *name, size_t len)
{
	pcre2_match_data *md;
	enum ml_found found;

	if (match_literal(p, name, len, &found))
		return found;
	md = pcre2_match_data_create(1, NULL);
	if (md == NULL)
		return ML_FOUND_UNKNOWN;
	found = match(p, name, len, md);
	pcre2_match_data_free(md);
	return found;
}

struct ml_pattern_scratch *
ml_pattern_scratch_new(void)
{
	pcre2_match_data *md = pcre2_match_data_create(1, NULL);

	if (md == NULL)
		abort();
	return (struct ml_pattern_scratch *)md;
}

void
ml_pattern_scratch_free(struct ml_pattern_scratch *x)
{
	pcre2_match_data_free((pcre2_match_data *)x);
}

enum ml_found
ml_pattern_match_in(const struct ml_pattern *p, const char *name, size_t len, struct ml_pattern_scratch *x)
{
	enum ml_found found;

	return match_literal(p, name, len, &found) ? found : match(p, name, len, (pcre2_match_data *)x);
}
