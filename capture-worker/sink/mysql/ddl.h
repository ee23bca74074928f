/*
 * ddl.h - DDL into the target (sinks.md 3.11): in the order of the log, all rows before it committed, by the thread that calls
 * the sink, over a connection that lives for one DDL.
 *
 * A DDL that was done already counts as done.  Most say so themselves (the table exists, the column is missing); for those that
 * would be done twice without a word (RENAME in a circle, EXCHANGE PARTITION) their progress is kept: ddl_ts.h.
 */
#ifndef ML_WORKER_SINK_MYSQL_DDL_H
#define ML_WORKER_SINK_MYSQL_DDL_H
#include "capture-worker/event/ddl.h"
#include "capture-worker/sink/mysql/conn.h"
#include "capture-worker/sink/mysql/ddl_async.h"
#include "capture-worker/sink/mysql/ddl_ts.h"
#include "capture-worker/sink/sink.h"

struct sql_ddl {
	const struct sql_target *target;
	const struct ml_sink_env *env;
	struct sql_ddl_ts progress;
	ml_ts ts; /* of the last one that came here, and which of its commit_ts it was */
	uint32_t nth;
	bool ran; /* it was done, only the note of it failed */
	bool warned;
	uint32_t seed;
	struct sql_conn conn; /* of the DDL that runs */
	atomic_bool stop;
	struct sql_async *async; /* NULL: of a job itself */
};

void sql_ddl_init(struct sql_ddl *d, const struct sql_target *t, const struct ml_sink_env *env);
void sql_ddl_fini(struct sql_ddl *d);
/*
 * Runs ddl and waits for it, without limit where the server has to rewrite a table.  -1: ErrExecDDLFailed (the target refuses
 * it; the text names the statement and how to go on), ErrDDLStateNotFound (an EXCHANGE PARTITION that nobody knows to be done or
 * not), ErrReachMaxTry over ErrMySQLTxnError, ErrMySQLConnectionError.
 */
int sql_ddl_run(struct sql_ddl *d, const struct ml_ddl *ddl, struct ml_err *err);

/* The same without a look at what comes side by side; text: sql_ddl_text's. */
int sql_ddl_try(struct sql_ddl *d, const struct ml_ddl *ddl, const struct ml_buf *text, struct ml_err *err);
/* From another thread: the DDL that runs fails soon, and is not tried again. */
void sql_ddl_stop(struct sql_ddl *d);

/* The statement as it is sent: ddl's text, or a text of ours where that would mean something else downstream. */
void sql_ddl_text(struct ml_buf *out, const struct ml_ddl *ddl, const struct sql_target *t);
/* True for an error that says that nothing is left to do (sinks.md 3.11). */
bool sql_ddl_is_done(int lib);
/* True for an error that another try may not meet. */
bool sql_ddl_may_retry(int lib, const char *text);
#endif
