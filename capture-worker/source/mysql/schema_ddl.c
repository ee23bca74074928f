/*
 * schema_ddl.c - classified statements applied to the tracked definitions, and the DDL events that follow from them: part of
 * schema_store.h.
 *
 * Definitions may be newer than the place in the log where the stream is (they were read when it started).  So a change that is
 * there already is taken as done, and a table that the log only now creates keeps the id it got at the start.
 */
#include <stdlib.h>
#include <string.h>

#include "capture-worker/filter/filter.h"
#include "capture-worker/mounter/charset.h"
#include "capture-worker/source/mysql/ddl_apply.h"
#include "capture-worker/source/mysql/ddl_column.h"
#include "capture-worker/source/mysql/schema_store.h"
#include "capture-worker/source/mysql/schema_store_impl.h"

struct apply {
	struct ml_schema_store *st;
	ml_ts commit_ts, start_ts;
	const struct ml_ddl_stmt *stmt;
	int (*emit)(void *arg, const struct ml_ddl *d, struct ml_err *err);
	void *arg;
	struct ml_err *err;
};

static const struct ml_text none = { "", 0 };

static int
send(struct apply *a, const struct ml_ddl_item *it, struct ml_schema *before, struct ml_schema *schema)
{
	struct ml_ddl d = {
		.commit_ts = a->commit_ts,
		.start_ts = a->start_ts,
		.action = it->action,
		.query = it->query,
		.default_db = a->stmt->default_db,
		.sql_mode = a->stmt->sql_mode,
		.time_us = a->stmt->time_us,
		.server_collation = a->stmt->server_collation,
		.n_collations = a->stmt->n_collations,
		.implicit_timestamps = a->stmt->implicit_timestamps,
		.db = it->db,
		.table = it->table,
		.pre_db = it->pre_db,
		.pre_table = it->pre_table,
		.schema = schema,
		.pre_schema = before,
		.charset = it->charset,
		.collation = it->collation,
	};

	memcpy(d.collations, a->stmt->collations, sizeof(d.collations));
	if (it->op == ML_DDL_CREATE_TABLE)
		d.pre_db = d.pre_table = none; /* LIKE's source is not what the table was called before */
	if (d.action == 0 && a->st->env.every_ddl && it->op == ML_DDL_ALTER_TABLE)
		d.action = ML_DDL_OTHER;
	if (d.action == 0 || (a->st->env.filter != NULL && !ml_filter_ddl(a->st->env.filter, &d)))
		return 0;
	/* Everything that it tells about must be on disk before anybody hears of it. */
	if (ml_schema_log_sync(a->st->log, a->err) != 0)
		return -1;
	return a->emit(a->arg, &d, a->err);
}

static bool
ineligible(const struct apply *a, const struct ml_schema *s)
{
	return !a->st->env.force_replicate && s != NULL && !ml_schema_eligible(s);
}

/*
 * A change of a table without a known definition.  Behind the place where definitions were read that is no table at all, but a
 * sequence: those are changed by the same statements, and are nothing that is sent.
 */
static int
unknown(struct apply *a, const struct ml_ddl_item *it, const struct ml_table_entry *e)
{
	return e == NULL && a->st->settled ? 0 : send(a, it, NULL, NULL);
}

/* Charset of tables that are created in db without one. */
static void
defaults_of(const struct apply *a, struct ml_text db, struct ml_text *charset, struct ml_text *collation)
{
	const struct ml_db_entry *d = ml_schema_map_db(&a->st->map, db);
	const char *cs = d != NULL ? d->charset : a->st->server_charset,
		   *co = d != NULL ? d->collation : a->st->server_collation;

	*charset = (struct ml_text){ cs, (uint32_t)strlen(cs) };
	*collation = (struct ml_text){ co, (uint32_t)strlen(co) };
}

/* The event itself may know better, when the defaults were changed without our seeing it. */
static void
told_defaults(const struct ml_ddl_item *it, struct ml_text *charset, struct ml_text *collation)
{
	const struct ml_charset *known = ml_charset_by_name(charset->s, charset->len);

	if (it->told_charset.len == 0 || (known != NULL && strcmp(known->name, it->told_charset.s) == 0))
		return;
	*charset = it->told_charset;
	*collation = none; /* that charset's own */
}

