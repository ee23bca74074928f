/* Tables under other names: rules, claims, rows and DDL. */
#include "capture-worker/router/router.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "capture-worker/router/claims.h"
#include "capture-worker/router/names.h"

static struct ml_text
text(const char *s)
{
	return (struct ml_text){ s, (uint32_t)strlen(s) };
}

/* ---- rules ---- */

struct rules {
	Ml__ChangefeedSpec spec;
	Ml__DispatchRule rules[4], *list[4];
	char *matchers[4][1];
};

/* matcher, schema, table; a '+' in front of the matcher: target-merge. */
static void
rules_init(struct rules *r, const char *const (*rows)[3], size_t n)
{
	*r = (struct rules){ .spec = ML__CHANGEFEED_SPEC__INIT };
	for (size_t i = 0; i < n; i++) {
		const char *matcher = rows[i][0];

		ml__dispatch_rule__init(&r->rules[i]);
		r->rules[i].target_merge = matcher[0] == '+';
		r->matchers[i][0] = (char *)(uintptr_t)(matcher + (matcher[0] == '+'));
		r->rules[i].matcher = r->matchers[i];
		r->rules[i].n_matcher = 1;
		r->rules[i].target_schema = (char *)(uintptr_t)rows[i][1];
		r->rules[i].target_table = (char *)(uintptr_t)rows[i][2];
		r->list[i] = &r->rules[i];
	}
	r->spec.dispatchers = r->list;
	r->spec.n_dispatchers = n;
}

static void
the_first_rule_with_a_name_decides(void **state)
{
	static const char *const rules[][3] = { { "*.*", "", "" }, { "staging.*", "prod", "{table}_copy" },
		{ "*.log", "", "{schema}_{table}" }, { "staging.log", "never", "never" } };
	static const char *const rows[][4] = {
		{ "staging", "a", "prod", "a_copy" },
		{ "STAGING", "Log", "prod", "Log_copy" },
		{ "other", "log", "other", "other_log" },
		{ "other", "a", "other", "a" },
	};
	struct ml_route_names *n = NULL;
	struct ml_route_target t;
	struct ml_err err = { 0 };
	struct ml_arena a;
	struct rules r;

	(void)state;
	ml_arena_init(&a, 0);
	rules_init(&r, rules, 4);
	assert_int_equal(ml_route_names_new(&n, &r.spec, &err), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ml_route_names_of(n, text(rows[i][0]), text(rows[i][1]), &a, &t);
		assert_string_equal(t.db.s, rows[i][2]);
		assert_string_equal(t.table.s, rows[i][3]);
	}
	ml_route_names_free(n);
	/* Case counts for the matcher when it is told to. */
	r.spec.case_sensitive = true;
	assert_int_equal(ml_route_names_new(&n, &r.spec, &err), 0);
	ml_route_names_of(n, text("STAGING"), text("a"), &a, &t);
	assert_string_equal(t.db.s, "STAGING");
	ml_route_names_free(n);
	/* No rule with a name: nothing to do. */
	r.spec.n_dispatchers = 1;
	assert_int_equal(ml_route_names_new(&n, &r.spec, &err), 0);
	assert_null(n);
	ml_arena_fini(&a);
}

static void
bad_rules_are_told(void **state)
{
	static const char *const rows[][3] = { { "a.*", "x{", "" }, { "a.*", "", "{tables}" }, { "a.*", "}", "" },
		{ "a.*", "{Schema}", "" }, { "a[", "x", "" }, { "nodot", "", "x" }, { "+a.*", "", "" } };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ml_router *router = NULL;
		struct ml_err err = { 0 };
		struct rules r;

		rules_init(&r, &rows[i], 1);
		if (ml_router_new(&router, &r.spec, NULL, false, "-", &err) != -1)
			fail_msg("accepted: %s %s %s", rows[i][0], rows[i][1], rows[i][2]);
		assert_int_equal(err.code, ML_ErrInvalidTableRoutingRule);
		assert_null(router);
	}
}

