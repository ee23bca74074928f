#include "capture-worker/filter/event.h"

#include <stdlib.h>
#include <string.h>

#include "capture-worker/event/pattern.h"
#include "capture-worker/event/rules.h"
#include "capture-worker/filter/event_names.h"
#include "capture-worker/filter/expr/expr.h"
#include "common/run/log.h"
#include "common/text/json.h"
#include "common/text/replica.h"

/* What each expression of a rule is about, in the order in which they are tried. */
static const struct {
	const char *key;
	uint8_t op;
	bool before; /* the old row */
} places[] = {
	{ "ignore-insert-value-expr", ML_OP_INSERT, false },
	{ "ignore-update-old-value-expr", ML_OP_UPDATE, true },
	{ "ignore-update-new-value-expr", ML_OP_UPDATE, false },
	{ "ignore-delete-value-expr", ML_OP_DELETE, true },
};
#define N_PLACES (sizeof(places) / sizeof(places[0]))

struct rule {
	struct ml_rules *matcher;
	struct ml_event_set set;
	struct ml_pattern **sql;
	size_t n_sql;
	struct ml_parsed *exprs[N_PLACES]; /* NULL: none */
	const char **columns;              /* ignore-update-only-columns; in the filter's arena */
	size_t n_columns;
};

struct ml_event_filter {
	struct ml_arena a;
	struct rule *rules;
	size_t n;
	const struct ml_tz *tz;
	const char *object;
	bool wants_rows;
};

/* All that applies to one definition of a table: its schema's `events`. */
struct table {
	const struct ml_event_filter *owner;
	bool idle;   /* nothing does */
	uint8_t ops; /* ignored as a whole */
	uint32_t n_tests, n_only;
	struct test {
		struct ml_expr *e;
		struct ml_expr_quick quick;
		uint8_t op;
		bool before, is_quick;
	} * tests;
	bool **only; /* for each rule with ignore-update-only-columns: may this column change? */
	uint16_t n_columns;
};

/* ---- making ---- */

static void
rule_fini(struct rule *r)
{
	ml_rules_free(r->matcher);
	for (size_t i = 0; i < r->n_sql; i++)
		ml_pattern_free(r->sql[i]);
	free(r->sql);
	for (size_t i = 0; i < N_PLACES; i++)
		ml_parsed_free(r->exprs[i]);
}

static int
read_sql(struct rule *r, const struct ml_json_strs *list, struct ml_err *err)
{
	char why[200];

	if (list->n == 0)
		return 0;
	r->sql = calloc(list->n, sizeof(struct ml_pattern *));
	if (r->sql == NULL)
		return ML_ERR(err, ErrNoMemory, 0, "making an event filter");
	for (size_t i = 0; i < list->n; i++) {
		if (ml_pattern_regexp(&r->sql[i], list->v[i], strlen(list->v[i]), false, why, sizeof(why)) < 0)
			return ML_ERRF(
				err, ErrFilterRuleInvalid, 0, "filter rule is invalid [%.300s]: %s", list->v[i], why);
		r->n_sql++;
	}
	return 0;
}

static int
read_rule(
	struct ml_event_filter *f, struct rule *r, const struct ml_json *from, bool case_sensitive, struct ml_err *err)
{
	struct {
		struct ml_json_strs matcher, events, sql, columns;
		const char *exprs[N_PLACES];
	} in = { .exprs = { "", "", "", "" } };
	struct ml_json_field fields[] = {
		{ "matcher", ML_JK_STRS, offsetof(__typeof__(in), matcher) },
		{ "ignore-event", ML_JK_STRS, offsetof(__typeof__(in), events) },
		{ "ignore-sql", ML_JK_STRS, offsetof(__typeof__(in), sql) },
		{ "ignore-update-only-columns", ML_JK_STRS, offsetof(__typeof__(in), columns) },
		{ places[0].key, ML_JK_STR, offsetof(__typeof__(in), exprs[0]) },
		{ places[1].key, ML_JK_STR, offsetof(__typeof__(in), exprs[1]) },
		{ places[2].key, ML_JK_STR, offsetof(__typeof__(in), exprs[2]) },
		{ places[3].key, ML_JK_STR, offsetof(__typeof__(in), exprs[3]) },
	};

	if (ml_json_decode(from, "", fields, sizeof(fields) / sizeof(fields[0]), &in, &f->a, err) < 0)
		return -1;
	if (ml_rules_new(
		    &r->matcher, (char *const *)(uintptr_t)in.matcher.v, in.matcher.n, case_sensitive, false, err) < 0)
		return -1;
	for (size_t i = 0; i < in.events.n; i++)
		if (!ml_event_set_add(&r->set, in.events.v[i]))
			return ML_ERR(err, ErrInvalidIgnoreEventType, 0, in.events.v[i]);
	if (read_sql(r, &in.sql, err) < 0)
		return -1;
	for (size_t i = 0; i < N_PLACES; i++) {
		if (in.exprs[i][0] == '\0')
			continue;
		if (ml_parse_expr(&r->exprs[i], in.exprs[i], err) < 0)
			return -1;
		f->wants_rows = true;
	}
	r->columns = in.columns.v;
	r->n_columns = in.columns.n;
	if (r->set.ops != 0 || r->n_columns > 0)
		f->wants_rows = true;
	return 0;
}

