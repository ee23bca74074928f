/* bind.c - the tree of an expression to its compiled form for one definition of a table. */
#include "capture-worker/filter/expr/node.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "capture-worker/filter/expr/eval.h"
#include "capture-worker/filter/expr/eval_column.h"
#include "capture-worker/filter/expr/func.h"
#include "capture-worker/filter/expr/temporal.h"
#include "capture-worker/filter/expr/value.h"

static const char literal_collation[] = "utf8mb4_bin";

int
ml_bind_fail(const struct ml_binding *b, struct ml_err *err, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return ML_ERRF(err, ErrInvalidFilterExpression, 0,
		"invalid filter expressions. There is a syntax error in: '%.400s': %s", b->text, text);
}

struct ml_node *
ml_bind_new(struct ml_binding *b, ml_eval *eval, enum ml_xtype type, uint32_t n)
{
	struct ml_node *x = ml_arena_zalloc(b->a, sizeof(*x));

	x->eval = eval;
	x->type = (uint8_t)type;
	x->n = n;
	x->column = -1;
	x->coercibility = type == ML_X_STR ? ML_COERCE_LITERAL : ML_COERCE_NUMBER;
	x->coll = ml_collation_of(literal_collation, sizeof(literal_collation) - 1);
	if (n > 0)
		x->kids = ml_arena_zalloc(b->a, n * sizeof(struct ml_node *));
	return x;
}

static struct ml_node *
constant(struct ml_binding *b, enum ml_xtype type, struct ml_value v)
{
	struct ml_node *x = ml_bind_new(b, ml_eval_constant, type, 0);

	x->value = v;
	x->constant = true;
	return x;
}

/* Every kid is constant, so is the result: it is worked out once. */
static struct ml_node *
fold(struct ml_binding *b, struct ml_node *x, struct ml_err *err)
{
	struct ml_err why = { 0 };
	struct ml_run r = { .a = b->a, .tz = b->tz, .err = &why };
	struct ml_value v = { 0 };

	for (uint32_t i = 0; i < x->n; i++)
		if (!x->kids[i]->constant)
			return x;
	if (x->eval(&r, x, &v) < 0) {
		ml_bind_fail(b, err, "%s", why.text);
		return NULL;
	}
	x->value = v;
	x->eval = ml_eval_constant;
	x->constant = true;
	x->n = 0;
	return x;
}

static struct ml_node *
bind_column(struct ml_binding *b, const struct ml_ast *t, struct ml_err *err)
{
	const struct ml_schema *s = b->schema;
	const struct ml_column *c;
	struct ml_node *x;
	int i = -1;

	/* Names of tables are compared as names of columns are: the server may fold them, and there is one table only. */
	if ((t->table.s == NULL || ml_same_word(t->table.s, t->table.len, s->table.s)) &&
		(t->db.s == NULL || ml_same_word(t->db.s, t->db.len, s->db.s)))
		i = ml_schema_column(s, t->text.s, t->text.len);
	if (i < 0) {
		ML_ERRF(err, ErrExpressionColumnNotFound, 0,
			"invalid filter expression(s). Cannot find column '%.*s' from table '%.130s' in: %.400s",
			(int)(t->text.len < 64 ? t->text.len : 64), t->text.s, s->qname.s, b->text);
		return NULL;
	}
	c = &s->columns[i];
	if (c->virtual_generated) {
		ml_bind_fail(b, err, "column %.64s is virtual, and a binary log does not hold its values", c->name.s);
		return NULL;
	}
	x = ml_bind_new(b, ml_eval_text, ML_X_STR, 0);
	x->column = i;
	x->def = c;
	switch (c->type) {
	case ML_T_TINY:
	case ML_T_SHORT:
	case ML_T_INT24:
	case ML_T_LONG:
	case ML_T_LONGLONG:
	case ML_T_YEAR:
	case ML_T_BIT:
		x->type = ML_X_INT;
		x->eval = ml_eval_int;
		break;
	case ML_T_FLOAT:
	case ML_T_DOUBLE:
		x->type = ML_X_REAL;
		x->eval = ml_eval_real;
		break;
	case ML_T_DECIMAL:
		x->type = ML_X_DEC;
		x->eval = ml_eval_decimal;
		x->digits = (uint8_t)(c->decimal > 0 ? c->decimal : 0);
		break;
	case ML_T_DATE:
		x->type = ML_X_DATE;
		x->eval = ml_eval_date;
		break;
	case ML_T_DATETIME:
	case ML_T_TIMESTAMP:
		x->type = ML_X_DATETIME;
		x->eval = ml_eval_datetime;
		x->digits = (uint8_t)(c->decimal > 0 ? c->decimal : 0);
		break;
	case ML_T_TIME:
		x->type = ML_X_TIME;
		x->eval = ml_eval_time;
		x->digits = (uint8_t)(c->decimal > 0 ? c->decimal : 0);
		break;
	case ML_T_ENUM:
	case ML_T_SET:
		x->eval = ml_eval_name;
		x->named = true;
		break;
	default:
		break;
	}
	if (x->type == ML_X_STR) {
		x->coercibility = ML_COERCE_COLUMN;
		x->coll = c->type == ML_T_JSON
				  ? x->coll
				  : ml_collation_of(c->collation.s != NULL ? c->collation.s : "", c->collation.len);
	} else {
		x->coercibility = ML_COERCE_NUMBER;
	}
	return x;
}

