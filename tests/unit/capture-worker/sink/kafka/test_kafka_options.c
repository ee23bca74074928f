/* test_kafka_options.c - the settings of the kafka sink: each rule with its code, the two places, TLS, SASL; no broker. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "capture-worker/sink/kafka/client.h"
#include "capture-worker/sink/kafka/options.h"
#include "common/text/uri.h"

static Ml__ChangefeedSpec spec;
static Ml__ServerConfig config;

static int
read_options(struct kafka_options *o, const char *uri, const char *file, struct ml_err *err)
{
	struct ml_sink_env env = { .spec = &spec, .config = &config, .object = "cf/0" };
	struct ml_uri *u;
	int rc;

	ml__changefeed_spec__init(&spec);
	ml__server_config__init(&config);
	spec.id = (char *)"cf1";
	spec.sink_config_json = (char *)file;
	config.advertise_addr = (char *)"127.0.0.1:8300";
	if (ml_uri_parse(&u, uri, err) != 0)
		return -1;
	env.uri = u;
	rc = kafka_options_init(o, &env, err);
	ml_uri_free(u);
	return rc;
}

static void
bad_settings_are_refused_with_their_code(void **state)
{
	static const struct {
		const char *uri, *file, *inner;
		enum ml_code code;
	} rows[] = {
		{ "kafka://h:9092", "", "no topic is specified in sink-uri", ML_ErrKafkaInvalidConfig },
		{ "kafka://h:9092///", "", "no topic is specified in sink-uri", ML_ErrKafkaInvalidConfig },
		{ "kafka:///t", "", "no broker", ML_ErrKafkaInvalidConfig },
		{ "kafka://h/t?partition-num=0", "", "CDC:ErrKafkaInvalidPartitionNum", ML_ErrKafkaInvalidConfig },
		{ "kafka://h/t?partition-num=-1", "", "CDC:ErrKafkaInvalidPartitionNum", ML_ErrKafkaInvalidConfig },
		{ "kafka://h/t?partition-num=x", "", "partition-num", ML_ErrKafkaInvalidConfig },
		{ "kafka://h/t?replication-factor=0", "", "replication-factor", ML_ErrKafkaInvalidConfig },
		{ "kafka://h/t?max-message-bytes=0", "", "max-message-bytes", ML_ErrKafkaInvalidConfig },
		{ "kafka://h/t?max-message-bytes=-5", "", "max-message-bytes", ML_ErrKafkaInvalidConfig },
		{ "kafka://h/t?kafka-version=2.4", "", "CDC:ErrKafkaInvalidVersion", ML_ErrKafkaInvalidConfig },
		{ "kafka://h/t?kafka-version=0.11.0", "", "CDC:ErrKafkaInvalidVersion", ML_ErrKafkaInvalidConfig },
		{ "kafka://h/t?kafka-client-id=a%20b", "", "CDC:ErrKafkaInvalidClientID", ML_ErrKafkaInvalidConfig },
		{ "kafka://h/t?required-acks=2", "", "CDC:ErrKafkaInvalidRequiredAcks", ML_ErrKafkaInvalidConfig },
		{ "kafka://h/t?required-acks=-2", "", "CDC:ErrKafkaInvalidRequiredAcks", ML_ErrKafkaInvalidConfig },
		{ "kafka://h/t?auto-create-topic=maybe", "", "auto-create-topic", ML_ErrKafkaInvalidConfig },
		{ "kafka://h/t?dial-timeout=10", "", "dial-timeout", ML_ErrKafkaInvalidConfig },
		{ "kafka://h/t?read-timeout=-1s", "", "timeouts", ML_ErrKafkaInvalidConfig },
		{ "kafka://h/t?ca=/ca", "", "together", ML_ErrKafkaInvalidConfig },
		{ "kafka://h/t?ca=/ca&cert=/c&key=/k&enable-tls=false", "", "enable-tls", ML_ErrKafkaInvalidConfig },
		{ "kafka://h/t?sasl-mechanism=md5", "", "sasl-mechanism", ML_ErrKafkaInvalidConfig },
		{ "kafka://h/t?sasl-gssapi-auth-type=magic", "", "sasl-gssapi-auth-type", ML_ErrKafkaInvalidConfig },
		{ "kafka://h/t?sasl-mechanism=gssapi&sasl-gssapi-auth-type=user", "", "not supported",
			ML_ErrKafkaInvalidConfig },
		{ "kafka://h/t?sasl-mechanism=gssapi&sasl-gssapi-auth-type=keytab&sasl-gssapi-keytab-path=/k&sasl-gssapi-user=u"
		  "&sasl-gssapi-realm=R%24(id)",
			"", "letters, digits", ML_ErrKafkaInvalidConfig },
		{ "kafka://h/t?sasl-mechanism=gssapi&sasl-gssapi-auth-type=keytab&sasl-gssapi-keytab-path=/k%22%3Bid&sasl-gssapi-user=u"
		  "&sasl-gssapi-realm=R",
			"", "letters, digits", ML_ErrKafkaInvalidConfig },
		{ "kafka://h/t?sasl-mechanism=oauthbearer", "", "sasl-oauth-client-id", ML_ErrKafkaInvalidConfig },
		{ "kafka://h/t", "{\"kafka-config\":{\"sasl-oauth-client-id\":\"i\"}}", "not oauthbearer",
			ML_ErrKafkaInvalidConfig },
		{ "kafka://h/t?sasl-mechanism=oauthbearer",
			"{\"kafka-config\":{\"sasl-oauth-client-id\":\"i\",\"sasl-oauth-client-secret\":\"?\",\"sasl-oauth-token-url\":\"http://x\"}}",
			"not base64", ML_ErrKafkaInvalidConfig },
		{ "kafka://h/t?transaction-atomicity=table", "",
			"table level atomicity is not supported by kafka scheme", ML_ErrSinkURIInvalid },
		{ "kafka://h/t?transaction-atomicity=x", "", "x level atomicity", ML_ErrSinkURIInvalid },
		{ "kafka://h/t", "{\"transaction-atomicity\":\"table\"}", "table level", ML_ErrSinkURIInvalid },
		{ "kafka://h/t", "{\"kafka-config\":{\"partition-num\":\"3\"}}", "partition-num",
			ML_ErrKafkaInvalidConfig },
		{ "kafka://h/t", "{\"kafka-config\":{\"partition-num\":0}}", "CDC:ErrKafkaInvalidPartitionNum",
			ML_ErrKafkaInvalidConfig },
		/* A key of the URI wins, also when its value is the type's zero. */
		{ "kafka://h/t?replication-factor=0", "{\"kafka-config\":{\"replication-factor\":2}}",
			"replication-factor", ML_ErrKafkaInvalidConfig },
		{ "kafka://h/t", "{\"kafka-config\":[1]}", "kafka-config", ML_ErrSinkInvalidConfig },
		{ "kafka://h/t", "no json", "JSON", ML_ErrSinkInvalidConfig },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct kafka_options o;
		struct ml_err err = { 0 };

		if (read_options(&o, rows[i].uri, rows[i].file, &err) == 0)
			fail_msg("accepted: %s %s", rows[i].uri, rows[i].file);
		if (err.code != rows[i].code || strstr(err.text, rows[i].inner) == NULL)
			fail_msg("%s %s: %s %s", rows[i].uri, rows[i].file, ml_code_name(err.code), err.text);
	}
}

