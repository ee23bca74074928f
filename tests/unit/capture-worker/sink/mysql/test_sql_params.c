/* test_sql_params.c - parameters of a SQL target, and when sync points are due. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "capture-worker/sink/mysql/params.h"
#include "capture-worker/sink/mysql/syncpoint.h"
#include "common/text/uri.h"

static int
init(struct sql_params *p, const char *uri_text, const char *config, const char *tz, struct ml_err *err)
{
	Ml__ChangefeedSpec spec = ML__CHANGEFEED_SPEC__INIT;
	Ml__ServerConfig server = ML__SERVER_CONFIG__INIT;
	struct ml_sink_env env = { .spec = &spec, .config = &server, .object = "cf/0" };
	struct ml_uri *uri;
	int rc;

	*err = (struct ml_err){ 0 };
	spec.sink_config_json = (char *)(uintptr_t)config;
	server.tz = (char *)(uintptr_t)tz;
	assert_int_equal(ml_uri_parse(&uri, uri_text, err), 0);
	env.uri = uri;
	rc = sql_params_init(p, &env, err);
	ml_uri_free(uri);
	return rc;
}

static void
defaults_are_ticdcs(void **state)
{
	struct sql_params p;
	struct ml_err err;

	(void)state;
	assert_int_equal(init(&p, "mysql://h/", "", "UTC", &err), 0);
	assert_string_equal(p.host, "h");
	assert_int_equal(p.port, 4000);
	assert_string_equal(p.user, "root");
	assert_string_equal(p.password, "");
	assert_int_equal(p.workers, 16);
	assert_false(p.workers_given);
	assert_int_equal(p.max_txn_row, 256);
	assert_int_equal(p.max_multi_update_row, 40);
	assert_int_equal(p.max_multi_update_row_size, 1024);
	assert_false(p.pessimistic);
	assert_false(p.safe_mode);
	assert_true(p.batch_dml && p.multi_stmt && p.cache_prep_stmts && p.ddl_ts);
	assert_int_equal(p.read_timeout_ms, 120000);
	assert_int_equal(p.write_timeout_ms, 120000);
	assert_int_equal(p.dial_timeout_ms, 120000);
	assert_null(p.ssl_ca);
	assert_string_equal(p.zone, "UTC");
	assert_string_equal(p.zone_offset, "+00:00");
	sql_params_fini(&p);
}

static void
the_uri_wins_over_the_configuration(void **state)
{
	static const char config[] =
		"{\"safe-mode\":true,\"mysql-config\":{\"worker-count\":3,\"max-txn-row\":7,\"enable-batch-dml\":false,"
		"\"enable-multi-statement\":false,\"tidb-txn-mode\":\"PESSIMISTIC\",\"write-timeout\":\"5s\"}}";
	struct sql_params p;
	struct ml_err err;

	(void)state;
	assert_int_equal(init(&p,
				 "tidb+ssl://me:p%40ss@[::1]:3306/?worker-count=5&safe-mode=false&multi-stmt-enable=1"
				 "&transaction-atomicity=table&time-zone=",
				 config, "Asia/Shanghai", &err),
		0);
	assert_string_equal(p.host, "::1");
	assert_int_equal(p.port, 3306);
	assert_string_equal(p.user, "me");
	assert_string_equal(p.password, "p@ss");
	assert_int_equal(p.workers, 5);
	assert_true(p.workers_given);
	assert_int_equal(p.max_txn_row, 7);
	assert_false(p.batch_dml);
	assert_true(p.multi_stmt);
	assert_true(p.pessimistic);
	assert_false(p.safe_mode);
	assert_true(p.table_atomicity);
	assert_int_equal(p.write_timeout_ms, 5000);
	assert_string_equal(p.zone, ""); /* given empty: the session keeps the target's */
	sql_params_fini(&p);
	assert_int_equal(init(&p, "mysql://h/", config, "UTC", &err), 0);
	assert_int_equal(p.workers, 3);
	assert_true(p.workers_given);
	assert_true(p.safe_mode);
	sql_params_fini(&p);
	assert_int_equal(init(&p, "mysql://h/", "", "UTC", &err), 0);
	assert_int_equal(p.workers, 16);
	assert_false(p.workers_given);
	assert_false(p.in_lists);
	sql_params_fini(&p);
	assert_int_equal(init(&p, "mysql://h/?where-clause=v2", "", "UTC", &err), 0);
	assert_true(p.in_lists);
	sql_params_fini(&p);
}