struct ml_node *
ml_bind_number(struct ml_binding *b, struct ml_node *x)
{
	struct ml_node *y;
	uint64_t v = 0;

	if (x->named) {
		y = ml_bind_new(b, ml_eval_index, ML_X_INT, 0);
		y->column = x->column;
		y->def = x->def;
		return y;
	}
	if (!x->bytes)
		return x;
	for (uint32_t i = x->value.len > 8 ? x->value.len - 8 : 0; i < x->value.len; i++)
		v = v << 8 | (uint8_t)x->value.s[i];
	return constant(b, ML_X_INT, (struct ml_value){ .kind = ML_V_UINT, .u = v });
}

int
ml_bind_collation(struct ml_binding *b, struct ml_node *x, uint32_t from, uint32_t end, struct ml_err *err)
{
	x->coercibility = ML_COERCE_NUMBER;
	for (uint32_t i = from; i < end; i++) {
		const struct ml_node *k = x->kids[i];

		if (k->mixed) {
			if (err != NULL)
				return ml_bind_fail(b, err, "columns of different collations meet");
			x->mixed = true;
		}
		if (k->type != ML_X_STR || k->coercibility > x->coercibility)
			continue;
		if (k->coercibility < x->coercibility || x->coercibility == ML_COERCE_NUMBER) {
			x->coercibility = k->coercibility;
			x->coll = k->coll;
		} else if (!ml_collation_same(x->coll, k->coll)) {
			/* Bytes win over characters, code points over anything that folds. */
			if (k->coll.weighing <= ML_WEIGH_POINT || x->coll.weighing <= ML_WEIGH_POINT) {
				if (k->coll.weighing < x->coll.weighing)
					x->coll = k->coll;
			} else if (err != NULL) {
				return ml_bind_fail(b, err, "columns of different collations meet");
			} else {
				x->mixed = true;
			}
		}
	}
	return 0;
}

struct ml_node *
ml_bind_as(struct ml_binding *b, struct ml_node *x, enum ml_xtype type, uint8_t digits)
{
	struct ml_err none = { 0 };
	struct ml_node *y;

	if (type == ML_X_INT || type == ML_X_DEC || type == ML_X_REAL)
		x = ml_bind_number(b, x);
	if (x->type == type || x->type == ML_X_NULL)
		return x;
	y = ml_bind_new(b, ml_eval_as, type, 1);
	y->kids[0] = x;
	y->digits = digits;
	y->def = type == ML_X_STR ? x->def : NULL;
	if (!x->constant)
		return y;
	/* A constant that does not convert fails when it is used, as a column would. */
	return fold(b, y, &none);
}

