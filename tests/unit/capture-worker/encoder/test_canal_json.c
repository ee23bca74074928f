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

static void
writes_what_was_recorded(void **state)
{
	static const struct {
		const char *in, *want, *query, *config;
		bool storage;
	} rows[] = {
		{ "examples", "examples.tidb", "enable-tidb-extension=true", "", false },
		{ "updates", "updates.updated", "only-output-updated-columns=true", "", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char in[128], want[128];

		snprintf(in, sizeof(in), "canal_json/%s", rows[i].in);
		snprintf(want, sizeof(want), "canal_json/%s", rows[i].want);
		golden_run(&ml_encoder_canal_json, rows[i].storage, rows[i].query, rows[i].config, show_message, NULL, in, want);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_what_was_recorded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
