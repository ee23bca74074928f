#include "capture-worker/sink/settings.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "common/run/log.h"
#include "common/text/uri.h"

int
ml_settings_init(struct ml_settings *st, const struct ml_sink_env *env, const char *section, enum ml_code code,
	struct ml_err *err)
{
	const char *text = env->spec->sink_config_json;

	*st = (struct ml_settings){ .uri = env->uri, .code = code };
	if (text == NULL || text[0] == '\0')
		return 0;
	st->root = json_tokener_parse(text);
	if (!json_object_is_type(st->root, json_type_object)) {
		ml_settings_fini(st);
		return ML_ERR(err, ErrSinkInvalidConfig, 0, "sink_config is not a JSON object");
	}
	st->section = json_object_object_get(st->root, section);
	if (st->section != NULL && !json_object_is_type(st->section, json_type_object)) {
		ml_settings_fini(st);
		return ML_ERRF(err, ErrSinkInvalidConfig, 0, "sink config invalid: %s is not a JSON object", section);
	}
	return 0;
}

void
ml_settings_fini(struct ml_settings *st)
{
	json_object_put(st->root);
	*st = (struct ml_settings){ 0 };
}

/* The values are not in the text: they may be secrets. */
static int
wrong_type(enum ml_code code, const char *key, const char *type, struct ml_err *err)
{
	const char *head = code == ML_ErrKafkaInvalidConfig         ? "kafka config invalid"
			   : code == ML_ErrStorageSinkInvalidConfig ? "storage sink config invalid"
								    : "sink config invalid";

	return ml_err_set(err, code, 0, "%s: the value of %s in the sink configuration is not %s", head, key, type);
}

/* NULL when absent; JSON null counts as absent. */
static struct json_object *
member(struct json_object *o, const char *key)
{
	return o != NULL ? json_object_object_get(o, key) : NULL;
}

static int
get_str(struct json_object *o, const char *key, const char **v, enum ml_code code, struct ml_err *err)
{
	struct json_object *m = member(o, key);

	if (m == NULL)
		return 0;
	if (!json_object_is_type(m, json_type_string))
		return wrong_type(code, key, "a string", err);
	*v = json_object_get_string(m);
	return 1;
}

static int
get_bool(struct json_object *o, const char *key, bool *v, enum ml_code code, struct ml_err *err)
{
	struct json_object *m = member(o, key);

	if (m == NULL)
		return 0;
	if (!json_object_is_type(m, json_type_boolean))
		return wrong_type(code, key, "a bool", err);
	*v = json_object_get_boolean(m);
	return 1;
}

static int
get_int(struct json_object *o, const char *key, int64_t *v, enum ml_code code, struct ml_err *err)
{
	struct json_object *m = member(o, key);

	if (m == NULL)
		return 0;
	if (!json_object_is_type(m, json_type_int))
		return wrong_type(code, key, "an integer", err);
	errno = 0;
	*v = json_object_get_int64(m);
	return errno != 0 ? wrong_type(code, key, "an integer that fits", err) : 1;
}

int
ml_settings_str(const struct ml_settings *st, const char *key, const char **v, struct ml_err *err)
{
	const char *s = ml_uri_get(st->uri, key);

	if (s != NULL) {
		*v = s;
		return 1;
	}
	return get_str(st->section, key, v, st->code, err);
}

int
ml_settings_bool(const struct ml_settings *st, const char *key, bool *v, struct ml_err *err)
{
	int rc = ml_uri_bool(st->uri, key, v, st->code, err);

	return rc != 0 ? rc : get_bool(st->section, key, v, st->code, err);
}

int
ml_settings_int(const struct ml_settings *st, const char *key, int64_t *v, struct ml_err *err)
{
	int rc = ml_uri_int(st->uri, key, v, st->code, err);

	return rc != 0 ? rc : get_int(st->section, key, v, st->code, err);
}

int
ml_settings_duration_ms(const struct ml_settings *st, const char *key, int64_t *v, struct ml_err *err)
{
	int rc = ml_uri_duration_ms(st->uri, key, v, st->code, err);
	const char *s = NULL;
	int64_t ns;

	if (rc != 0)
		return rc;
	rc = get_str(st->section, key, &s, st->code, err);
	if (rc <= 0 || s[0] == '\0')
		return rc < 0 ? -1 : 0;
	if (ml_parse_duration_ns(s, &ns) != 0)
		return wrong_type(st->code, key, "a duration (such as 10s or 500ms)", err);
	*v = ns / 1000000;
	return 1;
}

int
ml_settings_top_str(const struct ml_settings *st, const char *key, const char **v, struct ml_err *err)
{
	return get_str(st->root, key, v, ML_ErrSinkInvalidConfig, err);
}

int
ml_settings_top_bool(const struct ml_settings *st, const char *key, bool *v, struct ml_err *err)
{
	return get_bool(st->root, key, v, ML_ErrSinkInvalidConfig, err);
}

int
ml_settings_top_int(const struct ml_settings *st, const char *key, int64_t *v, struct ml_err *err)
{
	return get_int(st->root, key, v, ML_ErrSinkInvalidConfig, err);
}

int
ml_settings_atomicity(const struct ml_settings *st, bool table_too, struct ml_err *err)
{
	const char *level = ml_uri_get(st->uri, "transaction-atomicity");

	if (level == NULL && ml_settings_top_str(st, "transaction-atomicity", &level, err) < 0)
		return -1;
	if (level == NULL || level[0] == '\0' || strcmp(level, "none") == 0 ||
		(table_too && strcmp(level, "table") == 0))
		return 0;
	return ML_ERRF(err, ErrSinkURIInvalid, 0, "sink uri invalid '%s level atomicity is not supported by %s scheme'",
		level, st->uri->scheme);
}

void
ml_settings_unknown(const struct ml_settings *st, const char *const *known, const char *object)
{
	for (size_t i = 0; i < st->uri->n_params; i++) {
		size_t j = 0;

		while (known[j] != NULL && strcmp(known[j], st->uri->params[i].key) != 0)
			j++;
		if (known[j] == NULL)
			ml_warn(object, "unknown key in the sink uri is ignored key=%s", st->uri->params[i].key);
	}
}
