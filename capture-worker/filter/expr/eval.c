#include "capture-worker/filter/expr/eval.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "capture-worker/filter/expr/eval_column.h"
#include "capture-worker/filter/expr/value.h"
#include "common/text/json.h"

int
ml_eval_constant(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	(void)r;
	*v = x->value;
	return 0;
}

/* ---- logic: -1 failed, 0 false, 1 true, 2 NULL ---- */

static int
truth(struct ml_run *r, const struct ml_node *x, uint32_t i)
{
	struct ml_value v;
	int rc;

	if (!ml_eval_kid(r, x, i, &v, &rc))
		return rc < 0 ? -1 : 2;
	return v.kind == ML_V_INT ? v.i != 0 : ml_value_true(r, &v);
}

static int
give(struct ml_value *v, int t)
{
	if (t < 0)
		return -1;
	v->kind = t == 2 ? ML_V_NULL : ML_V_INT;
	v->i = t;
	return 0;
}

int
ml_eval_and(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	int a = truth(r, x, 0), b;

	if (a <= 0)
		return give(v, a);
	b = truth(r, x, 1);
	return give(v, b <= 0 ? b : a == 2 ? 2 : b);
}

int
ml_eval_or(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	int found = 0;

	for (uint32_t i = 0; i < x->n; i++) {
		int t = truth(r, x, i);

		if (t == 1 || t < 0)
			return give(v, t);
		if (t == 2)
			found = 2;
	}
	return give(v, found);
}

int
ml_eval_xor(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	int a = truth(r, x, 0), b;

	if (a < 0)
		return -1;
	b = truth(r, x, 1);
	return give(v, b < 0 ? -1 : a == 2 || b == 2 ? 2 : a != b);
}

int
ml_eval_not(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	int a = truth(r, x, 0);

	return give(v, a < 0 || a == 2 ? a : !a);
}

int
ml_eval_is(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	int a;

	if (x->op == 'n') {
		a = x->kids[0]->eval(r, x->kids[0], v);
		return a < 0 ? -1 : give(v, v->kind == ML_V_NULL);
	}
	a = truth(r, x, 0);
	return give(v, a < 0 ? -1 : x->op == 't' ? a == 1 : a == 0);
}

/* ---- comparisons ---- */

static inline int
verdict(int op, int c)
{
	switch (op) {
	case '=':
	case ML_SYM_NULL_EQ:
		return c == 0;
	case ML_SYM_NE:
		return c != 0;
	case '<':
		return c < 0;
	case '>':
		return c > 0;
	case ML_SYM_LE:
		return c <= 0;
	default:
		return c >= 0;
	}
}

/* Both kids; 1: both are there, 0: *v is the result, -1: failed. */
static inline int
both(struct ml_run *r, const struct ml_node *x, struct ml_value *a, struct ml_value *b, struct ml_value *v)
{
	if (x->kids[0]->eval(r, x->kids[0], a) < 0)
		return -1;
	if (a->kind == ML_V_NULL && x->op != ML_SYM_NULL_EQ) {
		v->kind = ML_V_NULL;
		return 0;
	}
	if (x->kids[1]->eval(r, x->kids[1], b) < 0)
		return -1;
	if (a->kind != ML_V_NULL && b->kind != ML_V_NULL)
		return 1;
	if (x->op == ML_SYM_NULL_EQ)
		return give(v, a->kind == b->kind);
	v->kind = ML_V_NULL;
	return 0;
}

int
ml_eval_cmp_null(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	struct ml_value a, b;

	return both(r, x, &a, &b, v) < 0 ? -1 : 0;
}

int
ml_eval_cmp_int(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	struct ml_value a, b;
	int rc = both(r, x, &a, &b, v);

	return rc <= 0 ? rc : give(v, verdict(x->op, ml_value_cmp_int(&a, &b)));
}

int
ml_eval_cmp_column(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	int rc;
	const struct ml_datum *d = ml_column_datum(r, x->kids[0], v, &rc);
	struct ml_value a;

	if (d == NULL)
		return rc;
	a.kind = d->kind == ML_D_I64 ? ML_V_INT : ML_V_UINT;
	a.i = d->i;
	v->kind = ML_V_INT;
	v->i = verdict(x->op, ml_value_cmp_int(&a, &x->kids[1]->value));
	return 0;
}

int
ml_eval_cmp_real(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	struct ml_value a, b;
	int rc = both(r, x, &a, &b, v);
	double f, g;

	if (rc <= 0)
		return rc;
	f = ml_value_real(&a);
	g = ml_value_real(&b);
	return give(v, verdict(x->op, (f > g) - (f < g)));
}

