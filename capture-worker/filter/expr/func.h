/* func.h - the functions of value expressions: names, arguments, types; and which ones are refused. */
#ifndef ML_WORKER_FILTER_EXPR_FUNC_H
#define ML_WORKER_FILTER_EXPR_FUNC_H
#include "capture-worker/filter/expr/node.h"

struct ml_func {
	const char *name;    /* upper case */
	uint8_t least, most; /* arguments */
	bool from_for;       /* FROM and FOR may stand between the arguments */
	/* Sets x->type and what belongs to it, coerces arguments, and chooses x->eval. */
	int (*bind)(struct ml_binding *b, struct ml_node *x, struct ml_err *err);
	ml_eval *eval;
	uint8_t type; /* of the value, when bind is NULL */
	uint8_t args; /* type that all arguments are made, when bind is NULL */
};

/* NULL for an unknown or refused one; *why (may be NULL) says which. */
const struct ml_func *ml_func_find(const char *name, size_t len, const char **why);

/* Of the files that hold them. */
extern const struct ml_func ml_funcs_text[], ml_funcs_time[], ml_funcs_json[];
extern const size_t ml_funcs_text_n, ml_funcs_time_n, ml_funcs_json_n;
#endif
