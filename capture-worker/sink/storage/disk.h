/*
 * disk.h - files that are never seen half written: everything goes to "<name>.tmp.<uuid>" in the same directory, is synced,
 * renamed, and the directory is synced (sinks.md 4.8).  Errors are ErrStorageSinkSendFailed with path and errno.
 */
#ifndef ML_WORKER_SINK_STORAGE_DISK_H
#define ML_WORKER_SINK_STORAGE_DISK_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"

#define DISK_PATH_MAX 4096

/* A name of a schema or table as one path element: '/' as %2F, "." and ".." as %2E and %2E%2E; appended. */
void disk_escape(struct ml_buf *out, const char *name, size_t len);
/* Makes the directory and those above it that are missing; each new one is synced into its parent. */
int disk_make_dirs(const char *path, struct ml_err *err);
int disk_sync_dir(const char *path, struct ml_err *err);
/*
 * Who writes here, as text that is the same in every run of it and no other's.  Temporary files bear a mark of it, so that what an
 * earlier run left behind is known and goes at once; a process has one owner, and runs of one owner never overlap.
 */
void disk_own(const char *owner);
/* "<name>.tmp.<uuid>" */
void disk_tmp_name(char *out, size_t size, const char *name);
/* Writes all of it; -1 with errno. */
int disk_write(int fd, const char *p, size_t n);
/* Writes dir/name whole.  sync: it also survives a power failure; without, an older or empty one may be there after it. */
int disk_put(const char *dir, const char *name, const char *text, size_t len, bool sync, struct ml_err *err);
/* Renames from to to unless to exists and is not empty: 0 renamed, 1 it exists, -1. */
int disk_rename_new(const char *from, const char *to, struct ml_err *err);
/* Removes temporary files of earlier runs: of this owner, or older than a day. */
void disk_sweep(const char *dir);
#endif