static void
rules_for_a_database_must_agree(void **state)
{
	static const char *const rules[][3] = { { "a.*", "x", "t" }, { "a.b", "{schema}", "" },
		{ "c.*", "{table}", "" }, { "d.*", "", "{table}_" } };
	struct ml_route_names *n;
	struct ml_err err = { 0 };
	struct ml_arena a;
	struct ml_text out;
	struct rules r;

	(void)state;
	ml_arena_init(&a, 0);
	rules_init(&r, rules, 4);
	assert_int_equal(ml_route_names_new(&n, &r.spec, &err), 0);
	assert_int_equal(ml_route_names_of_db(n, text("a"), &a, &out, &err), -1);
	assert_int_equal(err.code, ML_ErrTableRoutingFailed);
	assert_non_null(strstr(err.text, "ambiguous schema routing for schema a"));
	assert_int_equal(ml_route_names_of_db(n, text("c"), &a, &out, &err), -1);
	assert_int_equal(ml_route_names_of_db(n, text("d"), &a, &out, &err), 0);
	assert_string_equal(out.s, "d");
	assert_int_equal(ml_route_names_of_db(n, text("e"), &a, &out, &err), 0);
	assert_string_equal(out.s, "e");
	ml_route_names_free(n);
	ml_arena_fini(&a);
}

/* ---- claims ---- */

static int
take(struct ml_claims *c, const char *from, const char *to, bool merge, bool loose)
{
	struct ml_route_target t = { text("d"), text(to), merge };
	struct ml_err err = { 0 };
	struct ml_claim *claim;

	if (ml_claims_take(c, text("s"), text(from), &t, loose, &claim, &err) != 0) {
		assert_int_equal(err.code, ML_ErrTableRouteConflict);
		return -1;
	}
	return claim == NULL ? 1 : 0;
}

static void
a_target_has_one_table_unless_all_agree_to_share(void **state)
{
	struct ml_claims *c = ml_claims_new(true);

	(void)state;
	assert_int_equal(take(c, "a", "x", false, false), 0);
	assert_int_equal(take(c, "a", "x", false, false), 0); /* itself again */
	assert_int_equal(take(c, "b", "X", false, false), -1);
	assert_null(ml_claims_find(c, text("s"), text("b")));
	assert_int_equal(take(c, "b", "x", true, false), -1);
	ml_claims_drop(c, ml_claims_find(c, text("s"), text("a")));
	assert_int_equal(take(c, "b", "x", true, false), 0);
	assert_int_equal(take(c, "c", "x", true, false), 0);
	assert_int_equal(take(c, "d", "x", false, false), -1);
	/* Listed ones stand back, and are put aside. */
	assert_int_equal(take(c, "e", "x", false, true), 1);
	assert_int_equal(take(c, "e", "y", false, true), 0);
	assert_int_equal(take(c, "f", "y", false, false), 0);
	assert_null(ml_claims_find(c, text("s"), text("e")));
	assert_int_equal(take(c, "e", "y", false, false), -1);
	/* Another target: the old one is free. */
	assert_int_equal(take(c, "f", "z", false, false), 0);
	assert_int_equal(take(c, "e", "y", false, false), 0);
	ml_claims_drop_db(c, text("s"));
	assert_null(ml_claims_find(c, text("s"), text("e")));
	ml_claims_free(c);
	/* Where case counts they are two. */
	c = ml_claims_new(false);
	assert_int_equal(take(c, "a", "x", false, false), 0);
	assert_int_equal(take(c, "b", "X", false, false), 0);
	ml_claims_free(c);
}

static void
many_claims_are_found_again(void **state)
{
	struct ml_claims *c = ml_claims_new(false);
	char name[20];

	(void)state;
	for (int i = 0; i < 10000; i++) {
		snprintf(name, sizeof(name), "t%d", i);
		assert_int_equal(take(c, name, i % 2 ? "shared" : name, i % 2, false), 0);
	}
	for (int i = 0; i < 10000; i++) {
		struct ml_claim *claim;

		snprintf(name, sizeof(name), "t%d", i);
		claim = ml_claims_find(c, text("s"), text(name));
		assert_non_null(claim);
		assert_int_equal(claim->target->n_claims, i % 2 ? 5000 : 1);
	}
	ml_claims_free(c);
}

/* ---- rows and DDL ---- */

