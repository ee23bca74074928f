/* simple: messages of both forms against recorded and published ones; when BOOTSTRAPs are sent; large rows; settings. */
#include "tests/unit/capture-worker/encoder/golden.h"

#include <dirent.h>
#include <snappy-c.h>
#include <unistd.h>

#include "capture-worker/encoder/simple/bootstrap.h"
#include "capture-worker/encoder/simple/simple.h"
#include "capture-worker/event/topic.h"

static void
put_key(struct golden *g, const struct ml_msg *m)
{
	assert_int_equal(m->key_len, 0);
	ml_buf_printf(&g->got, "K %s V ", m->key == NULL ? "null" : "");
}

static void
show_json(struct golden *g, const struct ml_msg *m)
{
	put_key(g, m);
	ml_buf_put(&g->got, m->value, m->value_len);
	ml_buf_putc(&g->got, '\n');
}

static void
show_avro(struct golden *g, const struct ml_msg *m)
{
	put_key(g, m);
	for (uint32_t i = 0; i < m->value_len; i++)
		ml_buf_printf(&g->got, "%02x", (unsigned char)m->value[i]);
	ml_buf_putc(&g->got, '\n');
}

static void
run(const char *name, bool avro, const char *config)
{
	char file[64];

	snprintf(file, sizeof(file), "simple/%s", name);
	golden_run(&ml_encoder_simple, false, avro ? "encoding-format=avro" : "", config, avro ? show_avro : show_json,
		NULL, file, file);
}

/*
 * Recorded with TiDB: the wanted definitions have the key of one integer column as a clustered table has it, and what follows
 * from ids of partitions is left out.
 */
static void
writes_what_was_recorded(void **state)
{
	static const char *const cases[] = { "num", "str", "time", "keys", "txn", "gen", "part", "ddl", "wide" };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char name[64];

		snprintf(name, sizeof(name), "%s.json", cases[i]);
		run(name, false, "");
		snprintf(name, sizeof(name), "%s.avro", cases[i]);
		run(name, true, "");
	}
}

static void
writes_the_published_examples(void **state)
{
	(void)state;
	run("examples.json", false, "");
	run("examples.avro", true, "");
}

static void
names_ddls_as_simple_does(void **state)
{
	(void)state;
	run("types.json", false, "");
	run("types.avro", true, "");
}

/* ---- when a table is due ---- */

struct due_list {
	int64_t ids[8];
	int n;
};

static void
note_due(void *arg, struct sm_bootstrap_table *t)
{
	struct due_list *l = arg;

	l->ids[l->n++] = t->table_id;
}

#define T0 1700000000000u

static void
describes_tables_at_first_by_rows_and_by_time(void **state)
{
	/* A row of a table (0: none), `rows` times; then a look.  Times in seconds behind T0. */
	static const struct {
		unsigned at_s;
		int64_t table, rows;
		bool want_first;
		int64_t want_due; /* 0: none */
	} steps[] = {
		{ 0, 1, 1, true, 0 },
		{ 0, 2, 1, true, 0 },
		{ 1, 1, 98, false, 0 },
		{ 5, 0, 0, false, 0 }, /* 99 rows are too few */
		{ 6, 1, 1, false, 0 }, /* the 100th; nobody looks before 10 s */
		{ 9, 0, 0, false, 0 },
		{ 10, 0, 0, false, 1 },
		{ 15, 1, 99, false, 0 }, /* counted from the last one on */
		{ 119, 0, 0, false, 0 },
		{ 124, 0, 0, false, 2 }, /* 120 s after its first row, without another one */
		{ 130, 0, 0, false, 1 },
		{ 244, 0, 0, false, 2 },
		{ 250, 0, 0, false, 1 },
		{ 1700, 0, 0, false, -12 }, /* both */
		{ 1750, 1, 1, false, 0 },
		{ 1805, 2, 1, true, 0 }, /* its last row is 30 minutes ago: forgotten at 1,801 s */
		{ 1806, 1, 1, false, 0 },
		{ 1830, 0, 0, false, 1 },
	};
	struct ml_schema *s[3] = { NULL, ml_schema_new(), ml_schema_new() };
	struct sm_bootstraps bs;

	(void)state;
	s[1]->table_id = 1;
	s[2]->table_id = 2;
	sm_bootstraps_init(&bs, 120, 100);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		uint64_t now = T0 + 1000ull * steps[i].at_s;
		struct due_list due = { .n = 0 };

		/* Idle tables are looked for as time goes by. */
		if (steps[i].at_s == 1805)
			sm_bootstraps_look(&bs, T0 + 1801000, note_due, &due);
		due.n = 0;
		for (int64_t k = 0; k < steps[i].rows; k++)
			assert_int_equal(sm_bootstrap_row(&bs, s[steps[i].table], NULL, now), steps[i].want_first);
		sm_bootstraps_look(&bs, now, note_due, &due);
		if (due.n != (steps[i].want_due == 0            ? 0
				     : steps[i].want_due == -12 ? 2
								: 1) ||
			(due.n == 1 && due.ids[0] != steps[i].want_due))
			fail_msg("step %zu: %d due, first %lld", i, due.n, (long long)due.ids[0]);
	}
	sm_bootstraps_fini(&bs);
	ml_schema_unref(s[1]);
	ml_schema_unref(s[2]);
}

