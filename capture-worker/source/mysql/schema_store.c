#include "capture-worker/source/mysql/schema_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "capture-worker/filter/filter.h"
#include "capture-worker/mounter/tablemap.h"
#include "capture-worker/source/mysql/schema_join.h"
#include "capture-worker/source/mysql/schema_read.h"
#include "capture-worker/source/mysql/schema_store_impl.h"
#include "common/run/log.h"

bool
ml_store_takes(const struct ml_schema_store *st, struct ml_text db, struct ml_text table)
{
	if (st->env.filter == NULL)
		return !ml_filter_system_db(db.s, db.len);
	return ml_filter_table(st->env.filter, db.s, db.len, table.s, table.len);
}

bool
ml_store_takes_db(const struct ml_schema_store *st, struct ml_text db)
{
	if (st->env.filter == NULL)
		return !ml_filter_system_db(db.s, db.len);
	return ml_filter_db(st->env.filter, db.s, db.len);
}

void
ml_store_tell(struct ml_schema_store *st, const struct ml_schema *s, int64_t id, bool followed)
{
	if (st->env.table != NULL && id != 0 && (s == NULL || s->kind != ML_TABLE_VIEW))
		st->env.table(st->env.arg, id, followed);
}

void
ml_store_set(struct ml_schema_store *st, struct ml_table_entry *e, struct ml_schema *s, ml_ts version, ml_ts log_ts)
{
	bool fresh = e->id == 0;

	if (fresh)
		e->id = ml_schema_log_id(st->log, log_ts, ml_entry_db(e), ml_entry_table(e));
	/* Nobody else has seen s yet. */
	s->table_id = e->id;
	s->version = version;
	if (s != e->def)
		ml_schema_unref(e->def);
	e->def = s;
	ml_schema_log_def(st->log, log_ts, s, e->confirmed);
	if (fresh)
		ml_store_tell(st, s, e->id, true);
}

void
ml_store_drop(struct ml_schema_store *st, struct ml_table_entry *e, ml_ts ts)
{
	ml_store_tell(st, e->def, e->id, false);
	ml_schema_log_gone(st->log, ts, ml_entry_db(e), ml_entry_table(e));
	ml_schema_map_remove(&st->map, e);
}

/* A definition that holds at the checkpoint, of the log file. */
static void
from_log(void *arg, struct ml_schema *s, bool confirmed)
{
	struct ml_schema_store *st = arg;
	struct ml_table_entry *e;

	if (!ml_store_takes(st, s->db, s->table)) {
		ml_schema_unref(s); /* the filter was changed */
		return;
	}
	e = ml_schema_map_add(&st->map, s->db, s->table);
	ml_schema_unref(e->def);
	e->def = s;
	e->id = s->table_id;
	e->confirmed = confirmed;
}

int
ml_schema_store_open(struct ml_schema_store **out, const struct ml_schema_store_env *env, struct ml_err *err)
{
	struct ml_schema_store *st = calloc(1, sizeof(*st));

	if (st == NULL || (st->object = strdup(env->object != NULL ? env->object : "-")) == NULL)
		abort();
	st->env = *env;
	st->env.object = st->object;
	if (env->state_dir != NULL && (st->state_dir = strdup(env->state_dir)) == NULL)
		abort();
	st->env.state_dir = st->state_dir;
	ml_schema_map_init(&st->map, env->lower_case_table_names != 0);
	if (ml_schema_log_open(&st->log, st->state_dir, env->checkpoint_ts, from_log, st, &st->from_log, err) != 0) {
		ml_schema_store_close(st);
		return -1;
	}
	*out = st;
	return 0;
}

void
ml_schema_store_close(struct ml_schema_store *st)
{
	if (st == NULL)
		return;
	ml_schema_log_close(st->log);
	ml_schema_map_fini(&st->map);
	free(st->object);
	free(st->state_dir);
	free(st);
}

static bool
same_text(struct ml_text a, struct ml_text b)
{
	return a.len == b.len && memcmp(a.s, b.s, a.len) == 0;
}

/* Same columns and types. */
static bool
same_shape(const struct ml_schema *a, const struct ml_schema *b)
{
	if (a->n_columns != b->n_columns)
		return false;
	for (int i = 0; i < a->n_columns; i++)
		if (!same_text(a->columns[i].name, b->columns[i].name) || a->columns[i].type != b->columns[i].type ||
			a->columns[i].flen != b->columns[i].flen || a->columns[i].decimal != b->columns[i].decimal)
			return false;
	return true;
}

