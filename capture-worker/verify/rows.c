#include "capture-worker/verify/rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture-worker/verify/json_same.h"

/* Rows of a table that cannot be walked are first told apart by so many groups of checksums. */
#define N_GROUPS 4096
/* So many rows of such a table are looked at one by one, at most; memory is what bounds it. */
#define MAX_GROUPED_ROWS 2000000

void
ml_vf_diffs_init(struct ml_vf_diffs *d)
{
	*d = (struct ml_vf_diffs){ 0 };
	ml_arena_init(&d->arena, 0);
}

void
ml_vf_diffs_fini(struct ml_vf_diffs *d)
{
	free(d->v);
	ml_arena_fini(&d->arena);
}

static struct ml_vf_diff *
more(struct ml_vf_diffs *d)
{
	if (d->n == d->cap) {
		d->cap = d->cap > 0 ? d->cap * 2 : 64;
		d->v = realloc(d->v, d->cap * sizeof(*d->v));
		if (d->v == NULL)
			abort();
	}
	return memset(&d->v[d->n++], 0, sizeof(*d->v));
}

void
ml_vf_diffs_add(struct ml_vf_diffs *d, const struct ml_vf_diff *x)
{
	struct ml_vf_diff *y = more(d);

	*y = *x;
	y->where = ml_arena_strndup(&d->arena, x->where, strlen(x->where));
	y->key = ml_arena_strndup(&d->arena, x->key, strlen(x->key));
	y->id = ml_arena_strndup(&d->arena, x->id, x->id_len);
}

static int
failed(struct ml_vf_conns *c, int side, struct ml_err *err)
{
	MYSQL *my = c->c[side].my;

	ML_ERR(err, ErrMySQLQueryError, (int)mysql_errno(my), c->c[side].addr, mysql_error(my));
	return ml_err_in(err, side == ML_VF_UP ? "upstream" : "downstream");
}

int
ml_vf_ask(struct ml_vf_conns *c, const struct ml_buf sql[2], MYSQL_RES *res[2], struct ml_err *err)
{
	res[0] = res[1] = NULL;
	for (int side = 0; side < 2; side++)
		if (mysql_send_query(c->c[side].my, sql[side].data, (unsigned long)sql[side].len) != 0)
			return failed(c, side, err);
	for (int side = 0; side < 2; side++)
		if (mysql_read_query_result(c->c[side].my) != 0 ||
			(res[side] = mysql_store_result(c->c[side].my)) == NULL) {
			failed(c, side, err);
			mysql_free_result(res[0]);
			res[0] = res[1] = NULL;
			return -1;
		}
	return 0;
}

static const char *
or_all(const char *where)
{
	return where != NULL ? where : "1";
}

int
ml_vf_checksum(struct ml_vf_conns *c, const struct ml_vf_pair *p, const char *where, bool *same, uint64_t *n_rows,
	struct ml_err *err)
{
	struct ml_buf sql[2] = { 0 };
	MYSQL_RES *res[2];
	int rc;

	/* Without a key two equal rows may stand on one side, which an XOR would not see. */
	for (int side = 0; side < 2; side++)
		ml_buf_printf(&sql[side], "SELECT COUNT(*),%s(%s) FROM %s WHERE %s", p->n_key > 0 ? "BIT_XOR" : "SUM",
			p->hash[side], p->from[side], or_all(where));
	rc = ml_vf_ask(c, sql, res, err);
	if (rc == 0) {
		MYSQL_ROW up = mysql_fetch_row(res[0]), down = mysql_fetch_row(res[1]);

		*n_rows = up != NULL && up[0] != NULL ? strtoull(up[0], NULL, 10) : 0;
		*same = up != NULL && down != NULL && strcmp(up[0], down[0]) == 0 &&
			(up[1] == NULL) == (down[1] == NULL) && (up[1] == NULL || strcmp(up[1], down[1]) == 0) &&
			(p->n_soft == 0 || *n_rows == 0);
		mysql_free_result(res[0]);
		mysql_free_result(res[1]);
	}
	ml_buf_fini(&sql[0]);
	ml_buf_fini(&sql[1]);
	return rc;
}

