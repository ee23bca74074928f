/* v1.c - node, capture, processor, owner and log operations of API v1 (openapi.md 3.1, 3.2, 3.8 - 3.11, 3.14), and /status. */
#include <string.h>

#include "api-gateway/api/api.h"
#include "api-gateway/api/ident.h"
#include "api-gateway/http/reply.h"
#include "common/run/log.h"
#include "common/text/json.h"
#include "ml_build.h"

/* Bodies of these operations are a few dozen bytes. */
#define ARENA_BYTES 2048

static void
put_node(struct ml_jw *w, const struct ml_api *api, bool cluster)
{
	ml_jw_open(w, '{');
	ml_jw_kstr(w, "version", ML_API_VERSION);
	ml_jw_kstr(w, "git_hash", ML_GIT_HASH);
	ml_jw_kstr(w, "id", api->config->capture_id);
	if (cluster)
		ml_jw_kstr(w, "cluster_id", api->config->cluster_id);
	ml_jw_ku64(w, "pid", (uint64_t)api->config->supervisor_pid);
	ml_jw_key(w, "is_owner");
	ml_jw_bool(w, true);
	if (cluster)
		ml_jw_ku64(w, "liveness", api->stopping ? 1 : 0);
	ml_jw_close(w, '}');
}

void
ml_v1_status(struct ml_http_req *r, void *arg)
{
	struct ml_buf doc = { 0 };
	struct ml_jw w = ml_jw_of(&doc, ML_STYLE_I);

	put_node(&w, arg, true);
	ml_reply_json(r, 200, ML_STYLE_I, &doc);
}

void
ml_legacy_status(struct ml_http_req *r, void *arg)
{
	struct ml_buf doc = { 0 };
	struct ml_jw w = ml_jw_of(&doc, ML_STYLE_L);

	put_node(&w, arg, false);
	ml_reply_json(r, 200, ML_STYLE_L, &doc);
}

void
ml_legacy_config(struct ml_http_req *r, void *arg)
{
	const struct ml_api *api = arg;
	struct ml_buf doc = { 0 };

	ml_buf_puts(&doc, api->config->config_json[0] != '\0' ? api->config->config_json : "{}");
	ml_reply_json(r, 200, ML_STYLE_C, &doc);
}

void
ml_v1_health(struct ml_http_req *r, void *arg)
{
	const struct ml_api *api = arg;
	struct ml_err err;

	/* The only node is its owner; each changefeed is planned when it is started.  A store that refuses writes is no health. */
	if (api->coord->store_failing || (!api->coord->running && !api->stopping)) {
		ML_ERR(&err, ErrClusterIsUnhealthy, 0);
		ml_reply_error(r, &err);
		return;
	}
	ml_reply_empty(r, 200);
}

void
ml_v1_captures(struct ml_http_req *r, void *arg)
{
	const struct ml_api *api = arg;
	struct ml_buf doc = { 0 };
	struct ml_jw w = ml_jw_of(&doc, ML_STYLE_I);

	ml_jw_open(&w, '[');
	ml_jw_open(&w, '{');
	ml_jw_kstr(&w, "id", api->config->capture_id);
	ml_jw_key(&w, "is_owner");
	ml_jw_bool(&w, true);
	ml_jw_kstr(&w, "address", api->config->advertise_addr);
	ml_jw_kstr(&w, "cluster_id", api->config->cluster_id);
	ml_jw_close(&w, '}');
	ml_jw_close(&w, ']');
	ml_reply_json(r, 200, ML_STYLE_I, &doc);
}

/* Decodes r's body; on failure answers with the detail behind `phrase` and returns -1. */
static int
decode_body(struct ml_http_req *r, const struct ml_json_field *fields, size_t n, void *out, struct ml_arena *a,
	const char *phrase)
{
	struct ml_json *j;
	struct ml_err err;
	size_t len;
	const char *body = ml_http_body(r, &len);

	if (ml_json_parse(&j, a, body, len, &err) == 0 && ml_json_decode(j, "", fields, n, out, a, &err) == 0)
		return 0;
	ML_ERRF(&err, ErrAPIInvalidParam, 0, "%s: %s", phrase, err.text);
	ml_reply_error(r, &err);
	return -1;
}

struct drain_body {
	const char *capture_id;
};
static const struct ml_json_field drain_fields[] = { { "capture_id", ML_JK_STR,
	offsetof(struct drain_body, capture_id) } };

void
ml_v1_drain(struct ml_http_req *r, void *arg)
{
	struct drain_body b = { "" };
	struct ml_arena a;
	struct ml_err err;

	(void)arg;
	ml_arena_init(&a, ARENA_BYTES);
	if (decode_body(r, drain_fields, 1, &b, &a, "invalid api parameter") == 0) {
		/* A node alone has nobody to take its tables: check 2 of 3.10 refuses before the target is looked at. */
		ML_ERR(&err, ErrSchedulerRequestFailed, 0, "only one capture alive");
		ml_reply_error(r, &err);
	}
	ml_arena_fini(&a);
}

