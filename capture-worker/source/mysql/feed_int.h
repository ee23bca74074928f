/* feed_int.h - what the parts of the feed share: feed.c (groups, batches, time), feed_rows.c (rows), feed_stmt.c (statements). */
#ifndef ML_WORKER_SOURCE_MYSQL_FEED_INT_H
#define ML_WORKER_SOURCE_MYSQL_FEED_INT_H
#include "capture-worker/source/mysql/feed.h"

/* A batch is full at: rows that keep a sink's threads busy for some milliseconds, and memory that is a small part of a quota. */
#define ML_FEED_BATCH_ROWS 2048u
#define ML_FEED_BATCH_BYTES (512u << 10)
/* Also when hardly anything of the log is for us: the resolved ts and the place to resume at must follow. */
#define ML_FEED_BATCH_LOG_BYTES (4u << 20)
/* Log bytes of one group that wait for its end; longer groups go out as they come. */
#define ML_FEED_HOLD_BYTES (16u << 20)

/* Hands b (with held ones before it) over and begins a new one.  0, or -1 when the shard stops: then f->stopped. */
int ml_feed_emit(struct ml_feed *f);
/* Whole groups are in f->b: hands them over with the place they end at.  Should the shard stop, f->stopped says so. */
void ml_feed_hand_over(struct ml_feed *f, ml_ts ts);
/* The batch is full inside a group: it waits, or goes out when the group is too large. */
int ml_feed_full(struct ml_feed *f);
/* Drops what the open group has added since the mark.  -1 if it has been handed over already. */
int ml_feed_cut(struct ml_feed *f, size_t held, const struct ml_feed_mark *mark);
/* Whether what comes with f->commit_ts is passed over: sets f->skip. */
void ml_feed_decide(struct ml_feed *f);
struct ml_feed_mark ml_feed_mark_now(const struct ml_feed *f);

/* The same of one batch that is not f->b. */
int ml_feed_emit_one(struct ml_feed *f, struct ml_batch *b);

/* Rows of the initial copy may be put in here: between two groups, and nothing is being read again. */
bool ml_feed_copy_ready(const struct ml_feed *f);
/* *ts: what they get as their commit_ts; everything before them is handed over. */
int ml_feed_copy_begin(struct ml_feed *f, ml_ts *ts, struct ml_err *err);
/* Hands b over.  Should the shard stop, f->stopped says so. */
void ml_feed_copy_put(struct ml_feed *f, struct ml_batch *b, ml_ts ts);
/* They are complete, and f->copied says so: handed over as a place to resume at. */
void ml_feed_copy_end(struct ml_feed *f);

/* The open group was prepared and committed at once: its rows are taken now. */
int ml_feed_one_phase(struct ml_feed *f, struct ml_err *err);

int ml_feed_on_map(void *arg, const struct ml_ev *e, struct ml_err *err);
int ml_feed_on_rows(void *arg, const struct ml_ev *e, struct ml_err *err);
int ml_feed_on_statement(void *arg, const struct ml_ev_query *q, const struct ml_ddl_stmt *stmt, struct ml_err *err);
#endif
