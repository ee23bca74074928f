/* registry.c - the stores of storage sinks; a new one is its file and a line here. */
#include "capture-worker/sink/storage/store.h"

#include "capture-worker/sink/storage/s3/store_s3.h"
#include "capture-worker/sink/storage/store_file.h"
#include "capture-worker/sink/storage/store_noop.h"

const struct store_ops *const stores[] = { &store_file, &store_s3, &store_gcs, &store_azure, &store_noop, NULL };
