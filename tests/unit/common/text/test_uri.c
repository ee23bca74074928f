/* test_uri.c - the URI rules of the sinks: what is refused, how parts are decoded, typed values, and that no secret shows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/text/uri.h"

static void
parts_are_decoded(void **state)
{
	static const struct {
		const char *text, *scheme, *user, *password, *hosts, *path, *key, *value;
	} rows[] = {
		{ "kafka://h1:9092,h2:9093/topic?protocol=canal-json", "kafka", NULL, NULL, "h1:9092,h2:9093", "/topic",
			"protocol", "canal-json" },
		{ "KAFKA+SSL://[::1]:9092/t", "kafka+ssl", NULL, NULL, "[::1]:9092", "/t", "x", NULL },
		{ "mysql://ro%40t:p%3A%2F%3Fw@h:4000/", "mysql", "ro@t", "p:/?w", "h:4000", "/", "x", NULL },
		{ "mysql://u:a:b@h/", "mysql", "u", "a:b", "h", "/", "x", NULL },
		{ "mysql://u:a@b@h/", "mysql", "u", "a@b", "h", "/", "x", NULL },
		{ "mysql://u:@h/", "mysql", "u", "", "h", "/", "x", NULL },
		{ "mysql://u@h", "mysql", "u", NULL, "h", "", "x", NULL },
		{ "file:///tmp/a%20b?protocol=csv", "file", NULL, NULL, "", "/tmp/a b", "protocol", "csv" },
		{ "blackhole://", "blackhole", NULL, NULL, "", "", "x", NULL },
		{ "blackhole:", "blackhole", NULL, NULL, "", "", "x", NULL },
		{ "kafka://h/t?a=1+2", "kafka", NULL, NULL, "h", "/t", "a", "1 2" },
		{ "s3://b/p?secret-access-key=a+b%2Bc", "s3", NULL, NULL, "b", "/p", "secret-access-key", "a+b+c" },
		{ "kafka://h/t?a=first&a=second", "kafka", NULL, NULL, "h", "/t", "a", "first" },
		{ "kafka://h/t?a=", "kafka", NULL, NULL, "h", "/t", "a", "" },
		{ "kafka://h/t?a", "kafka", NULL, NULL, "h", "/t", "a", "" },
		{ "kafka://h/t?&&b=1&", "kafka", NULL, NULL, "h", "/t", "b", "1" },
		{ "kafka://h/t?p=a=b", "kafka", NULL, NULL, "h", "/t", "p", "a=b" },
		{ "kafka://h/t?%61=%62", "kafka", NULL, NULL, "h", "/t", "a", "b" },
		{ "kafka://h:/t", "kafka", NULL, NULL, "h:", "/t", "x", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ml_uri *u;
		struct ml_err err = { 0 };

		if (ml_uri_parse(&u, rows[i].text, &err) != 0)
			fail_msg("%s: %s", rows[i].text, err.text);
		assert_string_equal(u->scheme, rows[i].scheme);
		assert_string_equal(u->hosts, rows[i].hosts);
		assert_string_equal(u->path, rows[i].path);
		if (rows[i].user == NULL)
			assert_null(u->user);
		else
			assert_string_equal(u->user, rows[i].user);
		if (rows[i].password == NULL)
			assert_null(u->password);
		else
			assert_string_equal(u->password, rows[i].password);
		if (rows[i].value == NULL)
			assert_null(ml_uri_get(u, rows[i].key));
		else
			assert_string_equal(ml_uri_get(u, rows[i].key), rows[i].value);
		ml_uri_free(u);
	}
}

static void
bad_uris_are_refused_without_showing_them(void **state)
{
	static const char *const rows[] = {
		"",
		"topic",
		"/path",
		"://h",
		"1x://h",
		"kafka",
		"kafka:h/t",
		"kafka:/h",
		"kafka://h/t?a=%zz",
		"kafka://h/t?a=%4",
		"kafka://h/t?a=%",
		"kafka://h/t?a=%00",
		"kafka://h/t%00",
		"mysql://u:%zz@h/",
		"mysql://%@h/",
		"kafka://h/t?a=1;b=2",
		"kafka://::1:9092/t",
		"kafka://fe80::1/t",
		"kafka://[::1/t",
		"kafka://[::1]9092/t",
		"kafka://h:99999/t",
		"kafka://h:port/t",
		"kafka://h:-1/t",
		"kafka://h /t",
		"kafka://h,g:x/t",
		"kafka://h/t#frag",
		"mysql://u:pa#ss@h/",
		"mysql://root:12/34@h/",
		"mysql://root:12?34@h/",
		"mysql://root:pa/ss@h/",
		"kafka://h/t?%gg=1",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ml_uri *u;
		struct ml_err err = { 0 };
		char *masked;

		if (ml_uri_parse(&u, rows[i], &err) == 0)
			fail_msg("accepted: %s", rows[i]);
		assert_int_equal(err.code, ML_ErrSinkURIInvalid);
		if (strlen(rows[i]) > 8)
			assert_null(strstr(err.text, rows[i]));
		masked = ml_uri_mask(rows[i], ML_MASK_API);
		assert_string_equal(masked, "");
		free(masked);
	}
}

static struct ml_uri *
with(const char *value)
{
	char text[128] = "kafka://h/t?v=";
	struct ml_uri *u;

	strcat(text, value);
	assert_int_equal(ml_uri_parse(&u, text, NULL), 0);
	return u;
}

static void
typed_values(void **state)
{
	static const struct {
		const char *text;
		int got;
		bool v;
	} bools[] = {
		{ "1", 1, true },
		{ "t", 1, true },
		{ "T", 1, true },
		{ "TRUE", 1, true },
		{ "true", 1, true },
		{ "True", 1, true },
		{ "0", 1, false },
		{ "f", 1, false },
		{ "F", 1, false },
		{ "FALSE", 1, false },
		{ "false", 1, false },
		{ "False", 1, false },
		{ "", 1, false },
		{ "yes", -1, false },
		{ "tRue", -1, false },
		{ "%20true", -1, false },
	};
	static const struct {
		const char *text;
		int got;
		int64_t v;
	} ints[] = {
		{ "", 1, 0 },
		{ "0", 1, 0 },
		{ "-1", 1, -1 },
		{ "%2B7", 1, 7 },
		{ "9223372036854775807", 1, INT64_MAX },
		{ "-9223372036854775808", 1, INT64_MIN },
		{ "9223372036854775808", -1, 0 },
		{ "-", -1, 0 },
		{ "1x", -1, 0 },
		{ "0x10", -1, 0 },
		{ "1.0", -1, 0 },
		{ "%201", -1, 0 },
	};
	struct ml_uri *u;
	struct ml_err err;
	bool b = false;
	int64_t n = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(bools) / sizeof(bools[0]); i++) {
		u = with(bools[i].text);
		b = !bools[i].v;
		assert_int_equal(ml_uri_bool(u, "v", &b, ML_ErrKafkaInvalidConfig, &err), bools[i].got);
		if (bools[i].got == 1)
			assert_int_equal(b, bools[i].v);
		ml_uri_free(u);
	}
	for (size_t i = 0; i < sizeof(ints) / sizeof(ints[0]); i++) {
		u = with(ints[i].text);
		assert_int_equal(ml_uri_int(u, "v", &n, ML_ErrStorageSinkInvalidConfig, &err), ints[i].got);
		if (ints[i].got == 1)
			assert_true(n == ints[i].v);
		else
			assert_string_equal(err.text, "storage sink config invalid: the value of v is not an integer");
		assert_int_equal(ml_uri_int(u, "absent", &n, ML_ErrKafkaInvalidConfig, &err), 0);
		ml_uri_free(u);
	}
	u = with(""); /* an empty duration */
	assert_int_equal(ml_uri_duration_ms(u, "v", &n, ML_ErrKafkaInvalidConfig, &err), 0);
	assert_int_equal(ml_uri_duration_ms(u, "v", &n, ML_ErrMySQLInvalidConfig, &err), -1);
	assert_int_equal(err.code, ML_ErrMySQLInvalidConfig);
	ml_uri_free(u);
	u = with("1m30s");
	assert_int_equal(ml_uri_duration_ms(u, "v", &n, ML_ErrKafkaInvalidConfig, &err), 1);
	assert_int_equal(n, 90000);
	ml_uri_free(u);
}

