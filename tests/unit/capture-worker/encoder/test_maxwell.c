/* maxwell against recorded and published records, byte for byte; records that are cut, DDL of all kinds. */
#include "tests/unit/capture-worker/encoder/golden.h"

#include "capture-worker/encoder/maxwell/maxwell.h"

static void
show_message(struct golden *g, const struct ml_msg *m)
{
	ml_buf_printf(&g->got, "%u ", m->rows);
	golden_put_bytes(g, m->key, m->key_len);
	ml_buf_putc(&g->got, ' ');
	golden_put_bytes(g, m->value, m->value_len);
	ml_buf_putc(&g->got, '\n');
}

static void
run(const char *name, const char *want, const char *query, const char *config)
{
	golden_run(&ml_encoder_maxwell, false, query, config, show_message, NULL, name, want);
}

static void
writes_what_was_recorded(void **state)
{
	static const char *const cases[] = { "num", "str", "time", "keys", "txn", "gen", "part", "ddl", "wide" };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char name[64];

		snprintf(name, sizeof(name), "maxwell/%s", cases[i]);
		run(name, name, "", "");
	}
}

static void
writes_the_published_examples(void **state)
{
	(void)state;
	run("maxwell/examples", "maxwell/examples", "enable-tidb-extension=true&max-batch-size=1", "");
}

/* protocols.md 9.3, 3.1 profile S, 3.2 form J. */
static void
names_every_action_and_writes_texts_and_floats(void **state)
{
	(void)state;
	run("maxwell/actions", "maxwell/actions", "", "");
	run("maxwell/texts", "maxwell/texts", "", "");
}

static void
deletes_may_have_the_handle_key_alone(void **state)
{
	(void)state;
	run("maxwell/delkeys", "maxwell/delkeys", "", "{\"delete-only-output-handle-key-columns\":true}");
}

/* A record holds as many rows as fit; one that does not fit alone is left to the sink to refuse. */
static void
records_are_cut_at_the_limit(void **state)
{
	(void)state;
	run("maxwell/examples", "maxwell/cut", "max-message-bytes=420", "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_what_was_recorded),
		cmocka_unit_test(writes_the_published_examples),
		cmocka_unit_test(names_every_action_and_writes_texts_and_floats),
		cmocka_unit_test(deletes_may_have_the_handle_key_alone),
		cmocka_unit_test(records_are_cut_at_the_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
