#include "capture-worker/verify/repair.h"

#include <string.h>

/* Rows of one statement of a repair. */
#define REPAIR_ROWS 100
/* Bytes of a value that are shown. */
#define SHOWN 64

/* SELECT of all compared columns. */
static void
put_select(struct ml_buf *sql, const struct ml_vf_pair *p, int side, const char *where)
{
	ml_buf_puts(sql, "SELECT ");
	for (uint16_t i = 0; i < p->n_cols; i++)
		ml_buf_printf(sql, i > 0 ? ",%s" : "%s", p->cols[i].value[side]);
	ml_buf_printf(sql, " FROM %s WHERE %s", p->from[side], where);
}

static bool
same_value(const struct ml_vf_col *col, const char *a, unsigned long a_len, const char *b, unsigned long b_len)
{
	if (a == NULL || b == NULL)
		return a == b;
	return a_len == b_len && memcmp(a, b, a_len) == 0;
}

static void
put_shown(struct ml_buf *out, struct ml_vf_conns *c, const struct ml_vf_col *col, const char *s, unsigned long len)
{
	bool cut = s != NULL && len > SHOWN;

	if (cut) {
		/* Not within a character. */
		len = SHOWN;
		while (len > 0 && ((uint8_t)s[len] & 0xC0) == 0x80)
			len--;
	}
	ml_vf_put_literal(out, &c->c[ML_VF_UP], col, s, len);
	if (cut)
		ml_buf_puts(out, "...");
}

int
ml_vf_describe(struct ml_vf_conns *c, const struct ml_vf_pair *p, const struct ml_vf_diff *d, struct ml_buf *out,
	struct ml_err *err)
{
	struct ml_buf sql[2] = { 0 };
	MYSQL_RES *res[2];
	MYSQL_ROW row[2];
	unsigned long *len[2];
	size_t start = out->len;
	int rc;

	if (d->what != ML_VF_CHANGED)
		return 0;
	for (int side = 0; side < 2; side++)
		put_select(&sql[side], p, side, d->where);
	rc = ml_vf_ask(c, sql, res, err);
	if (rc == 0) {
		for (int side = 0; side < 2; side++) {
			row[side] = mysql_fetch_row(res[side]);
			len[side] = row[side] != NULL ? mysql_fetch_lengths(res[side]) : NULL;
		}
		for (uint16_t i = 0; i < p->n_cols && row[0] != NULL && row[1] != NULL; i++) {
			const struct ml_vf_col *col = &p->cols[i];

			if (same_value(col, row[0][i], len[0][i], row[1][i], len[1][i]))
				continue;
			ml_buf_printf(out, "%s%s: ", out->len > start ? "; " : "", col->col[ML_VF_UP]->name.s);
			put_shown(out, c, col, row[0][i], len[0][i]);
			ml_buf_puts(out, " upstream, ");
			put_shown(out, c, col, row[1][i], len[1][i]);
			ml_buf_puts(out, " downstream");
		}
		mysql_free_result(res[0]);
		mysql_free_result(res[1]);
	}
	ml_buf_fini(&sql[0]);
	ml_buf_fini(&sql[1]);
	return rc;
}

static int
run(struct ml_my_conn *c, const struct ml_buf *sql, struct ml_err *err)
{
	if (mysql_real_query(c->my, sql->data, (unsigned long)sql->len) == 0)
		return 0;
	ML_ERR(err, ErrMySQLQueryError, (int)mysql_errno(c->my), c->addr, mysql_error(c->my));
	return ml_err_in(err, "downstream");
}

static bool
writable(const struct ml_column *c)
{
	return (c->flags & ML_F_GENERATED) == 0;
}

