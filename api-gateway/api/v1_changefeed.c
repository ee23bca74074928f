/* v1_changefeed.c - the changefeed operations of API v1 (openapi.md 3.3 - 3.7, 3.12, 3.13). */
#include <stdlib.h>
#include <string.h>

#include "api-gateway/api/api.h"
#include "api-gateway/api/copy.h"
#include "api-gateway/api/ident.h"
#include "api-gateway/api/spec.h"
#include "api-gateway/http/reply.h"
#include "common/run/log.h"
#include "common/text/json.h"
#include "common/text/uri.h"

#define NAMESPACE "default"

struct ml_feed *
ml_v1_feed(struct ml_http_req *r, struct ml_api *api)
{
	const char *id = ml_http_param(r, 0);
	struct ml_feed *f;
	struct ml_err err;

	if (!ml_ident_ok(id)) {
		ML_ERRF(&err, ErrAPIInvalidParam, 0, "invalid changefeed_id: %s", id);
	} else {
		f = ml_coord_find(api->coord, NAMESPACE, id);
		if (f != NULL)
			return f;
		ML_ERR(&err, ErrChangeFeedNotExists, 0, NAMESPACE, id);
	}
	ml_reply_error(r, &err);
	return NULL;
}

const char *
ml_v1_state(const struct ml_feed *f)
{
	return f->state == ML_FEED_WARNING || f->state == ML_FEED_PENDING ? "error" : ml_feed_state_name(f->state);
}

void
ml_v1_put_error(struct ml_jw *w, const struct ml_feed *f)
{
	const struct ml_feed_error *e = f->error != NULL ? f->error : f->warning;
	char time[40], text[sizeof(e->err.text) + 80];

	ml_jw_key(w, "error");
	if (e == NULL || f->state == ML_FEED_NORMAL) {
		ml_jw_null(w);
		return;
	}
	ml_jw_open(w, '{');
	ml_jw_kstr(w, "time", ml_time_local(e->time_us / 1000, time, sizeof(time)));
	ml_jw_kstr(w, "addr", e->addr);
	ml_jw_kstr(w, "code", ml_code_name(e->err.code));
	ml_jw_kstr(w, "message", ml_err_print(&e->err, text, sizeof(text)));
	ml_jw_close(w, '}');
}

/* The state filter of 2.3. */
static bool
listed(const struct ml_feed *f, const char *state)
{
	if (state == NULL || *state == '\0')
		return f->state == ML_FEED_NORMAL || f->state == ML_FEED_STOPPED || f->state == ML_FEED_FAILED;
	if (strcmp(state, "all") == 0)
		return true;
	if (strcmp(state, "error") == 0 || strcmp(state, "warning") == 0)
		return f->state == ML_FEED_WARNING || f->state == ML_FEED_PENDING;
	return strcmp(state, ml_feed_state_name(f->state)) == 0;
}

void
ml_v1_list(struct ml_http_req *r, void *arg)
{
	const struct ml_api *api = arg;
	const char *state = ml_http_query(r, "state");
	struct ml_buf doc = { 0 };
	struct ml_jw w = ml_jw_of(&doc, ML_STYLE_I);
	char time[40];

	ml_jw_open(&w, '[');
	for (size_t i = 0; i < api->coord->n_feeds; i++) {
		const struct ml_feed *f = api->coord->feeds[i];

		if (!listed(f, state))
			continue;
		ml_jw_open(&w, '{');
		ml_jw_ku64(&w, "upstream_id", f->upstream_id);
		ml_jw_kstr(&w, "namespace", f->spec->namespace_);
		ml_jw_kstr(&w, "id", f->spec->id);
		ml_jw_kstr(&w, "state", ml_v1_state(f));
		ml_jw_ku64(&w, "checkpoint_tso", f->checkpoint_ts);
		ml_jw_kstr(&w, "checkpoint_time", ml_api_ts_time(f->checkpoint_ts, time, sizeof(time)));
		ml_v1_put_error(&w, f);
		ml_jw_close(&w, '}');
	}
	ml_jw_close(&w, ']');
	ml_reply_json(r, 200, ML_STYLE_I, &doc);
}

