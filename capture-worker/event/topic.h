/* topic.h - a topic that rows go to: opened by the sink for the dispatcher, read by encoders. */
#ifndef ML_WORKER_EVENT_TOPIC_H
#define ML_WORKER_EVENT_TOPIC_H
#include <stdatomic.h>

#include "capture-worker/event/schema.h"

struct ml_topic {
	struct ml_text name;
	atomic_int partitions; /* > 0; the sink may raise it from its own thread */
	void *sink;            /* the sink's own handle (rd_kafka_topic_t); set by it in open_topic */
};
#endif