/* A DDL came: what was read for the time behind it may have been read before it or after. */
static void
forget_pending(struct apply *a, struct ml_table_entry *e, bool uncertain)
{
	bool had = e->pending != NULL;

	ml_schema_unref(e->pending);
	e->pending = NULL;
	e->asked = false;
	ml_schema_map_stale(&a->st->map, e, e->stale || uncertain || had);
}

/* By option MariaDB's longtext with CHECK json_valid is type JSON.  s is nobody else's yet. */
static void
json_types(const struct apply *a, struct ml_schema *s)
{
	if (!a->st->env.json_as_json)
		return;
	for (int i = 0; i < s->n_columns; i++) {
		struct ml_column *c = &s->columns[i];

		if (!c->json_text || c->type != ML_T_LONGBLOB)
			continue;
		c->type = ML_T_JSON;
		c->type_full = c->type_short = (struct ml_text){ NULL, 0 };
		ml_column_settle(c, &s->arena, s->charset, s->collation);
		ml_schema_finish(s);
	}
}

static int
create_table(struct apply *a, const struct ml_ddl_item *it)
{
	struct ml_schema_map *map = &a->st->map;
	struct ml_table_entry *e, *like;
	struct ml_schema *s = NULL;
	struct ml_text charset, collation;
	bool uncertain = false;

	if (!ml_store_takes(a->st, it->db, it->table))
		return 0;
	e = ml_schema_map_find(map, it->db, it->table);
	/* Logged too when the table was there: nothing was done then. */
	if (it->if_not_exists && e != NULL && e->confirmed && !it->or_replace)
		return 0;
	if (it->pre_table.len > 0) {
		like = ml_schema_map_find(map, it->pre_db, it->pre_table);
		if (like != NULL && like->def != NULL) {
			s = ml_schema_copy(like->def, it->db, it->table);
			ml_schema_finish(s);
		}
		uncertain = s == NULL || like->stale;
	} else {
		defaults_of(a, it->db, &charset, &collation);
		told_defaults(it, &charset, &collation);
		s = ml_ddl_apply(NULL, it, charset, collation, &uncertain);
		if (s->n_columns == 0) { /* CREATE .. SELECT: the rows that follow tell */
			ml_schema_unref(s);
			s = NULL;
		}
	}
	if (s != NULL)
		json_types(a, s);
	if (e != NULL && e->confirmed)
		ml_store_drop(a->st, e, a->commit_ts); /* OR REPLACE: another table under the name */
	e = ml_schema_map_add(map, it->db, it->table);
	forget_pending(a, e, uncertain);
	e->confirmed = true;
	if (s != NULL) {
		ml_store_set(a->st, e, s, a->commit_ts, a->commit_ts);
	}
	return ineligible(a, s) ? 0 : send(a, it, NULL, s);
}

static int
drop_table(struct apply *a, const struct ml_ddl_item *it)
{
	struct ml_table_entry *e;
	struct ml_schema *s;
	int rc;

	if (!ml_store_takes(a->st, it->db, it->table))
		return 0;
	e = ml_schema_map_find(&a->st->map, it->db, it->table);
	if (e == NULL) {
		/*
		 * Not there: IF EXISTS of nothing.  Unless the stream is still behind the place where definitions were read: a
		 * table that was dropped in between could not be read.
		 */
		return a->st->settled ? 0 : send(a, it, NULL, NULL);
	}
	s = e->def != NULL ? ml_schema_ref(e->def) : NULL;
	ml_store_drop(a->st, e, a->commit_ts);
	rc = ineligible(a, s) ? 0 : send(a, it, s, s);
	ml_schema_unref(s);
	return rc;
}

static int
truncate_table(struct apply *a, const struct ml_ddl_item *it)
{
	struct ml_table_entry *e;
	struct ml_schema *before, *s;
	int rc;

	if (!ml_store_takes(a->st, it->db, it->table))
		return 0;
	e = ml_schema_map_find(&a->st->map, it->db, it->table);
	if (e == NULL || e->def == NULL)
		return unknown(a, it, e);
	before = ml_schema_ref(e->def);
	s = ml_schema_copy(e->def, ml_entry_db(e), ml_entry_table(e));
	ml_schema_finish(s);
	e->confirmed = true;
	/* The table begins anew, as in TiDB. */
	ml_store_tell(a->st, e->def, e->id, false);
	e->id = 0;
	ml_store_set(a->st, e, s, a->commit_ts, a->commit_ts);
	rc = ineligible(a, s) ? 0 : send(a, it, before, s);
	ml_schema_unref(before);
	return rc;
}