static void
put_task_status(struct ml_jw *w, const struct ml_feed *f, const struct ml_api *api)
{
	ml_jw_key(w, "task_status");
	ml_jw_open(w, '[');
	if (ml_feed_active(f)) {
		ml_jw_open(w, '{');
		ml_jw_kstr(w, "capture_id", api->config->capture_id);
		ml_jw_key(w, "table_ids");
		ml_jw_open(w, '[');
		for (size_t i = 0; i < f->n_table_ids; i++)
			ml_jw_i64(w, f->table_ids[i]);
		ml_jw_close(w, ']');
		ml_jw_key(w, "table_operations");
		ml_jw_open(w, '{');
		ml_jw_close(w, '}');
		ml_jw_close(w, '}');
	}
	ml_jw_close(w, ']');
}

/* Ours: why the checkpoint stands still. */
static void
put_running_ddl(struct ml_jw *w, const struct ml_feed *f)
{
	const Ml__RunningDdl *d = f->running_ddl;
	uint64_t now = ml_wall_ms();

	if (d == NULL)
		return;
	ml_jw_key(w, "running_ddl");
	ml_jw_open(w, '{');
	ml_jw_kstr(w, "query", d->query);
	ml_jw_ku64(w, "commit_ts", d->commit_ts);
	ml_jw_ku64(w, "seconds", now > (uint64_t)d->started_ms ? (now - (uint64_t)d->started_ms) / 1000 : 0);
	ml_jw_close(w, '}');
}

void
ml_v1_detail(struct ml_http_req *r, void *arg)
{
	struct ml_api *api = arg;
	struct ml_feed *f = ml_v1_feed(r, api);
	struct ml_buf doc = { 0 };
	struct ml_jw w = ml_jw_of(&doc, ML_STYLE_I);
	char time[40], *uri;

	if (f == NULL)
		return;
	uri = ml_uri_mask(f->spec->sink_uri, ML_MASK_API);
	ml_jw_open(&w, '{');
	ml_jw_ku64(&w, "upstream_id", f->upstream_id);
	ml_jw_kstr(&w, "namespace", f->spec->namespace_);
	ml_jw_kstr(&w, "id", f->spec->id);
	ml_jw_kstr(&w, "sink_uri", uri);
	ml_jw_kstr(&w, "create_time", ml_time_at(f->create_time_us / 1000, f->create_offset_s, time, sizeof(time)));
	ml_jw_ku64(&w, "start_ts", f->spec->start_ts);
	ml_jw_ku64(&w, "resolved_ts", ml_feed_active(f) ? f->resolved_ts : 0);
	ml_jw_ku64(&w, "target_ts", f->spec->target_ts);
	ml_jw_ku64(&w, "checkpoint_tso", f->checkpoint_ts);
	ml_jw_kstr(&w, "checkpoint_time", ml_api_ts_time(f->checkpoint_ts, time, sizeof(time)));
	ml_jw_kstr(&w, "sort_engine", "unified");
	ml_jw_kstr(&w, "state", ml_v1_state(f));
	ml_v1_put_error(&w, f);
	ml_jw_key(&w, "error_history");
	ml_jw_null(&w);
	ml_jw_kstr(&w, "creator_version", f->creator_version);
	put_task_status(&w, f, api);
	put_running_ddl(&w, f);
	ml_copy_put(&w, f, ml_wall_ms());
	ml_jw_close(&w, '}');
	free(uri);
	ml_reply_json(r, 200, ML_STYLE_I, &doc);
}

/* The end of every command: 202 without a body, or its error. */
static void
on_reply(const struct ml_err *err, void *arg)
{
	struct ml_http_req *r = arg;

	if (err != NULL)
		ml_reply_error(r, err);
	else
		ml_reply_empty(r, 202);
}

