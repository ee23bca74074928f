#include "capture-worker/verify/cursor.h"

#include <stdlib.h>
#include <string.h>

void
ml_vf_cursor_init(struct ml_vf_cursor *k, uint32_t chunk_rows)
{
	*k = (struct ml_vf_cursor){ .chunk_rows = chunk_rows, .width = chunk_rows };
}

static void
drop_bound(struct ml_vf_cursor *k)
{
	for (uint16_t i = 0; i < k->n_bound; i++)
		free(k->bound[i]);
	free(k->bound);
	k->bound = NULL;
	k->n_bound = 0;
}

void
ml_vf_cursor_fini(struct ml_vf_cursor *k)
{
	drop_bound(k);
}

static void
put_key_name(struct ml_buf *out, const struct ml_vf_pair *p, uint16_t i)
{
	const struct ml_text *name = &p->cols[p->key[i]].col[ML_VF_UP]->name;

	ml_vf_put_name(out, name->s, name->len);
}

/* MySQL takes no range from (a,b) > (x,y), hence: a > x OR (a = x AND b > y). */
void
ml_vf_put_bound(struct ml_buf *out, const struct ml_vf_pair *p, char *const *bound, uint16_t n, bool up_to)
{
	ml_buf_putc(out, '(');
	for (uint16_t i = 0; i < n; i++) {
		const char *op = !up_to ? ">" : i + 1 == n ? "<=" : "<";

		ml_buf_puts(out, i == 0 ? "" : " OR (");
		for (uint16_t j = 0; j < i; j++) {
			put_key_name(out, p, j);
			ml_buf_printf(out, "=%s AND ", bound[j]);
		}
		put_key_name(out, p, i);
		ml_buf_printf(out, "%s%s%s", op, bound[i], i == 0 ? "" : ")");
	}
	ml_buf_putc(out, ')');
}

static __int128
parse_int(const char *s)
{
	__int128 v = 0;
	bool negative = *s == '-';

	for (s += negative; *s >= '0' && *s <= '9'; s++)
		v = v * 10 + (*s - '0');
	return negative ? -v : v;
}

static void
put_int(struct ml_buf *out, __int128 v)
{
	char text[48], *p = text + sizeof(text);
	unsigned __int128 u = v < 0 ? -(unsigned __int128)v : (unsigned __int128)v;

	do
		*--p = (char)('0' + (int)(u % 10));
	while ((u /= 10) != 0);
	if (v < 0)
		*--p = '-';
	ml_buf_put(out, p, (size_t)(text + sizeof(text) - p));
}

/* Smallest and largest key of both sides; an empty table ends at once with one chunk. */
static int
integer_start(struct ml_vf_cursor *k, struct ml_vf_conns *c, const struct ml_vf_pair *p, struct ml_err *err)
{
	const char *key = p->cols[p->key[0]].value[ML_VF_UP];
	struct ml_buf sql[2] = { 0 };
	MYSQL_RES *res[2];
	bool any = false;
	int rc;

	for (int side = 0; side < 2; side++)
		ml_buf_printf(&sql[side], "SELECT MIN(%s),MAX(%s) FROM %s", key, key, p->from[side]);
	rc = ml_vf_ask(c, sql, res, err);
	ml_buf_fini(&sql[0]);
	ml_buf_fini(&sql[1]);
	if (rc != 0)
		return -1;
	for (int side = 0; side < 2; side++) {
		MYSQL_ROW row = mysql_fetch_row(res[side]);

		if (row != NULL && row[0] != NULL && row[1] != NULL) {
			__int128 low = parse_int(row[0]), high = parse_int(row[1]);

			k->next = !any || low < k->next ? low : k->next;
			k->last = !any || high > k->last ? high : k->last;
			any = true;
		}
		mysql_free_result(res[side]);
	}
	return 0;
}

static int
integer_next(struct ml_vf_cursor *k, struct ml_vf_conns *c, const struct ml_vf_pair *p, struct ml_buf *where,
	struct ml_err *err)
{
	bool first = !k->started;