static void
remembers_many_tables_and_their_newest_definition(void **state)
{
	struct sm_bootstraps bs;
	struct ml_schema *s[200], *newer = ml_schema_new();

	(void)state;
	sm_bootstraps_init(&bs, 120, 100);
	for (int i = 0; i < 200; i++) {
		s[i] = ml_schema_new();
		s[i]->table_id = 1000000007ll * i;
		assert_true(sm_bootstrap_row(&bs, s[i], NULL, T0));
	}
	for (int i = 0; i < 200; i++)
		assert_false(sm_bootstrap_row(&bs, s[i], NULL, T0));
	/* A new definition is no reason for a message, but the next one holds it. */
	newer->table_id = s[7]->table_id;
	assert_false(sm_bootstrap_row(&bs, newer, NULL, T0));
	assert_ptr_equal(bs.last->schema, newer);
	assert_int_equal(bs.last->rows, 3);
	for (int i = 0; i < 200; i++)
		ml_schema_unref(s[i]);
	ml_schema_unref(newer);
	sm_bootstraps_fini(&bs);
}

/* ---- an encoder by hand ---- */

struct hand {
	struct ml_encoder *e;
	struct ml_batch *b;
	struct ml_schema *s;
	struct ml_topic topic;
	struct ml_err err;
	struct ml_datum image[2];
};

static uint64_t hand_now;

static uint64_t
hand_clock(void)
{
	return hand_now;
}

static int
hand_open(struct hand *h, const char *query, const char *config, size_t max)
{
	Ml__ChangefeedSpec spec = ML__CHANGEFEED_SPEC__INIT;
	Ml__ServerConfig server = ML__SERVER_CONFIG__INIT;
	struct ml_encoder_env env = {
		.spec = &spec, .config = &server, .max_message_bytes = max, .now_ms = hand_clock
	};
	struct ml_uri *uri;
	char text[256];
	int rc;

	*h = (struct hand){ .topic = { .name = { "t", 1 } }, .b = ml_batch_new(), .s = ml_schema_new() };
	atomic_init(&h->topic.partitions, 3);
	hand_now = T0;
	spec.sink_config_json = (char *)(uintptr_t)config;
	server.tz = (char *)(uintptr_t) "UTC";
	snprintf(text, sizeof(text), "kafka://127.0.0.1:9092/t?%s", query);
	assert_int_equal(ml_uri_parse(&uri, text, &h->err), 0);
	env.sink_uri = uri;
	rc = ml_encoder_simple.open(&h->e, &env, &h->err);
	ml_uri_free(uri);
	h->s->db = (struct ml_text){ "d", 1 };
	h->s->table = (struct ml_text){ "t", 1 };
	h->s->table_id = 9;
	h->s->version = 5;
	h->s->n_columns = 2;
	h->s->columns = ml_arena_zalloc(&h->s->arena, 2 * sizeof(*h->s->columns));
	h->s->columns[0] = (struct ml_column){ .name = { "id", 2 }, .type = ML_T_LONG, .flags = ML_F_BINARY };
	h->s->columns[1] =
		(struct ml_column){ .name = { "v", 1 }, .type = ML_T_BLOB, .flags = ML_F_BINARY | ML_F_NULLABLE };
	h->s->n_indexes = 1;
	h->s->indexes = ml_arena_zalloc(&h->s->arena, sizeof(*h->s->indexes));
	h->s->indexes[0] = (struct ml_index){ .primary = true, .unique = true, .n_cols = 1 };
	h->s->indexes[0].cols = ml_arena_zalloc(&h->s->arena, sizeof(uint16_t));
	ml_schema_finish(h->s);
	return rc;
}

