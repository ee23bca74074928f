/* func_json.c - functions on JSON: documents are read when a function needs them. */
#include <string.h>

#include "capture-worker/filter/expr/eval.h"
#include "capture-worker/filter/expr/func.h"
#include "capture-worker/filter/expr/value.h"
#include "common/text/json.h"

/* A JSON value as it is; text is read as a document. */
static int
document(struct ml_run *r, const struct ml_node *x, uint32_t i, struct ml_value *v)
{
	struct ml_err why = { 0 };
	struct ml_json *j;
	int rc;

	if (!ml_eval_kid(r, x, i, v, &rc)) {
		v->kind = ML_V_NULL;
		return rc;
	}
	if (v->kind == ML_V_STR) {
		if (ml_json_parse(&j, r->a, v->s, v->len, &why) < 0)
			return ml_run_fail(r, "Invalid JSON text: %.100s", why.text);
		v->j = j;
	} else {
		v->j = ml_value_json(r, x->kids[i], v);
	}
	v->kind = ML_V_JSON;
	return 0;
}

/* What a path finds; several things with a wildcard. */
struct found {
	struct ml_arena *a;
	const struct ml_json *one;
	struct ml_json *all, **tail;
	size_t n;
	bool many;
};

static void
find(struct found *f, const struct ml_json *j)
{
	struct ml_json *copy = ml_arena_alloc(f->a, sizeof(*copy));

	f->one = j;
	*copy = *j;
	copy->next = NULL;
	copy->key = NULL;
	*f->tail = copy;
	f->tail = &copy->next;
	f->n++;
}

/* The rest of a path, "" or ".name", ."name", .*, [n], [*]; -1: it is no path. */
static int
walk(struct found *f, const struct ml_json *j, const char *p, const char *end)
{
	const char *name;
	size_t len;

	while (p < end && *p == ' ')
		p++;
	if (p == end) {
		if (j != NULL)
			find(f, j);
		return 0;
	}
	if (*p == '[') {
		bool last = j != NULL && j->type != ML_JSON_ARRAY; /* anything else is its own element 0 */
		uint64_t n = 0;

		p++;
		if (p < end && *p == '*') {
			const struct ml_json *e = j != NULL && j->type == ML_JSON_ARRAY ? j->child : NULL;

			f->many = true;
			if (++p == end || *p++ != ']')
				return -1;
			if (e == NULL)
				return walk(f, NULL, p, end);
			for (; e != NULL; e = e->next)
				if (walk(f, e, p, end) < 0)
					return -1;
			return 0;
		}
		if (p == end || *p < '0' || *p > '9')
			return -1;
		for (; p < end && *p >= '0' && *p <= '9'; p++)
			n = n < UINT32_MAX ? n * 10 + (uint64_t)(*p - '0') : n;
		if (p >= end || *p++ != ']')
			return -1;
		if (last)
			return walk(f, n == 0 ? j : NULL, p, end);
		if (j != NULL) {
			j = j->child;
			for (; n > 0 && j != NULL; n--)
				j = j->next;
		}
		return walk(f, j, p, end);
	}
	if (*p++ != '.' || p == end)
		return -1;
	if (*p == '*') {
		const struct ml_json *e = j != NULL && j->type == ML_JSON_OBJECT ? j->child : NULL;

		f->many = true;
		p++;
		if (e == NULL)
			return walk(f, NULL, p, end);
		for (; e != NULL; e = e->next)
			if (walk(f, e, p, end) < 0)
				return -1;
		return 0;
	}
	if (*p == '"') {
		name = ++p;
		while (p < end && *p != '"')
			p++;
		if (p == end)
			return -1;
		len = (size_t)(p++ - name);
	} else {
		name = p;
		while (p < end && *p != '.' && *p != '[' && *p != ' ')
			p++;
		len = (size_t)(p - name);
		if (len == 0)
			return -1;
	}
	if (j != NULL) {
		const struct ml_json *e = j->type == ML_JSON_OBJECT ? j->child : NULL;

		/* Of two members of one name the last counts. */
		for (j = NULL; e != NULL; e = e->next)
			if (e->key_len == len && memcmp(e->key, name, len) == 0)
				j = e;
	}
	return walk(f, j, p, end);
}

static int
extract(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	struct found f = { .a = r->a, .tail = &f.all };
	struct ml_json *list;

	if (document(r, x, 0, v) < 0)
		return -1;
	if (v->kind == ML_V_NULL || x->n == 1)
		return 0;
	f.many = x->n > 2;
	for (uint32_t i = 1; i < x->n; i++) {
		struct ml_value path;
		int rc;

		if (!ml_eval_kid(r, x, i, &path, &rc)) {
			v->kind = ML_V_NULL;
			return rc;
		}
		if (path.len == 0 || path.s[0] != '$' || walk(&f, v->j, path.s + 1, path.s + path.len) < 0)
			return ml_run_fail(r, "Invalid JSON path expression");
	}
	if (f.n == 0) {
		v->kind = ML_V_NULL;
		return 0;
	}
	if (!f.many) {
		v->j = f.one;
		return 0;
	}
	list = ml_arena_zalloc(r->a, sizeof(*list));
	list->type = ML_JSON_ARRAY;
	list->child = f.all;
	list->n = f.n;
	v->j = list;
	return 0;
}

