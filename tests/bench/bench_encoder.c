/*
 * bench_encoder.c - rows per second of each encoder on one core, rows ready in memory: a table of six columns, about 200 bytes
 * a row (bigint key, two ints, a datetime, two texts), half INSERTs, half UPDATEs, batches of 2,048.  One JSON line each.
 * "allocations" counts the calls for memory of all batches but the first ones (null: a sanitizer has taken them).  Then what
 * column selectors and masks cost for the same rows.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "capture-worker/encoder/encoder.h"
#include "capture-worker/shaper/shaper.h"
#include "common/text/uri.h"
#include "tests/unit/capture-worker/encoder/fake_registry.h"

#define ROWS 2048
#define SECONDS 1.0
#define WARM_BATCHES 8 /* in which pools and buffers get their room */

static uint64_t allocations;

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif

#ifdef SANITIZED
#define COUNTED false
#else
#define COUNTED true

/* The C library's own, to which these pass what they count. */
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);

void *
malloc(size_t n)
{
	allocations++;
	return __libc_malloc(n);
}

void *
calloc(size_t n, size_t size)
{
	allocations++;
	return __libc_calloc(n, size);
}

void *
realloc(void *p, size_t n)
{
	allocations++;
	return __libc_realloc(p, n);
}
#endif

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t); /* others may use the machine meanwhile */
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint64_t
now_ms(void)
{
	return (uint64_t)(now() * 1000);
}

static struct ml_schema *
make_table(void)
{
	static const struct {
		const char *name;
		uint8_t type, flags;
	} cols[] = {
		{ "id", ML_T_LONGLONG, ML_F_BINARY },
		{ "k", ML_T_LONG, ML_F_BINARY },
		{ "amount", ML_T_LONG, ML_F_BINARY | ML_F_UNSIGNED },
		{ "created_at", ML_T_DATETIME, ML_F_BINARY | ML_F_NULLABLE },
		{ "c", ML_T_STRING, 0 },
		{ "pad", ML_T_STRING, 0 },
	};
	struct ml_schema *s = ml_schema_new();

	s->db = (struct ml_text){ "bench", 5 };
	s->table = (struct ml_text){ "sbtest1", 7 };
	s->n_columns = sizeof(cols) / sizeof(cols[0]);
	s->columns = ml_arena_zalloc(&s->arena, s->n_columns * sizeof(*s->columns));
	for (int i = 0; i < s->n_columns; i++) {
		s->columns[i].name = (struct ml_text){ cols[i].name, (uint32_t)strlen(cols[i].name) };
		s->columns[i].type = cols[i].type;
		s->columns[i].flags = cols[i].flags;
		s->columns[i].flen = s->columns[i].decimal = -1;
	}
	s->n_indexes = 1;
	s->indexes = ml_arena_zalloc(&s->arena, sizeof(*s->indexes));
	s->indexes[0] = (struct ml_index){ .primary = true, .unique = true, .n_cols = 1 };
	s->indexes[0].cols = ml_arena_zalloc(&s->arena, sizeof(uint16_t));
	ml_schema_finish(s);
	return s;
}

static const struct ml_datum *
make_image(struct ml_arena *a, int64_t id, int64_t k)
{
	struct ml_datum *d = ml_arena_zalloc(a, 6 * sizeof(*d));
	char text[128];
	size_t n;

	d[0] = (struct ml_datum){ .kind = ML_D_I64, .i = id };
	d[1] = (struct ml_datum){ .kind = ML_D_I64, .i = k };
	d[2] = (struct ml_datum){ .kind = ML_D_U64, .u = 4200000000u - (uint64_t)id % 4000000000u };
	n = (size_t)snprintf(text, sizeof(text), "2026-11-25 12:%02d:%02d", (int)(id / 60 % 60), (int)(id % 60));
	d[3] = (struct ml_datum){ .kind = ML_D_BYTES, .s = ml_arena_strndup(a, text, n), .len = (uint32_t)n };
	n = (size_t)snprintf(text, sizeof(text), "%011ld-%011ld-%011ld-%011ld-%011ld-%011ld-%011ld-%011ld", id * 7919,
		id * 104729, id * 31, id * 17, id * 1299709, id * 13, id * 611953, id * 3);
	if (n >= sizeof(text))
		n = sizeof(text) - 1;
	d[4] = (struct ml_datum){ .kind = ML_D_BYTES, .s = ml_arena_strndup(a, text, n), .len = (uint32_t)n };
	n = (size_t)snprintf(text, sizeof(text), "%011ld-%011ld-%011ld-%011ld", id * 2, id * 5, id * 3, id);
	d[5] = (struct ml_datum){ .kind = ML_D_BYTES, .s = ml_arena_strndup(a, text, n), .len = (uint32_t)n };
	return d;
}

