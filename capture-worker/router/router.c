#include "capture-worker/router/router.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "capture-worker/event/ddl_rename.h"
#include "capture-worker/event/ddl_token.h"
#include "capture-worker/event/schema_copy.h"
#include "capture-worker/filter/filter.h"
#include "capture-worker/router/claims.h"
#include "common/run/log.h"

/* TiDB's action codes (protocols.md 2.9). */
enum {
	ACTION_DROP_DB = 2,
	ACTION_CREATE_TABLE = 3,
	ACTION_DROP_TABLE = 4,
	ACTION_TRUNCATE = 11,
	ACTION_CREATE_VIEW = 21,
	ACTION_DROP_VIEW = 24,
	ACTION_EXCHANGE = 42,
};

struct ml_router {
	uint64_t serial; /* tells whose decisions hang on schema->target */
	struct ml_route_names *names;
	const struct ml_filter *filter;
	struct ml_claims *claims;
	char *object;
	struct ml_arena arena; /* of one call */
};

/* What was decided for one version of a source table. */
struct binding {
	uint64_t serial;
	struct ml_schema *schema; /* NULL: the name stays */
};

int
ml_router_new(struct ml_router **out, const Ml__ChangefeedSpec *spec, const struct ml_filter *filter, bool fold,
	const char *object, struct ml_err *err)
{
	static atomic_uint_fast64_t serials;
	struct ml_route_names *names;
	struct ml_router *r;

	*out = NULL;
	if (ml_route_names_new(&names, spec, err) != 0)
		return -1;
	if (names == NULL)
		return 0;
	r = calloc(1, sizeof(*r));
	if (r == NULL || (r->object = strdup(object)) == NULL)
		abort();
	r->serial = atomic_fetch_add(&serials, 1) + 1;
	r->names = names;
	r->filter = filter;
	r->claims = ml_claims_new(fold);
	ml_arena_init(&r->arena, 4096);
	*out = r;
	return 0;
}

void
ml_router_free(struct ml_router *r)
{
	if (r == NULL)
		return;
	ml_claims_free(r->claims);
	ml_route_names_free(r->names);
	ml_arena_fini(&r->arena);
	free(r->object);
	free(r);
}

static bool
same(struct ml_text a, struct ml_text b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.s, b.s, a.len) == 0);
}

static bool
same_name(struct ml_text a, struct ml_text b)
{
	return a.len == b.len && (a.len == 0 || strncasecmp(a.s, b.s, a.len) == 0);
}

/* --- definitions ---------------------------------------------------------------------------------------------------------- */

static void
binding_free(void *p)
{
	struct binding *b = p;

	if (b != NULL)
		ml_schema_unref(b->schema);
	free(b);
}

static void
bind(struct ml_router *r, struct ml_schema *s, struct ml_schema *to)
{
	struct binding *b = malloc(sizeof(*b));

	if (b == NULL)
		abort();
	*b = (struct binding){ r->serial, to != NULL ? ml_schema_ref(to) : NULL };
	if (s->target_free != NULL)
		s->target_free(s->target);
	s->target = b;
	s->target_free = binding_free;
}

/* Does have, under the target's name, serve for s?  Tables that share a target share its definitions, whatever their age. */
static bool
serves(const struct ml_claim_target *t, const struct ml_schema *have, const struct ml_schema *s)
{
	return have != NULL && (t->n_claims > 1 || (have->version == s->version && have->table_id == s->table_id)) &&
	       ml_schema_identical(have, s);
}

/* s under the claim's name: the target's newest definition if it is the same, so that shards share it. */
static struct ml_schema *
define(struct ml_claim *claim, const struct ml_schema *s)
{
	struct ml_claim_target *t = claim->target;
	struct ml_schema *to;

	if (serves(t, claim->now, s))
		return claim->now;
	if (serves(t, t->latest, s)) {
		to = ml_schema_ref(t->latest);
	} else {
		to = ml_schema_renamed(s, t->db, t->table);
		if (t->latest != NULL && t->n_claims > 1)
			to->table_id = t->latest->table_id;
		ml_schema_unref(t->latest);
		t->latest = ml_schema_ref(to);
	}
	ml_schema_unref(claim->now);
	claim->now = to;
	return to;
}

static int
claim(struct ml_router *r, struct ml_text db, struct ml_text table, bool loose, struct ml_claim **out,
	struct ml_err *err)
{
	struct ml_route_target t;
	int rc;