/* Same columns, types and keys: what is left to differ is decoration (comments, defaults). */
static bool
compatible(const struct ml_schema *a, const struct ml_schema *b)
{
	const unsigned mask = ML_F_BINARY | ML_F_GENERATED | ML_F_NULLABLE | ML_F_UNSIGNED | ML_F_PRIMARY_KEY |
			      ML_F_UNIQUE_KEY | ML_F_MULTIPLE_KEY | ML_F_HANDLE_KEY;

	if (!same_shape(a, b) || (a->kind == ML_TABLE_VIEW) != (b->kind == ML_TABLE_VIEW))
		return false;
	for (int i = 0; i < a->n_columns; i++) {
		const struct ml_column *x = &a->columns[i], *y = &b->columns[i];

		if ((x->flags & mask) != (y->flags & mask) || x->special != y->special ||
			!same_text(x->charset, y->charset) || !same_text(x->type_full, y->type_full))
			return false;
	}
	return true;
}

/* One definition of the first reading: ours (the list keeps a reference of its own). */
static void
take_read(struct ml_schema_store *st, struct ml_schema *s, ml_ts now)
{
	struct ml_table_entry *e = ml_schema_map_find(&st->map, s->db, s->table);

	if (e == NULL || e->def == NULL) {
		e = ml_schema_map_add(&st->map, s->db, s->table);
		ml_store_set(st, e, ml_schema_ref(s), now, 0);
	} else if (compatible(e->def, s)) {
		/* The same, so its comments and defaults are the better ones. */
		s->table_id = e->id;
		s->version = e->def->version;
		ml_schema_unref(e->def);
		e->def = ml_schema_ref(s);
		ml_store_tell(st, s, e->id, true);
	} else {
		/* DDL on its way will lead there; if not, it is in force at the head. */
		ml_schema_unref(e->pending);
		e->pending = ml_schema_ref(s);
		ml_store_tell(st, e->def, e->id, true);
	}
}

static void
take_db(void *arg, struct ml_text name, struct ml_text charset, struct ml_text collation)
{
	struct ml_schema_store *st = arg;

	ml_schema_map_set_db(&st->map, name, charset, collation);
}

int
ml_schema_store_load(struct ml_schema_store *st, struct ml_my_conn *conn, const struct ml_my_target *target, ml_ts now,
	struct ml_err *err)
{
	struct ml_schema_list list = { 0 };

	if (ml_schema_read_dbs(conn->my, take_db, st, st->server_charset, st->server_collation, err) != 0 ||
		ml_schema_read_tables(conn, target, st->env.filter, &list, err) != 0)
		return -1;
	for (size_t i = 0; i < list.n; i++)
		take_read(st, list.v[i], now);
	ml_schema_list_fini(&list);
	st->settled = false;
	return ml_schema_log_sync(st->log, err);
}

static void
at_head(void *arg, struct ml_table_entry *e)
{
	struct ml_schema_store *st = arg;
	struct ml_schema *s = e->pending;
	ml_ts version;

	e->confirmed = e->confirmed || e->def != NULL;
	if (s == NULL)
		return;
	e->pending = NULL;
	/* The version stays: no DDL was seen, the definition only became clearer. */
	version = e->def != NULL ? e->def->version : st->env.checkpoint_ts;
	ml_store_set(st, e, s, version, e->def != NULL ? version : 0);
	e->confirmed = true;
}

void
ml_schema_store_at_head(struct ml_schema_store *st)
{
	struct ml_err err = { 0 };

	ml_schema_map_each(&st->map, at_head, st);
	st->settled = true;
	/* Only clearer definitions wait for this; what fails now is written with the next DDL. */
	if (ml_schema_log_sync(st->log, &err) != 0)
		ml_log_err(ML_WARN, st->object, &err, "table definitions not saved");
}

size_t
ml_schema_store_stale(const struct ml_schema_store *st)
{
	return st->map.n_stale;
}

struct reread {
	struct ml_schema_store *st;
	struct ml_table_entry **v;
	size_t n, cap;
};

static void
collect_stale(void *arg, struct ml_table_entry *e)
{
	struct reread *r = arg;

	if (!e->stale)
		return;
	if (r->n == r->cap) {
		r->cap = r->cap == 0 ? 16 : r->cap * 2;
		r->v = realloc(r->v, r->cap * sizeof(struct ml_table_entry *));
		if (r->v == NULL)
			abort();
	}
	r->v[r->n++] = e;
}

