/*
 * kafka.c - the kafka sink.
 *
 * Threads: the sink stage writes; one thread of ours serves librdkafka's delivery reports, so that an acknowledgement is seen
 * the moment it comes and never waits for a tick.  Rows are not copied: librdkafka points into the batch's arena, and the
 * batch is freed when its last message has been reported.  Control messages are small and are copied.
 *
 * Order: the idempotent producer keeps it per partition over its own retries.  The first message that failed for good ends
 * this sink; nothing is said to be durable after that.
 */
#include "capture-worker/sink/kafka/kafka.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "capture-worker/sink/kafka/client.h"
#include "capture-worker/sink/kafka/gate.h"
#include "capture-worker/sink/kafka/options.h"
#include "capture-worker/sink/kafka/topics.h"
#include "common/base/fault.h"
#include "common/base/list.h"
#include "common/run/log.h"
#include "common/run/loop.h"

/* Control messages handed to librdkafka in one call. */
#define CONTROL_MAX 64
/*
 * Bytes of batches that wait or are under way: some dozens of requests.  More would not make the broker faster, and would cost
 * memory and the time to throw it away.
 */
#define QUEUE_BYTES (64u << 20)
/* Longest sleep of the poller; it also bounds how long close waits for it. */
#define POLL_MS 20
/* How long to wait for delivery reports before looking at the clock again. */
#define WAIT_MS 50
/* Partition counts are looked up again this often (sinks.md 6.3). */
#define REFRESH_MS (10 * 60 * 1000)
#define REFRESH_TIMEOUT_MS 2000
/* Length of a message beyond key and value (protocols.md 4.2). */
#define MESSAGE_OVERHEAD 36
/* What close may take: for the reports of what was thrown away, and for librdkafka's threads. */
#define CLOSE_REPORTS_MS 1000
#define CLOSE_THREADS_MS 2000

/* What a delivery report belongs to. */
struct ticket {
	struct ml_list link; /* batches: s->pending; under lock */
	struct kafka_sink *s;
	struct ml_batch *b; /* NULL: control messages, somebody waits for them */
	uint64_t seq;
	size_t bytes;            /* batches: memory they hold */
	atomic_uint left;        /* messages not reported yet, the not yet handed over included */
	rd_kafka_resp_err_t err; /* control messages: the first failure */
	bool waited;             /* control messages: the waiter is still there; under lock */
};

struct topic {
	struct topic *next;
	rd_kafka_topic_t *rkt;
	struct ml_topic *t;        /* the dispatcher's; outlives the sink stage's calls.  t->sink points back here */
	bool fixed;                /* partition-num was given for it */
	struct kafka_lane **lanes; /* by partition; under lock */
	int n_lanes;
};

struct kafka_sink {
	struct ml_sink base;
	const struct ml_sink_env *env;
	struct kafka_options o;
	struct kafka_limits limits;
	struct kafka_client client;
	pthread_t poller;
	bool poller_runs;
	atomic_bool stop;

	pthread_mutex_t lock;
	pthread_cond_t reported; /* some reports came */
	atomic_bool waiting;     /* somebody waits for `reported` */
	struct topic *topics;    /* under lock */
	struct ml_err error;     /* why failed; under lock */
	atomic_bool failed;

	struct kafka_gate gate; /* under lock */
	size_t queued_bytes;    /* of the batches in `pending`; under lock */
	struct ml_list pending; /* tickets of batches that are not durable, the oldest first; under lock */
	atomic_uint batches;    /* their number */
	/*
	 * Since when the oldest of them is the oldest, monotonic.  Not the last acknowledgement: one partition without a
	 * leader holds the checkpoint while all others go on.
	 */
	_Atomic uint64_t progress_ms;
	uint64_t refreshed_ms;
	_Atomic uint64_t bytes_out, errors;
	uint64_t acked_bytes; /* the poller's own: told to bytes_out once a turn */
	bool acked;           /* the poller's own: a message was acknowledged in this turn */
	bool lane_free;       /* the poller's own: a lane was served in this turn */
};

static int
check(const struct ml_sink_env *env, struct ml_err *err)
{
	struct kafka_options o;

	if (kafka_options_init(&o, env, err) != 0)
		return -1;
	kafka_options_fini(&o);
	return 0;
}

