/*
 * bench_decode_encode.c - the rows of a binary log's file decoded, encoded and thrown away in this process, on one
 * core; before that they are only decoded, to tell the two apart.
 *
 *	bench_decode_encode FILE [PROTOCOL [SINK_URI_QUERY]]
 *
 * FILE: as the server wrote it, not encrypted.  Definitions are those of the TABLE_MAP events alone.  Prints "rows messages
 * message_bytes cpu_seconds cpu_seconds_of_decoding".
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "capture-worker/encoder/encoder.h"
#include "capture-worker/mounter/binlog.h"
#include "capture-worker/mounter/tablemap.h"
#include "capture-worker/source/mysql/schema_join.h"
#include "common/text/tz.h"
#include "common/text/uri.h"

#define MAGIC 4   /* bytes before the first event */
#define HEADER 19 /* bytes of an event's common header */
#define EV_FORMAT 15
#define EV_TABLE_MAP 19
#define BATCH_ROWS 2048u /* as the source makes them */
#define BATCH_BYTES (512u << 10)
#define TABLES 64

struct table {
	uint64_t id;
	uint8_t *body;
	size_t len;
	struct ml_rowdec *dec;
};

static struct table tables[TABLES];
static struct ml_err err;
static struct ml_tz *utc;

static double
now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint64_t
now_ms(void)
{
	return (uint64_t)(now_s() * 1000);
}

static void
die(const char *what)
{
	fprintf(stderr, "%s %s\n", what, err.text);
	exit(1);
}

static void
no_place(void *arg, char *buf, size_t size)
{
	(void)arg;
	snprintf(buf, size, "the file");
}

static struct table *
on_map(const uint8_t *body, size_t len)
{
	uint64_t id = ml_tablemap_id(body, len);
	struct table *t = &tables[id % TABLES];
	struct ml_schema *schema = NULL;
	struct ml_tablemap tm;
	struct ml_arena a;
	bool poor;

	if (t->id == id && t->len == len && memcmp(t->body, body, len) == 0)
		return t;
	ml_rowdec_free(t->dec);
	free(t->body);
	ml_arena_init(&a, 4096);
	if (ml_tablemap_parse(&tm, &a, body, len, true, "the file", &err) < 0)
		die("TABLE_MAP:");
	if (ml_schema_join(&schema, &tm, NULL, &poor, err.text, sizeof(err.text)) != ML_JOIN_BUILT ||
		ml_rowdec_new(&t->dec, &tm, schema, utc, "the file", &err) < 0)
		die("definition:");
	ml_schema_unref(schema);
	ml_arena_fini(&a);
	t->id = id;
	t->len = len;
	t->body = malloc(len);
	if (t->body == NULL)
		abort();
	memcpy(t->body, body, len);
	return t;
}

struct totals {
	unsigned long long rows, messages, bytes;
};

/* e: NULL to decode only. */
static void
give(struct ml_encoder *e, struct ml_batch *b, struct totals *sum)
{
	sum->rows += b->n_rows;
	if (e != NULL && b->n_rows > 0 && e->ops->rows(e, b, &err) < 0)
		die("encoding:");
	sum->messages += b->n_msgs;
	for (uint32_t i = 0; i < b->n_msgs; i++)
		sum->bytes += b->msgs[i].key_len + b->msgs[i].value_len;
	ml_batch_free(b);
}

/* Reads the whole file; CPU seconds. */
static double
pass(const uint8_t *file, size_t file_size, struct ml_encoder *e, struct totals *sum)
{
	struct ml_batch *b = ml_batch_new();
	size_t checksum = 0, in_batch = 0;
	double begin = now_s();
	struct ml_rows r;

	ml_rows_init(&r, no_place, NULL);
	for (size_t at = MAGIC; at + HEADER <= file_size;) {
		const uint8_t *body = file + at + HEADER;
		uint8_t type = file[at + 4];
		uint32_t size;
		size_t len;

		memcpy(&size, file + at + 9, 4);
		if (size < HEADER || size > file_size - at)
			break; /* the server has not written the rest yet */
		len = size - HEADER;
		if (type == EV_FORMAT) /* its last bytes: algorithm, and a checksum in any case */
			checksum = len > 5 && body[len - 5] == 1 ? 4 : 0;
		len -= len < checksum ? len : checksum;
		if (type == EV_TABLE_MAP) {
			on_map(body, len);
		} else if (ml_is_rows_event(type) && ml_tablemap_id(body, len) != ML_TABLE_ID_DUMMY) {
			struct table *t = &tables[ml_tablemap_id(body, len) % TABLES];
			struct ml_rows_want want = { .commit_ts = 1 + at, .start_ts = at, .values = true };
			int more;

			if (t->dec == NULL || ml_rows_open(&r, t->dec, type, body, len, &err) < 0)
				die("rows:");
			in_batch += len;
			do {
				if (b->n_rows >= BATCH_ROWS || in_batch >= BATCH_BYTES) {
					give(e, b, sum);
					b = ml_batch_new();
					in_batch = len < BATCH_BYTES ? len : 0;
				}
				want.max_rows = BATCH_ROWS - b->n_rows;
				more = ml_rows_next(&r, b, &want, &err);
				if (more < 0)
					die("rows:");
			} while (more > 0);
		}
		at += size;
	}
	give(e, b, sum);
	ml_rows_fini(&r);
	return now_s() - begin;
}

int
main(int argc, char **argv)
{
	const char *protocol = argc > 2 ? argv[2] : "canal-json", *query = argc > 3 ? argv[3] : "";
	Ml__ChangefeedSpec spec = ML__CHANGEFEED_SPEC__INIT;
	struct ml_encoder_env env = { .spec = &spec, .max_message_bytes = 10 << 20, .now_ms = now_ms };
	const struct ml_encoder_ops *ops = ml_encoder_for(protocol, &err);
	struct totals sum = { 0 }, decoded = { 0 };
	double decode_s, both_s;
	struct ml_encoder *e;
	struct ml_uri *uri;
	struct stat st;
	uint8_t *file;
	char text[512];
	int fd;

	fd = argc > 1 ? open(argv[1], O_RDONLY) : -1;
	if (fd < 0 || fstat(fd, &st) != 0) {
		fprintf(stderr, "usage: %s FILE [PROTOCOL [SINK_URI_QUERY]]\n", argv[0]);
		return 2;
	}
	file = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	snprintf(text, sizeof(text), "kafka://127.0.0.1:9092/bench?%s", query);
	if (file == MAP_FAILED || ops == NULL || ml_tz_open(&utc, "UTC", &err) < 0 ||
		ml_uri_parse(&uri, text, &err) < 0)
		die("start:");
	env.sink_uri = uri;
	if (ops->open(&e, &env, &err) < 0)
		die("encoder:");
	decode_s = pass(file, (size_t)st.st_size, NULL, &decoded);
	both_s = pass(file, (size_t)st.st_size, e, &sum);
	printf("%llu %llu %llu %.4f %.4f\n", sum.rows, sum.messages, sum.bytes, both_s, decode_s);
	for (int i = 0; i < TABLES; i++) {
		ml_rowdec_free(tables[i].dec);
		free(tables[i].body);
	}
	ops->close(e);
	ml_uri_free(uri);
	ml_tz_free(utc);
	ml_batch_pool_drain();
	munmap(file, (size_t)st.st_size);
	return 0;
}
