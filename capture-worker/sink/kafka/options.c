#include "capture-worker/sink/kafka/options.h"

#include <ctype.h>
#include <json-c/json.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "capture-worker/sink/settings.h"
#include "common/base/buf.h"
#include "common/run/log.h"
#include "common/text/uri.h"

#define MAX_MESSAGE_BYTES 10485760 /* default of max-message-bytes */
#define TIMEOUT_MS 10000           /* default of the three timeouts */
#define TIMEOUT_MAX_MS 300000      /* librdkafka's largest socket timeout */

/* Keys a kafka sink URI may hold, those of the encoders included. */
static const char *const known[] = {
	"protocol",
	"transaction-atomicity",
	"partition-num",
	"replication-factor",
	"kafka-version",
	"max-message-bytes",
	"max-retry",
	"max-batch-size",
	"compression",
	"kafka-client-id",
	"auto-create-topic",
	"dial-timeout",
	"write-timeout",
	"read-timeout",
	"required-acks",
	"enable-tls",
	"ca",
	"cert",
	"key",
	"insecure-skip-verify",
	"sasl-user",
	"sasl-password",
	"sasl-mechanism",
	"sasl-gssapi-auth-type",
	"sasl-gssapi-keytab-path",
	"sasl-gssapi-kerberos-config-path",
	"sasl-gssapi-service-name",
	"sasl-gssapi-user",
	"sasl-gssapi-password",
	"sasl-gssapi-realm",
	"sasl-gssapi-disable-pafxfast",
	"enable-tidb-extension",
	"only-output-updated-columns",
	"content-compatible",
	"avro-decimal-handling-mode",
	"avro-bigint-unsigned-handling-mode",
	"avro-enable-watermark",
	"schema-registry",
	"encoding-format",
	NULL,
};

