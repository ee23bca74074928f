/*
 * ddl_doubt.h - was a DDL done that was begun before a crash?  Before it begins, what it is about is looked at: the definitions
 * of its database and tables, under their old names and their new ones.  If they look different now, it was done: rows and other
 * DDL wait behind it, so nothing else of ours can have changed them.
 */
#ifndef ML_WORKER_SINK_MYSQL_DDL_DOUBT_H
#define ML_WORKER_SINK_MYSQL_DDL_DOUBT_H
#include <stdbool.h>
#include <stdint.h>

#include "capture-worker/event/ddl.h"
#include "capture-worker/sink/mysql/conn.h"

/*
 * A hash over the definitions, never 0.  EXCHANGE PARTITION changes none: there the server's own numbers of the tables' storage
 * count, and *out is 0 where the user may not see them.
 */
int sql_ddl_look(uint64_t *out, struct sql_conn *c, const struct ml_ddl *ddl, struct ml_err *err);
/* Waits while the server still runs text for an earlier connection of ours. */
int sql_ddl_await(struct sql_conn *c, const struct ml_buf *text, struct ml_err *err);
/* Only the storage tells whether it was done (EXCHANGE PARTITION). */
bool sql_ddl_swaps(const struct ml_ddl *ddl);
#endif