static void
hand_close(struct hand *h)
{
	ml_encoder_simple.close(h->e);
	ml_batch_free(h->b);
	ml_batch_pool_drain();
	ml_schema_unref(h->s);
}

/* One INSERT of so many bytes (or none, for no row) in a batch of its own, at a time. */
static int
hand_row(struct hand *h, unsigned at_s, size_t bytes)
{
	static char blob[4096];
	struct ml_row *row;

	ml_batch_free(h->b);
	h->b = ml_batch_new();
	hand_now = T0 + 1000ull * at_s;
	if (bytes > 0) {
		h->image[0] = (struct ml_datum){ .kind = ML_D_I64, .i = 7 };
		h->image[1] = (struct ml_datum){ .kind = ML_D_BYTES, .s = blob, .len = (uint32_t)bytes };
		row = ml_batch_row(h->b);
		*row = (struct ml_row){ .schema = h->s,
			.op = ML_OP_INSERT,
			.after = h->image,
			.topic = &h->topic,
			.partition = 2,
			.commit_ts = 6 };
	}
	h->err = (struct ml_err){ 0 };
	return h->e->ops->rows(h->e, h->b, &h->err);
}

static bool
is(const struct ml_msg *m, const char *what)
{
	return m->value_len > strlen(what) && memmem(m->value, m->value_len, what, strlen(what)) != NULL;
}

static void
sends_bootstraps_to_the_partitions_in_front_of_the_row(void **state)
{
	struct hand h;

	(void)state;
	assert_int_equal(hand_open(&h, "", "", 10000), 0);
	assert_int_equal(hand_row(&h, 0, 1), 0);
	assert_int_equal(h.b->n_msgs, 4);
	for (int i = 0; i < 3; i++) {
		const struct ml_msg *m = &h.b->msgs[i];

		assert_true(is(m, "\"type\":\"BOOTSTRAP\""));
		assert_int_equal(m->partition, i);
		assert_int_equal(m->rows, 0);
		assert_ptr_equal(m->topic, &h.topic);
		assert_non_null(m->key);
		assert_int_equal(m->key_len, 0);
	}
	assert_true(is(&h.b->msgs[3], "\"type\":\"INSERT\""));
	assert_int_equal(h.b->msgs[3].partition, 2);
	assert_int_equal(hand_row(&h, 4, 1), 0);
	assert_int_equal(h.b->n_msgs, 1);
	/* Without a row, when it is time; a topic that has grown gets one more. */
	assert_int_equal(hand_row(&h, 119, 0), 0);
	assert_int_equal(h.b->n_msgs, 0);
	atomic_store(&h.topic.partitions, 4);
	assert_int_equal(hand_row(&h, 125, 0), 0);
	assert_int_equal(h.b->n_msgs, 4);
	assert_int_equal(hand_row(&h, 126, 0), 0);
	assert_int_equal(h.b->n_msgs, 0);
	hand_close(&h);
}

static void
sends_bootstraps_as_the_settings_say(void **state)
{
	static const struct {
		const char *config;
		unsigned want_first, want_rows;
	} rows[] = {
		{ "{\"send-bootstrap-to-all-partition\":false}", 2, 0 },
		{ "{\"send-bootstrap-in-msg-count\":2}", 4, 3 },
		{ "{\"send-bootstrap-in-msg-count\":0}", 1, 0 },
		{ "{\"send-bootstrap-interval-in-sec\":-1}", 1, 0 },
		{ "{\"send-bootstrap-interval-in-sec\":3}", 4, 3 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct hand h;

		assert_int_equal(hand_open(&h, "", rows[i].config, 10000), 0);
		assert_int_equal(hand_row(&h, 0, 1), 0);
		assert_int_equal(h.b->n_msgs, rows[i].want_first);
		assert_int_equal(h.b->msgs[0].partition, rows[i].want_first == 1 ? 2 : 0);
		assert_int_equal(hand_row(&h, 6, 1), 0);
		/* Behind the row that made it due. */
		assert_int_equal(h.b->n_msgs, 1 + rows[i].want_rows);
		assert_true(is(&h.b->msgs[0], "\"type\":\"INSERT\""));
		hand_close(&h);
	}
}

static void
describes_tables_at_the_start_with_null_keys(void **state)
{
	static const struct {
		const char *config;
		bool want;
	} rows[] = {
		{ "", false },
		{ "{\"send-all-bootstrap-at-start\":true}", true },
		{ "{\"send-all-bootstrap-at-start\":true,\"send-bootstrap-in-msg-count\":0}", false },
	};
	struct hand h;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(hand_open(&h, "", rows[i].config, 10000), 0);
		assert_int_equal(h.e->wants_tables, rows[i].want);
		if (rows[i].want) {
			assert_int_equal(h.e->ops->table(h.e, h.b, h.s, &h.topic, &h.err), 0);
			assert_int_equal(h.b->n_msgs, 3);
			for (int k = 0; k < 3; k++) {
				assert_true(is(&h.b->msgs[k], "\"type\":\"BOOTSTRAP\""));
				assert_null(h.b->msgs[k].key);
				assert_int_equal(h.b->msgs[k].partition, k);
			}
			/* The rows' own one comes all the same. */
			assert_int_equal(hand_row(&h, 0, 1), 0);
			assert_int_equal(h.b->n_msgs, 4);
		}
		hand_close(&h);
	}
}