int
ml_eval_cmp_dec(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	struct ml_value a, b;
	int rc = both(r, x, &a, &b, v);

	return rc <= 0 ? rc : give(v, verdict(x->op, ml_dec_cmp(ml_value_dec(r, &a), ml_value_dec(r, &b))));
}

int
ml_eval_cmp_text(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	struct ml_value a, b;
	int rc = both(r, x, &a, &b, v);

	if (rc <= 0)
		return rc;
	a = ml_value_text(r, x->kids[0], &a);
	b = ml_value_text(r, x->kids[1], &b);
	return give(v, verdict(x->op, ml_collation_cmp(x->coll, a.s, a.len, b.s, b.len)));
}

int
ml_eval_cmp_when(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	struct ml_value a, b;
	int rc = both(r, x, &a, &b, v);
	int64_t s, t;

	if (rc <= 0)
		return rc;
	if (!ml_value_when(r, x->kids[0], &a, &s) || !ml_value_when(r, x->kids[1], &b, &t))
		return give(v, x->op == ML_SYM_NULL_EQ ? 0 : 2);
	return give(v, verdict(x->op, (s > t) - (s < t)));
}

int
ml_eval_cmp_time(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	struct ml_value a, b;
	int rc = both(r, x, &a, &b, v);
	int64_t s, t;

	if (rc <= 0)
		return rc;
	if (!ml_value_time(r, x->kids[0], &a, &s) || !ml_value_time(r, x->kids[1], &b, &t))
		return give(v, x->op == ML_SYM_NULL_EQ ? 0 : 2);
	return give(v, verdict(x->op, (s > t) - (s < t)));
}

int
ml_eval_cmp_json(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	struct ml_value a, b;
	int rc = both(r, x, &a, &b, v);

	return rc <= 0 ? rc
		       : give(v, verdict(x->op, ml_json_cmp(ml_value_json(r, x->kids[0], &a),
							ml_value_json(r, x->kids[1], &b))));
}

int
ml_eval_like(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	struct ml_value a, b;
	int rc;

	if (!ml_eval_kid(r, x, 0, &a, &rc) || !ml_eval_kid(r, x, 1, &b, &rc)) {
		v->kind = ML_V_NULL;
		return rc;
	}
	a = ml_value_text(r, x->kids[0], &a);
	b = ml_value_text(r, x->kids[1], &b);
	return give(v, ml_collation_like(x->coll, a.s, a.len, b.s, b.len, x->op));
}

int
ml_eval_regexp(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	struct ml_regex *re = x->regex;
	struct ml_value a, b;
	char why[160];
	int rc;

	if (!ml_eval_kid(r, x, 0, &a, &rc) || !ml_eval_kid(r, x, 1, &b, &rc)) {
		v->kind = ML_V_NULL;
		return rc;
	}
	a = ml_value_text(r, x->kids[0], &a);
	b = ml_value_text(r, x->kids[1], &b);
	if (re->pattern == NULL || re->len != b.len || memcmp(re->text, b.s, b.len) != 0) {
		ml_pattern_free(re->pattern);
		re->pattern = NULL;
		if (b.len > re->cap) {
			free(re->text);
			re->text = malloc(b.len);
			if (re->text == NULL)
				abort();
			re->cap = b.len;
		}
		if (b.len > 0)
			memcpy(re->text, b.s, b.len);
		re->len = b.len;
		if (ml_pattern_regexp(&re->pattern, b.s, b.len, !re->folds, why, sizeof(why)) < 0)
			return ml_run_fail(r, "%s", why);
	}
	switch (ml_pattern_match_in(re->pattern, a.s, a.len, re->scratch)) {
	case ML_FOUND_YES:
		return give(v, 1);
	case ML_FOUND_NO:
		return give(v, 0);
	default:
		return ml_run_fail(r, "the regular expression needs too much work");
	}
}

/* ---- arithmetic ---- */

static int
two(struct ml_run *r, const struct ml_node *x, struct ml_value *a, struct ml_value *b, struct ml_value *v)
{
	int rc;

	if (ml_eval_kid(r, x, 0, a, &rc) && ml_eval_kid(r, x, 1, b, &rc))
		return 1;
	v->kind = ML_V_NULL;
	return rc;
}

static __int128
wide(const struct ml_value *v)
{
	return v->kind == ML_V_UINT ? (__int128)v->u : (__int128)v->i;
}

static int
put_wide(struct ml_run *r, struct ml_value *v, __int128 n, bool is_unsigned)
{
	if (is_unsigned ? n < 0 || n > UINT64_MAX : n < INT64_MIN || n > INT64_MAX)
		return ml_run_fail(r, "BIGINT %svalue is out of range", is_unsigned ? "UNSIGNED " : "");
	v->kind = is_unsigned ? ML_V_UINT : ML_V_INT;
	v->u = (uint64_t)n;
	return 0;
}

