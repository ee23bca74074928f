#include "capture-worker/encoder/options.h"

#include <json-c/json.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/text/uri.h"

/* protocols.md 4.8 */
#define DEFAULT_MAX_BATCH_SIZE 16
#define DEFAULT_TERMINATOR "\r\n"
#define DEFAULT_CSV_NULL "\\N"

/* sink_config as a tree; NULL if there is none. */
static int
parse_config(json_object **out, const Ml__ChangefeedSpec *spec, struct ml_err *err)
{
	*out = NULL;
	if (spec == NULL || spec->sink_config_json == NULL || spec->sink_config_json[0] == '\0')
		return 0;
	*out = json_tokener_parse(spec->sink_config_json);
	if (*out == NULL || !json_object_is_type(*out, json_type_object)) {
		json_object_put(*out);
		*out = NULL;
		return ML_ERR(err, ErrCodecInvalidConfig, 0, "sink_config is not a JSON object");
	}
	return 0;
}

/* Member of an object, NULL if absent or null; obj may be NULL or of another type. */
static json_object *
member(json_object *obj, const char *key)
{
	json_object *v = NULL;

	if (!json_object_is_type(obj, json_type_object) || !json_object_object_get_ex(obj, key, &v))
		return NULL;
	return v;
}

static int
config_bool(json_object *obj, const char *key, bool *v, struct ml_err *err)
{
	json_object *m = member(obj, key);

	if (m == NULL)
		return 0;
	if (!json_object_is_type(m, json_type_boolean))
		return ML_ERRF(err, ErrCodecInvalidConfig, 0, "codec invalid config: %s is not a boolean", key);
	*v = json_object_get_boolean(m);
	return 0;
}

static int
config_int(json_object *obj, const char *key, int64_t *v, struct ml_err *err)
{
	json_object *m = member(obj, key);

	if (m == NULL)
		return 0;
	if (!json_object_is_type(m, json_type_int))
		return ML_ERRF(err, ErrCodecInvalidConfig, 0, "codec invalid config: %s is not an integer", key);
	*v = json_object_get_int64(m);
	return 0;
}

/* Settings first, then what the uri says over them. */
static int
both_bool(json_object *obj, const struct ml_uri *uri, const char *key, bool *v, struct ml_err *err)
{
	if (config_bool(obj, key, v, err) < 0)
		return -1;
	return uri == NULL || ml_uri_bool(uri, key, v, ML_ErrCodecInvalidConfig, err) >= 0 ? 0 : -1;
}

static int
both_int(json_object *obj, const struct ml_uri *uri, const char *key, int64_t *v, struct ml_err *err)
{
	if (config_int(obj, key, v, err) < 0)
		return -1;
	return uri == NULL || ml_uri_int(uri, key, v, ML_ErrCodecInvalidConfig, err) >= 0 ? 0 : -1;
}

static int
read_numbers(struct ml_encoder_opts *opts, const struct ml_encoder_env *env, json_object *kafka, struct ml_err *err)
{
	int64_t batch = DEFAULT_MAX_BATCH_SIZE, bytes = INT64_MAX;

	if (both_int(member(kafka, "codec-config"), env->sink_uri, "max-batch-size", &batch, err) < 0)
		return -1;
	if (batch <= 0 || batch > INT_MAX)
		return ML_ERRF(err, ErrCodecInvalidConfig, 0, "codec invalid config: invalid max-batch-size %lld",
			(long long)batch);
	opts->max_batch_size = (uint32_t)batch;
	opts->max_message_bytes = env->max_message_bytes;
	if (env->storage)
		return 0;
	if (both_int(kafka, env->sink_uri, "max-message-bytes", &bytes, err) < 0)
		return -1;
	if (bytes <= 0)
		return ML_ERRF(err, ErrCodecInvalidConfig, 0, "codec invalid config: invalid max-message-bytes %lld",
			(long long)bytes);
	if ((uint64_t)bytes < opts->max_message_bytes)
		opts->max_message_bytes = (size_t)bytes;
	return 0;
}

