#include "capture-worker/sink/kafka/client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "common/run/estate.h"
#include "common/run/log.h"
#include "common/run/loop.h"

/*
 * Retries of one produce request by librdkafka for each of the user's max-retry.  A retry of TiCDC's client includes up to
 * ten look-ups of the leader 200 ms apart; ours are 100 ms apart and look up nothing.
 */
#define RETRIES_PER_RETRY 20
/* How long all brokers may refuse connections at open before we believe it: a few rounds of reconnecting. */
#define ALL_REFUSE_MS 1500

static void
on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
	const struct kafka_client *c = rd_kafka_opaque(rk);
	/* A lost connection is "error" there; here the changefeed's own error tells when it matters. */
	enum ml_level ours = level <= LOG_CRIT      ? ML_ERROR
			     : level <= LOG_WARNING ? ML_WARN
			     : level <= LOG_INFO    ? ML_INFO
						    : ML_DEBUG;

	ML_LOG(ours, c->object, "kafka client: %s: %s", facility, text);
}

static void
on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
	struct kafka_client *c = opaque;
	char text[sizeof(c->last)];

	snprintf(text, sizeof(text), "%s", reason);
	if (code == RD_KAFKA_RESP_ERR__FATAL) {
		rd_kafka_fatal_error(rk, text, sizeof(text));
		atomic_store(&c->fatal, true);
	} else if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
		atomic_store(&c->all_down_ms, ml_now_ms());
		return; /* the text of the last broker says more */
	} else if (code == RD_KAFKA_RESP_ERR__AUTHENTICATION || code == RD_KAFKA_RESP_ERR__SSL) {
		atomic_store(&c->refused, true);
	}
	pthread_mutex_lock(&c->lock);
	memcpy(c->last, text, sizeof(text));
	pthread_mutex_unlock(&c->lock);
}

void
kafka_client_last(struct kafka_client *c, char *buf, size_t size, const char *fallback)
{
	pthread_mutex_lock(&c->lock);
	snprintf(buf, size, "%s", c->last[0] != '\0' ? c->last : fallback);
	pthread_mutex_unlock(&c->lock);
}

/* A value of librdkafka's; false with its text in why. */
static bool
set(rd_kafka_conf_t *conf, const char *name, const char *value, char *why, size_t size)
{
	return rd_kafka_conf_set(conf, name, value, why, size) == RD_KAFKA_CONF_OK;
}

static bool
set_int(rd_kafka_conf_t *conf, const char *name, int64_t value, char *why, size_t size)
{
	char text[24];

	snprintf(text, sizeof(text), "%lld", (long long)value);
	return set(conf, name, text, why, size);
}

static int
on_connect(int sock, const struct sockaddr *addr, int len, const char *id, void *opaque)
{
	(void)id;
	(void)opaque;
	if (connect(sock, addr, (socklen_t)len) != 0 && errno != EINPROGRESS)
		return errno;
	return ml_estate_add(sock) == 0 ? 0 : errno;
}

static int
on_close(int sock, void *opaque)
{
	(void)opaque;
	ml_estate_end(sock);
	return close(sock);
}

static int64_t
clamp(int64_t v, int64_t lo, int64_t hi)
{
	return v < lo ? lo : v > hi ? hi : v;
}

static bool
set_connection(rd_kafka_conf_t *conf, const struct kafka_options *o, char *why, size_t n)
{
	static const char *const protocols[2][2] = { { "plaintext", "sasl_plaintext" }, { "ssl", "sasl_ssl" } };
	int64_t io_ms = o->read_ms > o->write_ms ? o->read_ms : o->write_ms;

	return set(conf, "bootstrap.servers", o->brokers, why, n) && set(conf, "client.id", o->client_id, why, n) &&
	       set(conf, "security.protocol", protocols[o->tls][o->sasl], why, n) &&
	       set_int(conf, "socket.timeout.ms", clamp(io_ms, 10, 300000), why, n) &&
	       set_int(conf, "socket.connection.setup.timeout.ms", clamp(o->dial_ms, 1000, 300000), why, n) &&
	       set_int(conf, "api.version.request.timeout.ms", clamp(io_ms, 1, 300000), why, n) &&
	       set(conf, "socket.keepalive.enable", "true", why, n) &&
	       set(conf, "socket.nagle.disable", "true", why, n) &&
	       /* A broker that restarts is found again within a second. */
	       set(conf, "reconnect.backoff.ms", "100", why, n) &&
	       set(conf, "reconnect.backoff.max.ms", "1000", why, n) &&
	       set(conf, "topic.metadata.refresh.fast.interval.ms", "200", why, n) &&
	       set(conf, "allow.auto.create.topics", "false", why, n) &&
	       /* Idle connections are closed by brokers every day; that is no news. */
	       set(conf, "log.connection.close", "false", why, n);
}

