#include "capture-worker/shaper/columns.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture-worker/event/pattern.h"
#include "common/base/buf.h"

struct line {
	struct ml_pattern *pattern;
	bool positive;
};

struct ml_columns {
	size_t n;
	struct line lines[];
};

/* 1: l is filled, 0: a comment or nothing, -1: why says what is wrong. */
static int
parse_line(struct line *l, const char *text, char *why, size_t why_size)
{
	char *copy, *end;
	const char *s;
	bool bare;
	int rc;

	text += strspn(text, " \t");
	if (*text == '\0' || *text == '#')
		return 0;
	if (*text == '@') {
		snprintf(why, why_size, "importing filter files is not allowed here");
		return -1;
	}
	copy = strdup(text);
	if (copy == NULL)
		abort();
	for (end = copy + strlen(copy); end > copy && (end[-1] == ' ' || end[-1] == '\t'); end--)
		;
	*end = '\0';
	l->positive = *copy != '!';
	s = copy + !l->positive;
	bare = *s != '/' && *s != '"' && *s != '`';
	rc = ml_pattern_parse(&l->pattern, &s, false, why, why_size);
	if (rc == 0 && *s != '\0') {
		/* A bare pattern ends at a dot only, which parts schema and table elsewhere. */
		snprintf(why, why_size,
			bare ? "unexpected special character '%c'"
			     : "syntax error: stray characters after column pattern",
			*s);
		ml_pattern_free(l->pattern);
		rc = -1;
	}
	free(copy);
	return rc == 0 ? 1 : -1;
}

int
ml_columns_new(struct ml_columns **out, const char *const *lines, size_t n, struct ml_err *err)
{
	struct ml_columns *c = calloc(1, sizeof(*c) + n * sizeof(c->lines[0]));
	struct ml_buf all = { 0 };
	char why[512];

	if (c == NULL)
		abort();
	for (size_t i = 0; i < n; i++) {
		int rc = parse_line(&c->lines[c->n], lines[i], why, sizeof(why));

		if (rc > 0)
			c->n++;
		if (rc >= 0)
			continue;
		ml_buf_putc(&all, '[');
		for (size_t k = 0; k < n; k++)
			ml_buf_printf(&all, "%s%s", k > 0 ? " " : "", lines[k]);
		ml_buf_putc(&all, ']');
		/* The reason must survive the cut at the end of the text. */
		ML_ERRF(err, ErrFilterRuleInvalid, 0, "filter rule is invalid %.300s: %s", all.data, why);
		ml_buf_fini(&all);
		ml_columns_free(c);
		return -1;
	}
	*out = c;
	return 0;
}

void
ml_columns_free(struct ml_columns *c)
{
	if (c == NULL)
		return;
	for (size_t i = 0; i < c->n; i++)
		ml_pattern_free(c->lines[i].pattern);
	free(c);
}

bool
ml_columns_match(const struct ml_columns *c, const char *name, size_t len)
{
	for (size_t i = c->n; i-- > 0;) {
		const struct line *l = &c->lines[i];
		enum ml_found found = ml_pattern_match(l->pattern, name, len);

		/* A pattern that cannot be decided leans to true, as in table rules. */
		if (found == ML_FOUND_YES || (found == ML_FOUND_UNKNOWN && l->positive))
			return l->positive;
	}
	return false;
}
