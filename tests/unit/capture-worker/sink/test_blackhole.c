/* test_blackhole.c - the registry of sinks, and the one that keeps nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "capture-worker/sink/sink.h"

static void
a_scheme_finds_its_sink_or_is_refused(void **state)
{
	static const char *const unknown[] = { "", "black", "mysqlx", "pulsar", "BLACKHOLE" };
	struct ml_err err;

	(void)state;
	assert_non_null(ml_sink_for("blackhole", &err));
	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
		char want[64] = "the sink scheme (";

		strcat(strcat(want, unknown[i]), ") is not supported");
		assert_null(ml_sink_for(unknown[i], &err));
		assert_int_equal(err.code, ML_ErrSinkURIInvalid);
		assert_string_equal(err.text, want);
	}
}

static void
count(void *arg, uint64_t seq)
{
	uint64_t *sum = arg;

	*sum = *sum * 10 + seq;
}

static void
every_batch_is_durable_at_once_and_in_order(void **state)
{
	const struct ml_sink_ops *ops = ml_sink_for("blackhole", NULL);
	Ml__ChangefeedSpec spec = ML__CHANGEFEED_SPEC__INIT;
	uint64_t told = 0;
	struct ml_sink_env env = { .spec = &spec, .object = "cf/0", .arg = &told, .durable = count };
	struct ml_ddl ddl = { .commit_ts = 5 };
	struct ml_sink *s;
	struct ml_err err;

	(void)state;
	assert_int_equal(ops->check(&env, &err), 0);
	assert_int_equal(ops->open(&s, &env, &err), 0);
	for (uint64_t seq = 1; seq <= 3; seq++) {
		struct ml_batch *b = ml_batch_new();

		b->seq = seq;
		assert_int_equal(ops->write(s, b, &err), 0);
		assert_int_equal(told % 10, seq);
	}
	assert_int_equal(told, 123);
	assert_int_equal(ops->flush(s, &err), 0);
	assert_int_equal(ops->ddl(s, &ddl, NULL, true, &err), 0);
	assert_int_equal(ops->checkpoint(s, 9, NULL, NULL, 0, &err), 0);
	assert_int_equal(ops->tick(s, &err), 0);
	ops->close(s);
	ops->close(NULL);
	ml_batch_pool_drain();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_scheme_finds_its_sink_or_is_refused),
		cmocka_unit_test(every_batch_is_durable_at_once_and_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