int
ml_event_filter_new(struct ml_event_filter **out, const Ml__ChangefeedSpec *spec, const struct ml_tz *tz,
	const char *object, struct ml_err *err)
{
	const char *text = spec->replica_config_json;
	const struct ml_json *list, *e;
	struct ml_event_filter *f;
	struct ml_json *doc;

	*out = NULL;
	if (text == NULL || text[0] == '\0')
		return 0;
	f = calloc(1, sizeof(*f));
	if (f == NULL)
		return ML_ERR(err, ErrNoMemory, 0, "making an event filter");
	ml_arena_init(&f->a, 4096);
	f->tz = tz;
	f->object = object;
	if (ml_json_parse(&doc, &f->a, text, strlen(text), err) < 0) {
		ML_ERRF(err, ErrInvalidReplicaConfig, 0, "invalid replica config, the stored settings cannot be read");
		goto fail;
	}
	list = ml_replica_get(doc, "filter.event-filters");
	if (list == NULL || list->n == 0) {
		ml_event_filter_free(f);
		return 0;
	}
	f->rules = calloc(list->n, sizeof(*f->rules));
	if (f->rules == NULL) {
		ML_ERR(err, ErrNoMemory, 0, "making an event filter");
		goto fail;
	}
	for (e = list->child; e != NULL; e = e->next)
		if (read_rule(f, &f->rules[f->n++], e, spec->case_sensitive, err) < 0)
			goto fail;
	*out = f;
	return 0;
fail:
	ml_event_filter_free(f);
	return -1;
}

void
ml_event_filter_free(struct ml_event_filter *f)
{
	if (f == NULL)
		return;
	for (size_t i = 0; i < f->n; i++)
		rule_fini(&f->rules[i]);
	free(f->rules);
	ml_arena_fini(&f->a);
	free(f);
}

bool
ml_event_filter_wants_rows(const struct ml_event_filter *f)
{
	return f != NULL && f->wants_rows;
}

/* ---- DDL ---- */

bool
ml_event_filter_ddl(const struct ml_event_filter *f, const struct ml_ddl *ddl)
{
	struct ml_text db = ddl->db, table = ddl->table;

	if (f == NULL)
		return false;
	/* A rename goes by its old name. */
	if ((ddl->action == 14 || ddl->action == 47) && ddl->pre_table.len > 0) {
		table = ddl->pre_table;
		if (ddl->pre_db.len > 0)
			db = ddl->pre_db;
	}
	for (size_t i = 0; i < f->n; i++) {
		const struct rule *r = &f->rules[i];

		if (!(table.len > 0 ? ml_rules_match(r->matcher, db.s, db.len, table.s, table.len)
				    : ml_rules_match_db(r->matcher, db.s, db.len)))
			continue;
		if (ml_event_set_has(&r->set, ddl->action))
			return true;
		for (size_t k = 0; k < r->n_sql; k++)
			if (ml_pattern_match(r->sql[k], ddl->query.s, ddl->query.len) == ML_FOUND_YES)
				return true;
	}
	return false;
}

/* ---- rows ---- */

static void
table_free(void *arg)
{
	struct table *t = arg;

	if (t == NULL)
		return;
	for (uint32_t i = 0; i < t->n_tests; i++)
		ml_expr_free(t->tests[i].e);
	for (uint32_t i = 0; i < t->n_only; i++)
		free(t->only[i]);
	free(t->tests);
	free(t->only);
	free(t);
}

static void *
must(void *p)
{
	if (p == NULL)
		abort();
	return p;
}

/* Which columns may change without being told; NULL if the table has none of those that are listed. */
static bool *
only_columns(const struct ml_event_filter *f, const struct rule *r, const struct ml_schema *s)
{
	bool *may = must(calloc((size_t)s->n_columns + 1, sizeof(*may))), any = false;

	for (size_t i = 0; i < r->n_columns; i++) {
		int c = ml_schema_column(s, r->columns[i], strlen(r->columns[i]));

		if (c < 0) {
			ml_warn(f->object,
				"ignore-update-only-columns names a column that is not in the table table=%s column=%s",
				s->qname.s, r->columns[i]);
			continue;
		}
		may[c] = any = true;
	}
	/* A change of a key is always told. */
	for (int i = 0; i < s->n_indexes; i++)
		if (s->indexes[i].primary || s->indexes[i].unique)
			for (int k = 0; k < s->indexes[i].n_cols; k++)
				may[s->indexes[i].cols[k]] = false;
	if (any)
		return may;
	free(may);
	return NULL;
}

