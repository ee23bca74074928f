#include "capture-worker/event/rules.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture-worker/event/pattern.h"
#include "common/base/buf.h"

struct rule {
	struct ml_pattern *db, *table;
	bool positive;
};

struct ml_rules {
	struct rule *rules;
	size_t n, cap;
};

/* Where a line came from, for messages. */
struct place {
	const char *file;
	int line;
};

static void
rule_fini(struct rule *r)
{
	ml_pattern_free(r->db);
	ml_pattern_free(r->table);
}

static int
parse_rule(struct rule *r, const char *s, bool case_sensitive, char *why, size_t why_size)
{
	*r = (struct rule){ .positive = *s != '!' };
	if (*s == '!')
		s++;
	if (ml_pattern_parse(&r->db, &s, case_sensitive, why, why_size) != 0)
		return -1;
	if (*s != '.') {
		snprintf(why, why_size,
			*s == '\0' ? "wrong table pattern"
				   : "syntax error: missing '.' between schema and table patterns");
		return -1;
	}
	s++;
	if (ml_pattern_parse(&r->table, &s, case_sensitive, why, why_size) != 0)
		return -1;
	if (*s != '\0') {
		snprintf(why, why_size, "syntax error: stray characters after table pattern");
		return -1;
	}
	return 0;
}

static int import_file(struct ml_rules *r, const char *path, bool case_sensitive, char *why, size_t why_size);

/* One line; why gets the reason with its place. */
static int
add_line(struct ml_rules *r, const char *line, size_t len, bool case_sensitive, bool allow_import, struct place at,
	char *why, size_t why_size)
{
	char text[512];
	struct rule rule = { 0 };
	char *copy;
	int rc = 0;

	while (len > 0 && (*line == ' ' || *line == '\t')) {
		line++;
		len--;
	}
	while (len > 0 && (line[len - 1] == ' ' || line[len - 1] == '\t'))
		len--;
	if (len == 0 || *line == '#')
		return 0;
	copy = strndup(line, len);
	if (copy == NULL || strlen(copy) != len) {
		snprintf(text, sizeof(text), copy == NULL ? "out of memory" : "NUL byte in a rule");
		rc = -1;
	} else if (*copy == '@') {
		if (allow_import) {
			rc = import_file(r, copy + 1, case_sensitive, why, why_size);
			free(copy);
			return rc;
		}
		snprintf(text, sizeof(text),
			strcmp(at.file, "<cmdline>") == 0 ? "importing filter files is not allowed here"
							  : "importing filter files recursively is not allowed");
		rc = -1;
	} else {
		rc = parse_rule(&rule, copy, case_sensitive, text, sizeof(text));
	}
	free(copy);
	if (rc == 0 && r->n == r->cap) {
		size_t cap = r->cap > 0 ? r->cap * 2 : 4;
		struct rule *rules = reallocarray(r->rules, cap, sizeof(*rules));

		if (rules != NULL) {
			r->rules = rules;
			r->cap = cap;
		} else {
			snprintf(text, sizeof(text), "out of memory");
			rc = -1;
		}
	}
	if (rc != 0) {
		rule_fini(&rule);
		snprintf(why, why_size, "at %s:%d: %s", at.file, at.line, text);
		return -1;
	}
	r->rules[r->n++] = rule;
	return 0;
}

static int
import_file(struct ml_rules *r, const char *path, bool case_sensitive, char *why, size_t why_size)
{
	struct place at = { .file = path };
	char *line = NULL;
	size_t size = 0;
	ssize_t len;
	int rc = 0;
	FILE *f;

	f = fopen(path, "re");
	if (f == NULL) {
		snprintf(why, why_size, "cannot open filter file %s: %s", path, strerror(errno));
		return -1;
	}
	while (rc == 0 && (len = getline(&line, &size, f)) >= 0) {
		at.line++;
		while (len > 0 && (line[len - 1] == '\n' || line[len - 1] == '\r'))
			len--;
		rc = add_line(r, line, (size_t)len, case_sensitive, false, at, why, why_size);
	}
	if (rc == 0 && ferror(f)) {
		snprintf(why, why_size, "cannot read filter file %s: %s", path, strerror(errno));
		rc = -1;
	}
	free(line);
	fclose(f);
	return rc;
}

int
ml_rules_new(
	struct ml_rules **out, char *const *lines, size_t n, bool case_sensitive, bool allow_import, struct ml_err *err)
{
	static const struct place cmdline = { "<cmdline>", 1 };
	struct ml_rules *r = calloc(1, sizeof(*r));
	struct ml_buf all = { 0 };
	char why[640];

	if (r == NULL)
		return ML_ERR(err, ErrNoMemory, 0, "reading filter rules");
	for (size_t i = 0; i < n; i++) {
		if (add_line(r, lines[i], strlen(lines[i]), case_sensitive, allow_import, cmdline, why, sizeof(why)) ==
			0)
			continue;
		ml_buf_putc(&all, '[');
		for (size_t j = 0; j < n; j++) {
			ml_buf_puts(&all, j > 0 ? " " : "");
			ml_buf_puts(&all, lines[j]);
		}
		ml_buf_putc(&all, ']');
		/* The reason must survive the cut at the end of the text. */
		ML_ERRF(err, ErrFilterRuleInvalid, 0, "filter rule is invalid %.300s: %s", all.data, why);
		ml_buf_fini(&all);
		ml_rules_free(r);
		return -1;
	}
	*out = r;
	return 0;
}

void
ml_rules_free(struct ml_rules *r)
{
	if (r == NULL)
		return;
	for (size_t i = 0; i < r->n; i++)
		rule_fini(&r->rules[i]);
	free(r->rules);
	free(r);
}

bool
ml_rules_match(const struct ml_rules *r, const char *db, size_t db_len, const char *table, size_t table_len)
{
	for (size_t i = r->n; i-- > 0;) {
		const struct rule *rule = &r->rules[i];
		enum ml_found d = ml_pattern_match(rule->db, db, db_len), t;

		if (d == ML_FOUND_NO)
			continue;
		t = ml_pattern_match(rule->table, table, table_len);
		if (t == ML_FOUND_NO || (!rule->positive && (d == ML_FOUND_UNKNOWN || t == ML_FOUND_UNKNOWN)))
			continue;
		return rule->positive;
	}
	return false;
}

bool
ml_rules_match_db(const struct ml_rules *r, const char *db, size_t db_len)
{
	for (size_t i = r->n; i-- > 0;) {
		const struct rule *rule = &r->rules[i];
		enum ml_found d;

		if (!rule->positive && !ml_pattern_is_star(rule->table))
			continue;
		d = ml_pattern_match(rule->db, db, db_len);
		if (d == ML_FOUND_YES || (d == ML_FOUND_UNKNOWN && rule->positive))
			return rule->positive;
	}
	return false;
}
