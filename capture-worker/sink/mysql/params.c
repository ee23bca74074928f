#include "capture-worker/sink/mysql/params.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "capture-worker/sink/settings.h"
#include "common/run/log.h"
#include "common/text/replica.h"
#include "common/text/tz.h"
#include "common/text/uri.h"

/* TiCDC's default, also for plain MySQL. */
#define PORT 4000
#define TIMEOUT_MS 120000

static const char *const known[] = {
	"worker-count",
	"max-txn-row",
	"max-multi-update-row",
	"max-multi-update-row-size",
	"tidb-txn-mode",
	"ssl-ca",
	"ssl-cert",
	"ssl-key",
	"safe-mode",
	"time-zone",
	"write-timeout",
	"read-timeout",
	"timeout",
	"batch-dml-enable",
	"multi-stmt-enable",
	"cache-prep-stmts",
	"has-vector-type",
	"transaction-atomicity",
	"async-ddl-timeout",
	"enable-ddl-ts",
	"where-clause",
	"dry-run",
	"dry-run-delay",
	"dry-run-block-interval",
	NULL,
};

static int
invalid(struct ml_err *err, const char *what)
{
	return ML_ERR(err, ErrMySQLInvalidConfig, 0, what);
}

/* A positive number; above most it is most, with a warning. */
static int
count(const struct ml_settings *st, const char *key, uint32_t *v, int64_t least, int64_t most, const char *object,
	struct ml_err *err)
{
	int64_t n = *v;
	char text[120];

	if (ml_settings_int(st, key, &n, err) < 0)
		return -1;
	if (n < least) {
		snprintf(text, sizeof(text), "invalid %s %lld, it must be %s 0", key, (long long)n,
			least > 0 ? "greater than" : "at least");
		return invalid(err, text);
	}
	if (n > most) {
		ml_warn(object, "%s is too large, the bound is used given=%lld used=%lld", key, (long long)n,
			(long long)most);
		n = most;
	}
	*v = (uint32_t)n;
	return 0;
}

static int
timeout(const struct ml_settings *st, const char *key, uint32_t *v, struct ml_err *err)
{
	const char *given = ml_uri_get(st->uri, key);
	int64_t ms = *v;
	char text[120];

	if (given != NULL && given[0] == '\0') {
		snprintf(text, sizeof(text), "invalid %s: empty duration", key);
		return invalid(err, text);
	}
	if (ml_settings_duration_ms(st, key, &ms, err) < 0)
		return -1;
	if (ms < 0 || ms > INT32_MAX) {
		snprintf(text, sizeof(text), "invalid %s: it must be between 0 and 24 days", key);
		return invalid(err, text);
	}
	*v = (uint32_t)ms;
	return 0;
}

/* A switch whose name in the URI and in mysql-config differ. */
static int
flag(const struct ml_settings *st, const char *uri_key, const char *config_key, bool *v, struct ml_err *err)
{
	int rc = ml_uri_bool(st->uri, uri_key, v, st->code, err);

	if (rc != 0)
		return rc < 0 ? -1 : 0;
	return ml_settings_bool(st, config_key, v, err) < 0 ? -1 : 0;
}

static int
text(const struct ml_settings *st, const char *key, char **v, struct ml_err *err)
{
	const char *s = NULL;

	if (ml_settings_str(st, key, &s, err) < 0)
		return -1;
	*v = s != NULL && s[0] != '\0' ? strdup(s) : NULL;
	return 0;
}

static char *
copy(const char *s)
{
	char *p = strdup(s);

	if (p == NULL)
		abort();
	return p;
}

/* The offset as SET time_zone takes it, if the zone never had, and in the time of TIMESTAMPs never will have, another. */
static void
fixed_offset(char out[8], const struct ml_tz *tz)
{
	/* 1970 to 2106, what a TIMESTAMP can be. */
	struct ml_tz_range r = ml_tz_range_at(tz, 0);
	int32_t s = r.offset_s;

	out[0] = '\0';
	if (r.from_s > 0 || r.to_s < INT64_C(4294967295) || s % 60 != 0)
		return;
	snprintf(out, 8, "%c%02d:%02d", s < 0 ? '-' : '+', abs(s) / 3600 % 100, abs(s) / 60 % 60);
}

