#include "capture-worker/router/claims.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Chained hash tables of both kinds; the public part comes first. */
struct source {
	struct ml_claim claim;
	struct source *next;
	struct source *sibling; /* of the same target */
	uint64_t hash;
};

struct target {
	struct ml_claim_target t;
	struct target *next;
	struct source *sources;
	uint64_t hash;
};

struct ml_claims {
	struct source **sources;
	struct target **targets;
	size_t n_sources, n_targets, cap_sources, cap_targets; /* caps: powers of two */
	bool fold;
};

static void *
must(void *p)
{
	if (p == NULL)
		abort();
	return p;
}

static uint64_t
hash_text(uint64_t h, struct ml_text t, bool fold)
{
	for (uint32_t i = 0; i < t.len; i++) {
		uint8_t c = (uint8_t)t.s[i];

		if (fold && c >= 'A' && c <= 'Z')
			c = (uint8_t)(c - 'A' + 'a');
		h = (h ^ c) * UINT64_C(0x100000001b3);
	}
	return h;
}

static uint64_t
hash_of(struct ml_text db, struct ml_text table, bool fold)
{
	uint64_t h = hash_text(UINT64_C(0xcbf29ce484222325), db, fold);

	h = hash_text((h ^ '.') * UINT64_C(0x100000001b3), table, fold);
	return h ^ h >> 32;
}

static bool
same(struct ml_text a, struct ml_text b, bool fold)
{
	if (a.len != b.len)
		return false;
	return a.len == 0 || (fold ? strncasecmp(a.s, b.s, a.len) : memcmp(a.s, b.s, a.len)) == 0;
}

static struct ml_text
dup_text(struct ml_text t)
{
	return (struct ml_text){ must(strndup(t.s, t.len)), t.len };
}

static void
free_text(struct ml_text t)
{
	free((void *)(uintptr_t)t.s);
}

struct ml_claims *
ml_claims_new(bool fold)
{
	struct ml_claims *c = must(calloc(1, sizeof(*c)));

	c->fold = fold;
	c->cap_sources = c->cap_targets = 64;
	c->sources = must(calloc(c->cap_sources, sizeof(struct source *)));
	c->targets = must(calloc(c->cap_targets, sizeof(struct target *)));
	return c;
}

static void
grow_sources(struct ml_claims *c)
{
	size_t cap = c->cap_sources * 2;
	struct source **v = must(calloc(cap, sizeof(struct source *)));

	for (size_t i = 0; i < c->cap_sources; i++)
		for (struct source *s = c->sources[i], *next; s != NULL; s = next) {
			next = s->next;
			s->next = v[s->hash & (cap - 1)];
			v[s->hash & (cap - 1)] = s;
		}
	free(c->sources);
	c->sources = v;
	c->cap_sources = cap;
}

static void
grow_targets(struct ml_claims *c)
{
	size_t cap = c->cap_targets * 2;
	struct target **v = must(calloc(cap, sizeof(struct target *)));

	for (size_t i = 0; i < c->cap_targets; i++)
		for (struct target *t = c->targets[i], *next; t != NULL; t = next) {
			next = t->next;
			t->next = v[t->hash & (cap - 1)];
			v[t->hash & (cap - 1)] = t;
		}
	free(c->targets);
	c->targets = v;
	c->cap_targets = cap;
}

static struct target *
find_target(struct ml_claims *c, struct ml_text db, struct ml_text table, uint64_t hash)
{
	struct target *t = c->targets[hash & (c->cap_targets - 1)];

	while (t != NULL && (t->hash != hash || !same(t->t.db, db, c->fold) || !same(t->t.table, table, c->fold)))
		t = t->next;
	return t;
}

static struct source *
find_source(struct ml_claims *c, struct ml_text db, struct ml_text table, uint64_t hash)
{
	struct source *s = c->sources[hash & (c->cap_sources - 1)];

	while (s != NULL && (s->hash != hash || !same(s->claim.db, db, false) || !same(s->claim.table, table, false)))
		s = s->next;
	return s;
}

struct ml_claim *
ml_claims_find(struct ml_claims *c, struct ml_text db, struct ml_text table)
{
	struct source *s = find_source(c, db, table, hash_of(db, table, false));

	return s != NULL ? &s->claim : NULL;
}

static void
drop_target(struct ml_claims *c, struct target *t)
{
	struct target **at = &c->targets[t->hash & (c->cap_targets - 1)];

	while (*at != t)
		at = &(*at)->next;
	*at = t->next;
	c->n_targets--;
	ml_schema_unref(t->t.latest);
	free_text(t->t.db);
	free_text(t->t.table);
	free(t);
}

void
ml_claims_drop(struct ml_claims *c, struct ml_claim *claim)
{
	struct source *s = (struct source *)claim, **at = &c->sources[s->hash & (c->cap_sources - 1)], **sib;
	struct target *t = (struct target *)claim->target;

	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	c->n_sources--;
	for (sib = &t->sources; *sib != s; sib = &(*sib)->sibling)
		;
	*sib = s->sibling;
	if (--t->t.n_claims == 0)
		drop_target(c, t);
	ml_schema_unref(claim->now);
	free_text(claim->db);
	free_text(claim->table);
	free(s);
}

