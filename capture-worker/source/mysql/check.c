#include "capture-worker/source/mysql/check.h"

#include <mysqld_error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "capture-worker/filter/filter.h"

/* Below this a checkpoint of a day's pause may be gone. */
#define RETENTION_MIN_S 86400
/* Below this a single large row can stop the stream (error 1236). */
#define PACKET_MIN (64u << 20)

static uint64_t
hash(uint64_t h, const char *s)
{
	for (; *s != '\0'; s++)
		h = (h ^ (uint8_t)*s) * UINT64_C(0x100000001b3);
	return h;
}

/* A global variable's value; "" when this server has no such variable. */
static int
variable(struct ml_my_conn *c, const char *name, char *buf, size_t size, struct ml_err *err)
{
	char sql[128];

	buf[0] = '\0';
	snprintf(sql, sizeof(sql), "SELECT @@global.%s", name);
	return ml_my_scalar_opt(c, sql, buf, size, err) < 0 ? -1 : 0;
}

bool
ml_grant_has(const char *line, const char *privilege)
{
	static const char head[] = "GRANT ";
	const char *on = strstr(line, " ON *.* TO "), *p;
	size_t n = strlen(privilege);

	if (on == NULL || strncmp(line, head, sizeof(head) - 1) != 0)
		return false;
	for (p = line + sizeof(head) - 1; p < on;) {
		const char *end = memchr(p, ',', (size_t)(on - p));

		if (end == NULL)
			end = on;
		if ((size_t)(end - p) == n && strncmp(p, privilege, n) == 0)
			return true;
		if (end - p == 14 && strncmp(p, "ALL PRIVILEGES", 14) == 0)
			return true;
		for (p = end; p < on && (*p == ',' || *p == ' '); p++)
			;
	}
	return false;
}

static int
privileges(struct ml_my_conn *c, struct ml_err *err)
{
	/* Any of the names gives the right; the first is the one to ask for. */
	static const struct {
		const char *maria, *mysql, *other[3];
	} wanted[] = {
		{ "REPLICATION SLAVE", "REPLICATION SLAVE", { "REPLICATION REPLICA" } },
		{ "BINLOG MONITOR", "REPLICATION CLIENT", { "REPLICATION CLIENT", "SUPER" } },
	};
	bool have[2] = { false, false };
	MYSQL_RES *res;
	MYSQL_ROW row;

	if (ml_my_query(c, "SHOW GRANTS", &res, err) < 0)
		return -1;
	while (res != NULL && (row = mysql_fetch_row(res)) != NULL) {
		for (size_t i = 0; row[0] != NULL && i < 2; i++) {
			have[i] |= ml_grant_has(row[0], wanted[i].maria);
			for (size_t k = 0; k < 3 && wanted[i].other[k] != NULL; k++)
				have[i] |= ml_grant_has(row[0], wanted[i].other[k]);
		}
	}
	mysql_free_result(res);
	for (size_t i = 0; i < 2; i++)
		if (!have[i]) {
			const char *name = c->flavor == ML_MARIADB ? wanted[i].maria : wanted[i].mysql;

			return ML_ERR(err, ErrMySQLPrivilege, ER_SPECIFIC_ACCESS_DENIED_ERROR, c->user, name, c->addr,
				name, c->user);
		}
	return 0;
}

/* True if name is an element of the comma-separated list. */
static bool
listed(const char *list, const char *name)
{
	size_t n = strlen(name);

	for (const char *p = list; *p != '\0';) {
		size_t k = strcspn(p, ",");

		while (k > 0 && *p == ' ') {
			p++;
			k--;
		}
		if (k == n && strncasecmp(p, name, n) == 0)
			return true;
		p += k;
		p += *p == ',';
	}
	return false;
}

/* Schemas that binlog_do_db and binlog_ignore_db leave out: their changes are not in the log at all. */
static int
left_out(struct ml_my_conn *c, const struct ml_filter *filter, const char *only, const char *never, struct ml_err *err)
{
	MYSQL_RES *res;
	MYSQL_ROW row;
	int rc = 0;

	if (filter == NULL || (*only == '\0' && *never == '\0'))
		return 0;
	if (ml_my_query(c, "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA", &res, err) < 0)
		return -1;
	while (rc == 0 && res != NULL && (row = mysql_fetch_row(res)) != NULL) {
		const char *db = row[0];

		if (db == NULL || ml_filter_system_db(db, strlen(db)) || !ml_filter_db(filter, db, strlen(db)))
			continue;
		if (listed(never, db) || (*only != '\0' && !listed(only, db)))
			rc = ML_ERRF(err, ErrMySQLBinlogDisabled, 0,
				"binlog_do_db or binlog_ignore_db of %s leaves schema %s out of the binary log; remove that setting and "
				"restart the server, or exclude the schema by a filter rule",
				c->addr, db);
	}
	mysql_free_result(res);
	return rc;
}