/* ---- failure ---- */

/* The first error is kept; true for it. */
static bool
keep_error(struct kafka_sink *s, const struct ml_err *err)
{
	bool first;

	pthread_mutex_lock(&s->lock);
	first = !atomic_load(&s->failed);
	if (first) {
		s->error = *err;
		atomic_store(&s->failed, true);
	}
	pthread_cond_broadcast(&s->reported);
	pthread_mutex_unlock(&s->lock);
	return first;
}

/* From the poller's thread: ends the sink. */
static void
fail(struct kafka_sink *s, rd_kafka_resp_err_t code, const char *text)
{
	struct ml_err err;

	if (atomic_load(&s->failed))
		return;
	ML_ERR(&err, ErrKafkaAsyncSendMessage, code, text);
	if (keep_error(s, &err) && s->env->fail != NULL && !atomic_load(&s->stop))
		s->env->fail(s->env->arg, &err);
}

static int
kept_error(struct kafka_sink *s, struct ml_err *err)
{
	pthread_mutex_lock(&s->lock);
	if (err != NULL)
		*err = s->error;
	pthread_mutex_unlock(&s->lock);
	return -1;
}

/*
 * The oldest batch has not been acknowledged for too long.  With no broker connected that is the dial timeout from when the
 * last was lost.  With one that takes requests but does not answer each try costs a read timeout, and max-retry of them are allowed.
 */
static int
check_progress(struct kafka_sink *s, struct ml_err *err)
{
	uint64_t now = ml_now_ms(), progress = atomic_load(&s->progress_ms), lost = atomic_load(&s->client.all_down_ms);
	uint64_t tries = s->o.max_retry < 5 ? (uint64_t)s->o.max_retry + 1 : 6;
	char text[320], why[400];

	if (atomic_load(&s->failed))
		return kept_error(s, err);
	if (atomic_load(&s->batches) == 0)
		return 0;
	if (now < (lost > progress ? lost : progress) +
			  (uint64_t)(lost != 0 ? s->o.dial_ms : s->o.read_ms * (int64_t)tries))
		return 0;
	kafka_client_last(&s->client, text, sizeof(text), "no answer");
	snprintf(why, sizeof(why), "not acknowledged for %llu ms: %s", (unsigned long long)(now - progress), text);
	ML_ERR(err, ErrKafkaAsyncSendMessage, 0, why);
	keep_error(s, err);
	return -1;
}

/* ---- delivery reports ---- */

static void
ticket_done(struct kafka_sink *s, struct ticket *k)
{
	if (k->b == NULL) {
		bool waited;

		pthread_mutex_lock(&s->lock);
		waited = k->waited;
		k->waited = false;
		pthread_cond_broadcast(&s->reported);
		pthread_mutex_unlock(&s->lock);
		if (!waited)
			free(k);
		return;
	}
	{
		uint64_t seq = k->seq;

		pthread_mutex_lock(&s->lock);
		if (s->pending.next == &k->link)
			atomic_store(&s->progress_ms, ml_now_ms());
		ml_list_remove(&k->link);
		s->queued_bytes -= k->bytes;
		pthread_mutex_unlock(&s->lock);
		ml_batch_free(k->b); /* k with it */
		if (!atomic_load(&s->failed))
			s->env->durable(s->env->arg, seq);
		atomic_fetch_sub(&s->batches, 1);
	}
}

/* Reports of rows carry their ml_msg, those of control messages their ticket: told apart by KAFKA_CONTROL. */
#define KAFKA_CONTROL ((uintptr_t)1)

static void
on_report(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
	bool control = ((uintptr_t)m->_private & KAFKA_CONTROL) != 0;
	struct ml_msg *msg = control ? NULL : m->_private;
	struct ticket *k = control ? (struct ticket *)((uintptr_t)m->_private & ~KAFKA_CONTROL) : msg->owner;
	struct kafka_sink *s = k->s;

	(void)rk;
	(void)opaque;
	if (m->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
		s->acked_bytes += m->len + m->key_len;
		s->acked = true;
	} else {
		atomic_fetch_add_explicit(&s->errors, 1, memory_order_relaxed);
		if (control)
			k->err = m->err;
		else
			fail(s, m->err, rd_kafka_message_errstr(m));
	}
	if (!control) {
		struct topic *t = msg->topic->sink;

		pthread_mutex_lock(&s->lock);
		if (kafka_gate_reported(&s->gate, t->lanes[msg->partition]))
			s->lane_free = true;
		pthread_mutex_unlock(&s->lock);
	}
	if (atomic_fetch_sub(&k->left, 1) == 1)
		ticket_done(s, k);
}

