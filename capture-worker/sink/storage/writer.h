/*
 * writer.h - data files of a storage sink: rows are collected per data directory and closed by worker threads, which say what
 * became durable.  All calls come from the sink stage's thread.
 */
#ifndef ML_WORKER_SINK_STORAGE_WRITER_H
#define ML_WORKER_SINK_STORAGE_WRITER_H
#include "capture-worker/sink/storage/options.h"
#include "common/text/tz.h"

struct writer;
struct data_dir; /* the directory of one table and schema version */

/* env, o and tz must outlive the writer.  The writer calls env->durable and env->fail from its threads. */
int writer_new(struct writer **out, const struct ml_sink_env *env, const struct storage_options *o,
	const struct ml_tz *tz, struct ml_err *err);
/*
 * Gives up open files; returns soon even if the storage hangs.  False: a thread still uses the writer, env, o and tz, so they
 * must stay.
 */
bool writer_free(struct writer *w);
/* An error of the sink's own: nothing is said to be durable any more. */
void writer_fail(struct writer *w, const struct ml_err *err);

/* The directory of this path ("db/table/<version>"); belongs to the writer until writer_forget. */
struct data_dir *writer_dir(struct writer *w, const char *path, const char *db, const char *table);
/* Drops all directories; nothing may be open: after writer_flush. */
void writer_forget(struct writer *w);

/* One batch: begin, rows, end.  The text is copied or written at once. */
int writer_begin(struct writer *w, uint64_t seq, struct ml_err *err);
int writer_row(struct writer *w, struct data_dir *d, const char *text, size_t len, struct ml_err *err);
/* boundary: the batch ends a transaction, so that files may be closed here.  May wait for the workers. */
int writer_end(struct writer *w, bool boundary, struct ml_err *err);
/* Closes files whose time has come. */
int writer_tick(struct writer *w, struct ml_err *err);
/* Closes all files and waits until they are durable. */
int writer_flush(struct writer *w, struct ml_err *err);
void writer_stats(const struct writer *w, uint64_t *bytes_out, uint64_t *errors);
#endif
