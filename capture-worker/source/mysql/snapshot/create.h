/*
 * create.h - what the initial copy tells a target that keeps the tables itself, before rows come: databases and tables as the
 * source has them, as DDL in the stream (docs/snapshot.md).
 *
 * A definition from SHOW CREATE TABLE is of now, the stream is behind.  So it is told when the stream has come to the place at
 * which it was read, if no DDL of the table was before that; and changes of the table before it are left out, since all their
 * rows will be copied.
 */
#ifndef ML_WORKER_SOURCE_MYSQL_SNAPSHOT_CREATE_H
#define ML_WORKER_SOURCE_MYSQL_SNAPSHOT_CREATE_H
#include <mysql.h>
#include <stddef.h>

#include "capture-worker/event/schema.h"
#include "common/base/err.h"

struct ml_feed;
struct ml_filter;

struct ml_copy_db {
	char *name, *charset, *collation;
};

struct ml_copy_dbs {
	struct ml_copy_db *v;
	size_t n;
};

/* The databases that may hold tables of the filter.  Blocking; ErrMySQLQueryError. */
int ml_copy_dbs_read(struct ml_copy_dbs *out, MYSQL *my, const struct ml_filter *filter, struct ml_err *err);
void ml_copy_dbs_fini(struct ml_copy_dbs *d);

/* Between two groups (ml_feed_copy_ready): emits them.  Should the shard stop, f->stopped says so. */
int ml_copy_make_dbs(struct ml_feed *f, const struct ml_copy_dbs *dbs, struct ml_err *err);
/*
 * The same for one table; text is SHOW CREATE TABLE's.  *ts: the commit-ts it got; the caller says what is copied and calls
 * ml_feed_copy_end.  ErrCreateTableFailed: the text is not understood.
 */
int ml_copy_make_table(struct ml_feed *f, const struct ml_copy_dbs *dbs, struct ml_schema *s, const char *text,
	size_t len, ml_ts *ts, struct ml_err *err);
/* A table is to be emptied before it is copied as a whole.  Should the shard stop, f->stopped says so. */
int ml_copy_empty_table(struct ml_feed *f, struct ml_schema *s, struct ml_err *err);
#endif
