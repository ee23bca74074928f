#include "capture-worker/filter/expr/func.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "capture-worker/filter/expr/eval.h"
#include "capture-worker/filter/expr/value.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

/* ---- choices ---- */

static int
bind_if(struct ml_binding *b, struct ml_node *x, struct ml_err *err)
{
	x->kids[0] = ml_bind_number(b, x->kids[0]);
	return ml_bind_merge(b, x, 1, 3, 1, err);
}

static int
bind_coalesce(struct ml_binding *b, struct ml_node *x, struct ml_err *err)
{
	return ml_bind_merge(b, x, 0, x->n, 1, err);
}

static int
coalesce(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	for (uint32_t i = 0; i < x->n; i++) {
		if (x->kids[i]->eval(r, x->kids[i], v) < 0)
			return -1;
		if (v->kind != ML_V_NULL)
			return 0;
	}
	return 0;
}

static int
bind_nullif(struct ml_binding *b, struct ml_node *x, struct ml_err *err)
{
	struct ml_node *a = x->kids[0], *cmp = ml_bind_cmp(b, '=', a, x->kids[1], err);

	if (cmp == NULL)
		return -1;
	x->kids[0] = cmp;
	x->kids[1] = a;
	x->type = a->type;
	x->digits = a->digits;
	x->coll = a->coll;
	x->coercibility = a->coercibility;
	return 0;
}

static int
nullif(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	struct ml_value same;
	int rc;

	if (ml_eval_kid(r, x, 0, &same, &rc) && same.i != 0) {
		v->kind = ML_V_NULL;
		return 0;
	}
	return rc < 0 ? -1 : x->kids[1]->eval(r, x->kids[1], v);
}

static int
isnull(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	if (x->kids[0]->eval(r, x->kids[0], v) < 0)
		return -1;
	*v = ml_v_int(v->kind == ML_V_NULL);
	return 0;
}

static int
bind_isnull(struct ml_binding *b, struct ml_node *x, struct ml_err *err)
{
	(void)b;
	(void)err;
	x->type = ML_X_INT;
	return 0;
}

/* GREATEST and LEAST: text among numbers counts as a number. */
static int
bind_greatest(struct ml_binding *b, struct ml_node *x, struct ml_err *err)
{
	bool text = false, number = false;

	for (uint32_t i = 0; i < x->n; i++) {
		text |= x->kids[i]->type == ML_X_STR;
		number |= x->kids[i]->type <= ML_X_REAL && x->kids[i]->type != ML_X_NULL;
	}
	for (uint32_t i = 0; text && number && i < x->n; i++)
		x->kids[i] = ml_bind_as(b, x->kids[i], ML_X_REAL, 0);
	return ml_bind_merge(b, x, 0, x->n, 1, err);
}

static int
order(struct ml_run *r, const struct ml_node *x, const struct ml_value *a, const struct ml_value *b)
{
	double f, g;

	switch (x->type) {
	case ML_X_INT:
		return ml_value_cmp_int(a, b);
	case ML_X_DEC:
		return ml_dec_cmp(a->d, b->d);
	case ML_X_REAL:
		f = ml_value_real(a);
		g = ml_value_real(b);
		return (f > g) - (f < g);
	case ML_X_STR:
		return ml_collation_cmp(x->coll, a->s, a->len, b->s, b->len);
	case ML_X_JSON:
		return ml_json_cmp(a->j, b->j);
	default:
		(void)r;
		return (a->i > b->i) - (a->i < b->i);
	}
}

static int
extreme(struct ml_run *r, const struct ml_node *x, struct ml_value *v, int sign)
{
	struct ml_value other;
	int rc;

	if (!ml_eval_kid(r, x, 0, v, &rc))
		return rc;
	for (uint32_t i = 1; i < x->n; i++) {
		if (!ml_eval_kid(r, x, i, &other, &rc)) {
			v->kind = ML_V_NULL;
			return rc;
		}
		if (order(r, x, &other, v) * sign > 0)
			*v = other;
	}
	return 0;
}

static int
greatest(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	return extreme(r, x, v, 1);
}

static int
least(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	return extreme(r, x, v, -1);
}

/* ---- numbers ---- */

