#include "api-gateway/api/spec.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api-gateway/api/ident.h"
#include "api-gateway/coord/store.h"
#include "common/text/json.h"
#include "common/text/jsonw.h"
#include "common/text/replica.h"
#include "common/text/uri.h"

struct body {
	const char *id, *sink_uri, *timezone, *upstream_uri, *snapshot;
	uint64_t start_ts, target_ts;
	bool force_replicate, ignore_ineligible_table;
	struct ml_json_strs rules;
	struct ml_json_u64s ignore_txn;
	int32_t mounter_worker_num;
	const struct ml_json *sink_config;
	const struct ml_json *replica_config; /* ours: the settings that v1 has no field for */
	const struct ml_json *root;
};

#define F(name, kind, member)                                                                                          \
	{                                                                                                              \
		name, kind, offsetof(struct body, member)                                                              \
	}
static const struct ml_json_field create_fields[] = {
	F("changefeed_id", ML_JK_STR, id), F("start_ts", ML_JK_U64, start_ts), F("target_ts", ML_JK_U64, target_ts),
	F("sink_uri", ML_JK_STR, sink_uri), F("timezone", ML_JK_STR, timezone),
	F("force_replicate", ML_JK_BOOL, force_replicate),
	F("ignore_ineligible_table", ML_JK_BOOL, ignore_ineligible_table), F("filter_rules", ML_JK_STRS, rules),
	F("ignore_txn_start_ts", ML_JK_U64S, ignore_txn), F("mounter_worker_num", ML_JK_I32, mounter_worker_num),
	F("sink_config", ML_JK_OBJECT, sink_config), F("replica_config", ML_JK_OBJECT, replica_config),
	F("upstream_uri", ML_JK_STR, upstream_uri), /* ours: another upstream than the server's */
	F("snapshot", ML_JK_STR, snapshot),         /* ours: of replica_config */
};
static const struct ml_json_field update_fields[] = {
	F("target_ts", ML_JK_U64, target_ts),
	F("sink_uri", ML_JK_STR, sink_uri),
	F("filter_rules", ML_JK_STRS, rules),
	F("ignore_txn_start_ts", ML_JK_U64S, ignore_txn),
	F("mounter_worker_num", ML_JK_I32, mounter_worker_num),
	F("sink_config", ML_JK_OBJECT, sink_config),
	F("replica_config", ML_JK_OBJECT, replica_config),
};
#undef F

#define N(a) (sizeof(a) / sizeof((a)[0]))

struct rule {
	struct ml_json_strs matcher, columns;
	const char *dispatcher, *partition, *topic, *index, *target_schema, *target_table;
	bool target_merge;
};
static const struct ml_json_field rule_fields[] = {
	{ "matcher", ML_JK_STRS, offsetof(struct rule, matcher) },
	{ "dispatcher", ML_JK_STR, offsetof(struct rule, dispatcher) },
	{ "partition", ML_JK_STR, offsetof(struct rule, partition) },
	{ "topic", ML_JK_STR, offsetof(struct rule, topic) },
	{ "index", ML_JK_STR, offsetof(struct rule, index) },
	{ "columns", ML_JK_STRS, offsetof(struct rule, columns) },
	{ "target-schema", ML_JK_STR, offsetof(struct rule, target_schema) },
	{ "target_schema", ML_JK_STR, offsetof(struct rule, target_schema) },
	{ "target-table", ML_JK_STR, offsetof(struct rule, target_table) },
	{ "target_table", ML_JK_STR, offsetof(struct rule, target_table) },
	{ "target-merge", ML_JK_BOOL, offsetof(struct rule, target_merge) },
	{ "target_merge", ML_JK_BOOL, offsetof(struct rule, target_merge) },
};

static void *
must(void *p)
{
	if (p == NULL)
		abort();
	return p;
}

/* Fields of an unpacked message own their text, unless it is protobuf-c's constant for "". */
static void
set_str(char **field, const char *s)
{
	if (*field != NULL && *field != (const char *)protobuf_c_empty_string)
		free(*field);
	*field = *s == '\0' ? (char *)(uintptr_t)protobuf_c_empty_string : must(strdup(s));
}