	if (first && integer_start(k, c, p, err) != 0)
		return -1;
	k->started = true;
	k->ended = k->last - k->next < k->width;
	if (first && k->ended)
		return 1;
	if (!first) {
		put_key_name(where, p, 0);
		ml_buf_puts(where, ">=");
		put_int(where, k->next);
	}
	k->next += k->width;
	if (!k->ended) {
		ml_buf_puts(where, first ? "" : " AND ");
		put_key_name(where, p, 0);
		ml_buf_putc(where, '<');
		put_int(where, k->next);
	}
	return 1;
}

/* The row that ends the chunk, by a walk over the source's index. */
static int
find_bound(struct ml_vf_cursor *k, struct ml_vf_conns *c, const struct ml_vf_pair *p, char ***out, struct ml_err *err)
{
	struct ml_my_conn *up = &c->c[ML_VF_UP];
	struct ml_buf sql = { 0 }, order = { 0 }, literal = { 0 };
	MYSQL_RES *res;
	MYSQL_ROW row;
	int rc;

	*out = NULL;
	ml_buf_puts(&sql, "SELECT ");
	for (uint16_t i = 0; i < p->n_walk; i++) {
		ml_buf_printf(&sql, i > 0 ? ",%s" : "%s", p->cols[p->key[i]].value[ML_VF_UP]);
		ml_buf_puts(&order, i > 0 ? "," : "");
		put_key_name(&order, p, i);
	}
	ml_buf_printf(&sql, " FROM %s", p->from[ML_VF_UP]);
	if (k->bound != NULL) {
		ml_buf_puts(&sql, " WHERE ");
		ml_vf_put_bound(&sql, p, k->bound, k->n_bound, false);
	}
	ml_buf_printf(&sql, " ORDER BY %s LIMIT 1 OFFSET %u", order.data, k->chunk_rows - 1);
	rc = ml_my_query(up, sql.data, &res, err);
	if (rc == 0) {
		if ((row = mysql_fetch_row(res)) != NULL) {
			unsigned long *len = mysql_fetch_lengths(res);

			*out = calloc(p->n_walk, sizeof(char *));
			if (*out == NULL)
				abort();
			for (uint16_t i = 0; i < p->n_walk; i++) {
				ml_buf_clear(&literal);
				ml_vf_put_literal(&literal, up, &p->cols[p->key[i]], row[i], len[i]);
				(*out)[i] = strdup(literal.data);
				if ((*out)[i] == NULL)
					abort();
			}
		}
		mysql_free_result(res);
	}
	ml_buf_fini(&sql);
	ml_buf_fini(&order);
	ml_buf_fini(&literal);
	return rc;
}

static int
walk_next(struct ml_vf_cursor *k, struct ml_vf_conns *c, const struct ml_vf_pair *p, struct ml_buf *where,
	struct ml_err *err)
{
	char **end;

	if (find_bound(k, c, p, &end, err) != 0)
		return -1;
	if (k->bound != NULL)
		ml_vf_put_bound(where, p, k->bound, k->n_bound, false);
	if (end != NULL) {
		ml_buf_puts(where, k->bound != NULL ? " AND " : "");
		ml_vf_put_bound(where, p, end, p->n_walk, true);
	}
	drop_bound(k);
	k->bound = end;
	k->n_bound = end != NULL ? p->n_walk : 0;
	k->started = true;
	k->ended = end == NULL;
	return 1;
}

int
ml_vf_cursor_next(struct ml_vf_cursor *k, struct ml_vf_conns *c, const struct ml_vf_pair *p, struct ml_buf *where,
	struct ml_err *err)
{
	ml_buf_clear(where);
	if (k->ended)
		return 0;
	if (p->integer_key)
		return integer_next(k, c, p, where, err);
	if (p->n_walk > 0)
		return walk_next(k, c, p, where, err);
	k->started = k->ended = true;
	return 1;
}

void
ml_vf_cursor_learn(struct ml_vf_cursor *k, uint64_t n_rows)
{
	__int128 width = n_rows > 0 ? k->width * k->chunk_rows / (__int128)n_rows : k->width * 8;

	/* One sparse or dense stretch must not lead to a chunk that is out of all proportion. */
	if (width > k->width * 8)
		width = k->width * 8;
	if (width < k->width / 4)
		width = k->width / 4;
	if (width > (__int128)1 << 64)
		width = (__int128)1 << 64;
	k->width = width > 0 ? width : 1;
}