/* Serves the lanes; an error ends the sink. */
static void
pump(struct kafka_sink *s)
{
	struct ml_err err = { 0 };
	int rc = 0;

	pthread_mutex_lock(&s->lock);
	if (!atomic_load(&s->failed))
		rc = kafka_gate_pump(&s->gate, &err);
	pthread_mutex_unlock(&s->lock);
	if (rc != 0 && keep_error(s, &err) && s->env->fail != NULL && !atomic_load(&s->stop))
		s->env->fail(s->env->arg, &err);
}

static void *
poller_main(void *arg)
{
	struct kafka_sink *s = arg;

	while (!atomic_load(&s->stop)) {
		int n = rd_kafka_poll(s->client.rk, POLL_MS);

		if (s->lane_free) {
			s->lane_free = false;
			pump(s);
		}
		if (s->acked) {
			s->acked = false;
			atomic_store(&s->client.all_down_ms, 0);
			atomic_store_explicit(&s->bytes_out, s->acked_bytes, memory_order_relaxed);
		}
		if (n > 0 && atomic_load(&s->waiting)) {
			pthread_mutex_lock(&s->lock);
			pthread_cond_broadcast(&s->reported);
			pthread_mutex_unlock(&s->lock);
		}
		if (atomic_load(&s->client.fatal)) {
			char text[320];

			kafka_client_last(&s->client, text, sizeof(text), "fatal error");
			fail(s, RD_KAFKA_RESP_ERR__FATAL, text);
		}
	}
	return NULL;
}

/* Waits for reports, WAIT_MS at most.  The lock is held by the caller. */
static void
wait_reports(struct kafka_sink *s)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += WAIT_MS * 1000000L;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000L;
	}
	atomic_store(&s->waiting, true);
	pthread_cond_timedwait(&s->reported, &s->lock, &until);
	atomic_store(&s->waiting, false);
}

/* ---- writing ---- */

/*
 * Gives control messages out[0..n) to librdkafka, waiting while its queue is full.  -1: the first *taken messages went in, the
 * rest did not and will not be reported.
 */
static int
hand_over(struct kafka_sink *s, rd_kafka_topic_t *rkt, rd_kafka_message_t *out, int n, int *taken, struct ml_err *err)
{
	int from = 0;

	for (;;) {
		int in = rd_kafka_produce_batch(
			rkt, 0, RD_KAFKA_MSG_F_PARTITION | RD_KAFKA_MSG_F_COPY, out + from, n - from);
		int i = from;

		if (in == n - from)
			return 0;
		while (out[i].err == RD_KAFKA_RESP_ERR_NO_ERROR && i < n - 1)
			i++;
		if (out[i].err != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
			*taken = from + in;
			return ML_ERR(err, ErrKafkaAsyncSendMessage, out[i].err, rd_kafka_err2str(out[i].err));
		}
		/* A full queue stops the call: everything from i on was left out. */
		from = i;
		for (; i < n; i++)
			out[i].err = RD_KAFKA_RESP_ERR_NO_ERROR;
		pthread_mutex_lock(&s->lock);
		if (!atomic_load(&s->failed))
			wait_reports(s);
		pthread_mutex_unlock(&s->lock);
		if (check_progress(s, err) != 0) {
			*taken = from;
			return -1;
		}
	}
}

static void
put_control(rd_kafka_message_t *o, const struct ml_msg *m, int32_t partition, struct ticket *k)
{
	*o = (rd_kafka_message_t){
		.partition = partition,
		.payload = (void *)(uintptr_t)m->value,
		.len = m->value_len,
		.key = (void *)(uintptr_t)m->key,
		.key_len = m->key_len,
		._private = (void *)((uintptr_t)k | KAFKA_CONTROL),
	};
}