/* This node takes part in f: its worker runs or is on the way. */
static bool
processes(const struct ml_feed *f)
{
	return ml_feed_active(f) && !f->deleting;
}

void
ml_v1_processors(struct ml_http_req *r, void *arg)
{
	const struct ml_api *api = arg;
	struct ml_buf doc = { 0 };
	struct ml_jw w = ml_jw_of(&doc, ML_STYLE_I);

	ml_jw_open(&w, '[');
	for (size_t i = 0; i < api->coord->n_feeds; i++) {
		const struct ml_feed *f = api->coord->feeds[i];

		if (!processes(f))
			continue;
		ml_jw_open(&w, '{');
		ml_jw_kstr(&w, "namespace", f->spec->namespace_);
		ml_jw_kstr(&w, "changefeed_id", f->spec->id);
		ml_jw_kstr(&w, "capture_id", api->config->capture_id);
		ml_jw_close(&w, '}');
	}
	ml_jw_close(&w, ']');
	ml_reply_json(r, 200, ML_STYLE_I, &doc);
}

static bool
capture_ok(struct ml_http_req *r, const char *id)
{
	struct ml_err err;

	if (ml_ident_ok(id))
		return true;
	ML_ERRF(&err, ErrAPIInvalidParam, 0, "invalid capture_id: %s", id);
	ml_reply_error(r, &err);
	return false;
}

void
ml_v1_processor(struct ml_http_req *r, void *arg)
{
	struct ml_api *api = arg;
	const char *id = ml_http_param(r, 0), *capture = ml_http_param(r, 1);
	struct ml_buf doc = { 0 };
	struct ml_jw w = ml_jw_of(&doc, ML_STYLE_I);
	struct ml_feed *f;
	struct ml_err err;

	/* F-ID, F-CAP, F-NF, in this order. */
	if (ml_ident_ok(id) && !capture_ok(r, capture))
		return;
	f = ml_v1_feed(r, api);
	if (f == NULL)
		return;
	if (!ml_feed_active(f)) {
		ML_ERRF(&err, ErrAPIInvalidParam, 0,
			"invalid api parameter: changefeed in abnormal state: %s, "
			"can't get processors of an abnormal changefeed",
			ml_v1_state(f));
		ml_reply_error(r, &err);
		return;
	}
	if (strcmp(capture, api->config->capture_id) != 0) {
		ML_ERR(&err, ErrCaptureNotExist, 0, capture);
		ml_reply_error(r, &err);
		return;
	}
	ml_jw_open(&w, '{');
	ml_jw_ku64(&w, "checkpoint_ts", f->checkpoint_ts);
	ml_jw_ku64(&w, "resolved_ts", f->resolved_ts);
	ml_jw_key(&w, "table_ids");
	ml_jw_open(&w, '[');
	for (size_t i = 0; i < f->n_table_ids; i++)
		ml_jw_i64(&w, f->table_ids[i]);
	ml_jw_close(&w, ']');
	ml_v1_put_error(&w, f);
	ml_jw_close(&w, '}');
	ml_reply_json(r, 200, ML_STYLE_I, &doc);
}

void
ml_v1_resign(struct ml_http_req *r, void *arg)
{
	(void)arg;
	/* The only node wins the election that follows, under the same capture id, so there is no gap to show. */
	ml_info("-", "owner resigned and was elected again: it is the only capture");
	ml_reply_empty(r, 202);
}

struct log_body {
	const char *level;
};
static const struct ml_json_field log_fields[] = { { "log_level", ML_JK_STR, offsetof(struct log_body, level) } };

void
ml_v1_log(struct ml_http_req *r, void *arg)
{
	struct ml_api *api = arg;
	struct log_body b = { "" };
	struct ml_arena a;
	struct ml_err err;
	enum ml_level level;

	ml_arena_init(&a, ARENA_BYTES);
	if (decode_body(r, log_fields, 1, &b, &a, "invalid log level") < 0)
		goto out;
	/* "warning" is a spelling of our flags only. */
	if (strcasecmp(b.level, "warning") == 0 || ml_log_parse_level(b.level, &level) < 0) {
		ML_ERRF(&err, ErrAPIInvalidParam, 0, "fail to change log level: %s", b.level);
		ml_reply_error(r, &err);
		goto out;
	}
	Ml__Envelope env = ML__ENVELOPE__INIT;
	Ml__SetLogLevel m = ML__SET_LOG_LEVEL__INIT;

	m.level = (char *)(uintptr_t)ml_level_name(level);
	env.body_case = ML__ENVELOPE__BODY_SET_LOG_LEVEL;
	env.set_log_level = &m;
	ml_log_set_level(level);
	ml_chan_send(api->supervisor, &env, -1);
	ml_reply_empty(r, 200);
out:
	ml_arena_fini(&a);
}