void
ml_v1_create(struct ml_http_req *r, void *arg)
{
	struct ml_api *api = arg;
	Ml__ChangefeedSpec *spec;
	struct ml_err err;
	size_t len;
	const char *body = ml_http_body(r, &len);

	if (ml_spec_of_create(body, len, &spec, &err) < 0) {
		ml_reply_error(r, &err);
		return;
	}
	if (spec->upstream == NULL && api->config->upstream == NULL &&
		ml_coord_find(api->coord, NAMESPACE, spec->id) == NULL) {
		ml__changefeed_spec__free_unpacked(spec, NULL);
		ML_ERR(&err, ErrUpstreamURIInvalid, 0,
			"the server has no default upstream and upstream_uri is not given");
		ml_reply_error(r, &err);
		return;
	}
	ml_coord_create(api->coord, spec, on_reply, r);
}

void
ml_v1_update(struct ml_http_req *r, void *arg)
{
	struct ml_api *api = arg;
	size_t len;
	const char *body = ml_http_body(r, &len); /* before the lookup, which may answer and free r */
	struct ml_feed *f = ml_v1_feed(r, api);
	Ml__ChangefeedSpec *spec;
	struct ml_err err;

	if (f == NULL)
		return;
	if (ml_coord_may_update(f, &err) < 0 || ml_spec_of_update(body, len, f->spec, &spec, &err) < 0) {
		ml_reply_error(r, &err);
		return;
	}
	ml_coord_update(api->coord, f, spec, on_reply, r);
}

void
ml_v1_remove(struct ml_http_req *r, void *arg)
{
	struct ml_feed *f = ml_v1_feed(r, arg);

	if (f != NULL)
		ml_coord_remove(f, on_reply, r);
}

void
ml_v1_pause(struct ml_http_req *r, void *arg)
{
	struct ml_feed *f = ml_v1_feed(r, arg);

	if (f != NULL)
		ml_coord_pause(f, on_reply, r);
}

void
ml_v1_resume(struct ml_http_req *r, void *arg)
{
	struct ml_feed *f = ml_v1_feed(r, arg);

	if (f != NULL)
		ml_coord_resume(f, on_reply, r);
}

void
ml_v1_rebalance(struct ml_http_req *r, void *arg)
{
	struct ml_feed *f = ml_v1_feed(r, arg);

	if (f == NULL)
		return;
	/* All tables of a changefeed are on the only node: nothing can be out of balance. */
	ml_info(f->name, "rebalance has no effect: one capture");
	ml_reply_empty(r, 202);
}

struct move_body {
	const char *capture_id, *target_capture_id;
	int64_t table_id;
};
static const struct ml_json_field move_fields[] = {
	{ "capture_id", ML_JK_STR, offsetof(struct move_body, capture_id) },
	{ "target_capture_id", ML_JK_STR, offsetof(struct move_body, target_capture_id) },
	{ "table_id", ML_JK_I64, offsetof(struct move_body, table_id) },
};

void
ml_v1_move_table(struct ml_http_req *r, void *arg)
{
	size_t len;
	const char *body = ml_http_body(r, &len), *to; /* before the lookup, which may answer and free r */
	struct ml_feed *f = ml_v1_feed(r, arg);
	struct move_body b = { "", "", 0 };
	struct ml_arena a;
	struct ml_json *j;
	struct ml_err err;

	if (f == NULL)
		return;
	ml_arena_init(&a, 2048);
	if (ml_json_parse(&j, &a, body, len, &err) < 0 || ml_json_decode(j, "", move_fields, 3, &b, &a, &err) < 0) {
		ML_ERR(&err, ErrAPIInvalidParam, 0, err.text);
		ml_reply_error(r, &err);
		goto out;
	}
	to = b.capture_id[0] != '\0' ? b.capture_id : b.target_capture_id;
	if (!ml_ident_ok(to)) {
		ML_ERRF(&err, ErrAPIInvalidParam, 0, "invalid capture_id: %s", to);
		ml_reply_error(r, &err);
		goto out;
	}
	ml_info(f->name, "move_table dropped: one capture capture_id=%s table_id=%lld", to, (long long)b.table_id);
	ml_reply_empty(r, 202);
out:
	ml_arena_fini(&a);
}
