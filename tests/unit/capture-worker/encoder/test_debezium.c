/* debezium: messages against recorded and published ones; types, NULLs, times and names by rule; settings. */
#include "tests/unit/capture-worker/encoder/golden.h"

#include "capture-worker/encoder/debezium/debezium.h"

/* Schemas shown so far.  Each is shown once, and by its number afterwards: rows of a table all have the same. */
static struct {
	char *text[256];
	int n;
} schemas;

static void
forget_schemas(void)
{
	for (int i = 0; i < schemas.n; i++)
		free(schemas.text[i]);
	schemas.n = 0;
}

static void
show_half(struct golden *g, const char *s, uint32_t len)
{
	static const char member[] = "},\"schema\":{\"";
	const char *at = memmem(s, len, member, sizeof(member) - 1);
	size_t n;
	int i = 0;

	if (at == NULL) {
		ml_buf_put(&g->got, s, len);
		return;
	}
	at += 2;
	n = (size_t)(s + len - 1 - at);
	ml_buf_put(&g->got, s, (size_t)(at - s));
	while (i < schemas.n && (strlen(schemas.text[i]) != n || memcmp(schemas.text[i], at, n) != 0))
		i++;
	ml_buf_printf(&g->got, "#%d", i);
	if (i == schemas.n) {
		assert_true(i < 256);
		schemas.text[schemas.n++] = strndup(at, n);
		ml_buf_putc(&g->got, '=');
		ml_buf_put(&g->got, at, n);
	}
	ml_buf_put(&g->got, s + len - 1, 1);
}

static void
show(struct golden *g, const struct ml_msg *m)
{
	ml_buf_printf(&g->got, "K ");
	show_half(g, m->key, m->key_len);
	ml_buf_printf(&g->got, " V ");
	show_half(g, m->value, m->value_len);
	ml_buf_putc(&g->got, '\n');
}

static void
run(const char *in, const char *want, const char *query, const char *config)
{
	char in_path[64], want_path[64];

	snprintf(in_path, sizeof(in_path), "debezium/%s", in);
	snprintf(want_path, sizeof(want_path), "debezium/%s", want);
	golden_run(&ml_encoder_debezium, false, query, config, show, NULL, in_path, want_path);
	forget_schemas();
}

/* Recorded with TiDB, but for views' columns, which are left out. */
static void
writes_what_was_recorded(void **state)
{
	static const char *const cases[] = { "num", "str", "time", "keys", "txn", "gen", "part", "ddl", "wide" };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char want[32];

		snprintf(want, sizeof(want), "%s.schema", cases[i]);
		run(cases[i], want, "", "");
		snprintf(want, sizeof(want), "%s.plain", cases[i]);
		run(cases[i], want, "debezium-disable-schema=true", "");
	}
}

static void
writes_the_published_examples(void **state)
{
	(void)state;
	run("examples", "examples.schema", "", "");
	run("examples", "examples.plain", "debezium-disable-schema=true", "");
	run("examples", "examples.plain", "", "{\"debezium-disable-schema\":true}");
}

/* Defaults, days that are none, bounds, sets of columns, escaping, kinds of schema changes. */
static void
writes_all_types_by_the_rules(void **state)
{
	(void)state;
	run("rules", "rules.schema", "", "");
}

static void
leaves_old_values_out(void **state)
{
	(void)state;
	run("examples", "examples.noold", "debezium-disable-schema=true",
		"{\"debezium\":{\"output-old-value\":false}}");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_what_was_recorded),
		cmocka_unit_test(writes_the_published_examples),
		cmocka_unit_test(writes_all_types_by_the_rules),
		cmocka_unit_test(leaves_old_values_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