const char *
ml_check_status_sql(const struct ml_my_conn *c)
{
	/* The new name came with 8.2, the old one went with 8.4. */
	return c->flavor == ML_MYSQL && c->version >= 80200 ? "SHOW BINARY LOG STATUS" : "SHOW MASTER STATUS";
}

static int
status(struct ml_my_conn *c, const struct ml_filter *filter, struct ml_err *err)
{
	MYSQL_RES *res;
	MYSQL_ROW row;
	int rc;

	if (ml_my_query(c, ml_check_status_sql(c), &res, err) < 0)
		return -1;
	row = res != NULL ? mysql_fetch_row(res) : NULL;
	if (row == NULL || mysql_num_fields(res) < 4)
		rc = ML_ERR(err, ErrMySQLBinlogDisabled, 0, c->addr);
	else
		rc = left_out(c, filter, row[2] != NULL ? row[2] : "", row[3] != NULL ? row[3] : "", err);
	mysql_free_result(res);
	return rc;
}

/* A replica that does not log what it applies shows us its own changes only. */
static int
replica(struct ml_my_conn *c, struct ml_err *err)
{
	char v[16];
	struct ml_err e = { 0 };
	MYSQL_RES *res;
	bool is_replica;

	if (variable(c, "log_slave_updates", v, sizeof(v), err) < 0)
		return -1;
	/* MySQL's name of it since 8.0.26. */
	if (v[0] == '\0' && variable(c, "log_replica_updates", v, sizeof(v), err) < 0)
		return -1;
	if (v[0] != '0')
		return 0;
	/* Without the right to ask it is taken for a primary, as most servers are. */
	if (ml_my_query(c, c->flavor == ML_MARIADB ? "SHOW ALL SLAVES STATUS" : "SHOW REPLICA STATUS", &res, &e) < 0) {
		if (!ml_my_is_lost(e.lib))
			return 0;
		*err = e;
		return -1;
	}
	is_replica = res != NULL && mysql_num_rows(res) > 0;
	mysql_free_result(res);
	return is_replica ? ML_ERR(err, ErrMySQLLogSlaveUpdates, 0, c->addr) : 0;
}

static int
identify(struct ml_my_conn *c, struct ml_server *s, struct ml_err *err)
{
	char domain[24], uid[64], lower[8];
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	if (c->flavor == ML_MYSQL) {
		if (variable(c, "server_uuid", uid, sizeof(uid), err) < 0 ||
			variable(c, "lower_case_table_names", lower, sizeof(lower), err) < 0)
			return -1;
		s->lower_case_table_names = (uint8_t)atoi(lower);
		snprintf(s->identity, sizeof(s->identity), "%s", uid);
		s->upstream_id = hash(h, uid) & INT64_MAX;
		return 0;
	}
	if (variable(c, "gtid_domain_id", domain, sizeof(domain), err) < 0 ||
		variable(c, "lower_case_table_names", lower, sizeof(lower), err) < 0 ||
		variable(c, "server_uid", uid, sizeof(uid), err) < 0)
		return -1;
	s->lower_case_table_names = (uint8_t)atoi(lower);
	snprintf(s->identity, sizeof(s->identity), "%u-%s", s->server_id, domain);
	h = hash(hash(h, s->identity), "/");
	h = hash(h, uid[0] != '\0' ? uid : c->addr);
	s->upstream_id = h & INT64_MAX;
	return 0;
}