	ml_route_names_of(r->names, db, table, &r->arena, &t);
	rc = ml_claims_take(r->claims, db, table, &t, loose, out, err);
	ml_arena_reset(&r->arena);
	return rc;
}

/* Is it written under its own name? */
static bool
unchanged(const struct ml_claim *c)
{
	return c->target->n_claims == 1 && !c->merge && same(c->db, c->target->db) && same(c->table, c->target->table);
}

static int
schema_of(struct ml_router *r, struct ml_schema *s, bool loose, struct ml_schema **out, struct ml_err *err)
{
	const struct binding *b = s->target;
	struct ml_claim *c;

	*out = s;
	if (b != NULL && b->serial == r->serial) {
		*out = b->schema != NULL ? b->schema : s;
		return 0;
	}
	if (claim(r, s->db, s->table, loose, &c, err) != 0)
		return -1;
	if (c == NULL) /* another table has it; rows will tell which of the two is there */
		return 0;
	if (!unchanged(c))
		*out = define(c, s);
	if (!loose)
		bind(r, s, *out != s ? *out : NULL);
	return 0;
}

int
ml_router_schema(struct ml_router *r, struct ml_schema *s, struct ml_schema **out, struct ml_err *err)
{
	return schema_of(r, s, false, out, err);
}

int
ml_router_listed(struct ml_router *r, struct ml_schema *s, struct ml_schema **out, struct ml_err *err)
{
	return schema_of(r, s, true, out, err);
}

int
ml_router_rows(struct ml_router *r, struct ml_batch *b, struct ml_err *err)
{
	for (uint32_t i = 0; i < b->n_rows; i++) {
		struct ml_row *row = &b->rows[i];
		struct ml_schema *to;

		if (schema_of(r, row->schema, false, &to, err) != 0)
			return -1;
		if (to != row->schema) {
			ml_batch_pin(b, to);
			row->schema = to;
		}
	}
	return 0;
}

/* --- tables that share a target ------------------------------------------------------------------------------------------- */

struct others {
	const struct ml_claim *claim;
	const struct ml_schema *s;
	const struct ml_claim *found;
};

static bool
seen(void *arg, struct ml_claim *c)
{
	struct others *o = arg;

	if (c->target != o->claim->target || c == o->claim || c->loose)
		return false;
	o->found = c;
	return true;
}

static bool
has_latest(void *arg, struct ml_claim *c)
{
	const struct others *o = arg;

	return c->target == o->claim->target && c != o->claim && !c->loose && c->now == c->target->latest;
}

static bool
agrees(void *arg, struct ml_claim *c)
{
	struct others *o = arg;
	char why[100];

	if (c->target != o->claim->target || c == o->claim || c->now == NULL)
		return false;
	o->found = c;
	return ml_schema_agrees(c->now, o->s, why, sizeof(why));
}

/* A new shard must look like one of those that are there: while a change goes round, they are not all the same. */
static int
check_shard(struct ml_router *r, const struct ml_claim *c, const struct ml_schema *s, struct ml_err *err)
{
	struct others o = { .claim = c, .s = s };
	char why[100] = "";

	if (c->target->n_claims == 1 || s == NULL || ml_claims_any(r->claims, agrees, &o) || o.found == NULL)
		return 0;
	ml_schema_agrees(o.found->now, s, why, sizeof(why));
	return ML_ERRF(err, ErrTableRouteConflict, 0,
		"table route conflict: %.200s.%.200s and %.200s.%.200s both become %.200s.%.200s, but their definitions differ: %s",
		o.found->db.s, o.found->table.s, c->db.s, c->table.s, c->target->db.s, c->target->table.s, why);
}

int
ml_router_check(struct ml_router *r, struct ml_schema *s, struct ml_err *err)
{
	struct ml_claim *c;

	if (claim(r, s->db, s->table, false, &c, err) != 0 || check_shard(r, c, s, err) != 0)
		return -1;
	if (c->target->n_claims == 1 && c->merge)
		define(c, s);
	return 0;
}

static int
endangers(const struct ml_ddl *d, const struct ml_claim *c, struct ml_err *err)
{
	return ML_ERRF(err, ErrTableRoutingFailed, 0,
		"table routing failed: %.200s.%.200s is one of %zu tables that become %.200s.%.200s, so this would change the others' rows: %.300s; leave the statement out (ignore-txn-start-ts or an event filter) and do downstream what is right",
		c->db.s, c->table.s, c->target->n_claims, c->target->db.s, c->target->table.s, d->query.s);
}

