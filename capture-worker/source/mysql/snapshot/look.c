/* look.c - what a reader finds out beside rows: facts of a table, its definition, and views of one instant. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "capture-worker/source/mysql/snapshot/reader_int.h"
#include "capture-worker/source/mysql/start.h"

/* Seconds that a lock is waited for: whoever waits for it holds up those behind. */
#define LOCK_WAIT "10"
#define IO_TIMEOUT_S 120u

void
ml_copy_look_fini(struct ml_copy_look *l)
{
	ml_buf_fini(&l->create);
	*l = (struct ml_copy_look){ 0 };
}

static int
show_create(struct ml_copy_reader *r, const struct ml_schema *s, struct ml_copy_look *out, struct ml_err *err)
{
	MYSQL_RES *res;
	MYSQL_ROW row;

	ml_buf_clear(&r->sql);
	ml_buf_puts(&r->sql, "SHOW CREATE TABLE ");
	ml_copy_name(&r->sql, s);
	if (ml_my_query(&r->conn, "SET character_set_results = utf8mb4, sql_quote_show_create = 1", NULL, err) < 0 ||
		ml_my_query(&r->conn, r->sql.data, &res, err) < 0)
		return -1;
	row = res != NULL && mysql_num_fields(res) >= 2 ? mysql_fetch_row(res) : NULL;
	if (row != NULL && row[1] != NULL)
		ml_buf_put(&out->create, row[1], mysql_fetch_lengths(res)[1]);
	mysql_free_result(res);
	if (out->create.len == 0)
		return ML_ERR(err, ErrMySQLQueryError, 0, r->conn.addr, "SHOW CREATE TABLE tells nothing");
	return ml_my_query(&r->conn, "SET character_set_results = NULL", NULL, err) < 0
		       ? -1
		       : ml_start_head_offset(&r->conn, out->file, &out->offset, err);
}

int
ml_copy_look(struct ml_copy_reader *r, struct ml_schema *s, const struct ml_index *key, bool create,
	struct ml_copy_look *out, struct ml_err *err)
{
	MYSQL_RES *res;
	MYSQL_ROW row;
	int rc = -1;

	*out = (struct ml_copy_look){ .transactional = true };
	if (ml_copy_reader_connect(r, err) < 0)
		goto out;
	ml_buf_clear(&r->sql);
	ml_buf_puts(&r->sql, "SELECT t.TABLE_ROWS, e.TRANSACTIONS FROM information_schema.TABLES t LEFT JOIN "
			     "information_schema.ENGINES e ON e.ENGINE = t.ENGINE WHERE t.TABLE_SCHEMA = ");
	ml_my_quote(&r->conn, &r->sql, s->db.s);
	ml_buf_puts(&r->sql, " AND t.TABLE_NAME = ");
	ml_my_quote(&r->conn, &r->sql, s->table.s);
	if (ml_my_query(&r->conn, r->sql.data, &res, err) < 0)
		goto out;
	row = res != NULL ? mysql_fetch_row(res) : NULL;
	if (row != NULL) {
		out->rows = row[0] != NULL ? strtoull(row[0], NULL, 10) : 0;
		out->transactional = row[1] != NULL && strcasecmp(row[1], "YES") == 0;
	}
	mysql_free_result(res);
	if (ml_copy_key_is_integer(s, key)) {
		const struct ml_column *c = &s->columns[key->cols[0]];

		ml_buf_clear(&r->sql);
		ml_buf_printf(&r->sql, "SELECT MIN(`%s`), MAX(`%s`) FROM ", c->name.s, c->name.s);
		ml_copy_name(&r->sql, s);
		if (strchr(c->name.s, '`') == NULL) {
			if (ml_my_query(&r->conn, r->sql.data, &res, err) < 0)
				goto out;
			row = res != NULL ? mysql_fetch_row(res) : NULL;
			if (row != NULL && row[0] != NULL && row[1] != NULL) {
				bool is_unsigned = (c->flags & ML_F_UNSIGNED) != 0;

				out->has_range = true;
				out->is_signed = !is_unsigned;
				out->min =
					is_unsigned ? strtoull(row[0], NULL, 10) : (uint64_t)strtoll(row[0], NULL, 10);
				out->max =
					is_unsigned ? strtoull(row[1], NULL, 10) : (uint64_t)strtoll(row[1], NULL, 10);
			}
			mysql_free_result(res);
		}
	}
	rc = create ? show_create(r, s, out, err) : 0;
out:
	if (rc < 0)
		ml_copy_look_fini(out);
	if (rc < 0 && err->code == ML_ErrUpstreamUnavailable)
		ml_copy_hang_up(r);
	return rc;
}

int
ml_copy_begin_view(struct ml_copy_reader *r, struct ml_err *err)
{
	return ml_my_query(&r->conn, "START TRANSACTION WITH CONSISTENT SNAPSHOT", NULL, err);
}

int
ml_copy_reader_hold(struct ml_copy_reader *r, bool view, struct ml_err *err)
{
	struct ml_err ignored;

	if (!view) {
		r->held = false;
		if (r->conn.my != NULL && ml_my_query(&r->conn, "ROLLBACK", NULL, &ignored) < 0)
			ml_copy_hang_up(r);
		return 0;
	}
	if (ml_copy_reader_connect(r, err) < 0 || ml_copy_begin_view(r, err) < 0)
		return -1;
	r->held = true;
	return 0;
}

int
ml_copy_lock(struct ml_copy_reader *r, struct ml_my_conn *locker, const struct ml_schema *s, struct ml_err *err)
{
	if (ml_my_connect(locker, r->target, IO_TIMEOUT_S, err) < 0)
		return -1;
	ml_buf_clear(&r->sql);
	if (s != NULL) {
		ml_buf_puts(&r->sql, "LOCK TABLES ");
		ml_copy_name(&r->sql, s);
		ml_buf_puts(&r->sql, " READ");
	} else {
		ml_buf_puts(&r->sql, "FLUSH TABLES WITH READ LOCK");
	}
	if (ml_my_query(locker, "SET SESSION lock_wait_timeout = " LOCK_WAIT ", wait_timeout = 28800", NULL, err) ==
			0 &&
		ml_my_query(locker, r->sql.data, NULL, err) == 0)
		return 0;
	ml_my_close(locker);
	return -1;
}

void
ml_copy_unlock(struct ml_my_conn *locker)
{
	struct ml_err ignored;

	/* The end of the session is the end of its locks, too, but the server may take its time for that. */
	if (locker->my != NULL)
		(void)ml_my_query(locker, "UNLOCK TABLES", NULL, &ignored);
	ml_my_close(locker);
}