/* The lane of one partition, made at its first message.  The lock is held. */
static struct kafka_lane *
lane_of(struct topic *t, int32_t partition)
{
	if (partition >= t->n_lanes) {
		int n = t->n_lanes > 0 ? t->n_lanes : 4;

		while (n <= partition)
			n *= 2;
		t->lanes = realloc(t->lanes, (size_t)n * sizeof(struct kafka_lane *));
		if (t->lanes == NULL)
			abort();
		memset(t->lanes + t->n_lanes, 0, (size_t)(n - t->n_lanes) * sizeof(struct kafka_lane *));
		t->n_lanes = n;
	}
	if (t->lanes[partition] == NULL) {
		t->lanes[partition] = malloc(sizeof(struct kafka_lane));
		if (t->lanes[partition] == NULL)
			abort();
		kafka_lane_init(t->lanes[partition], t->rkt, partition);
	}
	return t->lanes[partition];
}

static int
check_sizes(struct kafka_sink *s, const struct ml_batch *b, struct ml_err *err)
{
	for (uint32_t i = 0; i < b->n_msgs; i++) {
		const struct ml_msg *m = &b->msgs[i];
		size_t length = (size_t)m->key_len + m->value_len + MESSAGE_OVERHEAD;

		if (length > s->limits.max_message_bytes)
			return ML_ERR(err, ErrMessageTooLarge, 0, m->schema != NULL ? m->schema->qname.s : "", length,
				s->limits.max_message_bytes);
	}
	return 0;
}

static int
write_batch(struct ml_sink *base, struct ml_batch *b, struct ml_err *err)
{
	struct kafka_sink *s = (struct kafka_sink *)base;
	bool room = false;
	struct ticket *k;

	if (ml_fault("sink_crash", s->env->spec->id))
		abort();
	if (atomic_load(&s->failed)) {
		ml_batch_free(b);
		return kept_error(s, err);
	}
	if (check_sizes(s, b, err) != 0) {
		ml_batch_free(b);
		keep_error(s, err);
		return -1;
	}
	if (b->n_msgs == 0) {
		uint64_t seq = b->seq;

		ml_batch_free(b);
		s->env->durable(s->env->arg, seq);
		return 0;
	}
	k = ml_arena_zalloc(&b->arena, sizeof(*k));
	k->s = s;
	k->b = b;
	k->seq = b->seq;
	k->bytes = ml_batch_bytes(b);
	atomic_store(&k->left, b->n_msgs);
	pthread_mutex_lock(&s->lock);
	if (ml_list_empty(&s->pending))
		atomic_store(&s->progress_ms, ml_now_ms());
	ml_list_append(&s->pending, &k->link);
	s->queued_bytes += k->bytes;
	atomic_fetch_add(&s->batches, 1);
	for (uint32_t i = 0; i < b->n_msgs; i++) {
		b->msgs[i].owner = k;
		kafka_gate_put(&s->gate, lane_of(b->msgs[i].topic->sink, b->msgs[i].partition), &b->msgs[i]);
	}
	pthread_mutex_unlock(&s->lock);
	/* From here on the batch may be gone. */
	pump(s);
	while (!room) {
		if (check_progress(s, err) != 0)
			return -1;
		pthread_mutex_lock(&s->lock);
		room = s->queued_bytes <= QUEUE_BYTES;
		if (!room && !atomic_load(&s->failed))
			wait_reports(s);
		pthread_mutex_unlock(&s->lock);
	}
	return 0;
}

static int
flush(struct ml_sink *base, struct ml_err *err)
{
	struct kafka_sink *s = (struct kafka_sink *)base;

	while (atomic_load(&s->batches) > 0 || atomic_load(&s->failed)) {
		if (check_progress(s, err) != 0)
			return -1;
		pthread_mutex_lock(&s->lock);
		if (atomic_load(&s->batches) > 0 && !atomic_load(&s->failed))
			wait_reports(s);
		pthread_mutex_unlock(&s->lock);
	}
	return 0;
}

