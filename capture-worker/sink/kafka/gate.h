/*
 * gate.h - what waits for librdkafka, a lane a partition.  A lane gives one request's worth at a time, a set, and has two of
 * them under way at most; all lanes together have a few a broker.
 *
 * librdkafka's broker thread polls without a pause for as long as anything waits in its own queues while its requests in flight
 * are at their limit: with a queue before it nothing does, and requests are as full as they can be.
 *
 * The first set of a lane is one message, alone under way.  A broker that has no state for a producer accepts any first
 * sequence number: when the very first request to a partition fails ("not the leader yet") while a second one is on its way,
 * the second is taken, and the retry of the first is answered as a duplicate: acknowledged, and lost.
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

/* Sets under way: of a lane, so that the next is there when one is answered; a broker, below client.c's max.in.flight. */
#define KAFKA_LANE_SETS 2
#define KAFKA_BROKER_SETS 4

struct kafka_lane {
	struct ml_list link; /* of the gate's `ready` while it has messages and may give a set */
	rd_kafka_topic_t *rkt;
	int32_t partition;
	struct ml_msg *head, *tail;     /* waiting */
	unsigned sets;                  /* under way */
	unsigned left[KAFKA_LANE_SETS]; /* messages of each not reported yet, the oldest first: reports come in order */
	bool known;                     /* the partition has acknowledged the first message */
};

struct kafka_gate {
	struct ml_list ready;    /* lanes to serve, the longest waiting first */
	unsigned sets, max_sets; /* under way, and how many may be */
	size_t request_bytes;    /* of one set */
	unsigned in_flight;      /* messages of all lanes */
	rd_kafka_message_t out[KAFKA_GATE_MESSAGES];
};

/* request_bytes: librdkafka's batch.size. */
void kafka_gate_init(struct kafka_gate *g, size_t request_bytes);
void kafka_lane_init(struct kafka_lane *l, rd_kafka_topic_t *rkt, int32_t partition);
/* m waits in lane l; its owner is set; it stays where it is until it is reported. */
void kafka_gate_put(struct kafka_gate *g, struct kafka_lane *l, struct ml_msg *m);
/* Gives away what may be given now; delivery reports carry the ml_msg as _private.  -1: librdkafka refuses. */
int kafka_gate_pump(struct kafka_gate *g, struct ml_err *err);
/* One message of l was reported, well or not; pump afterwards if it returns true. */
bool kafka_gate_reported(struct kafka_gate *g, struct kafka_lane *l);
#endif