/* Sources that match go; a target's last one takes it along. */
static void
drop_where(struct ml_claims *c, const struct ml_text *db)
{
	for (size_t i = 0; i < c->cap_sources; i++)
		for (struct source *s = c->sources[i], *next; s != NULL; s = next) {
			next = s->next;
			if (db == NULL || same(s->claim.db, *db, false))
				ml_claims_drop(c, &s->claim);
		}
}

void
ml_claims_drop_db(struct ml_claims *c, struct ml_text db)
{
	drop_where(c, &db);
}

void
ml_claims_free(struct ml_claims *c)
{
	if (c == NULL)
		return;
	drop_where(c, NULL);
	free(c->sources);
	free(c->targets);
	free(c);
}

bool
ml_claims_any(struct ml_claims *c, bool (*f)(void *arg, struct ml_claim *claim), void *arg)
{
	for (size_t i = 0; i < c->cap_sources; i++)
		for (struct source *s = c->sources[i]; s != NULL; s = s->next)
			if (f(arg, &s->claim))
				return true;
	return false;
}

/* Makes room for a claim that is not one's own.  1: it has to stand back. */
static int
settle(struct ml_claims *c, struct target *t, struct ml_text db, struct ml_text table, bool merge, bool loose,
	struct ml_err *err)
{
	struct source *other = NULL;

	for (struct source *s = t->sources; s != NULL; s = s->sibling) {
		if ((merge && s->claim.merge) || (same(s->claim.db, db, false) && same(s->claim.table, table, false)))
			continue;
		if (loose)
			return 1;
		if (!s->claim.loose)
			return ML_ERRF(err, ErrTableRouteConflict, 0,
				"table route conflict: %.200s.%.200s and %.200s.%.200s both become %.200s.%.200s",
				s->claim.db.s, s->claim.table.s, db.s, table.s, t->t.db.s, t->t.table.s);
		other = s;
	}
	if (other == NULL)
		return 0;
	/* Those that were only listed; the caller adds its own claim first, so the target stays. */
	for (struct source *s = t->sources, *next; s != NULL; s = next) {
		next = s->sibling;
		if (!(merge && s->claim.merge) && !(same(s->claim.db, db, false) && same(s->claim.table, table, false)))
			ml_claims_drop(c, &s->claim);
	}
	return 0;
}

static struct target *
add_target(struct ml_claims *c, const struct ml_route_target *to, uint64_t hash)
{
	struct target *t = must(calloc(1, sizeof(*t)));

	if (c->n_targets == c->cap_targets)
		grow_targets(c);
	t->t.db = dup_text(to->db);
	t->t.table = dup_text(to->table);
	t->hash = hash;
	t->next = c->targets[hash & (c->cap_targets - 1)];
	c->targets[hash & (c->cap_targets - 1)] = t;
	c->n_targets++;
	return t;
}

static struct source *
add_source(struct ml_claims *c, struct ml_text db, struct ml_text table, uint64_t hash)
{
	struct source *s = must(calloc(1, sizeof(*s)));

	if (c->n_sources == c->cap_sources)
		grow_sources(c);
	s->claim.db = dup_text(db);
	s->claim.table = dup_text(table);
	s->hash = hash;
	s->next = c->sources[hash & (c->cap_sources - 1)];
	c->sources[hash & (c->cap_sources - 1)] = s;
	c->n_sources++;
	return s;
}

int
ml_claims_take(struct ml_claims *c, struct ml_text db, struct ml_text table, const struct ml_route_target *to,
	bool loose, struct ml_claim **out, struct ml_err *err)
{
	uint64_t from_hash = hash_of(db, table, false), to_hash = hash_of(to->db, to->table, c->fold);
	struct source *s = find_source(c, db, table, from_hash);
	struct target *t = find_target(c, to->db, to->table, to_hash);
	int rc;

	*out = NULL;
	if (s != NULL && s->claim.target == (struct ml_claim_target *)t) {
		if (!loose && s->claim.loose) {
			if (settle(c, t, db, table, to->merge, false, err) != 0)
				return -1;
			s->claim.loose = false;
		}
		*out = &s->claim;
		return 0;
	}
	/* In the way of a claim that is kept is an error, before anything changes. */
	if (t != NULL) {
		struct target *keep = t;

		keep->t.n_claims++; /* though all others go */
		rc = settle(c, keep, db, table, to->merge, loose, err);
		keep->t.n_claims--;
		if (rc != 0)
			return rc < 0 ? -1 : 0;
	}
	if (s != NULL)
		ml_claims_drop(c, &s->claim);
	if (t == NULL)
		t = add_target(c, to, to_hash);
	s = add_source(c, db, table, from_hash);
	s->claim.target = &t->t;
	s->claim.merge = to->merge;
	s->claim.loose = loose;
	s->sibling = t->sources;
	t->sources = s;
	t->t.n_claims++;
	*out = &s->claim;
	return 0;
}