static bool
or_replace(const struct ml_ddl *d)
{
	struct ml_lexer lx;
	struct ml_tok t;

	ml_lexer_init(&lx, d->query.s, d->query.len, d->sql_mode, 0, true);
	ml_lexer_next(&lx);
	t = ml_lexer_next(&lx);
	return ml_tok_is(&t, "OR");
}

/* --- DDL ------------------------------------------------------------------------------------------------------------------ */

struct naming {
	struct ml_router *r;
	const struct ml_ddl *d; /* as it came */
	struct ml_ddl *to;
	struct ml_arena *a;
};

/* Names in the text: the statement's own first, which may be spelled otherwise where the source does not tell case apart. */
static int
name_in_text(void *arg, struct ml_text db, struct ml_text table, struct ml_text *new_db, struct ml_text *new_table,
	struct ml_err *err)
{
	struct naming *n = arg;
	const struct ml_ddl *d = n->d, *to = n->to;
	struct ml_route_target t;

	*new_table = table;
	if (table.len == 0)
		return ml_route_names_of_db(n->r->names, db, n->a, new_db, err);
	for (int fold = 0; fold < 2; fold++) {
		bool (*eq)(struct ml_text, struct ml_text) = fold ? same_name : same;

		if (fold && ml_claims_find(n->r->claims, db, table) != NULL)
			break;
		if (eq(db, d->db) && eq(table, d->table)) {
			*new_db = to->db;
			*new_table = to->table;
			return 0;
		}
		if (d->pre_table.len > 0 && eq(db, d->pre_db.len > 0 ? d->pre_db : d->db) && eq(table, d->pre_table)) {
			*new_db = to->pre_db.len > 0 ? to->pre_db : to->db;
			*new_table = to->pre_table;
			return 0;
		}
	}
	ml_route_names_of(n->r->names, db, table, n->a, &t);
	*new_db = t.db;
	*new_table = t.table;
	return 0;
}

static bool
takes(const struct ml_router *r, struct ml_text db, struct ml_text table)
{
	return r->filter == NULL || ml_filter_table(r->filter, db.s, db.len, table.s, table.len);
}

static void
pin(struct ml_batch *b, struct ml_schema **s, struct ml_schema *to)
{
	*s = to;
	ml_batch_pin(b, to);
}

/* The definition under the name that t gives. */
static void
redefine(struct ml_router *r, struct ml_batch *b, struct ml_schema **s, struct ml_text db, struct ml_text table)
{
	struct ml_claim *c;
	struct ml_schema *to;

	if (*s == NULL)
		return;
	c = ml_claims_find(r->claims, (*s)->db, (*s)->table);
	if (c != NULL && serves(c->target, c->now, *s)) {
		pin(b, s, c->now);
	} else if (!same((*s)->db, db) || !same((*s)->table, table)) {
		to = ml_schema_renamed(*s, db, table);
		pin(b, s, to);
		ml_schema_unref(to);
	}
}

/* The tables before and after: their claims.  1: not to be told. */
static int
move_claims(struct ml_router *r, const struct ml_ddl *d, bool rename, struct ml_err *err)
{
	struct ml_text pre_db = d->pre_db.len > 0 ? d->pre_db : d->db;
	struct ml_claim *c = rename ? ml_claims_find(r->claims, pre_db, d->pre_table) : NULL, *n;
	struct others o = { 0 };
	bool known, shared;
	const struct ml_schema *before;
	int rc;

	if (d->action == ACTION_DROP_TABLE || d->action == ACTION_DROP_VIEW) {
		c = ml_claims_find(r->claims, d->db, d->table);
		rc = c != NULL && c->target->n_claims > 1;
		if (rc)
			ml_warn(r->object,
				"one of several tables of a target is dropped, the target stays source=%s.%s target=%s.%s",
				c->db.s, c->table.s, c->target->db.s, c->target->table.s);
		if (c != NULL)
			ml_claims_drop(r->claims, c);
		return rc;
	}
	if (rename && c != NULL) {
		struct ml_route_target t;
		bool stays;

		ml_route_names_of(r->names, d->db, d->table, &r->arena, &t);
		stays = takes(r, d->db, d->table) && same(t.db, c->target->db) && same(t.table, c->target->table);
		ml_arena_reset(&r->arena);
		if (!stays && c->target->n_claims > 1)
			return endangers(d, c, err);
		ml_claims_drop(r->claims, c);
		if (stays) { /* one name to the other, which downstream is the same */
			if (claim(r, d->db, d->table, false, &c, err) != 0)
				return -1;
			if (d->schema != NULL)
				define(c, d->schema);
			return 1;
		}
	}
	if (!takes(r, d->db, d->table))
		return 0;
	known = ml_claims_find(r->claims, d->db, d->table) != NULL;
	if (claim(r, d->db, d->table, false, &n, err) != 0)
		return -1;
	o.claim = n;
	shared = n->target->n_claims > 1;
	before = n->now;
	if (d->action == ACTION_TRUNCATE && shared)
		return endangers(d, n, err);
	if (d->action == ACTION_CREATE_TABLE || d->action == ACTION_CREATE_VIEW || rename) {
		bool others = shared && ml_claims_any(r->claims, seen, &o);

		if ((rc = check_shard(r, n, d->schema, err)) != 0 ||
			(shared && (rename || (others && or_replace(d)))) != 0) {
			rc = rc != 0 ? rc : endangers(d, n, err);
			if (!known)
				ml_claims_drop(r->claims, n);
			return rc;
		}
		if (d->schema != NULL && !unchanged(n))
			define(n, d->schema);
		return others; /* it is there already */
	}
	if (d->schema == NULL || unchanged(n))
		return 0;
	/* What the target has from another shard already. */
	return define(n, d->schema) != before && before != NULL && shared && n->now == n->target->latest &&
	       ml_claims_any(r->claims, has_latest, &o);
}

