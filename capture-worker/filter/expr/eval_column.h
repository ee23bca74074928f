/* eval_column.h - columns as values of expressions, by what a row holds of them. */
#ifndef ML_WORKER_FILTER_EXPR_EVAL_COLUMN_H
#define ML_WORKER_FILTER_EXPR_EVAL_COLUMN_H
#include "capture-worker/filter/expr/value.h"

ml_eval ml_eval_int, ml_eval_index, ml_eval_real, ml_eval_text, ml_eval_decimal, ml_eval_date, ml_eval_datetime,
	ml_eval_time, ml_eval_name;

/* The datum; NULL with *v set to NULL, or *rc = -1, if there is nothing to look at. */
static inline const struct ml_datum *
ml_column_datum(struct ml_run *r, const struct ml_node *x, struct ml_value *v, int *rc)
{
	const struct ml_datum *d = &r->image[x->column];

	*rc = 0;
	if (__builtin_expect(d->kind > ML_D_NULL, 1))
		return d;
	v->kind = ML_V_NULL;
	if (d->kind == ML_D_ABSENT)
		*rc = ml_run_fail(r, "the row has no value of column %.64s", x->def->name.s);
	return NULL;
}
#endif