int
ml_bind_merge(struct ml_binding *b, struct ml_node *x, uint32_t from, uint32_t end, uint32_t step, struct ml_err *err)
{
	enum ml_xtype type = ML_X_NULL;
	uint8_t digits = 0;

	for (uint32_t i = from; i < end; i += step) {
		enum ml_xtype t = x->kids[i]->type;
		bool dates = (t == ML_X_DATE || t == ML_X_DATETIME) && (type == ML_X_DATE || type == ML_X_DATETIME);

		if (x->kids[i]->digits > digits)
			digits = x->kids[i]->digits;
		if (t == ML_X_NULL || t == type)
			continue;
		if (type == ML_X_NULL)
			type = t;
		else if (dates)
			type = ML_X_DATETIME;
		else if (t <= ML_X_REAL && type <= ML_X_REAL)
			type = t > type ? t : type; /* they stand in this order */
		else
			type = ML_X_STR;
	}
	x->type = (uint8_t)type;
	x->digits = digits;
	for (uint32_t i = from; i < end; i += step)
		x->kids[i] = ml_bind_as(b, x->kids[i], type, x->kids[i]->digits);
	if (type != ML_X_STR)
		return 0;
	x->coercibility = ML_COERCE_NUMBER;
	for (uint32_t i = from; i < end; i += step) {
		struct ml_node pair = { .n = 2, .kids = (struct ml_node *[]){ x, x->kids[i] }, .coll = x->coll };

		(void)ml_bind_collation(b, &pair, 0, 2, NULL);
		x->mixed |= pair.mixed;
		x->coll = pair.coll;
		x->coercibility = pair.coercibility;
	}
	return 0;
}

static bool
is_when(const struct ml_node *x)
{
	return x->type == ML_X_DATE || x->type == ML_X_DATETIME;
}

/* A literal beside a date or time must be one. */
static int
check_literal(struct ml_binding *b, struct ml_node *x, bool time, struct ml_err *err)
{
	int64_t v;
	bool has_time;
	int digits;

	if (!x->constant || x->value.kind != ML_V_STR)
		return 0;
	if (time ? ml_time_parse(x->value.s, x->value.len, &v, &digits)
		 : ml_when_parse(x->value.s, x->value.len, &v, &has_time, &digits)) {
		x->value = time ? (struct ml_value){ .kind = ML_V_TIME, .i = v }
				: (struct ml_value){ .kind = ML_V_WHEN, .len = !has_time, .i = v };
		x->type = time ? ML_X_TIME : has_time ? ML_X_DATETIME : ML_X_DATE;
		x->digits = (uint8_t)digits;
		return 0;
	}
	return ml_bind_fail(b, err, "'%.*s' is no %s", (int)(x->value.len < 64 ? x->value.len : 64), x->value.s,
		time ? "time" : "date");
}

static int
swapped(int op)
{
	return op == '<' ? '>' : op == '>' ? '<' : op == ML_SYM_LE ? ML_SYM_GE : op == ML_SYM_GE ? ML_SYM_LE : op;
}