static bool
in_target_db(void *arg, struct ml_claim *c)
{
	const struct ml_ddl *d = arg;

	return same(c->target->db, d->db);
}

static int
database(struct ml_router *r, struct ml_ddl *to, const struct ml_ddl *d, struct ml_arena *a, struct ml_err *err)
{
	if (ml_route_names_of_db(r->names, d->db, a, &to->db, err) != 0)
		return -1;
	if (d->action != ACTION_DROP_DB)
		return 0;
	ml_claims_drop_db(r->claims, d->db);
	if (same(d->db, to->db) || !ml_claims_any(r->claims, in_target_db, to))
		return 0;
	ml_warn(r->object, "a database is dropped, the target stays: it has tables of others source=%s target=%s",
		d->db.s, to->db.s);
	return 1;
}

static void
target_of(struct ml_router *r, struct ml_text db, struct ml_text table, struct ml_arena *a, struct ml_text *to_db,
	struct ml_text *to_table)
{
	struct ml_route_target t;

	ml_route_names_of(r->names, db, table, a, &t);
	*to_db = t.db;
	*to_table = t.table;
}

int
ml_router_ddl(struct ml_router *r, struct ml_batch *b, struct ml_err *err)
{
	struct ml_ddl *to = b->barrier.ddl, d = *to;
	bool rename = d.pre_table.len > 0 && d.action != ACTION_EXCHANGE;
	struct naming naming = { r, &d, to, &b->arena };
	struct ml_ddl_names names = {
		.db = d.default_db.len > 0 ? d.default_db : d.db,
		.sql_mode = d.sql_mode,
		.name = name_in_text,
		.arg = &naming,
	};
	int rc;

	if (d.table.len == 0 && d.pre_table.len == 0) {
		rc = database(r, to, &d, &b->arena, err);
	} else {
		target_of(r, d.db, d.table, &b->arena, &to->db, &to->table);
		if (d.pre_table.len > 0)
			target_of(r, d.pre_db.len > 0 ? d.pre_db : d.db, d.pre_table, &b->arena, &to->pre_db,
				&to->pre_table);
		redefine(r, b, &to->pre_schema, rename || d.pre_table.len > 0 ? to->pre_db : to->db,
			d.pre_table.len > 0 ? to->pre_table : to->table);
		if (d.action == ACTION_DROP_TABLE || d.action == ACTION_DROP_VIEW)
			redefine(r, b, &to->schema, to->db, to->table);
		rc = d.action == ACTION_EXCHANGE ? 0 : move_claims(r, &d, rename, err);
		if (rc == 0 && d.action != ACTION_DROP_TABLE && d.action != ACTION_DROP_VIEW)
			redefine(r, b, &to->schema, to->db, to->table);
	}
	if (rc != 0)
		return rc;
	names.new_db = to->db;
	if (ml_ddl_rename(&names, d.query, &b->arena, &to->query, err) != 0)
		return -1;
	if (d.default_db.len > 0)
		to->default_db = to->db;
	return 0;
}
