/*
 * gate.h - what waits for librdkafka, a lane a partition: each is given one request's worth at a time, and as many lanes are
 * served at once as there are brokers.
 *
 * librdkafka keeps order with one request in flight per broker, but its broker thread then polls without a pause for as long
 * as anything waits in its own queues: with a queue before it nothing does, and a request is as full as it can be.
 *
 * Not thread safe: the sink's lock is held for every call.
 */
#ifndef ML_WORKER_SINK_KAFKA_GATE_H
#define ML_WORKER_SINK_KAFKA_GATE_H
#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stddef.h>

#include "capture-worker/event/msg.h"
#include "common/base/err.h"
#include "common/base/list.h"

/* Messages of one request; librdkafka's own limit is 10,000. */
#define KAFKA_GATE_MESSAGES 4096

struct kafka_lane {
	struct ml_list link;		/* of the gate's `ready` while it has messages and is not being served */
	rd_kafka_topic_t *rkt;
	int32_t partition;
	struct ml_msg *head, *tail;	/* waiting */
	unsigned in_flight;		/* messages given away and not reported */
};

struct kafka_gate {
	struct ml_list ready;		/* lanes to serve, the longest waiting first */
	unsigned serving, brokers;	/* lanes with messages in flight, and how many may have */
	size_t request_bytes;		/* of one request */
	unsigned in_flight;		/* messages of all lanes */
	rd_kafka_message_t out[KAFKA_GATE_MESSAGES];
};

/* request_bytes: librdkafka's batch.size. */
void kafka_gate_init(struct kafka_gate *g, size_t request_bytes);
void kafka_lane_init(struct kafka_lane *l, rd_kafka_topic_t *rkt, int32_t partition);
/* m waits in lane l; its owner is set; it stays where it is until it is reported. */
void kafka_gate_put(struct kafka_gate *g, struct kafka_lane *l, struct ml_msg *m);
/* Gives away what may be given now; delivery reports carry the ml_msg as _private.  -1: librdkafka refuses. */
int kafka_gate_pump(struct kafka_gate *g, struct ml_err *err);
/* One message of l was reported; pump afterwards if it returns true. */
bool kafka_gate_reported(struct kafka_gate *g, struct kafka_lane *l);
#endif
