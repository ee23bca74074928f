/* storage.h - the sink that writes files: schemas, rows and the checkpoint, laid out as TiCDC's storage sink does (sinks.md 4). */
#ifndef ML_WORKER_SINK_STORAGE_STORAGE_H
#define ML_WORKER_SINK_STORAGE_STORAGE_H
#include "capture-worker/sink/sink.h"

extern const struct ml_sink_ops ml_sink_storage;
#endif
