/* csv against recorded and published lines, byte for byte, and what it refuses. */
#include "tests/unit/capture-worker/encoder/golden.h"

#include "capture-worker/encoder/csv/csv.h"
#include "capture-worker/encoder/csv/field.h"

static void
show_message(struct golden *g, const struct ml_msg *m)
{
	assert_null(m->key);
	assert_int_equal(m->rows, 1);
	assert_non_null(m->schema);
	for (uint32_t i = 0; i < m->value_len; i++)
		if ((unsigned char)m->value[i] < 0x20)
			ml_buf_printf(&g->got, "\\x%02x", m->value[i]);
		else
			ml_buf_putc(&g->got, m->value[i]);
	ml_buf_putc(&g->got, '\n');
}

/* One way to run it; its name stands in the names of the wanted files. */
static const struct variant {
	const char *name, *config;
} plain = { "plain", "" }, recorded = { "plain", "{\"csv\":{\"include-commit-ts\":true}}" },
  old = { "old",
	  "{\"csv\":{\"include-commit-ts\":true,\"output-old-value\":true,\"output-handle-key\":true,\"quote\":\"\","
	  "\"delimiter\":\"|\",\"null\":\"NULL\",\"binary-encoding-method\":\"hex\"}}" },
  all = { "all", "{\"csv\":{\"include-commit-ts\":true,\"output-old-value\":true,\"output-handle-key\":true}}" },
  bare = { "bare", "{\"terminator\":\"\\n\",\"csv\":{\"quote\":\"\",\"delimiter\":\"|\"}}" },
  wide = { "wide", "{\"terminator\":\"!\",\"csv\":{\"include-commit-ts\":true,\"output-old-value\":true,"
		   "\"output-handle-key\":true,\"quote\":\"\",\"delimiter\":\", \",\"null\":\"nil\"}}" };

static void
run(const char *in_folder, const char *name, const struct variant *v)
{
	char in[128], want[128];

	snprintf(in, sizeof(in), "%s/%s", in_folder, name);
	snprintf(want, sizeof(want), "csv/%s.%s", name, v->name);
	golden_run(&ml_encoder_csv, true, "", v->config, show_message, NULL, in, want);
}

/* The rows are those of canal-json's cases: both were recorded while the same statements ran. */
static void
writes_what_was_recorded(void **state)
{
	static const char *const cases[] = { "num", "str", "time", "keys", "txn", "gen", "part", "ddl", "wide" };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		run("canal_json", cases[i], &recorded);
		run("canal_json", cases[i], &old);
	}
}

static void
writes_the_published_examples(void **state)
{
	(void)state;
	run("csv", "examples", &plain);
	run("csv", "examples", &all);
	run("csv", "examples", &bare);
}

static void
writes_handles_selected_columns_and_long_delimiters(void **state)
{
	(void)state;
	run("csv", "parts", &all);
	run("csv", "parts", &wide);
}