/* Eligible or not, before and after (sinks.md 7.6). */
static int
send_change(struct apply *a, const struct ml_ddl_item *it, struct ml_schema *before, struct ml_schema *after,
	bool uncertain)
{
	if (ineligible(a, after) && !uncertain) {
		if (before == NULL || ineligible(a, before))
			return 0;
		return ML_ERRF(a->err, ErrProcessorUnknown, 0,
			"An eligible table become ineligible after DDL: [%s] it is a dangerous "
			"operation and may cause data loss. If you want to replicate this ddl safely, please pause the changefeed and "
			"update the `force-replicate=true` in the changefeed configuration, then resume the changefeed.",
			it->query.s);
	}
	return send(a, it, before, after);
}

/* Does any change reach the definition? */
static bool
changes_anything(const struct ml_ddl_item *it)
{
	for (uint32_t i = 0; i < it->n_changes; i++)
		if (it->changes[i].kind != ML_CH_OTHER)
			return true;
	return it->needs_reread || it->pre_table.len > 0;
}

/* ALTER TABLE without a new name. */
static int
alter_table(struct apply *a, const struct ml_ddl_item *it)
{
	struct ml_table_entry *e;
	struct ml_schema *before, *after;
	struct ml_text charset, collation;
	bool uncertain = false;
	int rc;

	if (!ml_store_takes(a->st, it->db, it->table) || (!changes_anything(it) && !a->st->env.every_ddl))
		return 0;
	e = ml_schema_map_find(&a->st->map, it->db, it->table);
	if (e == NULL || e->def == NULL)
		return unknown(a, it, e);
	if (!changes_anything(it))
		return ineligible(a, e->def) ? 0 : send(a, it, e->def, e->def);
	defaults_of(a, it->db, &charset, &collation);
	before = ml_schema_ref(e->def);
	after = ml_ddl_apply(before, it, charset, collation, &uncertain);
	json_types(a, after);
	e->confirmed = true;
	forget_pending(a, e, uncertain);
	ml_store_set(a->st, e, after, a->commit_ts, a->commit_ts);
	rc = send_change(a, it, before, after, uncertain);
	ml_schema_unref(before);
	return rc;
}

/* RENAME TABLE, and ALTER TABLE .. RENAME with whatever else it does (sinks.md 7.5). */
static int
rename_table(struct apply *a, const struct ml_ddl_item *it)
{
	struct ml_schema_map *map = &a->st->map;
	bool old_in = ml_store_takes(a->st, it->pre_db, it->pre_table),
	     new_in = ml_store_takes(a->st, it->db, it->table);
	bool uncertain = false;
	struct ml_table_entry *e, *n;
	struct ml_schema *before = NULL, *after = NULL;
	struct ml_text charset, collation;
	int64_t id;
	int rc;

	if (!old_in && !new_in)
		return 0;
	if (!old_in)
		return a->st->env.filter != NULL && ml_filter_ignores_txn(a->st->env.filter, a->start_ts)
			       ? 0
			       : ML_ERR(a->err, ErrSyncRenameTableFailed, 0, it->query.s);
	e = ml_schema_map_find(map, it->pre_db, it->pre_table);
	n = ml_schema_map_find(map, it->db, it->table);
	if (e != NULL && n == e)
		n = NULL; /* only the case of its name changes */
	if (e == NULL) {
		/* It was read under its new name already, or nobody knows it. */
		if (n == NULL)
			return unknown(a, it, NULL);
		n->confirmed = true;
		return send(a, it, NULL, n->def);
	}
	id = e->id;
	if (e->def != NULL) {
		before = ml_schema_ref(e->def);
		defaults_of(a, it->db, &charset, &collation);
		after = ml_ddl_apply(before, it, charset, collation, &uncertain);
		json_types(a, after);
	}
	uncertain = uncertain || e->stale || e->pending != NULL;
	e->id = new_in ? 0 : e->id; /* it moves, it does not end */
	ml_store_drop(a->st, e, a->commit_ts);
	if (new_in) {
		if (n != NULL)
			ml_store_drop(a->st, n, a->commit_ts);
		e = ml_schema_map_add(map, it->db, it->table);
		e->id = id;
		e->confirmed = true;
		ml_schema_map_stale(map, e, uncertain);
		if (after != NULL)
			ml_store_set(a->st, e, after, a->commit_ts, a->commit_ts);
	} else if (after != NULL) {
		after->version = a->commit_ts;
	}
	rc = send_change(a, it, before, after, uncertain);
	ml_schema_unref(before);
	if (!new_in)
		ml_schema_unref(after);
	return rc;
}