static bool
set_producing(rd_kafka_conf_t *conf, const struct kafka_options *o, size_t max_bytes, char *why, size_t n)
{
	int64_t retries = clamp(o->max_retry * RETRIES_PER_RETRY, 0, INT32_MAX);
	int64_t message_bytes = clamp((int64_t)max_bytes, 1000, 1000000000);
	int64_t queue_bytes = message_bytes * 2 > KAFKA_QUEUE_BYTES ? message_bytes * 2 : KAFKA_QUEUE_BYTES;
	/* Order and no duplicates under retries; needs all acknowledgements and at least one retry. */
	bool idempotent = o->acks == -1 && retries > 0;

	return set_int(conf, "acks", o->acks, why, n) && set_int(conf, "retries", retries, why, n) &&
	       set(conf, "retry.backoff.ms", "100", why, n) &&
	       set(conf, "enable.idempotence", idempotent ? "true" : "false", why, n) &&
	       /*
		 * The idempotent producer keeps order with up to five.  What it cannot keep safe, the first request to a
		 * partition, kafka/gate.h sends alone.  A gap in its sequence ends this sink instead of being closed over.
		 */
	       set(conf, "max.in.flight", idempotent ? "5" : "1", why, n) &&
	       set(conf, "enable.gapless.guarantee", idempotent ? "true" : "false", why, n) &&
	       /* No message times out by its age in the queue: a slow broker only means lag.  The sink watches progress. */
	       set(conf, "message.timeout.ms", "0", why, n) && set(conf, "request.timeout.ms", "10000", why, n) &&
	       /* Long enough for one request's worth of messages to be put in: kafka/gate.h gives no more than that at a time. */
	       set(conf, "linger.ms", "0.3", why, n) && set(conf, "compression.codec", o->compression, why, n) &&
	       set_int(conf, "queue.buffering.max.messages", KAFKA_QUEUE_MESSAGES, why, n) &&
	       set_int(conf, "queue.buffering.max.kbytes", queue_bytes / 1024, why, n) &&
	       set_int(conf, "message.max.bytes", message_bytes, why, n) &&
	       set_int(conf, "batch.size", clamp((int64_t)max_bytes, 1, KAFKA_REQUEST_BYTES), why, n);
}

int
kafka_client_open(struct kafka_client *c, const struct kafka_options *o, size_t max_bytes,
	void (*report)(rd_kafka_t *rk, const rd_kafka_message_t *m, void *client), const char *object,
	struct ml_err *err)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char why[256] = "";
	bool ok;

	snprintf(c->object, sizeof(c->object), "%s", object != NULL ? object : "-");
	c->last[0] = '\0';
	atomic_store(&c->all_down_ms, 0);
	atomic_store(&c->refused, false);
	atomic_store(&c->fatal, false);
	pthread_mutex_init(&c->lock, NULL);
	if (o->krb5_config != NULL)
		setenv("KRB5_CONFIG", o->krb5_config, 1);
	rd_kafka_conf_set_opaque(conf, c);
	rd_kafka_conf_set_log_cb(conf, on_log);
	rd_kafka_conf_set_error_cb(conf, on_error);
	/* What a broker has received it appends, whatever becomes of this process. */
	rd_kafka_conf_set_connect_cb(conf, on_connect);
	rd_kafka_conf_set_closesocket_cb(conf, on_close);
	if (report != NULL)
		rd_kafka_conf_set_dr_msg_cb(conf, report);
	ok = set_connection(conf, o, why, sizeof(why)) &&
	     (max_bytes == 0 || set_producing(conf, o, max_bytes, why, sizeof(why)));
	for (int i = 0; ok && i < o->n_security; i++)
		if (!set(conf, o->security[i].name, o->security[i].value, why, sizeof(why))) {
			/* librdkafka's text may repeat the value, which may be a secret. */
			snprintf(why, sizeof(why), "the Kafka client refuses its property %s", o->security[i].name);
			ok = false;
		}
	if (!ok) {
		rd_kafka_conf_destroy(conf);
		pthread_mutex_destroy(&c->lock);
		return ML_ERR(err, ErrKafkaInvalidConfig, 0, why);
	}
	c->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
	if (c->rk == NULL) {
		rd_kafka_conf_destroy(conf);
		pthread_mutex_destroy(&c->lock);
		return ML_ERR(err, ErrKafkaNewProducer, 0, why);
	}
	return 0;
}

int
kafka_client_wait(struct kafka_client *c, const struct kafka_options *o, struct ml_err *err)
{
	uint64_t start = ml_now_ms(), lived = 0;
	char text[sizeof(c->last)];

	do {
		const struct rd_kafka_metadata *md = NULL;
		rd_kafka_resp_err_t rc = rd_kafka_metadata(c->rk, 0, NULL, &md, 200);

		rd_kafka_poll(c->rk, 0);
		if (rc == RD_KAFKA_RESP_ERR_NO_ERROR) {
			rd_kafka_metadata_destroy(md);
			atomic_store(&c->all_down_ms, 0);
			atomic_store(&c->refused, false);
			return 0;
		}
		if (atomic_load(&c->refused) || atomic_load(&c->fatal))
			break;
		lived = ml_now_ms() - start;
	} while (lived < (uint64_t)o->dial_ms && !(atomic_load(&c->all_down_ms) != 0 && lived >= ALL_REFUSE_MS));
	kafka_client_last(c, text, sizeof(text), "no broker answers");
	return ML_ERR(err, ErrKafkaNewProducer, 0, text);
}

static void *
destroy_main(void *rk)
{
	rd_kafka_destroy(rk);
	return NULL;
}

bool
kafka_client_close(struct kafka_client *c, int wait_ms)
{
	struct timespec until;
	bool gone = true;
	pthread_t t;

	if (c->rk == NULL)
		return true;
	/* rd_kafka_destroy joins threads that may sit in a name look-up or a TLS handshake. */
	if (pthread_create(&t, NULL, destroy_main, c->rk) == 0) {
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += wait_ms / 1000;
		until.tv_nsec += wait_ms % 1000 * 1000000L;
		if (until.tv_nsec >= 1000000000L) {
			until.tv_sec++;
			until.tv_nsec -= 1000000000L;
		}
		gone = pthread_timedjoin_np(t, NULL, &until) == 0;
		if (!gone) {
			pthread_detach(t);
			ml_warn(c->object, "the Kafka client takes long to close; left behind");
		}
	} else {
		gone = false;
	}
	c->rk = NULL;
	if (gone)
		pthread_mutex_destroy(&c->lock);
	return gone;
}