/* As the argument: integer, decimal, or else a float. */
static int
bind_number(struct ml_binding *b, struct ml_node *x, struct ml_err *err)
{
	struct ml_node *k = x->kids[0] = ml_bind_number(b, x->kids[0]);

	(void)err;
	if (k->type != ML_X_INT && k->type != ML_X_DEC && k->type != ML_X_NULL)
		k = x->kids[0] = ml_bind_as(b, k, ML_X_REAL, 0);
	x->type = k->type;
	x->digits = k->digits;
	if (x->n > 1)
		x->kids[1] = ml_bind_as(b, x->kids[1], ML_X_INT, 0);
	return 0;
}

/* CEIL and FLOOR of a decimal are integers. */
static int
bind_whole(struct ml_binding *b, struct ml_node *x, struct ml_err *err)
{
	(void)bind_number(b, x, err);
	if (x->type == ML_X_DEC)
		x->type = ML_X_INT;
	x->digits = 0;
	return 0;
}

static int
bind_sign(struct ml_binding *b, struct ml_node *x, struct ml_err *err)
{
	(void)bind_number(b, x, err);
	x->type = ML_X_INT;
	x->digits = 0;
	return 0;
}

static int
absolute(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	struct ml_dec *n;
	int rc;

	if (!ml_eval_kid(r, x, 0, v, &rc))
		return rc;
	switch (v->kind) {
	case ML_V_INT:
		if (v->i == INT64_MIN)
			return ml_run_fail(r, "BIGINT value is out of range");
		v->i = v->i < 0 ? -v->i : v->i;
		return 0;
	case ML_V_DEC:
		n = ml_arena_alloc(r->a, sizeof(*n));
		*n = *v->d;
		n->neg = false;
		v->d = n;
		return 0;
	case ML_V_REAL:
		v->f = fabs(v->f);
		return 0;
	default:
		return 0;
	}
}

static int
whole(struct ml_run *r, const struct ml_node *x, struct ml_value *v, enum ml_dec_mode mode)
{
	struct ml_dec n;
	int rc;

	if (!ml_eval_kid(r, x, 0, v, &rc))
		return rc;
	if (v->kind == ML_V_REAL) {
		v->f = mode == ML_DEC_FLOOR ? floor(v->f) : ceil(v->f);
	} else if (v->kind == ML_V_DEC) {
		n = *v->d;
		v->kind = ML_V_INT;
		if (!ml_dec_round(&n, 0, mode) || !ml_dec_i64(&n, &v->i))
			return ml_run_fail(r, "BIGINT value is out of range");
	}
	return 0;
}

static int
ceiling(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	return whole(r, x, v, ML_DEC_CEILING);
}

static int
floor_of(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	return whole(r, x, v, ML_DEC_FLOOR);
}

static int
round_to(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	struct ml_value to = ml_v_int(0);
	struct ml_dec *n;
	double p;
	int rc;

	if (!ml_eval_kid(r, x, 0, v, &rc))
		return rc;
	if (x->n > 1 && !ml_eval_kid(r, x, 1, &to, &rc)) {
		v->kind = ML_V_NULL;
		return rc;
	}
	if (to.kind == ML_V_UINT || to.i > 30)
		to.i = 30;
	if (to.i < -100)
		to.i = -100;
	switch (v->kind) {
	case ML_V_REAL:
		p = pow(10, (double)llabs(to.i));
		v->f = to.i >= 0 ? rint(v->f * p) / p : rint(v->f / p) * p;
		return isfinite(v->f) ? 0 : ml_run_fail(r, "DOUBLE value is out of range");
	case ML_V_DEC:
		n = ml_arena_alloc(r->a, sizeof(*n));
		*n = *v->d;
		/* More digits than there are change nothing. */
		if (to.i < n->scale && !ml_dec_round(n, (int)to.i, ML_DEC_HALF_UP))
			return ml_run_fail(r, "DECIMAL value is out of range");
		v->d = n;
		return 0;
	default:
		if (to.i >= 0)
			return 0;
		n = ml_arena_alloc(r->a, sizeof(*n));
		*n = *ml_value_dec(r, v);
		if (!ml_dec_round(n, (int)to.i, ML_DEC_HALF_UP) ||
			!(v->kind == ML_V_UINT ? ml_dec_u64(n, &v->u) : ml_dec_i64(n, &v->i)))
			return ml_run_fail(r, "BIGINT value is out of range");
		return 0;
	}
}

static int
sign(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	int rc;

	if (!ml_eval_kid(r, x, 0, v, &rc))
		return rc;
	switch (v->kind) {
	case ML_V_INT:
		*v = ml_v_int((v->i > 0) - (v->i < 0));
		break;
	case ML_V_UINT:
		*v = ml_v_int(v->u > 0);
		break;
	case ML_V_DEC:
		*v = ml_v_int(ml_dec_is_zero(v->d) ? 0 : v->d->neg ? -1 : 1);
		break;
	default: {
		double f = ml_value_real(v);

		*v = ml_v_int((f > 0) - (f < 0));
	}
	}
	return 0;
}

