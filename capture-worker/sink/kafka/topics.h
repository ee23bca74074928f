/* topics.h - topics of a Kafka cluster: looking up, creating, reading their limits (sinks.md 6.2, 6.3).  All calls block. */
#ifndef ML_WORKER_SINK_KAFKA_TOPICS_H
#define ML_WORKER_SINK_KAFKA_TOPICS_H
#include "capture-worker/sink/kafka/client.h"

/* What the start-up checks found out. */
struct kafka_limits {
	int partitions;           /* of the default topic: those to use */
	size_t max_message_bytes; /* effective */
};

/*
 * 1: *rkt is a handle of the topic (the caller destroys it) and *partitions its count; 0: there is no such topic; -1:
 * ErrKafkaNewProducer.
 */
int kafka_topic_find(struct kafka_client *c, const struct kafka_options *o, const char *name, rd_kafka_topic_t **rkt,
	int *partitions, struct ml_err *err);
/* Creates the topic if that is allowed, waits until it is visible, and finds it: 0 or -1 with the code of sinks.md 6.3. */
int kafka_topic_make(struct kafka_client *c, const struct kafka_options *o, const char *name, int partitions,
	rd_kafka_topic_t **rkt, int *count, struct ml_err *err);
/* The checks of sinks.md 6.2 on a connected client, then creates the default topic if it is missing. */
int kafka_start_checks(
	struct kafka_client *c, const struct kafka_options *o, struct kafka_limits *l, struct ml_err *err);
#endif