static int
exchange_partition(struct apply *a, const struct ml_ddl_item *it)
{
	bool one = ml_store_takes(a->st, it->db, it->table), other = ml_store_takes(a->st, it->pre_db, it->pre_table);
	struct ml_table_entry *e, *plain;

	if (!one && !other)
		return 0;
	if (one != other)
		return ML_ERR(a->err, ErrHandleDDLFailed, 0, it->query.s, (unsigned long long)a->start_ts,
			"only one of the two tables is in the filter", (unsigned long long)a->start_ts);
	e = ml_schema_map_find(&a->st->map, it->db, it->table);
	plain = ml_schema_map_find(&a->st->map, it->pre_db, it->pre_table);
	return send(a, it, plain != NULL ? plain->def : NULL, e != NULL ? e->def : NULL);
}

static int
create_view(struct apply *a, const struct ml_ddl_item *it)
{
	struct ml_table_entry *e;
	struct ml_schema *s;

	if (!ml_store_takes(a->st, it->db, it->table))
		return 0;
	e = ml_schema_map_find(&a->st->map, it->db, it->table);
	if (e != NULL && it->if_not_exists && e->confirmed)
		return 0;
	e = ml_schema_map_add(&a->st->map, it->db, it->table);
	s = ml_schema_shell(NULL, it->db, it->table, 0, 0);
	s->kind = ML_TABLE_VIEW;
	if (it->told_charset.len > 0)
		s->charset = (struct ml_text){ ml_arena_strndup(&s->arena, it->told_charset.s, it->told_charset.len),
			it->told_charset.len };
	ml_schema_finish(s);
	e->confirmed = true;
	ml_store_set(a->st, e, s, a->commit_ts, a->commit_ts);
	return send(a, it, NULL, s);
}

static void
database_defaults(struct apply *a, const struct ml_ddl_item *it)
{
	struct ml_text charset, collation;
	struct ml_column c = { .type = ML_T_VARCHAR, .charset = it->charset, .collation = it->collation };
	struct ml_arena arena;

	defaults_of(a, it->op == ML_DDL_ALTER_DB ? it->db : none, &charset, &collation);
	told_defaults(it, &charset, &collation);
	ml_arena_init(&arena, 0);
	ml_column_settle(&c, &arena, charset, collation);
	ml_schema_map_set_db(&a->st->map, it->db, c.charset, c.collation);
	ml_arena_fini(&arena);
}

struct drop_db {
	struct apply *a;
	struct ml_text db;
};

static void
drop_of_db(void *arg, struct ml_table_entry *e)
{
	struct drop_db *d = arg;

	if (ml_schema_map_same(&d->a->st->map, ml_entry_db(e), d->db))
		ml_store_drop(d->a->st, e, d->a->commit_ts);
}

static int
database(struct apply *a, const struct ml_ddl_item *it)
{
	struct ml_schema_map *map = &a->st->map;
	struct drop_db d = { a, it->db };
	struct ml_ddl_item told = *it;
	bool known = ml_schema_map_db(map, it->db) != NULL;

	if (it->op == ML_DDL_DROP_DB) {
		ml_schema_map_each(map, drop_of_db, &d);
		ml_schema_map_drop_db(map, it->db);
		if (!known && it->if_exists && a->st->settled)
			return 0;
	} else {
		if (it->op == ML_DDL_CREATE_DB && known && it->if_not_exists && a->st->settled && !it->or_replace)
			return 0;
		if (it->op == ML_DDL_CREATE_DB && it->or_replace)
			ml_schema_map_each(map, drop_of_db, &d);
		database_defaults(a, it);
		defaults_of(a, it->db, &told.charset, &told.collation);
	}
	return ml_store_takes_db(a->st, it->db) ? send(a, &told, NULL, NULL) : 0;
}

