/* constant.h - a constant of the configuration as a column's value, in the form that rows of the column have. */
#ifndef ML_WORKER_SHAPER_CONSTANT_H
#define ML_WORKER_SHAPER_CONSTANT_H
#include <stdbool.h>

#include "capture-worker/event/row.h"
#include "common/base/arena.h"
#include "common/text/json.h"

/*
 * The value of column c that the JSON value stands for: type NULL, NUMBER (s is its literal) or STRING.  string: c is a text
 * or binary string.  DECIMAL and times get the column's number of fractional digits.  0, or -1: c cannot hold it.
 */
int ml_constant_of(struct ml_datum *out, const struct ml_column *c, bool string, enum ml_json_type type, const char *s,
	size_t len, struct ml_arena *a);
#endif
