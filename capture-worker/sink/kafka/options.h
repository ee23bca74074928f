/* options.h - the settings of a kafka sink (sinks.md 1.8, protocols.md 15), checked; no connection is made here. */
#ifndef ML_WORKER_SINK_KAFKA_OPTIONS_H
#define ML_WORKER_SINK_KAFKA_OPTIONS_H
#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdint.h>

#include "capture-worker/sink/sink.h"

struct kafka_options {
	char *brokers; /* "h1:9092,h2:9092" */
	char *topic;   /* the default topic */
	char *client_id;
	char *compression;  /* a codec of librdkafka */
	int64_t partitions; /* 0: unset */
	int64_t replication;
	int64_t max_message_bytes; /* as configured; > 0 */
	int64_t max_retry;
	int acks; /* -1, 0, 1 */
	bool auto_create;
	int64_t dial_ms, write_ms, read_ms;
	bool tls, skip_verify, sasl;
	/* Properties for TLS and SASL, name and value, in librdkafka's words.  Secrets: freed with their bytes wiped. */
	struct {
		const char *name;
		char *value;
	} security[24];
	int n_security;
	char *krb5_config; /* for the environment; NULL if not given */
};

/* Everything that can be wrong without a broker; errors are wrapped in ErrKafkaInvalidConfig. */
int kafka_options_init(struct kafka_options *o, const struct ml_sink_env *env, struct ml_err *err);
void kafka_options_fini(struct kafka_options *o);
/* ^[A-Za-z0-9._-]+$ */
bool kafka_client_id_valid(const char *id);
#endif