static const char *
property(const struct kafka_options *o, const char *name)
{
	for (int i = 0; i < o->n_security; i++)
		if (strcmp(o->security[i].name, name) == 0)
			return o->security[i].value;
	return NULL;
}

static void
defaults_and_given_values(void **state)
{
	struct kafka_options o;
	struct ml_err err;

	(void)state;
	assert_int_equal(read_options(&o, "kafka://h1:9092,[::1]:9093/topic/", "", &err), 0);
	assert_string_equal(o.brokers, "h1:9092,[::1]:9093");
	assert_string_equal(o.topic, "topic");
	assert_string_equal(o.client_id, "TiCDC_producer_127.0.0.1_8300_default_cf1");
	assert_string_equal(o.compression, "none");
	assert_int_equal(o.partitions, 0);
	assert_int_equal(o.replication, 1);
	assert_int_equal(o.max_message_bytes, 10485760);
	assert_int_equal(o.max_retry, 5);
	assert_int_equal(o.acks, -1);
	assert_true(o.auto_create);
	assert_int_equal(o.dial_ms, 10000);
	assert_false(o.tls);
	assert_false(o.sasl);
	kafka_options_fini(&o);

	assert_int_equal(
		read_options(&o,
			"kafka+ssl://h/t?partition-num=7&replication-factor=3&max-message-bytes=2000&required-acks=0&max-retry=-3"
			"&compression=%20ZSTD%20&kafka-client-id=me&auto-create-topic=false&dial-timeout=2s&write-timeout=&kafka-version=2.4.0",
			"{\"kafka-config\":{\"partition-num\":2,\"write-timeout\":\"3s\",\"read-timeout\":\"500ms\",\"required-acks\":1}}",
			&err),
		0);
	assert_int_equal(o.partitions, 7);
	assert_int_equal(o.replication, 3);
	assert_int_equal(o.max_message_bytes, 2000);
	assert_int_equal(o.acks, 0);
	assert_int_equal(o.max_retry, 5); /* a negative one is ignored */
	assert_string_equal(o.compression, "zstd");
	assert_string_equal(o.client_id, "me");
	assert_false(o.auto_create);
	assert_int_equal(o.dial_ms, 2000);
	assert_int_equal(o.write_ms, 3000);
	assert_int_equal(o.read_ms, 500);
	assert_false(o.tls); /* the scheme switches nothing on */
	kafka_options_fini(&o);

	assert_int_equal(read_options(&o, "kafka://h/t?compression=brotli", "", &err), 0);
	assert_string_equal(o.compression, "none");
	kafka_options_fini(&o);
}

