#include "capture-worker/probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "capture-worker/claim_store.h"
#include "capture-worker/filter/event.h"
#include "capture-worker/plan.h"
#include "capture-worker/progress.h"
#include "capture-worker/router/router.h"
#include "capture-worker/shaper/shaper.h"
#include "capture-worker/source/source.h"
#include "common/run/log.h"
#include "common/run/loop.h"
#include "common/text/tz.h"

struct probe {
	const Ml__ChangefeedSpec *spec;
	const Ml__ServerConfig *config;
	const char *object;
	struct ml_plan plan;
	struct ml_filter *filter;
	struct ml_tz *tz;
	struct ml_event_filter *events;
	struct ml_claim_store *claims; /* of an encoder that is tried */
	bool feeds_itself;             /* what a table becomes downstream, the filter would take again */
	struct ml_source_facts facts;
	bool has_facts;
};

/* "[db.t db.u]" of the tables that cannot be replicated; 0 if there are none. */
static int
check_eligible(struct probe *p, struct ml_err *err)
{
	size_t n = 0, len;
	char list[800] = "[";

	for (size_t i = 0; i < p->facts.n_tables; i++) {
		const struct ml_schema *s = p->facts.tables[i];

		if (s->kind == ML_TABLE_SEQUENCE || ml_schema_eligible(s) ||
			!ml_filter_table(p->filter, s->db.s, s->db.len, s->table.s, s->table.len))
			continue;
		len = strlen(list);
		if (len + s->qname.len + 8 < sizeof(list))
			snprintf(list + len, sizeof(list) - len, "%s%s", n > 0 ? " " : "", s->qname.s);
		else if (strcmp(list + len - 3, "...") != 0)
			snprintf(list + len, sizeof(list) - len, " ...");
		n++;
	}
	if (n == 0 || p->spec->force_replicate || p->spec->ignore_ineligible_table)
		return 0;
	len = strlen(list);
	snprintf(list + len, sizeof(list) - len, "]");
	return ML_ERR(err, ErrTableIneligible, 0, list);
}

/* The expressions of event filters must make sense for every table whose rows they will see. */
static int
check_events(struct probe *p, struct ml_err *err)
{
	for (size_t i = 0; i < p->facts.n_tables; i++) {
		struct ml_schema *s = p->facts.tables[i];

		if (s->kind == ML_TABLE_SEQUENCE || s->kind == ML_TABLE_VIEW ||
			!(p->spec->force_replicate || ml_schema_eligible(s)) ||
			!ml_filter_table(p->filter, s->db.s, s->db.len, s->table.s, s->table.len))
			continue;
		if (ml_event_filter_check(p->events, s, err) != 0)
			return -1;
	}
	return 0;
}

static int
check_timezone(const char *name, struct ml_err *err)
{
	struct ml_tz *tz;

	if (name[0] == '\0' || strcasecmp(name, "system") == 0 || strcasecmp(name, "local") == 0)
		return 0;
	if (ml_tz_open(&tz, name, err) == 0) {
		ml_tz_free(tz);
		return 0;
	}
	return ML_ERRF(err, ErrAPIInvalidParam, 0, "invalid api parameter: invalid timezone:%s: %s", name, err->text);
}

static int
check_upstream(struct probe *p, bool tables_only, struct ml_err *err)
{
	const struct ml_source_ops *ops = ml_source_for(p->spec->upstream->uri, err);
	struct ml_filter *all = NULL;
	struct ml_source_env env = {
		.spec = p->spec,
		.config = p->config,
		.object = p->object,
		.filter = p->filter,
		.checkpoint_ts = p->spec->start_ts,
		.tables_only = tables_only,
		.every_ddl = p->plan.sink != NULL && p->plan.sink->takes == ML_TAKES_ROWS,
	};
	int rc;

	if (ops == NULL)
		return -1;
	if (p->filter == NULL) {
		/* The rules are bad, which is said only after the upstream's own errors. */
		Ml__ChangefeedSpec none = ML__CHANGEFEED_SPEC__INIT;

		if (ml_filter_new(&all, &none, err) != 0)
			return -1;
		env.filter = all;
	}
	p->has_facts = true;
	rc = ops->probe(&env, &p->facts, err);
	ml_filter_free(all);
	return rc;
}

