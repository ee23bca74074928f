/*
 * snapshot.h - the initial copy of a changefeed's tables while the stream goes on: chunks are read by connections of their own
 * and emitted between two groups of the log, without locks (mysql-upstream.md 8).
 *
 * For each chunk a window is opened at a place of the stream, before it is read.  From then on the keys that the stream shows are
 * kept; when the chunk has been read at a place p of the log and the stream has come to p, the chunk's rows but for those keys are
 * emitted as inserts.  Each change of such a key has been sent itself, and is newer or equal.  MariaDB tells p exactly; elsewhere
 * p is the log's end after the SELECT, and the SELECT begins when the server shows everything that the stream had passed.
 *
 *   job: IDLE --window opened--> WANTED --reader--> READY --stream is at p--> emitted, or dropped and read again --> IDLE
 *                                   |    \--------> FAILED --> IDLE, again later
 *                  whole.h: p known \--> PLACED --stream is at p, rows go out--> READY
 *
 * All but ml_snapshot_stop belongs to the source's thread.
 */
#ifndef ML_WORKER_SOURCE_MYSQL_SNAPSHOT_SNAPSHOT_H
#define ML_WORKER_SOURCE_MYSQL_SNAPSHOT_SNAPSHOT_H
#include <stdbool.h>
#include <stdint.h>

#include "capture-worker/source/mysql/conn.h"
#include "capture-worker/source/mysql/schema_store.h"
#include "capture-worker/source/mysql/snapshot/options.h"
#include "capture-worker/source/source.h"

struct ml_feed;
struct ml_snapshot;
struct ml_tz;

struct ml_snapshot_env {
	const struct ml_source_env *env;
	const struct ml_my_target *target;
	const struct ml_tz *tz;
	struct ml_copy_options options;
	enum ml_flavor flavor;
	bool gtids;  /* the server numbers its groups */
	MYSQL *my;   /* a connection for questions; borrowed for ml_snapshot_open */
	int wake_fd; /* an eventfd: written to when ml_snapshot_step has something to do */
};

/*
 * f: has its definitions, and in f->copied what was stored with the checkpoint.  Tables that it does not know of are copied.
 * ErrInvalidReplicaConfig for a server where it cannot be done.
 */
int ml_snapshot_open(
	struct ml_snapshot **out, const struct ml_snapshot_env *env, struct ml_feed *f, struct ml_err *err);
void ml_snapshot_close(struct ml_snapshot *s); /* NULL is fine */
void ml_snapshot_stop(struct ml_snapshot *s);  /* from any thread: reading ends soon */

/* Tables are still to be copied: rows must be built even if nobody else looks at them. */
bool ml_snapshot_busy(const struct ml_snapshot *s);
/* The stream has added rows to b, from this one on. */
void ml_snapshot_rows(struct ml_snapshot *s, struct ml_batch *b, uint32_t from);
/* Rows that were added may have been taken back: open chunks are read again. */
void ml_snapshot_void(struct ml_snapshot *s);
/*
 * d is about a table of which the target has not been told: it is left out, since its outcome is what the target will be told.
 * Asked before ml_snapshot_ddl.
 */
bool ml_snapshot_leaves_out(struct ml_snapshot *s, const struct ml_ddl *d);
/* The checkpoint is stored.  From any thread. */
void ml_snapshot_saved(struct ml_snapshot *s, ml_ts checkpoint_ts);
/* A statement was applied to the definitions. */
void ml_snapshot_ddl(struct ml_snapshot *s, struct ml_feed *f, const struct ml_ddl_stmt *stmt);
/* Cheap: ml_snapshot_step may have something to do. */
bool ml_snapshot_due(const struct ml_snapshot *s);
/* The stream must not go on now: ml_snapshot_step alone is to be called. */
bool ml_snapshot_holds(const struct ml_snapshot *s, const struct ml_feed *f);
/*
 * Between two groups: emits what is ready, gives readers work.  Returns how long it need not be called unless the eventfd says
 * so, in microseconds (UINT64_MAX: for ever); should the shard stop, f->stopped says so.  0 or -1 in *rc.
 */
int ml_snapshot_step(struct ml_snapshot *s, struct ml_feed *f, uint64_t *wait_us, struct ml_err *err);
#endif
