/*
 * conflict.h - keeps units that touch the same key in upstream order while all others run side by side (sinks.md 3.4).
 *
 * A unit may run when all units before it that share a key with it are committed, or at once on the worker that has all of them:
 * a worker's queue keeps their order.  Not thread safe: callers hold one lock over all calls.
 */
#ifndef ML_WORKER_SINK_MYSQL_CONFLICT_H
#define ML_WORKER_SINK_MYSQL_CONFLICT_H
#include "capture-worker/sink/mysql/unit.h"

struct sql_conflict {
	struct sql_node **slots;
	size_t n_slots, n_nodes;
	uint64_t stamp;
	struct sql_unit *ready, **ready_tail; /* may run now; unit->worker says where */
	uint64_t n_waiting;                   /* units that wait for others */
};

void sql_conflict_init(struct sql_conflict *c);
void sql_conflict_fini(struct sql_conflict *c);
/* u comes next in upstream order: it goes to the ready list, or waits. */
void sql_conflict_add(struct sql_conflict *c, struct sql_unit *u);
/* The next unit that may run; NULL: none.  The caller gives it to u->worker (any of them if SQL_WORKER_ANY), then assigns. */
struct sql_unit *sql_conflict_ready(struct sql_conflict *c);
/* u stands in the queue of worker. */
void sql_conflict_assign(struct sql_conflict *c, struct sql_unit *u, int32_t worker);
/* u is committed; units of one worker finish in the order in which they were assigned. */
void sql_conflict_finish(struct sql_conflict *c, struct sql_unit *u);
#endif
