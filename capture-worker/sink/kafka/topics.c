#include "capture-worker/sink/kafka/topics.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/run/log.h"
#include "common/run/loop.h"

/* A new topic's partitions when nothing says how many (sinks.md 6.2). */
#define NEW_TOPIC_PARTITIONS 3
/* A message grows on its way (record headers, re-compression); TiCDC leaves this much room below the broker's limit. */
#define GROWTH_BYTES 128
/* Looks at a topic that was just created: sinks.md 6.3 gives it 6 looks up to 1 s apart; ours are closer together. */
#define VISIBLE_TRIES 20
#define VISIBLE_PAUSE_MS 250
#define QUERY_TRIES 3
#define CREATED_BY_US_MS 10000

static void
pause_ms(int ms)
{
	struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };

	nanosleep(&ts, NULL);
}

int
kafka_topic_find(struct kafka_client *c, const struct kafka_options *o, const char *name, rd_kafka_topic_t **rkt,
	int *partitions, struct ml_err *err)
{
	rd_kafka_topic_t *t = rd_kafka_topic_new(c->rk, name, NULL);
	rd_kafka_resp_err_t rc = RD_KAFKA_RESP_ERR_NO_ERROR;

	if (t == NULL)
		return ML_ERRF(err, ErrKafkaNewProducer, rd_kafka_last_error(), "new kafka producer: topic %.249s: %s",
			name, rd_kafka_err2str(rd_kafka_last_error()));
	for (int i = 0; i < QUERY_TRIES; i++) {
		const struct rd_kafka_metadata *md = NULL;
		int n = 0;

		rc = rd_kafka_metadata(c->rk, 0, t, &md, (int)(o->read_ms / QUERY_TRIES) + 1);
		if (rc == RD_KAFKA_RESP_ERR_NO_ERROR) {
			if (md->topic_cnt == 1) {
				rc = md->topics[0].err;
				n = md->topics[0].partition_cnt;
			} else {
				rc = RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
			}
			rd_kafka_metadata_destroy(md);
		}
		if (rc == RD_KAFKA_RESP_ERR_NO_ERROR && n > 0) {
			*rkt = t;
			*partitions = n;
			return 1;
		}
		if (rc == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) {
			rd_kafka_topic_destroy(t);
			return 0;
		}
		if (rc != RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE && rc != RD_KAFKA_RESP_ERR__TIMED_OUT &&
			rc != RD_KAFKA_RESP_ERR__TRANSPORT && rc != RD_KAFKA_RESP_ERR_NO_ERROR)
			break;
		pause_ms(VISIBLE_PAUSE_MS);
	}
	rd_kafka_topic_destroy(t);
	return ML_ERRF(
		err, ErrKafkaNewProducer, rc, "new kafka producer: topic %.249s: %s", name, rd_kafka_err2str(rc));
}

