/*
 * spool_dir.h - a folder of this process for what waits to be uploaded: <data-dir>/spool/<own>.  It is locked, so that whoever
 * comes next can tell what a process that died has left, and removes that.  Nothing in it is needed after a crash.
 */
#ifndef ML_WORKER_SINK_STORAGE_S3_SPOOL_DIR_H
#define ML_WORKER_SINK_STORAGE_S3_SPOOL_DIR_H
#include "common/base/err.h"

struct spool_dir {
	char path[1024];
	int fd; /* holds the lock; -1: closed */
};

/* data_dir NULL or "": the folder for temporary files.  ErrStorageSinkSendFailed. */
int spool_dir_open(struct spool_dir *d, const char *data_dir, struct ml_err *err);
/* Removes it and what is in it; a closed one is fine. */
void spool_dir_close(struct spool_dir *d);
#endif
