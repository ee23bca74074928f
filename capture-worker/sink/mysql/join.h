/*
 * join.h - transaction-atomicity=table: the pieces of a transaction that came in several batches become one unit again.  The last
 * unit of a batch waits until it is known to be whole.
 */
#ifndef ML_WORKER_SINK_MYSQL_JOIN_H
#define ML_WORKER_SINK_MYSQL_JOIN_H
#include "capture-worker/sink/mysql/unit.h"

struct sql_join {
	struct sql_unit *first, **tail; /* pieces, by `piece` */
	uint64_t bytes;                 /* that their batches are charged with */
	uint64_t limit_bytes;           /* beyond it they go out apart, or they would wait for room that they take up */
	const char *object;
};

void sql_join_init(struct sql_join *j, uint64_t limit_bytes, const char *object);
/* Keeps u, the last unit of its batch, since more of its transaction may come.  False: there is too much of it already. */
bool sql_join_keep(struct sql_join *j, struct sql_unit *u);
/* Does u belong to what is kept? */
bool sql_join_goes_on(const struct sql_join *j, const struct sql_unit *u);
/* What is kept as one unit; NULL: nothing is. */
struct sql_unit *sql_join_take(struct sql_join *j);
#endif
