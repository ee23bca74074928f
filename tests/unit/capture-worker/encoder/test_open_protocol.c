/* open-protocol against recorded and published messages, its framing taken apart again; and how rows become records. */
#include "tests/unit/capture-worker/encoder/golden.h"

#include "capture-worker/encoder/open/open.h"

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
run(const char *name, const char *query, const char *config)
{
	char path[128];

	snprintf(path, sizeof(path), "open/%s", name);
	golden_run(&ml_encoder_open, false, query, config, show_message, NULL, path, path);
}

/*
 * Recorded with TiDB, which has row handles of its own where the primary key is not clustered, and ids of partitions: the
 * wanted keys have the primary key's value as `rid`, none where it is no integer, and no `ptn`.
 */
static void
writes_what_was_recorded(void **state)
{
	static const char *const cases[] = { "num", "str", "time", "keys", "txn", "gen", "part", "ddl", "wide", "watermark" };

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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_what_was_recorded),
		cmocka_unit_test(writes_the_published_examples),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
