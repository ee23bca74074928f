/* test_spec.c - bodies of create and update as specs: a URI and a configuration that contradict each other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "api-gateway/api/spec.h"

static Ml__ChangefeedSpec *
create(const char *body)
{
	Ml__ChangefeedSpec *spec = NULL;
	struct ml_err err = { 0 };

	if (ml_spec_of_create(body, strlen(body), &spec, &err) != 0)
		fail_msg("%s: %s", body, err.text);
	return spec;
}

/* sinks.md 1.4: a configuration that comes to contradict the URI is refused, a new URI wins. */
static void
updates_must_not_contradict_the_uri(void **state)
{
	static const char with[] = "{\"changefeed_id\":\"a\",\"sink_uri\":\"kafka://h/t?protocol=canal-json\"}";
	static const char both[] = "{\"changefeed_id\":\"a\",\"sink_uri\":\"kafka://h/t?protocol=canal-json\","
				   "\"sink_config\":{\"protocol\":\"canal\"}}";
	static const struct {
		const char *old, *body, *want; /* want: of the error, NULL: none */
	} rows[] = {
		{ with, "{\"sink_config\":{\"protocol\":\"avro\"}}", "sink uri(canal-json) and config file(avro)" },
		{ with, "{\"replica_config\":{\"sink\":{\"protocol\":\"avro\"}}}",
			"sink uri(canal-json) and config file(avro)" },
		{ with, "{\"sink_config\":{\"protocol\":\"Canal-JSON\"}}", NULL },
		{ with, "{\"sink_config\":{\"protocol\":\"\"}}", NULL },
		{ with, "{\"sink_config\":{\"protocol\":\"avro\"},\"sink_uri\":\"kafka://h/t?protocol=canal\"}", NULL },
		{ with, "{\"sink_config\":{\"terminator\":\"x\"}}", NULL },
		/* It contradicted it before: only what is new is refused. */
		{ both, "{\"sink_config\":{\"protocol\":\"canal\",\"terminator\":\"x\"}}", NULL },
		{ both, "{\"sink_config\":{\"protocol\":\"avro\"}}", "sink uri(canal-json) and config file(avro)" },
		{ "{\"changefeed_id\":\"a\",\"sink_uri\":\"file:///t?protocol=csv&transaction-atomicity=none\"}",
			"{\"sink_config\":{\"transaction-atomicity\":\"table\"}}",
			"sink uri(none) and config file(table)" },
		{ "{\"changefeed_id\":\"a\",\"sink_uri\":\"file:///t?protocol=csv\"}",
			"{\"sink_config\":{\"transaction-atomicity\":\"table\"}}", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		Ml__ChangefeedSpec *old = create(rows[i].old), *spec = NULL;
		struct ml_err err = { 0 };
		int rc = ml_spec_of_update(rows[i].body, strlen(rows[i].body), old, &spec, &err);

		if (rows[i].want == NULL) {
			if (rc != 0)
				fail_msg("row %zu: %s", i, err.text);
			ml__changefeed_spec__free_unpacked(spec, NULL);
		} else {
			assert_int_equal(rc, -1);
			assert_int_equal(err.code, ML_ErrChangefeedUpdateRefused);
			if (strstr(err.text, "[CDC:ErrIncompatibleSinkConfig]") == NULL ||
				strstr(err.text, rows[i].want) == NULL)
				fail_msg("row %zu: %s", i, err.text);
		}
		ml__changefeed_spec__free_unpacked(old, NULL);
	}
}

static void
a_rule_has_one_partition_rule(void **state)
{
	static const char body[] =
		"{\"changefeed_id\":\"a\",\"sink_uri\":\"kafka://h/t?protocol=canal-json\",\"sink_config\":"
		"{\"dispatchers\":[{\"matcher\":[\"*.*\"],\"dispatcher\":\"ts\",\"partition\":\"ts\"}]}}";
	static const char old_name[] =
		"{\"changefeed_id\":\"a\",\"sink_uri\":\"kafka://h/t?protocol=canal-json\",\"sink_config\":"
		"{\"dispatchers\":[{\"matcher\":[\"*.*\"],\"dispatcher\":\"rowid\",\"index\":\"uk\"}]}}";
	Ml__ChangefeedSpec *spec = NULL;
	struct ml_err err = { 0 };

	(void)state;
	assert_int_equal(ml_spec_of_create(body, strlen(body), &spec, &err), -1);
	assert_int_equal(err.code, ML_ErrSinkInvalidConfig);
	spec = create(old_name);
	assert_int_equal(spec->n_dispatchers, 1);
	assert_string_equal(spec->dispatchers[0]->partition, "rowid");
	assert_string_equal(spec->dispatchers[0]->index, "uk");
	ml__changefeed_spec__free_unpacked(spec, NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(updates_must_not_contradict_the_uri),
		cmocka_unit_test(a_rule_has_one_partition_rule),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