/* ---- rows with a key ---- */

/* Length and bytes of each key value: what makes a row the same row. */
static void
put_id(struct ml_buf *id, const struct ml_vf_pair *p, MYSQL_ROW row, const unsigned long *len)
{
	ml_buf_clear(id);
	for (uint16_t i = 0; i < p->n_key; i++) {
		uint32_t n = (uint32_t)len[i];

		ml_buf_put(id, &n, sizeof(n));
		if (row[i] != NULL)
			ml_buf_put(id, row[i], n);
	}
}

static uint64_t
fnv(const char *s, size_t len)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < len; i++)
		h = (h ^ (uint8_t)s[i]) * UINT64_C(0x100000001b3);
	return h ^ h >> 32;
}

/* The source's rows by key. */
struct known {
	struct ml_arena arena;
	struct one {
		const char *id;
		uint32_t id_len;
		bool met; /* the copy has it too */
		MYSQL_ROW row;
		const unsigned long *len;
	} * *slots;
	size_t n_slots;
	struct one *rows;
	size_t n;
};

static struct one **
slot_of(const struct known *k, const char *id, size_t len)
{
	size_t at = fnv(id, len) & (k->n_slots - 1);

	while (k->slots[at] != NULL && (k->slots[at]->id_len != len || memcmp(k->slots[at]->id, id, len) != 0))
		at = (at + 1) & (k->n_slots - 1);
	return &k->slots[at];
}

static void
known_fill(struct known *k, const struct ml_vf_pair *p, MYSQL_RES *res)
{
	size_t n = (size_t)mysql_num_rows(res), width = mysql_num_fields(res);
	struct ml_buf id = { 0 };
	MYSQL_ROW row;

	ml_arena_init(&k->arena, 0);
	k->n_slots = 16;
	while (k->n_slots < 2 * n)
		k->n_slots *= 2;
	k->slots = calloc(k->n_slots, sizeof(struct one *));
	k->rows = calloc(n + 1, sizeof(*k->rows));
	if (k->slots == NULL || k->rows == NULL)
		abort();
	while (k->n < n && (row = mysql_fetch_row(res)) != NULL) {
		struct one *o = &k->rows[k->n++];
		unsigned long *len = mysql_fetch_lengths(res), *kept = ml_arena_alloc(&k->arena, width * sizeof(*kept));

		memcpy(kept, len, width * sizeof(*kept));
		put_id(&id, p, row, len);
		*o = (struct one){ ml_arena_strndup(&k->arena, id.data, id.len), (uint32_t)id.len, false, row, kept };
		*slot_of(k, o->id, o->id_len) = o;
	}
	ml_buf_fini(&id);
}

static void
known_fini(struct known *k)
{
	free(k->slots);
	free(k->rows);
	ml_arena_fini(&k->arena);
}

/* The predicate and the text of a key. */
static void
name_row(struct ml_vf_conns *c, const struct ml_vf_pair *p, MYSQL_ROW row, const unsigned long *len,
	struct ml_buf *where, struct ml_buf *key)
{
	ml_buf_clear(where);
	ml_buf_clear(key);
	ml_buf_putc(where, '(');
	for (uint16_t i = 0; i < p->n_key; i++) {
		const struct ml_vf_col *col = &p->cols[p->key[i]];
		const struct ml_text *name = &col->col[ML_VF_UP]->name;

		if (i > 0) {
			ml_buf_puts(where, " AND ");
			ml_buf_puts(key, ", ");
		}
		ml_vf_put_name(where, name->s, name->len);
		ml_buf_putc(where, '=');
		ml_vf_put_literal(where, &c->c[ML_VF_UP], col, row[i], len[i]);
		ml_buf_printf(key, "%s=", name->s);
		ml_vf_put_literal(key, &c->c[ML_VF_UP], col, row[i], len[i]);
	}
	ml_buf_putc(where, ')');
}