/* Waits until every message of k is reported; frees k or leaves it to the poller. */
static int
wait_control(struct kafka_sink *s, struct ticket *k, struct ml_err *err)
{
	uint64_t until = ml_now_ms() + (uint64_t)s->o.write_ms;
	rd_kafka_resp_err_t rc = RD_KAFKA_RESP_ERR__TIMED_OUT;
	char text[320];
	bool done;

	pthread_mutex_lock(&s->lock);
	while (k->waited && !atomic_load(&s->failed) && ml_now_ms() < until)
		wait_reports(s);
	done = !k->waited;
	k->waited = false;
	pthread_mutex_unlock(&s->lock);
	if (done) {
		rc = k->err;
		free(k);
	} else if (atomic_load(&s->failed)) {
		return kept_error(s, err);
	}
	if (rc == RD_KAFKA_RESP_ERR_NO_ERROR)
		return 0;
	kafka_client_last(&s->client, text, sizeof(text), rd_kafka_err2str(rc));
	ML_ERR(err, ErrKafkaSendMessage, rc, done ? rd_kafka_err2str(rc) : text);
	keep_error(s, err);
	return -1;
}

/* Sends m to one partition (>= 0) or all of them (-1) of each topic, and waits for the acknowledgements. */
static int
send_control(struct kafka_sink *s, const struct ml_msg *m, struct ml_topic *const *topics, size_t n_topics,
	int32_t partition, struct ml_err *err)
{
	struct ticket *k;
	uint32_t total = 0, given = 0;

	if (atomic_load(&s->failed))
		return kept_error(s, err);
	/* Counts may grow meanwhile: they are read once. */
	for (size_t i = 0; i < n_topics; i++)
		total += partition >= 0 ? 1 : (uint32_t)atomic_load(&topics[i]->partitions);
	if (total == 0)
		return 0;
	k = calloc(1, sizeof(*k));
	if (k == NULL)
		return ML_ERR(err, ErrNoMemory, 0, "sending a control message");
	k->s = s;
	k->waited = true;
	atomic_store(&k->left, total);
	for (size_t i = 0; i < n_topics && given < total; i++) {
		int32_t count = partition >= 0 ? 1 : atomic_load(&topics[i]->partitions), at = 0;
		struct topic *topic = topics[i]->sink;

		while (at < count && given < total) {
			rd_kafka_message_t out[CONTROL_MAX];
			int n = 0, taken = 0;

			for (; n < CONTROL_MAX && at < count && given + (uint32_t)n < total; at++)
				put_control(&out[n++], m, partition >= 0 ? partition : at, k);
			if (hand_over(s, topic->rkt, out, n, &taken, err) != 0) {
				uint32_t lost = total - given - (uint32_t)taken;

				keep_error(s, err);
				pthread_mutex_lock(&s->lock);
				k->waited = false;
				pthread_mutex_unlock(&s->lock);
				if (atomic_fetch_sub(&k->left, lost) == lost)
					ticket_done(s, k);
				return -1;
			}
			given += (uint32_t)n;
		}
	}
	if (given < total && atomic_fetch_sub(&k->left, total - given) == total - given)
		ticket_done(s, k);
	return wait_control(s, k, err);
}

static int
ddl(struct ml_sink *base, const struct ml_ddl *ddl, const struct ml_msg *m, bool all_partitions, struct ml_err *err)
{
	struct kafka_sink *s = (struct kafka_sink *)base;
	struct ml_topic *topic;

	if (m == NULL) {
		ml_info(s->env->object, "the protocol has no message for a DDL, none is sent commit_ts=%llu action=%d",
			(unsigned long long)ddl->commit_ts, ddl->action);
		return 0;
	}
	topic = (struct ml_topic *)m->topic;
	return send_control(s, m, &topic, 1, all_partitions ? -1 : m->partition, err);
}

static int
checkpoint(struct ml_sink *base, ml_ts ts, const struct ml_msg *m, struct ml_topic **topics, size_t n_topics,
	struct ml_err *err)
{
	(void)ts;
	return m == NULL ? 0 : send_control((struct kafka_sink *)base, m, topics, n_topics, -1, err);
}

/* ---- topics ---- */