static void
durations_are_gos(void **state)
{
	static const struct {
		const char *text;
		int64_t ns;
	} good[] = {
		{ "0", 0 },
		{ "10s", 10000000000 },
		{ "500ms", 500000000 },
		{ "1h30m", 5400000000000 },
		{ "1.5h", 5400000000000 },
		{ ".5s", 500000000 },
		{ "5.s", 5000000000 },
		{ "-2ms", -2000000 },
		{ "+3us", 3000 },
		{ "7ns", 7 },
		{ "4\xc2\xb5s", 4000 },
		{ "4\xce\xbcs", 4000 },
		{ "1s1s", 2000000000 },
		{ "0s", 0 },
	};
	static const char *const bad[] = { "", "-", "10", "s", "1d", "1 s", "1s ", ".s", "1..5s", "9999999999h", "1hx",
		"0x1s" };
	int64_t ns;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		if (ml_parse_duration_ns(good[i].text, &ns) != 0)
			fail_msg("refused: %s", good[i].text);
		assert_int_equal(ns, good[i].ns);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (ml_parse_duration_ns(bad[i], &ns) == 0)
			fail_msg("accepted: %s", bad[i]);
}

static void
hosts_and_ports(void **state)
{
	static const struct {
		const char *text, *host;
		uint16_t port;
	} good[] = {
		{ "h", "h", 9092 },
		{ "h:1", "h", 1 },
		{ "h:", "h", 9092 },
		{ "[::1]:65535", "::1", 65535 },
		{ "[fe80::1]", "fe80::1", 9092 },
	};
	static const char *const bad[] = { "", ":1", "h:0", "h:65536", "[]:1", "::1", "a,b", "toolong-name" };
	char host[12];
	uint16_t port;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(ml_uri_host_port(good[i].text, host, sizeof(host), &port, 9092), 0);
		assert_string_equal(host, good[i].host);
		assert_int_equal(port, good[i].port);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (ml_uri_host_port(bad[i], host, sizeof(host), &port, 9092) == 0)
			fail_msg("accepted: %s", bad[i]);
}

