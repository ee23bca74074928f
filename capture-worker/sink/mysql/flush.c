#include "capture-worker/sink/mysql/flush.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a flush of ordinary rows needs; a larger text is given back. */
#define KEEP_TEXT_BYTES (1u << 20)

static void *
grow(void *p, uint32_t *cap, uint32_t need, size_t item)
{
	uint32_t n = *cap > 0 ? *cap : 256;

	if (need <= *cap)
		return p;
	while (n < need)
		n *= 2;
	p = realloc(p, n * item);
	if (p == NULL)
		abort();
	*cap = n;
	return p;
}

void
sql_flush_init(struct sql_flush *f)
{
	*f = (struct sql_flush){ 0 };
}

void
sql_flush_fini(struct sql_flush *f)
{
	ml_buf_fini(&f->text);
	free(f->stmts);
	free(f->groups);
	free(f->changes);
	free(f->found);
	free(f->order);
	free(f->levels);
	free(f->group_slots);
	*f = (struct sql_flush){ 0 };
}

void
sql_flush_trim(struct sql_flush *f)
{
	if (f->text.cap > KEEP_TEXT_BYTES)
		ml_buf_fini(&f->text);
}

/* ---- levels ---- */

/* The place of hash in the table of levels; an empty one has another stamp. */
static uint32_t
level_slot(const struct sql_flush *f, uint64_t hash)
{
	uint32_t mask = f->cap_levels - 1, i = (uint32_t)(hash >> 20) & mask;

	while (f->levels[i].stamp == f->stamp && f->levels[i].hash != hash)
		i = (i + 1) & mask;
	return i;
}

static void
reset_levels(struct sql_flush *f, uint32_t n_hashes)
{
	uint32_t need = 512;

	while (need < 2 * n_hashes)
		need *= 2;
	if (f->cap_levels < need || f->stamp == UINT32_MAX) {
		free(f->levels);
		f->levels = calloc(need, sizeof(*f->levels));
		if (f->levels == NULL)
			abort();
		f->cap_levels = need;
		f->stamp = 0;
	}
	f->stamp++;
}

/*
 * The row's level.  INSERTs into a table that cannot tell its rows apart share a key, but not a row: they may stand in one
 * statement.
 */
static uint32_t
level_of(struct sql_flush *f, const uint64_t *hashes, uint32_t n, uint8_t kind, bool keyed)
{
	uint32_t level = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t at = level_slot(f, hashes[i]), l;

		if (f->levels[at].stamp != f->stamp)
			continue;
		l = f->levels[at].level;
		if (keyed || kind != SQL_INSERT || f->levels[at].kind != SQL_INSERT)
			l++;
		if (l > level)
			level = l;
	}
	for (uint32_t i = 0; i < n; i++) {
		uint32_t at = level_slot(f, hashes[i]);

		f->levels[at].hash = hashes[i];
		f->levels[at].stamp = f->stamp;
		f->levels[at].level = level;
		f->levels[at].kind = kind;
	}
	return level;
}

/* ---- groups ---- */

static uint32_t
group_hash(uint32_t level, uint8_t kind, const struct sql_table *t)
{
	uint64_t h = (uint64_t)(uintptr_t)t ^ (uint64_t)level << 2 ^ kind;

	h *= UINT64_C(0x9E3779B97F4A7C15);
	return (uint32_t)(h >> 32);
}

static void
place_groups(struct sql_flush *f)
{
	uint32_t mask = f->cap_group_slots - 1;

	memset(f->group_slots, 0, f->cap_group_slots * sizeof(*f->group_slots));
	for (uint32_t g = 0; g < f->n_groups; g++) {
		uint32_t i = group_hash(f->groups[g].level, f->groups[g].kind, f->groups[g].table) & mask;

		while (f->group_slots[i] != 0)
			i = (i + 1) & mask;
		f->group_slots[i] = g + 1;
	}
}

static uint32_t
group_of(struct sql_flush *f, uint32_t level, uint8_t kind, const struct sql_table *t)
{
	uint32_t mask = f->cap_group_slots - 1, i = group_hash(level, kind, t) & mask;

	for (; f->group_slots[i] != 0; i = (i + 1) & mask) {
		const struct sql_group *g = &f->groups[f->group_slots[i] - 1];

		if (g->level == level && g->kind == kind && g->table == t)
			return f->group_slots[i] - 1;
	}
	f->groups = grow(f->groups, &f->cap_groups, f->n_groups + 1, sizeof(*f->groups));
	f->groups[f->n_groups++] = (struct sql_group){ .level = level, .kind = kind, .table = t };
	if (2 * f->n_groups > f->cap_group_slots) {
		f->group_slots =
			grow(f->group_slots, &f->cap_group_slots, 2 * f->cap_group_slots, sizeof(*f->group_slots));
		place_groups(f);
	} else {
		f->group_slots[i] = f->n_groups;
	}
	return f->n_groups - 1;
}