struct ml_node *
ml_bind_cmp(struct ml_binding *b, int op, struct ml_node *l, struct ml_node *r, struct ml_err *err)
{
	struct ml_node *x = ml_bind_new(b, ml_eval_cmp_null, ML_X_INT, 2);

	if (l->type == ML_X_STR && r->type == ML_X_STR) {
		x->eval = ml_eval_cmp_text;
	} else if (l->type == ML_X_NULL || r->type == ML_X_NULL) {
		x->eval = ml_eval_cmp_null;
	} else if (l->type == ML_X_JSON || r->type == ML_X_JSON) {
		x->eval = ml_eval_cmp_json;
	} else if ((is_when(l) && (is_when(r) || r->type == ML_X_STR)) || (is_when(r) && l->type == ML_X_STR)) {
		x->eval = ml_eval_cmp_when;
		if (check_literal(b, l, false, err) < 0 || check_literal(b, r, false, err) < 0)
			return NULL;
	} else if ((l->type == ML_X_TIME && (r->type == ML_X_TIME || r->type == ML_X_STR)) ||
		   (r->type == ML_X_TIME && l->type == ML_X_STR)) {
		x->eval = ml_eval_cmp_time;
		if (check_literal(b, l, true, err) < 0 || check_literal(b, r, true, err) < 0)
			return NULL;
	} else if ((is_when(l) && r->type == ML_X_TIME) || (is_when(r) && l->type == ML_X_TIME)) {
		ml_bind_fail(b, err, "a date is compared with a time of no day");
		return NULL;
	} else {
		l = ml_bind_number(b, l);
		r = ml_bind_number(b, r);
		if (l->type == ML_X_INT && r->type == ML_X_INT)
			x->eval = ml_eval_cmp_int;
		else if (l->type == ML_X_REAL || r->type == ML_X_REAL || l->type == ML_X_STR || r->type == ML_X_STR)
			x->eval = ml_eval_cmp_real;
		else
			x->eval = ml_eval_cmp_dec;
	}
	if (x->eval == ml_eval_cmp_int && r->column >= 0 && l->constant) {
		struct ml_node *t = l;

		l = r;
		r = t;
		op = swapped(op);
	}
	x->op = op;
	x->kids[0] = l;
	x->kids[1] = r;
	if (x->eval == ml_eval_cmp_text && ml_bind_collation(b, x, 0, 2, err) < 0)
		return NULL;
	/* The comparison that filters mostly are, in one step. */
	if (x->eval == ml_eval_cmp_int && l->eval == ml_eval_int && r->constant && r->value.kind != ML_V_NULL &&
		op != ML_SYM_NULL_EQ)
		x->eval = ml_eval_cmp_column;
	x->coercibility = ML_COERCE_NUMBER;
	return fold(b, x, err);
}

static struct ml_node *
bind_literal(struct ml_binding *b, const struct ml_ast *t, struct ml_err *err)
{
	struct ml_node *x;
	struct ml_dec *d;
	int64_t i, v;
	uint64_t u;
	bool has_time;
	int digits;

	switch (t->kind) {
	case ML_AST_NULL:
		return constant(b, ML_X_NULL, ml_v_null);
	case ML_AST_STRING:
		return constant(b, ML_X_STR, ml_v_text(ml_arena_strndup(b->a, t->text.s, t->text.len), t->text.len));
	case ML_AST_BYTES:
		x = constant(b, ML_X_STR, ml_v_text(ml_arena_strndup(b->a, t->text.s, t->text.len), t->text.len));
		x->bytes = true;
		x->coll = ml_collation_of("", 0);
		return x;
	case ML_AST_REAL: {
		struct ml_value text = ml_v_text(t->text.s, t->text.len);
		struct ml_value f = { .kind = ML_V_REAL, .f = ml_value_real(&text) };

		if (f.f > 1.7976931348623157e308 || f.f < -1.7976931348623157e308) {
			ml_bind_fail(b, err, "a number is too large");
			return NULL;
		}
		return constant(b, ML_X_REAL, f);
	}
	case ML_AST_TEMPORAL:
		if (t->op == 't' ? !ml_time_parse(t->text.s, t->text.len, &v, &digits)
				 : !ml_when_parse(t->text.s, t->text.len, &v, &has_time, &digits)) {
			ml_bind_fail(b, err, "'%.*s' is no date or time", (int)(t->text.len < 64 ? t->text.len : 64),
				t->text.s);
			return NULL;
		}
		x = t->op == 't'   ? constant(b, ML_X_TIME, (struct ml_value){ .kind = ML_V_TIME, .i = v })
		    : t->op == 'd' ? constant(b, ML_X_DATE,
					     (struct ml_value){ .kind = ML_V_WHEN, .len = 1, .i = v >> 37 << 37 })
				   : constant(b, ML_X_DATETIME, (struct ml_value){ .kind = ML_V_WHEN, .i = v });
		x->digits = (uint8_t)(t->op == 'd' ? 0 : digits);
		return x;
	default:
		break;
	}
	d = ml_arena_alloc(b->a, sizeof(*d));
	(void)ml_dec_parse(d, t->text.s, t->text.len);
	if (t->kind == ML_AST_INT && ml_dec_i64(d, &i))
		return constant(b, ML_X_INT, ml_v_int(i));
	if (t->kind == ML_AST_INT && ml_dec_u64(d, &u))
		return constant(b, ML_X_INT, (struct ml_value){ .kind = ML_V_UINT, .u = u });
	x = constant(b, ML_X_DEC, (struct ml_value){ .kind = ML_V_DEC, .d = d });
	x->digits = d->scale;
	return x;
}

