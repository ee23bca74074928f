#include "capture-worker/sink/mysql/ddl_doubt.h"

#include <mysqld_error.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "capture-worker/sink/mysql/ddl_ts.h"
#include "capture-worker/sink/mysql/literal.h"

#define ACTION_EXCHANGE_PARTITION 42
/* How often the server is asked whether it is through. */
#define ASK_MS 200

bool
sql_ddl_swaps(const struct ml_ddl *ddl)
{
	return ddl->action == ACTION_EXCHANGE_PARTITION;
}

static uint64_t
mix(uint64_t h, const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		h = (h ^ (uint8_t)s[i]) * UINT64_C(1099511628211);
	return (h ^ n) * UINT64_C(1099511628211);
}

/* All cells of the result of text go into *h.  *rows: how many rows it had. */
static int
mix_result(uint64_t *h, unsigned *rows, struct sql_conn *c, const struct ml_buf *text, struct ml_err *err)
{
	MYSQL_RES *res;
	MYSQL_ROW row;

	*rows = 0;
	if (mysql_real_query(c->my, text->data, (unsigned long)text->len) != 0)
		return sql_conn_error(c, err);
	res = mysql_store_result(c->my);
	if (res == NULL)
		return sql_conn_error(c, err);
	while ((row = mysql_fetch_row(res)) != NULL) {
		unsigned long *len = mysql_fetch_lengths(res);

		for (unsigned i = 0; i < mysql_num_fields(res); i++)
			*h = mix(*h, row[i] != NULL ? row[i] : "-", row[i] != NULL ? len[i] : 1);
		++*rows;
	}
	mysql_free_result(res);
	return 0;
}

/* The definition of a table (or, table empty, of the database); one that is not there counts as such. */
static int
look_at(uint64_t *h, struct sql_conn *c, struct ml_text db, struct ml_text table, struct ml_err *err)
{
	struct ml_buf b = { 0 };
	unsigned rows;
	int rc;

	if (db.len == 0)
		return 0;
	ml_buf_puts(&b, table.len > 0 ? "SHOW CREATE TABLE " : "SHOW CREATE DATABASE ");
	sql_name(&b, db.s, db.len);
	if (table.len > 0) {
		ml_buf_putc(&b, '.');
		sql_name(&b, table.s, table.len);
	}
	rc = mix_result(h, &rows, c, &b, err);
	ml_buf_fini(&b);
	if (rc != 0 && (err->lib == ER_NO_SUCH_TABLE || err->lib == ER_BAD_DB_ERROR)) {
		*h = mix(*h, "none", 4);
		*err = (struct ml_err){ 0 };
		rc = 0;
	}
	return rc;
}

/* A table's and its partitions' numbers: "db/table", "db/table#P#p0". */
static void
put_like(struct ml_buf *b, struct ml_text db, struct ml_text table)
{
	ml_buf_puts(b, "name = ");
	for (int i = 0; i < 2; i++) {
		struct ml_buf name = { 0 };

		ml_buf_put(&name, db.s, db.len);
		ml_buf_putc(&name, '/');
		ml_buf_put(&name, table.s, table.len);
		sql_text(b, name.data, name.len, false);
		ml_buf_fini(&name);
		if (i == 0)
			ml_buf_puts(b, " OR SUBSTRING_INDEX(LOWER(name), '#p#', 1) = LOWER(");
	}
	ml_buf_putc(b, ')');
}

static int
look_at_storage(uint64_t *h, struct sql_conn *c, const struct ml_ddl *ddl, struct ml_err *err)
{
	struct ml_buf b = { 0 };
	unsigned rows = 0;
	int rc;

	ml_buf_printf(&b, "SELECT name, table_id FROM information_schema.%s WHERE ",
		c->target->server == SQL_MARIADB ? "innodb_sys_tables" : "innodb_tables");
	put_like(&b, ddl->db, ddl->table);
	ml_buf_puts(&b, " OR ");
	put_like(&b, ddl->pre_db.len > 0 ? ddl->pre_db : ddl->db, ddl->pre_table);
	ml_buf_puts(&b, " ORDER BY 1, 2");
	rc = mix_result(h, &rows, c, &b, err);
	ml_buf_fini(&b);
	if (rc != 0 && sql_is_lost(err->lib))
		return -1;
	if (rc != 0 || rows < 2) {
		*h = 0;
		*err = (struct ml_err){ 0 };
	}
	return 0;
}

int
sql_ddl_look(uint64_t *out, struct sql_conn *c, const struct ml_ddl *ddl, struct ml_err *err)
{
	struct ml_text none = { "", 0 }, pre_db = ddl->pre_db.len > 0 ? ddl->pre_db : ddl->db;
	uint64_t h = UINT64_C(14695981039346656037);

	if (sql_ddl_swaps(ddl)) {
		if (look_at_storage(&h, c, ddl, err) != 0)
			return -1;
	} else if (look_at(&h, c, ddl->db, ddl->table.len > 0 ? ddl->table : none, err) != 0 ||
		   (ddl->pre_table.len > 0 && look_at(&h, c, pre_db, ddl->pre_table, err) != 0)) {
		return -1;
	}
	/* As the target's own table holds it. */
	*out = h & INT64_MAX;
	return 0;
}

int
sql_ddl_await(struct sql_conn *c, const struct ml_buf *text, struct ml_err *err)
{
	struct ml_buf b = { 0 };
	char found[8];
	int rc;

	ml_buf_puts(&b, "SELECT 1 FROM information_schema.processlist WHERE id <> CONNECTION_ID() AND info = ");
	sql_text(&b, text->data, text->len, false);
	while ((rc = sql_conn_scalar(c, b.data, found, sizeof(found), err)) > 0)
		usleep(ASK_MS * 1000);
	ml_buf_fini(&b);
	return rc;
}