static int
unwise(struct ml_my_conn *c, struct ml_server *s, ml_check_warn *warn, void *arg, struct ml_err *err)
{
	struct ml_err w;
	char v[32], days[32];
	uint64_t seconds;

	if (variable(c, "binlog_row_metadata", v, sizeof(v), err) < 0)
		return -1;
	s->full_metadata = strcasecmp(v, "FULL") == 0;
	if (!s->full_metadata) {
		ML_ERR(&w, ErrMySQLRowMetadata, 0, v[0] != '\0' ? v : "missing", c->addr);
		warn(arg, &w);
	}
	if (variable(c, "binlog_expire_logs_seconds", v, sizeof(v), err) < 0 ||
		variable(c, "expire_logs_days", days, sizeof(days), err) < 0)
		return -1;
	seconds = strtoull(v, NULL, 10);
	if (seconds == 0)
		seconds = (uint64_t)(strtod(days, NULL) * 86400);
	if (seconds > 0 && seconds < RETENTION_MIN_S) {
		ML_ERRF(&w, ErrMySQLBinlogPurged, 0,
			"binlogs of %s are purged after %llu s: a changefeed that is stopped for longer cannot continue; raise "
			"binlog_expire_logs_seconds to a day or more",
			c->addr, (unsigned long long)seconds);
		warn(arg, &w);
	}
	if (c->flavor == ML_MYSQL) {
		if (!s->gtids) {
			ML_ERRF(&w, ErrMySQLGTIDGap, 0,
				"gtid_mode is not ON on %s: another server cannot continue this changefeed, and a checkpoint beyond "
				"4 GiB of a binary log cannot be resumed",
				c->addr);
			warn(arg, &w);
		}
		return 0; /* its dump threads know no smaller packets, and what is below is MariaDB's */
	}
	if (variable(c, "slave_max_allowed_packet", v, sizeof(v), err) < 0)
		return -1;
	if (v[0] != '\0' && strtoull(v, NULL, 10) < PACKET_MIN) {
		ML_ERR(&w, ErrMySQLEventTooBig, 0, "some later place", c->addr);
		warn(arg, &w);
	}
	if (variable(c, "wsrep_on", v, sizeof(v), err) < 0)
		return -1;
	if (v[0] == '1') {
		if (variable(c, "wsrep_gtid_mode", v, sizeof(v), err) < 0)
			return -1;
		if (v[0] != '1') {
			ML_ERRF(&w, ErrMySQLGTIDDiverged, 0,
				"%s is a Galera node with wsrep_gtid_mode off: another node cannot continue this changefeed",
				c->addr);
			warn(arg, &w);
		}
	}
	return 0;
}

static void
no_warn(void *arg, const struct ml_err *w)
{
	(void)arg;
	(void)w;
}

int
ml_check_server(struct ml_my_conn *c, const struct ml_filter *filter, struct ml_server *out, ml_check_warn *warn,
	void *warn_arg, struct ml_err *err)
{
	struct ml_server s = { .flavor = c->flavor };
	char v[64];

	snprintf(s.version, sizeof(s.version), "%s", c->version_text);
	if (c->version < (c->flavor == ML_MARIADB ? 100500u : 80001u))
		return ML_ERRF(err, ErrUpstreamUnsupported, 0,
			"upstream %s is %s %s; this build follows MariaDB 10.5 and later, MySQL 8.0.1 and later",
			c->addr, c->flavor == ML_MARIADB ? "MariaDB" : "MySQL", c->version_text);
	if (variable(c, "log_bin", v, sizeof(v), err) < 0)
		return -1;
	if (v[0] != '1')
		return ML_ERR(err, ErrMySQLBinlogDisabled, 0, c->addr);
	if (variable(c, "binlog_format", v, sizeof(v), err) < 0)
		return -1;
	if (strcasecmp(v, "ROW") != 0)
		return ML_ERR(err, ErrMySQLBinlogFormat, 0, v, c->addr);
	if (variable(c, "binlog_row_image", v, sizeof(v), err) < 0)
		return -1;
	if (strcasecmp(v, "FULL") != 0 && strcasecmp(v, "FULL_NODUP") != 0)
		return ML_ERR(err, ErrMySQLRowImage, 0, v, c->addr);
	if (variable(c, "server_id", v, sizeof(v), err) < 0)
		return -1;
	s.server_id = (uint32_t)strtoul(v, NULL, 10);
	if (s.server_id == 0)
		return ML_ERR(err, ErrMySQLServerID, 0, 0u, c->addr);
	s.gtids = c->flavor == ML_MARIADB;
	if (c->flavor == ML_MYSQL) {
		if (variable(c, "gtid_mode", v, sizeof(v), err) < 0)
			return -1;
		s.gtids = strcasecmp(v, "ON") == 0;
	}
	if (privileges(c, err) < 0 || status(c, filter, err) < 0 || replica(c, err) < 0 || identify(c, &s, err) < 0 ||
		unwise(c, &s, warn != NULL ? warn : no_warn, warn_arg, err) < 0)
		return -1;
	*out = s;
	return 0;
}
