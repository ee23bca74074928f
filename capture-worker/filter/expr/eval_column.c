#include "capture-worker/filter/expr/eval_column.h"

#include <string.h>

#include "capture-worker/filter/expr/temporal.h"

int
ml_eval_int(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	int rc;
	const struct ml_datum *d = ml_column_datum(r, x, v, &rc);

	if (d == NULL)
		return rc;
	v->kind = d->kind == ML_D_I64 ? ML_V_INT : ML_V_UINT;
	v->i = d->i;
	return 0;
}

/* Position of an ENUM, bitmap of a SET: a number like any other, not an unsigned one. */
int
ml_eval_index(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	int rc = ml_eval_int(r, x, v);

	if (v->kind == ML_V_UINT && v->i >= 0)
		v->kind = ML_V_INT;
	return rc;
}

int
ml_eval_real(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	int rc;
	const struct ml_datum *d = ml_column_datum(r, x, v, &rc);

	if (d == NULL)
		return rc;
	v->kind = ML_V_REAL;
	v->f = d->kind == ML_D_F32 ? (double)d->f32 : d->f64;
	return 0;
}

int
ml_eval_text(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	int rc;
	const struct ml_datum *d = ml_column_datum(r, x, v, &rc);

	if (d == NULL)
		return rc;
	*v = ml_v_text(d->s, d->len);
	return 0;
}

int
ml_eval_decimal(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	int rc;
	const struct ml_datum *d = ml_column_datum(r, x, v, &rc);
	struct ml_dec *n;

	if (d == NULL)
		return rc;
	n = ml_arena_alloc(r->a, sizeof(*n));
	(void)ml_dec_parse(n, d->s, d->len);
	v->kind = ML_V_DEC;
	v->d = n;
	return 0;
}

static int
when(struct ml_run *r, const struct ml_node *x, struct ml_value *v, bool date)
{
	int rc;
	const struct ml_datum *d = ml_column_datum(r, x, v, &rc);
	int64_t t;

	if (d == NULL)
		return rc;
	if (!ml_when_of_column(d->s, d->len, &t))
		return ml_run_fail(r, "column %.64s holds no date", x->def->name.s);
	*v = (struct ml_value){ .kind = ML_V_WHEN, .len = date, .i = t };
	return 0;
}

int
ml_eval_date(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	return when(r, x, v, true);
}

int
ml_eval_datetime(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	return when(r, x, v, false);
}

int
ml_eval_time(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	int rc, digits;
	const struct ml_datum *d = ml_column_datum(r, x, v, &rc);
	int64_t t;

	if (d == NULL)
		return rc;
	if (!ml_time_parse(d->s, d->len, &t, &digits))
		return ml_run_fail(r, "column %.64s holds no time", x->def->name.s);
	*v = (struct ml_value){ .kind = ML_V_TIME, .i = t };
	return 0;
}

/* ENUM: the element's name; SET: names with commas between them. */
int
ml_eval_name(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	int rc;
	const struct ml_datum *d = ml_column_datum(r, x, v, &rc);
	const struct ml_column *c = x->def;
	size_t len = 0;
	char *s, *p;

	if (d == NULL)
		return rc;
	if (c->type == ML_T_ENUM) {
		if (d->u == 0 || d->u > c->n_elems)
			*v = ml_v_text("", 0);
		else
			*v = ml_v_text(c->elems[d->u - 1].s, c->elems[d->u - 1].len);
		return 0;
	}
	for (unsigned i = 0; i < c->n_elems && i < 64; i++)
		if (d->u >> i & 1)
			len += c->elems[i].len + 1;
	p = s = ml_arena_bytes(r->a, len + 1);
	for (unsigned i = 0; i < c->n_elems && i < 64; i++) {
		if ((d->u >> i & 1) == 0)
			continue;
		if (p > s)
			*p++ = ',';
		memcpy(p, c->elems[i].s, c->elems[i].len);
		p += c->elems[i].len;
	}
	*v = ml_v_text(s, (size_t)(p - s));
	return 0;
}