struct ml_node *
ml_bind_arith(struct ml_binding *b, struct ml_node *x, struct ml_err *err)
{
	bool real = false, integer = true;
	int digits = 0;

	for (uint32_t i = 0; i < 2; i++) {
		struct ml_node *k = x->kids[i] = ml_bind_number(b, x->kids[i]);

		real |= k->type == ML_X_REAL || k->type == ML_X_STR || k->type == ML_X_JSON;
		integer &= k->type == ML_X_INT || k->type == ML_X_NULL ||
			   ((is_when(k) || k->type == ML_X_TIME) && k->digits == 0);
		digits = k->digits > digits ? k->digits : digits;
	}
	switch (x->op) {
	case '&':
	case '|':
	case '^':
	case ML_SYM_SHL:
	case ML_SYM_SHR:
		x->type = ML_X_INT;
		x->eval = ml_eval_bits;
		break;
	case 'D':
		x->type = ML_X_INT;
		x->eval = integer ? ml_eval_arith_int : ml_eval_int_div;
		break;
	case '/':
		x->type = real ? ML_X_REAL : ML_X_DEC;
		x->eval = real ? ml_eval_arith_real : ml_eval_arith_dec;
		digits = x->kids[0]->digits + 4;
		break;
	default:
		x->type = real ? ML_X_REAL : integer ? ML_X_INT : ML_X_DEC;
		x->eval = real ? ml_eval_arith_real : integer ? ml_eval_arith_int : ml_eval_arith_dec;
		if (x->op == '*')
			digits = x->kids[0]->digits + x->kids[1]->digits;
	}
	x->digits = (uint8_t)(x->type != ML_X_DEC ? 0 : digits < 30 ? digits : 30);
	return fold(b, x, err);
}

static struct ml_node *
bind_case(struct ml_binding *b, struct ml_node *x, bool base, struct ml_err *err)
{
	struct ml_node *y;
	uint32_t n = x->n - base;

	y = ml_bind_new(b, ml_eval_case, ML_X_NULL, n);
	memcpy(y->kids, x->kids + base, n * sizeof(struct ml_node *));
	for (uint32_t i = 0; base && i + 1 < n; i += 2) {
		y->kids[i] = ml_bind_cmp(b, '=', x->kids[0], y->kids[i], err);
		if (y->kids[i] == NULL)
			return NULL;
	}
	for (uint32_t i = 0; !base && i + 1 < n; i += 2)
		y->kids[i] = ml_bind_number(b, y->kids[i]);
	/* THEN values stand at odd places; an ELSE behind them is put beside them for the common type. */
	if (n % 2 != 0) {
		struct ml_node *last = ml_bind_new(b, ml_eval_case, ML_X_NULL, n + 1);

		memcpy(last->kids, y->kids, n * sizeof(struct ml_node *));
		last->kids[n] = last->kids[n - 1];
		last->kids[n - 1] = constant(b, ML_X_INT, ml_v_int(1));
		y = last;
	}
	if (ml_bind_merge(b, y, 1, y->n, 2, err) < 0)
		return NULL;
	return fold(b, y, err);
}