/* ---- sizes ---- */

#define KEYS_ONLY                                                                                                      \
	"{\"send-bootstrap-in-msg-count\":0,\"kafka-config\":{\"large-message-handle\":{\"large-message-handle-option\":\"handle-key-only\"}}}"
#define NO_BOOTSTRAP "{\"send-bootstrap-in-msg-count\":0}"

static void
counts_the_value_and_the_overhead(void **state)
{
	/* {"version":1,"database":"d","table":"t","tableID":9,"type":"INSERT","commitTs":6,"buildTs":1700000000000,
	 * "schemaVersion":5,"data":{"id":"7","v":"AA=="}} */
	static const size_t json = 152, avro = 35;
	struct hand h;

	(void)state;
	for (int less = 0; less < 2; less++) {
		assert_int_equal(hand_open(&h, "", NO_BOOTSTRAP, json + 36 - (size_t)less), 0);
		assert_int_equal(hand_row(&h, 0, 1), -less);
		assert_int_equal(h.err.code, less ? ML_ErrMessageTooLarge : ML_OK);
		hand_close(&h);
		assert_int_equal(hand_open(&h, "encoding-format=avro", NO_BOOTSTRAP, avro + 36 - (size_t)less), 0);
		assert_int_equal(hand_row(&h, 0, 1), -less);
		assert_int_equal(h.err.code, less ? ML_ErrMessageTooLarge : ML_OK);
		hand_close(&h);
	}
	/* A BOOTSTRAP that does not fit is an error too. */
	assert_int_equal(hand_open(&h, "", "", json + 36), 0);
	assert_int_equal(hand_row(&h, 0, 1), -1);
	assert_int_equal(h.err.code, ML_ErrMessageTooLarge);
	assert_non_null(strstr(h.err.text, "d.t"));
	hand_close(&h);
}

static void
reduces_large_rows_to_their_key(void **state)
{
	struct hand h;

	(void)state;
	assert_int_equal(hand_open(&h, "", KEYS_ONLY, 300), 0);
	assert_int_equal(hand_row(&h, 0, 1000), 0);
	assert_int_equal(h.b->n_msgs, 1);
	assert_true(is(&h.b->msgs[0], "\"schemaVersion\":5,\"handleKeyOnly\":true,\"data\":{\"id\":\"7\"}}"));
	hand_close(&h);
	assert_int_equal(hand_open(&h, "encoding-format=avro", KEYS_ONLY, 300), 0);
	assert_int_equal(hand_row(&h, 0, 1000), 0);
	/* no location, handleKeyOnly true, no checksum, one item id = 7, no old image */
	assert_memory_equal(
		h.b->msgs[0].value + h.b->msgs[0].value_len - 13, "\0\x02\x01\0\x02\x02\x04id\x02\x0e\0\0", 13);
	hand_close(&h);
	assert_int_equal(hand_open(&h, "", KEYS_ONLY, 100), 0);
	assert_int_equal(hand_row(&h, 0, 1000), -1);
	assert_int_equal(h.err.code, ML_ErrMessageTooLarge);
	hand_close(&h);
}

