/*
 * names.h - the rules by which tables get other names downstream: target-schema and target-table of the dispatch rules
 * (sinks.md 10).  Immutable once made.
 */
#ifndef ML_WORKER_ROUTER_NAMES_H
#define ML_WORKER_ROUTER_NAMES_H
#include "capture-worker/event/schema.h"
#include "common/base/err.h"
#include "proto/shard.pb-c.h"

struct ml_route_names;
/* NULL in out: no rule gives a name.  Error: ErrInvalidTableRoutingRule, also for the matcher of such a rule. */
int ml_route_names_new(struct ml_route_names **out, const Ml__ChangefeedSpec *spec, struct ml_err *err);
void ml_route_names_free(struct ml_route_names *n);

struct ml_route_target {
	struct ml_text db, table; /* in the arena, or the ones asked for */
	bool merge;               /* other tables may have the same target */
};
/* The first rule that accepts the table and gives a name decides; none: the names stay. */
void ml_route_names_of(const struct ml_route_names *n, struct ml_text db, struct ml_text table, struct ml_arena *a,
	struct ml_route_target *t);
/*
 * A database: all rules that may accept a table of it must agree.  Without any: its own name.  ErrTableRoutingFailed: they
 * differ, or the name would be empty.
 */
int ml_route_names_of_db(
	const struct ml_route_names *n, struct ml_text db, struct ml_arena *a, struct ml_text *out, struct ml_err *err);
#endif
