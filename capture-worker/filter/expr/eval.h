/* eval.h - what the operators of value expressions do with the values of a row. */
#ifndef ML_WORKER_FILTER_EXPR_EVAL_H
#define ML_WORKER_FILTER_EXPR_EVAL_H
#include "capture-worker/filter/expr/node.h"

ml_eval ml_eval_constant;
/* Three-valued logic. */
ml_eval ml_eval_and, ml_eval_or, ml_eval_xor, ml_eval_not, ml_eval_is;
/* Comparisons of two kids, by the type in which they are compared; op says which. */
ml_eval ml_eval_cmp_null, ml_eval_cmp_int, ml_eval_cmp_real, ml_eval_cmp_dec, ml_eval_cmp_text, ml_eval_cmp_when,
	ml_eval_cmp_time, ml_eval_cmp_json;
ml_eval ml_eval_cmp_column; /* an integer column with an integer constant */
ml_eval ml_eval_like, ml_eval_regexp;
/* Arithmetic by the type of the result. */
ml_eval ml_eval_arith_int, ml_eval_arith_real, ml_eval_arith_dec, ml_eval_int_div, ml_eval_bits, ml_eval_bitnot,
	ml_eval_neg;
ml_eval ml_eval_case, ml_eval_case_base;
/* Conversions: of kid 0 to x->type; digits of a decimal or of seconds in op, -1: as they are. */
ml_eval ml_eval_as, ml_eval_cast_int, ml_eval_cast_char, ml_eval_cast_decimal;

/* Value of kid i; false if it is NULL (v is NULL then) or failed (*rc is -1). */
static inline bool
ml_eval_kid(struct ml_run *r, const struct ml_node *x, uint32_t i, struct ml_value *v, int *rc)
{
	*rc = x->kids[i]->eval(r, x->kids[i], v);
	return *rc == 0 && v->kind != ML_V_NULL;
}
#endif