/*
 * An update is held against the tables as they are now.  Where they cannot be read it is taken all the same, since somebody may
 * need it just then; rows will meet the rules.
 */
static void
read_tables(struct probe *p)
{
	struct ml_source_facts *f = &p->facts;
	struct ml_err err = { 0 }, warning;
	const int max = (int)(sizeof(f->warnings) / sizeof(f->warnings[0]));

	if (check_upstream(p, true, &err) == 0)
		return;
	ML_ERRF(&warning, ErrUpstreamUnavailable, err.lib,
		"the tables cannot be read, so the changed settings are not held against them: %.400s", err.text);
	if (f->n_warnings < max)
		(void)ml_err_print(&warning, f->warnings[f->n_warnings++], sizeof(f->warnings[0]));
}

static void
ignore_durable(void *arg, uint64_t seq)
{
	(void)arg;
	(void)seq;
}

static void
log_fail(void *arg, const struct ml_err *err)
{
	ml_log_err(ML_WARN, arg, err, "sink failed while being tried");
}

/* Do the rules fit the tables?  Nothing is connected. */
static int
check_tables(struct probe *p, struct ml_err *err)
{
	struct ml_dispatcher *d = NULL;
	struct ml_shaper *shaper = NULL;
	struct ml_router *router = NULL;
	int rc = -1;

	/* Even where nothing is written: the rule is wrong. */
	if (ml_router_new(&router, p->spec, p->filter, p->plan.sink->takes == ML_TAKES_ROWS, p->object, err) != 0)
		return -1;
	p->feeds_itself = router == NULL;
	if (p->plan.sink->takes == ML_TAKES_NOTHING) {
		ml_router_free(router);
		return 0;
	}
	if (ml_shaper_new(&shaper, p->spec, p->plan.sink->topics, err) != 0)
		goto out;
	if (p->plan.encoder != NULL &&
		ml_dispatcher_new(&d, p->spec, p->plan.topic, p->plan.encoder->name, NULL, NULL, err) != 0)
		goto out;
	for (size_t i = 0; i < p->facts.n_tables; i++) {
		struct ml_schema *t = p->facts.tables[i];

		if (!ml_filter_table(p->filter, t->db.s, t->db.len, t->table.s, t->table.len))
			continue;
		if (t->kind == ML_TABLE_SEQUENCE || !(p->spec->force_replicate || ml_schema_eligible(t)))
			continue;
		if ((d != NULL && ml_dispatcher_check(d, t, err) != 0) || ml_shaper_check(shaper, t, err) != 0 ||
			(router != NULL &&
				(ml_router_check(router, t, err) != 0 || ml_router_schema(router, t, &t, err) != 0)))
			goto out;
		p->feeds_itself =
			p->feeds_itself || ml_filter_table(p->filter, t->db.s, t->db.len, t->table.s, t->table.len);
	}
	rc = 0;
out:
	ml_dispatcher_free(d);
	ml_shaper_free(shaper);
	ml_router_free(router);
	return rc;
}

static int
open_claims(void *arg, struct ml_claim_place **out, const char *uri, struct ml_err *err)
{
	struct probe *p = arg;

	if (ml_claim_store_open(&p->claims, uri, p->config, p->object, err) != 0)
		return -1;
	*out = ml_claim_store_place(p->claims);
	return 0;
}

/* Really opens the sink and closes it again; what is written of each table is checked before anything connects. */
static int
check_sink(struct probe *p, bool update, struct ml_err *err)
{
	struct ml_sink_env env = ml_plan_sink_env(&p->plan, p->spec, p->config, p->object);
	struct ml_encoder *e = NULL;
	struct ml_sink *s = NULL;
	int rc;

	env.arg = (void *)p->object;
	env.durable = ignore_durable;
	env.fail = log_fail;
	if (p->plan.sink->check(&env, err) != 0 || check_tables(p, err) != 0)
		return -1;
	rc = p->plan.sink->open(&s, &env, err);
	if (rc == 0 && p->feeds_itself && p->plan.sink->instance != NULL && p->facts.instance[0] != '\0' &&
		strcmp(p->plan.sink->instance(s), p->facts.instance) == 0)
		rc = ML_ERR(err, ErrMySQLSameServer, 0, p->plan.uri->hosts);
	if (rc == 0 && p->plan.encoder != NULL) {
		struct ml_encoder_env encoder_env = {
			.spec = p->spec,
			.config = p->config,
			.sink_uri = p->plan.uri,
			.max_message_bytes =
				p->plan.sink->max_message_bytes != NULL ? p->plan.sink->max_message_bytes(s) : SIZE_MAX,
			.storage = p->plan.sink->storage,
			.now_ms = ml_wall_ms,
			.claim_place = open_claims,
			.claim_arg = p,
		};

		rc = p->plan.encoder->open(&e, &encoder_env, err);
		if (rc == 0)
			p->plan.encoder->close(e);
	}
	if (rc == 0 && !update && p->plan.sink->forget != NULL)
		p->plan.sink->forget(s);
	p->plan.sink->close(s);
	return rc;
}

