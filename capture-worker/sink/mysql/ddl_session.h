/*
 * ddl_session.h - what a session must be for a DDL of the source to mean downstream what it meant there: its database, sql_mode
 * and time, the character sets and collations of what names none, and nothing that refuses what the source took.
 */
#ifndef ML_WORKER_SINK_MYSQL_DDL_SESSION_H
#define ML_WORKER_SINK_MYSQL_DDL_SESSION_H
#include "capture-worker/event/ddl.h"
#include "capture-worker/sink/mysql/conn.h"
#include "common/base/buf.h"
#include "common/base/err.h"

/* Sets up the session for ddl.  Error: the server's. */
int sql_ddl_session(struct sql_conn *c, const struct ml_ddl *ddl, struct ml_err *err);

/* For mark_table: what marks a statement that the server may write to its log in its own words. */
void sql_ddl_mark(struct sql_conn *c);
/* May the statement give old rows values of a new AUTO_INCREMENT column? */
bool sql_ddl_numbers_rows(const struct ml_ddl *ddl);

/* Settings without which a statement that the source took may be refused; a server that lacks one does not need it. */
void sql_ddl_lenient(struct sql_conn *c);
/* Appends SET sql_mode: the bits of mode that change how a statement reads; the rest is ours, which refuses nothing. */
void sql_ddl_mode(struct ml_buf *b, uint64_t mode, enum sql_server server);
/* Appends SET of what a character set without a collation means; false: the server has none of the source's, or it is unknown. */
bool sql_ddl_collations(struct ml_buf *b, const struct ml_ddl *ddl, enum sql_server server);
#endif
