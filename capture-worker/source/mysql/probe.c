/* probe.c - looks at a server for a changefeed that is about to be made: checks, clock, start position, tables. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture-worker/source/mysql/check.h"
#include "capture-worker/source/mysql/clock.h"
#include "capture-worker/source/mysql/mysql_int.h"
#include "capture-worker/source/mysql/schema_read.h"
#include "capture-worker/source/mysql/snapshot/check.h"
#include "capture-worker/source/mysql/start.h"
#include "capture-worker/source/mysql/trouble.h"

#define PROBE_TIMEOUT_S 20u
/* A start_ts may be this far ahead of the upstream's clock: whoever made it read another clock. */
#define AHEAD_MS 5000u

static void
keep_warning(void *arg, const struct ml_err *w)
{
	struct ml_source_facts *f = arg;
	const int max = (int)(sizeof(f->warnings) / sizeof(f->warnings[0]));

	if (f->n_warnings < max)
		(void)ml_err_print(w, f->warnings[f->n_warnings++], sizeof(f->warnings[0]));
}

static char *
copy(const char *s)
{
	char *p = strdup(s);

	if (p == NULL)
		abort();
	return p;
}

static void
set_position(
	struct ml_source_facts *f, const struct ml_server *s, const struct ml_place *place, ml_ts last, uint64_t now_us)
{
	struct ml_buf gtid = { 0 };

	ml_place_print_gtids(place, &gtid);
	ml__position__init(&f->position);
	f->position.flavor = copy(s->flavor == ML_MARIADB ? "mariadb" : "mysql");
	f->position.server = copy(s->identity);
	f->position.file = copy(place->file);
	f->position.offset = place->offset;
	f->position.gtid = copy(gtid.len > 0 ? gtid.data : "");
	f->position.last_ts = last;
	f->position.time_us = now_us;
	ml_buf_fini(&gtid);
}

static int
start(const struct ml_source_env *env, struct ml_my_conn *c, const struct ml_my_target *t, const struct ml_server *s,
	struct ml_source_facts *facts, struct ml_err *err)
{
	uint32_t server_id = ml_my_server_id(env, "probe", 0);
	ml_ts start_ts = env->spec->start_ts, last;
	struct ml_clock clock = { 0 };
	struct ml_place place = { 0 };
	int rc = -1;

	if (ml_clock_measure(&clock, c, err) < 0)
		return -1;
	/* Head first, then the time: what is logged in between only gets a larger ts than it must have. */
	if (ml_start_head(c, &place, err) < 0)
		goto out;
	facts->current_ts = last = ml_ts_from_ms(ml_clock_now_us(&clock) / 1000);
	facts->start_ts = start_ts != 0 ? start_ts : last;
	if (ml_start_earliest(c, t, server_id, &facts->earliest_ts, err) < 0)
		goto out;
	if (start_ts != 0 && ml_ts_ms(start_ts) > ml_ts_ms(last) + AHEAD_MS) {
		ML_ERRF(err, ErrAPIInvalidParam, 0, "invalid start-ts %llu, larger than current tso %llu",
			(unsigned long long)start_ts, (unsigned long long)last);
		goto out;
	}
	if (start_ts != 0) {
		place.gtids.n = 0;
		ml_gtid_set_clear(&place.set);
		if (ml_start_find(c, t, server_id, start_ts, &place, &last, err) < 0)
			goto out;
	}
	set_position(facts, s, &place, last, ml_clock_now_us(&clock));
	rc = 0;
out:
	if (rc < 0)
		(void)ml_trouble_of(err, c, &place, start_ts);
	ml_place_fini(&place);
	return rc;
}

/* Transactions prepared by XA before our start can be committed after it, without their rows being in reach. */
static int
prepared(struct ml_my_conn *c, struct ml_source_facts *facts, struct ml_err *err)
{
	struct ml_err w = { 0 };
	MYSQL_RES *res;
	unsigned long long n;

	if (ml_my_query(c, "XA RECOVER", &res, &w) < 0) {
		/* MySQL wants XA_RECOVER_ADMIN for it, which nothing else here needs. */
		if (c->flavor == ML_MYSQL && !ml_my_is_lost(w.lib))
			return 0;
		*err = w;
		return -1;
	}
	n = res != NULL ? (unsigned long long)mysql_num_rows(res) : 0;
	mysql_free_result(res);
	if (n > 0) {
		ML_ERRF(&w, ErrMySQLXAUnknown, 0,
			"%s has %llu XA transactions in prepared state: should one prepared before start-ts be committed later, the "
			"changefeed fails; finish them first",
			c->addr, n);
		keep_warning(facts, &w);
	}
	return 0;
}

int
ml_my_probe(const struct ml_source_env *env, struct ml_source_facts *facts, struct ml_err *err)
{
	const Ml__Upstream *u = ml_my_upstream(env);
	struct ml_schema_list tables = { 0 };
	struct ml_my_target *t = NULL;
	struct ml_my_conn c = { 0 };
	struct ml_server server;
	int rc = -1;

	memset(facts, 0, sizeof(*facts));
	ml__position__init(&facts->position);
	if (u == NULL)
		return ML_ERR(err, ErrUpstreamURIInvalid, 0, "none is configured");
	if (ml_my_target_new(&t, u, err) < 0 || ml_my_connect(&c, t, PROBE_TIMEOUT_S, err) < 0)
		goto out;
	snprintf(facts->server_version, sizeof(facts->server_version), "%s", c.version_text);
	if (env->tables_only)
		goto tables;
	if (ml_check_server(&c, env->filter, &server, keep_warning, facts, err) < 0)
		goto out;
	facts->upstream_id = server.upstream_id;
	if (ml_my_instance(&c, facts->instance, sizeof(facts->instance), err) < 0)
		goto out;
	if (prepared(&c, facts, err) < 0 || start(env, &c, t, &server, facts, err) < 0)
		goto out;
tables:
	if (ml_schema_read_tables(&c, t, env->filter, &tables, err) < 0)
		goto out;
	if (!env->tables_only && ml_snapshot_check(env, &c, &server, facts->current_ts, tables.v, tables.n, err) < 0)
		goto out;
	facts->tables = tables.v;
	facts->n_tables = tables.n;
	tables = (struct ml_schema_list){ 0 };
	rc = 0;
out:
	ml_schema_list_fini(&tables);
	ml_my_close(&c);
	ml_my_target_free(t);
	return rc;
}
