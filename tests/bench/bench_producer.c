/*
 * bench_producer.c - sends the messages of a file to a Kafka topic with nothing but librdkafka: the yardstick for the Kafka
 * sink, which sends the same bytes with the same settings.
 *
 *	bench_producer BROKERS TOPIC FILE [KEY=VALUE]...
 *
 * FILE: kcat's output in the format "%p %o %K %S\n%k%s\n".  Each message goes to partition number mod partition count, as
 * there.  KEY=VALUE: librdkafka settings.  Prints "messages bytes seconds cpu_seconds", from the first send to the last
 * delivery report.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <librdkafka/rdkafka.h>

static unsigned long long failed;

static void
delivered(rd_kafka_t *rk, const rd_kafka_message_t *m, void *arg)
{
	(void)rk;
	(void)arg;
	failed += m->err != 0;
}

static double
now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double
cpu_s(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static int
partition_count(rd_kafka_t *rk, rd_kafka_topic_t *t)
{
	const struct rd_kafka_metadata *md;
	int n = 0;

	if (rd_kafka_metadata(rk, 0, t, &md, 10000) == RD_KAFKA_RESP_ERR_NO_ERROR) {
		if (md->topic_cnt == 1)
			n = md->topics[0].partition_cnt;
		rd_kafka_metadata_destroy(md);
	}
	return n;
}

int
main(int argc, char **argv)
{
	unsigned long long messages = 0, bytes = 0;
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char text[512], *file, *p, *end;
	rd_kafka_topic_t *topic;
	rd_kafka_t *rk;
	struct stat st;
	double begin, cpu;
	int fd, n;

	if (argc < 4) {
		fprintf(stderr, "usage: %s BROKERS TOPIC FILE [KEY=VALUE]...\n", argv[0]);
		return 2;
	}
	fd = open(argv[3], O_RDONLY);
	if (fd < 0 || fstat(fd, &st) != 0 || st.st_size == 0) {
		fprintf(stderr, "%s: %s\n", argv[3], errno != 0 ? strerror(errno) : "empty");
		return 1;
	}
	file = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	if (file == MAP_FAILED) {
		perror(argv[3]);
		return 1;
	}
	end = file + st.st_size;
	rd_kafka_conf_set_dr_msg_cb(conf, delivered);
	for (int i = 3; i < argc; i++) {
		char *eq = i == 3 ? NULL : strchr(argv[i], '=');
		const char *name = i == 3 ? "bootstrap.servers" : argv[i], *value = i == 3 ? argv[1] : NULL;

		if (i > 3 && eq == NULL) {
			fprintf(stderr, "%s: not KEY=VALUE\n", argv[i]);
			return 2;
		}
		if (eq != NULL) {
			*eq = '\0';
			value = eq + 1;
		}
		if (rd_kafka_conf_set(conf, name, value, text, sizeof(text)) != RD_KAFKA_CONF_OK) {
			fprintf(stderr, "%s\n", text);
			return 2;
		}
	}
	rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
	if (rk == NULL) {
		fprintf(stderr, "%s\n", text);
		return 1;
	}
	topic = rd_kafka_topic_new(rk, argv[2], NULL);
	n = partition_count(rk, topic);
	if (n <= 0) {
		fprintf(stderr, "topic %s is not there\n", argv[2]);
		return 1;
	}
	begin = now_s();
	cpu = cpu_s();
	for (p = file; p < end;) {
		long partition = strtol(p, &p, 10);
		long long key_len, len;

		(void)strtoll(p, &p, 10); /* the offset */
		key_len = strtoll(p, &p, 10);
		len = strtoll(p, &p, 10);
		p++;
		if (key_len < -1 || len < -1 || (key_len > 0 ? key_len : 0) + (len > 0 ? len : 0) >= end - p + 1) {
			fprintf(stderr, "%s: not the expected format\n", argv[3]);
			return 1;
		}
		char *key = key_len >= 0 ? p : NULL, *value = p + (key_len > 0 ? key_len : 0);

		/* The bytes stay mapped until the end: nothing is copied. */
		while (rd_kafka_produce(topic, (int32_t)(partition % n), 0, len >= 0 ? value : NULL,
			       len > 0 ? (size_t)len : 0, key, key_len > 0 ? (size_t)key_len : 0, NULL) != 0) {
			if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
				fprintf(stderr, "%s\n", rd_kafka_err2str(rd_kafka_last_error()));
				return 1;
			}
			rd_kafka_poll(rk, 10);
		}
		if (++messages % 1024 == 0)
			rd_kafka_poll(rk, 0);
		bytes += (unsigned long long)((len > 0 ? len : 0) + (key_len > 0 ? key_len : 0));
		p = value + (len > 0 ? len : 0) + 1;
	}
	while (rd_kafka_flush(rk, 1000) != RD_KAFKA_RESP_ERR_NO_ERROR)
		;
	printf("%llu %llu %.3f %.3f\n", messages, bytes, now_s() - begin, cpu_s() - cpu);
	rd_kafka_topic_destroy(topic);
	rd_kafka_destroy(rk);
	return failed == 0 ? 0 : 1;
}
