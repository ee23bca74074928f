#include "capture-worker/source/mysql/schema_map.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool
ml_schema_map_same(const struct ml_schema_map *m, struct ml_text a, struct ml_text b)
{
	if (a.len != b.len)
		return false;
	if (!m->fold)
		return memcmp(a.s, b.s, a.len) == 0;
	for (uint32_t i = 0; i < a.len; i++)
		if (lower(a.s[i]) != lower(b.s[i]))
			return false;
	return true;
}

/* FNV-1a over both names without case, which suits both ways to compare. */
static uint64_t
hash(struct ml_text db, struct ml_text table)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (uint32_t i = 0; i < db.len; i++)
		h = (h ^ (uint8_t)lower(db.s[i])) * 0x100000001b3u;
	h = (h ^ 0xFF) * 0x100000001b3u;
	for (uint32_t i = 0; i < table.len; i++)
		h = (h ^ (uint8_t)lower(table.s[i])) * 0x100000001b3u;
	return h ^ h >> 31;
}

void
ml_schema_map_init(struct ml_schema_map *m, bool fold)
{
	*m = (struct ml_schema_map){ .fold = fold, .n_buckets = 256 };
	m->buckets = calloc(m->n_buckets, sizeof(*m->buckets));
	if (m->buckets == NULL)
		abort();
}

static void
free_entry(struct ml_table_entry *e)
{
	ml_schema_unref(e->def);
	ml_schema_unref(e->pending);
	free(e->db);
	free(e->table);
	free(e);
}

void
ml_schema_map_fini(struct ml_schema_map *m)
{
	for (size_t i = 0; i < m->n_buckets; i++)
		for (struct ml_table_entry *e = m->buckets[i], *next; e != NULL; e = next) {
			next = e->next;
			free_entry(e);
		}
	free(m->buckets);
	for (struct ml_db_entry *d = m->dbs, *next; d != NULL; d = next) {
		next = d->next;
		free(d->name);
		free(d);
	}
	*m = (struct ml_schema_map){ 0 };
}

struct ml_table_entry *
ml_schema_map_find(const struct ml_schema_map *m, struct ml_text db, struct ml_text table)
{
	struct ml_table_entry *e = m->buckets[hash(db, table) & (m->n_buckets - 1)];

	while (e != NULL &&
		(!ml_schema_map_same(m, ml_entry_table(e), table) || !ml_schema_map_same(m, ml_entry_db(e), db)))
		e = e->next;
	return e;
}

static void
grow(struct ml_schema_map *m)
{
	size_t n = m->n_buckets * 2;
	struct ml_table_entry **b = calloc(n, sizeof(*b));

	if (b == NULL)
		abort();
	for (size_t i = 0; i < m->n_buckets; i++)
		for (struct ml_table_entry *e = m->buckets[i], *next; e != NULL; e = next) {
			size_t k = hash(ml_entry_db(e), ml_entry_table(e)) & (n - 1);

			next = e->next;
			e->next = b[k];
			b[k] = e;
		}
	free(m->buckets);
	m->buckets = b;
	m->n_buckets = n;
}

struct ml_table_entry *
ml_schema_map_add(struct ml_schema_map *m, struct ml_text db, struct ml_text table)
{
	struct ml_table_entry *e = ml_schema_map_find(m, db, table);
	size_t k;

	if (e != NULL)
		return e;
	if (m->n_tables >= m->n_buckets)
		grow(m);
	e = calloc(1, sizeof(*e));
	if (e == NULL || (e->db = strndup(db.s, db.len)) == NULL || (e->table = strndup(table.s, table.len)) == NULL)
		abort();
	e->db_len = (uint32_t)strlen(e->db);
	e->table_len = (uint32_t)strlen(e->table);
	k = hash(ml_entry_db(e), ml_entry_table(e)) & (m->n_buckets - 1);
	e->next = m->buckets[k];
	m->buckets[k] = e;
	m->n_tables++;
	return e;
}

void
ml_schema_map_stale(struct ml_schema_map *m, struct ml_table_entry *e, bool stale)
{
	if (stale != e->stale)
		m->n_stale += stale ? 1 : (size_t)-1;
	e->stale = stale;
	if (stale)
		e->asked = false;
}

void
ml_schema_map_remove(struct ml_schema_map *m, struct ml_table_entry *e)
{
	struct ml_table_entry **p = &m->buckets[hash(ml_entry_db(e), ml_entry_table(e)) & (m->n_buckets - 1)];

	while (*p != e)
		p = &(*p)->next;
	*p = e->next;
	m->n_tables--;
	if (e->stale)
		m->n_stale--;
	free_entry(e);
}

void
ml_schema_map_each(struct ml_schema_map *m, void (*f)(void *arg, struct ml_table_entry *e), void *arg)
{
	for (size_t i = 0; i < m->n_buckets; i++)
		for (struct ml_table_entry *e = m->buckets[i], *next; e != NULL; e = next) {
			next = e->next;
			f(arg, e);
		}
}

struct ml_db_entry *
ml_schema_map_db(const struct ml_schema_map *m, struct ml_text name)
{
	struct ml_db_entry *d = m->dbs;

	while (d != NULL && !ml_schema_map_same(m, (struct ml_text){ d->name, d->name_len }, name))
		d = d->next;
	return d;
}

void
ml_schema_map_set_db(struct ml_schema_map *m, struct ml_text name, struct ml_text charset, struct ml_text collation)
{
	struct ml_db_entry *d = ml_schema_map_db(m, name);

	if (d == NULL) {
		d = calloc(1, sizeof(*d));
		if (d == NULL || (d->name = strndup(name.s, name.len)) == NULL)
			abort();
		d->name_len = (uint32_t)strlen(d->name);
		d->next = m->dbs;
		m->dbs = d;
	}
	snprintf(d->charset, sizeof(d->charset), "%.*s", (int)charset.len, charset.s);
	snprintf(d->collation, sizeof(d->collation), "%.*s", (int)collation.len, collation.s);
}

void
ml_schema_map_drop_db(struct ml_schema_map *m, struct ml_text name)
{
	for (struct ml_db_entry **p = &m->dbs; *p != NULL; p = &(*p)->next) {
		struct ml_db_entry *d = *p;

		if (!ml_schema_map_same(m, (struct ml_text){ d->name, d->name_len }, name))
			continue;
		*p = d->next;
		free(d->name);
		free(d);
		return;
	}
}
