/* blackhole.h - the sink that takes everything and keeps nothing: for measuring what stands before a sink. */
#ifndef ML_WORKER_SINK_BLACKHOLE_H
#define ML_WORKER_SINK_BLACKHOLE_H
#include "capture-worker/sink/sink.h"

extern const struct ml_sink_ops ml_sink_blackhole;
#endif
