#include "capture-worker/encoder/split.h"

#include <stdlib.h>
#include <string.h>

/*
 * Equal key text without making it: texts of numbers of one kind differ exactly if the numbers' bits do (0 and -0 too), and a
 * NULL has the text of the string "null".
 */
static bool
same_key_text(const struct ml_datum *a, const struct ml_datum *b)
{
	if (a->kind != b->kind) {
		if (a->kind == ML_D_NULL || b->kind == ML_D_NULL) {
			const struct ml_datum *other = a->kind == ML_D_NULL ? b : a;

			return other->kind == ML_D_BYTES && other->len == 4 && memcmp(other->s, "null", 4) == 0;
		}
		/* Signed and unsigned do not mix in one column, so this is an absent value: not known to differ. */
		return a->kind == ML_D_ABSENT || b->kind == ML_D_ABSENT;
	}
	switch (a->kind) {
	case ML_D_I64:
	case ML_D_U64:
	case ML_D_F64:
		return a->u == b->u;
	case ML_D_F32:
		return memcmp(&a->f32, &b->f32, sizeof(a->f32)) == 0;
	case ML_D_BYTES:
		return a->len == b->len && memcmp(a->s, b->s, a->len) == 0;
	default:
		return true;
	}
}

static bool
changes_key(const struct ml_row *row)
{
	const struct ml_schema *s = row->schema;

	if (row->op != ML_OP_UPDATE)
		return false;
	for (int i = 0; i < s->n_indexes; i++) {
		const struct ml_index *x = &s->indexes[i];

		if (!x->primary && !x->unique)
			continue;
		for (int k = 0; k < x->n_cols; k++)
			if (!same_key_text(&row->before[x->cols[k]], &row->after[x->cols[k]]))
				return true;
	}
	return false;
}

static bool
same_txn(const struct ml_row *a, const struct ml_row *b)
{
	return a->commit_ts == b->commit_ts && a->start_ts == b->start_ts;
}

/* One unit: a table's rows of one transaction, rows[from..to), of which some are to be split. */
struct unit {
	int64_t table_id;
	uint32_t n_rows;    /* places it has */
	uint32_t n_out;     /* rows it becomes */
	uint32_t placed;    /* places met so far */
	uint32_t given;     /* rows of out given to them */
	struct ml_row *out; /* NULL: the order stays */
};

/* One half of a split UPDATE. */
static void
half(struct ml_row *p, const struct ml_row *row, uint8_t op)
{
	*p = *row;
	p->op = op;
	p->split = true;
	if (op == ML_OP_DELETE)
		p->after = NULL;
	else
		p->before = NULL;
}

/* FNV-1a over the handle key's values: equal keys have equal hashes. */
static uint64_t
handle_hash(const struct ml_schema *s, const struct ml_datum *image)
{
	uint64_t h = 14695981039346656037ull;

	for (int k = 0; k < s->handle->n_cols; k++) {
		const struct ml_datum *d = &image[s->handle->cols[k]];
		bool text = d->kind == ML_D_BYTES;
		const char *p = text ? d->s : (const char *)&d->u;
		size_t n = text ? d->len : d->kind == ML_D_F32 ? sizeof(d->f32) : sizeof(d->u);

		h = (h ^ n) * 1099511628211ull;
		for (size_t i = 0; i < n; i++)
			h = (h ^ (uint8_t)p[i]) * 1099511628211ull;
	}
	return h;
}

static int
by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Is any row of the unit touched twice, as far as hashes can tell?  Yes where rows cannot be told apart. */
static bool
touches_twice(struct ml_batch *b, const struct unit *u, uint32_t from, uint32_t to)
{
	uint64_t *hashes = ml_arena_alloc(&b->arena, 2 * (size_t)u->n_rows * sizeof(*hashes));
	size_t n = 0;

	for (uint32_t i = from; i < to; i++) {
		const struct ml_row *row = &b->rows[i];
		uint64_t before = 0;

		if (row->schema->table_id != u->table_id)
			continue;
		if (row->schema->handle == NULL)
			return true;
		if (row->before != NULL)
			hashes[n++] = before = handle_hash(row->schema, row->before);
		if (row->after != NULL) {
			hashes[n] = handle_hash(row->schema, row->after);
			n += row->before == NULL || hashes[n] != before;
		}
	}
	qsort(hashes, n, sizeof(*hashes), by_value);
	for (size_t i = 1; i < n; i++)
		if (hashes[i] == hashes[i - 1])
			return true;
	return false;
}