/* The configuration as the inside of a JSON string. */
static const char *
config_name(const char *config)
{
	static char name[256];
	size_t n = 0;

	for (; *config != '\0' && n < sizeof(name) - 3; config++) {
		if (*config == '"' || *config == '\\')
			name[n++] = '\\';
		name[n++] = *config;
	}
	name[n] = '\0';
	return name;
}

static void
run(const char *protocol, const char *query, const char *config, const struct ml_row *rows, struct ml_schema *s)
{
	Ml__ChangefeedSpec spec = ML__CHANGEFEED_SPEC__INIT;
	struct ml_encoder_env env = { .spec = &spec, .max_message_bytes = 1 << 20, .now_ms = now_ms };
	struct ml_err err = { 0 };
	const struct ml_encoder_ops *ops = ml_encoder_for(protocol, &err);
	uint64_t n = 0, bytes = 0, msgs = 0, batches = 0, before = 0;
	struct ml_encoder *e;
	struct ml_uri *uri;
	char text[256], count[24];
	double start, spent;

	snprintf(text, sizeof(text), "kafka://127.0.0.1:9092/t?%s", query);
	if (ops == NULL || ml_uri_parse(&uri, text, &err) < 0)
		exit(1);
	spec.sink_config_json = (char *)(uintptr_t)config;
	env.storage = !ops->for_mq;
	env.sink_uri = uri;
	if (ops->open(&e, &env, &err) < 0)
		exit(1);
	start = now();
	do {
		struct ml_batch *b;

		if (batches++ == WARM_BATCHES)
			before = allocations;
		b = ml_batch_new();
		for (int i = 0; i < ROWS; i++)
			*ml_batch_row(b) = rows[i];
		ml_batch_pin(b, s);
		if (ops->rows(e, b, &err) < 0) {
			fprintf(stderr, "%s\n", err.text);
			exit(1);
		}
		n += b->n_rows;
		msgs += b->n_msgs;
		for (uint32_t i = 0; i < b->n_msgs; i++)
			bytes += b->msgs[i].key_len + b->msgs[i].value_len;
		ml_batch_free(b);
		spent = now() - start;
	} while (spent < SECONDS);
	snprintf(count, sizeof(count), "%llu", (unsigned long long)(allocations - before));
	if (!COUNTED)
		snprintf(count, sizeof(count), "null");
	printf("{\"bench\":\"encoder\",\"protocol\":\"%s\",\"options\":\"%s%s\",\"rows_per_s\":%.0f,\"ns_per_row\":%.1f,"
	       "\"bytes_per_row\":%.0f,\"mb_per_s\":%.0f,\"rows_per_message\":%.1f,\"allocations\":%s}\n",
		protocol, query, config_name(config), (double)n / spent, spent * 1e9 / (double)n,
		(double)bytes / (double)n, (double)bytes / spent / 1e6, (double)n / (double)msgs, count);
	ops->close(e);
	ml_uri_free(uri);
}

static const struct ml_datum *
copy_image(struct ml_arena *a, const struct ml_datum *image, int n)
{
	return image == NULL ? NULL
			     : memcpy(ml_arena_alloc(a, (size_t)n * sizeof(*image)), image, (size_t)n * sizeof(*image));
}