static void
set_strs(char ***field, size_t *n, const struct ml_json_strs *from)
{
	for (size_t i = 0; i < *n; i++)
		free((*field)[i]);
	free(*field);
	*field = from->n > 0 ? must(calloc(from->n, sizeof(**field))) : NULL;
	*n = from->n;
	for (size_t i = 0; i < from->n; i++)
		(*field)[i] = must(strdup(from->v[i]));
}

static void
set_u64s(uint64_t **field, size_t *n, const struct ml_json_u64s *from)
{
	free(*field);
	*field = from->n > 0 ? must(calloc(from->n, sizeof(**field))) : NULL;
	*n = from->n;
	if (from->n > 0)
		memcpy(*field, from->v, from->n * sizeof(**field));
}

static int
set_rules(Ml__ChangefeedSpec *spec, const struct ml_json *list, struct ml_arena *a, struct ml_err *err)
{
	size_t i = 0;

	for (; spec->n_dispatchers > 0; spec->n_dispatchers--)
		ml__dispatch_rule__free_unpacked(spec->dispatchers[spec->n_dispatchers - 1], NULL);
	free(spec->dispatchers);
	spec->dispatchers = NULL;
	if (list == NULL || list->n == 0)
		return 0;
	spec->dispatchers = must(calloc(list->n, sizeof(*spec->dispatchers)));
	for (const struct ml_json *e = list->child; e != NULL; e = e->next, i++) {
		struct rule r = { .dispatcher = "",
			.partition = "",
			.topic = "",
			.index = "",
			.target_schema = "",
			.target_table = "" };
		Ml__DispatchRule *to = must(calloc(1, sizeof(*to)));

		ml__dispatch_rule__init(to);
		spec->dispatchers[spec->n_dispatchers++] = to;
		if (ml_json_decode(e, "sink_config.dispatchers.", rule_fields, N(rule_fields), &r, a, err) < 0)
			return -1;
		if (r.dispatcher[0] != '\0' && r.partition[0] != '\0')
			return ML_ERR(
				err, ErrSinkInvalidConfig, 0, "dispatcher and partition cannot be configured both");
		set_strs(&to->matcher, &to->n_matcher, &r.matcher);
		set_strs(&to->columns, &to->n_columns, &r.columns);
		set_str(&to->partition, r.partition[0] != '\0' ? r.partition : r.dispatcher);
		set_str(&to->topic, r.topic);
		set_str(&to->index, r.index);
		set_str(&to->target_schema, r.target_schema);
		set_str(&to->target_table, r.target_table);
		to->target_merge = r.target_merge;
	}
	return 0;
}

/*
 * The sink section in its kebab-case spelling (5.3) replaces what was there (3.3).  Types are checked here, values by the worker.
 * protocol and dispatchers have fields of their own in the spec; the rest travels as JSON.
 */
static int
set_sink_config(Ml__ChangefeedSpec *spec, const struct ml_json *section, const char *called, struct ml_arena *a,
	struct ml_err *err)
{
	const struct ml_json *v;
	struct ml_buf text = { 0 };

	if (ml_replica_types(section, "sink", called, a, err) < 0)
		return -1;
	v = ml_replica_get(section, "protocol");
	set_str(&spec->protocol, v != NULL ? v->s : "");
	if (set_rules(spec, ml_replica_get(section, "dispatchers"), a, err) < 0)
		return -1;
	ml_replica_print(section, "sink", "protocol|dispatchers", &text);
	set_str(&spec->sink_config_json, text.len > 0 ? text.data : "");
	ml_buf_fini(&text);
	return 0;
}

/* Is this field of v1's own in the body?  It wins over replica_config then. */
static bool
given(const struct body *b, const char *name)
{
	const struct ml_json *v = ml_json_get(b->root, name);

	return v != NULL && v->type != ML_JSON_NULL;
}

