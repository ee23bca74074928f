/* craft against recorded and published messages, byte for byte; messages that are cut. */
#include "tests/unit/capture-worker/encoder/golden.h"

#include "capture-worker/encoder/craft/craft.h"

static void
show_message(struct golden *g, const struct ml_msg *m)
{
	ml_buf_printf(&g->got, "%s %u ", m->key == NULL ? "null" : m->key_len == 0 ? "empty" : "key", m->rows);
	for (uint32_t i = 0; i < m->value_len; i++)
		ml_buf_printf(&g->got, "%02x", (unsigned char)m->value[i]);
	ml_buf_putc(&g->got, '\n');
}

static void
run(const char *name, const char *want, const char *query, const char *config)
{
	golden_run(&ml_encoder_craft, false, query, config, show_message, NULL, name, want);
}

static void
writes_the_published_examples(void **state)
{
	(void)state;
	run("craft/examples", "craft/examples", "", "");
}

/* But for messages with a FLOAT, whose value the reference destroys, and for rows of partitions, which only TiDB tells. */
static void
writes_what_was_recorded(void **state)
{
	static const char *const cases[] = { "num", "str", "time", "keys", "txn", "gen", "ddl", "wide" };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char name[64];

		snprintf(name, sizeof(name), "craft/%s", cases[i]);
		run(name, name, "", "");
	}
}

static void
messages_are_cut_by_rows_and_bytes(void **state)
{
	(void)state;
	run("craft/cut", "craft/cut.whole", "", "");
	run("craft/cut", "craft/cut.rows", "max-batch-size=2", "");
	/* Some rows are taken for more than that, as the estimate goes; two are let through that make 110 bytes of Length. */
	run("craft/cut", "craft/cut.bytes", "max-message-bytes=110", "");
	run("craft/cut", "craft/cut.limit", "max-message-bytes=109", "");
	run("craft/cut", "craft/cut.delkeys", "", "{\"delete-only-output-handle-key-columns\":true}");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_the_published_examples),
		cmocka_unit_test(writes_what_was_recorded),
		cmocka_unit_test(messages_are_cut_by_rows_and_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
