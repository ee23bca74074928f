#include "capture-worker/plan.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "capture-worker/encoder/large.h"
#include "capture-worker/encoder/options.h"
#include "common/text/json.h"
#include "common/text/replica.h"

static bool
has_checksums(const struct ml_json *doc)
{
	const struct ml_json *v = ml_replica_get(doc, "integrity.integrity-check-level");

	return v != NULL && v->type == ML_JSON_STRING && strcasecmp(v->s, "correctness") == 0;
}

static bool
selects_columns(const Ml__ChangefeedSpec *spec, struct ml_arena *a)
{
	const char *text = spec->sink_config_json;
	const struct ml_json *list = NULL;
	struct ml_json *doc;
	struct ml_err bad;

	if (text != NULL && text[0] != '\0' && ml_json_parse(&doc, a, text, strlen(text), &bad) == 0)
		list = ml_replica_get(doc, "column-selectors");
	return list != NULL && list->n > 0;
}

/* openapi.md 5.7, as far as the settings alone tell. */
static int
check_settings(const struct ml_plan *p, const Ml__ChangefeedSpec *spec, struct ml_err *err)
{
	static const char *const mysql_only[] = { "enable-sync-point", "bdr-mode" };
	struct ml_arena a;
	struct ml_json *doc;
	int rc = 0;

	if (ml_replica_ranges_text(spec->sink_config_json, "sink", err) != 0 ||
		ml_replica_ranges_text(spec->replica_config_json, "", err) != 0)
		return -1;
	if (spec->replica_config_json == NULL || spec->replica_config_json[0] == '\0')
		return 0;
	ml_arena_init(&a, 4096);
	rc = ml_json_parse(&doc, &a, spec->replica_config_json, strlen(spec->replica_config_json), err);
	for (size_t i = 0; rc == 0 && !p->sink->sync_points && i < sizeof(mysql_only) / sizeof(mysql_only[0]); i++) {
		const struct ml_json *v = ml_replica_get(doc, mysql_only[i]);

		if (v != NULL && v->b)
			rc = ML_ERRF(err, ErrSinkURIInvalid, 0, "sink uri invalid '%s is not supported by %s scheme'",
				mysql_only[i], p->uri->scheme);
	}
	if (rc == 0 && p->sink->topics && has_checksums(doc) && selects_columns(spec, &a))
		rc = ML_ERRF(err, ErrInvalidReplicaConfig, 0,
			"invalid replica config, integrity-check-level and column-selectors cannot be used together");
	ml_arena_fini(&a);
	return rc;
}

static int
choose_encoder(struct ml_plan *p, const Ml__ChangefeedSpec *spec, struct ml_err *err)
{
	const char *protocol = ml_uri_get(p->uri, "protocol");
	struct ml_encoder_env env;

	if (protocol == NULL || protocol[0] == '\0')
		protocol = spec->protocol;
	if (p->sink->takes != ML_TAKES_MSGS) {
		/* A protocol on such a sink is accepted if there is one of the name, and unused. */
		return protocol[0] != '\0' && ml_encoder_for(protocol, err) == NULL ? -1 : 0;
	}
	if (protocol[0] == '\0' && p->sink->topics)
		protocol = "open-protocol";
	p->encoder = ml_encoder_for(protocol, err);
	if (p->encoder == NULL)
		return -1;
	if (p->sink->storage && !p->encoder->for_storage) {
		ML_ERR(err, ErrSinkUnknownProtocol, 0, protocol);
		return ml_err_wrap(
			err, ML_ErrStorageSinkInvalidConfig, "storage sink only support canal-json and csv protocol");
	}
	if (!p->sink->storage && !p->encoder->for_mq)
		return ML_ERR(err, ErrSinkUnknownProtocol, 0, protocol);
	env = (struct ml_encoder_env){ .spec = spec, .sink_uri = p->uri, .storage = p->sink->storage };
	return ml_large_check(&env, p->encoder->name, err);
}

/* The path without the slashes around it. */
static char *
default_topic(const struct ml_uri *uri)
{
	const char *s = uri->path;
	size_t n;

	while (*s == '/')
		s++;
	n = strlen(s);
	while (n > 0 && s[n - 1] == '/')
		n--;
	return strndup(s, n);
}

int
ml_plan_init(struct ml_plan *p, const Ml__ChangefeedSpec *spec, struct ml_err *err)
{
	*p = (struct ml_plan){ 0 };
	if (ml_uri_parse(&p->uri, spec->sink_uri, err) != 0)
		return -1;
	p->sink = ml_sink_for(p->uri->scheme, err);
	if (p->sink == NULL || check_settings(p, spec, err) != 0 || choose_encoder(p, spec, err) != 0) {
		ml_plan_fini(p);
		return -1;
	}
	p->topic = p->sink->topics ? default_topic(p->uri) : strdup("");
	if (p->encoder != NULL && ml_encoder_raw_change_event(spec, p->sink->storage, &p->raw_change_event, err) != 0) {
		ml_plan_fini(p);
		return -1;
	}
	return 0;
}

void
ml_plan_fini(struct ml_plan *p)
{
	ml_uri_free(p->uri);
	free(p->topic);
	*p = (struct ml_plan){ 0 };
}

struct ml_sink_env
ml_plan_sink_env(
	const struct ml_plan *p, const Ml__ChangefeedSpec *spec, const Ml__ServerConfig *config, const char *object)
{
	return (struct ml_sink_env){
		.spec = spec,
		.config = config,
		.uri = p->uri,
		.object = object,
		.protocol = p->encoder != NULL ? p->encoder->name : NULL,
	};
}