static void
note(struct ml_vf_conns *c, const struct ml_vf_pair *p, enum ml_vf_what what, MYSQL_ROW row, const unsigned long *len,
	uint64_t now_ms, struct ml_vf_diffs *out)
{
	struct ml_buf where = { 0 }, key = { 0 }, id = { 0 };

	name_row(c, p, row, len, &where, &key);
	put_id(&id, p, row, len);
	ml_vf_diffs_add(out,
		&(struct ml_vf_diff){ .what = what,
			.where = where.data,
			.key = key.data,
			.id = id.data,
			.id_len = (uint32_t)id.len,
			.up_hash = what == ML_VF_EXTRA || row[p->n_key] == NULL ? 0 : strtoull(row[p->n_key], NULL, 10),
			.n = 1,
			.since_ms = now_ms });
	ml_buf_fini(&where);
	ml_buf_fini(&key);
	ml_buf_fini(&id);
}

/* Checksums are equal, and JSON that only this program can compare is too. */
static bool
same_row(const struct ml_vf_pair *p, MYSQL_ROW up, const unsigned long *up_len, MYSQL_ROW down,
	const unsigned long *down_len)
{
	unsigned at = p->n_key;

	if (up[at] == NULL || down[at] == NULL || strcmp(up[at], down[at]) != 0)
		return false;
	for (unsigned i = at + 1; i <= at + p->n_soft; i++) {
		if ((up[i] == NULL) != (down[i] == NULL))
			return false;
		if (up[i] != NULL && !ml_vf_json_same(up[i], up_len[i], down[i], down_len[i]))
			return false;
	}
	return true;
}

static int
keyed_rows(struct ml_vf_conns *c, const struct ml_vf_pair *p, const char *const where[2], uint64_t now_ms,
	struct ml_vf_diffs *out, struct ml_err *err)
{
	struct ml_buf sql[2] = { 0 }, id = { 0 };
	struct known k = { 0 };
	MYSQL_RES *res[2];
	MYSQL_ROW row;
	int rc;

	for (int side = 0; side < 2; side++) {
		ml_buf_puts(&sql[side], "SELECT ");
		for (uint16_t i = 0; i < p->n_key; i++)
			ml_buf_printf(&sql[side], "%s,", p->cols[p->key[i]].value[side]);
		ml_buf_puts(&sql[side], p->hash[side]);
		for (uint16_t i = 0; i < p->n_cols; i++)
			if (p->cols[i].soft)
				ml_buf_printf(&sql[side], ",%s", p->cols[i].value[side]);
		ml_buf_printf(&sql[side], " FROM %s WHERE %s", p->from[side], where[side]);
	}
	rc = ml_vf_ask(c, sql, res, err);
	if (rc == 0) {
		known_fill(&k, p, res[ML_VF_UP]);
		while ((row = mysql_fetch_row(res[ML_VF_DOWN])) != NULL) {
			unsigned long *len = mysql_fetch_lengths(res[ML_VF_DOWN]);
			struct one *o;

			put_id(&id, p, row, len);
			o = *slot_of(&k, id.data, id.len);
			if (o == NULL) {
				note(c, p, ML_VF_EXTRA, row, len, now_ms, out);
				continue;
			}
			o->met = true;
			if (!same_row(p, o->row, o->len, row, len))
				note(c, p, ML_VF_CHANGED, o->row, o->len, now_ms, out);
		}
		for (size_t i = 0; i < k.n; i++)
			if (!k.rows[i].met)
				note(c, p, ML_VF_MISSING, k.rows[i].row, k.rows[i].len, now_ms, out);
		known_fini(&k);
		mysql_free_result(res[0]);
		mysql_free_result(res[1]);
	}
	ml_buf_fini(&sql[0]);
	ml_buf_fini(&sql[1]);
	ml_buf_fini(&id);
	return rc;
}

