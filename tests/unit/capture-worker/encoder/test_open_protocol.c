/* open-protocol against recorded and published messages, its framing taken apart again; and how rows become records. */
#include "tests/unit/capture-worker/encoder/golden.h"

#include "capture-worker/encoder/open/open.h"

/* The sample table with INSERT A and DELETE B, in memory. */
struct sample {
	struct ml_encoder *e;
	struct ml_batch *b;
	struct ml_schema *s;
	struct ml_err err;
	Ml__ChangefeedSpec spec;
	struct ml_column cols[3];
	struct ml_index pk;
	uint16_t pk_col;
	struct ml_datum a[3], d[3];
};

static void
sample_open(struct sample *sm, size_t max_message_bytes, int n_rows)
{
	struct ml_encoder_env env = { .spec = &sm->spec, .max_message_bytes = max_message_bytes, .now_ms = golden_now };

	*sm = (struct sample){
		.s = ml_schema_new(), .b = ml_batch_new(),
		.cols = {
			{ .name = { "id", 2 }, .type = ML_T_LONG, .flags = ML_F_BINARY },
			{ .name = { "name", 4 }, .type = ML_T_VARCHAR, .flags = ML_F_NULLABLE },
			{ .name = { "qty", 3 }, .type = ML_T_LONG, .flags = ML_F_BINARY | ML_F_UNSIGNED },
		},
		.pk = { .primary = true, .unique = true, .n_cols = 1 },
		.a = { { .kind = ML_D_I64, .i = 7 }, { .kind = ML_D_BYTES, .s = "\xc3\xa9<1>", .len = 5 },
			{ .kind = ML_D_U64, .u = 3000000000 } },
		.d = { { .kind = ML_D_I64, .i = 7 }, { .kind = ML_D_NULL }, { .kind = ML_D_U64, .u = 3000000000 } },
	};
	ml__changefeed_spec__init(&sm->spec);
	sm->pk.cols = &sm->pk_col;
	sm->s->db = (struct ml_text){ "shop", 4 };
	sm->s->table = (struct ml_text){ "item", 4 };
	sm->s->columns = sm->cols;
	sm->s->n_columns = 3;
	sm->s->indexes = &sm->pk;
	sm->s->n_indexes = 1;
	ml_schema_finish(sm->s);
	assert_int_equal(ml_encoder_open.open(&sm->e, &env, &sm->err), 0);
	for (int i = 0; i < n_rows; i++) {
		struct ml_row *row = ml_batch_row(sm->b);

		*row = (struct ml_row){
			.schema = sm->s, .commit_ts = 445644800000000001, .op = i == 0 ? ML_OP_INSERT : ML_OP_DELETE
		};
		if (i == 0)
			row->after = sm->a;
		else
			row->before = sm->d;
	}
}

static void
sample_close(struct sample *sm)
{
	sm->e->ops->close(sm->e);
	ml_batch_free(sm->b);
	ml_batch_pool_drain();
	ml_schema_unref(sm->s);
}

/* One more piece: its length in front, checked against what is left. */
static struct ml_text
piece(struct ml_rd *r)
{
	uint64_t len = ml_rd_be(r, 8);
	const uint8_t *p = ml_rd_bytes(r, len);

	assert_non_null(p);
	return (struct ml_text){ (const char *)p, (uint32_t)len };
}

static void
show_message(struct golden *g, const struct ml_msg *m)
{
	struct ml_rd k = ml_rd_of(m->key, m->key_len), v = ml_rd_of(m->value, m->value_len);

	ml_buf_printf(&g->got, "message partition %d rows %u\n", m->partition, m->rows);
	assert_int_equal(ml_rd_be(&k, 8), 1);
	while (ml_rd_left(&k) > 0) {
		struct ml_text key = piece(&k), value = piece(&v);

		ml_buf_printf(&g->got, "K %.*s\nV %.*s\n", (int)key.len, key.s, (int)value.len, value.s);
	}
	assert_int_equal(ml_rd_left(&v), 0);
	assert_false(k.bad);
	assert_false(v.bad);
}

static void
run_as(const char *in_name, const char *want_name, const char *query, const char *config)
{
	char in[128], want[128];

	snprintf(in, sizeof(in), "open/%s", in_name);
	snprintf(want, sizeof(want), "open/%s", want_name);
	golden_run(&ml_encoder_open, false, query, config, show_message, NULL, in, want);
}

static void
run(const char *name, const char *query, const char *config)
{
	run_as(name, name, query, config);
}

/*
 * Recorded with TiDB, which has row handles of its own where the primary key is not clustered, and ids of partitions: the
 * wanted keys have the primary key's value as `rid`, none where it is no integer, and no `ptn`.
 */
