/*
 * claims.h - which source table writes to which target, so that no two write to the same one by mistake (sinks.md 10).
 *
 * A table that was only listed as the source started holds its target loosely: the list may be newer than the place in the
 * log, so one that is seen in the log takes the target from it.
 */
#ifndef ML_WORKER_ROUTER_CLAIMS_H
#define ML_WORKER_ROUTER_CLAIMS_H
#include "capture-worker/router/names.h"

struct ml_claims;
struct ml_claim_target {
	struct ml_text db, table;
	struct ml_schema *latest; /* newest definition under the target's name, owned; NULL: none yet */
	size_t n_claims;
};
/* One source table. */
struct ml_claim {
	struct ml_text db, table;
	struct ml_claim_target *target;
	struct ml_schema *now; /* its definition under the target's name, owned; NULL: none yet */
	bool merge, loose;
};

/* fold: targets that differ in the case of ASCII letters alone are one, as in MySQL. */
struct ml_claims *ml_claims_new(bool fold);
void ml_claims_free(struct ml_claims *c); /* NULL is fine */
struct ml_claim *ml_claims_find(struct ml_claims *c, struct ml_text db, struct ml_text table);
/*
 * The claim of db.table to t, an earlier one of it to another target is given up.  ErrTableRouteConflict: another table has
 * t, and not both may share it; nothing has changed then.  A loose claim that finds t taken is no error, and NULL.
 */
int ml_claims_take(struct ml_claims *c, struct ml_text db, struct ml_text table, const struct ml_route_target *t,
	bool loose, struct ml_claim **out, struct ml_err *err);
/* Not, when a claim's table is replaced in place: it is the same claim. */
void ml_claims_drop(struct ml_claims *c, struct ml_claim *claim);
void ml_claims_drop_db(struct ml_claims *c, struct ml_text db);
/* Calls f for all claims until it returns true; what it returned last. */
bool ml_claims_any(struct ml_claims *c, bool (*f)(void *arg, struct ml_claim *claim), void *arg);
#endif