int
ml_eval_arith_int(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	struct ml_value a, b;
	int rc = two(r, x, &a, &b, v);
	__int128 p, q, n;
	bool is_unsigned;

	if (rc <= 0)
		return rc;
	a = ml_value_int(r, &a);
	b = ml_value_int(r, &b);
	p = wide(&a);
	q = wide(&b);
	is_unsigned = a.kind == ML_V_UINT || b.kind == ML_V_UINT;
	switch (x->op) {
	case '+':
		n = p + q;
		break;
	case '-':
		n = p - q;
		break;
	case '*':
		n = p * q;
		break;
	case '%':
		if (q == 0) {
			v->kind = ML_V_NULL;
			return 0;
		}
		n = p % q;
		is_unsigned = a.kind == ML_V_UINT; /* it has the dividend's sign */
		break;
	default: /* DIV */
		if (q == 0) {
			v->kind = ML_V_NULL;
			return 0;
		}
		n = p / q;
	}
	return put_wide(r, v, n, is_unsigned);
}

int
ml_eval_arith_real(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	struct ml_value a, b;
	int rc = two(r, x, &a, &b, v);
	double f, g;

	if (rc <= 0)
		return rc;
	f = ml_value_real(&a);
	g = ml_value_real(&b);
	v->kind = ML_V_REAL;
	switch (x->op) {
	case '+':
		v->f = f + g;
		break;
	case '-':
		v->f = f - g;
		break;
	case '*':
		v->f = f * g;
		break;
	default:
		if (g == 0) {
			v->kind = ML_V_NULL;
			return 0;
		}
		v->f = x->op == '/' ? f / g : fmod(f, g);
	}
	return isfinite(v->f) ? 0 : ml_run_fail(r, "DOUBLE value is out of range");
}

static int
decimal(struct ml_run *r, int op, const struct ml_value *a, const struct ml_value *b, struct ml_value *v)
{
	const struct ml_dec *d = ml_value_dec(r, a), *e = ml_value_dec(r, b);
	struct ml_dec *n = ml_arena_alloc(r->a, sizeof(*n));
	bool good;

	if ((op == '/' || op == '%') && ml_dec_is_zero(e)) {
		v->kind = ML_V_NULL;
		return 0;
	}
	switch (op) {
	case '+':
	case '-':
		good = ml_dec_add(n, d, e, op == '-');
		break;
	case '*':
		good = ml_dec_mul(n, d, e);
		break;
	case '/':
		good = ml_dec_div(n, d, e);
		break;
	default:
		good = ml_dec_mod(n, d, e);
	}
	if (!good)
		return ml_run_fail(r, "DECIMAL value is out of range");
	v->kind = ML_V_DEC;
	v->d = n;
	return 0;
}

int
ml_eval_arith_dec(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	struct ml_value a, b;
	int rc = two(r, x, &a, &b, v);

	return rc <= 0 ? rc : decimal(r, x->op, &a, &b, v);
}

/* DIV of what is no integer: the quotient's integer part. */
int
ml_eval_int_div(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	struct ml_value a, b;
	int rc = two(r, x, &a, &b, v);
	struct ml_dec *n;

	if (rc <= 0)
		return rc;
	if (decimal(r, '/', &a, &b, v) < 0)
		return -1;
	if (v->kind == ML_V_NULL)
		return 0;
	n = ml_arena_alloc(r->a, sizeof(*n));
	*n = *v->d;
	v->kind = ML_V_INT;
	if (!ml_dec_round(n, 0, ML_DEC_TRUNCATE) || !ml_dec_i64(n, &v->i))
		return ml_run_fail(r, "BIGINT value is out of range");
	return 0;
}

int
ml_eval_bits(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	struct ml_value a, b;
	int rc = two(r, x, &a, &b, v);
	uint64_t p, q;

	if (rc <= 0)
		return rc;
	p = ml_value_int(r, &a).u;
	q = ml_value_int(r, &b).u;
	v->kind = ML_V_UINT;
	switch (x->op) {
	case '&':
		v->u = p & q;
		break;
	case '|':
		v->u = p | q;
		break;
	case '^':
		v->u = p ^ q;
		break;
	case ML_SYM_SHL:
		v->u = q < 64 ? p << q : 0;
		break;
	default:
		v->u = q < 64 ? p >> q : 0;
	}
	return 0;
}

int
ml_eval_bitnot(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	int rc;

	if (!ml_eval_kid(r, x, 0, v, &rc))
		return rc;
	*v = ml_value_int(r, v);
	v->kind = ML_V_UINT;
	v->u = ~v->u;
	return 0;
}