/* replica_config: what v1 has fields for goes into them where the body has none of its own, the rest into the spec as it is. */
static int
set_replica_config(Ml__ChangefeedSpec *spec, struct body *b, struct ml_arena *a, struct ml_err *err)
{
	static const struct ml_json_field fields[] = {
		{ "rules", ML_JK_STRS, offsetof(struct body, rules) },
		{ "ignore-txn-start-ts", ML_JK_U64S, offsetof(struct body, ignore_txn) },
		{ "ignore_txn_start_ts", ML_JK_U64S, offsetof(struct body, ignore_txn) },
	};
	const struct ml_json *doc = b->replica_config, *v, *sink = ml_replica_get(doc, "sink");
	struct body from = { 0 };
	struct ml_buf text = { 0 };

	if (ml_replica_types(doc, "", "replica_config", a, err) < 0)
		return -1;
	v = ml_replica_get(doc, "filter");
	if (v != NULL && ml_json_decode(v, "replica_config.filter.", fields, N(fields), &from, a, err) < 0)
		return -1;
	if (b->rules.n == 0)
		b->rules = from.rules;
	if (b->ignore_txn.n == 0)
		b->ignore_txn = from.ignore_txn;
	v = ml_replica_get(doc, "mounter.worker-num");
	if (v != NULL && b->mounter_worker_num == 0)
		b->mounter_worker_num = atoi(v->s);
	v = ml_replica_get(doc, "force-replicate");
	if (v != NULL && !given(b, "force_replicate"))
		b->force_replicate = v->b;
	v = ml_replica_get(doc, "ignore-ineligible-table");
	if (v != NULL && !given(b, "ignore_ineligible_table"))
		b->ignore_ineligible_table = v->b;
	v = ml_replica_get(doc, "case-sensitive");
	if (v != NULL)
		spec->case_sensitive = v->b;
	if (sink != NULL && b->sink_config == NULL && set_sink_config(spec, sink, "replica_config.sink", a, err) < 0)
		return -1;
	ml_replica_print(doc, "", "sink", &text);
	set_str(&spec->replica_config_json, text.len > 0 ? text.data : "");
	ml_buf_fini(&text);
	return 0;
}

/* TiCDC v5.3, whose API v1 is, made open-protocol the default of a Kafka sink (3.3). */
static void
default_protocol(Ml__ChangefeedSpec *spec)
{
	struct ml_uri *u;
	struct ml_err err;

	if (spec->protocol[0] != '\0' || ml_uri_parse(&u, spec->sink_uri, &err) < 0)
		return; /* an unparsable URI is check 9, the probe's */
	if ((strcmp(u->scheme, "kafka") == 0 || strcmp(u->scheme, "kafka+ssl") == 0) &&
		ml_uri_get(u, "protocol") == NULL)
		set_str(&spec->protocol, "open-protocol");
	ml_uri_free(u);
}

static int
parse(const char *text, size_t len, const struct ml_json_field *fields, size_t n, struct body *b, struct ml_arena *a,
	struct ml_err *err)
{
	struct ml_json *j;

	*b = (struct body){ .id = "", .sink_uri = "", .timezone = "", .upstream_uri = "", .snapshot = "" };
	if (ml_json_parse(&j, a, text, len, err) == 0 && ml_json_decode(j, "", fields, n, b, a, err) == 0) {
		b->root = j;
		return 0;
	}
	return ML_ERR(err, ErrAPIInvalidParam, 0, err->text);
}

/* Decode errors below sink_config and replica_config come without the phrase of check 1. */
static int
phrase(struct ml_err *err)
{
	if (err->code == ML_ErrAPIInvalidParam)
		ML_ERR(err, ErrAPIInvalidParam, 0, err->text);
	return -1;
}

/* The body's own field is replica_config's member, and wins over it. */
static void
set_snapshot(Ml__ChangefeedSpec *spec, const char *method, struct ml_arena *a)
{
	struct ml_buf own = { 0 }, text = { 0 };
	const char *stored = spec->replica_config_json != NULL ? spec->replica_config_json : "";
	struct ml_json *doc;

	ml_buf_puts(&own, "{\"snapshot\":");
	ml_json_quote(&own, method, strlen(method));
	if (stored[0] != '\0' && ml_json_parse(&doc, a, stored, strlen(stored), NULL) == 0)
		ml_replica_print(doc, "", "snapshot", &text);
	if (text.len > 0)
		ml_buf_printf(&own, ",%s", text.data + 1);
	else
		ml_buf_putc(&own, '}');
	set_str(&spec->replica_config_json, own.data);
	ml_buf_fini(&text);
	ml_buf_fini(&own);
}