bool
kafka_client_id_valid(const char *id)
{
	return id[0] != '\0' &&
	       id[strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")] == '\0';
}

static char *
copy(const char *s)
{
	char *p = strdup(s);

	if (p == NULL)
		abort();
	return p;
}

/* Frees a string that may be a secret. */
static void
wipe(char *s)
{
	if (s != NULL)
		explicit_bzero(s, strlen(s));
	free(s);
}

static void
security(struct kafka_options *o, const char *name, const char *value)
{
	o->security[o->n_security].name = name;
	o->security[o->n_security++].value = copy(value);
}

/* Wraps what an option's own code says: the API answers with ErrKafkaInvalidConfig (sinks.md 6.1). */
static int
wrapped(struct ml_err *err)
{
	if (err == NULL || err->code == ML_ErrKafkaInvalidConfig || err->code == ML_ErrSinkURIInvalid ||
		err->code == ML_ErrSinkInvalidConfig)
		return -1;
	return ml_err_wrap(err, ML_ErrKafkaInvalidConfig, "kafka config invalid");
}

static int
default_client_id(struct kafka_options *o, const struct ml_sink_env *env)
{
	struct ml_buf b = { 0 };
	const char *addr = env->config != NULL ? env->config->advertise_addr : "";
	const char *ns = env->spec->namespace_[0] != '\0' ? env->spec->namespace_ : "default";

	ml_buf_printf(&b, "TiCDC_producer_%s_%s_%s", addr, ns, env->spec->id);
	for (char *c = b.data; *c != '\0'; c++)
		if (strchr("?:,\"", *c) != NULL)
			*c = '_';
	o->client_id = b.data;
	return 0;
}

/* sarama's rule: 0.a.b.c or a.b.c */
static bool
version_valid(const char *v)
{
	int dots = v[0] == '0' && v[1] == '.' ? 3 : 2;

	for (;; dots--) {
		if (!isdigit((unsigned char)*v))
			return false;
		while (isdigit((unsigned char)*v))
			v++;
		if (dots == 0)
			return *v == '\0';
		if (*v++ != '.')
			return false;
	}
}

static int
read_numbers(struct kafka_options *o, const struct ml_settings *st, struct ml_err *err)
{
	int64_t acks = -1;
	int rc;

	rc = ml_settings_int(st, "partition-num", &o->partitions, err);
	if (rc < 0)
		return -1;
	if (rc == 1 && (o->partitions < 1 || o->partitions > INT32_MAX))
		return ML_ERR(err, ErrKafkaInvalidPartitionNum, 0, (int)o->partitions);
	if (ml_settings_int(st, "replication-factor", &o->replication, err) < 0)
		return -1;
	if (o->replication < 1 || o->replication > INT16_MAX)
		return ML_ERR(err, ErrKafkaInvalidConfig, 0, "replication-factor must be at least 1");
	if (ml_settings_int(st, "max-message-bytes", &o->max_message_bytes, err) < 0)
		return -1;
	if (o->max_message_bytes <= 0 || o->max_message_bytes > 1000000000)
		return ML_ERR(
			err, ErrKafkaInvalidConfig, 0, "max-message-bytes must be above 0 and at most 1000000000");
	if (ml_settings_int(st, "required-acks", &acks, err) < 0)
		return -1;
	if (acks < -1 || acks > 1) {
		char text[24];

		snprintf(text, sizeof(text), "%lld", (long long)acks);
		return ML_ERR(err, ErrKafkaInvalidRequiredAcks, 0, text);
	}
	o->acks = (int)acks;
	{
		int64_t retry = o->max_retry;

		if (ml_uri_int(st->uri, "max-retry", &retry, ML_ErrKafkaInvalidConfig, err) < 0)
			return -1;
		if (retry >= 0 && retry <= INT32_MAX)
			o->max_retry = retry;
	}
	if (ml_settings_bool(st, "auto-create-topic", &o->auto_create, err) < 0 ||
		ml_settings_duration_ms(st, "dial-timeout", &o->dial_ms, err) < 0 ||
		ml_settings_duration_ms(st, "write-timeout", &o->write_ms, err) < 0 ||
		ml_settings_duration_ms(st, "read-timeout", &o->read_ms, err) < 0)
		return -1;
	if (o->dial_ms <= 0 || o->write_ms <= 0 || o->read_ms <= 0 || o->dial_ms > TIMEOUT_MAX_MS ||
		o->write_ms > TIMEOUT_MAX_MS || o->read_ms > TIMEOUT_MAX_MS)
		return ML_ERR(err, ErrKafkaInvalidConfig, 0, "timeouts must be above 0 and at most 5m");
	return 0;
}

static int
read_compression(struct kafka_options *o, const struct ml_settings *st, const char *object, struct ml_err *err)
{
	static const char *const names[] = { "none", "gzip", "snappy", "lz4", "zstd" };
	const char *given = "none";
	size_t n;

	if (ml_settings_str(st, "compression", &given, err) < 0)
		return -1;
	given += strspn(given, " \t\r\n");
	n = strcspn(given, " \t\r\n");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strlen(names[i]) == n && strncasecmp(names[i], given, n) == 0) {
			o->compression = copy(names[i]);
			return 0;
		}
	if (n > 0)
		ml_warn(object, "unknown compression, messages are sent without compression=%.20s", given);
	o->compression = copy("none");
	return 0;
}