int
ml_eval_neg(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	struct ml_dec *n;
	int rc;

	if (!ml_eval_kid(r, x, 0, v, &rc))
		return rc;
	if (x->type == ML_X_INT) {
		struct ml_value i = ml_value_int(r, v);

		return put_wide(r, v, -wide(&i), false);
	}
	if (x->type == ML_X_REAL) {
		v->f = -ml_value_real(v);
		v->kind = ML_V_REAL;
		return 0;
	}
	n = ml_arena_alloc(r->a, sizeof(*n));
	*n = *ml_value_dec(r, v);
	n->neg = n->n > 0 && !n->neg;
	v->kind = ML_V_DEC;
	v->d = n;
	return 0;
}

/* ---- choices and conversions ---- */

int
ml_eval_case(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	uint32_t i = 0;

	for (; i + 1 < x->n; i += 2) {
		int t = truth(r, x, i);

		if (t < 0)
			return -1;
		if (t == 1)
			return x->kids[i + 1]->eval(r, x->kids[i + 1], v);
	}
	if (i < x->n)
		return x->kids[i]->eval(r, x->kids[i], v);
	v->kind = ML_V_NULL;
	return 0;
}

int
ml_eval_as(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	const struct ml_node *kid = x->kids[0];
	int rc;
	int64_t t;

	if (!ml_eval_kid(r, x, 0, v, &rc))
		return rc;
	switch (x->type) {
	case ML_X_INT:
		*v = ml_value_int(r, v);
		break;
	case ML_X_DEC:
		v->d = ml_value_dec(r, v);
		v->kind = ML_V_DEC;
		break;
	case ML_X_REAL:
		v->f = ml_value_real(v);
		v->kind = ML_V_REAL;
		break;
	case ML_X_STR:
		*v = ml_value_text(r, kid, v);
		break;
	case ML_X_DATE:
	case ML_X_DATETIME:
		if (!ml_value_when(r, kid, v, &t)) {
			v->kind = ML_V_NULL;
			break;
		}
		if (x->type == ML_X_DATE)
			t = t >> 37 << 37;
		*v = (struct ml_value){ .kind = ML_V_WHEN, .len = x->type == ML_X_DATE, .i = t };
		break;
	case ML_X_TIME:
		if (ml_value_time(r, kid, v, &t))
			*v = (struct ml_value){ .kind = ML_V_TIME, .i = t };
		else
			v->kind = ML_V_NULL;
		break;
	case ML_X_JSON:
		v->j = ml_value_json(r, kid, v);
		v->kind = ML_V_JSON;
		break;
	default:
		break;
	}
	return 0;
}

int
ml_eval_cast_int(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	int rc;

	if (!ml_eval_kid(r, x, 0, v, &rc))
		return rc;
	*v = ml_value_int(r, v);
	v->kind = x->op == ML_CAST_UNSIGNED ? ML_V_UINT : ML_V_INT;
	return 0;
}

/* CHAR(n), BINARY(n): characters or bytes; op is n, -1 for all. */
int
ml_eval_cast_char(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	int rc;

	if (!ml_eval_kid(r, x, 0, v, &rc))
		return rc;
	*v = ml_value_text(r, x->kids[0], v);
	if (x->op < 0)
		return 0;
	if (x->coll.weighing == ML_WEIGH_BYTES) {
		/* Shorter ones are filled with zeros. */
		if ((uint32_t)x->op > v->len) {
			char *s = ml_arena_bytes(r->a, (size_t)x->op);

			memcpy(s, v->s, v->len);
			memset(s + v->len, 0, (size_t)x->op - v->len);
			v->s = s;
		}
		v->len = (uint32_t)x->op;
	} else {
		const char *s = v->s, *end = s + v->len;

		for (int n = 0; n < x->op && s < end; n++)
			(void)ml_utf8_next(&s, end);
		v->len = (uint32_t)(s - v->s);
	}
	return 0;
}

int
ml_eval_cast_decimal(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	struct ml_dec *n;
	int rc, whole;

	if (!ml_eval_kid(r, x, 0, v, &rc))
		return rc;
	n = ml_arena_alloc(r->a, sizeof(*n));
	*n = *ml_value_dec(r, v);
	if (!ml_dec_round(n, x->digits, ML_DEC_HALF_UP))
		return ml_run_fail(r, "DECIMAL value is out of range");
	/* Too large: the largest number of the type. */
	whole = 0;
	for (int i = 0; i < n->n; i++)
		for (uint32_t w = n->w[i], k = 0; k < 9 && (w > 0 || i + 1 < n->n); k++, w /= 10)
			whole++;
	if (whole > x->op) {
		char all[ML_DEC_TEXT_MAX];
		bool neg = n->neg;

		memset(all, '9', (size_t)x->op);
		(void)ml_dec_parse(n, all, (size_t)x->op);
		n->scale = x->digits;
		n->neg = neg;
	}
	v->kind = ML_V_DEC;
	v->d = n;
	return 0;
}
