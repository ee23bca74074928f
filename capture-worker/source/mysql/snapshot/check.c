#include "capture-worker/source/mysql/snapshot/check.h"

#include <mysqld_error.h>
#include <string.h>

#include "capture-worker/filter/filter.h"
#include "capture-worker/source/mysql/snapshot/options.h"

int
ml_snapshot_check_table(const struct ml_schema *s, bool sql, const struct ml_copy_options *o, struct ml_err *err)
{
	if (s->kind == ML_TABLE_VIEW || s->kind == ML_TABLE_SEQUENCE || s->handle != NULL || !sql || o->create_tables)
		return 0;
	return ML_ERRF(err, ErrInvalidReplicaConfig, 0,
		"invalid replica config, snapshot: table %s has no key, so rows that come twice can only be told from others if the copy "
		"makes the table itself; set create-tables=true when the changefeed is made, leave the table out by the filter, or set snapshot=none",
		s->qname.s);
}

/* FLUSH TABLES WITH READ LOCK needs one of them. */
static int
may_lock(struct ml_my_conn *c, struct ml_err *err)
{
	MYSQL_RES *res;
	MYSQL_ROW row;
	bool may = false;

	if (ml_my_query(c, "SHOW GRANTS", &res, err) < 0)
		return -1;
	while (res != NULL && (row = mysql_fetch_row(res)) != NULL)
		may = may ||
		      (row[0] != NULL && (ml_grant_has(row[0], "RELOAD") || ml_grant_has(row[0], "FLUSH_TABLES")));
	mysql_free_result(res);
	return may ? 0
		   : ML_ERR(err, ErrMySQLPrivilege, ER_SPECIFIC_ACCESS_DENIED_ERROR, c->user, "RELOAD", c->addr,
			     "RELOAD", c->user);
}

int
ml_snapshot_check(const struct ml_source_env *env, struct ml_my_conn *c, const struct ml_server *server, ml_ts now,
	struct ml_schema *const *tables, size_t n_tables, struct ml_err *err)
{
	struct ml_copy_options o;

	ml_copy_options_read(&o, env->spec->replica_config_json);
	if (o.method == ML_COPY_NONE)
		return 0;
	if (env->spec->target_ts != 0 && env->spec->target_ts <= now)
		return ML_ERR(err, ErrSnapshotUnfinished, 0, (unsigned long long)env->spec->target_ts);
	if (o.method == ML_COPY_INCREMENTAL && server->flavor == ML_MYSQL && !server->gtids)
		return ML_ERRF(err, ErrInvalidReplicaConfig, 0,
			"invalid replica config, snapshot=incremental needs gtid_mode=ON where the upstream is MySQL");
	if (o.method == ML_COPY_LOCKED && may_lock(c, err) < 0)
		return -1;
	for (size_t i = 0; i < n_tables; i++) {
		const struct ml_schema *s = tables[i];

		if ((env->spec->force_replicate || ml_schema_eligible(s)) &&
			ml_filter_table(env->filter, s->db.s, s->db.len, s->table.s, s->table.len) &&
			ml_snapshot_check_table(s, env->every_ddl, &o, err) < 0)
			return -1;
	}
	return 0;
}