static void
secrets_are_masked_and_kept_by_an_update(void **state)
{
	static const struct {
		const char *text, *masked;
	} rows[] = {
		{ "mysql://root:s3cret@h:4000/?ssl-ca=/ca.pem&ssl-key=/key.pem",
			"mysql://root:xxxxx@h:4000/?ssl-ca=/ca.pem&ssl-key=xxxxx" },
		{ "kafka://h:9092/t?sasl-user=u&sasl-password=s3cret&kafka-client-id=c&cert=/c",
			"kafka://h:9092/t?sasl-user=u&sasl-password=xxxxx&kafka-client-id=xxxxx&cert=/c" },
		{ "s3://b/p?access-key=s3cret&secret-access-key=a+s3cret&session-token=s3cret&region=r",
			"s3://b/p?access-key=xxxxx&secret-access-key=xxxxx&session-token=xxxxx&region=r" },
		{ "azure://c/p?sas-token=s3cret&account-name=n&account-key=s3cret",
			"azure://c/p?sas-token=xxxxx&account-name=n&account-key=xxxxx" },
		{ "kafka://h/t?Sasl-PassWord=s3cret", "kafka://h/t?Sasl-PassWord=xxxxx" },
		{ "kafka://h/t?sasl-p%61ssword=s3cret", "kafka://h/t?sasl-p%61ssword=xxxxx" },
		{ "kafka://h/t?password=s3cret&password=s3cret2", "kafka://h/t?password=xxxxx&password=xxxxx" },
		{ "mysql://u:@h/", "mysql://u:xxxxx@h/" },
		{ "mysql://u:p%40s3cret@h/", "mysql://u:xxxxx@h/" },
		{ "kafka://h/t?schema-registry=http%3A%2F%2Fu%3As3cret%40r",
			"kafka://h/t?schema-registry=http://u:xxxxx%40r" },
		{ "kafka://h/t?schema-registry=http://r:8081", "kafka://h/t?schema-registry=http://r:8081" },
		{ "blackhole://", "blackhole://" },
		{ "blackhole:", "blackhole:" },
		{ "file:///d?protocol=csv&&x", "file:///d?protocol=csv&&x" },
		{ "kafka://h/t?password", "kafka://h/t?password" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *m = ml_uri_mask(rows[i].text, ML_MASK_API), *log = ml_uri_mask(rows[i].text, ML_MASK_STRONG),
		     *back;

		assert_string_equal(m, rows[i].masked);
		assert_null(strstr(m, "s3cret"));
		assert_null(strstr(log, "s3cret"));
		if (strstr(rows[i].text, "password=s3cret&password") == NULL) {
			back = ml_uri_unmask(m, rows[i].text);
			assert_string_equal(back, rows[i].text);
			free(back);
		}
		free(m);
		free(log);
	}
}

static void
unmask_takes_only_masked_values_from_the_stored_uri(void **state)
{
	static const struct {
		const char *given, *stored, *want;
	} rows[] = {
		{ "kafka://n/t?sasl-password=xxxxx&sasl-user=b", "kafka://o/t?sasl-user=a&sasl-password=pw",
			"kafka://n/t?sasl-password=pw&sasl-user=b" },
		{ "kafka://n/t?sasl-password=new", "kafka://o/t?sasl-password=pw", "kafka://n/t?sasl-password=new" },
		{ "mysql://u:xxxxx@n/", "mysql://u:p%40w@o/", "mysql://u:p%40w@n/" },
		{ "mysql://u:xxxxx@n/", "mysql://u@o/", "mysql://u:xxxxx@n/" },
		{ "kafka://n/t?sasl-user=xxxxx", "kafka://o/t?sasl-user=a", "kafka://n/t?sasl-user=xxxxx" },
		{ "kafka://n/t?token=xxxxx", "kafka://o/t", "kafka://n/t?token=xxxxx" },
		{ "not a uri", "kafka://o/t", "not a uri" },
		{ "kafka://n/t?token=xxxxx", "not a uri", "kafka://n/t?token=xxxxx" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *u = ml_uri_unmask(rows[i].given, rows[i].stored);

		assert_string_equal(u, rows[i].want);
		free(u);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parts_are_decoded),
		cmocka_unit_test(bad_uris_are_refused_without_showing_them),
		cmocka_unit_test(typed_values),
		cmocka_unit_test(durations_are_gos),
		cmocka_unit_test(hosts_and_ports),
		cmocka_unit_test(secrets_are_masked_and_kept_by_an_update),
		cmocka_unit_test(unmask_takes_only_masked_values_from_the_stored_uri),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