static void
quotes_or_escapes_strings(void **state)
{
	static const struct {
		const char *delimiter;
		char quote;
		const char *in, *want;
	} rows[] = {
		{ ",", '"', "", "\"\"" },
		{ ",", '"', "a,b", "\"a,b\"" },
		{ ",", '"', "\"", "\"\"\"\"" },
		{ ",", '"', "\"a\"\"", "\"\"\"a\"\"\"\"\"" },
		{ ",", '"', "\\ \r\n", "\"\\ \r\n\"" },
		{ ",", '\'', "it's", "'it''s'" },
		{ ",", 0, "", "" },
		{ ",", 0, "a,b\\\r\n\"", "a\\,b\\\\\\r\\n\"" },
		{ "||", 0, "a|b||c|||d", "a|b\\|\\|c\\|\\||d" },
		{ "abc", 0, "ab abc", "ab \\a\\b\\c" },
		{ "\\", 0, "a\\", "a\\\\" },
		{ "\\|", 0, "\\|\\", "\\\\\\|\\\\" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ml_csv_opts c = { .quote = rows[i].quote, .delimiter_len = (uint8_t)strlen(rows[i].delimiter) };
		struct ml_arena a;
		struct ml_out o;
		const char *got;
		uint32_t n;

		memcpy(c.delimiter, rows[i].delimiter, c.delimiter_len);
		ml_arena_init(&a, 16);
		ml_out_begin(&o, &a);
		csv_string(&o, &c, rows[i].in, strlen(rows[i].in));
		got = ml_out_end(&o, &n);
		assert_int_equal(n, strlen(rows[i].want));
		assert_memory_equal(got, rows[i].want, n);
		ml_arena_fini(&a);
	}
}

static void
writes_binary_so_that_it_reads_back(void **state)
{
	static const struct {
		const char *delimiter;
		char quote;
		bool hex;
		const char *want;
	} rows[] = {
		{ ",", '"', false, "\"APsK/w==\"" },
		{ ",", '"', true, "\"00fb0aff\"" },
		{ "|", 0, false, "APsK/w==" },
		{ "|", 0, true, "00fb0aff" },
		/* A quote or a delimiter of the encoding's own characters. */
		{ ",", '=', false, "=APsK/w=====" },
		{ ",", 'f', true, "f00ffb0afffff" },
		{ "0", 0, true, "\\0\\0fb\\0aff" },
		{ "=", 0, false, "APsK/w\\=\\=" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ml_csv_opts c = { .quote = rows[i].quote, .hex = rows[i].hex, .delimiter_len = 1 };
		struct ml_arena a;
		struct ml_out o;
		const char *got;
		uint32_t n;

		memcpy(c.delimiter, rows[i].delimiter, 1);
		ml_arena_init(&a, 16);
		ml_out_begin(&o, &a);
		ml_out_lit(&o, "x");
		csv_binary(&o, &c, "\x00\xfb\x0a\xff", 4);
		got = ml_out_end(&o, &n);
		assert_int_equal(n, strlen(rows[i].want) + 1);
		assert_memory_equal(got + 1, rows[i].want, n - 1);
		ml_arena_fini(&a);
	}
}

/* Opens the encoder, encodes a row with the number of an ENUM of two elements; the code of the error, ML_OK for none. */
static enum ml_code
encode_enum(const char *config, uint64_t number)
{
	Ml__ChangefeedSpec spec = ML__CHANGEFEED_SPEC__INIT;
	struct ml_encoder_env env = {
		.spec = &spec, .max_message_bytes = SIZE_MAX, .storage = true, .now_ms = golden_now
	};
	struct ml_text elems[] = { { "a", 1 }, { "b", 1 } };
	struct ml_column c = { .name = { "e", 1 }, .type = ML_T_ENUM, .elems = elems, .n_elems = 2 };
	struct ml_datum d = { .kind = ML_D_U64, .u = number };
	struct ml_err err = { 0 };
	struct ml_encoder *e;
	struct ml_schema *s;
	struct ml_batch *b;

	spec.sink_config_json = (char *)(uintptr_t)config;
	if (ml_encoder_csv.open(&e, &env, &err) < 0)
		return err.code;
	s = ml_schema_new();
	s->db = (struct ml_text){ "shop", 4 };
	s->table = (struct ml_text){ "t", 1 };
	s->columns = &c;
	s->n_columns = 1;
	ml_schema_finish(s);
	b = ml_batch_new();
	*ml_batch_row(b) = (struct ml_row){ .schema = s, .after = &d, .op = ML_OP_INSERT, .commit_ts = 1 };
	if (e->ops->rows(e, b, &err) < 0)
		assert_non_null(strstr(err.text, "shop.t"));
	e->ops->close(e);
	ml_batch_free(b);
	ml_batch_pool_drain();
	ml_schema_unref(s);
	return err.code;
}

static void
refuses_an_enum_without_a_name_and_deletes_by_key(void **state)
{
	(void)state;
	assert_int_equal(encode_enum("", 1), ML_OK);
	assert_int_equal(encode_enum("", 2), ML_OK);
	assert_int_equal(encode_enum("", 0), ML_ErrCSVEncodeFailed);
	assert_int_equal(encode_enum("", 3), ML_ErrCSVEncodeFailed);
	assert_int_equal(encode_enum("{\"delete-only-output-handle-key-columns\":true}", 1), ML_ErrSinkInvalidConfig);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_what_was_recorded),
		cmocka_unit_test(writes_the_published_examples),
		cmocka_unit_test(writes_handles_selected_columns_and_long_delimiters),
		cmocka_unit_test(quotes_or_escapes_strings),
		cmocka_unit_test(writes_binary_so_that_it_reads_back),
		cmocka_unit_test(refuses_an_enum_without_a_name_and_deletes_by_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