/* protocols.md 15.3 */
static int
read_tls(struct kafka_options *o, const struct ml_settings *st, struct ml_err *err)
{
	const char *ca = "", *cert = "", *key = "";
	bool tls = false;
	int given, n;

	if (ml_settings_str(st, "ca", &ca, err) < 0 || ml_settings_str(st, "cert", &cert, err) < 0 ||
		ml_settings_str(st, "key", &key, err) < 0 ||
		(given = ml_settings_bool(st, "enable-tls", &tls, err)) < 0 ||
		ml_settings_bool(st, "insecure-skip-verify", &o->skip_verify, err) < 0)
		return -1;
	n = (ca[0] != '\0') + (cert[0] != '\0') + (key[0] != '\0');
	if (n != 0 && n != 3)
		return ML_ERR(err, ErrKafkaInvalidConfig, 0, "ca, cert and key must be given together");
	if (n == 3 && given == 1 && !tls)
		return ML_ERR(err, ErrKafkaInvalidConfig, 0, "credential files are given, but 'enable-tls' is false");
	o->tls = tls || n == 3;
	if (n == 3) {
		security(o, "ssl.ca.location", ca);
		security(o, "ssl.certificate.location", cert);
		security(o, "ssl.key.location", key);
	}
	if (o->tls && o->skip_verify) {
		security(o, "enable.ssl.certificate.verification", "false");
		security(o, "ssl.endpoint.identification.algorithm", "none");
	}
	return 0;
}

/*
 * librdkafka gets a Kerberos ticket by running kinit through a shell, with these values in the command.  So only characters
 * that mean nothing to a shell pass.
 */
static bool
shell_safe(const char *s)
{
	for (; *s != '\0'; s++)
		if (!isalnum((unsigned char)*s) && strchr("._-/@+=:", *s) == NULL)
			return false;
	return true;
}

static int
read_gssapi(struct kafka_options *o, const struct ml_settings *st, struct ml_err *err)
{
	const char *type = "", *keytab = "", *config = "", *service = "", *user = "", *realm = "", *password = "";
	bool pafxfast;
	struct ml_buf principal = { 0 };

	if (ml_settings_str(st, "sasl-gssapi-auth-type", &type, err) < 0 ||
		ml_settings_str(st, "sasl-gssapi-keytab-path", &keytab, err) < 0 ||
		ml_settings_str(st, "sasl-gssapi-kerberos-config-path", &config, err) < 0 ||
		ml_settings_str(st, "sasl-gssapi-service-name", &service, err) < 0 ||
		ml_settings_str(st, "sasl-gssapi-user", &user, err) < 0 ||
		ml_settings_str(st, "sasl-gssapi-password", &password, err) < 0 ||
		ml_settings_str(st, "sasl-gssapi-realm", &realm, err) < 0 ||
		ml_settings_bool(st, "sasl-gssapi-disable-pafxfast", &pafxfast, err) < 0)
		return -1;
	if (type[0] != '\0' && strcasecmp(type, "user") != 0 && strcasecmp(type, "keytab") != 0)
		return ML_ERR(err, ErrKafkaInvalidConfig, 0, "sasl-gssapi-auth-type must be user or keytab");
	if (!o->sasl)
		return 0;
	if (strcasecmp(type, "keytab") != 0)
		return ML_ERR(err, ErrKafkaInvalidConfig, 0,
			"sasl-gssapi-auth-type user (a Kerberos password) is not supported; use keytab");
	if (keytab[0] == '\0' || user[0] == '\0' || realm[0] == '\0')
		return ML_ERR(err, ErrKafkaInvalidConfig, 0,
			"sasl-gssapi-keytab-path, sasl-gssapi-user and sasl-gssapi-realm are needed with keytab");
	if (!shell_safe(keytab) || !shell_safe(user) || !shell_safe(realm) || user[0] == '-' || realm[0] == '-')
		return ML_ERR(err, ErrKafkaInvalidConfig, 0,
			"sasl-gssapi-keytab-path, -user and -realm may hold letters, digits and . _ - / @ + = : only");
	ml_buf_printf(&principal, "%s@%s", user, realm);
	security(o, "sasl.kerberos.principal", principal.data);
	ml_buf_fini(&principal);
	security(o, "sasl.kerberos.keytab", keytab);
	if (service[0] != '\0')
		security(o, "sasl.kerberos.service.name", service);
	if (config[0] != '\0')
		o->krb5_config = copy(config);
	return 0;
}

