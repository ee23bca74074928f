/*
 * settings.h - one sink's settings from two places (sinks.md 1.4): the sink URI, where a key that is present always wins, and
 * the sink's own section of sink_config.  Values are typed by sinks.md 1.3.
 */
#ifndef ML_WORKER_SINK_SETTINGS_H
#define ML_WORKER_SINK_SETTINGS_H
#include <stdbool.h>
#include <stdint.h>

#include "capture-worker/sink/sink.h"
#include "common/base/err.h"

struct json_object;

struct ml_settings {
	const struct ml_uri *uri;
	struct json_object *root;    /* sink_config; NULL if none */
	struct json_object *section; /* borrowed from root; NULL if absent */
	enum ml_code code;           /* of a value with a wrong type */
};

/* section: "kafka-config", "cloud-storage-config".  -1: sink_config is no JSON object. */
int ml_settings_init(struct ml_settings *st, const struct ml_sink_env *env, const char *section, enum ml_code code,
	struct ml_err *err);
void ml_settings_fini(struct ml_settings *st);

/* 1 = present and set, 0 = absent (*v untouched), -1 = wrong type.  Strings are borrowed from the settings or the URI. */
int ml_settings_str(const struct ml_settings *st, const char *key, const char **v, struct ml_err *err);
int ml_settings_bool(const struct ml_settings *st, const char *key, bool *v, struct ml_err *err);
int ml_settings_int(const struct ml_settings *st, const char *key, int64_t *v, struct ml_err *err);
int ml_settings_duration_ms(const struct ml_settings *st, const char *key, int64_t *v, struct ml_err *err);
/* The same, of the top level of sink_config only (date-separator, terminator, ...): no URI key. */
int ml_settings_top_str(const struct ml_settings *st, const char *key, const char **v, struct ml_err *err);
int ml_settings_top_bool(const struct ml_settings *st, const char *key, bool *v, struct ml_err *err);
int ml_settings_top_int(const struct ml_settings *st, const char *key, int64_t *v, struct ml_err *err);

/*
 * transaction-atomicity (sinks.md 1.5): empty, "none", or "table" where table_too; else ErrSinkURIInvalid.
 */
int ml_settings_atomicity(const struct ml_settings *st, bool table_too, struct ml_err *err);
/* Warns once about each URI key that is not among known (NULL at the end). */
void ml_settings_unknown(const struct ml_settings *st, const char *const *known, const char *object);
#endif
