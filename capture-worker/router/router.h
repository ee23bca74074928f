/*
 * router.h - tables go downstream under other names (sinks.md 10): target-schema and target-table of the dispatch rules.
 *
 * It stands behind everything that decides by the source's names (filters, topic and partition, column selectors) and before
 * everything that writes: rows get a definition under the target's name, DDL its names and text.
 *
 * Two tables with one target are an error, but where their rules say target-merge: then tables of the same definition (shards)
 * become one.  Whoever writes cannot tell them apart: they share the definition's object, id and version.  Their DDL comes once
 * for each, but what would take the others' rows along does not: DROP of one of several is left out, TRUNCATE and RENAME are
 * errors.
 *
 * Used by one thread; what it decides for a definition hangs on schema->target.
 */
#ifndef ML_WORKER_ROUTER_ROUTER_H
#define ML_WORKER_ROUTER_ROUTER_H
#include "capture-worker/event/batch.h"
#include "common/base/err.h"
#include "proto/shard.pb-c.h"

struct ml_filter;
struct ml_router;
/*
 * NULL in out: no table gets another name.  filter (outlives the router): a table that leaves it has no target.  fold: the
 * sink's tables are not told apart by case.  Error: ErrInvalidTableRoutingRule.
 */
int ml_router_new(struct ml_router **out, const Ml__ChangefeedSpec *spec, const struct ml_filter *filter, bool fold,
	const char *object, struct ml_err *err);
void ml_router_free(struct ml_router *r); /* NULL is fine */
/* A table of a changefeed that is tried: ErrTableRouteConflict if it cannot stand beside those before. */
int ml_router_check(struct ml_router *r, struct ml_schema *s, struct ml_err *err);

/*
 * A table that the source follows as it starts, before any row (ML_BAR_TABLES), and its definition under the new name as below.
 * The list may be newer than the place in the log, so two tables with one target are no error yet.
 */
int ml_router_listed(struct ml_router *r, struct ml_schema *s, struct ml_schema **out, struct ml_err *err);
/* s under its new name (borrowed; s itself if that is the same).  ErrTableRouteConflict. */
int ml_router_schema(struct ml_router *r, struct ml_schema *s, struct ml_schema **out, struct ml_err *err);
/* All of b's rows. */
int ml_router_rows(struct ml_router *r, struct ml_batch *b, struct ml_err *err);
/*
 * b's DDL.  1: it is not to be told (see above).  Errors: ErrTableRouteConflict, ErrTableRoutingFailed.
 */
int ml_router_ddl(struct ml_router *r, struct ml_batch *b, struct ml_err *err);
#endif
