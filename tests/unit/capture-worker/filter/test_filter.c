#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "capture-worker/event/ddl.h"
#include "capture-worker/filter/filter.h"

static struct ml_filter *
make(char **rules, size_t n)
{
	Ml__ChangefeedSpec spec = ML__CHANGEFEED_SPEC__INIT;
	uint64_t ignored[] = { 30, 10, 20 };
	struct ml_filter *f = NULL;
	struct ml_err err = { 0 };

	spec.filter_rules = rules;
	spec.n_filter_rules = n;
	spec.ignore_txn_start_ts = ignored;
	spec.n_ignore_txn_start_ts = 3;
	assert_int_equal(ml_filter_new(&f, &spec, &err), 0);
	return f;
}

static void
system_schemas_can_not_be_included(void **state)
{
	static const char *const system[] = { "mysql", "MySQL", "information_schema", "PERFORMANCE_SCHEMA", "sys",
		"METRICS_SCHEMA", "INSPECTION_SCHEMA", "DM_HEARTBEAT", "tidb_cdc", "TIDB_CDC", "lightning_task_info" };
	struct ml_filter *f = make((char *[]){ (char[]){ "*.*" }, (char[]){ "mysql.user" } }, 2);

	(void)state;
	for (size_t i = 0; i < sizeof(system) / sizeof(system[0]); i++) {
		assert_false(ml_filter_table(f, system[i], strlen(system[i]), "user", 4));
		assert_false(ml_filter_db(f, system[i], strlen(system[i])));
	}
	assert_true(ml_filter_table(f, "mysql2", 6, "user", 4));
	ml_filter_free(f);
}

static void
no_rules_are_all_tables_and_start_ts_are_ignored(void **state)
{
	struct ml_filter *f = make(NULL, 0);

	(void)state;
	assert_true(ml_filter_table(f, "a", 1, "b", 1));
	assert_true(ml_filter_ignores_txn(f, 10));
	assert_true(ml_filter_ignores_txn(f, 20));
	assert_true(ml_filter_ignores_txn(f, 30));
	assert_false(ml_filter_ignores_txn(f, 15));
	ml_filter_free(f);
}

static void
rules_of_the_api_read_no_files(void **state)
{
	Ml__ChangefeedSpec spec = ML__CHANGEFEED_SPEC__INIT;
	char *rules[] = { (char[]){ "@/etc/hostname" } };
	struct ml_filter *f = NULL;
	struct ml_err err = { 0 };

	(void)state;
	spec.filter_rules = rules;
	spec.n_filter_rules = 1;
	assert_int_equal(ml_filter_new(&f, &spec, &err), -1);
	assert_int_equal(err.code, ML_ErrFilterRuleInvalid);
}

#define T(x)                                                                                                           \
	{                                                                                                              \
		(x), sizeof(x) - 1                                                                                     \
	}

static void
ddls_pass_by_kind_name_and_start_ts(void **state)
{
	static const struct {
		struct ml_ddl ddl;
		bool want;
	} rows[] = {
		{ { .action = 3, .db = T("in"), .table = T("t") }, true },
		{ { .action = 3, .db = T("out"), .table = T("t") }, false },
		{ { .action = 3, .db = T("in"), .table = T("skip") }, false },
		{ { .action = 3, .db = T("in"), .table = T("t"), .start_ts = 20 }, false },
		{ { .action = 1, .db = T("in") }, true },
		{ { .action = 2, .db = T("out") }, false },
		{ { .action = 26, .db = T("mysql") }, false },
		{ { .action = 34, .db = T("in"), .table = T("s") }, false }, /* a sequence */
		{ { .action = 16, .db = T("in"), .table = T("t") }, false },
		{ { .action = 0, .db = T("in"), .table = T("t") }, false },
		{ { .action = 66, .db = T("in"), .table = T("t") }, false },
		{ { .action = 72, .db = T("in"), .table = T("t") }, true },
		/* A rename passes if either name does. */
		{ { .action = 14, .db = T("out"), .table = T("t"), .pre_db = T("in"), .pre_table = T("t") }, true },
		{ { .action = 14, .db = T("in"), .table = T("t"), .pre_db = T("out"), .pre_table = T("t") }, true },
		{ { .action = 14, .db = T("in"), .table = T("skip"), .pre_db = T("out"), .pre_table = T("t") }, false },
		{ { .action = 14, .db = T("in"), .table = T("skip"), .pre_table = T("t") }, true },
	};
	struct ml_filter *f = make((char *[]){ (char[]){ "in.*" }, (char[]){ "!in.skip" }, (char[]){ "mysql.*" } }, 3);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (ml_filter_ddl(f, &rows[i].ddl) != rows[i].want)
			fail_msg("row %zu", i);
	ml_filter_free(f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(system_schemas_can_not_be_included),
		cmocka_unit_test(no_rules_are_all_tables_and_start_ts_are_ignored),
		cmocka_unit_test(rules_of_the_api_read_no_files),
		cmocka_unit_test(ddls_pass_by_kind_name_and_start_ts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
