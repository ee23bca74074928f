/* store_file.h - files in a folder of a mounted file system: file:///folder. */
#ifndef ML_WORKER_SINK_STORAGE_STORE_FILE_H
#define ML_WORKER_SINK_STORAGE_STORE_FILE_H
#include "capture-worker/sink/storage/store.h"

extern const struct store_ops store_file;
#endif