static void
writes_what_was_recorded(void **state)
{
	static const char *const cases[] = { "num", "str", "time", "keys", "txn", "gen", "part", "ddl", "wide",
		"watermark" };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char name[64];

		snprintf(name, sizeof(name), "%s.batch", cases[i]);
		run(name, "", "");
		snprintf(name, sizeof(name), "%s.single", cases[i]);
		run(name, "max-batch-size=1", "");
	}
}

static void
writes_the_published_examples(void **state)
{
	(void)state;
	run("examples", "", "");
}

static void
writes_the_parts_that_the_options_ask_for(void **state)
{
	(void)state;
	run_as("parts", "parts.plain", "", "");
	run_as("parts", "parts.noold", "", "{\"open\":{\"output-old-value\":false}}");
	run_as("parts", "parts.updated", "only-output-updated-columns=true", "");
	run_as("parts", "parts.delkeys", "", "{\"delete-only-output-handle-key-columns\":true}");
	run("nokey", "", "{\"delete-only-output-handle-key-columns\":true}");
}

static void
gathers_rows_per_partition_in_their_order(void **state)
{
	(void)state;
	run("records", "max-batch-size=2", "");
}

/* One record of INSERT A and DELETE B of the sample table, byte for byte as published. */
static void
frames_keys_and_values_with_their_lengths(void **state)
{
	static const char key[] =
		"\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\x41{\"ts\":445644800000000001,\"scm\":\"shop\",\"tbl\":\"item\",\"rid\":7,\"t\":1}"
		"\0\0\0\0\0\0\0\x41{\"ts\":445644800000000001,\"scm\":\"shop\",\"tbl\":\"item\",\"rid\":7,\"t\":1}";
	static const char value[] =
		"\0\0\0\0\0\0\0\x7c{\"u\":{\"id\":{\"t\":3,\"h\":true,\"f\":11,\"v\":7},\"name\":{\"t\":15,\"f\":64,\"v\":\""
		"\xc3\xa9\\u003c1\\u003e\"},\"qty\":{\"t\":3,\"f\":129,\"v\":3000000000}}}"
		"\0\0\0\0\0\0\0\x6f{\"d\":{\"id\":{\"t\":3,\"h\":true,\"f\":11,\"v\":7},\"name\":{\"t\":15,\"f\":64,\"v\":null},"
		"\"qty\":{\"t\":3,\"f\":129,\"v\":3000000000}}}";
	struct sample sm;

	(void)state;
	sample_open(&sm, 1000000, 2);
	assert_int_equal(sm.e->ops->rows(sm.e, sm.b, &sm.err), 0);
	assert_int_equal(sm.b->n_msgs, 1);
	assert_int_equal(sm.b->msgs[0].key_len, sizeof(key) - 1);
	assert_memory_equal(sm.b->msgs[0].key, key, sizeof(key) - 1);
	assert_int_equal(sm.b->msgs[0].value_len, sizeof(value) - 1);
	assert_memory_equal(sm.b->msgs[0].value, value, sizeof(value) - 1);
	sample_close(&sm);
}

/* Pairs of 65 + 124 and 65 + 111 bytes: Length is 36 + 8 and 16 more for each pair. */
static void
cuts_records_at_the_byte_limit(void **state)
{
	enum { FIRST = 36 + 8 + 16 + 65 + 124, BOTH = FIRST + 16 + 65 + 111 };
	static const struct {
		size_t limit;
		uint32_t n_msgs;
		enum ml_code code;
	} rows[] = {
		{ BOTH, 1, ML_OK },
		{ BOTH - 1, 2, ML_OK },
		{ FIRST, 2, ML_OK },
		{ FIRST - 1, 0, ML_ErrMessageTooLarge },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sample sm;

		sample_open(&sm, rows[i].limit, 2);
		sm.e->ops->rows(sm.e, sm.b, &sm.err);
		assert_int_equal(sm.err.code, rows[i].code);
		assert_int_equal(sm.b->n_msgs, rows[i].n_msgs);
		for (uint32_t m = 0; m < sm.b->n_msgs; m++)
			assert_true(sm.b->msgs[m].key_len + sm.b->msgs[m].value_len + 36 <= rows[i].limit);
		sample_close(&sm);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_what_was_recorded),
		cmocka_unit_test(writes_the_published_examples),
		cmocka_unit_test(writes_the_parts_that_the_options_ask_for),
		cmocka_unit_test(gathers_rows_per_partition_in_their_order),
		cmocka_unit_test(frames_keys_and_values_with_their_lengths),
		cmocka_unit_test(cuts_records_at_the_byte_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
