/*
 * columns.h - a list of column patterns (sinks.md 9), as column selectors and masks have them: the grammar of table rules
 * without the part behind the dot, always without regard to case.  Immutable once made; thread safe.
 */
#ifndef ML_WORKER_SHAPER_COLUMNS_H
#define ML_WORKER_SHAPER_COLUMNS_H
#include <stdbool.h>
#include <stddef.h>

#include "common/base/err.h"

struct ml_columns;
/* Parses lines (later lines win).  "@path" is refused.  Error: ErrFilterRuleInvalid with the lines and what is wrong. */
int ml_columns_new(struct ml_columns **out, const char *const *lines, size_t n, struct ml_err *err);
void ml_columns_free(struct ml_columns *c);
/* The last line that matches decides; none: false. */
bool ml_columns_match(const struct ml_columns *c, const char *name, size_t len);
#endif
