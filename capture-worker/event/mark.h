/*
 * mark.h - how a change that a SQL sink of ours wrote is told in its target's log, so that a copy in the other direction does not
 * send it back (option bdr-mode).
 *
 * Where the session may have a server id of its own (MariaDB, privilege BINLOG REPLAY) it has this one, which the log keeps with
 * every group.  Elsewhere a transaction's first change is one of the mark's table, and a DDL begins with the comment.  Servers write
 * some statements anew (DROP TABLE, views, tables that get an invisible key), without comments: so the session has these two
 * settings of AUTO_INCREMENT as well, which the log keeps with every statement, unless the statement may use them.
 */
#ifndef ML_WORKER_EVENT_MARK_H
#define ML_WORKER_EVENT_MARK_H
#include <stdint.h>

#define ML_MARK_SERVER_ID UINT32_C(0x4d4c5243) /* "MLRC" */
#define ML_MARK_DB "tidb_cdc"                  /* never replicated */
#define ML_MARK_TABLE "millrace_mark"
#define ML_MARK_COMMENT "/* millrace */"
#define ML_MARK_INCREMENT 0x4d4c
#define ML_MARK_OFFSET 0x5243
#endif