static struct ml_node *
bind_cast(struct ml_binding *b, const struct ml_ast *t, struct ml_node *x, struct ml_err *err)
{
	struct ml_node *kid = x->kids[0];

	x->digits = (uint8_t)(t->precision > 0 ? t->precision : 0);
	switch (t->op) {
	case ML_CAST_SIGNED:
	case ML_CAST_UNSIGNED:
		x->type = ML_X_INT;
		x->kids[0] = ml_bind_number(b, kid);
		x->eval = ml_eval_cast_int;
		x->digits = 0;
		return fold(b, x, err);
	case ML_CAST_CHAR:
	case ML_CAST_BINARY:
		x->type = ML_X_STR;
		x->eval = ml_eval_cast_char;
		x->op = t->precision;
		x->digits = 0;
		x->coercibility = ML_COERCE_LITERAL;
		if (t->op == ML_CAST_BINARY)
			x->coll = ml_collation_of("", 0);
		return fold(b, x, err);
	case ML_CAST_DECIMAL:
		x->type = ML_X_DEC;
		x->kids[0] = ml_bind_number(b, kid);
		x->eval = ml_eval_cast_decimal;
		x->op = t->precision > 0 ? t->precision : 10;
		x->digits = (uint8_t)(t->scale > 0 ? t->scale : 0);
		return fold(b, x, err);
	case ML_CAST_DOUBLE:
		x->type = ML_X_REAL;
		x->kids[0] = ml_bind_number(b, kid);
		break;
	case ML_CAST_DATE:
		x->type = ML_X_DATE;
		break;
	case ML_CAST_DATETIME:
		x->type = ML_X_DATETIME;
		break;
	case ML_CAST_TIME:
		x->type = ML_X_TIME;
		break;
	default:
		x->type = ML_X_JSON;
		x->eval = ml_func_find("JSON_EXTRACT", 12, NULL)->eval;
		return fold(b, x, err);
	}
	x->eval = ml_eval_as;
	return fold(b, x, err);
}

static struct ml_node *
bind_regexp(struct ml_binding *b, struct ml_node *x, struct ml_err *err)
{
	struct ml_regex *re = calloc(1, sizeof(*re));

	if (re == NULL)
		abort();
	re->next = b->regexes;
	b->regexes = re;
	re->scratch = ml_pattern_scratch_new();
	x->eval = ml_eval_regexp;
	x->regex = re;
	if (ml_bind_collation(b, x, 0, 2, err) < 0)
		return NULL;
	re->folds = ml_collation_folds(x->coll);
	/* A constant pattern is looked at now: its mistakes are found before the first row. */
	if (x->kids[1]->constant && x->kids[1]->value.kind == ML_V_STR && !x->kids[0]->constant) {
		struct ml_err why = { 0 };
		struct ml_run r = { .a = b->a, .tz = b->tz, .err = &why };
		struct ml_node probe = *x;
		struct ml_value v;

		probe.kids = (struct ml_node *[]){ constant(b, ML_X_STR, ml_v_text("", 0)), x->kids[1] };
		if (ml_eval_regexp(&r, &probe, &v) < 0) {
			ml_bind_fail(b, err, "%s", why.text);
			return NULL;
		}
	}
	return fold(b, x, err);
}

static struct ml_node *
bind_function(struct ml_binding *b, const struct ml_ast *t, struct ml_node *x, struct ml_err *err)
{
	const struct ml_func *f = t->func;

	x->eval = f->eval;
	x->type = f->type;
	if (f->bind != NULL) {
		if (f->bind(b, x, err) < 0)
			return NULL;
		return fold(b, x, err);
	}
	for (uint32_t i = 0; i < x->n; i++)
		x->kids[i] = ml_bind_as(b, x->kids[i], f->args, 6);
	if (f->type == ML_X_STR)
		(void)ml_bind_collation(b, x, 0, x->n, NULL);
	return fold(b, x, err);
}