struct maybe {
	struct ml_schema_map *map;
	const struct ml_ddl_item *it;
};

static void
maybe_stale(void *arg, struct ml_table_entry *e)
{
	struct maybe *m = arg;

	if (ml_schema_map_same(m->map, ml_entry_db(e), m->it->db) &&
		(m->it->table.len == 0 || ml_schema_map_same(m->map, ml_entry_table(e), m->it->table)))
		ml_schema_map_stale(m->map, e, true);
}

static int
apply_item(struct apply *a, const struct ml_ddl_item *it)
{
	struct maybe m = { &a->st->map, it };

	switch ((enum ml_ddl_op)it->op) {
	case ML_DDL_CREATE_TABLE:
		return create_table(a, it);
	case ML_DDL_ALTER_TABLE:
		return it->pre_table.len > 0 ? rename_table(a, it) : alter_table(a, it);
	case ML_DDL_DROP_TABLE:
	case ML_DDL_DROP_VIEW:
		return drop_table(a, it);
	case ML_DDL_RENAME_TABLE:
		return rename_table(a, it);
	case ML_DDL_TRUNCATE:
		return truncate_table(a, it);
	case ML_DDL_EXCHANGE:
		return exchange_partition(a, it);
	case ML_DDL_CREATE_VIEW:
		return create_view(a, it);
	case ML_DDL_CREATE_DB:
	case ML_DDL_ALTER_DB:
	case ML_DDL_DROP_DB:
		return database(a, it);
	case ML_DDL_MAYBE:
		ml_schema_map_each(&a->st->map, maybe_stale, &m);
		return 0;
	}
	return 0;
}

int
ml_schema_store_apply(struct ml_schema_store *st, const struct ml_ddl_stmt *stmt, ml_ts commit_ts, ml_ts start_ts,
	int (*emit)(void *arg, const struct ml_ddl *d, struct ml_err *err), void *arg, struct ml_err *err)
{
	struct apply a = { st, commit_ts, start_ts, stmt, emit, arg, err };

	for (uint32_t i = 0; i < stmt->n_items; i++)
		if (apply_item(&a, &stmt->items[i]) != 0)
			return -1;
	return ml_schema_log_sync(st->log, err);
}

bool
ml_schema_store_touches(const struct ml_schema_store *st, const struct ml_ddl_stmt *stmt)
{
	for (uint32_t i = 0; i < stmt->n_items; i++) {
		const struct ml_ddl_item *it = &stmt->items[i];

		if (it->table.len == 0 ? ml_store_takes_db(st, it->db) : ml_store_takes(st, it->db, it->table))
			return true;
		if (it->pre_table.len > 0 && it->op != ML_DDL_CREATE_TABLE &&
			ml_store_takes(st, it->pre_db, it->pre_table))
			return true;
	}
	return false;
}

static struct ml_text
keep(struct ml_arena *a, struct ml_text t)
{
	return (struct ml_text){ ml_arena_strndup(a, t.s != NULL ? t.s : "", t.s != NULL ? t.len : 0),
		t.s != NULL ? t.len : 0 };
}

struct ml_ddl *
ml_ddl_copy(struct ml_batch *b, const struct ml_ddl *d)
{
	struct ml_ddl *c = ml_arena_alloc(&b->arena, sizeof(*c));

	*c = *d;
	c->query = keep(&b->arena, d->query);
	c->default_db = d->default_db.len > 0 ? keep(&b->arena, d->default_db) : none;
	c->db = keep(&b->arena, d->db);
	c->table = keep(&b->arena, d->table);
	c->pre_db = keep(&b->arena, d->pre_db);
	c->pre_table = keep(&b->arena, d->pre_table);
	c->charset = keep(&b->arena, d->charset);
	c->collation = keep(&b->arena, d->collation);
	if (d->schema != NULL)
		ml_batch_pin(b, d->schema);
	if (d->pre_schema != NULL)
		ml_batch_pin(b, d->pre_schema);
	return c;
}
