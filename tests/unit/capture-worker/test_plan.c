/* test_plan.c - what a changefeed's settings make of sink and protocol, and what does not go together (sinks.md 1.5). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "capture-worker/plan.h"

static void
settings_that_do_not_go_together_are_refused(void **state)
{
	static const struct {
		const char *uri, *protocol, *sink, *replica;
		enum ml_code code; /* ML_OK: accepted */
		const char *want;  /* part of the text, or the encoder's name */
	} rows[] = {
		{ "kafka://h/t?protocol=morse", "", "", "", ML_ErrSinkUnknownProtocol, "morse" },
		{ "kafka://h/t", "morse", "", "", ML_ErrSinkUnknownProtocol, "morse" },
		{ "kafka://h/t?protocol=csv", "", "", "", ML_ErrSinkUnknownProtocol, "csv" },
		{ "file:///d", "", "", "", ML_ErrSinkUnknownProtocol, "" },
		{ "file:///d?protocol=morse", "", "", "", ML_ErrSinkUnknownProtocol, "morse" },
		{ "file:///d?protocol=avro", "", "", "", ML_ErrStorageSinkInvalidConfig, "CDC:ErrSinkUnknownProtocol" },
		{ "s3://b/d?protocol=canal", "", "", "", ML_ErrStorageSinkInvalidConfig, "CDC:ErrSinkUnknownProtocol" },
		{ "blackhole://?protocol=morse", "", "", "", ML_ErrSinkUnknownProtocol, "morse" },
		{ "morse://h/t", "", "", "", ML_ErrSinkURIInvalid, "the sink scheme (morse) is not supported" },
		{ "", "", "", "", ML_ErrSinkURIInvalid, "" },
		/* The URI's protocol wins, in any case; the old name of Avro is one, too. */
		{ "kafka://h/t?protocol=Canal", "morse", "", "", ML_OK, "canal" },
		{ "kafka://h/t?protocol=flat-avro", "", "", "", ML_OK, "avro" },
		{ "KAFKA://h/t?protocol=default", "", "", "", ML_OK, "open-protocol" },
		{ "kafka://h/t", "", "", "", ML_OK, "open-protocol" },
		{ "file:///d", "CSV", "", "", ML_OK, "csv" },
		{ "kafka://h/t?protocol=canal-json", "", "", "{\"integrity\":{\"integrity-check-level\":\"some\"}}",
			ML_ErrInvalidReplicaConfig, "integrity-check-level" },
		{ "kafka://h/t?protocol=canal-json", "",
			"{\"column-selectors\":[{\"matcher\":[\"*.*\"],\"columns\":[\"*\"]}]}",
			"{\"integrity\":{\"integrity-check-level\":\"correctness\"}}", ML_ErrInvalidReplicaConfig,
			"column-selectors" },
		/* Only messages have checksums. */
		{ "file:///d?protocol=csv", "", "{\"column-selectors\":[{\"matcher\":[\"*.*\"],\"columns\":[\"*\"]}]}",
			"{\"integrity\":{\"integrity-check-level\":\"correctness\"}}", ML_OK, "csv" },
		{ "kafka://h/t?protocol=canal-json", "", "{\"column-selectors\":[]}",
			"{\"integrity\":{\"integrity-check-level\":\"correctness\"}}", ML_OK, "canal-json" },
		{ "kafka://h/t?protocol=canal-json", "", "{\"encoder-concurrency\":-1}", "", ML_ErrSinkInvalidConfig,
			"encoder-concurrency" },
		{ "kafka://h/t?protocol=canal-json", "", "", "{\"changefeed-error-stuck-duration\":\"29m\"}",
			ML_ErrInvalidReplicaConfig, "stuck-duration" },
		{ "kafka://h/t?protocol=canal-json", "", "", "{\"enable-sync-point\":true}", ML_ErrSinkURIInvalid,
			"enable-sync-point" },
		{ "file:///d?protocol=csv", "", "", "{\"bdr-mode\":true}", ML_ErrSinkURIInvalid, "bdr-mode" },
		/* A storage sink refuses these; to others they are nothing. */
		{ "kafka://h/t?protocol=canal-json", "", "{\"date-separator\":\"week\",\"csv\":{\"quote\":\"ab\"}}", "",
			ML_OK, "canal-json" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		Ml__ChangefeedSpec spec = ML__CHANGEFEED_SPEC__INIT;
		struct ml_plan p;
		struct ml_err err = { 0 };
		int rc;

		spec.sink_uri = (char *)(uintptr_t)rows[i].uri;
		spec.protocol = (char *)(uintptr_t)rows[i].protocol;
		spec.sink_config_json = (char *)(uintptr_t)rows[i].sink;
		spec.replica_config_json = (char *)(uintptr_t)rows[i].replica;
		rc = ml_plan_init(&p, &spec, &err);
		if (rows[i].code == ML_OK) {
			if (rc != 0)
				fail_msg("row %zu: %s", i, err.text);
			assert_string_equal(p.encoder->name, rows[i].want);
			ml_plan_fini(&p);
			continue;
		}
		if (rc == 0 || err.code != rows[i].code || strstr(err.text, rows[i].want) == NULL)
			fail_msg("row %zu: %s %s", i, ml_code_name(err.code), err.text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(settings_that_do_not_go_together_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