/* REPLACE of the rows that `rows` holds. */
static int
replace(struct ml_vf_conns *c, const struct ml_vf_pair *p, MYSQL_RES *rows, struct ml_err *err)
{
	struct ml_buf sql = { 0 };
	MYSQL_ROW row;
	bool first = true, any = false;
	int rc = 0;

	ml_buf_printf(&sql, "REPLACE INTO %s (", p->from[ML_VF_DOWN]);
	for (uint16_t i = 0; i < p->n_cols; i++) {
		const struct ml_column *col = p->cols[i].col[ML_VF_DOWN];

		if (!writable(col))
			continue;
		ml_buf_puts(&sql, first ? "" : ",");
		ml_vf_put_name(&sql, col->name.s, col->name.len);
		first = false;
	}
	ml_buf_puts(&sql, ") VALUES ");
	while ((row = mysql_fetch_row(rows)) != NULL) {
		unsigned long *len = mysql_fetch_lengths(rows);

		ml_buf_puts(&sql, any ? ",(" : "(");
		first = true;
		for (uint16_t i = 0; i < p->n_cols; i++) {
			if (!writable(p->cols[i].col[ML_VF_DOWN]))
				continue;
			ml_buf_puts(&sql, first ? "" : ",");
			ml_vf_put_literal(&sql, &c->c[ML_VF_DOWN], &p->cols[i], row[i], len[i]);
			first = false;
		}
		ml_buf_putc(&sql, ')');
		any = true;
	}
	if (any)
		rc = run(&c->c[ML_VF_DOWN], &sql, err);
	ml_buf_fini(&sql);
	return rc;
}

/* The condition of up to REPAIR_ROWS differences from *at on, only extra ones or only others; false: there is none. */
static bool
next_rows(const struct ml_vf_diffs *d, size_t *at, bool extra, struct ml_buf *where)
{
	unsigned n = 0;

	ml_buf_clear(where);
	for (; *at < d->n && n < REPAIR_ROWS; ++*at) {
		if ((d->v[*at].what == ML_VF_EXTRA) != extra)
			continue;
		ml_buf_printf(where, "%s%s", n > 0 ? " OR " : "", d->v[*at].where);
		n++;
	}
	return n > 0;
}

static int
delete_extra(struct ml_vf_job *j, struct ml_vf_conns *c, struct ml_err *err)
{
	struct ml_buf where = { 0 }, sql = { 0 };
	size_t at = 0;
	int rc = 0;

	while (rc == 0 && next_rows(&j->diffs, &at, true, &where)) {
		ml_buf_clear(&sql);
		ml_buf_printf(&sql, "DELETE FROM %s WHERE %s", j->pair->from[ML_VF_DOWN], where.data);
		rc = run(&c->c[ML_VF_DOWN], &sql, err);
	}
	ml_buf_fini(&where);
	ml_buf_fini(&sql);
	return rc;
}

static int
write_others(struct ml_vf_job *j, struct ml_vf_conns *c, struct ml_err *err)
{
	struct ml_buf where = { 0 }, sql = { 0 };
	size_t at = 0;
	int rc = 0;

	while (rc == 0 && next_rows(&j->diffs, &at, false, &where)) {
		MYSQL_RES *rows;

		ml_buf_clear(&sql);
		put_select(&sql, j->pair, ML_VF_UP, where.data);
		rc = ml_my_query(&c->c[ML_VF_UP], sql.data, &rows, err);
		if (rc == 0) {
			rc = replace(c, j->pair, rows, err);
			mysql_free_result(rows);
		}
	}
	ml_buf_fini(&where);
	ml_buf_fini(&sql);
	return rc;
}

int
ml_vf_repair(struct ml_vf_job *j, struct ml_vf_conns *c, struct ml_err *err)
{
	struct ml_vf_diffs left;
	struct ml_buf where = { 0 };
	int rc = 0;

	if (j->diffs.n == 0 || j->pair->n_key == 0)
		return 0;
	/* First the rows that may hold a unique value which another row is to have. */
	if (delete_extra(j, c, err) != 0 || write_others(j, c, err) != 0)
		return -1;
	ml_vf_diffs_init(&left);
	for (size_t i = 0; i < j->diffs.n && rc == 0; i += REPAIR_ROWS) {
		ml_buf_clear(&where);
		for (size_t k = i; k < j->diffs.n && k < i + REPAIR_ROWS; k++)
			ml_buf_printf(&where, "%s%s", k > i ? " OR " : "", j->diffs.v[k].where);
		rc = ml_vf_rows(c, j->pair, where.data, 0, &left, err);
	}
	ml_buf_fini(&where);
	if (rc != 0) {
		ml_vf_diffs_fini(&left);
		return -1;
	}
	j->repaired = j->diffs.n > left.n ? j->diffs.n - left.n : 0;
	ml_vf_diffs_fini(&j->diffs);
	j->diffs = left;
	return 0;
}