static struct ml_schema *
table(const char *db, const char *name, ml_ts version, int n)
{
	static const char *const names[] = { "id", "v", "w" };
	struct ml_schema *s = ml_schema_new();

	s->db = (struct ml_text){ ml_arena_strndup(&s->arena, db, strlen(db)), (uint32_t)strlen(db) };
	s->table = (struct ml_text){ ml_arena_strndup(&s->arena, name, strlen(name)), (uint32_t)strlen(name) };
	s->version = version;
	s->table_id = 100 + (int64_t)version;
	s->charset = s->collation = s->comment = text("");
	s->n_columns = (uint16_t)n;
	s->columns = ml_arena_zalloc(&s->arena, 3 * sizeof(*s->columns));
	for (int i = 0; i < n; i++)
		s->columns[i] = (struct ml_column){ .name = text(names[i]),
			.type = ML_T_LONG,
			.flen = 11,
			.decimal = -1,
			.flags = i > 0 ? ML_F_NULLABLE : 0,
			.charset = text("binary"),
			.collation = text("binary"),
			.comment = text(""),
			.dflt = text("") };
	s->indexes = ml_arena_zalloc(&s->arena, sizeof(*s->indexes));
	s->n_indexes = 1;
	s->indexes[0] = (struct ml_index){ .name = text("PRIMARY"),
		.primary = true,
		.unique = true,
		.n_cols = 1,
		.cols = ml_arena_zalloc(&s->arena, 2) };
	ml_schema_finish(s);
	return s;
}

struct hand {
	struct rules rules;
	struct ml_router *router;
	struct ml_err err;
	struct ml_ddl ddl; /* of the last call, as it came out */
	char query[400];
};

static void
hand_init(struct hand *h, const char *const (*rows)[3], size_t n)
{
	memset(h, 0, sizeof(*h));
	rules_init(&h->rules, rows, n);
	assert_int_equal(ml_router_new(&h->router, &h->rules.spec, NULL, false, "-", &h->err), 0);
	assert_non_null(h->router);
}

/* db.table[<db.table] query; 0, 1 or -1. */
static int
ddl(struct hand *h, int action, const char *names, const char *query, struct ml_schema *before, struct ml_schema *after)
{
	char db[40] = "", name[40] = "", pre_db[40] = "", pre[40] = "";
	struct ml_batch *b = ml_batch_new();
	struct ml_ddl *d = ml_arena_zalloc(&b->arena, sizeof(*d));
	int rc;

	sscanf(names, "%39[^.<].%39[^<]<%39[^.].%39s", db, name, pre_db, pre);
	*d = (struct ml_ddl){ .action = action,
		.commit_ts = 1000,
		.query = text(query),
		.db = text(db),
		.table = text(name),
		.pre_db = text(pre_db),
		.pre_table = text(pre),
		.schema = after,
		.pre_schema = before };
	if (before != NULL)
		ml_batch_pin(b, before);
	if (after != NULL)
		ml_batch_pin(b, after);
	b->barrier = (struct ml_barrier){ .kind = ML_BAR_DDL, .ddl = d };
	h->err = (struct ml_err){ 0 };
	rc = ml_router_ddl(h->router, b, &h->err);
	if (rc == 0) {
		h->ddl = *d;
		snprintf(h->query, sizeof(h->query), "%s.%s<%s.%s %s", d->db.s, d->table.s, d->pre_db.s, d->pre_table.s,
			d->query.s);
		if (d->schema != NULL) {
			assert_string_equal(d->schema->db.s, d->db.s);
			assert_string_equal(d->schema->table.s, d->table.s);
		}
		if (d->pre_schema != NULL && d->pre_table.len > 0)
			assert_string_equal(d->pre_schema->table.s, d->pre_table.s);
	}
	ml_batch_free(b);
	return rc;
}

/* A row of s: the definition it goes out with, borrowed from s; NULL: an error. */
static struct ml_schema *
row(struct hand *h, struct ml_schema *s)
{
	struct ml_batch *b = ml_batch_new();
	struct ml_schema *to = NULL;
	struct ml_row *r = ml_batch_row(b);

	*r = (struct ml_row){ .schema = s, .op = ML_OP_INSERT };
	h->err = (struct ml_err){ 0 };
	if (ml_router_rows(h->router, b, &h->err) == 0)
		to = b->rows[0].schema;
	ml_batch_free(b);
	return to;
}

