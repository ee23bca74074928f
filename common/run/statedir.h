/*
 * statedir.h - the folder in which a shard keeps what it needs to resume exactly (journal, table ids, prepared
 * transactions): data-dir/shards/<namespace>/<changefeed>-<shard>.  Made by the worker, removed with the changefeed.
 */
#ifndef ML_COMMON_RUN_STATEDIR_H
#define ML_COMMON_RUN_STATEDIR_H
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"

/* The path into buf; makes the folder and those above it.  0, or -1: ErrDataDir. */
int ml_state_dir_make(char *buf, size_t size, const char *data_dir, const char *ns, const char *changefeed,
	uint32_t shard, struct ml_err *err);
/* Removes the folder with the files in it; one that is not there is fine.  0, or -1: ErrDataDir. */
int ml_state_dir_remove(
	const char *data_dir, const char *ns, const char *changefeed, uint32_t shard, struct ml_err *err);
#endif
