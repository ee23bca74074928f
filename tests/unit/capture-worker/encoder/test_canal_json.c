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
  delkeys = { "delkeys", "", "{\"delete-only-output-handle-key-columns\":true,\"kafka-config\":{\"codec-config\":"
	"{\"enable-tidb-extension\":true}}}", false },
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_what_was_recorded),
		cmocka_unit_test(writes_the_published_examples),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
