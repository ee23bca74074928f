/* canal-json against recorded and published messages, byte for byte; only the time of encoding is the test's own. */
#include "tests/unit/capture-worker/encoder/golden.h"

#include "capture-worker/encoder/canal_json/canal_json.h"

static void
show_message(struct golden *g, const struct ml_msg *m)
{
	ml_buf_puts(&g->got, m->key == NULL ? "null\t" : m->key_len == 0 ? "empty\t" : "key\t");
	/* Only the terminator of storage has bytes that are no text. */
	for (uint32_t i = 0; i < m->value_len; i++)
		if ((unsigned char)m->value[i] < 0x20)
			ml_buf_printf(&g->got, "\\x%02x", m->value[i]);
		else
			ml_buf_putc(&g->got, m->value[i]);
	ml_buf_putc(&g->got, '\n');
}

/* One way to run it; its name stands in the names of the wanted files. */
static const struct variant {
	const char *name, *query, *config;
	bool storage;
} plain = { "plain", "", "", false }, tidb = { "tidb", "enable-tidb-extension=true", "", false },
  compat = { "compat", "", "{\"content-compatible\":true}", false },
  updated = { "updated", "enable-tidb-extension=true&only-output-updated-columns=true", "", false },
  updated_only = { "updated", "", "{\"only-output-updated-columns\":true}", false },
  delkeys = { "delkeys", "",
	  "{\"delete-only-output-handle-key-columns\":true,\"kafka-config\":{\"codec-config\":"
	  "{\"enable-tidb-extension\":true}}}",
	  false },
  file = { "file", "enable-tidb-extension=true", "", true };

static void
run(const char *name, const struct variant *v)
{
	char in[128], want[128];

	snprintf(in, sizeof(in), "canal_json/%s", name);
	snprintf(want, sizeof(want), "canal_json/%s.%s", name, v->name);
	golden_run(&ml_encoder_canal_json, v->storage, v->query, v->config, show_message, NULL, in, want);
}

static void
writes_what_was_recorded(void **state)
{
	static const char *const cases[] = { "num", "str", "time", "keys", "txn", "gen", "part", "ddl", "wide" };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		run(cases[i], &plain);
		run(cases[i], &tidb);
		run(cases[i], &compat);
		run(cases[i], &updated);
		run(cases[i], &file);
	}
	run("watermark", &tidb);
	run("delkeys", &delkeys);
}

static void
writes_the_published_examples(void **state)
{
	(void)state;
	run("examples", &tidb);
	run("updates", &updated_only);
}

static void
leaves_out_columns_that_are_not_there(void **state)
{
	(void)state;
	run("selected", &plain);
}

/* Encodes one row of a table of one VARCHAR column; the code of the error, or ML_OK with *length = the message's Length. */
static enum ml_code
encode_one(const char *text, size_t max_message_bytes, bool storage, size_t *length)
{
	Ml__ChangefeedSpec spec = ML__CHANGEFEED_SPEC__INIT;
	struct ml_encoder_env env = {
		.spec = &spec, .max_message_bytes = max_message_bytes, .storage = storage, .now_ms = golden_now
	};
	struct ml_datum d = { .kind = ML_D_BYTES, .s = text, .len = (uint32_t)strlen(text) };
	struct ml_column c = { .name = { "v", 1 }, .type = ML_T_VARCHAR, .flen = 10 };
	struct ml_schema *s = ml_schema_new();
	struct ml_batch *b = ml_batch_new();
	struct ml_err err = { 0 };
	struct ml_encoder *e;

	s->db = (struct ml_text){ "shop", 4 };
	s->table = (struct ml_text){ "t", 1 };
	s->columns = &c;
	s->n_columns = 1;
	ml_schema_finish(s);
	assert_int_equal(ml_encoder_canal_json.open(&e, &env, &err), 0);
	*ml_batch_row(b) = (struct ml_row){ .schema = s, .after = &d, .op = ML_OP_INSERT, .commit_ts = 1 };
	if (e->ops->rows(e, b, &err) == 0) {
		assert_int_equal(b->n_msgs, 1);
		assert_int_equal(b->msgs[0].rows, 1);
		assert_ptr_equal(b->msgs[0].schema, s);
		assert_true(storage == (b->msgs[0].key == NULL));
		*length = b->msgs[0].key_len + b->msgs[0].value_len + 36;
	} else {
		assert_non_null(strstr(err.text, "shop.t"));
	}
	e->ops->close(e);
	ml_batch_free(b);
	ml_batch_pool_drain();
	ml_schema_unref(s);
	return err.code;
}

static void
refuses_a_message_above_the_limit(void **state)
{
	size_t length = 0, again = 0;

	(void)state;
	assert_int_equal(encode_one("some text", 100000, false, &length), ML_OK);
	assert_int_equal(encode_one("some text", length, false, &again), ML_OK);
	assert_int_equal(again, length);
	assert_int_equal(encode_one("some text", length - 1, false, &again), ML_ErrMessageTooLarge);
	assert_int_equal(encode_one("some text", 10, true, &again), ML_OK); /* storage knows no limit */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_what_was_recorded),
		cmocka_unit_test(writes_the_published_examples),
		cmocka_unit_test(leaves_out_columns_that_are_not_there),
		cmocka_unit_test(refuses_a_message_above_the_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