static void
leaves_large_rows_in_a_storage(void **state)
{
	char dir[] = "/tmp/millrace-simple.XXXXXX", config[512], path[512];
	struct dirent *d;
	struct hand h;
	DIR *files;
	int n = 0;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(config, sizeof(config),
		"{\"send-bootstrap-in-msg-count\":0,\"kafka-config\":{\"large-message-handle\":{"
		"\"large-message-handle-option\":\"claim-check\",\"claim-check-storage-uri\":\"file://%s\"}}}",
		dir);
	assert_int_equal(hand_open(&h, "", config, 400), 0);
	assert_int_equal(hand_row(&h, 0, 1000), 0);
	snprintf(path, sizeof(path), "\"schemaVersion\":5,\"claimCheckLocation\":\"file://%s/", dir);
	assert_true(is(&h.b->msgs[0], path));
	assert_true(is(&h.b->msgs[0], ".json\",\"handleKeyOnly\":true,\"data\":{\"id\":\"7\"}}"));
	hand_close(&h);
	files = opendir(dir);
	while ((d = readdir(files)) != NULL) {
		if (d->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%.200s", dir, d->d_name);
		assert_int_equal(unlink(path), 0);
		n++;
	}
	closedir(files);
	assert_int_equal(n, 1);
	assert_int_equal(rmdir(dir), 0);
}

static void
expect_snappy(const struct ml_msg *m, const char *begin)
{
	char text[2048];
	size_t len = sizeof(text);

	assert_int_equal(snappy_uncompress(m->value, m->value_len, text, &len), SNAPPY_OK);
	assert_memory_equal(text, begin, strlen(begin));
}

static void
compresses_all_messages(void **state)
{
	struct ml_ddl ddl = { .commit_ts = 4, .action = 3, .query = { "CREATE", 6 } };
	struct ml_arena a;
	struct ml_msg m;
	struct hand h;

	(void)state;
	ml_arena_init(&a, 0);
	assert_int_equal(
		hand_open(&h, "",
			"{\"send-bootstrap-to-all-partition\":false,\"kafka-config\":{\"large-message-handle\":{"
			"\"large-message-handle-compression\":\"snappy\"}}}",
			10000),
		0);
	assert_int_equal(hand_row(&h, 0, 1), 0);
	assert_int_equal(h.b->n_msgs, 2);
	expect_snappy(&h.b->msgs[0], "{\"version\":1,\"type\":\"BOOTSTRAP\",\"commitTs\":0,");
	expect_snappy(&h.b->msgs[1], "{\"version\":1,\"database\":\"d\",\"table\":\"t\",");
	assert_int_equal(h.e->ops->ddl(h.e, &ddl, &a, &m, &h.err), 1);
	expect_snappy(
		&m, "{\"version\":1,\"type\":\"CREATE\",\"sql\":\"CREATE\",\"commitTs\":4,\"buildTs\":1700000000000}");
	assert_int_equal(h.e->ops->checkpoint(h.e, 8, &a, &m, &h.err), 1);
	expect_snappy(&m, "{\"version\":1,\"type\":\"WATERMARK\",\"commitTs\":8,\"buildTs\":1700000000000}");
	hand_close(&h);
	ml_arena_fini(&a);
}

static void
refuses_bad_settings(void **state)
{
	static const struct {
		const char *query, *config;
	} rows[] = {
		{ "encoding-format=xml", "" },
		{ "", "{\"kafka-config\":{\"codec-config\":{\"encoding-format\":\"canal\"}}}" },
		{ "", "{\"kafka-config\":{\"codec-config\":{\"encoding-format\":1}}}" },
		{ "", "{\"send-bootstrap-interval-in-sec\":\"120\"}" },
		{ "", "{\"send-bootstrap-interval-in-sec\":9223372036854775807}" },
		{ "", "{\"send-bootstrap-to-all-partition\":1}" },
		{ "", "{\"send-all-bootstrap-at-start\":\"yes\"}" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct hand h;

		assert_int_equal(hand_open(&h, rows[i].query, rows[i].config, 10000), -1);
		assert_int_equal(h.err.code, ML_ErrCodecInvalidConfig);
		hand_close(&h);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_what_was_recorded),
		cmocka_unit_test(writes_the_published_examples),
		cmocka_unit_test(names_ddls_as_simple_does),
		cmocka_unit_test(describes_tables_at_first_by_rows_and_by_time),
		cmocka_unit_test(remembers_many_tables_and_their_newest_definition),
		cmocka_unit_test(sends_bootstraps_to_the_partitions_in_front_of_the_row),
		cmocka_unit_test(sends_bootstraps_as_the_settings_say),
		cmocka_unit_test(describes_tables_at_the_start_with_null_keys),
		cmocka_unit_test(counts_the_value_and_the_overhead),
		cmocka_unit_test(reduces_large_rows_to_their_key),
		cmocka_unit_test(leaves_large_rows_in_a_storage),
		cmocka_unit_test(compresses_all_messages),
		cmocka_unit_test(refuses_bad_settings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