/* Only the shaping is measured: it changes images in place, so each batch gets copies. */
static void
run_shaper(const char *name, const char *config, const struct ml_row *rows, struct ml_schema *s)
{
	Ml__ChangefeedSpec spec = ML__CHANGEFEED_SPEC__INIT;
	struct ml_err err = { 0 };
	struct ml_shaper *sh;
	double spent = 0;
	uint64_t n = 0;

	spec.sink_config_json = (char *)(uintptr_t)config;
	if (ml_shaper_new(&sh, &spec, true, &err) < 0)
		exit(1);
	do {
		struct ml_batch *b = ml_batch_new();
		double start;

		for (int i = 0; i < ROWS; i++) {
			struct ml_row *row = ml_batch_row(b);

			*row = rows[i];
			row->before = copy_image(&b->arena, rows[i].before, s->n_columns);
			row->after = copy_image(&b->arena, rows[i].after, s->n_columns);
		}
		ml_batch_pin(b, s);
		start = now();
		if (ml_shaper_rows(sh, b, &err) < 0) {
			fprintf(stderr, "%s\n", err.text);
			exit(1);
		}
		spent += now() - start;
		n += b->n_rows;
		ml_batch_free(b);
	} while (spent < SECONDS / 4);
	printf("{\"bench\":\"shaper\",\"rules\":\"%s\",\"ns_per_row\":%.1f}\n", name, spent * 1e9 / (double)n);
	ml_shaper_free(sh);
}

/* Every schema is number 1. */
static void
answer_one(void *arg, const struct fake_request *q, struct fake_reply *r)
{
	(void)arg;
	strcpy(r->body, q->method[0] == 'G' ? "{}" : "{\"id\":1}");
}

static void
run_avro(const char *query, const struct ml_row *rows, struct ml_schema *s)
{
	struct fake_registry f;
	char config[128];

	fake_start(&f, answer_one, NULL);
	snprintf(config, sizeof(config), "{\"schema-registry\":\"%s\"}", f.url);
	run("avro", query, config, rows, s);
	fake_stop(&f);
}

int
main(void)
{
	struct ml_schema *s = make_table();
	struct ml_row *rows = calloc(ROWS, sizeof(*rows));
	struct ml_arena a;

	if (rows == NULL)
		return 1;
	ml_arena_init(&a, 1 << 20);
	for (int i = 0; i < ROWS; i++) {
		rows[i] = (struct ml_row){ .schema = s, .op = i % 2 == 0 ? ML_OP_INSERT : ML_OP_UPDATE };
		/* Transactions of four rows. */
		rows[i].commit_ts = ml_ts_from_ms(1795573107475 + (uint64_t)i / 8) + (uint64_t)i / 4;
		rows[i].after = make_image(&a, 100000 + i, i * 37);
		if (rows[i].op == ML_OP_UPDATE)
			rows[i].before = make_image(&a, 100000 + i, i * 37 - 1);
	}
	run_avro("", rows, s);
	run_avro("enable-tidb-extension=true", rows, s);
	run("canal", "", "", rows, s);
	run("craft", "", "", rows, s);
	run("maxwell", "", "", rows, s);
	run("canal-json", "", "", rows, s);
	run("canal-json", "enable-tidb-extension=true", "", rows, s);
	run("canal-json", "only-output-updated-columns=true", "", rows, s);
	run("csv", "", "", rows, s);
	run("csv", "", "{\"csv\":{\"include-commit-ts\":true,\"output-old-value\":true,\"output-handle-key\":true}}",
		rows, s);
	run("csv", "", "{\"csv\":{\"quote\":\"\",\"delimiter\":\"|\"}}", rows, s);
	run("debezium", "debezium-disable-schema=true", "", rows, s);
	run("debezium", "", "", rows, s);
	run("open-protocol", "", "", rows, s);
	run("open-protocol", "max-batch-size=1", "", rows, s);
	run("simple", "", "", rows, s);
	run("simple", "encoding-format=avro", "", rows, s);
	run_shaper("none", "", rows, s);
	run_shaper("column selector",
		"{\"column-selectors\":[{\"matcher\":[\"bench.*\"],\"columns\":[\"*\",\"!pad\",\"!k\"]}]}", rows, s);
	run_shaper("mask truncate",
		"{\"mask\":[{\"matcher\":[\"bench.*\"],\"columns\":[\"pad\"],\"method\":\"truncate\","
		"\"length\":4}]}",
		rows, s);
	run_shaper("mask constant",
		"{\"mask\":[{\"matcher\":[\"bench.*\"],\"columns\":[\"k\"],\"method\":\"constant\","
		"\"value\":0}]}",
		rows, s);
	run_shaper("mask hash",
		"{\"mask\":[{\"matcher\":[\"bench.*\"],\"columns\":[\"pad\"],\"method\":\"hash\","
		"\"salt\":\"pepper\"}]}",
		rows, s);
	free(rows);
	ml_arena_fini(&a);
	ml_schema_unref(s);
	ml_batch_pool_drain();
	return 0;
}
