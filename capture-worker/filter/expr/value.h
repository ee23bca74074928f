/* value.h - values of expressions from one type to another, and their order (sinks.md 8.4: MySQL's rules). */
#ifndef ML_WORKER_FILTER_EXPR_VALUE_H
#define ML_WORKER_FILTER_EXPR_VALUE_H
#include "capture-worker/filter/expr/node.h"

/* None of these is given NULL; results live in r's scratch. */
double ml_value_real(const struct ml_value *v);
const struct ml_dec *ml_value_dec(struct ml_run *r, const struct ml_value *v);
/* ML_V_INT or ML_V_UINT: rounded, cut to the range of 64 bits. */
struct ml_value ml_value_int(struct ml_run *r, const struct ml_value *v);
int64_t ml_value_i64(struct ml_run *r, const struct ml_value *v);
/* x: the node it comes from, for digits and kind of dates. */
struct ml_value ml_value_text(struct ml_run *r, const struct ml_node *x, const struct ml_value *v);
/* A date and time; false: the value is none (NULL then). */
bool ml_value_when(struct ml_run *r, const struct ml_node *x, const struct ml_value *v, int64_t *when);
bool ml_value_time(struct ml_run *r, const struct ml_node *x, const struct ml_value *v, int64_t *micros);
/* As a document: text is a JSON string. */
const struct ml_json *ml_value_json(struct ml_run *r, const struct ml_node *x, const struct ml_value *v);
bool ml_value_true(struct ml_run *r, const struct ml_value *v);
/* Two integers of either kind. */
int ml_value_cmp_int(const struct ml_value *a, const struct ml_value *b);
int ml_json_cmp(const struct ml_json *a, const struct ml_json *b);
/* A run-time failure: -1. */
int ml_run_fail(struct ml_run *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static inline struct ml_value
ml_v_int(int64_t i)
{
	return (struct ml_value){ .kind = ML_V_INT, .i = i };
}

static inline struct ml_value
ml_v_text(const char *s, size_t len)
{
	return (struct ml_value){ .kind = ML_V_STR, .s = s, .len = (uint32_t)len };
}

static const struct ml_value ml_v_null __attribute__((unused));
#endif
