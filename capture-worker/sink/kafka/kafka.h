/* kafka.h - the sink that writes encoded messages to Apache Kafka through librdkafka (sinks.md 6, protocols.md 14 and 15). */
#ifndef ML_WORKER_SINK_KAFKA_KAFKA_H
#define ML_WORKER_SINK_KAFKA_KAFKA_H
#include "capture-worker/sink/sink.h"

extern const struct ml_sink_ops ml_sink_kafka;
#endif
