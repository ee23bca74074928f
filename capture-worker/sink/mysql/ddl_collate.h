/*
 * ddl_collate.h - collations of utf8mb4 that a MariaDB from 10.10 up to 11.4 has under another name or not as a default: MySQL's
 * "utf8mb4_0900_ai_ci" is there "utf8mb4_uca1400_nopad_ai_ci", as MariaDB itself has it from 11.4 on.
 *
 * Without it a table "CHARSET=utf8mb4" would get that server's own default, to which more texts are equal: rows that the source
 * tells apart would replace each other.
 */
#ifndef ML_WORKER_SINK_MYSQL_DDL_COLLATE_H
#define ML_WORKER_SINK_MYSQL_DDL_COLLATE_H
#include "capture-worker/event/ddl.h"
#include "capture-worker/sink/mysql/conn.h"
#include "common/base/buf.h"

/* Does the target need it? */
bool sql_collates(const struct sql_target *t);
/* Gives a statement that reads by ddl's sql_mode the names that such a target knows. */
void sql_ddl_collate(struct ml_buf *text, const struct ml_ddl *ddl);
#endif
