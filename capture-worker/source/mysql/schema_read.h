/*
 * schema_read.h - table definitions from information_schema (mysql-upstream.md 7.2), for the first load, for re-reads and for
 * the probe.
 *
 * Queries name the schema, since without that predicate information_schema opens every table of the server.
 */
#ifndef ML_WORKER_SOURCE_MYSQL_SCHEMA_READ_H
#define ML_WORKER_SOURCE_MYSQL_SCHEMA_READ_H
#include <mysql.h>
#include <stddef.h>

#include "capture-worker/event/schema.h"
#include "capture-worker/source/mysql/conn.h"
#include "common/base/err.h"

struct ml_filter;

struct ml_schema_list {
	struct ml_schema **v; /* references owned; table_id and version are 0 */
	size_t n, cap;
};
void ml_schema_list_fini(struct ml_schema_list *l);

/*
 * Definitions of all tables and views of the filter (NULL: all but system schemas), by schema and name.  Sequences are left
 * out, system-versioned tables have kind ML_TABLE_VERSIONED; with the target's json_as_json MariaDB's longtext with CHECK
 * json_valid becomes type JSON.  Where there are many tables a few more connections to the target are opened for the time.
 * Blocking; error: ErrMySQLQueryError.
 */
int ml_schema_read_tables(struct ml_my_conn *conn, const struct ml_my_target *target, const struct ml_filter *filter,
	struct ml_schema_list *out, struct ml_err *err);
/*
 * Calls db for every schema of the server that is not a system schema, with its default charset and collation; the names are
 * borrowed for the call.  server: the server's own defaults, in buffers of 65 bytes.
 */
int ml_schema_read_dbs(MYSQL *my,
	void (*db)(void *arg, struct ml_text name, struct ml_text charset, struct ml_text collation), void *arg,
	char *server_charset, char *server_collation, struct ml_err *err);
/* One table; *out NULL when the server does not have it (or it is a sequence). */
int ml_schema_read_table(
	MYSQL *my, const char *db, const char *table, bool json_as_json, struct ml_schema **out, struct ml_err *err);
#endif