/* Asks the cluster to create the topic; "already exists" is a success. */
static int
create(struct kafka_client *c, const struct kafka_options *o, const char *name, int partitions, struct ml_err *err)
{
	char why[256] = "";
	rd_kafka_NewTopic_t *t = rd_kafka_NewTopic_new(name, partitions, (int)o->replication, why, sizeof(why));
	rd_kafka_AdminOptions_t *opt;
	rd_kafka_queue_t *q;
	rd_kafka_event_t *ev;
	rd_kafka_resp_err_t rc = RD_KAFKA_RESP_ERR__TIMED_OUT;

	if (t == NULL)
		return ML_ERR(err, ErrKafkaCreateTopic, 0, why);
	opt = rd_kafka_AdminOptions_new(c->rk, RD_KAFKA_ADMIN_OP_CREATETOPICS);
	rd_kafka_AdminOptions_set_request_timeout(opt, CREATED_BY_US_MS, NULL, 0);
	q = rd_kafka_queue_new(c->rk);
	rd_kafka_CreateTopics(c->rk, &t, 1, opt, q);
	ev = rd_kafka_queue_poll(q, CREATED_BY_US_MS + 1000);
	if (ev != NULL) {
		const rd_kafka_CreateTopics_result_t *r = rd_kafka_event_CreateTopics_result(ev);
		const char *text = rd_kafka_event_error_string(ev);
		size_t n = 0;

		rc = rd_kafka_event_error(ev);
		if (rc == RD_KAFKA_RESP_ERR_NO_ERROR && r != NULL) {
			const rd_kafka_topic_result_t **topics = rd_kafka_CreateTopics_result_topics(r, &n);

			if (n == 1) {
				rc = rd_kafka_topic_result_error(topics[0]);
				text = rd_kafka_topic_result_error_string(topics[0]);
			}
		}
		snprintf(why, sizeof(why), "%s: %s", name, text != NULL ? text : rd_kafka_err2str(rc));
		rd_kafka_event_destroy(ev);
	} else {
		snprintf(why, sizeof(why), "%s: no answer", name);
	}
	rd_kafka_queue_destroy(q);
	rd_kafka_AdminOptions_destroy(opt);
	rd_kafka_NewTopic_destroy(t);
	if (rc == RD_KAFKA_RESP_ERR_NO_ERROR || rc == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
		return 0;
	return ML_ERR(err, ErrKafkaCreateTopic, rc, why);
}

int
kafka_topic_make(struct kafka_client *c, const struct kafka_options *o, const char *name, int partitions,
	rd_kafka_topic_t **rkt, int *count, struct ml_err *err)
{
	if (!o->auto_create)
		return ML_ERRF(err, ErrKafkaInvalidConfig, 0,
			"kafka config invalid: `auto-create-topic` is false, and %s not found", name);
	if (create(c, o, name, partitions, err) != 0)
		return -1;
	ml_info(c->object, "created a topic topic=%s partitions=%d replication_factor=%d", name, partitions,
		(int)o->replication);
	for (int i = 0; i < VISIBLE_TRIES; i++) {
		int rc = kafka_topic_find(c, o, name, rkt, count, err);

		if (rc == 1)
			return 0;
		pause_ms(VISIBLE_PAUSE_MS);
	}
	return ML_ERRF(
		err, ErrKafkaCreateTopic, 0, "kafka create topic failed: %s was created but is not visible", name);
}

/* The two settings the checks look at; -1: not visible. */
struct settings {
	int64_t min_isr, max_bytes;
};

static void
read_entries(const rd_kafka_ConfigResource_t *res, struct settings *s)
{
	size_t n = 0;
	const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(res, &n);

	for (size_t i = 0; i < n; i++) {
		const char *name = rd_kafka_ConfigEntry_name(entries[i]),
			   *value = rd_kafka_ConfigEntry_value(entries[i]);

		if (value == NULL)
			continue;
		if (strcmp(name, "min.insync.replicas") == 0)
			s->min_isr = strtoll(value, NULL, 10);
		else if (strcmp(name, "max.message.bytes") == 0 || strcmp(name, "message.max.bytes") == 0)
			s->max_bytes = strtoll(value, NULL, 10);
	}
}

/* Describes a topic or a broker; the error's text in why. */
static rd_kafka_resp_err_t
describe(struct kafka_client *c, rd_kafka_ResourceType_t type, const char *name, struct settings *s, char *why,
	size_t size)
{
	rd_kafka_ConfigResource_t *res = rd_kafka_ConfigResource_new(type, name);
	rd_kafka_AdminOptions_t *opt = rd_kafka_AdminOptions_new(c->rk, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
	rd_kafka_queue_t *q = rd_kafka_queue_new(c->rk);
	rd_kafka_resp_err_t rc = RD_KAFKA_RESP_ERR__TIMED_OUT;
	rd_kafka_event_t *ev;

	*s = (struct settings){ -1, -1 };
	snprintf(why, size, "no answer");
	rd_kafka_AdminOptions_set_request_timeout(opt, CREATED_BY_US_MS, NULL, 0);
	rd_kafka_DescribeConfigs(c->rk, &res, 1, opt, q);
	ev = rd_kafka_queue_poll(q, CREATED_BY_US_MS + 1000);
	if (ev != NULL) {
		const rd_kafka_DescribeConfigs_result_t *r = rd_kafka_event_DescribeConfigs_result(ev);
		size_t n = 0;

		rc = rd_kafka_event_error(ev);
		snprintf(why, size, "%s",
			rd_kafka_event_error_string(ev) != NULL ? rd_kafka_event_error_string(ev)
								: rd_kafka_err2str(rc));
		if (rc == RD_KAFKA_RESP_ERR_NO_ERROR && r != NULL) {
			const rd_kafka_ConfigResource_t **all = rd_kafka_DescribeConfigs_result_resources(r, &n);

			if (n == 1) {
				rc = rd_kafka_ConfigResource_error(all[0]);
				if (rc == RD_KAFKA_RESP_ERR_NO_ERROR)
					read_entries(all[0], s);
				else
					snprintf(why, size, "%s", rd_kafka_err2str(rc));
			}
		}
		rd_kafka_event_destroy(ev);
	}
	rd_kafka_queue_destroy(q);
	rd_kafka_AdminOptions_destroy(opt);
	rd_kafka_ConfigResource_destroy(res);
	return rc;
}

static bool
not_allowed(rd_kafka_resp_err_t rc)
{
	return rc == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED ||
	       rc == RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED;
}

/* Settings of the topic, and of the controller's broker for what the topic does not tell. */
static int
find_settings(
	struct kafka_client *c, const struct kafka_options *o, bool exists, struct settings *s, struct ml_err *err)
{
	struct settings broker = { -1, -1 };
	rd_kafka_resp_err_t rc;
	char why[256], id[16];

	*s = broker;
	if (exists) {
		rc = describe(c, RD_KAFKA_RESOURCE_TOPIC, o->topic, s, why, sizeof(why));
		if (rc != RD_KAFKA_RESP_ERR_NO_ERROR && !not_allowed(rc))
			return ML_ERRF(err, ErrKafkaNewProducer, rc, "new kafka producer: settings of topic %s: %s",
				o->topic, why);
		if (s->min_isr >= 0 && s->max_bytes >= 0)
			return 0;
	}
	snprintf(id, sizeof(id), "%d", (int)rd_kafka_controllerid(c->rk, (int)o->read_ms));
	rc = describe(c, RD_KAFKA_RESOURCE_BROKER, id, &broker, why, sizeof(why));
	if (rc != RD_KAFKA_RESP_ERR_NO_ERROR && !(exists && not_allowed(rc)))
		return ML_ERRF(err, ErrKafkaNewProducer, rc, "new kafka producer: settings of broker %s: %s", id, why);
	if (s->min_isr < 0)
		s->min_isr = broker.min_isr;
	if (s->max_bytes < 0)
		s->max_bytes = broker.max_bytes;
	return 0;
}

int
kafka_start_checks(struct kafka_client *c, const struct kafka_options *o, struct kafka_limits *l, struct ml_err *err)
{
	rd_kafka_topic_t *rkt = NULL;
	struct settings s;
	int count = 0, exists = kafka_topic_find(c, o, o->topic, &rkt, &count, err);

	if (exists < 0)
		return -1;
	if (exists)
		rd_kafka_topic_destroy(rkt);
	if (find_settings(c, o, exists, &s, err) != 0)
		return -1;
	if (o->acks == -1) {
		if (s.min_isr < 0)
			ml_warn(c->object,
				"min.insync.replicas is not visible, so replication-factor cannot be checked");
		else if (o->replication < s.min_isr)
			return ML_ERRF(err, ErrKafkaInvalidConfig, 0,
				"kafka config invalid: `replication-factor` %d is smaller than the `min.insync.replicas` %lld of topic %s; set replication-factor to at least that",
				(int)o->replication, (long long)s.min_isr, o->topic);
	}
	l->max_message_bytes = (size_t)o->max_message_bytes;
	if (s.max_bytes < 0 && !exists)
		return ML_ERRF(err, ErrKafkaNewProducer, 0,
			"new kafka producer: message.max.bytes of the broker is not visible");
	if (s.max_bytes >= 0 && o->max_message_bytes > s.max_bytes - GROWTH_BYTES) {
		if (s.max_bytes <= GROWTH_BYTES)
			return ML_ERRF(err, ErrKafkaInvalidConfig, 0,
				"kafka config invalid: the broker takes messages of %lld bytes only",
				(long long)s.max_bytes);
		l->max_message_bytes = (size_t)(s.max_bytes - GROWTH_BYTES);
		ml_warn(c->object, "max-message-bytes is lowered to what the topic takes given=%lld used=%zu",
			(long long)o->max_message_bytes, l->max_message_bytes);
	}
	l->partitions = (int)o->partitions;
	if (!exists) {
		if (l->partitions == 0)
			l->partitions = NEW_TOPIC_PARTITIONS;
		if (kafka_topic_make(c, o, o->topic, l->partitions, &rkt, &count, err) != 0)
			return -1;
		rd_kafka_topic_destroy(rkt);
	} else if (l->partitions == 0) {
		l->partitions = count;
	}
	if (l->partitions > count) {
		ML_ERRF(err, ErrKafkaInvalidPartitionNum, 0,
			"the number of partition (%d) specified in sink-uri is more than that of actual topic (%d)",
			l->partitions, count);
		return ml_err_wrap(err, ML_ErrKafkaInvalidConfig, "kafka config invalid");
	}
	if (l->partitions < count)
		ml_warn(c->object,
			"partition-num is smaller than the topic's count, the rest stays unused used=%d topic=%d",
			l->partitions, count);
	return 0;
}