/*
 * TIMESTAMPs are written as the server's zone shows them, so the session must have the same one.  A zone given in the URI must
 * be that zone, under whatever name.
 */
static int
read_zone(struct sql_params *p, const struct ml_settings *st, const struct ml_sink_env *env, struct ml_err *err)
{
	const char *given = NULL, *server = env->config != NULL ? env->config->tz : NULL;
	struct ml_tz *tz = NULL, *other = NULL;
	char why[400];
	int rc = -1;

	if (ml_settings_str(st, "time-zone", &given, err) < 0)
		return -1;
	if (given != NULL && given[0] == '\0') {
		p->zone = copy("");
		return 0;
	}
	if (ml_tz_open(&tz, server != NULL ? server : "", err) != 0)
		return -1;
	if (given == NULL) {
		ml_debug(env->object, "no time-zone in the sink uri: the server's is used zone=%s", ml_tz_name(tz));
	} else if (ml_tz_open(&other, given, err) != 0) {
		snprintf(why, sizeof(why), "cannot load the time zone %s of the sink uri", given);
		invalid(err, why);
		goto out;
	} else if (strcmp(ml_tz_name(other), ml_tz_name(tz)) != 0) {
		snprintf(why, sizeof(why),
			"the timezone of the TiCDC server and the sink-uri are inconsistent: the server's is %s, the sink "
			"uri says %s",
			ml_tz_name(tz), ml_tz_name(other));
		invalid(err, why);
		goto out;
	}
	p->zone = copy(ml_tz_name(tz));
	fixed_offset(p->zone_offset, tz);
	rc = 0;
out:
	ml_tz_free(tz);
	ml_tz_free(other);
	return rc;
}

static int
read_target(struct sql_params *p, const struct ml_uri *uri, struct ml_err *err)
{
	char host[256];

	if (uri->hosts == NULL || uri->hosts[0] == '\0')
		return ML_ERRF(err, ErrSinkURIInvalid, 0, "sink uri invalid 'it names no host'");
	if (strchr(uri->hosts, ',') != NULL)
		return ML_ERRF(err, ErrSinkURIInvalid, 0, "sink uri invalid 'one host is expected, it names several'");
	if (ml_uri_host_port(uri->hosts, host, sizeof(host), &p->port, PORT) != 0)
		return ML_ERRF(err, ErrSinkURIInvalid, 0, "sink uri invalid 'bad host or port'");
	p->host = copy(host);
	p->user = copy(uri->user != NULL && uri->user[0] != '\0' ? uri->user : "root");
	p->password = copy(uri->password != NULL ? uri->password : "");
	return 0;
}

static int
read_modes(struct sql_params *p, const struct ml_settings *st, const struct ml_sink_env *env, struct ml_err *err)
{
	const char *mode = NULL, *atomicity = ml_uri_get(st->uri, "transaction-atomicity"), *where = NULL;

	if (ml_settings_str(st, "tidb-txn-mode", &mode, err) < 0)
		return -1;
	if (mode != NULL && strcasecmp(mode, "pessimistic") == 0)
		p->pessimistic = true;
	else if (mode != NULL && strcasecmp(mode, "optimistic") != 0)
		ml_warn(env->object, "tidb-txn-mode is neither optimistic nor pessimistic, optimistic is used");
	if (ml_settings_str(st, "where-clause", &where, err) < 0)
		return -1;
	p->in_lists = where != NULL && strcmp(where, "v2") == 0;
	if (where != NULL && strcmp(where, "v1") != 0 && !p->in_lists)
		ml_warn(env->object, "where-clause is neither v1 nor v2, v1 is used");
	if (ml_settings_atomicity(st, true, err) != 0)
		return -1;
	if (atomicity == NULL && ml_settings_top_str(st, "transaction-atomicity", &atomicity, err) < 0)
		return -1;
	p->table_atomicity = atomicity != NULL && strcmp(atomicity, "table") == 0;
	/* sink.safe-mode stands above mysql-config. */
	switch (ml_uri_bool(st->uri, "safe-mode", &p->safe_mode, st->code, err)) {
	case -1:
		return -1;
	case 0:
		if (ml_settings_top_bool(st, "safe-mode", &p->safe_mode, err) < 0)
			return -1;
	}
	return ml_settings_bool(st, "enable-ddl-ts", &p->ddl_ts, err) < 0 ? -1 : 0;
}