static int
read_terminator(struct ml_encoder_opts *opts, json_object *sink, struct ml_err *err)
{
	json_object *m = member(sink, "terminator");
	const char *s = DEFAULT_TERMINATOR;

	opts->terminator_len = strlen(s);
	if (m != NULL) {
		if (!json_object_is_type(m, json_type_string))
			return ML_ERR(err, ErrCodecInvalidConfig, 0, "terminator is not a string");
		/* Empty means not set, as everywhere in the configuration. */
		if (json_object_get_string_len(m) > 0) {
			s = json_object_get_string(m);
			opts->terminator_len = (size_t)json_object_get_string_len(m);
		}
	}
	opts->terminator = malloc(opts->terminator_len);
	if (opts->terminator == NULL)
		abort();
	memcpy(opts->terminator, s, opts->terminator_len);
	return 0;
}

static char *
must_dup(const char *s)
{
	char *p = strdup(s);

	if (p == NULL)
		abort();
	return p;
}

static int
csv_error(struct ml_err *err, const char *text)
{
	return ML_ERR(err, ErrSinkInvalidConfig, 0, text);
}

/* A text without NULs; NULL: *v stays. */
static int
csv_str(json_object *csv, const char *key, const char **v, struct ml_err *err)
{
	json_object *m = member(csv, key);

	if (m == NULL)
		return 0;
	if (!json_object_is_type(m, json_type_string) ||
		strlen(json_object_get_string(m)) != (size_t)json_object_get_string_len(m))
		return ML_ERRF(err, ErrSinkInvalidConfig, 0, "sink config invalid: csv config %s is not a text", key);
	*v = json_object_get_string(m);
	return 0;
}

static int
csv_bool(json_object *csv, const char *key, bool *v, struct ml_err *err)
{
	json_object *m = member(csv, key);

	if (m == NULL)
		return 0;
	if (!json_object_is_type(m, json_type_boolean))
		return ML_ERRF(
			err, ErrSinkInvalidConfig, 0, "sink config invalid: csv config %s is not a boolean", key);
	*v = json_object_get_boolean(m);
	return 0;
}

/* Rules and texts are TiCDC's; lengths count bytes, as there. */
static int
read_csv(struct ml_csv_opts *c, json_object *csv, struct ml_err *err)
{
	const char *delimiter = ",", *quote = "\"", *null = DEFAULT_CSV_NULL, *binary = "base64";

	if (csv != NULL && !json_object_is_type(csv, json_type_object))
		return csv_error(err, "csv is not a JSON object");
	if (csv_str(csv, "delimiter", &delimiter, err) < 0 || csv_str(csv, "quote", &quote, err) < 0 ||
		csv_str(csv, "null", &null, err) < 0 || csv_str(csv, "binary-encoding-method", &binary, err) < 0 ||
		csv_bool(csv, "include-commit-ts", &c->commit_ts, err) < 0 ||
		csv_bool(csv, "output-old-value", &c->old_value, err) < 0 ||
		csv_bool(csv, "output-handle-key", &c->handle_key, err) < 0)
		return -1;
	if (strlen(quote) > 1)
		return csv_error(err, "csv config quote contains more than one character");
	if (quote[0] == '\r' || quote[0] == '\n')
		return csv_error(err, "csv config quote cannot be line break character");
	if (delimiter[0] == '\0')
		return csv_error(err, "csv config delimiter cannot be empty");
	if (strlen(delimiter) > 3)
		return csv_error(err, "csv config delimiter contains more than three characters");
	if (strpbrk(delimiter, "\r\n") != NULL)
		return csv_error(err, "csv config delimiter contains line break characters");
	if (quote[0] != '\0' && strchr(delimiter, quote[0]) != NULL)
		return csv_error(err, "csv config quote and delimiter has common characters which is not allowed");
	c->hex = strcmp(binary, "hex") == 0;
	if (!c->hex && strcmp(binary, "base64") != 0)
		return csv_error(err, "csv config binary-encoding-method can only be hex or base64");
	c->delimiter_len = (uint8_t)strlen(delimiter);
	memcpy(c->delimiter, delimiter, c->delimiter_len);
	c->quote = quote[0];
	c->null = must_dup(null);
	return 0;
}