/* x BETWEEN a AND b, x IN (...): comparisons under AND and OR. */
static struct ml_node *
bind_many(struct ml_binding *b, struct ml_node *x, bool between, struct ml_err *err)
{
	struct ml_node *y = ml_bind_new(b, between ? ml_eval_and : ml_eval_or, ML_X_INT, x->n - 1);

	for (uint32_t i = 1; i < x->n; i++) {
		y->kids[i - 1] = ml_bind_cmp(b,
			!between ? '='
			: i == 1 ? ML_SYM_GE
				 : ML_SYM_LE,
			x->kids[0], x->kids[i], err);
		if (y->kids[i - 1] == NULL)
			return NULL;
	}
	return fold(b, y, err);
}

struct ml_node *
ml_bind(struct ml_binding *b, const struct ml_ast *t, struct ml_err *err)
{
	static ml_eval *const logic[] = { [ML_AST_AND] = ml_eval_and,
		[ML_AST_OR] = ml_eval_or,
		[ML_AST_XOR] = ml_eval_xor,
		[ML_AST_NOT] = ml_eval_not };
	struct ml_node *x;

	if (t->kind <= ML_AST_TEMPORAL)
		return bind_literal(b, t, err);
	if (t->kind == ML_AST_COLUMN)
		return bind_column(b, t, err);
	x = ml_bind_new(b, NULL, ML_X_INT, t->n);
	x->op = t->op;
	for (uint32_t i = 0; i < t->n; i++)
		if ((x->kids[i] = ml_bind(b, t->kids[i], err)) == NULL)
			return NULL;
	switch (t->kind) {
	case ML_AST_AND:
	case ML_AST_OR:
	case ML_AST_XOR:
	case ML_AST_NOT:
		for (uint32_t i = 0; i < x->n; i++)
			x->kids[i] = ml_bind_number(b, x->kids[i]);
		x->eval = logic[t->kind];
		return fold(b, x, err);
	case ML_AST_IS:
		x->kids[0] = ml_bind_number(b, x->kids[0]);
		x->eval = ml_eval_is;
		return fold(b, x, err);
	case ML_AST_CMP:
		return ml_bind_cmp(b, t->op, x->kids[0], x->kids[1], err);
	case ML_AST_BETWEEN:
	case ML_AST_IN:
		return bind_many(b, x, t->kind == ML_AST_BETWEEN, err);
	case ML_AST_LIKE:
		x->eval = ml_eval_like;
		return ml_bind_collation(b, x, 0, 2, err) < 0 ? NULL : fold(b, x, err);
	case ML_AST_REGEXP:
		return bind_regexp(b, x, err);
	case ML_AST_ARITH:
		return ml_bind_arith(b, x, err);
	case ML_AST_NEG: {
		struct ml_node *k = x->kids[0] = ml_bind_number(b, x->kids[0]);

		x->eval = ml_eval_neg;
		x->type = k->type == ML_X_INT || k->type == ML_X_NULL                 ? ML_X_INT
			  : k->type == ML_X_DEC || is_when(k) || k->type == ML_X_TIME ? ML_X_DEC
										      : ML_X_REAL;
		x->digits = k->digits;
		return fold(b, x, err);
	}
	case ML_AST_BITNOT:
		x->kids[0] = ml_bind_number(b, x->kids[0]);
		x->eval = ml_eval_bitnot;
		return fold(b, x, err);
	case ML_AST_CASE:
		return bind_case(b, x, t->op != 0, err);
	case ML_AST_CAST:
		return bind_cast(b, t, x, err);
	default:
		return bind_function(b, t, x, err);
	}
}