static int
read_all(struct sql_params *p, const struct ml_settings *st, const struct ml_sink_env *env, struct ml_err *err)
{
	uint32_t interval = 0;
	int workers;

	if (ml_uri_get(st->uri, "protocol") != NULL)
		return ML_ERRF(err, ErrSinkURIInvalid, 0,
			"sink uri invalid 'protocol cannot be configured when using %s scheme'", st->uri->scheme);
	if (read_target(p, st->uri, err) != 0)
		return -1;
	p->bdr = ml_replica_on(env->spec->replica_config_json, "bdr-mode");
	workers = ml_settings_int(st, "worker-count", &(int64_t){ 0 }, err);
	p->workers_given = workers > 0;
	if (workers < 0 || count(st, "worker-count", &p->workers, 1, 1024, env->object, err) != 0 ||
		count(st, "max-txn-row", &p->max_txn_row, 1, 2048, env->object, err) != 0 ||
		count(st, "max-multi-update-row", &p->max_multi_update_row, 1, 256, env->object, err) != 0 ||
		count(st, "max-multi-update-row-size", &p->max_multi_update_row_size, 0, 8192, env->object, err) != 0 ||
		read_modes(p, st, env, err) != 0)
		return -1;
	if (text(st, "ssl-ca", &p->ssl_ca, err) != 0 || text(st, "ssl-cert", &p->ssl_cert, err) != 0 ||
		text(st, "ssl-key", &p->ssl_key, err) != 0)
		return -1;
	if (timeout(st, "write-timeout", &p->write_timeout_ms, err) != 0 ||
		timeout(st, "read-timeout", &p->read_timeout_ms, err) != 0 ||
		timeout(st, "timeout", &p->dial_timeout_ms, err) != 0 ||
		timeout(st, "async-ddl-timeout", &p->async_ddl_timeout_ms, err) != 0)
		return -1;
	if (flag(st, "batch-dml-enable", "enable-batch-dml", &p->batch_dml, err) != 0 ||
		flag(st, "multi-stmt-enable", "enable-multi-statement", &p->multi_stmt, err) != 0 ||
		flag(st, "cache-prep-stmts", "enable-cache-prepared-statement", &p->cache_prep_stmts, err) != 0 ||
		ml_settings_bool(st, "has-vector-type", &p->has_vector_type, err) < 0 ||
		ml_settings_bool(st, "dry-run", &p->dry_run, err) < 0 ||
		count(st, "dry-run-delay", &p->dry_run_delay_ms, 0, 3600000, env->object, err) != 0 ||
		count(st, "dry-run-block-interval", &interval, 0, 3600000, env->object, err) != 0)
		return -1;
	if (read_zone(p, st, env, err) != 0)
		return -1;
	ml_settings_unknown(st, known, env->object);
	return 0;
}

int
sql_params_init(struct sql_params *p, const struct ml_sink_env *env, struct ml_err *err)
{
	struct ml_settings st;
	int rc;

	*p = (struct sql_params){
		.workers = 16,
		.max_txn_row = 256,
		.max_multi_update_row = 40,
		.max_multi_update_row_size = 1024,
		.batch_dml = true,
		.multi_stmt = true,
		.cache_prep_stmts = true,
		.ddl_ts = true,
		.read_timeout_ms = TIMEOUT_MS,
		.write_timeout_ms = TIMEOUT_MS,
		.dial_timeout_ms = TIMEOUT_MS,
		.async_ddl_timeout_ms = TIMEOUT_MS,
	};
	if (ml_settings_init(&st, env, "mysql-config", ML_ErrMySQLInvalidConfig, err) != 0)
		return -1;
	rc = read_all(p, &st, env, err);
	ml_settings_fini(&st);
	if (rc != 0)
		sql_params_fini(p);
	return rc;
}

void
sql_params_fini(struct sql_params *p)
{
	if (p->password != NULL)
		explicit_bzero(p->password, strlen(p->password));
	free(p->host);
	free(p->user);
	free(p->password);
	free(p->ssl_ca);
	free(p->ssl_cert);
	free(p->ssl_key);
	free(p->zone);
	*p = (struct sql_params){ 0 };
}
