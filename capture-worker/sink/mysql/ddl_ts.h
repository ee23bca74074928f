/*
 * ddl_ts.h - the progress of DDL, kept in the target (sinks.md 3.14): which DDL was begun last, and whether it was finished, so
 * that one that comes again after a crash is not done twice.
 *
 * tidb_cdc.ddl_ts_v1 has TiCDC's layout and one row (table 0: all of them) a changefeed.  Several DDLs may share a commit_ts and
 * come in the same order again, so tidb_cdc.millrace_ddl says which of them it was.  Neither is ever replicated.
 */
#ifndef ML_WORKER_SINK_MYSQL_DDL_TS_H
#define ML_WORKER_SINK_MYSQL_DDL_TS_H
#include <stdbool.h>
#include <stdint.h>

#include "capture-worker/sink/mysql/conn.h"
#include "capture-worker/sink/sink.h"

/* In the place of a look, which has 63 bits: the target refused it, so nothing of it was done. */
#define SQL_DDL_REFUSED (UINT64_C(1) << 63)

struct sql_ddl_ts {
	const struct ml_sink_env *env;
	bool on;     /* enable-ddl-ts, and the target lets us */
	bool loaded; /* the tables are there, and the rest is what they say */
	ml_ts ts;    /* 0: nothing was ever begun */
	uint32_t nth;
	bool finished;
	uint64_t look; /* of ddl_doubt.h, before it began, or SQL_DDL_REFUSED */
};

enum sql_ddl_past { SQL_DDL_NEW, SQL_DDL_FINISHED, SQL_DDL_IN_DOUBT };

void sql_ddl_ts_init(struct sql_ddl_ts *p, const struct ml_sink_env *env, bool on);
/*
 * Makes the tables and reads them, once.  A target that does not let us is warned about, and counts as one that knows nothing.
 * -1: any other error.
 */
int sql_ddl_ts_load(struct sql_ddl_ts *p, struct sql_conn *c, struct ml_err *err);
/* What is known of the nth (from 0) DDL with this commit_ts. */
enum sql_ddl_past sql_ddl_ts_past(const struct sql_ddl_ts *p, ml_ts ts, uint32_t nth);
/* Notes that it begins, with how things look before it, or is finished. */
int sql_ddl_ts_note(struct sql_ddl_ts *p, struct sql_conn *c, ml_ts ts, uint32_t nth, bool finished, uint64_t look,
	struct ml_err *err);
/* True for an error that says that the user may not. */
bool sql_is_denied(int lib);
/* Takes the changefeed's rows away, if there are any and that can be done. */
void sql_ddl_ts_forget(const struct sql_ddl_ts *p, const struct sql_target *t);
#endif
