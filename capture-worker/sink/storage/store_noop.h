/* store_noop.h - noop://: keeps nothing, so that what stands before it can be measured. */
#ifndef ML_WORKER_SINK_STORAGE_STORE_NOOP_H
#define ML_WORKER_SINK_STORAGE_STORE_NOOP_H
#include "capture-worker/sink/storage/store.h"

extern const struct store_ops store_noop;
#endif
