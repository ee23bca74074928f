#include "capture-worker/source/mysql/snapshot/create.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture-worker/filter/filter.h"
#include "capture-worker/source/mysql/ddl_class.h"
#include "capture-worker/source/mysql/feed_int.h"
#include "capture-worker/source/mysql/schema_read.h"

/* TiDB's action codes (protocols.md 2.9). */
enum { ACTION_CREATE_SCHEMA = 1, ACTION_CREATE_TABLE = 3, ACTION_TRUNCATE = 11 };

struct reading {
	struct ml_copy_dbs *dbs;
	const struct ml_filter *filter;
};

static char *
copy(struct ml_text t)
{
	char *p = strndup(t.s, t.len);

	if (p == NULL)
		abort();
	return p;
}

static void
add_db(void *arg, struct ml_text name, struct ml_text charset, struct ml_text collation)
{
	struct reading *r = arg;
	struct ml_copy_dbs *d = r->dbs;

	if (!ml_filter_db(r->filter, name.s, name.len))
		return;
	d->v = realloc(d->v, (d->n + 1) * sizeof(*d->v));
	if (d->v == NULL)
		abort();
	d->v[d->n++] = (struct ml_copy_db){ copy(name), copy(charset), copy(collation) };
}

int
ml_copy_dbs_read(struct ml_copy_dbs *out, MYSQL *my, const struct ml_filter *filter, struct ml_err *err)
{
	struct reading r = { out, filter };
	char charset[65], collation[65];

	*out = (struct ml_copy_dbs){ 0 };
	if (ml_schema_read_dbs(my, add_db, &r, charset, collation, err) == 0)
		return 0;
	ml_copy_dbs_fini(out);
	return -1;
}

void
ml_copy_dbs_fini(struct ml_copy_dbs *d)
{
	for (size_t i = 0; i < d->n; i++) {
		free(d->v[i].name);
		free(d->v[i].charset);
		free(d->v[i].collation);
	}
	free(d->v);
	*d = (struct ml_copy_dbs){ 0 };
}

static struct ml_text
text_of(const char *s)
{
	return (struct ml_text){ s, (uint32_t)strlen(s) };
}

static void
put_name(struct ml_buf *out, const char *name)
{
	ml_buf_putc(out, '`');
	for (const char *p = name; *p != '\0'; p++) {
		if (*p == '`')
			ml_buf_putc(out, '`');
		ml_buf_putc(out, *p);
	}
	ml_buf_putc(out, '`');
}

static void
emit(struct ml_feed *f, struct ml_ddl *d, ml_ts ts)
{
	struct ml_batch *b = ml_batch_new();

	d->copied = true;
	d->commit_ts = ts;
	d->start_ts = ts - 1;
	b->barrier = (struct ml_barrier){ .kind = ML_BAR_DDL, .ts = ts, .ddl = ml_ddl_copy(b, d) };
	(void)ml_feed_emit_one(f, b);
}

int
ml_copy_make_dbs(struct ml_feed *f, const struct ml_copy_dbs *dbs, struct ml_err *err)
{
	struct ml_buf sql = { 0 };
	ml_ts ts;

	if (dbs->n == 0)
		return 0;
	if (ml_feed_copy_begin(f, &ts, err) < 0)
		return -1;
	for (size_t i = 0; i < dbs->n && !f->stopped; i++) {
		const struct ml_copy_db *db = &dbs->v[i];
		struct ml_ddl d = {
			.action = ACTION_CREATE_SCHEMA,
			.db = text_of(db->name),
			.charset = text_of(db->charset),
			.collation = text_of(db->collation),
		};

		ml_buf_clear(&sql);
		ml_buf_puts(&sql, "CREATE DATABASE IF NOT EXISTS ");
		put_name(&sql, db->name);
		d.query = (struct ml_text){ sql.data, (uint32_t)sql.len };
		emit(f, &d, ts);
	}
	ml_buf_fini(&sql);
	if (!f->stopped)
		ml_feed_copy_end(f);
	return 0;
}

/* The statement without executable comments, as those of the log are, and with IF NOT EXISTS. */
static int
statement(struct ml_feed *f, const struct ml_schema *s, const char *text, size_t len, struct ml_arena *a,
	struct ml_text *out, struct ml_err *err)
{
	static const char head[] = "CREATE TABLE ", more[] = "IF NOT EXISTS ";
	const struct ml_ddl_env env = {
		.mariadb = f->reader.flavor == ML_MARIADB,
		.default_db = s->db.s,
		.default_db_len = s->db.len,
	};
	struct ml_ddl_stmt stmt;
	struct ml_text q;
	char *p;

	ml_ddl_classify(&env, text, len, a, &stmt);
	if (stmt.class != ML_DDL_DDL || stmt.n_items != 1 || stmt.items[0].op != ML_DDL_CREATE_TABLE ||
		stmt.items[0].query.len < sizeof(head) || memcmp(stmt.items[0].query.s, head, sizeof(head) - 1) != 0)
		return ML_ERR(err, ErrCreateTableFailed, 0, s->qname.s, "its definition is not understood", text);
	q = stmt.items[0].query;
	out->len = q.len + (uint32_t)sizeof(more) - 1;
	p = ml_arena_alloc(a, out->len + 1);
	memcpy(p, head, sizeof(head) - 1);
	memcpy(p + sizeof(head) - 1, more, sizeof(more) - 1);
	memcpy(p + sizeof(head) + sizeof(more) - 2, q.s + sizeof(head) - 1, q.len - sizeof(head) + 1);
	p[out->len] = '\0';
	out->s = p;
	return 0;
}

int
ml_copy_make_table(struct ml_feed *f, const struct ml_copy_dbs *dbs, struct ml_schema *s, const char *text, size_t len,
	ml_ts *ts, struct ml_err *err)
{
	struct ml_ddl d = {
		.action = ACTION_CREATE_TABLE,
		.db = s->db,
		.table = s->table,
		.default_db = s->db,
		.schema = s,
	};
	struct ml_arena a;
	int rc;

	for (size_t i = 0; i < dbs->n; i++)
		if (strcmp(dbs->v[i].name, s->db.s) == 0) {
			d.charset = text_of(dbs->v[i].charset);
			d.collation = text_of(dbs->v[i].collation);
		}
	ml_arena_init(&a, 4096);
	rc = statement(f, s, text, len, &a, &d.query, err);
	if (rc == 0)
		rc = ml_feed_copy_begin(f, ts, err);
	if (rc == 0 && !f->stopped)
		emit(f, &d, *ts);
	ml_arena_fini(&a);
	return rc;
}

int
ml_copy_empty_table(struct ml_feed *f, struct ml_schema *s, struct ml_err *err)
{
	struct ml_buf sql = { 0 };
	struct ml_ddl d = {
		.action = ACTION_TRUNCATE,
		.db = s->db,
		.table = s->table,
		.default_db = s->db,
		.schema = s,
	};
	ml_ts ts;

	if (ml_feed_copy_begin(f, &ts, err) < 0)
		return -1;
	ml_buf_puts(&sql, "TRUNCATE TABLE ");
	put_name(&sql, s->table.s);
	d.query = (struct ml_text){ sql.data, (uint32_t)sql.len };
	if (!f->stopped)
		emit(f, &d, ts);
	ml_buf_fini(&sql);
	return 0;
}
