/* snapshot_int.h - what the parts of the initial copy share: snapshot.c (readers and chunks), follow.c (tables come and go). */
#ifndef ML_WORKER_SOURCE_MYSQL_SNAPSHOT_SNAPSHOT_INT_H
#define ML_WORKER_SOURCE_MYSQL_SNAPSHOT_SNAPSHOT_INT_H
#include <pthread.h>
#include <stdatomic.h>

#include "capture-worker/source/mysql/snapshot/chunk_read.h"
#include "capture-worker/source/mysql/snapshot/create.h"
#include "capture-worker/source/mysql/snapshot/snapshot.h"
#include "capture-worker/source/mysql/snapshot/state.h"
#include "capture-worker/source/mysql/snapshot/window.h"

enum ml_copy_job_state { ML_COPY_IDLE, ML_COPY_WANTED, ML_COPY_PLACED, ML_COPY_READY, ML_COPY_FAILED };

struct ml_copy_job {
	struct ml_snapshot *s;
	pthread_t thread;
	bool started;
	struct ml_copy_reader *reader;
	enum ml_copy_job_state state; /* under the lock */
	/* Of the source's thread, and of the reader while ML_COPY_WANTED. */
	bool look;                /* not a chunk, but what there is to know of the table */
	bool create;              /* its definition, too */
	struct ml_schema *schema; /* reference */
	struct ml_copy_want want;
	bool whole; /* see whole.h */
	char *passed;
	struct ml_copy_chunk chunk;
	struct ml_copy_look seen;
	struct ml_err err;
	/* Of a whole table, under the lock. */
	char place_file[256];
	uint64_t place_offset;
	bool go, cancelled;
	struct ml_batch *queue, *queue_last;
	unsigned n_queued;
	/* Of the source's thread. */
	struct ml_copy_table *table; /* NULL: it is gone */
	size_t range;
	struct ml_copy_window window;
	bool dirty;
	uint64_t file, offset; /* where the window was opened */
};

struct ml_snapshot {
	struct ml_snapshot_env env;
	struct ml_copy_state state;
	struct ml_copy_job *jobs;
	uint32_t n_jobs;
	uint64_t max_bytes;
	pthread_mutex_t lock;
	pthread_cond_t work;
	bool stopped;       /* under the lock */
	_Atomic bool news;  /* a reader has ended a job */
	uint32_t n_waiting; /* chunks that the stream has to come to */
	uint64_t next_us;   /* throttle: no chunk before */
	bool warned;
	/* The target's tables are made by the copy: until each has been told of. */
	bool create;
	struct ml_copy_dbs dbs;
	bool dbs_wanted;     /* they have not been told of */
	size_t n_shut;       /* tables that are not OPEN */
	_Atomic ml_ts saved; /* the newest checkpoint that is stored */
	_Atomic bool all_open;
	char **left_out; /* "db", NUL, "table": made by DDL of the group being read, which was not told */
	size_t n_left_out;
	/* snapshot=locked, see hold.h: the views of one instant are open, and its place; one of them is lost. */
	bool held, hold_lost;
	char hold_file[256];
	uint64_t hold_offset, hold_retry_us;
	/* The table of the stream's last rows. */
	const struct ml_schema *last_schema;
	struct ml_copy_table *last;
};

/* Tables of the state follow the definitions; stmt: what has changed them, NULL at the start. */
void ml_copy_sync_tables(struct ml_snapshot *s, struct ml_feed *f, const struct ml_ddl_stmt *stmt);
/* The group is over: what was left out of it does not matter any more. */
void ml_copy_forget_left_out(struct ml_snapshot *s);
#endif