static int
run(struct probe *p, const Ml__Probe *probe, struct ml_err *err)
{
	struct ml_err filter_err = { 0 }, plan_err = { 0 };
	int filter_rc = ml_filter_new(&p->filter, p->spec, &filter_err);
	int plan_rc = ml_plan_init(&p->plan, p->spec, &plan_err);
	bool scheme_unknown = plan_rc != 0 && strstr(plan_err.text, "is not supported") != NULL;

	if (!probe->update) {
		if (check_upstream(p, false, err) != 0)
			return -1;
		if (p->spec->target_ts > 0 && p->spec->target_ts <= p->facts.start_ts)
			return ML_ERR(err, ErrTargetTsBeforeStartTs, 0, (unsigned long long)p->spec->target_ts,
				(unsigned long long)p->facts.start_ts);
	}
	if (plan_rc != 0 && !scheme_unknown) {
		*err = plan_err;
		return -1;
	}
	if (filter_rc != 0) {
		*err = filter_err;
		return -1;
	}
	if (probe->update)
		read_tables(p);
	if (ml_tz_open(&p->tz, p->config->tz, err) != 0 ||
		ml_event_filter_new(&p->events, p->spec, p->tz, p->object, err) != 0 || check_events(p, err) != 0)
		return -1;
	if (!probe->update && check_eligible(p, err) != 0)
		return -1;
	if (check_timezone(p->spec->timezone, err) != 0)
		return -1;
	if (scheme_unknown) {
		*err = plan_err;
		return -1;
	}
	return check_sink(p, probe->update, err);
}

static void
fill_facts(struct probe *p, Ml__ProbeResult *r)
{
	r->current_ts = p->facts.current_ts;
	r->start_ts = p->facts.start_ts;
	r->upstream_id = p->facts.upstream_id;
	r->server_version = strdup(p->facts.server_version);
	if (p->facts.n_warnings > 0) {
		r->warnings = calloc((size_t)p->facts.n_warnings, sizeof(char *));
		if (r->warnings == NULL)
			abort();
		for (int i = 0; i < p->facts.n_warnings; i++)
			r->warnings[r->n_warnings++] = strdup(p->facts.warnings[i]);
	}
	r->ineligible_tables = calloc(p->facts.n_tables + 1, sizeof(char *));
	if (r->ineligible_tables == NULL)
		abort();
	for (size_t i = 0; i < p->facts.n_tables; i++) {
		const struct ml_schema *s = p->facts.tables[i];

		if (!ml_schema_eligible(s) && s->kind != ML_TABLE_SEQUENCE)
			r->ineligible_tables[r->n_ineligible_tables++] = strdup(s->qname.s);
	}
}

void
ml_probe_run(const Ml__Probe *probe, const Ml__ServerConfig *config, const char *object, Ml__ProbeResult *r)
{
	struct probe p = { .spec = probe->spec, .config = config, .object = object };
	struct ml_err err = { 0 };

	if (run(&p, probe, &err) != 0) {
		ml_log_err(ML_WARN, object, &err, "changefeed refused");
		r->code = strdup(ml_code_name(err.code));
		r->text = strdup(err.text);
	} else if (p.has_facts) {
		r->position = ml_position_dup(&p.facts.position);
	}
	if (p.has_facts) {
		fill_facts(&p, r);
		ml_source_facts_fini(&p.facts);
	}
	ml_filter_free(p.filter);
	ml_event_filter_free(p.events);
	ml_tz_free(p.tz);
	ml_claim_store_free(p.claims);
	ml_plan_fini(&p.plan);
}
