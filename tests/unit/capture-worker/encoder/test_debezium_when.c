/* Dates and times as Debezium's numbers, decimals as doubles, the settings of debezium, compression of both halves. */
#include "tests/unit/capture-worker/encoder/golden.h"

#include <snappy-c.h>

#include "capture-worker/encoder/debezium/debezium.h"
#include "capture-worker/encoder/debezium/field.h"
#include "capture-worker/encoder/debezium/when.h"
#include "common/text/num.h"

/* A copy at the end of its own allocation, so that ASan sees a read past it. */
static char *
tight(const char *s)
{
	size_t n = strlen(s);
	char *p = malloc(n > 0 ? n : 1);

	assert_non_null(p);
	memcpy(p, s, n);
	return p;
}

static void
reads_dates(void **state)
{
	static const struct {
		const char *in;
		enum dbz_when want;
		int64_t days;
	} rows[] = {
		{ "1970-01-01", DBZ_REAL, 0 },
		{ "1969-12-31", DBZ_REAL, -1 },
		{ "2024-02-29", DBZ_REAL, 19782 },
		{ "2023-02-29", DBZ_UNREAL, 0 },
		{ "1900-02-29", DBZ_UNREAL, 0 },
		{ "2000-02-29", DBZ_REAL, 11016 },
		{ "1000-01-01", DBZ_REAL, -354285 },
		{ "9999-12-31", DBZ_REAL, 2932896 },
		{ "0000-01-01", DBZ_REAL, 10957 }, /* 2000 */
		{ "0069-12-31", DBZ_REAL, 36524 }, /* 2069 */
		{ "0070-01-01", DBZ_REAL, 0 },
		{ "0099-12-31", DBZ_REAL, 10956 }, /* 1999 */
		{ "0100-01-01", DBZ_REAL, -683003 },
		{ "0000-00-00", DBZ_UNREAL, 0 },
		{ "2024-00-10", DBZ_UNREAL, 0 },
		{ "2024-10-00", DBZ_UNREAL, 0 },
		{ "2024-13-01", DBZ_UNREAL, 0 },
		{ "2024-04-31", DBZ_UNREAL, 0 },
		{ "2024/04/30", DBZ_UNREADABLE, 0 },
		{ "20x4-04-30", DBZ_UNREADABLE, 0 },
		{ "2024-04-3", DBZ_UNREADABLE, 0 },
		{ "", DBZ_UNREADABLE, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *s = tight(rows[i].in);
		int64_t days = 0;

		if (dbz_date(s, (uint32_t)strlen(rows[i].in), &days) != rows[i].want || days != rows[i].days)
			fail_msg("%s: %lld", rows[i].in, (long long)days);
		free(s);
	}
}

static void
reads_instants_and_times(void **state)
{
	static const struct {
		const char *in;
		enum dbz_when want;
		int64_t us;
	} instants[] = {
		{ "1970-01-01 00:00:00", DBZ_REAL, 0 },
		{ "1970-01-01", DBZ_REAL, 0 },
		{ "1969-12-31 23:59:59.999999", DBZ_REAL, -1 },
		{ "2024-02-29 12:34:56.789", DBZ_REAL, 1709210096789000 },
		{ "9999-12-31 23:59:59.999999", DBZ_REAL, 253402300799999999 },
		{ "2024-01-01 24:00:00", DBZ_UNREAL, 0 },
		{ "2024-01-01 00:60:00", DBZ_UNREAL, 0 },
		{ "2024-02-30 00:00:00", DBZ_UNREAL, 0 },
		{ "0000-00-00 00:00:00.000000", DBZ_UNREAL, 0 },
		{ "2024-01-01 00:00", DBZ_UNREADABLE, 0 },
		{ "2024-01-01 00:00:0", DBZ_UNREADABLE, 0 },
		{ "2024-01-01 00:00:00x", DBZ_UNREADABLE, 0 },
		{ "2024-01-01 00:00:00.1x", DBZ_UNREADABLE, 0 },
		{ "soon", DBZ_UNREADABLE, 0 },
	};
	static const struct {
		const char *in;
		bool want;
		int64_t us;
	} times[] = {
		{ "00:00:00", true, 0 },
		{ "12:34:56", true, 45296000000 },
		{ "-838:59:59", true, -3020399000000 },
		{ "838:59:59.999999", true, 3020399999999 },
		{ "-00:00:00.000001", true, -1 },
		{ "01:00:00.1", true, 3600100000 },
		{ "00:60:00", false, 0 },
		{ "-", false, 0 },
		{ ":00:00", false, 0 },
		{ "00:00", false, 0 },
		{ "", false, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(instants) / sizeof(instants[0]); i++) {
		char *s = tight(instants[i].in);
		int64_t us = 0;

		if (dbz_datetime(s, (uint32_t)strlen(instants[i].in), &us) != instants[i].want || us != instants[i].us)
			fail_msg("%s: %lld", instants[i].in, (long long)us);
		free(s);
	}
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		char *s = tight(times[i].in);
		int64_t us = 0;
		bool got = dbz_time(s, (uint32_t)strlen(times[i].in), &us);

		if (got != times[i].want || (got && us != times[i].us))
			fail_msg("%s: %lld", times[i].in, (long long)us);
		free(s);
	}
}

static void
puts_timestamps_in_utc(void **state)
{
	static const struct {
		const char *zone, *in, *want;
	} rows[] = {
		{ "UTC", "2024-07-01 10:00:00", "2024-07-01T10:00:00Z" },
		{ "UTC", "1970-01-01 00:00:01", "1970-01-01T00:00:01Z" },
		{ "UTC", "1970-01-01 00:00:00.999", "1970-01-01T00:00:00Z" },
		{ "UTC", "0000-00-00 00:00:00", "1970-01-01T00:00:00Z" },
		{ "Asia/Shanghai", "2024-01-01 00:00:00.120", "2023-12-31T16:00:00.120Z" },
		{ "Asia/Shanghai", "1970-01-01 08:00:01", "1970-01-01T00:00:01Z" },
		{ "Asia/Shanghai", "1970-01-01 08:00:00", "1970-01-01T00:00:00Z" },
		{ "America/New_York", "2024-07-01 06:00:00.000001", "2024-07-01T10:00:00.000001Z" },
		{ "America/New_York", "2024-12-31 23:59:59.999999", "2025-01-01T04:59:59.999999Z" },
		{ "America/New_York", "0000-00-00 00:00:00", "1970-01-01T00:00:00Z" },
		{ "-03:30", "2000-02-29 20:30:00", "2000-03-01T00:00:00Z" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *s = tight(rows[i].in), want[64];
		struct ml_err err = { 0 };
		struct ml_arena a;
		struct ml_tz *tz;
		struct ml_out o;

		assert_int_equal(ml_tz_open(&tz, rows[i].zone, &err), 0);
		ml_arena_init(&a, 256);
		ml_out_begin(&o, &a);
		dbz_put_timestamp(&o, s, (uint32_t)strlen(rows[i].in), strcmp(rows[i].zone, "UTC") == 0 ? NULL : tz);
		snprintf(want, sizeof(want), "\"%s\"", rows[i].want);
		if (ml_out_len(&o) != strlen(want) || memcmp(o.start, want, strlen(want)) != 0)
			fail_msg("%s in %s: %.*s", rows[i].in, rows[i].zone, (int)ml_out_len(&o), o.start);
		ml_arena_fini(&a);
		ml_tz_free(tz);
		free(s);
	}
}

/* What is copied must be what reading and printing gives. */
static void
puts_decimals_as_doubles(void **state)
{
	static const char *const odd[] = { "0", "-0", "0.00", "-0.00", "0.000001", "0.0000010", "0.0000001",
		"0.00000099", "1", "-1.50", "100", "100.00", "00.5", "999999999999999", "9999999999999999",
		"99999999999999.9", "0.100000000000000000", "123456789.123456789", "1e5",
		"12345678901234567890123456789", "0.0500" };
	static const char *const bad[] = { "", "-", ".", "1.2.3", "abc", "0x10", "nan", "1e999" };
	uint64_t seed = 88172645463325252u;
	struct ml_arena a;

	(void)state;
	ml_arena_init(&a, 0);
	for (unsigned i = 0; i < 200000; i++) {
		char in[64], want[ML_FLOAT_TEXT_MAX + 1];
		struct ml_out o;

		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		if (i < sizeof(odd) / sizeof(odd[0]))
			snprintf(in, sizeof(in), "%s", odd[i]);
		else
			snprintf(in, sizeof(in), "%s%llu.%0*llu", seed & 1 ? "-" : "",
				(unsigned long long)(seed >> 8) % (1ull << (seed >> 2 & 31)), (int)(seed >> 50) % 9,
				(unsigned long long)(seed >> 20) % (1ull << (seed >> 60)));
		want[ml_f64_text(want, strtod(in, NULL), ML_FLOAT_J2)] = '\0';
		ml_out_begin(&o, &a);
		assert_true(dbz_put_decimal(&o, in, (uint32_t)strlen(in)));
		if (ml_out_len(&o) != strlen(want) || memcmp(o.start, want, strlen(want)) != 0)
			fail_msg("%s: want %s, got %.*s", in, want, (int)ml_out_len(&o), o.start);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char *s = tight(bad[i]);
		struct ml_out o;

		ml_out_begin(&o, &a);
		assert_false(dbz_put_decimal(&o, s, (uint32_t)strlen(bad[i])));
		assert_int_equal(ml_out_len(&o), 0);
		free(s);
	}
	ml_arena_fini(&a);
}

/* ---- the encoder as a whole ---- */

struct rig {
	Ml__ChangefeedSpec spec;
	Ml__ServerConfig config;
	struct ml_uri *uri;
	struct ml_encoder *e;
	struct ml_err err;
};

static int
rig_open(struct rig *r, const char *query, const char *config, const char *cluster, const char *zone)
{
	struct ml_encoder_env env = { .max_message_bytes = 10485760, .now_ms = golden_now };
	char uri[256];

	memset(r, 0, sizeof(*r));
	ml__changefeed_spec__init(&r->spec);
	ml__server_config__init(&r->config);
	r->spec.sink_config_json = (char *)(uintptr_t)config;
	r->spec.timezone = (char *)(uintptr_t)zone;
	r->config.cluster_id = (char *)(uintptr_t)cluster;
	r->config.tz = (char *)(uintptr_t) "UTC";
	snprintf(uri, sizeof(uri), "kafka://127.0.0.1:9092/t?%s", query);
	assert_int_equal(ml_uri_parse(&r->uri, uri, &r->err), 0);
	env.spec = &r->spec;
	env.config = &r->config;
	env.sink_uri = r->uri;
	return ml_encoder_debezium.open(&r->e, &env, &r->err);
}

static void
rig_close(struct rig *r)
{
	ml_encoder_debezium.close(r->e);
	ml_uri_free(r->uri);
}

static struct ml_schema *
make_table(void)
{
	struct ml_schema *s = ml_schema_new();

	s->db = (struct ml_text){ "d", 1 };
	s->table = (struct ml_text){ "t", 1 };
	s->n_columns = 1;
	s->columns = ml_arena_zalloc(&s->arena, sizeof(*s->columns));
	s->columns[0] = (struct ml_column){ .name = { "ts", 2 }, .type = ML_T_TIMESTAMP, .flags = ML_F_BINARY };
	s->columns[0].flen = s->columns[0].decimal = -1;
	s->n_indexes = 1;
	s->indexes = ml_arena_zalloc(&s->arena, sizeof(*s->indexes));
	s->indexes[0] = (struct ml_index){ .primary = true, .unique = true, .n_cols = 1 };
	s->indexes[0].cols = ml_arena_zalloc(&s->arena, sizeof(uint16_t));
	ml_schema_finish(s);
	return s;
}

static struct ml_batch *
one_row(struct ml_schema *s, ml_ts ts)
{
	static const struct ml_datum d = { .kind = ML_D_BYTES, .s = "2024-07-01 06:00:00", .len = 19 };
	struct ml_batch *b = ml_batch_new();

	*ml_batch_row(b) = (struct ml_row){ .schema = s, .op = ML_OP_INSERT, .after = &d, .commit_ts = ts };
	ml_batch_pin(b, s);
	return b;
}

static void
has(const struct ml_msg *m, const char *text)
{
	if (memmem(m->value, m->value_len, text, strlen(text)) == NULL)
		fail_msg("%s is not in %.*s", text, (int)m->value_len, m->value);
}

static void
names_the_cluster_and_knows_the_zone(void **state)
{
	struct ml_schema *s = make_table();
	struct ml_batch *b = one_row(s, 445644800000000001u);
	struct rig r;

	(void)state;
	assert_int_equal(rig_open(&r, "", "", "1 \"c\"", "America/New_York"), 0);
	assert_int_equal(ml_encoder_debezium.rows(r.e, b, &r.err), 0);
	assert_int_equal(b->n_msgs, 1);
	assert_string_equal(
		ml_arena_strndup(&b->arena, b->msgs[0].key, 37), "{\"payload\":{\"ts\":\"2024-07-01T10:00:00");
	has(&b->msgs[0], "\"name\":\"1 \\\"c\\\"\",\"ts_ms\":1700000000000,");
	has(&b->msgs[0], "\"commit_ts\":445644800000000001,\"cluster_id\":\"1 \\\"c\\\"\"},\"ts_ms\":1700000000123,");
	has(&b->msgs[0], "\"name\":\"_1__c_.d.t.Envelope\"");
	ml_batch_free(b);
	rig_close(&r);
	ml_schema_unref(s);
	ml_batch_pool_drain();
}

static void
compresses_key_and_value(void **state)
{
	struct ml_schema *s = make_table();
	struct ml_batch *b = one_row(s, 445644800000000001u);
	char text[4096];
	size_t len = sizeof(text);
	struct rig r;

	(void)state;
	assert_int_equal(rig_open(&r, "",
				 "{\"kafka-config\":{\"large-message-handle\":{"
				 "\"large-message-handle-compression\":\"snappy\"}}}",
				 "", NULL),
		0);
	assert_int_equal(ml_encoder_debezium.rows(r.e, b, &r.err), 0);
	assert_int_equal(snappy_uncompress(b->msgs[0].key, b->msgs[0].key_len, text, &len), SNAPPY_OK);
	assert_memory_equal(text, "{\"payload\":{\"ts\":\"2024", 22);
	len = sizeof(text);
	assert_int_equal(snappy_uncompress(b->msgs[0].value, b->msgs[0].value_len, text, &len), SNAPPY_OK);
	assert_memory_equal(text, "{\"payload\":{\"source\":{\"version\"", 31);
	assert_memory_equal(text + len - 3, "]}}", 3);
	ml_batch_free(b);
	rig_close(&r);
	ml_schema_unref(s);
	ml_batch_pool_drain();
}

static void
refuses_bad_settings(void **state)
{
	static const struct {
		const char *query, *config;
		enum ml_code want;
	} rows[] = {
		{ "debezium-disable-schema=perhaps", "", ML_ErrCodecInvalidConfig },
		{ "", "{\"debezium-disable-schema\":1}", ML_ErrCodecInvalidConfig },
		{ "", "{\"debezium\":{\"output-old-value\":\"no\"}}", ML_ErrCodecInvalidConfig },
		{ "", "{\"kafka-config\":{\"large-message-handle\":{\"large-message-handle-option\":\"handle-key-only\"}}}",
			ML_ErrInvalidReplicaConfig },
		{ "max-message-bytes=0", "", ML_ErrCodecInvalidConfig },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct rig r;

		assert_int_equal(rig_open(&r, rows[i].query, rows[i].config, "", NULL), -1);
		if (r.err.code != rows[i].want)
			fail_msg("%s %s: %s", rows[i].query, rows[i].config, r.err.text);
		ml_uri_free(r.uri);
	}
}

/* What stands in the uri wins over the configuration. */
static void
takes_the_uri_first(void **state)
{
	struct ml_schema *s = make_table();
	struct ml_batch *b = one_row(s, 1);
	struct rig r;

	(void)state;
	assert_int_equal(
		rig_open(&r, "debezium-disable-schema=false", "{\"debezium-disable-schema\":true}", "", NULL), 0);
	assert_int_equal(ml_encoder_debezium.rows(r.e, b, &r.err), 0);
	has(&b->msgs[0], "}},\"schema\":{");
	ml_batch_free(b);
	rig_close(&r);
	ml_schema_unref(s);
	ml_batch_pool_drain();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_dates),
		cmocka_unit_test(reads_instants_and_times),
		cmocka_unit_test(puts_timestamps_in_utc),
		cmocka_unit_test(puts_decimals_as_doubles),
		cmocka_unit_test(names_the_cluster_and_knows_the_zone),
		cmocka_unit_test(compresses_key_and_value),
		cmocka_unit_test(refuses_bad_settings),
		cmocka_unit_test(takes_the_uri_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