/* Decodes standard base64; malloc'ed text, or NULL if it is none. */
static char *
from_base64(const char *s)
{
	size_t n = strlen(s);
	unsigned char *out = malloc(n + 1);
	int len, pad = 0;

	if (out == NULL)
		abort();
	while (pad < 2 && n > (size_t)pad && s[n - 1 - (size_t)pad] == '=')
		pad++;
	len = n % 4 == 0 && n > 0 && n < 65536 && strpbrk(s, " \t\r\n") == NULL
		      ? EVP_DecodeBlock(out, (const unsigned char *)s, (int)n)
		      : -1;
	if (len < pad) {
		free(out);
		return NULL;
	}
	out[len - pad] = '\0';
	return (char *)out;
}

static int
read_oauth(struct kafka_options *o, const struct ml_settings *st, bool chosen, struct ml_err *err)
{
	static const char *const keys[] = {
		"sasl-oauth-client-id",
		"sasl-oauth-client-secret",
		"sasl-oauth-token-url",
		"sasl-oauth-grant-type",
		"sasl-oauth-audience",
	};
	const char *v[5] = { "", "", "", "", "" };
	struct json_object *scopes = NULL;
	struct ml_buf scope = { 0 };
	bool any = false;
	char *secret;

	if (st->section == NULL)
		return chosen ? ML_ERR(err, ErrKafkaInvalidConfig, 0, "sasl-oauth-client-id is empty") : 0;
	for (size_t i = 0; i < 5; i++) {
		int rc;
		struct ml_settings file = *st;
		struct ml_uri none = { 0 };

		file.uri = &none; /* these have no URI keys */
		rc = ml_settings_str(&file, keys[i], &v[i], err);
		if (rc < 0)
			return -1;
		any |= rc == 1 && v[i][0] != '\0';
	}
	if (!chosen)
		return any ? ML_ERR(err, ErrKafkaInvalidConfig, 0,
				     "OAuth settings are given, but sasl-mechanism is not oauthbearer")
			   : 0;
	for (size_t i = 0; i < 3; i++)
		if (v[i][0] == '\0')
			return ML_ERRF(err, ErrKafkaInvalidConfig, 0, "kafka config invalid: %s is empty", keys[i]);
	if (v[3][0] != '\0' && strcmp(v[3], "client_credentials") != 0)
		return ML_ERR(err, ErrKafkaInvalidConfig, 0, "sasl-oauth-grant-type must be client_credentials");
	if (v[4][0] != '\0')
		return ML_ERR(err, ErrKafkaInvalidConfig, 0, "sasl-oauth-audience is not supported");
	secret = from_base64(v[1]);
	if (secret == NULL)
		return ML_ERR(err, ErrKafkaInvalidConfig, 0, "sasl-oauth-client-secret is not base64");
	security(o, "sasl.oauthbearer.method", "oidc");
	security(o, "sasl.oauthbearer.client.id", v[0]);
	security(o, "sasl.oauthbearer.client.secret", secret);
	security(o, "sasl.oauthbearer.token.endpoint.url", v[2]);
	wipe(secret);
	if (json_object_object_get_ex(st->section, "sasl-oauth-scopes", &scopes) && scopes != NULL) {
		if (!json_object_is_type(scopes, json_type_array))
			return ML_ERR(err, ErrKafkaInvalidConfig, 0, "sasl-oauth-scopes is not a list");
		for (size_t i = 0; i < json_object_array_length(scopes); i++) {
			ml_buf_puts(&scope, i > 0 ? " " : "");
			ml_buf_puts(&scope, json_object_get_string(json_object_array_get_idx(scopes, i)));
		}
		if (scope.len > 0)
			security(o, "sasl.oauthbearer.scope", scope.data);
		ml_buf_fini(&scope);
	}
	return 0;
}