static void
large_values_are_cut_and_wrong_ones_refused(void **state)
{
	static const struct {
		const char *query;
		enum ml_code code; /* ML_OK: taken */
	} rows[] = {
		{ "worker-count=1024", ML_OK }, { "worker-count=5000", ML_OK },
		{ "worker-count=0", ML_ErrMySQLInvalidConfig }, { "worker-count=", ML_ErrMySQLInvalidConfig },
		{ "worker-count=-1", ML_ErrMySQLInvalidConfig }, { "worker-count=ten", ML_ErrMySQLInvalidConfig },
		{ "max-txn-row=99999", ML_OK }, { "max-txn-row=0", ML_ErrMySQLInvalidConfig },
		{ "max-multi-update-row=0", ML_ErrMySQLInvalidConfig }, { "max-multi-update-row=1000", ML_OK },
		{ "max-multi-update-row-size=0", ML_OK }, { "max-multi-update-row-size=-1", ML_ErrMySQLInvalidConfig },
		{ "max-multi-update-row-size=9000", ML_OK }, { "tidb-txn-mode=maybe", ML_OK },
		{ "safe-mode=maybe", ML_ErrMySQLInvalidConfig }, { "write-timeout=", ML_ErrMySQLInvalidConfig },
		{ "write-timeout=5", ML_ErrMySQLInvalidConfig }, { "read-timeout=1h30m", ML_OK },
		{ "timeout=-1s", ML_ErrMySQLInvalidConfig }, { "batch-dml-enable=2", ML_ErrMySQLInvalidConfig },
		{ "cache-prep-stmts=F", ML_OK }, { "where-clause=v9", ML_OK }, { "time-zone=UTC", ML_OK },
		{ "time-zone=Europe/Paris", ML_ErrMySQLInvalidConfig },
		{ "time-zone=No/Where", ML_ErrMySQLInvalidConfig }, { "protocol=canal-json", ML_ErrSinkURIInvalid },
		{ "transaction-atomicity=none", ML_OK }, { "transaction-atomicity=all", ML_ErrSinkURIInvalid },
		{ "batch-replace-enable=true", ML_OK }, /* unknown keys are only told */
	};
	struct sql_params p;
	struct ml_err err;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char uri[200];
		int rc;

		snprintf(uri, sizeof(uri), "mysql://u:s3cret@h:3306/?%s", rows[i].query);
		rc = init(&p, uri, "", "UTC", &err);
		assert_int_equal(err.code, rows[i].code);
		assert_int_equal(rc, rows[i].code == ML_OK ? 0 : -1);
		assert_null(strstr(err.text, "s3cret"));
		if (rc == 0) {
			assert_in_range(p.workers, 1, 1024);
			assert_in_range(p.max_txn_row, 1, 2048);
			assert_in_range(p.max_multi_update_row, 1, 256);
			assert_in_range(p.max_multi_update_row_size, 0, 8192);
			sql_params_fini(&p);
		}
	}
	assert_int_equal(init(&p, "mysql:///", "", "UTC", &err), -1);
	assert_int_equal(err.code, ML_ErrSinkURIInvalid);
	assert_int_equal(init(&p, "mysql://a,b/", "", "UTC", &err), -1);
	assert_int_equal(err.code, ML_ErrSinkURIInvalid);
}

static void
a_zone_with_one_offset_has_it_beside_its_name(void **state)
{
	static const struct {
		const char *zone, *offset;
	} rows[] = {
		{ "UTC", "+00:00" }, { "Etc/GMT+5", "-05:00" }, { "+05:30", "+05:30" }, { "Europe/Paris", "" },
		{ "Asia/Shanghai", "" }, /* had summer time once */
	};
	struct sql_params p;
	struct ml_err err;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(init(&p, "mysql://h/", "", rows[i].zone, &err), 0);
		assert_string_equal(p.zone, rows[i].zone);
		assert_string_equal(p.zone_offset, rows[i].offset);
		sql_params_fini(&p);
	}
}

#define S(n) ml_ts_from_ms(UINT64_C(1700000000000) / 30000 * 30000 + (n)*1000)

static void
sync_points_lie_on_multiples_behind_the_start(void **state)
{
	Ml__ChangefeedSpec spec = ML__CHANGEFEED_SPEC__INIT;
	_Atomic ml_ts since = 0;
	struct ml_sink_env env = { .spec = &spec, .object = "cf/0", .replicating_ts = &since };
	struct sql_syncpoint s;
	struct ml_err err = { 0 };

	(void)state;
	assert_int_equal(sql_syncpoint_init(&s, NULL, &env, &err), 0);
	assert_int_equal(sql_syncpoint_due(&s, S(1000)), 0); /* off */
	spec.replica_config_json = (char *)(uintptr_t) "{\"enable-sync-point\":true,\"sync-point-interval\":\"30s\"}";
	assert_int_equal(sql_syncpoint_init(&s, NULL, &env, &err), 0);
	assert_int_equal(s.interval_ms, 30000);
	assert_int_equal(s.retention_ms, 86400000);
	assert_int_equal(sql_syncpoint_due(&s, S(1000)), 0); /* what was written before is not known */
	atomic_store(&since, S(30) + 7);
	assert_int_equal(sql_syncpoint_due(&s, S(30) + 7), 0);
	assert_int_equal(sql_syncpoint_due(&s, S(60) - 1), 0);
	assert_int_equal(sql_syncpoint_due(&s, S(60)), S(60));
	assert_int_equal(sql_syncpoint_due(&s, S(60)), 0);
	assert_int_equal(sql_syncpoint_due(&s, S(89)), 0);
	assert_int_equal(sql_syncpoint_due(&s, S(155)), S(150)); /* nothing changed at 90 and 120 */
	assert_int_equal(sql_syncpoint_due(&s, S(179)), 0);
	assert_int_equal(sql_syncpoint_due(&s, S(180) + 5), S(180));
	spec.replica_config_json =
		(char *)(uintptr_t) "{\"enable-sync-point\":true,\"sync-point-interval\":1000000000}";
	assert_int_equal(sql_syncpoint_init(&s, NULL, &env, &err), -1);
	assert_int_equal(err.code, ML_ErrInvalidReplicaConfig);
	spec.replica_config_json = (char *)(uintptr_t) "{\"enable-sync-point\":true,\"sync-point-retention\":\"59m\"}";
	assert_int_equal(sql_syncpoint_init(&s, NULL, &env, &err), -1);
	assert_int_equal(err.code, ML_ErrInvalidReplicaConfig);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_ticdcs),
		cmocka_unit_test(the_uri_wins_over_the_configuration),
		cmocka_unit_test(large_values_are_cut_and_wrong_ones_refused),
		cmocka_unit_test(a_zone_with_one_offset_has_it_beside_its_name),
		cmocka_unit_test(sync_points_lie_on_multiples_behind_the_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
