/* schema_store_impl.h - what schema_store.c and schema_ddl.c share.  Nobody else includes it. */
#ifndef ML_WORKER_SOURCE_MYSQL_SCHEMA_STORE_IMPL_H
#define ML_WORKER_SOURCE_MYSQL_SCHEMA_STORE_IMPL_H
#include "capture-worker/source/mysql/schema_log.h"
#include "capture-worker/source/mysql/schema_map.h"
#include "capture-worker/source/mysql/schema_store.h"

struct ml_schema_store {
	struct ml_schema_store_env env;
	char *object, *state_dir;
	struct ml_schema_map map;
	struct ml_schema_log *log;
	char server_charset[65], server_collation[65];
	bool from_log; /* the log file had definitions: this is not the first run */
	bool settled;  /* the stream has passed the place where the definitions were read */
};

/* Rows of the table are replicated. */
bool ml_store_takes(const struct ml_schema_store *st, struct ml_text db, struct ml_text table);
bool ml_store_takes_db(const struct ml_schema_store *st, struct ml_text db);
/*
 * Makes s (a reference, taken) the definition of e from version on, gives e an id if it has none, and puts it into the log
 * file's buffer.  log_ts: from when it holds; 0: from the start.
 */
void ml_store_set(
	struct ml_schema_store *st, struct ml_table_entry *e, struct ml_schema *s, ml_ts version, ml_ts log_ts);
/* The table is no more at ts. */
void ml_store_drop(struct ml_schema_store *st, struct ml_table_entry *e, ml_ts ts);
void ml_store_tell(struct ml_schema_store *st, const struct ml_schema *s, int64_t id, bool followed);
#endif