static int
bind_extract(struct ml_binding *b, struct ml_node *x, struct ml_err *err)
{
	for (uint32_t i = 1; i < x->n; i++) {
		struct found f = { .a = b->a, .tail = &f.all };
		const struct ml_value *p;

		x->kids[i] = ml_bind_as(b, x->kids[i], ML_X_STR, 6);
		p = &x->kids[i]->value;
		if (!x->kids[i]->constant || p->kind != ML_V_STR)
			continue;
		if (p->len == 0 || p->s[0] != '$' || walk(&f, NULL, p->s + 1, p->s + p->len) < 0)
			return ml_bind_fail(b, err, "an invalid JSON path");
	}
	x->type = ML_X_JSON;
	return 0;
}

static int
bind_unquote(struct ml_binding *b, struct ml_node *x, struct ml_err *err)
{
	(void)b;
	(void)err;
	x->type = ML_X_STR;
	x->coercibility = ML_COERCE_LITERAL;
	return 0;
}

static int
unquote(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	struct ml_err why = { 0 };
	struct ml_json *j;
	int rc;

	if (!ml_eval_kid(r, x, 0, v, &rc))
		return rc;
	if (v->kind == ML_V_JSON) {
		*v = v->j->type == ML_JSON_STRING ? ml_v_text(v->j->s, v->j->len) : ml_value_text(r, x->kids[0], v);
		return 0;
	}
	*v = ml_value_text(r, x->kids[0], v);
	if (v->len < 2 || v->s[0] != '"' || v->s[v->len - 1] != '"')
		return 0;
	if (ml_json_parse(&j, r->a, v->s, v->len, &why) < 0 || j->type != ML_JSON_STRING)
		return ml_run_fail(r, "Invalid JSON text: %.100s", why.text);
	*v = ml_v_text(j->s, j->len);
	return 0;
}

static bool
contains(const struct ml_json *in, const struct ml_json *what)
{
	if (in->type == ML_JSON_ARRAY) {
		if (what->type == ML_JSON_ARRAY) {
			for (const struct ml_json *e = what->child; e != NULL; e = e->next)
				if (!contains(in, e))
					return false;
			return true;
		}
		for (const struct ml_json *e = in->child; e != NULL; e = e->next)
			if (contains(e, what))
				return true;
		return false;
	}
	if (in->type == ML_JSON_OBJECT && what->type == ML_JSON_OBJECT) {
		for (const struct ml_json *e = what->child; e != NULL; e = e->next) {
			const struct ml_json *have = NULL;

			for (const struct ml_json *m = in->child; m != NULL; m = m->next)
				if (m->key_len == e->key_len && memcmp(m->key, e->key, e->key_len) == 0)
					have = m;
			if (have == NULL || !contains(have, e))
				return false;
		}
		return true;
	}
	return in->type == what->type && ml_json_cmp(in, what) == 0;
}

static int
json_contains(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	struct ml_value what, path;
	int rc;

	if (document(r, x, 0, v) < 0 || document(r, x, 1, &what) < 0)
		return -1;
	if (v->kind == ML_V_NULL || what.kind == ML_V_NULL) {
		v->kind = ML_V_NULL;
		return 0;
	}
	if (x->n > 2) {
		struct found f = { .a = r->a, .tail = &f.all };

		if (!ml_eval_kid(r, x, 2, &path, &rc)) {
			v->kind = ML_V_NULL;
			return rc;
		}
		if (path.len == 0 || path.s[0] != '$' || walk(&f, v->j, path.s + 1, path.s + path.len) < 0 || f.many)
			return ml_run_fail(r, "Invalid JSON path expression");
		if (f.n == 0) {
			v->kind = ML_V_NULL;
			return 0;
		}
		v->j = f.one;
	}
	*v = ml_v_int(contains(v->j, what.j));
	return 0;
}

static int
bind_contains(struct ml_binding *b, struct ml_node *x, struct ml_err *err)
{
	(void)err;
	if (x->n > 2)
		x->kids[2] = ml_bind_as(b, x->kids[2], ML_X_STR, 6);
	x->type = ML_X_INT;
	return 0;
}

const struct ml_func ml_funcs_json[] = {
	{ "JSON_EXTRACT", 2, 250, false, bind_extract, extract, 0, 0 },
	{ "JSON_UNQUOTE", 1, 1, false, bind_unquote, unquote, 0, 0 },
	{ "JSON_CONTAINS", 2, 3, false, bind_contains, json_contains, 0, 0 },
};
const size_t ml_funcs_json_n = sizeof(ml_funcs_json) / sizeof(ml_funcs_json[0]);
