#include "capture-worker/encoder/large.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/text/json.h"
#include "common/text/replica.h"
#include "common/text/uri.h"

/* The settings as they stand; texts are the arena's. */
struct settings {
	enum ml_large_option option;
	enum ml_compression compression;
	const char *uri;
	bool raw, tidb_extension;
};

static int
text_of(const struct ml_json *obj, const char *key, const char **v, struct ml_err *err)
{
	const struct ml_json *m = ml_replica_get(obj, key);

	*v = "";
	if (m == NULL)
		return 0;
	if (m->type != ML_JSON_STRING)
		return ML_ERRF(err, ErrCodecInvalidConfig, 0, "codec invalid config: %s is not a text", key);
	*v = m->s;
	return 0;
}

static int
bool_of(const struct ml_json *obj, const char *key, bool *v, struct ml_err *err)
{
	const struct ml_json *m = ml_replica_get(obj, key);

	if (m == NULL)
		return 0;
	if (m->type != ML_JSON_BOOL)
		return ML_ERRF(err, ErrCodecInvalidConfig, 0, "codec invalid config: %s is not a boolean", key);
	*v = m->b;
	return 0;
}

static int
read_settings(struct settings *st, const struct ml_encoder_env *env, struct ml_arena *a, struct ml_err *err)
{
	static const char *const options[] = { [ML_LARGE_NONE] = "none",
		[ML_LARGE_HANDLE_KEY] = "handle-key-only",
		[ML_LARGE_CLAIM_CHECK] = "claim-check" };
	const char *text = env->spec->sink_config_json, *option = "", *compression = "";
	const struct ml_json *h = NULL, *codec = NULL;
	struct ml_json *config = NULL;
	size_t i = 0;

	*st = (struct settings){ .uri = "" };
	if (text != NULL && text[0] != '\0' && ml_json_parse(&config, a, text, strlen(text), err) < 0)
		return ML_ERR(err, ErrCodecInvalidConfig, 0, "sink_config is not a JSON object");
	if (config != NULL) {
		h = ml_replica_get(config, "kafka-config.large-message-handle");
		codec = ml_replica_get(config, "kafka-config.codec-config");
	}
	if (text_of(h, "large-message-handle-option", &option, err) < 0 ||
		text_of(h, "large-message-handle-compression", &compression, err) < 0 ||
		text_of(h, "claim-check-storage-uri", &st->uri, err) < 0 ||
		bool_of(h, "claim-check-raw-value", &st->raw, err) < 0 ||
		bool_of(codec, "enable-tidb-extension", &st->tidb_extension, err) < 0)
		return -1;
	if (env->sink_uri != NULL && ml_uri_bool(env->sink_uri, "enable-tidb-extension", &st->tidb_extension,
					     ML_ErrCodecInvalidConfig, err) < 0)
		return -1;
	while (option[0] != '\0' && i < 3 && strcmp(option, options[i]) != 0)
		i++;
	if (i == 3)
		return ML_ERRF(err, ErrInvalidReplicaConfig, 0,
			"invalid replica config, large message handle option %.40s is none of none, handle-key-only, claim-check",
			option);
	st->option = (enum ml_large_option)i;
	if (ml_compression_named(&st->compression, compression) < 0)
		return ML_ERRF(err, ErrInvalidReplicaConfig, 0,
			"invalid replica config, large message handle compression %.40s is none of none, lz4, snappy",
			compression);
	return 0;
}

static int
check(const struct settings *st, const struct ml_encoder_env *env, const char *protocol, struct ml_err *err)
{
	bool open = strcmp(protocol, "open-protocol") == 0, canal_json = strcmp(protocol, "canal-json") == 0;

	if (st->option == ML_LARGE_NONE)
		return 0;
	if (env->spec->force_replicate)
		return ML_ERR(err, ErrCodecInvalidConfig, 0,
			"force-replicate must be disabled when the large message handle option is on");
	if (canal_json && !st->tidb_extension)
		return ML_ERR(err, ErrInvalidReplicaConfig, 0,
			"large message handle is on, protocol is canal-json, but enable-tidb-extension is not on");
	if (!open && !canal_json && strcmp(protocol, "simple") != 0)
		return ML_ERRF(err, ErrInvalidReplicaConfig, 0,
			"invalid replica config, large message handle is on, protocol is %s, but only open-protocol, canal-json and simple "
			"have it",
			protocol);
	if (st->option != ML_LARGE_CLAIM_CHECK)
		return 0;
	if (st->uri[0] == '\0')
		return ML_ERR(err, ErrInvalidReplicaConfig, 0, "claim-check-storage-uri is empty for claim-check");
	if (st->raw && open)
		return ML_ERR(
			err, ErrInvalidReplicaConfig, 0, "claim-check-raw-value is not supported for open-protocol");
	return 0;
}

int
ml_large_check(const struct ml_encoder_env *env, const char *protocol, struct ml_err *err)
{
	struct settings st;
	struct ml_arena a;
	int rc;

	if (env->storage)
		return 0;
	ml_arena_init(&a, 1024);
	rc = read_settings(&st, env, &a, err) < 0 || check(&st, env, protocol, err) < 0 ? -1 : 0;
	ml_arena_fini(&a);
	return rc;
}

int
ml_large_open(struct ml_large *l, const struct ml_encoder_env *env, const char *protocol, struct ml_err *err)
{
	struct settings st;
	struct ml_arena a;
	int rc = -1;

	*l = (struct ml_large){ 0 };
	if (env->storage)
		return 0;
	ml_arena_init(&a, 1024);
	if (read_settings(&st, env, &a, err) == 0 && check(&st, env, protocol, err) == 0 &&
		(st.option != ML_LARGE_CLAIM_CHECK ||
			ml_claim_open(&l->claim, st.uri, st.raw, env->claim_place, env->claim_arg, err) == 0)) {
		l->option = st.option;
		l->compressor = ml_compressor_new(st.compression);
		rc = 0;
	}
	ml_arena_fini(&a);
	return rc;
}

void
ml_large_close(struct ml_large *l)
{
	ml_compressor_free(l->compressor);
	ml_claim_close(l->claim);
	*l = (struct ml_large){ 0 };
}
