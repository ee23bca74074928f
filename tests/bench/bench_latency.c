/*
 * bench_latency.c - how long a row takes from a MariaDB server through the server under test to a Kafka consumer.
 *
 *	bench_latency SOCKET BROKERS TOPIC RATE SECONDS
 *
 * One thread INSERTs RATE rows a second into lat.t(id, us), each in its own transaction, us being the wall clock in
 * microseconds before the statement is sent; it notes the time of the server's OK, too.  Another consumes partition 0 of TOPIC
 * (canal-json) and compares.  Prints "rows rate" and then p50, p99 and the largest, in microseconds, first from before the
 * INSERT, then from the OK of its commit.  The first tenth of the rows warms up and does not count.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <librdkafka/rdkafka.h>
#include <mysql.h>

/* After the last INSERT; an upper limit, not a measure. */
#define PATIENCE_S 30

static int total, rate;
static const char *socket_path;
static atomic_llong *committed; /* by id: wall clock of the OK */
static atomic_bool broken;
static double seconds; /* that the INSERTs took */

static int64_t
wall_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void *
writer(void *arg)
{
	MYSQL *m = mysql_init(NULL);
	struct timespec at, end;
	char sql[100];

	(void)arg;
	if (mysql_real_connect(m, NULL, "root", "", NULL, 0, socket_path, 0) == NULL) {
		fprintf(stderr, "%s\n", mysql_error(m));
		atomic_store(&broken, true);
		return NULL;
	}
	clock_gettime(CLOCK_MONOTONIC, &at);
	end = at;
	for (int i = 0; i < total; i++) {
		int n;

		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
		at.tv_nsec += 1000000000 / rate;
		if (at.tv_nsec >= 1000000000) {
			at.tv_nsec -= 1000000000;
			at.tv_sec++;
		}
		n = snprintf(sql, sizeof(sql), "INSERT INTO lat.t VALUES (%d, %lld)", i, (long long)wall_us());
		if (mysql_real_query(m, sql, (unsigned long)n) != 0) {
			fprintf(stderr, "%s\n", mysql_error(m));
			atomic_store(&broken, true);
			break;
		}
		atomic_store(&committed[i], wall_us());
	}
	at = end;
	clock_gettime(CLOCK_MONOTONIC, &end);
	seconds = (double)(end.tv_sec - at.tv_sec) + (double)(end.tv_nsec - at.tv_nsec) / 1e9;
	mysql_close(m);
	return NULL;
}

/* The value behind "NAME":" of a message's row; -1: not there. */
static int64_t
field(const char *text, size_t len, const char *name)
{
	char head[40];
	size_t n = (size_t)snprintf(head, sizeof(head), "\"%s\":\"", name);
	const char *data = memmem(text, len, "\"data\":", 7);
	const char *p = data != NULL ? memmem(data, len - (size_t)(data - text), head, n) : NULL;

	return p != NULL ? strtoll(p + n, NULL, 10) : -1;
}

static rd_kafka_t *
consumer(const char *brokers, const char *topic)
{
	static const char *const settings[][2] = {
		{ "group.id", "bench" },
		{ "enable.auto.commit", "false" },
		{ "fetch.wait.max.ms", "10" },
		{ "auto.offset.reset", "earliest" },
		{ "fetch.min.bytes", "1" },
	};
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	char text[512] = "";
	rd_kafka_t *rk;

	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
		if (rd_kafka_conf_set(conf, settings[i][0], settings[i][1], text, sizeof(text)) != RD_KAFKA_CONF_OK)
			fprintf(stderr, "%s\n", text);
	rd_kafka_conf_set(conf, "bootstrap.servers", brokers, text, sizeof(text));
	rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
	if (rk == NULL) {
		fprintf(stderr, "%s\n", text);
		exit(1);
	}
	rd_kafka_poll_set_consumer(rk);
	rd_kafka_topic_partition_list_add(list, topic, 0)->offset = RD_KAFKA_OFFSET_BEGINNING;
	rd_kafka_assign(rk, list);
	rd_kafka_topic_partition_list_destroy(list);
	return rk;
}

static int
by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

static void
print(int64_t *v, int n)
{
	qsort(v, (size_t)n, sizeof(*v), by_value);
	printf(" %lld %lld %lld", (long long)v[n / 2], (long long)v[(int64_t)n * 99 / 100], (long long)v[n - 1]);
}

int
main(int argc, char **argv)
{
	int64_t *seen_us, *sent_us, *since_sent, *since_ok, deadline = 0;
	int seen = 0, warm, n = 0;
	pthread_t thread;
	rd_kafka_t *rk;

	if (argc != 6 || (rate = atoi(argv[4])) < 1 || (total = rate * atoi(argv[5])) < 10) {
		fprintf(stderr, "usage: %s SOCKET BROKERS TOPIC RATE SECONDS\n", argv[0]);
		return 2;
	}
	socket_path = argv[1];
	committed = calloc((size_t)total, sizeof(*committed));
	seen_us = calloc((size_t)total, sizeof(*seen_us));
	sent_us = calloc((size_t)total, sizeof(*sent_us));
	since_sent = calloc((size_t)total, sizeof(*since_sent));
	since_ok = calloc((size_t)total, sizeof(*since_ok));
	if (committed == NULL || seen_us == NULL || sent_us == NULL || since_sent == NULL || since_ok == NULL)
		abort();
	rk = consumer(argv[2], argv[3]);
	if (pthread_create(&thread, NULL, writer, NULL) != 0)
		return 1;
	while (seen < total && !atomic_load(&broken)) {
		rd_kafka_message_t *m = rd_kafka_consumer_poll(rk, 100);
		int64_t now = wall_us(), id;

		if (m != NULL && m->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
			id = field(m->payload, m->len, "id");
			if (id >= 0 && id < total && seen_us[id] == 0) {
				seen_us[id] = now;
				sent_us[id] = field(m->payload, m->len, "us");
				seen++;
				deadline = 0;
			}
		}
		if (m != NULL)
			rd_kafka_message_destroy(m);
		else if (deadline == 0)
			deadline = now + PATIENCE_S * 1000000ll;
		else if (now > deadline)
			break;
	}
	pthread_join(thread, NULL);
	rd_kafka_consumer_close(rk);
	rd_kafka_destroy(rk);
	if (seen < total) {
		fprintf(stderr, "%d of %d rows arrived\n", seen, total);
		return 1;
	}
	warm = total / 10;
	for (int i = warm; i < total; i++, n++) {
		since_sent[n] = seen_us[i] - sent_us[i];
		since_ok[n] = seen_us[i] - atomic_load(&committed[i]);
	}
	printf("%d %.0f", total, total / seconds);
	print(since_sent, n);
	print(since_ok, n);
	printf("\n");
	free(committed);
	free(seen_us);
	free(sent_us);
	free(since_sent);
	free(since_ok);
	return 0;
}