static int
bind_mod(struct ml_binding *b, struct ml_node *x, struct ml_err *err)
{
	x->op = '%';
	return ml_bind_arith(b, x, err) == NULL ? -1 : 0;
}

static const struct ml_func numbers[] = {
	{ "IF", 3, 3, false, bind_if, ml_eval_case, 0, 0 },
	{ "IFNULL", 2, 2, false, bind_coalesce, coalesce, 0, 0 },
	{ "COALESCE", 1, 250, false, bind_coalesce, coalesce, 0, 0 },
	{ "NULLIF", 2, 2, false, bind_nullif, nullif, 0, 0 },
	{ "ISNULL", 1, 1, false, bind_isnull, isnull, 0, 0 },
	{ "GREATEST", 2, 250, false, bind_greatest, greatest, 0, 0 },
	{ "LEAST", 2, 250, false, bind_greatest, least, 0, 0 },
	{ "ABS", 1, 1, false, bind_number, absolute, 0, 0 },
	{ "CEIL", 1, 1, false, bind_whole, ceiling, 0, 0 },
	{ "CEILING", 1, 1, false, bind_whole, ceiling, 0, 0 },
	{ "FLOOR", 1, 1, false, bind_whole, floor_of, 0, 0 },
	{ "ROUND", 1, 2, false, bind_number, round_to, 0, 0 },
	{ "SIGN", 1, 1, false, bind_sign, sign, 0, 0 },
	{ "MOD", 2, 2, false, bind_mod, NULL, 0, 0 },
};

/* ---- finding ---- */

static bool
listed(const char *const *list, size_t n, const char *name, size_t len)
{
	for (size_t i = 0; i < n; i++)
		if (ml_same_word(name, len, list[i]))
			return true;
	return false;
}

const struct ml_func *
ml_func_find(const char *name, size_t len, const char **why)
{
	/* Their value is not the row's alone. */
	static const char *const unsteady[] = { "NOW", "SYSDATE", "CURDATE", "CURTIME", "CURRENT_DATE", "CURRENT_TIME",
		"CURRENT_TIMESTAMP", "LOCALTIME", "LOCALTIMESTAMP", "UTC_DATE", "UTC_TIME", "UTC_TIMESTAMP", "RAND",
		"UUID", "UUID_SHORT", "CONNECTION_ID", "USER", "CURRENT_USER", "SESSION_USER", "SYSTEM_USER",
		"CURRENT_ROLE", "DATABASE", "SCHEMA", "VERSION", "LAST_INSERT_ID", "ROW_COUNT", "FOUND_ROWS", "SLEEP",
		"BENCHMARK", "GET_LOCK", "RELEASE_LOCK", "IS_FREE_LOCK", "IS_USED_LOCK", "LOAD_FILE", "RANDOM_BYTES" };
	static const char *const aggregates[] = { "COUNT", "SUM", "AVG", "MIN", "MAX", "GROUP_CONCAT", "BIT_AND",
		"BIT_OR", "BIT_XOR", "STD", "STDDEV", "STDDEV_POP", "STDDEV_SAMP", "VARIANCE", "VAR_POP", "VAR_SAMP",
		"JSON_ARRAYAGG", "JSON_OBJECTAGG", "APPROX_COUNT_DISTINCT", "APPROX_PERCENTILE", "ROW_NUMBER", "RANK",
		"DENSE_RANK", "LAG", "LEAD" };
	const struct {
		const struct ml_func *f;
		size_t n;
	} tables[] = { { numbers, N(numbers) }, { ml_funcs_text, ml_funcs_text_n }, { ml_funcs_time, ml_funcs_time_n },
		{ ml_funcs_json, ml_funcs_json_n } };

	for (size_t t = 0; t < N(tables); t++)
		for (size_t i = 0; i < tables[t].n; i++)
			if (ml_same_word(name, len, tables[t].f[i].name))
				return &tables[t].f[i];
	if (why != NULL)
		*why = listed(unsteady, N(unsteady), name, len)
			       ? "functions whose value is not the row's alone are not allowed"
		       : listed(aggregates, N(aggregates), name, len) ? "aggregates are not allowed"
								      : "an unknown function";
	return NULL;
}
