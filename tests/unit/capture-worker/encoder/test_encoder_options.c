/* Where encoder options come from and which values are refused; protocol names; kinds of DDL. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "capture-worker/encoder/ddl_type.h"
#include "capture-worker/encoder/options.h"
#include "common/text/uri.h"

struct input {
	const char *query, *config;
	bool storage, force;
};

static int
read_opts(const struct input *in, struct ml_encoder_opts *o, struct ml_err *err)
{
	Ml__ChangefeedSpec spec = ML__CHANGEFEED_SPEC__INIT;
	struct ml_encoder_env env = {
		.spec = &spec, .max_message_bytes = in->storage ? SIZE_MAX : 1000000, .storage = in->storage
	};
	struct ml_uri *uri;
	char text[256];
	int rc;

	spec.force_replicate = in->force;
	spec.sink_config_json = (char *)(uintptr_t)in->config;
	snprintf(text, sizeof(text), "%s?%s", in->storage ? "file:///tmp/x" : "kafka://127.0.0.1:9092/t", in->query);
	assert_int_equal(ml_uri_parse(&uri, text, err), 0);
	env.sink_uri = uri;
	rc = ml_encoder_opts_read(o, &env, err);
	ml_uri_free(uri);
	return rc;
}

/* Everything that is not the default, as text. */
static void
show(const struct ml_encoder_opts *o, char *buf, size_t size)
{
	snprintf(buf, size, "%s%s%s%s%sbatch %u bytes %zu end %zu", o->tidb_extension ? "tidb " : "",
		o->only_updated ? "updated " : "", o->content_compatible ? "compat " : "",
		o->delete_handle_only ? "delkeys " : "", o->open_old_value ? "" : "noold ", o->max_batch_size,
		o->max_message_bytes, o->terminator_len);
}

