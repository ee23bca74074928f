#include "capture-worker/sink/mysql/join.h"

#include <string.h>

#include "common/run/log.h"

void
sql_join_init(struct sql_join *j, uint64_t limit_bytes, const char *object)
{
	*j = (struct sql_join){ .limit_bytes = limit_bytes, .object = object };
	j->tail = &j->first;
}

bool
sql_join_goes_on(const struct sql_join *j, const struct sql_unit *u)
{
	return j->first != NULL && j->first->rows[0].commit_ts == u->rows[0].commit_ts &&
	       j->first->rows[0].start_ts == u->rows[0].start_ts;
}

bool
sql_join_keep(struct sql_join *j, struct sql_unit *u)
{
	uint64_t bytes = u->parcel->b->charged_bytes;

	if (j->bytes + bytes > j->limit_bytes) {
		ml_warn(j->object,
			"a transaction is too large to be kept whole, it is written in pieces commit_ts=%llu",
			(unsigned long long)u->rows[0].commit_ts);
		return false;
	}
	u->piece = NULL;
	*j->tail = u;
	j->tail = &u->piece;
	j->bytes += bytes;
	return true;
}

struct sql_unit *
sql_join_take(struct sql_join *j)
{
	struct sql_unit *first = j->first, *last = first, *u;
	uint32_t n_rows = 0, n_hashes = 0;
	struct ml_row *rows;
	struct ml_arena *a;
	uint64_t *hashes;
	uint32_t *at;

	sql_join_init(j, j->limit_bytes, j->object);
	if (first == NULL || first->piece == NULL)
		return first;
	for (u = first; u != NULL; u = u->piece) {
		n_rows += u->n_rows;
		n_hashes += u->first[u->n_rows] - u->first[0];
		last = u;
	}
	/* In the newest batch, which stays until the whole is committed; images stay where they are. */
	a = &last->parcel->b->arena;
	rows = ml_arena_alloc(a, n_rows * sizeof(*rows));
	hashes = ml_arena_alloc(a, n_hashes * sizeof(*hashes));
	at = ml_arena_alloc(a, (n_rows + 1) * sizeof(*at));
	u = ml_arena_zalloc(a, sizeof(*u));
	*u = (struct sql_unit){ .parcel = last->parcel,
		.rows = rows,
		.n_rows = n_rows,
		.fresh = first->fresh,
		.hashes = hashes,
		.first = at,
		.piece = first };
	u->nodes = ml_arena_alloc(a, n_hashes * sizeof(*u->nodes));
	u->waits = ml_arena_alloc(a, n_hashes * sizeof(*u->waits));
	n_rows = n_hashes = 0;
	for (struct sql_unit *p = first; p != NULL; p = p->piece) {
		uint32_t n = p->first[p->n_rows] - p->first[0];

		memcpy(rows + n_rows, p->rows, p->n_rows * sizeof(*rows));
		memcpy(hashes + n_hashes, p->hashes + p->first[0], n * sizeof(*hashes));
		for (uint32_t i = 0; i < p->n_rows; i++)
			at[n_rows++] = n_hashes + p->first[i] - p->first[0];
		n_hashes += n;
	}
	at[n_rows] = n_hashes;
	return u;
}