static void
security_goes_to_the_client(void **state)
{
	static const struct {
		const char *uri, *file;
		bool tls, sasl;
		const char *name, *value;
	} rows[] = {
		{ "kafka://h/t?enable-tls=true", "", true, false, "ssl.ca.location", NULL },
		{ "kafka://h/t?ca=/a&cert=/c&key=/k", "", true, false, "ssl.key.location", "/k" },
		{ "kafka://h/t?ca=/a&cert=/c&key=/k&enable-tls=true&insecure-skip-verify=true", "", true, false,
			"enable.ssl.certificate.verification", "false" },
		{ "kafka://h/t?insecure-skip-verify=true", "", false, false, "enable.ssl.certificate.verification",
			NULL },
		{ "kafka://h/t?sasl-mechanism=Plain&sasl-user=u&sasl-password=p%26w", "", false, true, "sasl.password",
			"p&w" },
		{ "kafka://h/t?sasl-mechanism=scram-sha-512&sasl-user=u&sasl-password=p&enable-tls=1", "", true, true,
			"sasl.mechanisms", "SCRAM-SHA-512" },
		{ "kafka://h/t?sasl-user=u&sasl-password=p", "", false, false, "sasl.username", NULL },
		{ "kafka://h/t",
			"{\"kafka-config\":{\"sasl-mechanism\":\"SCRAM-SHA-256\",\"sasl-user\":\"u\",\"sasl-password\":\"p\"}}",
			false, true, "sasl.username", "u" },
		{ "kafka://h/t?sasl-mechanism=gssapi&sasl-gssapi-auth-type=keytab&sasl-gssapi-keytab-path=/etc/k.tab&sasl-gssapi-user=cdc"
		  "&sasl-gssapi-realm=EXAMPLE.COM&sasl-gssapi-service-name=kafka",
			"", false, true, "sasl.kerberos.principal", "cdc@EXAMPLE.COM" },
		{ "kafka://h/t?sasl-mechanism=oauthbearer",
			"{\"kafka-config\":{\"sasl-oauth-client-id\":\"i\",\"sasl-oauth-client-secret\":\"czNjcmV0\",\"sasl-oauth-token-url\":"
			"\"http://x/token\",\"sasl-oauth-scopes\":[\"a\",\"b\"]}}",
			false, true, "sasl.oauthbearer.client.secret", "s3cret" },
		{ "kafka://h/t?sasl-mechanism=oauthbearer",
			"{\"kafka-config\":{\"sasl-oauth-client-id\":\"i\",\"sasl-oauth-client-secret\":\"czNjcmV0\",\"sasl-oauth-token-url\":"
			"\"http://x/token\",\"sasl-oauth-scopes\":[\"a\",\"b\"]}}",
			false, true, "sasl.oauthbearer.scope", "a b" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct kafka_options o;
		struct ml_err err;

		if (read_options(&o, rows[i].uri, rows[i].file, &err) != 0)
			fail_msg("%s: %s", rows[i].uri, err.text);
		assert_int_equal(o.tls, rows[i].tls);
		assert_int_equal(o.sasl, rows[i].sasl);
		if (rows[i].value == NULL)
			assert_null(property(&o, rows[i].name));
		else
			assert_string_equal(property(&o, rows[i].name), rows[i].value);
		kafka_options_fini(&o);
	}
}

static void
every_property_is_one_that_the_client_knows(void **state)
{
	static const char *const uris[] = {
		"kafka://127.0.0.1:1/t",
		"kafka://127.0.0.1:1/t?required-acks=0&max-retry=0",
		"kafka://127.0.0.1:1/t?compression=gzip&enable-tls=true",
		"kafka://127.0.0.1:1/t?sasl-mechanism=plain&sasl-user=u&sasl-password=p&max-message-bytes=100",
		"kafka://127.0.0.1:1/t?sasl-mechanism=scram-sha-256&sasl-user=u&sasl-password=p&enable-tls=true&insecure-skip-verify=true",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(uris) / sizeof(uris[0]); i++) {
		struct kafka_client c = { 0 };
		struct kafka_options o;
		struct ml_err err;

		assert_int_equal(read_options(&o, uris[i], "", &err), 0);
		if (kafka_client_open(&c, &o, 1000000, NULL, "cf/0", &err) != 0)
			fail_msg("%s: %s", uris[i], err.text);
		assert_true(kafka_client_close(&c, 5000));
		kafka_options_fini(&o);
	}
}

static void
opening_fails_with_a_code_and_in_time(void **state)
{
	struct kafka_client c = { 0 };
	struct kafka_options o;
	struct ml_err err;

	(void)state;
	assert_int_equal(
		read_options(&o, "kafka://127.0.0.1:1/t?ca=/nowhere/x&cert=/nowhere/x&key=/nowhere/x", "", &err), 0);
	assert_int_equal(kafka_client_open(&c, &o, 1000, NULL, "cf/0", &err), -1);
	assert_true(err.code == ML_ErrKafkaNewProducer || err.code == ML_ErrKafkaInvalidConfig);
	kafka_options_fini(&o);
	assert_int_equal(read_options(&o, "kafka://127.0.0.1:1/t", "", &err), 0);
	o.dial_ms = 300;
	assert_int_equal(kafka_client_open(&c, &o, 0, NULL, "cf/0", &err), 0);
	assert_int_equal(kafka_client_wait(&c, &o, &err), -1);
	assert_int_equal(err.code, ML_ErrKafkaNewProducer);
	assert_true(kafka_client_close(&c, 5000));
	kafka_options_fini(&o);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_settings_are_refused_with_their_code),
		cmocka_unit_test(defaults_and_given_values),
		cmocka_unit_test(security_goes_to_the_client),
		cmocka_unit_test(every_property_is_one_that_the_client_knows),
		cmocka_unit_test(opening_fails_with_a_code_and_in_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