static void
reads_the_uri_over_the_configuration(void **state)
{
	static const struct {
		struct input in;
		const char *want;
	} rows[] = {
		{ { "", "", false, false }, "batch 16 bytes 1000000 end 2" },
		{ { "", "{}", true, false }, "batch 16 bytes 18446744073709551615 end 2" },
		{ { "enable-tidb-extension=true&max-batch-size=3", "", false, false },
			"tidb batch 3 bytes 1000000 end 2" },
		{ { "", "{\"kafka-config\":{\"codec-config\":{\"enable-tidb-extension\":true,\"max-batch-size\":4}}}",
			  false, false },
			"tidb batch 4 bytes 1000000 end 2" },
		{ { "enable-tidb-extension=false&max-batch-size=5",
			  "{\"kafka-config\":{\"codec-config\":{\"enable-tidb-extension\":true,\"max-batch-size\":4}}}",
			  false, false },
			"batch 5 bytes 1000000 end 2" },
		{ { "", "{\"only-output-updated-columns\":true}", false, false },
			"updated batch 16 bytes 1000000 end 2" },
		{ { "content-compatible=1", "", false, false }, "updated compat batch 16 bytes 1000000 end 2" },
		{ { "", "{\"delete-only-output-handle-key-columns\":true,\"open\":{\"output-old-value\":false}}", false,
			  false },
			"delkeys noold batch 16 bytes 1000000 end 2" },
		{ { "max-message-bytes=500", "", false, false }, "batch 16 bytes 500 end 2" },
		{ { "", "{\"kafka-config\":{\"max-message-bytes\":700}}", false, false }, "batch 16 bytes 700 end 2" },
		{ { "max-message-bytes=2000000", "", false, false }, "batch 16 bytes 1000000 end 2" },
		{ { "max-message-bytes=500", "{\"terminator\":\"\\n\"}", true, false },
			"batch 16 bytes 18446744073709551615 end 1" },
		{ { "", "{\"terminator\":\"\"}", true, false }, "batch 16 bytes 18446744073709551615 end 2" },
		{ { "", "{\"kafka-config\":{\"large-message-handle\":{\"large-message-handle-option\":\"none\"}}}",
			  false, false },
			"batch 16 bytes 1000000 end 2" },
		{ { "", "{\"terminator\":null,\"kafka-config\":null}", false, false }, "batch 16 bytes 1000000 end 2" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ml_encoder_opts o;
		struct ml_err err = { 0 };
		char got[200];

		if (read_opts(&rows[i].in, &o, &err) < 0)
			fail_msg("row %zu: %s", i, err.text);
		show(&o, got, sizeof(got));
		assert_string_equal(got, rows[i].want);
		ml_encoder_opts_fini(&o);
	}
}

static void
reads_the_csv_section_for_storage(void **state)
{
	static const struct {
		const char *config;
		bool storage;
		const char *want;
	} rows[] = {
		{ "", true, "delimiter [,] quote [\"] null [\\N] base64" },
		{ "{\"csv\":null}", true, "delimiter [,] quote [\"] null [\\N] base64" },
		{ "{\"csv\":{\"delimiter\":\"\\t\",\"quote\":\"'\",\"null\":\"\"}}", true,
			"delimiter [\t] quote ['] null [] base64" },
		{ "{\"csv\":{\"delimiter\":\"|||\",\"quote\":\"\",\"null\":\"NULL\",\"binary-encoding-method\":\"hex\"}}",
			true, "delimiter [|||] quote [] null [NULL] hex" },
		{ "{\"csv\":{\"include-commit-ts\":true,\"output-old-value\":true,\"output-handle-key\":true,\"quote\":null}}",
			true, "delimiter [,] quote [\"] null [\\N] base64 ts old handle" },
		/* Another sink has no use for it, not even to complain. */
		{ "{\"csv\":{\"delimiter\":\"\",\"quote\":7}}", false, "delimiter [,] quote [\"] null [\\N] base64" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct input in = { "", rows[i].config, rows[i].storage, false };
		struct ml_encoder_opts o;
		struct ml_err err = { 0 };
		char got[200];

		if (read_opts(&in, &o, &err) < 0)
			fail_msg("row %zu: %s", i, err.text);
		snprintf(got, sizeof(got), "delimiter [%.*s] quote [%.*s] null [%s] %s%s%s%s", o.csv.delimiter_len,
			o.csv.delimiter, o.csv.quote != '\0', &o.csv.quote, o.csv.null, o.csv.hex ? "hex" : "base64",
			o.csv.commit_ts ? " ts" : "", o.csv.old_value ? " old" : "", o.csv.handle_key ? " handle" : "");
		assert_string_equal(got, rows[i].want);
		ml_encoder_opts_fini(&o);
	}
}

static void
refuses_values_with_a_code(void **state)
{
	static const struct {
		struct input in;
		enum ml_code want;
	} rows[] = {
		{ { "enable-tidb-extension=maybe", "", false, false }, ML_ErrCodecInvalidConfig },
		{ { "max-batch-size=0", "", false, false }, ML_ErrCodecInvalidConfig },
		{ { "max-batch-size=-1", "", false, false }, ML_ErrCodecInvalidConfig },
		{ { "max-batch-size=many", "", false, false }, ML_ErrCodecInvalidConfig },
		{ { "max-batch-size=", "", false, false }, ML_ErrCodecInvalidConfig },
		{ { "max-message-bytes=0", "", false, false }, ML_ErrCodecInvalidConfig },
		{ { "", "{\"kafka-config\":{\"max-message-bytes\":-5}}", false, false }, ML_ErrCodecInvalidConfig },
		{ { "", "{\"kafka-config\":{\"codec-config\":{\"max-batch-size\":\"16\"}}}", false, false },
			ML_ErrCodecInvalidConfig },
		{ { "", "{\"only-output-updated-columns\":1}", false, false }, ML_ErrCodecInvalidConfig },
		{ { "", "{\"terminator\":10}", true, false }, ML_ErrCodecInvalidConfig },
		{ { "", "[]", false, false }, ML_ErrCodecInvalidConfig },
		{ { "", "{\"open\":", false, false }, ML_ErrCodecInvalidConfig },
		{ { "", "{\"delete-only-output-handle-key-columns\":true}", false, true }, ML_ErrCodecInvalidConfig },
		{ { "", "{\"csv\":[]}", true, false }, ML_ErrSinkInvalidConfig },
		{ { "", "{\"csv\":{\"quote\":\"ab\"}}", true, false }, ML_ErrSinkInvalidConfig },
		{ { "", "{\"csv\":{\"quote\":\"\\n\"}}", true, false }, ML_ErrSinkInvalidConfig },
		{ { "", "{\"csv\":{\"quote\":\"\\r\"}}", true, false }, ML_ErrSinkInvalidConfig },
		{ { "", "{\"csv\":{\"quote\":1}}", true, false }, ML_ErrSinkInvalidConfig },
		{ { "", "{\"csv\":{\"quote\":\"é\"}}", true, false }, ML_ErrSinkInvalidConfig },
		{ { "", "{\"csv\":{\"delimiter\":\"\"}}", true, false }, ML_ErrSinkInvalidConfig },
		{ { "", "{\"csv\":{\"delimiter\":\"abcd\"}}", true, false }, ML_ErrSinkInvalidConfig },
		{ { "", "{\"csv\":{\"delimiter\":\"a\\n\"}}", true, false }, ML_ErrSinkInvalidConfig },
		{ { "", "{\"csv\":{\"delimiter\":\"\\r\"}}", true, false }, ML_ErrSinkInvalidConfig },
		{ { "", "{\"csv\":{\"delimiter\":\"a\\\"\"}}", true, false }, ML_ErrSinkInvalidConfig },
		{ { "", "{\"csv\":{\"delimiter\":\"|x\",\"quote\":\"x\"}}", true, false }, ML_ErrSinkInvalidConfig },
		{ { "", "{\"csv\":{\"null\":\"a\\u0000b\"}}", true, false }, ML_ErrSinkInvalidConfig },
		{ { "", "{\"csv\":{\"null\":false}}", true, false }, ML_ErrSinkInvalidConfig },
		{ { "", "{\"csv\":{\"binary-encoding-method\":\"utf8\"}}", true, false }, ML_ErrSinkInvalidConfig },
		{ { "", "{\"csv\":{\"include-commit-ts\":\"true\"}}", true, false }, ML_ErrSinkInvalidConfig },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ml_encoder_opts o;
		struct ml_err err = { 0 };

		assert_int_equal(read_opts(&rows[i].in, &o, &err), -1);
		if (err.code != rows[i].want)
			fail_msg("row %zu: %s %s", i, ml_code_name(err.code), err.text);
	}
}

static void
reads_output_raw_change_event_per_sink(void **state)
{
	Ml__ChangefeedSpec spec = ML__CHANGEFEED_SPEC__INIT;
	struct ml_err err = { 0 };
	bool raw = true;

	(void)state;
	assert_int_equal(ml_encoder_raw_change_event(&spec, false, &raw, &err), 0);
	assert_false(raw);
	spec.sink_config_json = (char *)(uintptr_t) "{\"kafka-config\":{\"output-raw-change-event\":true}}";
	assert_int_equal(ml_encoder_raw_change_event(&spec, false, &raw, &err), 0);
	assert_true(raw);
	assert_int_equal(ml_encoder_raw_change_event(&spec, true, &raw, &err), 0);
	assert_false(raw);
	spec.sink_config_json = (char *)(uintptr_t) "{\"cloud-storage-config\":{\"output-raw-change-event\":\"yes\"}}";
	assert_int_equal(ml_encoder_raw_change_event(&spec, true, &raw, &err), -1);
	assert_int_equal(err.code, ML_ErrCodecInvalidConfig);
}

static void
knows_protocols_by_any_case_and_alias(void **state)
{
	static const struct {
		const char *name, *want;
	} rows[] = {
		{ "canal-json", "canal-json" },
		{ "Canal-JSON", "canal-json" },
		{ "open-protocol", "open-protocol" },
		{ "DEFAULT", "open-protocol" },
		{ "CSV", "csv" },
		{ "open", NULL },
		{ "", NULL },
		{ "CANAL", "canal" },
		{ "avro", "avro" },
		{ "Flat-Avro", "avro" },
		{ "flat", NULL },
		{ "cana", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ml_err err = { 0 };
		const struct ml_encoder_ops *ops = ml_encoder_for(rows[i].name, &err);

		if (rows[i].want != NULL) {
			assert_non_null(ops);
			assert_string_equal(ops->name, rows[i].want);
		} else {
			assert_null(ops);
			assert_int_equal(err.code, ML_ErrSinkUnknownProtocol);
		}
	}
}

static void
names_every_kind_of_ddl(void **state)
{
	static const struct {
		const char *want;
		int actions[24];
	} rows[] = {
		{ "CREATE", { 3 } },
		{ "RENAME", { 14, 47 } },
		{ "CINDEX", { 7, 9, 32 } },
		{ "DINDEX", { 8, 10, 33 } },
		{ "ALTER", { 5, 6, 12, 13, 15, 17, 18, 19, 20, 22, 23, 37, 38, 41, 61, 64, 71, 72 } },
		{ "ERASE", { 4 } },
		{ "TRUNCATE", { 11 } },
		{ "QUERY", { 1, 2, 21, 24, 25, 26, 42, 60, 65, 67 } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (size_t k = 0; rows[i].actions[k] != 0; k++)
			assert_string_equal(ml_ddl_type(rows[i].actions[k]), rows[i].want);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_the_uri_over_the_configuration),
		cmocka_unit_test(reads_the_csv_section_for_storage),
		cmocka_unit_test(refuses_values_with_a_code),
		cmocka_unit_test(reads_output_raw_change_event_per_sink),
		cmocka_unit_test(knows_protocols_by_any_case_and_alias),
		cmocka_unit_test(names_every_kind_of_ddl),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