/* ---- groups of checksums: tables without a key, or whose key has no common order ---- */

/* SQL that puts a row into one of N_GROUPS groups: rows that are one row on both sides must come into the same group. */
static void
put_group(struct ml_buf *out, const struct ml_vf_pair *p, int side)
{
	if (p->n_key == 0) {
		ml_buf_printf(out, "MOD(%s,%d)", p->hash[side], N_GROUPS);
		return;
	}
	ml_buf_puts(out, "MOD(CRC32(CONCAT_WS('#'");
	for (uint16_t i = 0; i < p->n_key; i++)
		ml_buf_printf(out, ",%s", p->cols[p->key[i]].value[side]);
	ml_buf_printf(out, ",'')),%d)", N_GROUPS);
}

/* Groups that differ, as "3,17,..." in out, empty: none.  Fails when they hold too many rows to be looked at. */
static int
differing_groups(struct ml_vf_conns *c, const struct ml_vf_pair *p, struct ml_buf *out, struct ml_err *err)
{
	struct ml_buf sql[2] = { 0 };
	MYSQL_RES *res[2];
	MYSQL_ROW row;
	struct group {
		char count[24], sum[48];
	} *up = calloc(N_GROUPS, sizeof(*up));
	bool *met = calloc(N_GROUPS, sizeof(*met));
	uint64_t n_rows = 0;
	int rc;

	if (up == NULL || met == NULL)
		abort();
	for (int side = 0; side < 2; side++) {
		ml_buf_puts(&sql[side], "SELECT ");
		put_group(&sql[side], p, side);
		ml_buf_printf(&sql[side], " g,COUNT(*),SUM(%s) FROM %s GROUP BY g", p->hash[side], p->from[side]);
	}
	rc = ml_vf_ask(c, sql, res, err);
	if (rc == 0) {
		while ((row = mysql_fetch_row(res[ML_VF_UP])) != NULL) {
			struct group *g = &up[strtoul(row[0], NULL, 10) % N_GROUPS];

			snprintf(g->count, sizeof(g->count), "%s", row[1]);
			snprintf(g->sum, sizeof(g->sum), "%s", row[2]);
		}
		while ((row = mysql_fetch_row(res[ML_VF_DOWN])) != NULL) {
			unsigned long at = strtoul(row[0], NULL, 10) % N_GROUPS;

			/* Rows of the source alone are found below, where met stays false. */
			met[at] = true;
			if (p->n_soft > 0 || strcmp(up[at].count, row[1]) != 0 || strcmp(up[at].sum, row[2]) != 0) {
				ml_buf_printf(out, out->len > 0 ? ",%lu" : "%lu", at);
				n_rows += strtoull(row[1], NULL, 10) + strtoull(up[at].count, NULL, 10);
			}
		}
		for (unsigned at = 0; at < N_GROUPS; at++)
			if (!met[at] && up[at].count[0] != '\0') {
				ml_buf_printf(out, out->len > 0 ? ",%u" : "%u", at);
				n_rows += strtoull(up[at].count, NULL, 10);
			}
		mysql_free_result(res[0]);
		mysql_free_result(res[1]);
		if (n_rows > MAX_GROUPED_ROWS)
			rc = ML_ERRF(err, ErrMySQLQueryError, 0,
				"%s differs, and has no key that both servers put in the same order: %lu rows would have "
				"to be looked at",
				p->schema[ML_VF_UP]->qname.s, (unsigned long)n_rows);
	}
	ml_buf_fini(&sql[0]);
	ml_buf_fini(&sql[1]);
	free(up);
	free(met);
	return rc;
}

static void
note_equal_rows(enum ml_vf_what what, const struct ml_vf_pair *p, int side, MYSQL_ROW row, uint64_t n, uint64_t now_ms,
	struct ml_vf_diffs *out)
{
	struct ml_buf where = { 0 }, key = { 0 };