int
ml_encoder_opts_read(struct ml_encoder_opts *opts, const struct ml_encoder_env *env, struct ml_err *err)
{
	struct ml_encoder_opts o = { .open_old_value = true, .debezium_old_value = true };
	json_object *sink, *kafka;

	if (parse_config(&sink, env->spec, err) < 0)
		return -1;
	kafka = member(sink, "kafka-config");
	if (both_bool(member(kafka, "codec-config"), env->sink_uri, "enable-tidb-extension", &o.tidb_extension, err) <
			0 ||
		both_bool(sink, env->sink_uri, "only-output-updated-columns", &o.only_updated, err) < 0 ||
		both_bool(sink, env->sink_uri, "content-compatible", &o.content_compatible, err) < 0 ||
		config_bool(sink, "delete-only-output-handle-key-columns", &o.delete_handle_only, err) < 0 ||
		config_bool(member(sink, "open"), "output-old-value", &o.open_old_value, err) < 0 ||
		config_bool(member(sink, "debezium"), "output-old-value", &o.debezium_old_value, err) < 0 ||
		both_bool(sink, env->sink_uri, "debezium-disable-schema", &o.debezium_no_schema, err) < 0 ||
		read_numbers(&o, env, kafka, err) < 0)
		goto fail;
	if (o.content_compatible)
		o.only_updated = true;
	if (o.delete_handle_only && env->spec->force_replicate) {
		ML_ERR(err, ErrCodecInvalidConfig, 0,
			"force-replicate must be disabled when configuration "
			"\"delete-only-output-handle-key-columns\" is true.");
		goto fail;
	}
	if (read_csv(&o.csv, env->storage ? member(sink, "csv") : NULL, err) < 0 || read_terminator(&o, sink, err) < 0)
		goto fail;
	json_object_put(sink);
	*opts = o;
	return 0;
fail:
	ml_encoder_opts_fini(&o);
	json_object_put(sink);
	return -1;
}

void
ml_encoder_opts_fini(struct ml_encoder_opts *opts)
{
	free(opts->terminator);
	free(opts->csv.null);
	opts->terminator = NULL;
	opts->csv.null = NULL;
}

/* Settings first, then what the uri says over them; heap, NULL if there is none or it is empty. */
static int
both_text(json_object *obj, const struct ml_uri *uri, const char *key, char **v, struct ml_err *err)
{
	const char *in_uri = uri != NULL ? ml_uri_get(uri, key) : NULL, *s = in_uri;
	json_object *m = member(obj, key);

	if (m != NULL && !json_object_is_type(m, json_type_string))
		return ML_ERRF(err, ErrCodecInvalidConfig, 0, "codec invalid config: %s is not a string", key);
	if (m != NULL && in_uri == NULL)
		s = json_object_get_string(m);
	*v = s != NULL && s[0] != '\0' ? strdup(s) : NULL;
	return 0;
}

/* One of two words; nothing is the first one. */
static int
both_choice(json_object *obj, const struct ml_uri *uri, const char *key, const char *first, const char *second,
	bool *is_second, struct ml_err *err)
{
	char *v;
	int rc = 0;

	if (both_text(obj, uri, key, &v, err) < 0)
		return -1;
	*is_second = v != NULL && strcmp(v, second) == 0;
	if (v != NULL && !*is_second && strcmp(v, first) != 0)
		rc = ML_ERRF(err, ErrCodecInvalidConfig, 0,
			"codec invalid config: %s value could only be \"%s\" or \"%s\"", key, first, second);
	free(v);
	return rc;
}

/* Whether rows shall have checksums: of replica_config, which stands beside sink_config. */
static bool
wants_checksums(const Ml__ChangefeedSpec *spec)
{
	json_object *root = NULL, *level;
	bool wants = false;

	if (spec->replica_config_json != NULL && spec->replica_config_json[0] != '\0')
		root = json_tokener_parse(spec->replica_config_json);
	level = member(member(root, "integrity"), "integrity-check-level");
	if (json_object_is_type(level, json_type_string))
		wants = strcasecmp(json_object_get_string(level), "correctness") == 0;
	json_object_put(root);
	return wants;
}

