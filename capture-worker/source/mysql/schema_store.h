/*
 * schema_store.h - the definitions of one shard's tables as of the place in the log that has been read: table ids, definitions
 * advanced by DDL, and the answer to "which struct ml_schema decodes this TABLE_MAP" (mysql-upstream.md 6.10, 7).
 *
 * One thread (the source's).  Files: state_dir/schema.log, see schema_log.h.  Table ids count from 100, are written before
 * use, and survive restarts: a DDL that is read again after a crash gets the id it had.
 *
 * Order of use:
 *   open(checkpoint) -> load(control connection): definitions as of now, valid at the log's head h, joined with those the log
 *   file has for the checkpoint -> stream: resolve at each new TABLE_MAP body, apply at each DDL group -> when the stream
 *   reaches h: ml_schema_store_at_head.  Whenever ml_schema_store_stale says so and time allows: reread, then at_head when
 *   the stream has reached the head as of that reading.
 */
#ifndef ML_WORKER_SOURCE_MYSQL_SCHEMA_STORE_H
#define ML_WORKER_SOURCE_MYSQL_SCHEMA_STORE_H
#include <mysql.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capture-worker/event/batch.h"
#include "capture-worker/event/ddl.h"
#include "capture-worker/event/schema.h"
#include "capture-worker/source/mysql/conn.h"
#include "capture-worker/source/mysql/ddl_class.h"
#include "common/base/err.h"

struct ml_filter;
struct ml_schema_store;
struct ml_tablemap;

struct ml_schema_store_env {
	const char *object;             /* for logs */
	const char *state_dir;          /* NULL: nothing is kept (probe, tests) */
	const struct ml_filter *filter; /* NULL: every table but those of system schemas */
	ml_ts checkpoint_ts;            /* definitions of the log file above it are forgotten, ids are not */
	bool every_ddl;                 /* changes of tables without a code of TiDB are told too, as ML_DDL_OTHER */
	bool force_replicate;           /* DDL of tables without handle key go out too */
	bool json_as_json;              /* MariaDB: longtext with CHECK json_valid is type json */
	bool mariadb;
	uint8_t lower_case_table_names;
	void *arg;
	/* A table of the filter appears (or, followed false, goes).  May be NULL. */
	void (*table)(void *arg, int64_t table_id, bool followed);
};

int ml_schema_store_open(struct ml_schema_store **out, const struct ml_schema_store_env *env, struct ml_err *err);
void ml_schema_store_close(struct ml_schema_store *st); /* NULL is fine */

/* Reads all definitions of the filter over my.  now: ts for those never seen before (version).  Blocking. */
int ml_schema_store_load(struct ml_schema_store *st, struct ml_my_conn *conn, const struct ml_my_target *target,
	ml_ts now, struct ml_err *err);
/* The stream has passed the head of the log as it was at the last load or reread: what was read then holds now. */
void ml_schema_store_at_head(struct ml_schema_store *st);
/* Tables whose definition should be read again. */
size_t ml_schema_store_stale(const struct ml_schema_store *st);
/*
 * Reads the stale tables' definitions over my; they take effect at ml_schema_store_at_head, unless a DDL on the table comes
 * first.  Blocking; an error leaves everything as it was.
 */
int ml_schema_store_reread(struct ml_schema_store *st, MYSQL *my, struct ml_err *err);

/* Calls f for the definition now of each table of the filter whose rows go out; f must not change the store. */
void ml_schema_store_each(struct ml_schema_store *st, void (*f)(void *arg, struct ml_schema *s), void *arg);
/* The definition now, borrowed until the next call that changes it; NULL: not known. */
struct ml_schema *ml_schema_store_get(
	const struct ml_schema_store *st, const char *db, size_t db_len, const char *table, size_t table_len);

enum { ML_RESOLVE_OK, ML_RESOLVE_UNKNOWN };
/* False while s is not, or may soon not be, what the table's rows have: it changed, or is to be read again. */
bool ml_schema_store_certain(const struct ml_schema_store *st, const struct ml_schema *s);
/*
 * The schema for rows of this TABLE_MAP: columns in its order, types from it, the rest from the tracked definition.  Call it
 * for each new TABLE_MAP body of a table that the filter takes.  *out is a new reference.
 * ML_RESOLVE_UNKNOWN: without column names in tm (no FULL metadata) and no definition: reread, then ask again.
 * -1: ErrMySQLSchemaMismatch, without FULL metadata only.
 */
int ml_schema_store_resolve(
	struct ml_schema_store *st, const struct ml_tablemap *tm, ml_ts ts, struct ml_schema **out, struct ml_err *err);

/*
 * Applies a classified statement (class DDL or UNKNOWN) of a group with these timestamps; call it only for statements that
 * succeeded.  emit is called for every DDL of a table or database of the filter that is to be sent, in order; what d points
 * to is borrowed for the call (ml_ddl_copy).  d->schema may be NULL.  emit's -1 is passed on.
 * Errors: ErrSyncRenameTableFailed, ErrHandleDDLFailed (sinks.md 7.5, 7.6).
 */
int ml_schema_store_apply(struct ml_schema_store *st, const struct ml_ddl_stmt *stmt, ml_ts commit_ts, ml_ts start_ts,
	int (*emit)(void *arg, const struct ml_ddl *d, struct ml_err *err), void *arg, struct ml_err *err);

/* True if the statement touches a table or database of the filter. */
bool ml_schema_store_touches(const struct ml_schema_store *st, const struct ml_ddl_stmt *stmt);
/* d in b's arena, its schema pinned by b. */
struct ml_ddl *ml_ddl_copy(struct ml_batch *b, const struct ml_ddl *d);
#endif
