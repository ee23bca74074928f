/* rules.h - a list of table rules, "schema.table" patterns (sinks.md 7), as filters and dispatchers have them. */
#ifndef ML_WORKER_EVENT_RULES_H
#define ML_WORKER_EVENT_RULES_H
#include <stdbool.h>
#include <stddef.h>

#include "common/base/err.h"

/* Immutable once made; thread safe. */
struct ml_rules;
/*
 * Parses lines (later lines win).  allow_import: "@path" lines are read.  Error: ErrFilterRuleInvalid with the rules and what
 * is wrong where.
 */
int ml_rules_new(struct ml_rules **out, char *const *lines, size_t n, bool case_sensitive, bool allow_import,
	struct ml_err *err);
void ml_rules_free(struct ml_rules *r);
/*
 * The last rule that matches decides; none: false.  A rule whose regular expression cannot be decided within the matcher's
 * limits leans to true, since a row too many is seen and a row too few is not.
 */
bool ml_rules_match(const struct ml_rules *r, const char *db, size_t db_len, const char *table, size_t table_len);
/* Could any table of this schema match?  May say yes too often, never no wrongly (the schema decision of sinks.md 7.3). */
bool ml_rules_match_db(const struct ml_rules *r, const char *db, size_t db_len);
#endif
