#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/text/replica.h"

static struct ml_arena a;

static const struct ml_json *
doc_of(const char *text)
{
	struct ml_err err = { 0 };
	struct ml_json *j;

	ml_arena_reset(&a);
	assert_int_equal(ml_json_parse(&j, &a, text, strlen(text), &err), 0);
	return j;
}

static void
the_stored_form_is_canonical(void **state)
{
	static const struct {
		const char *text, *section, *without, *want;
	} rows[] = {
		{ "{}", "", NULL, "" },
		{ "null", "", NULL, "" },
		{ "{\"unknown\": 1, \"filter\": {\"x\": 2}}", "", NULL, "" },
		{ "{\"sink\": {\"protocol\": \"csv\"}, \"bdr-mode\": false, \"case_sensitive\": true}", "", "sink",
			"{\"case-sensitive\":true,\"bdr-mode\":false}" },
		{ "{\"filter\": {\"event_filters\": [{\"ignore_event\": [\"insert\"], \"matcher\": [\"a.b\"], \"new\": 1}, null], "
		  "\"rules\": [ \"a.*\" ], \"ignore-txn-start-ts\": [18446744073709551615]}}",
			"", NULL,
			"{\"filter\":{\"rules\":[\"a.*\"],\"ignore-txn-start-ts\":[18446744073709551615],\"event-filters\":["
			"{\"matcher\":[\"a.b\"],\"ignore-event\":[\"insert\"]},{}]}}" },
		/* What one sink alone knows stays whole. */
		{ "{\"kafka-config\": {\"new-key\": {\"x\": [1]}, \"compression\": \"lz4\"}, \"protocol\": \"p\", \"Date-Separator\": \"DAY\"}",
			"sink", "protocol|dispatchers",
			"{\"date-separator\":\"DAY\",\"kafka-config\":{\"new-key\":{\"x\":[1]},\"compression\":\"lz4\"}}" },
		{ "{\"changefeed_error_stuck_duration\": 3600000000000, \"sync-point-interval\": \"30s\"}", "", NULL,
			"{\"sync-point-interval\":\"30s\",\"changefeed-error-stuck-duration\":3600000000000}" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ml_buf out = { 0 };

		ml_replica_print(doc_of(rows[i].text), rows[i].section, rows[i].without, &out);
		assert_string_equal(out.len > 0 ? out.data : "", rows[i].want);
		ml_buf_fini(&out);
	}
}

static void
wrong_types_are_named(void **state)
{
	static const struct {
		const char *text, *section, *called, *want;
	} rows[] = {
		{ "{\"case-sensitive\": 1}", "", "replica_config",
			"cannot decode number 1 into field replica_config.case-sensitive of type bool" },
		{ "{\"filter\": []}", "", "replica_config",
			"cannot decode array into field replica_config.filter of type object" },
		{ "{\"filter\": {\"event-filters\": {}}}", "", "replica_config",
			"cannot decode object into field replica_config.filter.event-filters of type array" },
		{ "{\"filter\": {\"event-filters\": [1]}}", "", "replica_config",
			"cannot decode number into field replica_config.filter.event-filters of type object" },
		{ "{\"filter\": {\"event_filters\": [{\"ignore_sql\": \"x\"}]}}", "", "replica_config",
			"cannot decode string into field replica_config.filter.event-filters.ignore-sql of type []string" },
		{ "{\"csv\": {\"quote\": 1}}", "sink", "sink_config",
			"cannot decode number 1 into field sink_config.csv.quote of type string" },
		{ "{\"kafka_config\": {\"codec_config\": {\"max-batch-size\": 1.5}}}", "sink", "sink_config",
			"cannot decode number 1.5 into field sink_config.kafka-config.codec-config.max-batch-size of type int64" },
		{ "{\"sync-point-interval\": true}", "", "c",
			"cannot decode bool into field c.sync-point-interval of type string" },
		{ "{\"memory-quota\": -1}", "", "c",
			"cannot decode number -1 into field c.memory-quota of type uint64" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ml_err err = { 0 };

		assert_int_equal(ml_replica_types(doc_of(rows[i].text), rows[i].section, rows[i].called, &a, &err), -1);
		assert_int_equal(err.code, ML_ErrAPIInvalidParam);
		assert_string_equal(err.text, rows[i].want);
	}
	assert_int_equal(
		ml_replica_types(
			doc_of("{\"x\":{},\"filter\":null,\"sink\":{\"csv\":{\"more\":{}}},\"sync-point-interval\":1}"),
			"", "c", &a, NULL),
		0);
}

static void
ranges_have_the_codes_of_the_contract(void **state)
{
	static const struct {
		const char *text, *section;
		enum ml_code code;
	} rows[] = {
		{ "", "", ML_OK },
		{ "{\"encoder-concurrency\":-1}", "sink", ML_ErrSinkInvalidConfig },
		{ "{\"encoder-concurrency\":0}", "sink", ML_OK },
		{ "{\"date-separator\":\"week\"}", "sink", ML_OK }, /* the storage sink judges it */
		{ "{\"date-separator\":\"Month\"}", "sink", ML_OK },
		{ "{\"date-separator\":\"\"}", "sink", ML_OK },
		{ "{\"changefeed-error-stuck-duration\":\"29m\"}", "", ML_ErrInvalidReplicaConfig },
		{ "{\"changefeed-error-stuck-duration\":\"30m\"}", "", ML_OK },
		{ "{\"changefeed-error-stuck-duration\":1}", "", ML_ErrInvalidReplicaConfig },
		{ "{\"changefeed-error-stuck-duration\":\"long\"}", "", ML_ErrInvalidReplicaConfig },
		{ "{\"integrity\":{\"integrity-check-level\":\"all\"}}", "", ML_ErrInvalidReplicaConfig },
		{ "{\"integrity\":{\"corruption-handle-level\":\"error\"}}", "", ML_OK },
		{ "{\"sink\":{\"encoder-concurrency\":-5}}", "", ML_ErrSinkInvalidConfig },
		{ "[", "", ML_ErrInvalidReplicaConfig },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ml_err err = { 0 };
		int rc = ml_replica_ranges_text(rows[i].text, rows[i].section, &err);

		if (err.code != rows[i].code || (rc == 0) != (rows[i].code == ML_OK))
			fail_msg("%s: %s", rows[i].text, err.text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_stored_form_is_canonical),
		cmocka_unit_test(wrong_types_are_named),
		cmocka_unit_test(ranges_have_the_codes_of_the_contract),
	};
	int rc;

	ml_arena_init(&a, 0);
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	ml_arena_fini(&a);
	return rc;
}
