/*
 * client.h - one librdkafka producer handle: its configuration, its log lines and errors, opening within a bounded time and
 * closing without hanging.
 */
#ifndef ML_WORKER_SINK_KAFKA_CLIENT_H
#define ML_WORKER_SINK_KAFKA_CLIENT_H
#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "capture-worker/sink/kafka/options.h"

/* Most messages librdkafka may hold; beyond it the writer waits for delivery reports. */
#define KAFKA_QUEUE_MESSAGES 200000
/* Most bytes of them; never reached, since gate.h gives no more than a request at a time to each broker. */
#define KAFKA_QUEUE_BYTES (32 << 20)
/* A request's worth of messages: what brokers take by default, 1 MiB, with room for its head. */
#define KAFKA_REQUEST_BYTES 1000000

struct kafka_client {
	rd_kafka_t *rk;
	char object[128]; /* for logs; a copy, since a thread left behind may still log */
	void *arg;        /* the owner's, for its delivery reports */
	/* Since when no broker is connected, monotonic; 0: some are.  Cleared by the owner when something went well. */
	_Atomic uint64_t all_down_ms;
	atomic_bool refused; /* authentication or TLS failed: trying again would not help */
	atomic_bool fatal;   /* the idempotent producer can no longer promise order */
	pthread_mutex_t lock;
	char last[320]; /* text of the newest error; under lock */
};

/*
 * Makes the handle; connects nothing yet.  max_bytes: effective max-message-bytes, 0 for a handle that only asks questions.
 * report: delivery reports, or NULL; its opaque is the client.  Errors: ErrKafkaInvalidConfig for a setting that librdkafka
 * refuses, ErrKafkaNewProducer else.
 */
int kafka_client_open(struct kafka_client *c, const struct kafka_options *o, size_t max_bytes,
	void (*report)(rd_kafka_t *rk, const rd_kafka_message_t *m, void *client), const char *object,
	struct ml_err *err);
/*
 * Waits until a broker has answered: ErrKafkaNewProducer when none did within the dial timeout, earlier when all refuse or
 * the credentials are wrong.  Serves callbacks meanwhile.
 */
int kafka_client_wait(struct kafka_client *c, const struct kafka_options *o, struct ml_err *err);
/*
 * Gives the handle up; returns after at most wait_ms, whatever librdkafka's threads are doing.  False: they are still there and
 * may use c, so its memory must stay.
 */
bool kafka_client_close(struct kafka_client *c, int wait_ms);
/* The newest error's text; fallback if there was none. */
void kafka_client_last(struct kafka_client *c, char *buf, size_t size, const char *fallback);
#endif
