/*
 * expr.h - value expressions of event filters (sinks.md 8.4): what could stand behind WHERE, tried on one image of a row.
 *
 * The text is parsed once, and compiled once per definition of a table.  A compiled expression is one thread's: it keeps
 * scratch memory between rows.
 */
#ifndef ML_WORKER_FILTER_EXPR_EXPR_H
#define ML_WORKER_FILTER_EXPR_EXPR_H
#include "capture-worker/event/row.h"
#include "capture-worker/filter/expr/node.h"
#include "capture-worker/filter/expr/parse.h"
#include "common/base/buf.h"

struct ml_expr;

/*
 * parsed and tz outlive the expression.  ErrExpressionColumnNotFound; ErrInvalidFilterExpression for what can not be worked out
 * (a date compared with what is none, a bad pattern, a virtual column).
 */
int ml_expr_new(struct ml_expr **out, const struct ml_parsed *parsed, const struct ml_schema *schema,
	const struct ml_tz *tz, struct ml_err *err);
void ml_expr_free(struct ml_expr *e);
/* 1: the value is the integer 1; 0: it is anything else, NULL too; -1: it has none (overflow): ErrFailedToFilterDML. */
int ml_expr_is_one(struct ml_expr *e, const struct ml_datum *image, struct ml_err *err);
/*
 * An expression that is one comparison of an integer column with a constant, which most are: tried without calls.  True if e is
 * one; the shortcut lives as long as e does.
 */
struct ml_expr_quick {
	uint16_t column;
	uint8_t below, equal, above; /* the outcome when the column is less, equal, more; 0 or 1 */
	int64_t i;
};
bool ml_expr_quick(const struct ml_expr *e, struct ml_expr_quick *q);
static inline int
ml_expr_quick_is_one(const struct ml_expr_quick *q, const struct ml_datum *image)
{
	const struct ml_datum *d = &image[q->column];

	if (d->kind <= ML_D_NULL)
		return 0;
	/* An unsigned value beyond 63 bits, or beside a negative constant, is more. */
	if (__builtin_expect(d->kind == ML_D_U64 && (d->i < 0 || q->i < 0), 0))
		return q->above;
	return d->i < q->i ? q->below : d->i > q->i ? q->above : q->equal;
}
/* The value itself, valid until the next call; for tests. */
int ml_expr_value(struct ml_expr *e, const struct ml_datum *image, struct ml_value *v, struct ml_err *err);
/* As text, "NULL" for none. */
void ml_expr_print(struct ml_expr *e, const struct ml_value *v, struct ml_buf *out);
#endif