	ml_buf_printf(&where, "%s=%s", p->hash[side], row[0]);
	ml_buf_printf(&key, "%lu row%s of checksum %s", (unsigned long)n, n == 1 ? "" : "s", row[0]);
	ml_vf_diffs_add(out, &(struct ml_vf_diff){ .what = what,
				     .where = where.data,
				     .key = key.data,
				     .id = row[0],
				     .id_len = (uint32_t)strlen(row[0]),
				     .up_hash = strtoull(row[0], NULL, 10),
				     .n = n,
				     .since_ms = now_ms });
	ml_buf_fini(&where);
	ml_buf_fini(&key);
}

/* Rows without a key: how many of each content either side has.  Both results are in the order of the checksum. */
static int
keyless_rows(struct ml_vf_conns *c, const struct ml_vf_pair *p, const char *const where[2], uint64_t now_ms,
	struct ml_vf_diffs *out, struct ml_err *err)
{
	struct ml_buf sql[2] = { 0 };
	MYSQL_RES *res[2];
	int rc;

	for (int side = 0; side < 2; side++)
		ml_buf_printf(&sql[side], "SELECT %s h,COUNT(*) FROM %s WHERE %s GROUP BY h ORDER BY h", p->hash[side],
			p->from[side], where[side]);
	rc = ml_vf_ask(c, sql, res, err);
	if (rc == 0) {
		MYSQL_ROW up = mysql_fetch_row(res[ML_VF_UP]), down = mysql_fetch_row(res[ML_VF_DOWN]);

		while (up != NULL || down != NULL) {
			uint64_t x = up != NULL ? strtoull(up[0], NULL, 10) : UINT64_MAX;
			uint64_t y = down != NULL ? strtoull(down[0], NULL, 10) : UINT64_MAX;
			bool has_up = up != NULL && (down == NULL || x <= y),
			     has_down = down != NULL && (up == NULL || y <= x);
			uint64_t n = has_up ? strtoull(up[1], NULL, 10) : 0,
				 m = has_down ? strtoull(down[1], NULL, 10) : 0;

			if (n > m)
				note_equal_rows(ML_VF_MISSING, p, ML_VF_UP, up, n - m, now_ms, out);
			else if (m > n)
				note_equal_rows(ML_VF_EXTRA, p, ML_VF_DOWN, down, m - n, now_ms, out);
			if (has_up)
				up = mysql_fetch_row(res[ML_VF_UP]);
			if (has_down)
				down = mysql_fetch_row(res[ML_VF_DOWN]);
		}
		mysql_free_result(res[0]);
		mysql_free_result(res[1]);
	}
	ml_buf_fini(&sql[0]);
	ml_buf_fini(&sql[1]);
	return rc;
}

int
ml_vf_rows(struct ml_vf_conns *c, const struct ml_vf_pair *p, const char *where, uint64_t now_ms,
	struct ml_vf_diffs *out, struct ml_err *err)
{
	const char *wheres[2] = { or_all(where), or_all(where) };
	struct ml_buf groups = { 0 }, in[2] = { 0 };
	int rc;

	if (where != NULL || p->n_walk > 0)
		return keyed_rows(c, p, wheres, now_ms, out, err);
	rc = differing_groups(c, p, &groups, err);
	if (rc == 0 && groups.len > 0) {
		for (int side = 0; side < 2; side++) {
			put_group(&in[side], p, side);
			ml_buf_printf(&in[side], " IN (%s)", groups.data);
			wheres[side] = in[side].data;
		}
		rc = p->n_key > 0 ? keyed_rows(c, p, wheres, now_ms, out, err)
				  : keyless_rows(c, p, wheres, now_ms, out, err);
	}
	ml_buf_fini(&groups);
	ml_buf_fini(&in[0]);
	ml_buf_fini(&in[1]);
	return rc;
}