static void
add_change(struct sql_flush *f, uint32_t level, uint8_t kind, const struct sql_table *t, const struct ml_datum *before,
	const struct ml_datum *after)
{
	uint32_t g;

	if (t->n_cols == 0 && kind != SQL_DELETE)
		return; /* only generated columns: nothing to write */
	g = group_of(f, level, kind, t);
	f->found[f->n_changes].change = (struct sql_change){ before, after };
	f->found[f->n_changes++].group = g;
	f->groups[g].n++;
}

static bool
same_value(const struct ml_datum *a, const struct ml_datum *b)
{
	if (a->kind != b->kind)
		return false;
	if (a->kind == ML_D_BYTES)
		return a->len == b->len && memcmp(a->s, b->s, a->len) == 0;
	if (a->kind == ML_D_F32)
		return a->f32 == b->f32;
	return a->kind == ML_D_F64 ? a->f64 == b->f64 : a->u == b->u;
}

static bool
same_key(const struct sql_table *t, const struct ml_row *row)
{
	for (uint16_t i = 0; i < t->n_key; i++)
		if (!same_value(&row->before[t->key[i].at], &row->after[t->key[i].at]))
			return false;
	return t->keyed;
}

static void
add_row(struct sql_flush *f, const struct ml_row *row, bool fresh, const uint64_t *hashes, uint32_t n_hashes)
{
	const struct sql_table *t = row->schema->encoder;
	uint32_t level;

	switch (row->op) {
	case ML_OP_INSERT:
		/* Without a key REPLACE is an INSERT. */
		level = level_of(f, hashes, n_hashes, SQL_INSERT, t->keyed);
		add_change(f, level, fresh ? SQL_INSERT : SQL_REPLACE, t, NULL, row->after);
		break;
	case ML_OP_DELETE:
		level = level_of(f, hashes, n_hashes, SQL_DELETE, t->keyed);
		add_change(f, level, SQL_DELETE, t, row->before, NULL);
		break;
	default:
		level = level_of(f, hashes, n_hashes, SQL_UPDATE, t->keyed);
		if (fresh) {
			add_change(f, level, SQL_UPDATE, t, row->before, row->after);
			break;
		}
		/* The old row goes, whatever it is by now.  A REPLACE with the same key takes it away itself. */
		if (!same_key(t, row))
			add_change(f, level, SQL_DELETE, t, row->before, NULL);
		add_change(f, level, SQL_REPLACE, t, NULL, row->after);
	}
}

static int
by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Sorts the changes by group, and orders the groups: by level, then by kind, then by first appearance. */
static void
arrange(struct sql_flush *f)
{
	uint32_t at = 0;

	f->changes = grow(f->changes, &f->cap_changes, f->n_changes, sizeof(*f->changes));
	f->order = grow(f->order, &f->cap_order, f->n_groups, sizeof(*f->order));
	for (uint32_t g = 0; g < f->n_groups; g++) {
		/* INSERT and REPLACE are one kind here. */
		uint64_t kind = f->groups[g].kind == SQL_REPLACE ? SQL_INSERT : f->groups[g].kind;

		f->order[g] = (uint64_t)f->groups[g].level << 32 | kind << 28 | g;
	}
	/* Mostly they are in order already, and few. */
	qsort(f->order, f->n_groups, sizeof(*f->order), by_value);
	for (uint32_t i = 0; i < f->n_groups; i++) {
		struct sql_group *g = &f->groups[f->order[i] & 0xFFFFFFF];

		g->first = at;
		at += g->n;
		g->n = 0;
	}
	for (uint32_t i = 0; i < f->n_changes; i++) {
		struct sql_group *g = &f->groups[f->found[i].group];

		f->changes[g->first + g->n++] = f->found[i].change;
	}
}

/* ---- statements ---- */

static size_t
row_bytes(const struct sql_table *t, const struct ml_datum *image)
{
	size_t n = 0;

	for (uint16_t i = 0; i < t->n_cols; i++) {
		const struct ml_datum *d = &image[t->cols[i].at];

		n += d->kind == ML_D_BYTES ? d->len + 2u : 8;
	}
	return n;
}

/* Rows of g from `first` on that one INSERT takes. */
static uint32_t
insert_rows(const struct sql_flush *f, const struct sql_flush_env *env, const struct sql_group *g, uint32_t first)
{
	size_t bytes = 0;
	uint32_t n = 0;

	if (!env->batch_dml)
		return 1;
	while (first + n < g->n && n < env->max_txn_row) {
		bytes += row_bytes(g->table, f->changes[g->first + first + n].after);
		if (n > 0 && bytes > env->max_statement_bytes)
			break;
		n++;
	}
	return n;
}

static uint32_t
update_rows(const struct sql_flush *f, const struct sql_flush_env *env, const struct sql_group *g, uint32_t first)
{
	uint32_t n = g->n - first;
	size_t bytes = 0;

	if (n > env->max_multi_update_row)
		n = env->max_multi_update_row;
	for (uint32_t i = 0; i < n; i++)
		bytes += row_bytes(g->table, f->changes[g->first + first + i].after);
	return bytes < (size_t)env->max_multi_update_row_size * n ? n : 0;
}