static void
rows_go_out_under_the_new_name(void **state)
{
	static const char *const rules[][3] = { { "a.*", "z", "{table}_x" } };
	struct ml_schema *s = table("a", "t", 5, 3), *other = table("b", "t", 6, 2), *clash = table("z", "t_x", 7, 2),
			 *to;
	struct hand h;

	(void)state;
	hand_init(&h, rules, 1);
	to = row(&h, s);
	assert_string_equal(to->qname.s, "z.t_x");
	assert_int_equal(to->version, 5);
	assert_int_equal(to->table_id, 105);
	assert_int_equal(to->n_columns, 3);
	assert_string_equal(to->columns[2].type_full.s, s->columns[2].type_full.s);
	assert_ptr_equal(to->handle, &to->indexes[0]);
	assert_ptr_equal(row(&h, s), to);
	assert_string_equal(s->qname.s, "a.t");
	assert_ptr_equal(row(&h, other), other);
	/* Taken already, by a table that keeps its name. */
	assert_null(row(&h, clash));
	assert_int_equal(h.err.code, ML_ErrTableRouteConflict);
	ml_router_free(h.router);
	ml_schema_unref(s);
	ml_schema_unref(other);
	ml_schema_unref(clash);
}

static void
ddl_goes_out_with_the_new_names(void **state)
{
	static const char *const rules[][3] = { { "a.*", "z", "{table}_x" } };
	struct ml_schema *s = table("a", "t", 5, 2), *altered = table("a", "t", 8, 3), *renamed = table("a", "u", 9, 3);
	struct hand h;

	(void)state;
	hand_init(&h, rules, 1);
	assert_int_equal(ddl(&h, 1, "a", "CREATE DATABASE a", NULL, NULL), 0);
	assert_string_equal(h.query, "z.<. CREATE DATABASE `z`");
	assert_int_equal(ddl(&h, 3, "a.t", "CREATE TABLE t (id INT PRIMARY KEY, v INT)", NULL, s), 0);
	assert_string_equal(h.query, "z.t_x<. CREATE TABLE `t_x` (id INT PRIMARY KEY, v INT)");
	row(&h, s);
	assert_int_equal(ddl(&h, 5, "a.t", "ALTER TABLE a.t ADD w INT REFERENCES b.k (id)", s, altered), 0);
	assert_string_equal(h.query, "z.t_x<. ALTER TABLE `z`.`t_x` ADD w INT REFERENCES b.k (id)");
	assert_int_equal(row(&h, altered)->version, 8);
	assert_int_equal(ddl(&h, 14, "a.u<a.t", "RENAME TABLE t TO u", altered, renamed), 0);
	assert_string_equal(h.query, "z.u_x<z.t_x RENAME TABLE `t_x` TO `u_x`");
	/* The old name is free. */
	assert_int_equal(ddl(&h, 3, "z.t_x", "CREATE TABLE t_x (id INT)", NULL, NULL), 0);
	assert_int_equal(ddl(&h, 3, "z.u_x", "CREATE TABLE u_x (id INT)", NULL, NULL), -1);
	assert_int_equal(h.err.code, ML_ErrTableRouteConflict);
	assert_int_equal(ddl(&h, 11, "a.u", "TRUNCATE u", renamed, renamed), 0);
	assert_string_equal(h.query, "z.u_x<. TRUNCATE `u_x`");
	assert_int_equal(ddl(&h, 4, "a.u", "DROP TABLE `a`.`u`", renamed, renamed), 0);
	assert_string_equal(h.query, "z.u_x<. DROP TABLE `z`.`u_x`");
	assert_int_equal(ddl(&h, 3, "z.u_x", "CREATE TABLE u_x (id INT)", NULL, NULL), 0);
	/* What cannot be written anew is an error. */
	assert_int_equal(ddl(&h, 21, "a.w", "CREATE VIEW w AS TABLE t", NULL, NULL), -1);
	assert_int_equal(h.err.code, ML_ErrTableRoutingFailed);
	/* The database has others' tables by now. */
	assert_int_equal(ddl(&h, 2, "a", "DROP DATABASE a", NULL, NULL), 1);
	assert_int_equal(ddl(&h, 2, "b", "DROP DATABASE b", NULL, NULL), 0);
	assert_string_equal(h.query, "b.<. DROP DATABASE b");
	ml_router_free(h.router);
	ml_schema_unref(s);
	ml_schema_unref(altered);
	ml_schema_unref(renamed);
}