int
ml_schema_store_reread(struct ml_schema_store *st, MYSQL *my, struct ml_err *err)
{
	struct reread r = { .st = st };
	int failed = 0;

	ml_schema_map_each(&st->map, collect_stale, &r);
	for (size_t i = 0; i < r.n && failed == 0; i++) {
		struct ml_table_entry *e = r.v[i];
		struct ml_schema *s;

		failed = ml_schema_read_table(my, e->db, e->table, st->env.json_as_json, &s, err);
		if (failed != 0)
			break;
		ml_schema_map_stale(&st->map, e, false);
		e->asked = true;
		if (s == NULL)
			continue; /* dropped meanwhile; the log will say so */
		if (e->def == NULL) {
			/* Nothing else is known, so it must do; a TABLE_MAP checks it. */
			ml_store_set(st, e, s, st->env.checkpoint_ts, 0);
			continue;
		}
		ml_schema_unref(e->pending);
		e->pending = s;
	}
	free(r.v);
	if (failed == 0)
		failed = ml_schema_log_sync(st->log, err);
	return failed;
}

struct each {
	const struct ml_schema_store *st;
	void (*f)(void *arg, struct ml_schema *s);
	void *arg;
};

static void
each_table(void *arg, struct ml_table_entry *e)
{
	const struct each *each = arg;

	if (e->def != NULL && e->def->kind != ML_TABLE_VIEW && e->def->kind != ML_TABLE_SEQUENCE &&
		(each->st->env.force_replicate || ml_schema_eligible(e->def)))
		each->f(each->arg, e->def);
}

void
ml_schema_store_each(struct ml_schema_store *st, void (*f)(void *arg, struct ml_schema *s), void *arg)
{
	struct each each = { st, f, arg };

	ml_schema_map_each(&st->map, each_table, &each);
}

struct ml_schema *
ml_schema_store_get(
	const struct ml_schema_store *st, const char *db, size_t db_len, const char *table, size_t table_len)
{
	struct ml_table_entry *e = ml_schema_map_find(
		&st->map, (struct ml_text){ db, (uint32_t)db_len }, (struct ml_text){ table, (uint32_t)table_len });

	return e != NULL ? e->def : NULL;
}

bool
ml_schema_store_certain(const struct ml_schema_store *st, const struct ml_schema *s)
{
	struct ml_table_entry *e = ml_schema_map_find(&st->map, s->db, s->table);

	return e != NULL && e->def == s && e->pending == NULL && !e->stale;
}

int
ml_schema_store_resolve(
	struct ml_schema_store *st, const struct ml_tablemap *tm, ml_ts ts, struct ml_schema **out, struct ml_err *err)
{
	struct ml_table_entry *e = ml_schema_map_add(&st->map, tm->db, tm->table);
	struct ml_schema *built = NULL, *better = NULL;
	enum ml_join how;
	char why[400] = "", table[400], at[48];
	bool poor, poor2;
	ml_ts version;

	e->confirmed = true;
	if (e->def == NULL && e->pending == NULL && !tm->has_names && !e->asked) {
		ml_schema_map_stale(&st->map, e, true);
		return ML_RESOLVE_UNKNOWN;
	}
	how = ml_schema_join(&built, tm, e->def, &poor, why, sizeof(why));
	if (how == ML_JOIN_SAME) {
		*out = ml_schema_ref(e->def);
		return ML_RESOLVE_OK;
	}
	/* What was read from the server later may fit where the tracked one does not. */
	if (e->pending != NULL && ml_schema_join(&better, tm, e->pending, &poor2, why, sizeof(why)) == ML_JOIN_SAME) {
		ml_schema_unref(built);
		built = e->pending;
		e->pending = NULL;
		poor = false;
	} else if (how == ML_JOIN_MISMATCH) {
		ml_schema_unref(better);
		snprintf(table, sizeof(table), "%s.%s", tm->db.s, tm->table.s);
		/* Its position in the log the caller knows, and adds. */
		snprintf(at, sizeof(at), "commit-ts %llu", (unsigned long long)ts);
		return ML_ERR(err, ErrMySQLSchemaMismatch, 0, at, table, why);
	} else {
		ml_schema_unref(better);
	}
	if (poor && !e->asked)
		ml_schema_map_stale(&st->map, e, true);
	/* Without another shape the table is no other version: only a guess (implicit NOT NULL, say) was put right. */
	version = e->def != NULL && same_shape(e->def, built) ? e->def->version : ts;
	ml_store_set(st, e, built, version, version);
	if (ml_schema_log_sync(st->log, err) != 0)
		return -1;
	*out = ml_schema_ref(built);
	return ML_RESOLVE_OK;
}
