/*
 * ddl_rename.h - other names for the tables and databases in the text of a DDL.
 *
 * Only names change; everything else stays as it is, byte for byte.  Changed are the tables of the statement, those behind
 * REFERENCES, LIKE, WITH TABLE, UNION=(..) and RENAME, tables of a view's or CREATE .. SELECT's query, and tables in front of
 * columns (t.c, db.t.c); names in strings and of columns, indexes, aliases, functions and WITH queries are not.  A statement
 * that is not understood, or whose meaning a new name could change, is an error: never a guess.
 *
 * Statements: CREATE, ALTER, DROP, RENAME, TRUNCATE TABLE; CREATE, DROP INDEX; CREATE, ALTER, DROP VIEW and DATABASE.  Their
 * text is as a binary log source sends it: UTF-8, without comments.
 */
#ifndef ML_WORKER_EVENT_DDL_RENAME_H
#define ML_WORKER_EVENT_DDL_RENAME_H
#include "capture-worker/event/ddl.h"
#include "common/base/arena.h"
#include "common/base/err.h"

/*
 * What db.table is called from now on (table empty: the database itself); as spelled in the text, quotes off.  The answers
 * live as long as the arena of the call.  0, or -1 with err.
 */
typedef int ml_ddl_name_fn(void *arg, struct ml_text db, struct ml_text table, struct ml_text *new_db,
	struct ml_text *new_table, struct ml_err *err);

struct ml_ddl_names {
	struct ml_text db;     /* database of names that have none */
	struct ml_text new_db; /* the same in the new text: names of other databases get theirs in front */
	uint64_t sql_mode;     /* of the session that wrote the text: how it reads */
	ml_ddl_name_fn *name;
	void *arg;
};

/*
 * query with the new names, in the arena (query itself where nothing changes).  Error: ErrTableRoutingFailed, or name's own.
 * Source: sinks.md 10.
 */
int ml_ddl_rename(const struct ml_ddl_names *names, struct ml_text query, struct ml_arena *a, struct ml_text *out,
	struct ml_err *err);
#endif