/* The unit's rows by kind; split UPDATEs count as both their halves. */
static void
fill_unit(struct unit *u, const struct ml_row *rows, const uint8_t *change, uint32_t from, uint32_t to)
{
	static const uint8_t order[] = { ML_OP_DELETE, ML_OP_UPDATE, ML_OP_INSERT };
	struct ml_row *p = u->out;

	for (int op = 0; op < 3; op++)
		for (uint32_t i = from; i < to; i++) {
			const struct ml_row *row = &rows[i];

			if (row->schema->table_id != u->table_id)
				continue;
			if (change[i] && order[op] != ML_OP_UPDATE)
				half(p++, row, order[op]);
			else if (!change[i] && row->op == order[op])
				*p++ = *row;
		}
}

static struct unit *
unit_of(struct unit *units, uint32_t n, int64_t table_id)
{
	for (uint32_t i = 0; i < n; i++)
		if (units[i].table_id == table_id)
			return &units[i];
	return NULL;
}

/* Rewrites one transaction, rows[from..to), of which n_change are to be split, to out; returns behind its last row. */
static struct ml_row *
split_txn(struct ml_batch *b, const uint8_t *change, uint32_t from, uint32_t to, uint32_t n_change, struct ml_row *out)
{
	struct unit *units = ml_arena_alloc(&b->arena, n_change * sizeof(*units));
	uint32_t n = 0;

	for (uint32_t i = from; i < to; i++)
		if (change[i] && unit_of(units, n, b->rows[i].schema->table_id) == NULL)
			units[n++] = (struct unit){ .table_id = b->rows[i].schema->table_id };
	for (uint32_t i = from; i < to; i++) {
		struct unit *u = unit_of(units, n, b->rows[i].schema->table_id);

		if (u != NULL) {
			u->n_rows++;
			u->n_out += 1 + change[i];
		}
	}
	for (uint32_t i = 0; i < n; i++) {
		if (touches_twice(b, &units[i], from, to))
			continue;
		units[i].out = ml_arena_alloc(&b->arena, units[i].n_out * sizeof(*units[i].out));
		fill_unit(&units[i], b->rows, change, from, to);
	}
	for (uint32_t i = from; i < to; i++) {
		struct unit *u = unit_of(units, n, b->rows[i].schema->table_id);
		uint32_t give;

		if (u == NULL || (u->out == NULL && !change[i])) {
			*out++ = b->rows[i];
			continue;
		}
		if (u->out == NULL) {
			half(out++, &b->rows[i], ML_OP_DELETE);
			half(out++, &b->rows[i], ML_OP_INSERT);
			continue;
		}
		give = ++u->placed == u->n_rows ? u->n_out - u->given : 1;
		memcpy(out, u->out + u->given, give * sizeof(*out));
		u->given += give;
		out += give;
	}
	return out;
}

void
ml_split_updates(struct ml_batch *b, bool raw_change_event)
{
	uint32_t n_rows = b->n_rows, n_change = 0;
	struct ml_row *all, *out;
	uint8_t *change;

	if (raw_change_event)
		return;
	for (uint32_t i = 0; i < n_rows && n_change == 0; i++)
		n_change = changes_key(&b->rows[i]);
	if (n_change == 0)
		return;
	n_change = 0;
	change = ml_arena_alloc(&b->arena, n_rows);
	for (uint32_t i = 0; i < n_rows; i++)
		n_change += change[i] = changes_key(&b->rows[i]);
	all = out = ml_arena_alloc(&b->arena, ((size_t)n_rows + n_change) * sizeof(*all));
	for (uint32_t from = 0, to; from < n_rows; from = to) {
		uint32_t n = 0;

		for (to = from; to < n_rows && same_txn(&b->rows[from], &b->rows[to]); to++)
			n += change[to];
		if (n > 0) {
			out = split_txn(b, change, from, to, n, out);
		} else {
			memcpy(out, b->rows + from, (to - from) * sizeof(*out));
			out += to - from;
		}
	}
	for (uint32_t i = 0; i < n_change; i++)
		ml_batch_row(b);
	memcpy(b->rows, all, b->n_rows * sizeof(*all));
}