static int
read_avro(struct ml_avro_opts *o, const struct ml_encoder_env *env, json_object *sink, struct ml_err *err)
{
	json_object *kafka = member(sink, "kafka-config"), *codec = member(kafka, "codec-config");
	const struct ml_uri *uri = env->sink_uri;

	if (both_text(sink, uri, "schema-registry", &o->registry, err) < 0 ||
		both_choice(codec, uri, "avro-decimal-handling-mode", "precise", "string", &o->decimal_text, err) < 0 ||
		both_choice(codec, uri, "avro-bigint-unsigned-handling-mode", "long", "string", &o->bigint_text, err) <
			0 ||
		both_bool(codec, uri, "avro-enable-watermark", &o->watermark, err) < 0)
		return -1;
	if (member(kafka, "glue-schema-registry-config") != NULL && o->registry != NULL)
		return ML_ERRF(err, ErrInvalidReplicaConfig, 0,
			"invalid replica config, schema-registry and glue-schema-registry-config are both set");
	if (member(kafka, "glue-schema-registry-config") != NULL)
		return ML_ERR(err, ErrCodecInvalidConfig, 0, "an AWS Glue schema registry is not supported");
	if (o->registry == NULL)
		return ML_ERR(err, ErrCodecInvalidConfig, 0, "Avro protocol requires parameter \"schema-registry\"");
	if (env->spec->force_replicate)
		return ML_ERR(
			err, ErrCodecInvalidConfig, 0, "force-replicate must be disabled, when using avro protocol");
	o->checksum = wants_checksums(env->spec);
	return 0;
}

int
ml_avro_opts_read(struct ml_avro_opts *opts, const struct ml_encoder_env *env, struct ml_err *err)
{
	json_object *sink;
	int rc;

	*opts = (struct ml_avro_opts){ 0 };
	if (parse_config(&sink, env->spec, err) < 0)
		return -1;
	rc = read_avro(opts, env, sink, err);
	json_object_put(sink);
	return rc;
}

void
ml_avro_opts_fini(struct ml_avro_opts *opts)
{
	if (opts->registry != NULL)
		explicit_bzero(opts->registry, strlen(opts->registry));
	free(opts->registry);
	opts->registry = NULL;
}

static int
read_simple(struct ml_simple_opts *o, const struct ml_encoder_env *env, json_object *sink, struct ml_err *err)
{
	json_object *codec = member(member(sink, "kafka-config"), "codec-config");

	if (both_choice(codec, env->sink_uri, "encoding-format", "json", "avro", &o->avro, err) < 0 ||
		config_int(sink, "send-bootstrap-interval-in-sec", &o->bootstrap_interval_s, err) < 0 ||
		config_int(sink, "send-bootstrap-in-msg-count", &o->bootstrap_rows, err) < 0 ||
		config_bool(sink, "send-bootstrap-to-all-partition", &o->bootstrap_all, err) < 0 ||
		config_bool(sink, "send-all-bootstrap-at-start", &o->bootstrap_at_start, err) < 0)
		return -1;
	if (o->bootstrap_interval_s > INT32_MAX)
		return ML_ERR(err, ErrCodecInvalidConfig, 0, "send-bootstrap-interval-in-sec is too large");
	return 0;
}

int
ml_simple_opts_read(struct ml_simple_opts *opts, const struct ml_encoder_env *env, struct ml_err *err)
{
	/* protocols.md 12.5, sinks.md 1.6 */
	struct ml_simple_opts o = { .bootstrap_all = true, .bootstrap_interval_s = 120, .bootstrap_rows = 10000 };
	json_object *sink;
	int rc;

	if (parse_config(&sink, env->spec, err) < 0)
		return -1;
	rc = read_simple(&o, env, sink, err);
	json_object_put(sink);
	if (rc == 0)
		*opts = o;
	return rc;
}

int
ml_encoder_raw_change_event(const Ml__ChangefeedSpec *spec, bool storage, bool *raw, struct ml_err *err)
{
	json_object *sink;
	bool v = false;
	int rc;

	if (parse_config(&sink, spec, err) < 0)
		return -1;
	rc = config_bool(
		member(sink, storage ? "cloud-storage-config" : "kafka-config"), "output-raw-change-event", &v, err);
	json_object_put(sink);
	if (rc == 0)
		*raw = v;
	return rc;
}
