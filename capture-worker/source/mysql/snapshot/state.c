#include "capture-worker/source/mysql/snapshot/state.h"

#include <stdlib.h>
#include <string.h>

static void *
must(void *p)
{
	if (p == NULL)
		abort();
	return p;
}

static void
drop_ranges(struct ml_copy_table *t)
{
	for (size_t i = 0; i < t->n_ranges; i++) {
		ml_copy_bound_fini(&t->ranges[i].after);
		ml_copy_bound_fini(&t->ranges[i].upto);
	}
	free(t->ranges);
	t->ranges = NULL;
	t->n_ranges = 0;
}

static void
table_free(struct ml_copy_table *t)
{
	drop_ranges(t);
	ml_schema_unref(t->schema);
	free(t->db);
	free(t->name);
	free(t->key);
	free(t);
}

void
ml_copy_state_fini(struct ml_copy_state *s)
{
	for (size_t i = 0; i < s->n; i++)
		table_free(s->v[i]);
	free(s->v);
	*s = (struct ml_copy_state){ 0 };
}

/* First one whose id is not below. */
static size_t
place_of(const struct ml_copy_state *s, int64_t id)
{
	size_t lo = 0, hi = s->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (s->v[mid]->id < id)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct ml_copy_table *
ml_copy_state_find(const struct ml_copy_state *s, int64_t id)
{
	size_t i = place_of(s, id);

	return i < s->n && s->v[i]->id == id ? s->v[i] : NULL;
}

struct ml_copy_table *
ml_copy_state_add(struct ml_copy_state *s, int64_t id)
{
	size_t i = place_of(s, id);

	if (i < s->n && s->v[i]->id == id)
		return s->v[i];
	if (s->n == s->cap) {
		s->cap = s->cap > 0 ? 2 * s->cap : 16;
		s->v = must(realloc(s->v, s->cap * sizeof(struct ml_copy_table *)));
	}
	memmove(s->v + i + 1, s->v + i, (s->n - i) * sizeof(*s->v));
	s->v[i] = must(calloc(1, sizeof(struct ml_copy_table)));
	s->v[i]->id = id;
	s->v[i]->stage = ML_COPY_OPEN;
	s->n++;
	s->n_open++;
	return s->v[i];
}

void
ml_copy_state_remove(struct ml_copy_state *s, struct ml_copy_table *t)
{
	size_t i = place_of(s, t->id);

	if (!t->done)
		s->n_open--;
	memmove(s->v + i, s->v + i + 1, (s->n - i - 1) * sizeof(*s->v));
	s->n--;
	table_free(t);
}

void
ml_copy_state_done(struct ml_copy_state *s, struct ml_copy_table *t)
{
	if (t->done)
		return;
	t->done = true;
	s->n_open--;
	drop_ranges(t);
}

void
ml_copy_table_ranges(struct ml_copy_table *t, size_t n)
{
	drop_ranges(t);
	t->ranges = must(calloc(n > 0 ? n : 1, sizeof(*t->ranges)));
	t->n_ranges = n;
}

bool
ml_copy_table_key_is(const struct ml_copy_table *t, const struct ml_schema *s, const struct ml_index *key)
{
	size_t at = 0;

	if (t->n_ranges == 0)
		return true;
	if (t->key == NULL || key == NULL)
		return t->key == NULL && key == NULL;
	for (uint16_t i = 0; i < key->n_cols; i++) {
		const struct ml_text *name = &s->columns[key->cols[i]].name;

		if (t->key_len - at < name->len + 1 || memcmp(t->key + at, name->s, name->len + 1) != 0)
			return false;
		at += name->len + 1;
	}
	return at == t->key_len;
}

static void
add_key(struct ml_copy_table *t, const char *name, size_t len)
{
	t->key = must(realloc(t->key, t->key_len + len + 1));
	memcpy(t->key + t->key_len, name, len);
	t->key[t->key_len + len] = '\0';
	t->key_len += len + 1;
}

void
ml_copy_table_set_key(struct ml_copy_table *t, const struct ml_schema *s, const struct ml_index *key)
{
	free(t->key);
	t->key = NULL;
	t->key_len = 0;
	for (uint16_t i = 0; key != NULL && i < key->n_cols; i++)
		add_key(t, s->columns[key->cols[i]].name.s, s->columns[key->cols[i]].name.len);
}

static char *
or_empty(char *s)
{
	return s != NULL ? s : (char *)(uintptr_t)protobuf_c_empty_string;
}

/* What stands in m points into t, but for arrays in a. */
static Ml__CopyTable *
message_of(const struct ml_copy_table *t, struct ml_arena *a)
{
	Ml__CopyTable *m = ml_arena_alloc(a, sizeof(*m));
	size_t at = 0;

	ml__copy_table__init(m);
	m->id = t->id;
	m->db = or_empty(t->db);
	m->table = or_empty(t->name);
	m->rows = t->rows;
	m->estimated = t->estimated;
	m->done = t->done;
	m->started_ms = t->started_ms;
	m->finished_ms = t->finished_ms;
	m->version = t->version;
	m->unmade = t->stage == ML_COPY_UNMADE;
	if (t->done || t->n_ranges == 0)
		return m;
	m->key = ml_arena_alloc(a, (t->key_len + 1) * sizeof(char *));
	for (; at < t->key_len; at += strlen(t->key + at) + 1)
		m->key[m->n_key++] = t->key + at;
	m->ranges = ml_arena_alloc(a, t->n_ranges * sizeof(Ml__CopyRange *));
	for (size_t i = 0; i < t->n_ranges; i++) {
		Ml__CopyRange *r = ml_arena_alloc(a, sizeof(*r));

		ml__copy_range__init(r);
		r->after = t->ranges[i].after.v;
		r->n_after = t->ranges[i].after.n;
		r->upto = t->ranges[i].upto.v;
		r->n_upto = t->ranges[i].upto.n;
		r->done = t->ranges[i].done;
		m->ranges[m->n_ranges++] = r;
	}
	return m;
}

void
ml_copy_state_pack(const struct ml_copy_state *s, struct ml_buf *out)
{
	Ml__CopyState m = ML__COPY_STATE__INIT;
	struct ml_arena a;

	ml_arena_init(&a, 0);
	m.tables = ml_arena_alloc(&a, (s->n + 1) * sizeof(Ml__CopyTable *));
	m.done = ml_arena_alloc(&a, (s->n + 1) * sizeof(int64_t));
	m.made = ml_arena_alloc(&a, (s->n + 1) * sizeof(int64_t));
	for (size_t i = 0; i < s->n; i++) {
		const struct ml_copy_table *t = s->v[i];

		if (s->n <= ML_COPY_LISTED || (!t->done && t->n_ranges > 0))
			m.tables[m.n_tables++] = message_of(t, &a);
		else if (t->done)
			m.done[m.n_done++] = t->id;
		else if (t->stage != ML_COPY_UNMADE)
			m.made[m.n_made++] = t->id;
	}
	m.complete = s->n_open == 0;
	ml_buf_clear(out);
	ml_buf_need(out, ml__copy_state__get_packed_size(&m));
	out->len = ml__copy_state__pack(&m, (uint8_t *)out->data);
	ml_arena_fini(&a);
}

static void
set_bound(struct ml_copy_bound *b, char **v, size_t n)
{
	struct ml_copy_bound from = { .v = v, .n = n };

	ml_copy_bound_copy(b, &from);
}

int
ml_copy_state_unpack(struct ml_copy_state *s, const uint8_t *p, size_t n)
{
	Ml__CopyState *m = ml__copy_state__unpack(NULL, n, p);

	if (m == NULL)
		return -1;
	for (size_t i = 0; i < m->n_done; i++)
		ml_copy_state_done(s, ml_copy_state_add(s, m->done[i]));
	for (size_t i = 0; i < m->n_made; i++)
		(void)ml_copy_state_add(s, m->made[i]);
	for (size_t i = 0; i < m->n_tables; i++) {
		const Ml__CopyTable *from = m->tables[i];
		struct ml_copy_table *t = ml_copy_state_add(s, from->id);

		free(t->db);
		free(t->name);
		t->db = must(strdup(from->db));
		t->name = must(strdup(from->table));
		t->rows = from->rows;
		t->estimated = from->estimated;
		t->started_ms = from->started_ms;
		t->finished_ms = from->finished_ms;
		t->version = from->version;
		t->stage = from->unmade ? ML_COPY_UNMADE : ML_COPY_OPEN;
		for (size_t k = 0; k < from->n_key; k++)
			add_key(t, from->key[k], strlen(from->key[k]));
		if (from->n_ranges > 0)
			ml_copy_table_ranges(t, from->n_ranges);
		for (size_t k = 0; k < from->n_ranges; k++) {
			const Ml__CopyRange *r = from->ranges[k];

			/* Bounds of another number of columns than the key has would end up in a wrong statement. */
			if ((r->n_after != 0 && r->n_after != from->n_key) ||
				(r->n_upto != 0 && r->n_upto != from->n_key)) {
				ml__copy_state__free_unpacked(m, NULL);
				return -1;
			}
			set_bound(&t->ranges[k].after, r->after, r->n_after);
			set_bound(&t->ranges[k].upto, r->upto, r->n_upto);
			t->ranges[k].done = r->done;
		}
		if (from->done)
			ml_copy_state_done(s, t);
	}
	ml__copy_state__free_unpacked(m, NULL);
	return 0;
}