/* Writes the statement for rows [first, first + n) of group g; shape B where batch says so. */
static void
put_stmt(
	struct sql_out *o, const struct sql_flush *f, const struct sql_group *g, uint32_t first, uint32_t n, bool batch)
{
	const struct sql_change *rows = &f->changes[g->first + first];

	switch (g->kind) {
	case SQL_DELETE:
		if (batch)
			sql_delete_many(o, g->table, rows, n);
		else
			sql_delete(o, g->table, rows);
		break;
	case SQL_UPDATE:
		if (batch)
			sql_update_many(o, g->table, rows, n);
		else
			sql_update(o, g->table, rows);
		break;
	default:
		sql_insert(o, g->table, g->kind == SQL_REPLACE, rows, n);
	}
}

/* How many rows the next statement of g takes, and whether in the shape for several. */
static uint32_t
next_rows(const struct sql_flush *f, const struct sql_flush_env *env, const struct sql_group *g, uint32_t first,
	bool *batch)
{
	uint32_t n;

	*batch = env->batch_dml && g->table->keyed && f->n_changes > 1;
	switch (g->kind) {
	case SQL_DELETE:
		n = g->n - first;
		return !*batch ? 1 : n < env->max_txn_row ? n : env->max_txn_row;
	case SQL_UPDATE:
		n = *batch && env->tidb ? update_rows(f, env, g, first) : 0;
		*batch = n > 0;
		return n > 0 ? n : 1;
	default:
		return insert_rows(f, env, g, first);
	}
}

static struct sql_out
out_of(struct ml_buf *text, struct sql_args *args, const struct sql_flush_env *env)
{
	return (struct sql_out){
		.text = text,
		.args = args,
		.no_backslash = env->no_backslash,
		.json_type = env->json_type,
		.to_vector = env->to_vector,
		.in_lists = env->in_lists,
		.text_in_lists = env->text_in_lists,
	};
}

static void
put_group(struct sql_flush *f, const struct sql_flush_env *env, uint32_t g)
{
	const struct sql_group *group = &f->groups[g];
	struct sql_out o = out_of(&f->text, NULL, env);

	for (uint32_t first = 0, n; first < group->n; first += n) {
		struct sql_stmt *s;
		bool batch;

		n = next_rows(f, env, group, first, &batch);
		f->stmts = grow(f->stmts, &f->cap_stmts, f->n_stmts + 1, sizeof(*f->stmts));
		s = &f->stmts[f->n_stmts++];
		*s = (struct sql_stmt){ .at = f->text.len, .group = g, .first = first, .n = n };
		put_stmt(&o, f, group, first, n, batch);
		s->len = f->text.len - s->at;
		ml_buf_putc(&f->text, ';');
	}
}

void
sql_flush_build(
	struct sql_flush *f, const struct sql_flush_env *env, const struct sql_unit *units, uint32_t n_rows, bool safe)
{
	uint32_t n_hashes = 0;

	ml_buf_clear(&f->text);
	ml_buf_puts(&f->text, env->begin);
	f->n_stmts = f->n_groups = f->n_changes = 0;
	/* A split UPDATE is two changes. */
	f->found = grow(f->found, &f->cap_found, 2 * n_rows, sizeof(*f->found));
	for (const struct sql_unit *u = units; u != NULL; u = u->next)
		n_hashes += u->first[u->n_rows] - u->first[0];
	reset_levels(f, n_hashes);
	if (f->cap_group_slots == 0)
		f->group_slots = grow(NULL, &f->cap_group_slots, 64, sizeof(*f->group_slots));
	memset(f->group_slots, 0, f->cap_group_slots * sizeof(*f->group_slots));
	for (const struct sql_unit *u = units; u != NULL; u = u->next)
		for (uint32_t i = 0; i < u->n_rows; i++)
			add_row(f, &u->rows[i], u->fresh && !safe && !u->rows[i].upsert, u->hashes + u->first[i],
				u->first[i + 1] - u->first[i]);
	arrange(f);
	for (uint32_t i = 0; i < f->n_groups; i++)
		put_group(f, env, (uint32_t)(f->order[i] & 0xFFFFFFF));
	ml_buf_puts(&f->text, "COMMIT");
}

void
sql_flush_template(struct ml_buf *out, struct sql_args *args, const struct sql_flush *f,
	const struct sql_flush_env *env, uint32_t i)
{
	const struct sql_stmt *s = &f->stmts[i];
	const struct sql_group *g = &f->groups[s->group];
	struct sql_out o = out_of(out, args, env);
	bool batch;

	ml_buf_clear(out);
	args->n = 0;
	(void)next_rows(f, env, g, s->first, &batch);
	put_stmt(&o, f, g, s->first, s->n, batch);
}