static int
fill_create(Ml__ChangefeedSpec *spec, struct body *b, struct ml_arena *a, struct ml_err *err)
{
	static const char *all[] = { "*.*" };
	static const struct ml_json_strs everything = { all, 1 };
	char uuid[ML_UUID_SIZE];

	if (b->replica_config != NULL && set_replica_config(spec, b, a, err) < 0)
		return phrase(err);
	if (b->sink_config != NULL && set_sink_config(spec, b->sink_config, "sink_config", a, err) < 0)
		return phrase(err);
	if (b->snapshot[0] != '\0')
		set_snapshot(spec, b->snapshot, a);
	if (b->sink_uri[0] == '\0')
		return ML_ERR(
			err, ErrSinkURIInvalid, 0, "sink-uri is empty, can't not create a changefeed without sink-uri");
	if (b->id[0] != '\0' && !ml_ident_ok(b->id))
		return ML_ERRF(err, ErrAPIInvalidParam, 0, "invalid changefeed_id: %s", b->id);
	ml_uuid4(uuid);
	set_str(&spec->namespace_, "default");
	set_str(&spec->id, b->id[0] != '\0' ? b->id : uuid);
	set_str(&spec->sink_uri, b->sink_uri);
	set_str(&spec->timezone, b->timezone);
	spec->start_ts = b->start_ts;
	spec->target_ts = b->target_ts;
	spec->force_replicate = b->force_replicate;
	spec->ignore_ineligible_table = b->ignore_ineligible_table;
	set_strs(&spec->filter_rules, &spec->n_filter_rules, b->rules.n > 0 ? &b->rules : &everything);
	set_u64s(&spec->ignore_txn_start_ts, &spec->n_ignore_txn_start_ts, &b->ignore_txn);
	spec->mounter_worker_num =
		b->mounter_worker_num > 0 ? (uint32_t)b->mounter_worker_num : ML_SPEC_MOUNTER_WORKERS;
	if (b->upstream_uri[0] != '\0' && ml_spec_upstream(b->upstream_uri, &spec->upstream, err) < 0)
		return -1;
	default_protocol(spec);
	return 0;
}

int
ml_spec_of_create(const char *text, size_t len, Ml__ChangefeedSpec **out, struct ml_err *err)
{
	Ml__ChangefeedSpec *spec = must(calloc(1, sizeof(*spec)));
	struct ml_arena a;
	struct body b;
	int rc = -1;

	ml__changefeed_spec__init(spec);
	ml_arena_init(&a, 8192);
	if (parse(text, len, create_fields, N(create_fields), &b, &a, err) == 0 &&
		fill_create(spec, &b, &a, err) == 0) {
		*out = spec;
		rc = 0;
	} else {
		ml__changefeed_spec__free_unpacked(spec, NULL);
	}
	ml_arena_fini(&a);
	return rc;
}

/* Of sink_config: what both it and the URI may say; "" if it does not. */
static const char *
of_config(const Ml__ChangefeedSpec *spec, const char *key, struct ml_arena *a)
{
	const struct ml_json *v = NULL;
	struct ml_json *doc;
	struct ml_err err;

	if (strcmp(key, "protocol") == 0)
		return spec->protocol;
	if (spec->sink_config_json[0] != '\0' &&
		ml_json_parse(&doc, a, spec->sink_config_json, strlen(spec->sink_config_json), &err) == 0)
		v = ml_replica_get(doc, key);
	return v != NULL && v->type == ML_JSON_STRING ? v->s : "";
}

/*
 * A configuration that comes to contradict the URI, which stays as it was, is refused; a new URI wins (openapi.md 6.6,
 * sinks.md 1.4).
 */
static int
check_contradictions(
	const Ml__ChangefeedSpec *spec, const Ml__ChangefeedSpec *old, struct ml_arena *a, struct ml_err *err)
{
	static const char *const keys[] = { "protocol", "transaction-atomicity" };
	struct ml_uri *u;
	struct ml_err bad;
	int rc = 0;

	if (strcmp(spec->sink_uri, old->sink_uri) != 0 || ml_uri_parse(&u, spec->sink_uri, &bad) < 0)
		return 0;
	for (size_t i = 0; rc == 0 && i < N(keys); i++) {
		const char *in_uri = ml_uri_get(u, keys[i]), *now = of_config(spec, keys[i], a);

		if (in_uri == NULL || in_uri[0] == '\0' || now[0] == '\0' || strcasecmp(in_uri, now) == 0 ||
			strcasecmp(now, of_config(old, keys[i], a)) == 0)
			continue;
		ML_ERR(err, ErrIncompatibleSinkConfig, 0, in_uri, now);
		rc = ml_err_wrap(err, ML_ErrChangefeedUpdateRefused, "changefeed update error");
	}
	ml_uri_free(u);
	return rc;
}

