/* follow.c - the initial copy's tables as definitions change: new ones, those that go, and statements that are left out. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "capture-worker/source/mysql/feed_int.h"
#include "capture-worker/source/mysql/snapshot/snapshot_int.h"

/* TiDB's action codes (protocols.md 2.9). */
enum { ACTION_CREATE_TABLE = 3, ACTION_CREATE_VIEW = 21, ACTION_DROP_VIEW = 24 };

void
ml_copy_forget_left_out(struct ml_snapshot *s)
{
	for (size_t i = 0; i < s->n_left_out; i++)
		free(s->left_out[i]);
	s->n_left_out = 0;
}

struct sync {
	struct ml_snapshot *s;
	const struct ml_ddl_stmt *stmt; /* NULL: at the start */
	bool passed;                    /* its group is older than where the changefeed begins */
};

static bool
same_name(struct ml_text a, struct ml_text b)
{
	return a.len == b.len && strncasecmp(a.s, b.s, a.len) == 0;
}

/* A table that the statement has made begins empty: all its rows are in the stream. */
static bool
begun_by(const struct ml_ddl_stmt *stmt, const struct ml_schema *d)
{
	for (uint32_t i = 0; stmt != NULL && i < stmt->n_items; i++) {
		const struct ml_ddl_item *it = &stmt->items[i];

		if ((it->op == ML_DDL_CREATE_TABLE || it->op == ML_DDL_TRUNCATE) && same_name(it->db, d->db) &&
			same_name(it->table, d->table))
			return true;
	}
	return false;
}

static bool
was_left_out(const struct ml_snapshot *s, struct ml_text db, struct ml_text table)
{
	for (size_t i = 0; i < s->n_left_out; i++) {
		const char *p = s->left_out[i];

		if (same_name((struct ml_text){ p, (uint32_t)strlen(p) }, db) &&
			strcasecmp(p + strlen(p) + 1, table.s) == 0)
			return true;
	}
	return false;
}

static void
set_text(char **to, struct ml_text from)
{
	if (*to != NULL && strlen(*to) == from.len && memcmp(*to, from.s, from.len) == 0)
		return;
	free(*to);
	*to = strndup(from.s, from.len);
	if (*to == NULL)
		abort();
}

static void
sync_table(void *arg, struct ml_schema *d)
{
	struct sync *y = arg;
	struct ml_snapshot *s = y->s;
	struct ml_copy_table *t = ml_copy_state_find(&s->state, d->table_id);

	if (t == NULL) {
		t = ml_copy_state_add(&s->state, d->table_id);
		if (!y->passed && begun_by(y->stmt, d) && !was_left_out(s, d->db, d->table))
			ml_copy_state_done(&s->state, t);
		else if (s->create)
			t->stage = ML_COPY_UNMADE;
	}
	if (!s->create)
		t->stage = ML_COPY_OPEN;
	s->n_shut += t->stage != ML_COPY_OPEN;
	t->seen = true;
	t->version = d->version;
	set_text(&t->db, d->db);
	set_text(&t->name, d->table);
	ml_schema_unref(t->schema);
	t->schema = ml_schema_ref(d);
}

void
ml_copy_sync_tables(struct ml_snapshot *s, struct ml_feed *f, const struct ml_ddl_stmt *stmt)
{
	struct sync y = { s, stmt, f->skip };

	s->n_shut = 0;
	for (size_t i = 0; i < s->state.n; i++)
		s->state.v[i]->seen = false;
	ml_schema_store_each(f->store, sync_table, &y);
	for (size_t i = s->state.n; i-- > 0;) {
		struct ml_copy_table *t = s->state.v[i];

		if (t->seen)
			continue;
		for (uint32_t k = 0; k < s->n_jobs; k++)
			if (s->jobs[k].table == t) {
				s->jobs[k].table = NULL;
				s->jobs[k].dirty = true;
			}
		ml_copy_state_remove(&s->state, t);
	}
	s->last_schema = NULL;
	s->last = NULL;
	ml_copy_state_pack(&s->state, &f->copied);
}

static bool
is_table(const struct ml_copy_table *t, struct ml_text db, struct ml_text table)
{
	return t->db != NULL && t->name != NULL && same_name((struct ml_text){ t->db, (uint32_t)strlen(t->db) }, db) &&
	       same_name((struct ml_text){ t->name, (uint32_t)strlen(t->name) }, table);
}

/* The table as it was called before the statement, whose definitions are applied already. */
static const struct ml_copy_table *
table_before(const struct ml_snapshot *s, const struct ml_ddl *d)
{
	struct ml_text db = d->pre_table.len > 0 && d->pre_db.len > 0 ? d->pre_db : d->db;
	struct ml_text table = d->pre_table.len > 0 ? d->pre_table : d->table;

	for (size_t i = 0; i < s->state.n; i++)
		if (is_table(s->state.v[i], db, table))
			return s->state.v[i];
	return NULL;
}

bool
ml_snapshot_leaves_out(struct ml_snapshot *s, const struct ml_ddl *d)
{
	const struct ml_copy_table *t;
	char *name;

	if (s->n_shut == 0 || d->table.len == 0 || d->action == ACTION_CREATE_VIEW || d->action == ACTION_DROP_VIEW)
		return false;
	t = table_before(s, d);
	/* One that is new may be like one that is not made yet: it is made later, too. */
	if (t != NULL ? t->stage != ML_COPY_UNMADE : d->action != ACTION_CREATE_TABLE)
		return false;
	name = calloc(1, d->db.len + d->table.len + 2);
	s->left_out = realloc(s->left_out, (s->n_left_out + 1) * sizeof(char *));
	if (name == NULL || s->left_out == NULL)
		abort();
	memcpy(name, d->db.s, d->db.len);
	memcpy(name + d->db.len + 1, d->table.s, d->table.len);
	s->left_out[s->n_left_out++] = name;
	return true;
}

/* Does the statement name the table, or its database? */
static bool
names(const struct ml_ddl_stmt *stmt, const struct ml_schema *d)
{
	if (stmt->n_items == 0)
		return true;
	for (uint32_t i = 0; i < stmt->n_items; i++) {
		const struct ml_ddl_item *it = &stmt->items[i];

		if (same_name(it->db, d->db) && (it->table.len == 0 || same_name(it->table, d->table)))
			return true;
		if (it->pre_table.len > 0 && same_name(it->pre_table, d->table) &&
			(it->pre_db.len == 0 || same_name(it->pre_db, d->db)))
			return true;
	}
	return false;
}

void
ml_snapshot_ddl(struct ml_snapshot *s, struct ml_feed *f, const struct ml_ddl_stmt *stmt)
{
	if (ml_schema_store_touches(f->store, stmt)) {
		/* By the names before: definitions that changed otherwise are seen when the chunk is taken. */
		for (uint32_t k = 0; k < s->n_jobs; k++)
			if (s->jobs[k].schema != NULL && names(stmt, s->jobs[k].schema))
				s->jobs[k].dirty = true;
		ml_copy_sync_tables(s, f, stmt);
	}
	ml_copy_forget_left_out(s);
}
