/*
 * cleanup.h - removes data files by age (sinks.md 4.9): on a schedule, in a thread of its own, whatever lies below a date
 * directory that is older than the checkpoint by more than so many days.  Schema files, the metadata file and tables whose
 * names look like dates stay.  Errors are logged and harm nobody: the next run tries again.
 */
#ifndef ML_WORKER_SINK_STORAGE_CLEANUP_H
#define ML_WORKER_SINK_STORAGE_CLEANUP_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "capture-worker/sink/storage/options.h"
#include "common/base/ts.h"
#include "common/text/tz.h"

struct cleanup;

/* NULL when the options do not ask for it.  o and tz must outlive it; wall_ms: now. */
struct cleanup *cleanup_new(
	const struct storage_options *o, const struct ml_tz *tz, const char *object, uint64_t wall_ms);
/*
 * Starts a run if one is due at wall_ms and none is going on; NULL is fine.  checkpoint: the last one that was written to the
 * metadata file; with 0 nothing is removed.
 */
void cleanup_tick(struct cleanup *c, ml_ts checkpoint, uint64_t wall_ms);
/* Ends a run that is going on, in bounded time; NULL is fine.  False: its thread is stuck and still uses the store. */
bool cleanup_free(struct cleanup *c);

/*
 * One run in a folder: removes what is below date directories before `before` ("2026-11-25"), and directories that this empties.  *stop
 * ends it early.  Counts files into *removed and what could not be done into *failed; *first_errno is that of the first.
 */
void cleanup_run(const char *root, const char *before, const atomic_bool *stop, uint64_t *removed, uint64_t *failed,
	int *first_errno);
/* Does the path below the root lie below a date directory before `before`?  "db/t/7/2026-11-25/CDC000001.json" */
bool cleanup_is_old(const char *path, const char *before);
#endif