static int
read_sasl(struct kafka_options *o, const struct ml_settings *st, struct ml_err *err)
{
	static const char *const names[] = { "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "GSSAPI", "OAUTHBEARER" };
	const char *mechanism = "", *user = "", *password = "";
	size_t i = 0;

	if (ml_settings_str(st, "sasl-mechanism", &mechanism, err) < 0 ||
		ml_settings_str(st, "sasl-user", &user, err) < 0 ||
		ml_settings_str(st, "sasl-password", &password, err) < 0)
		return -1;
	if (mechanism[0] != '\0') {
		while (i < 5 && strcasecmp(names[i], mechanism) != 0)
			i++;
		if (i == 5)
			return ML_ERR(err, ErrKafkaInvalidConfig, 0,
				"sasl-mechanism must be plain, scram-sha-256, scram-sha-512, gssapi or oauthbearer");
		security(o, "sasl.mechanisms", names[i]);
		if (i < 3) {
			security(o, "sasl.username", user);
			security(o, "sasl.password", password);
		}
	}
	o->sasl = mechanism[0] != '\0' && i == 3;
	if (read_gssapi(o, st, err) != 0)
		return -1;
	o->sasl = mechanism[0] != '\0';
	return read_oauth(o, st, o->sasl && i == 4, err);
}

static int
read_all(struct kafka_options *o, const struct ml_sink_env *env, const struct ml_settings *st, struct ml_err *err)
{
	const char *path = env->uri->path, *version = "", *id = "";
	size_t n;
	int rc;

	if (ml_settings_atomicity(st, false, err) != 0)
		return -1;
	while (*path == '/')
		path++;
	n = strlen(path);
	while (n > 0 && path[n - 1] == '/')
		n--;
	if (n == 0)
		return ML_ERR(err, ErrKafkaInvalidConfig, 0, "no topic is specified in sink-uri");
	if (env->uri->hosts[0] == '\0')
		return ML_ERR(err, ErrKafkaInvalidConfig, 0, "no broker is specified in sink-uri");
	o->topic = strndup(path, n);
	o->brokers = copy(env->uri->hosts);
	if (read_numbers(o, st, err) != 0)
		return -1;
	rc = ml_settings_str(st, "kafka-version", &version, err);
	if (rc < 0)
		return -1;
	if (rc == 1 && version[0] != '\0' && !version_valid(version))
		return ML_ERR(err, ErrKafkaInvalidVersion, 0, version);
	rc = ml_settings_str(st, "kafka-client-id", &id, err);
	if (rc < 0)
		return -1;
	if (rc == 1 && id[0] != '\0')
		o->client_id = copy(id);
	else
		default_client_id(o, env);
	if (!kafka_client_id_valid(o->client_id))
		return ML_ERR(err, ErrKafkaInvalidClientID, 0, o->client_id);
	if (read_compression(o, st, env->object, err) != 0 || read_tls(o, st, err) != 0 || read_sasl(o, st, err) != 0)
		return -1;
	ml_settings_unknown(st, known, env->object);
	return 0;
}

int
kafka_options_init(struct kafka_options *o, const struct ml_sink_env *env, struct ml_err *err)
{
	struct ml_settings st;
	int rc;

	*o = (struct kafka_options){
		.replication = 1,
		.max_message_bytes = MAX_MESSAGE_BYTES,
		.max_retry = 5,
		.acks = -1,
		.auto_create = true,
		.dial_ms = TIMEOUT_MS,
		.write_ms = TIMEOUT_MS,
		.read_ms = TIMEOUT_MS,
	};
	if (ml_settings_init(&st, env, "kafka-config", ML_ErrKafkaInvalidConfig, err) != 0)
		return -1;
	rc = read_all(o, env, &st, err);
	ml_settings_fini(&st);
	if (rc != 0) {
		kafka_options_fini(o);
		return wrapped(err);
	}
	return 0;
}

void
kafka_options_fini(struct kafka_options *o)
{
	for (int i = 0; i < o->n_security; i++)
		wipe(o->security[i].value);
	free(o->brokers);
	free(o->topic);
	free(o->client_id);
	free(o->compression);
	free(o->krb5_config);
	*o = (struct kafka_options){ 0 };
}
