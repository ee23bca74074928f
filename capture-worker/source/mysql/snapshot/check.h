/* check.h - what can be said of an initial copy before its changefeed is made. */
#ifndef ML_WORKER_SOURCE_MYSQL_SNAPSHOT_CHECK_H
#define ML_WORKER_SOURCE_MYSQL_SNAPSHOT_CHECK_H
#include "capture-worker/source/mysql/check.h"
#include "capture-worker/source/mysql/snapshot/options.h"
#include "capture-worker/source/source.h"

/*
 * now: by the upstream's clock.  ErrSnapshotUnfinished: target_ts is over.  ErrMySQLPrivilege: snapshot=locked without the right
 * to lock.  ErrInvalidReplicaConfig: the server cannot be copied, or a table cannot.
 */
int ml_snapshot_check(const struct ml_source_env *env, struct ml_my_conn *c, const struct ml_server *server, ml_ts now,
	struct ml_schema *const *tables, size_t n_tables, struct ml_err *err);
/*
 * A table that can be copied in no way: without any key where the target keeps the tables itself, but they are not made by the
 * copy.  sql: such a target.
 */
int ml_snapshot_check_table(const struct ml_schema *s, bool sql, const struct ml_copy_options *o, struct ml_err *err);
#endif
