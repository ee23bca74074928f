/*
 * ddl_async.h - ADD INDEX in TiDB does not hold up the changes behind it (sinks.md 3.12): it runs in a thread of its own, and
 * after ten seconds the changefeed goes on.  Other DDL of its table waits until the server has no such job left.
 *
 * From then on the checkpoint is past the DDL, so if it fails later, or the process ends before the server has taken it, the index
 * is missing downstream: that is an error in the log with the statement, and a warning of the changefeed.
 */
#ifndef ML_WORKER_SINK_MYSQL_DDL_ASYNC_H
#define ML_WORKER_SINK_MYSQL_DDL_ASYNC_H
#include <pthread.h>

#include "capture-worker/event/ddl.h"
#include "capture-worker/sink/mysql/conn.h"
#include "capture-worker/sink/sink.h"

#define SQL_ASYNC_TABLES 1024

struct sql_ddl;
struct sql_async_job;

struct sql_async {
	struct sql_async_job *jobs; /* begun and not joined yet */
	/* Tables (hashes of their names) whose last DDL was none of these: they need not be asked about. */
	uint64_t quiet[SQL_ASYNC_TABLES];
	uint32_t n_quiet;
};

/* Does ddl go this way? */
bool sql_async_takes(const struct sql_target *t, const struct ml_ddl *ddl);
/*
 * Begins it, and waits for it no longer than wait_ms.  0: it is done, or still running; -1: it has failed already.
 */
int sql_async_run(struct sql_async *a, const struct sql_ddl *like, const struct ml_ddl *ddl, const struct ml_buf *text,
	uint32_t wait_ms, struct ml_err *err);
/* TiDB: waits until no index is being added to the tables of another ddl; poll_ms between two looks. */
int sql_async_await(
	struct sql_async *a, struct sql_conn *c, const struct ml_ddl *ddl, uint32_t poll_ms, struct ml_err *err);
/* Gives up what still runs here (the server goes on with what it has taken). */
void sql_async_fini(struct sql_async *a);
#endif
