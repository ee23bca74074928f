/*
 * worker.h - the threads that write: each has a connection of its own, takes units from its queue, and commits as many of them
 * as make max-txn-row rows in one downstream transaction (sinks.md 3.5, 3.9, 3.10).
 */
#ifndef ML_WORKER_SINK_MYSQL_WORKER_H
#define ML_WORKER_SINK_MYSQL_WORKER_H
#include "capture-worker/sink/mysql/conn.h"
#include "capture-worker/sink/mysql/unit.h"
#include "common/run/figures.h"

struct sql_engine;

struct sql_engine_env {
	const struct sql_params *params;
	const struct sql_target *target;
	const char *object;
	void *arg;
	void (*durable)(void *arg, uint64_t seq); /* from any thread */
	void (*fail)(
		void *arg, const struct ml_err *err); /* once, from any thread; nothing becomes durable afterwards */
	/* From any thread: err while a transaction is tried again and again, NULL when none is any more.  May be NULL. */
	void (*warn)(void *arg, const struct ml_err *err);
};

/* Starts the workers; each connects when it has something to write. */
int sql_engine_start(struct sql_engine **out, const struct sql_engine_env *env, struct ml_err *err);
/* p's batch is the engine's from here on, also when something fails: it is freed when its units are committed, or at the end. */
void sql_engine_begin(struct sql_engine *e, struct sql_parcel *p);
/*
 * Takes over units of batches begun (a list by next, in upstream order): they are committed some time.  -1: the engine has
 * failed, err says why.
 */
int sql_engine_add(struct sql_engine *e, struct sql_unit *units, struct ml_err *err);
/* Waits until everything taken over is committed, or the engine has failed: -1. */
int sql_engine_wait(struct sql_engine *e, struct ml_err *err);
/* -1 with the error if the engine has failed. */
int sql_engine_check(struct sql_engine *e, struct ml_err *err);
/* Ends the workers; what is not committed is given up.  NULL is fine. */
void sql_engine_stop(struct sql_engine *e);
void sql_engine_stats(struct sql_engine *e, uint64_t *bytes_out, uint64_t *errors);
void sql_engine_figures(struct sql_engine *e, struct ml_figures *f); /* a copy, the caller's; f is zeroed */
/* Counts what was measured elsewhere. */
void sql_engine_observe(struct sql_engine *e, enum ml_figure which, uint64_t value);

/* Delay before try n + 1, n >= 1: random within the bounds of sinks.md 3.10, milliseconds. */
uint32_t sql_retry_delay_ms(uint32_t n, uint32_t *seed);
#endif