static int
fill_update(Ml__ChangefeedSpec *spec, struct body *b, struct ml_arena *a, struct ml_err *err)
{
	if (b->replica_config != NULL && set_replica_config(spec, b, a, err) < 0)
		return phrase(err);
	if (b->sink_config != NULL && set_sink_config(spec, b->sink_config, "sink_config", a, err) < 0)
		return phrase(err);
	/* What v1's update has no field for: force_replicate and the like, of replica_config only. */
	if (b->replica_config != NULL) {
		const struct ml_json *v = ml_replica_get(b->replica_config, "force-replicate");

		if (v != NULL)
			spec->force_replicate = v->b;
		v = ml_replica_get(b->replica_config, "ignore-ineligible-table");
		if (v != NULL)
			spec->ignore_ineligible_table = v->b;
	}
	if (b->target_ts != 0) {
		if (b->target_ts <= spec->start_ts)
			return ML_ERRF(err, ErrChangefeedUpdateRefused, 0,
				"can not update target-ts:%llu less than start-ts:%llu",
				(unsigned long long)b->target_ts, (unsigned long long)spec->start_ts);
		spec->target_ts = b->target_ts;
	}
	if (b->sink_uri[0] != '\0') {
		char *uri = ml_uri_unmask(b->sink_uri, spec->sink_uri);

		set_str(&spec->sink_uri, uri);
		free(uri);
	}
	if (b->rules.n > 0)
		set_strs(&spec->filter_rules, &spec->n_filter_rules, &b->rules);
	if (b->ignore_txn.n > 0)
		set_u64s(&spec->ignore_txn_start_ts, &spec->n_ignore_txn_start_ts, &b->ignore_txn);
	if (b->mounter_worker_num > 0)
		spec->mounter_worker_num = (uint32_t)b->mounter_worker_num;
	default_protocol(spec);
	return 0;
}

int
ml_spec_of_update(
	const char *text, size_t len, const Ml__ChangefeedSpec *old, Ml__ChangefeedSpec **out, struct ml_err *err)
{
	Ml__ChangefeedSpec *spec = ml_spec_copy(old);
	struct ml_arena a;
	struct body b;
	int rc = -1;

	ml_arena_init(&a, 8192);
	if (parse(text, len, update_fields, N(update_fields), &b, &a, err) == 0 &&
		fill_update(spec, &b, &a, err) == 0 && check_contradictions(spec, old, &a, err) == 0) {
		*out = spec;
		rc = 0;
	} else {
		ml__changefeed_spec__free_unpacked(spec, NULL);
	}
	ml_arena_fini(&a);
	return rc;
}

int
ml_spec_upstream(const char *text, Ml__Upstream **out, struct ml_err *err)
{
	const char *host = strstr(text, "://"), *at = NULL, *colon;
	struct ml_uri *u = NULL;
	struct ml_buf plain = { 0 };
	struct ml_err inner;
	Ml__Upstream *up;
	bool known;

	/* The parser's own error may quote the text, and with it the password. */
	if (host == NULL || ml_uri_parse(&u, text, &inner) < 0)
		return ML_ERR(err, ErrUpstreamURIInvalid, 0, "it cannot be parsed");
	known = strcmp(u->scheme, "mysql") == 0 || strcmp(u->scheme, "mariadb") == 0;
	if (!known || u->hosts[0] == '\0') {
		ML_ERR(err, ErrUpstreamURIInvalid, 0, known ? "it names no host" : u->scheme);
		ml_uri_free(u);
		return -1;
	}
	host += 3;
	for (const char *p = host; *p != '\0' && *p != '/' && *p != '?'; p++)
		if (*p == '@')
			at = p;
	colon = at != NULL ? memchr(host, ':', (size_t)(at - host)) : NULL;
	ml_buf_put(&plain, text, (size_t)((colon != NULL ? colon : host) - text));
	ml_buf_puts(&plain, colon != NULL ? at : host);
	up = must(calloc(1, sizeof(*up)));
	ml__upstream__init(up);
	set_str(&up->uri, plain.data);
	set_str(&up->password, u->password != NULL ? u->password : "");
	ml_buf_fini(&plain);
	ml_uri_free(u);
	*out = up;
	return 0;
}