static int
make_table(struct table **out, const struct ml_event_filter *f, const struct ml_schema *s, struct ml_err *err)
{
	struct table *t = must(calloc(1, sizeof(*t)));

	t->owner = f;
	t->n_columns = s->n_columns;
	t->tests = must(calloc(f->n * N_PLACES, sizeof(*t->tests)));
	t->only = must(calloc(f->n, sizeof(*t->only)));
	for (size_t i = 0; i < f->n; i++) {
		const struct rule *r = &f->rules[i];

		if (!ml_rules_match(r->matcher, s->db.s, s->db.len, s->table.s, s->table.len))
			continue;
		t->ops |= r->set.ops;
		if (r->n_columns > 0 && (t->only[t->n_only] = only_columns(f, r, s)) != NULL)
			t->n_only++;
		for (size_t k = 0; k < N_PLACES; k++) {
			struct test *x = &t->tests[t->n_tests];

			if (r->exprs[k] == NULL)
				continue;
			if (ml_expr_new(&x->e, r->exprs[k], s, f->tz, err) < 0) {
				table_free(t);
				return -1;
			}
			x->is_quick = ml_expr_quick(x->e, &x->quick);
			x->op = places[k].op;
			x->before = places[k].before;
			t->n_tests++;
		}
	}
	t->idle = t->ops == 0 && t->n_tests == 0 && t->n_only == 0;
	*out = t;
	return 0;
}

static struct table *
table_of(struct ml_event_filter *f, struct ml_schema *s, struct ml_err *err)
{
	struct table *t = s->events;

	if (__builtin_expect(t != NULL && t->owner == f, 1))
		return t;
	if (make_table(&t, f, s, err) < 0)
		return NULL;
	if (s->events_free != NULL)
		s->events_free(s->events);
	s->events = t;
	s->events_free = table_free;
	return t;
}

/* Byte for byte; floats too, so that 0 and -0 differ. */
static bool
same(const struct ml_datum *a, const struct ml_datum *b)
{
	if (a->kind != b->kind)
		return false;
	switch (a->kind) {
	case ML_D_I64:
	case ML_D_U64:
	case ML_D_F64:
		return a->u == b->u;
	case ML_D_F32:
		return memcmp(&a->f32, &b->f32, sizeof(a->f32)) == 0;
	case ML_D_BYTES:
		return a->len == b->len && memcmp(a->s, b->s, a->len) == 0;
	default:
		return true;
	}
}

static bool
changes_only(const struct table *t, const bool *may, const struct ml_row *row)
{
	for (int i = 0; i < t->n_columns; i++)
		if (!may[i] && !same(&row->before[i], &row->after[i]))
			return false;
	return true;
}

/* 1: leave it out, 0: send it, -1: an error. */
static int
judge(const struct table *t, const struct ml_row *row, struct ml_err *err)
{
	if (t->ops >> row->op & 1)
		return 1;
	if (row->op == ML_OP_UPDATE)
		for (uint32_t i = 0; i < t->n_only; i++)
			if (changes_only(t, t->only[i], row))
				return 1;
	for (uint32_t i = 0; i < t->n_tests; i++) {
		const struct test *x = &t->tests[i];
		const struct ml_datum *image = x->before ? row->before : row->after;
		int rc;

		if (x->op != row->op)
			continue;
		rc = x->is_quick && image[x->quick.column].kind != ML_D_ABSENT ? ml_expr_quick_is_one(&x->quick, image)
									       : ml_expr_is_one(x->e, image, err);
		if (rc != 0)
			return rc;
	}
	return 0;
}

int
ml_event_filter_rows(struct ml_event_filter *f, struct ml_batch *b, struct ml_err *err)
{
	uint32_t kept = 0;

	if (f == NULL || !f->wants_rows)
		return 0;
	for (uint32_t i = 0; i < b->n_rows; i++) {
		struct ml_row *row = &b->rows[i];
		const struct table *t = table_of(f, row->schema, err);
		int out;

		if (t == NULL)
			return -1;
		out = t->idle ? 0 : judge(t, row, err);
		if (out < 0)
			return -1;
		if (out > 0)
			continue;
		if (kept != i)
			b->rows[kept] = *row;
		kept++;
	}
	b->n_changes -= b->n_rows - kept;
	b->n_rows = kept;
	return 0;
}

int
ml_event_filter_check(struct ml_event_filter *f, struct ml_schema *s, struct ml_err *err)
{
	return f == NULL || table_of(f, s, err) != NULL ? 0 : -1;
}
