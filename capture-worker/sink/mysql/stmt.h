/*
 * stmt.h - prepared statements of one connection, by their template (sinks.md 3.9).  They die with the connection; of too many
 * the one that was used longest ago goes.
 */
#ifndef ML_WORKER_SINK_MYSQL_STMT_H
#define ML_WORKER_SINK_MYSQL_STMT_H
#include "capture-worker/sink/mysql/conn.h"
#include "capture-worker/sink/mysql/sql.h"

struct sql_stmts;
struct sql_stmts *sql_stmts_new(uint32_t most); /* at most so many at a time, > 0 */
void sql_stmts_free(struct sql_stmts *s);       /* before the connection is closed; NULL is fine */
/*
 * Runs the template with its arguments; 0, or -1 as sql_conn_run.  1: it cannot be prepared (too many, too large): it was not
 * run, and goes as text.
 */
int sql_stmts_run(struct sql_stmts *s, struct sql_conn *c, const struct ml_buf *text, const struct sql_args *args,
	struct ml_err *err);
#endif