/* From the encode stage's thread. */
static int
open_topic(void *arg, struct ml_topic *t, struct ml_err *err)
{
	struct kafka_sink *s = arg;
	struct topic *known = calloc(1, sizeof(*known));
	bool is_default = strcmp(t->name.s, s->o.topic) == 0;
	int count = 0, rc;

	if (known == NULL)
		return ML_ERR(err, ErrNoMemory, 0, "opening a topic");
	rc = kafka_topic_find(&s->client, &s->o, t->name.s, &known->rkt, &count, err);
	if (rc == 0)
		rc = kafka_topic_make(&s->client, &s->o, t->name.s, s->limits.partitions, &known->rkt, &count, err) == 0
			     ? 1
			     : -1;
	if (rc < 0) {
		free(known);
		return -1;
	}
	known->t = t;
	known->fixed = is_default && s->o.partitions > 0;
	t->sink = known;
	atomic_store(&t->partitions, known->fixed && count > s->limits.partitions ? s->limits.partitions : count);
	pthread_mutex_lock(&s->lock);
	known->next = s->topics;
	s->topics = known;
	pthread_mutex_unlock(&s->lock);
	return 0;
}

/* Topics that grew use their new partitions from now on; a failure is tried again next time. */
static void
refresh_topics(struct kafka_sink *s)
{
	const struct rd_kafka_metadata *md = NULL;

	if (rd_kafka_metadata(s->client.rk, 0, NULL, &md, REFRESH_TIMEOUT_MS) != RD_KAFKA_RESP_ERR_NO_ERROR)
		return;
	pthread_mutex_lock(&s->lock);
	for (struct topic *t = s->topics; t != NULL; t = t->next)
		for (int i = 0; i < md->topic_cnt && !t->fixed; i++)
			if (md->topics[i].err == RD_KAFKA_RESP_ERR_NO_ERROR &&
				strcmp(md->topics[i].topic, t->t->name.s) == 0 &&
				md->topics[i].partition_cnt > atomic_load(&t->t->partitions)) {
				ml_info(s->env->object, "topic has grown topic=%s partitions=%d", t->t->name.s,
					md->topics[i].partition_cnt);
				atomic_store(&t->t->partitions, md->topics[i].partition_cnt);
			}
	pthread_mutex_unlock(&s->lock);
	rd_kafka_metadata_destroy(md);
}

static int
tick(struct ml_sink *base, struct ml_err *err)
{
	struct kafka_sink *s = (struct kafka_sink *)base;
	uint64_t now = ml_now_ms();

	if (check_progress(s, err) != 0)
		return -1;
	if (now - s->refreshed_ms >= REFRESH_MS) {
		s->refreshed_ms = now;
		refresh_topics(s);
	}
	return 0;
}

static size_t
max_message_bytes(struct ml_sink *base)
{
	return ((struct kafka_sink *)base)->limits.max_message_bytes;
}

/* ---- life ---- */

static void
close_sink(struct ml_sink *base)
{
	struct kafka_sink *s = (struct kafka_sink *)base;
	struct ml_err closed;
	bool gone = true;

	if (s == NULL)
		return;
	ML_ERR(&closed, ErrKafkaProducerClosed, 0);
	keep_error(s, &closed); /* no report of what is thrown away now says anything any more */
	if (s->client.rk != NULL) {
		uint64_t until = ml_now_ms() + CLOSE_REPORTS_MS;

		if (s->poller_runs) {
			rd_kafka_purge(s->client.rk,
				RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING);
			do {
				pthread_mutex_lock(&s->lock);
				gone = s->gate.in_flight == 0;
				if (!gone)
					wait_reports(s);
				pthread_mutex_unlock(&s->lock);
			} while (!gone && ml_now_ms() < until);
			atomic_store(&s->stop, true);
			pthread_join(s->poller, NULL);
		}
		/* What was never handed over. */
		while (gone && !ml_list_empty(&s->pending)) {
			struct ticket *k = ML_CONTAINER(s->pending.next, struct ticket, link);

			ml_list_remove(&k->link);
			ml_batch_free(k->b);
		}
		while (s->topics != NULL) {
			struct topic *t = s->topics;

			s->topics = t->next;
			rd_kafka_topic_destroy(t->rkt);
			for (int i = 0; i < t->n_lanes; i++)
				free(t->lanes[i]);
			free(t->lanes);
			free(t);
		}
		gone &= kafka_client_close(&s->client, CLOSE_THREADS_MS);
	}
	kafka_options_fini(&s->o);
	if (!gone)
		return; /* a thread of librdkafka may still look at it; the worker ends soon */
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->reported);
	free(s);
}

