/*
 * chunk_read.h - a connection that reads chunks of tables for the initial copy: rows by the binary protocol into batches, with
 * datums equal to those that the log's rows become (mysql-upstream.md 8.2, 8.6).
 *
 * Belongs to one thread, but for ml_copy_reader_stop.
 */
#ifndef ML_WORKER_SOURCE_MYSQL_SNAPSHOT_CHUNK_READ_H
#define ML_WORKER_SOURCE_MYSQL_SNAPSHOT_CHUNK_READ_H
#include <stdatomic.h>

#include "capture-worker/event/batch.h"
#include "capture-worker/source/mysql/conn.h"
#include "capture-worker/source/mysql/snapshot/plan.h"

struct ml_copy_reader;
struct ml_quota;
struct ml_tz;

/* How the place in the log that a chunk belongs to is found. */
enum ml_copy_how {
	ML_COPY_EXACT, /* MariaDB, transactional tables: a consistent snapshot tells its own place */
	ML_COPY_AFTER, /* the log's end after the SELECT */
	ML_COPY_HELD,  /* of the view that ml_copy_reader_hold has opened: the caller knows its place */
	/* Whole tables where no view tells its place: the table is locked for the moment in which the view is opened ... */
	ML_COPY_LOCK_SHORT,
	ML_COPY_LOCK_LONG, /* ... or, where no view is of it, while it is read */
};

struct ml_copy_want {
	struct ml_schema *schema; /* borrowed for the call; batches pin it */
	const struct ml_index *key;
	struct ml_copy_bound after, upto; /* borrowed */
	uint64_t max_rows, max_bytes;     /* 0: none.  The chunk ends at either; whole tables have no limit */
	enum ml_copy_how how;
	const char *file; /* HELD: the view's place */
	uint64_t offset;
	/*
	 * MySQL: groups that the stream has passed; the SELECT waits until the server shows all of them to readers, which it does
	 * a moment after it has logged them.  NULL: nothing to wait for.
	 */
	const char *passed;
	/*
	 * Whole tables: told of the place before the first row is read, then each full batch is handed over instead of being
	 * kept (and is the taker's also after -1).  -1 ends the reading.  NULL: the chunk keeps its batches.
	 */
	int (*placed)(void *arg, const char *file, uint64_t offset);
	int (*take)(void *arg, struct ml_batch *b);
	void *arg;
};

struct ml_copy_chunk {
	struct ml_batch *first, **tail; /* rows without commit_ts; each charged to the quota */
	uint64_t rows;
	struct ml_copy_bound last; /* key of the last row; none without rows */
	bool end;                  /* nothing lies behind it up to `upto` */
	char file[256];            /* the stream must have come here before the rows are of use */
	uint64_t offset;
};
void ml_copy_chunk_fini(struct ml_copy_chunk *c); /* frees what is left of it */

struct ml_copy_look {
	bool transactional;
	uint64_t rows;  /* by the server's statistics */
	bool has_range; /* integer key, and the table is not empty */
	bool is_signed; /* min and max are the bits of int64_t, else uint64_t */
	uint64_t min, max;
	/* Where it was asked for: SHOW CREATE TABLE's text in UTF-8, which holds at this place if no DDL of the table is before it. */
	struct ml_buf create;
	char file[256];
	uint64_t offset;
};
void ml_copy_look_fini(struct ml_copy_look *l);

struct ml_copy_reader *ml_copy_reader_new(const struct ml_my_target *t, const struct ml_tz *tz, struct ml_quota *quota);
void ml_copy_reader_free(struct ml_copy_reader *r);
/* What is being read ends soon with an error; from any thread. */
void ml_copy_reader_stop(struct ml_copy_reader *r);
/* Connects and sets up the session, unless it is there. */
int ml_copy_reader_connect(struct ml_copy_reader *r, struct ml_err *err);
/* Opens a view of this instant for ML_COPY_HELD, or gives it up. */
int ml_copy_reader_hold(struct ml_copy_reader *r, bool view, struct ml_err *err);
/* Connects where needed.  Errors: those of conn.h; err->lib is the server's code.  *out is filled by success alone. */
int ml_copy_read(struct ml_copy_reader *r, const struct ml_copy_want *w, struct ml_copy_chunk *out, struct ml_err *err);
int ml_copy_look(struct ml_copy_reader *r, struct ml_schema *s, const struct ml_index *key, bool create,
	struct ml_copy_look *out, struct ml_err *err);
#endif
