#include "capture-worker/router/names.h"

#include <stdlib.h>
#include <string.h>

#include "capture-worker/event/rules.h"

struct rule {
	struct ml_rules *matcher;
	const char *schema, *table; /* of the spec; "": the source's */
	bool merge;
};

struct ml_route_names {
	struct rule *rules;
	size_t n;
};

/* Literal text, {schema} and {table}. */
static bool
valid(const char *s)
{
	while (*s != '\0') {
		if (strncmp(s, "{schema}", 8) == 0)
			s += 8;
		else if (strncmp(s, "{table}", 7) == 0)
			s += 7;
		else if (*s == '{' || *s == '}')
			return false;
		else
			s++;
	}
	return true;
}

static int
rule_init(struct rule *r, const Ml__DispatchRule *in, bool case_sensitive, struct ml_err *err)
{
	struct ml_err why = { 0 };

	r->schema = in->target_schema;
	r->table = in->target_table;
	r->merge = in->target_merge;
	if (!valid(r->schema) || !valid(r->table))
		return ML_ERRF(err, ErrInvalidTableRoutingRule, 0,
			"invalid table routing rule: '%.200s' may hold text, {schema} and {table}",
			valid(r->schema) ? r->table : r->schema);
	if (ml_rules_new(&r->matcher, in->matcher, in->n_matcher, case_sensitive, false, &why) != 0)
		return ML_ERR(err, ErrInvalidTableRoutingRule, 0, why.text);
	return 0;
}

int
ml_route_names_new(struct ml_route_names **out, const Ml__ChangefeedSpec *spec, struct ml_err *err)
{
	struct ml_route_names *n = calloc(1, sizeof(*n));

	if (n == NULL || (n->rules = calloc(spec->n_dispatchers + 1, sizeof(*n->rules))) == NULL)
		abort();
	for (size_t i = 0; i < spec->n_dispatchers; i++) {
		const Ml__DispatchRule *in = spec->dispatchers[i];

		if (in->target_schema[0] == '\0' && in->target_table[0] == '\0') {
			if (!in->target_merge)
				continue;
			ML_ERRF(err, ErrInvalidTableRoutingRule, 0,
				"invalid table routing rule: target-merge without target-schema or target-table");
			ml_route_names_free(n);
			return -1;
		}
		if (rule_init(&n->rules[n->n++], in, spec->case_sensitive, err) != 0) {
			ml_route_names_free(n);
			return -1;
		}
	}
	if (n->n == 0) {
		ml_route_names_free(n);
		n = NULL;
	}
	*out = n;
	return 0;
}

void
ml_route_names_free(struct ml_route_names *n)
{
	if (n == NULL)
		return;
	for (size_t i = 0; i < n->n; i++)
		ml_rules_free(n->rules[i].matcher);
	free(n->rules);
	free(n);
}

static struct ml_text
expand(const char *s, struct ml_text db, struct ml_text table, struct ml_arena *a)
{
	size_t room = strlen(s) + 1;
	char *start, *p;

	for (const char *q = s; (q = strchr(q, '{')) != NULL; q++)
		room += q[1] == 's' ? db.len : table.len;
	start = p = ml_arena_bytes(a, room);
	while (*s != '\0') {
		bool is_db = strncmp(s, "{schema}", 8) == 0;

		if (is_db || *s == '{') {
			struct ml_text t = is_db ? db : table;

			p = (char *)mempcpy(p, t.s, t.len);
			s += is_db ? 8 : 7;
		} else {
			*p++ = *s++;
		}
	}
	*p = '\0';
	return (struct ml_text){ start, (uint32_t)(p - start) };
}

void
ml_route_names_of(const struct ml_route_names *n, struct ml_text db, struct ml_text table, struct ml_arena *a,
	struct ml_route_target *t)
{
	*t = (struct ml_route_target){ db, table, false };
	for (size_t i = 0; i < n->n; i++) {
		const struct rule *r = &n->rules[i];

		if (!ml_rules_match(r->matcher, db.s, db.len, table.s, table.len))
			continue;
		if (r->schema[0] != '\0')
			t->db = expand(r->schema, db, table, a);
		if (r->table[0] != '\0')
			t->table = expand(r->table, db, table, a);
		t->merge = r->merge;
		return;
	}
}

int
ml_route_names_of_db(
	const struct ml_route_names *n, struct ml_text db, struct ml_arena *a, struct ml_text *out, struct ml_err *err)
{
	static const struct ml_text none = { "", 0 };
	bool found = false;

	*out = db;
	for (size_t i = 0; i < n->n; i++) {
		const struct rule *r = &n->rules[i];
		struct ml_text t = db;

		if (!ml_rules_match_db(r->matcher, db.s, db.len))
			continue;
		if (r->schema[0] != '\0')
			t = expand(r->schema, db, none, a);
		if (t.len == 0)
			return ML_ERRF(err, ErrTableRoutingFailed, 0,
				"table routing failed: no name for schema %.200s is left without a table", db.s);
		if (found && (t.len != out->len || memcmp(t.s, out->s, t.len) != 0))
			return ML_ERRF(err, ErrTableRoutingFailed, 0,
				"table routing failed: ambiguous schema routing for schema %.200s: %.200s and %.200s",
				db.s, out->s, t.s);
		*out = t;
		found = true;
	}
	return 0;
}