/* Looks at the cluster through a handle of its own: what is learnt decides how the real one is made. */
static int
look_around(struct kafka_sink *s, struct ml_err *err)
{
	struct kafka_client *probe = calloc(1, sizeof(*probe));
	int rc;

	if (probe == NULL)
		return ML_ERR(err, ErrNoMemory, 0, "opening the kafka sink");
	rc = kafka_client_open(probe, &s->o, 0, NULL, s->env->object, err);
	if (rc == 0) {
		rc = kafka_client_wait(probe, &s->o, err) != 0 || kafka_start_checks(probe, &s->o, &s->limits, err) != 0
			     ? -1
			     : 0;
		if (!kafka_client_close(probe, CLOSE_THREADS_MS))
			return rc;
	}
	free(probe);
	return rc;
}

/* Of the cluster; one when it does not say. */
static unsigned
broker_count(struct kafka_sink *s)
{
	const struct rd_kafka_metadata *md = NULL;
	unsigned n = 1;

	if (rd_kafka_metadata(s->client.rk, 0, NULL, &md, REFRESH_TIMEOUT_MS) == RD_KAFKA_RESP_ERR_NO_ERROR) {
		if (md->broker_cnt > 1)
			n = (unsigned)md->broker_cnt;
		rd_kafka_metadata_destroy(md);
	}
	return n;
}

static int
open_sink(struct ml_sink **out, const struct ml_sink_env *env, struct ml_err *err)
{
	struct kafka_sink *s = calloc(1, sizeof(*s));
	pthread_condattr_t attr;
	int rc;

	if (s == NULL)
		return ML_ERR(err, ErrNoMemory, 0, "opening the kafka sink");
	s->base.ops = &ml_sink_kafka;
	s->env = env;
	ml_list_init(&s->pending);
	kafka_gate_init(&s->gate, KAFKA_REQUEST_BYTES);
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->reported, &attr);
	pthread_condattr_destroy(&attr);
	s->refreshed_ms = ml_now_ms();
	if (kafka_options_init(&s->o, env, err) != 0 || look_around(s, err) != 0 ||
		kafka_client_open(&s->client, &s->o, s->limits.max_message_bytes, on_report, env->object, err) != 0 ||
		kafka_client_wait(&s->client, &s->o, err) != 0) {
		close_sink(&s->base);
		return -1;
	}
	/* A little less than librdkafka's own limit of a request, so that it need not make two of it. */
	s->gate.request_bytes = (s->limits.max_message_bytes < KAFKA_REQUEST_BYTES ? s->limits.max_message_bytes
										   : KAFKA_REQUEST_BYTES) /
				16 * 15;
	s->gate.max_sets = KAFKA_BROKER_SETS * broker_count(s);
	rc = pthread_create(&s->poller, NULL, poller_main, s);
	if (rc != 0) {
		close_sink(&s->base);
		return ML_ERRF(
			err, ErrKafkaNewProducer, rc, "new kafka producer: cannot start a thread: %s", strerror(rc));
	}
	s->poller_runs = true;
	pthread_setname_np(s->poller, "kafka-reports");
	*out = &s->base;
	return 0;
}

static void
stats(struct ml_sink *base, uint64_t *bytes_out, uint64_t *errors)
{
	struct kafka_sink *s = (struct kafka_sink *)base;

	*bytes_out = atomic_load_explicit(&s->bytes_out, memory_order_relaxed);
	*errors = atomic_load_explicit(&s->errors, memory_order_relaxed);
}

const struct ml_sink_ops ml_sink_kafka = {
	.schemes = { "kafka", "kafka+ssl" },
	.takes = ML_TAKES_MSGS,
	.topics = true,
	.check = check,
	.open = open_sink,
	.max_message_bytes = max_message_bytes,
	.open_topic = open_topic,
	.write = write_batch,
	.flush = flush,
	.ddl = ddl,
	.checkpoint = checkpoint,
	.tick = tick,
	.close = close_sink,
	.stats = stats,
};
