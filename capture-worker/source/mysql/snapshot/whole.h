/*
 * whole.h - tables without a key to walk: each is read as a whole, from one view, and goes out when the stream stands at exactly
 * the view's place, where the stream waits until it has gone (mysql-upstream.md 8.1, 8.2).
 *
 * Without any key nothing tells two equal rows apart, so nothing may come twice: changes before the place are left out, since the
 * view has them, and a target that keeps the tables itself is told to empty the table first, which is empty but for what a copy
 * that was cut off has left there.
 */
#ifndef ML_WORKER_SOURCE_MYSQL_SNAPSHOT_WHOLE_H
#define ML_WORKER_SOURCE_MYSQL_SNAPSHOT_WHOLE_H
#include "capture-worker/source/mysql/snapshot/snapshot_int.h"

/* For the reader: see struct ml_copy_want.  arg: the job. */
int ml_copy_whole_placed(void *arg, const char *file, uint64_t offset);
int ml_copy_whole_take(void *arg, struct ml_batch *b);
/* For the source's thread: waits until the reader knows the place, or has ended. */
void ml_copy_whole_await(struct ml_copy_job *j);
/* The reader is to end without rows; waits until it has. */
void ml_copy_whole_cancel(struct ml_copy_job *j);
/* The stream stands at the place: all rows go out.  1: the reader has failed with j->err; -1.  Should the shard stop: f->stopped. */
int ml_copy_whole_emit(struct ml_copy_job *j, struct ml_feed *f, struct ml_err *err);
void ml_copy_whole_clear(struct ml_copy_job *j);
#endif
