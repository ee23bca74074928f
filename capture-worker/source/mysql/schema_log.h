/*
 * schema_log.h - table ids and definitions on disk: state_dir/schema.log, one record after another, each with length and CRC.
 *
 *   ID    ts, id, db, table       this id was given to the table that the group at ts made; found again when it is re-read
 *   DEF   ts, definition          holds from ts on (0: from the start)
 *   GONE  ts, db, table           the table is no more (dropped, renamed away)
 *
 * Written and synced before use, so an id that was shown is never given twice.  When the file is opened for a checkpoint it is
 * written anew: the definitions that hold at the checkpoint, the ids given above it, the counter.  A torn tail is cut off.
 */
#ifndef ML_WORKER_SOURCE_MYSQL_SCHEMA_LOG_H
#define ML_WORKER_SOURCE_MYSQL_SCHEMA_LOG_H
#include <stdbool.h>
#include <stdint.h>

#include "capture-worker/event/schema.h"
#include "common/base/err.h"

struct ml_schema_log;

/*
 * Calls def for each definition that holds at checkpoint_ts (a new reference, the callee's; order of the file; confirmed as it
 * was put).  existed: there was a file with records.  dir NULL: nothing is kept.  ErrIO.
 */
int ml_schema_log_open(struct ml_schema_log **out, const char *dir, ml_ts checkpoint_ts,
	void (*def)(void *arg, struct ml_schema *s, bool confirmed), void *arg, bool *existed, struct ml_err *err);
void ml_schema_log_close(struct ml_schema_log *l); /* NULL is fine */
/* The id that was given for the table at ts before, or the next new one.  Takes effect on disk with ml_schema_log_sync. */
int64_t ml_schema_log_id(struct ml_schema_log *l, ml_ts ts, struct ml_text db, struct ml_text table);
void ml_schema_log_def(struct ml_schema_log *l, ml_ts ts, const struct ml_schema *s, bool confirmed);
void ml_schema_log_gone(struct ml_schema_log *l, ml_ts ts, struct ml_text db, struct ml_text table);
/* Writes and syncs what was put since the last time; nothing to do is cheap.  ErrIO: nothing new may be used. */
int ml_schema_log_sync(struct ml_schema_log *l, struct ml_err *err);
#endif