static void
names_are_found_where_the_source_tells_no_case_apart(void **state)
{
	static const char *const rules[][3] = { { "a.*", "z", "{table}_x" } };
	struct hand h;

	(void)state;
	hand_init(&h, rules, 1);
	/* The source's names are in lower case then, the text is as it was typed. */
	assert_int_equal(
		ddl(&h, 3, "a.t", "CREATE TABLE A.T (id INT, FOREIGN KEY (id) REFERENCES T (id))", NULL, NULL), 0);
	assert_string_equal(h.query, "z.t_x<. CREATE TABLE `z`.`t_x` (id INT, FOREIGN KEY (id) REFERENCES `t_x` (id))");
	/* Where it does, a table that is known is itself. */
	assert_int_equal(ddl(&h, 3, "a.U", "CREATE TABLE U (id INT)", NULL, NULL), 0);
	assert_int_equal(ddl(&h, 3, "a.u", "CREATE TABLE u LIKE U", NULL, NULL), 0);
	assert_string_equal(h.query, "z.u_x<. CREATE TABLE `u_x` LIKE `U_x`");
	ml_router_free(h.router);
}

static void
the_old_claim_is_free_for_a_swap(void **state)
{
	static const char *const rules[][3] = { { "a.*", "z", "" } };
	struct hand h;

	(void)state;
	hand_init(&h, rules, 1);
	assert_int_equal(ddl(&h, 3, "a.s", "CREATE TABLE s (id INT)", NULL, NULL), 0);
	assert_int_equal(ddl(&h, 3, "a.t", "CREATE TABLE t (id INT)", NULL, NULL), 0);
	assert_int_equal(ddl(&h, 14, "a.x<a.s", "RENAME TABLE `a`.`s` TO `a`.`x`", NULL, NULL), 0);
	assert_int_equal(ddl(&h, 14, "a.s<a.t", "RENAME TABLE `a`.`t` TO `a`.`s`", NULL, NULL), 0);
	assert_int_equal(ddl(&h, 14, "a.t<a.x", "RENAME TABLE `a`.`x` TO `a`.`t`", NULL, NULL), 0);
	assert_string_equal(h.query, "z.t<z.x RENAME TABLE `z`.`x` TO `z`.`t`");
	ml_router_free(h.router);
}

/* ---- shards ---- */

static const char *const shards[][3] = { { "+a.t_*", "z", "t" } };

static void
shards_share_one_definition(void **state)
{
	struct ml_schema *s[3] = { table("a", "t_1", 5, 2), table("a", "t_2", 6, 2), table("a", "t_3", 7, 2) };
	struct ml_schema *wide[3] = { table("a", "t_1", 21, 3), table("a", "t_2", 22, 3), table("a", "t_3", 23, 3) };
	struct ml_schema *to, *first, *second;
	struct hand h;

	(void)state;
	hand_init(&h, shards, 1);
	for (int i = 0; i < 3; i++)
		assert_int_equal(ml_router_listed(h.router, s[i], &to, &h.err), 0);
	first = row(&h, s[2]);
	assert_string_equal(first->qname.s, "z.t");
	assert_int_equal(first->version, 5); /* of the oldest, whichever has rows first */
	assert_ptr_equal(row(&h, s[0]), first);
	assert_ptr_equal(row(&h, s[1]), first);
	/* A change goes round: told once, and each shard's rows have their own definition meanwhile. */
	assert_int_equal(ddl(&h, 5, "a.t_1", "ALTER TABLE t_1 ADD w INT", s[0], wide[0]), 0);
	assert_string_equal(h.query, "z.t<. ALTER TABLE `t` ADD w INT");
	second = row(&h, wide[0]);
	assert_ptr_not_equal(second, first);
	assert_int_equal(second->table_id, first->table_id);
	assert_ptr_equal(row(&h, s[1]), first);
	assert_int_equal(ddl(&h, 5, "a.t_2", "ALTER TABLE t_2 ADD w INT", s[1], wide[1]), 1);
	assert_ptr_equal(row(&h, wide[1]), second);
	assert_ptr_equal(row(&h, s[2]), first);
	assert_int_equal(ddl(&h, 5, "a.t_3", "ALTER TABLE t_3 ADD w INT", s[2], wide[2]), 1);
	assert_ptr_equal(row(&h, wide[2]), second);
	ml_router_free(h.router);
	for (int i = 0; i < 3; i++) {
		ml_schema_unref(s[i]);
		ml_schema_unref(wide[i]);
	}
}

