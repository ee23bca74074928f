/*
 * bench_filter.c - what event filters cost a row on one core, beside canal-json's encoding of the same rows: the table and rows
 * of bench_encoder, ready in memory; no filter leaves anything out.  One JSON line each; "part" is the share of encoding.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "capture-worker/encoder/encoder.h"
#include "capture-worker/filter/event.h"
#include "common/text/uri.h"

#define ROWS 2048
#define SECONDS 1.0

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
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
		s->columns[i].collation = (struct ml_text){ "utf8mb4_general_ci", 18 };
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
	d[2] = (struct ml_datum){ .kind = ML_D_U64, .u = 4200000000u - (uint64_t)id };
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

/* Nanoseconds a row of filling batches and, if they are given, of filter and encoder. */
static double
run(const struct ml_row *rows, struct ml_schema *s, struct ml_event_filter *f, struct ml_encoder *e)
{
	double start = now(), spent;
	struct ml_err err = { 0 };
	uint64_t n = 0;

	do {
		struct ml_batch *b = ml_batch_new();

		for (int i = 0; i < ROWS; i++)
			*ml_batch_row(b) = rows[i];
		b->n_changes = ROWS;
		ml_batch_pin(b, s);
		if (ml_event_filter_rows(f, b, &err) < 0 || b->n_rows != ROWS ||
			(e != NULL && e->ops->rows(e, b, &err) < 0)) {
			fprintf(stderr, "%s\n", err.text);
			exit(1);
		}
		n += ROWS;
		ml_batch_free(b);
		spent = now() - start;
	} while (spent < SECONDS);
	return spent * 1e9 / (double)n;
}

int
main(void)
{
	static const struct {
		const char *name, *keys;
	} filters[] = {
		{ "one comparison",
			"\"ignore-insert-value-expr\":\"k < 0\",\"ignore-update-new-value-expr\":\"k < -5\"" },
		{ "other table", NULL },
		{ "event only", "\"ignore-event\":[\"delete\"]" },
		{ "text and number",
			"\"ignore-insert-value-expr\":\"c = 'x' or amount = 5\",\"ignore-update-new-value-expr\":\"c = 'x' or amount = 5\"" },
		{ "date", "\"ignore-insert-value-expr\":\"created_at < '2020-01-01'\"" },
		{ "like", "\"ignore-insert-value-expr\":\"pad like '%zzz%'\"" },
		{ "arithmetic", "\"ignore-insert-value-expr\":\"k % 10 + amount / 3 < -1\"" },
		{ "only columns", "\"ignore-update-only-columns\":[\"pad\"]" },
	};
	struct ml_schema *s = make_table();
	struct ml_row *rows = calloc(ROWS, sizeof(*rows));
	Ml__ChangefeedSpec spec = ML__CHANGEFEED_SPEC__INIT;
	struct ml_encoder_env env = { .spec = &spec, .max_message_bytes = 1 << 20, .now_ms = now_ms };
	struct ml_err err = { 0 };
	struct ml_encoder *e;
	struct ml_arena a;
	double bare, encoding;

	if (rows == NULL || ml_uri_parse((struct ml_uri **)&env.sink_uri, "kafka://127.0.0.1:9092/t", &err) < 0 ||
		ml_encoder_for("canal-json", &err)->open(&e, &env, &err) < 0)
		return 1;
	ml_arena_init(&a, 1 << 20);
	for (int i = 0; i < ROWS; i++) {
		rows[i] = (struct ml_row){ .schema = s, .op = i % 2 == 0 ? ML_OP_INSERT : ML_OP_UPDATE };
		rows[i].commit_ts = ml_ts_from_ms(1795573107475 + (uint64_t)i / 8) + (uint64_t)i / 4;
		rows[i].after = make_image(&a, 100000 + i, i * 37);
		if (rows[i].op == ML_OP_UPDATE)
			rows[i].before = make_image(&a, 100000 + i, i * 37 - 1);
	}
	bare = run(rows, s, NULL, NULL);
	encoding = run(rows, s, NULL, e) - bare;
	printf("{\"bench\":\"filter\",\"filter\":\"none\",\"encode_ns_per_row\":%.1f}\n", encoding);
	for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++) {
		struct ml_event_filter *f;
		char json[1024];
		double cost;

		snprintf(json, sizeof(json), "{\"filter\":{\"event-filters\":[{\"matcher\":[\"%s\"],%s}]}}",
			filters[i].keys != NULL ? "bench.*" : "other.*",
			filters[i].keys != NULL ? filters[i].keys : "\"ignore-insert-value-expr\":\"k < 0\"");
		spec.replica_config_json = json;
		if (ml_event_filter_new(&f, &spec, NULL, "bench", &err) < 0)
			return 1;
		cost = run(rows, s, f, NULL) - bare;
		printf("{\"bench\":\"filter\",\"filter\":\"%s\",\"ns_per_row\":%.1f,\"part\":%.3f%s}\n",
			filters[i].name, cost, cost / encoding, i == 0 ? ",\"limit\":0.05" : "");
		/* The schema's compiled form is the filter's: it must not meet another one at the same address. */
		s->events_free(s->events);
		s->events = NULL;
		s->events_free = NULL;
		ml_event_filter_free(f);
	}
	e->ops->close(e);
	free(rows);
	ml_arena_fini(&a);
	ml_schema_unref(s);
	ml_batch_pool_drain();
	return 0;
}
