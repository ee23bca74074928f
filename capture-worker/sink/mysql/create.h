/*
 * create.h - the tables of the initial copy in the target, as the source has them (docs/snapshot.md): databases and tables that
 * are not there are made, those that are there are kept, and must have the source's columns.
 *
 * Doing it twice changes nothing, so nothing is noted of it.
 */
#ifndef ML_WORKER_SINK_MYSQL_CREATE_H
#define ML_WORKER_SINK_MYSQL_CREATE_H
#include "capture-worker/sink/mysql/ddl.h"

/*
 * ddl: one with `copied`; a database, a CREATE TABLE, or a TRUNCATE of a table without a key before it is filled.  -1: ErrCreateTableFailed (the target refuses it; the text names the
 * table and how to go on), ErrTargetTableUnfit, ErrMySQLTxnError, ErrMySQLConnectionError.
 */
int sql_create_run(struct sql_ddl *d, const struct ml_ddl *ddl, struct ml_err *err);
/*
 * Appends the statement as server takes it.  Foreign keys that a server named by the table are named by its name now.  Where that is no MariaDB: without COMPRESSED columns, which store the same values,
 * and with parentheses around defaults that only MariaDB takes without.  What else a server does not know it refuses itself.
 */
void sql_create_text(struct ml_buf *out, const struct ml_ddl *ddl, enum sql_server server);
#endif