static void
ddl_of_one_shard_spares_the_others(void **state)
{
	struct ml_schema *s[3] = { table("a", "t_1", 5, 2), table("a", "t_2", 6, 2), table("a", "t_3", 7, 3) };
	struct hand h;

	(void)state;
	hand_init(&h, shards, 1);
	assert_int_equal(ddl(&h, 3, "a.t_1", "CREATE TABLE t_1 (id INT PRIMARY KEY, v INT)", NULL, s[0]), 0);
	assert_int_equal(ddl(&h, 3, "a.t_2", "CREATE TABLE t_2 (id INT PRIMARY KEY, v INT)", NULL, s[1]), 1);
	assert_int_equal(ddl(&h, 3, "a.t_3", "CREATE TABLE t_3 (id INT PRIMARY KEY, v INT, w INT)", NULL, s[2]), -1);
	assert_int_equal(h.err.code, ML_ErrTableRouteConflict);
	assert_non_null(strstr(h.err.text, "definitions differ: column w"));
	assert_int_equal(
		ddl(&h, 3, "a.t_2", "CREATE OR REPLACE TABLE t_2 (id INT PRIMARY KEY, v INT)", NULL, s[1]), -1);
	assert_int_equal(h.err.code, ML_ErrTableRoutingFailed);
	assert_int_equal(ddl(&h, 11, "a.t_1", "TRUNCATE t_1", s[0], s[0]), -1);
	assert_int_equal(h.err.code, ML_ErrTableRoutingFailed);
	assert_int_equal(ddl(&h, 14, "a.other<a.t_1", "RENAME TABLE t_1 TO other", s[0], NULL), -1);
	assert_int_equal(h.err.code, ML_ErrTableRoutingFailed);
	assert_int_equal(ddl(&h, 14, "a.t_9<a.t_1", "RENAME TABLE t_1 TO t_9", s[0], NULL), 1);
	assert_int_equal(ddl(&h, 4, "a.t_2", "DROP TABLE `a`.`t_2`", s[1], s[1]), 1);
	assert_int_equal(ddl(&h, 11, "a.t_9", "TRUNCATE t_9", NULL, NULL), 0); /* alone now */
	assert_int_equal(ddl(&h, 4, "a.t_9", "DROP TABLE `a`.`t_9`", NULL, NULL), 0);
	assert_string_equal(h.query, "z.t<. DROP TABLE `z`.`t`");
	ml_router_free(h.router);
	for (int i = 0; i < 3; i++)
		ml_schema_unref(s[i]);
}

static void
a_trial_finds_tables_that_do_not_fit(void **state)
{
	static const char *const apart[][3] = { { "a.t_*", "z", "t" } };
	struct ml_schema *s[4] = { table("a", "t_1", 5, 2), table("a", "t_2", 6, 2), table("a", "t_3", 7, 3),
		table("z", "t", 8, 2) };
	struct hand h;

	(void)state;
	hand_init(&h, shards, 1);
	assert_int_equal(ml_router_check(h.router, s[0], &h.err), 0);
	assert_int_equal(ml_router_check(h.router, s[1], &h.err), 0);
	assert_int_equal(ml_router_check(h.router, s[2], &h.err), -1);
	assert_int_equal(h.err.code, ML_ErrTableRouteConflict);
	assert_int_equal(ml_router_check(h.router, s[3], &h.err), -1);
	ml_router_free(h.router);
	hand_init(&h, apart, 1);
	assert_int_equal(ml_router_check(h.router, s[0], &h.err), 0);
	assert_int_equal(ml_router_check(h.router, s[1], &h.err), -1);
	assert_int_equal(h.err.code, ML_ErrTableRouteConflict);
	ml_router_free(h.router);
	for (int i = 0; i < 4; i++)
		ml_schema_unref(s[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_rule_with_a_name_decides),
		cmocka_unit_test(bad_rules_are_told),
		cmocka_unit_test(rules_for_a_database_must_agree),
		cmocka_unit_test(a_target_has_one_table_unless_all_agree_to_share),
		cmocka_unit_test(many_claims_are_found_again),
		cmocka_unit_test(rows_go_out_under_the_new_name),
		cmocka_unit_test(ddl_goes_out_with_the_new_names),
		cmocka_unit_test(names_are_found_where_the_source_tells_no_case_apart),
		cmocka_unit_test(the_old_claim_is_free_for_a_swap),
		cmocka_unit_test(shards_share_one_definition),
		cmocka_unit_test(ddl_of_one_shard_spares_the_others),
		cmocka_unit_test(a_trial_finds_tables_that_do_not_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
