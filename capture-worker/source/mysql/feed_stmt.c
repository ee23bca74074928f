/* feed_stmt.c - statements in the log: DDL, savepoints, the end of XA transactions, and what should not be there. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "capture-worker/event/mark.h"
#include "capture-worker/filter/filter.h"
#include "capture-worker/source/mysql/feed_int.h"
#include "common/run/log.h"

/* TiDB's action code of TRUNCATE TABLE (protocols.md 2.9). */
#define ACTION_TRUNCATE 11

/*
 * The groups before this one get a checkpoint of their own, since a sink may have to store it before it runs the DDL: what comes
 * again after a crash must not be rows that the new definition has no place for.
 */
static void
close_before(struct ml_feed *f)
{
	ml_ts last = f->fold.last;

	if (f->partly_out || f->had_rows || f->n_held > 0)
		return;
	f->fold.last = f->last_before;
	ml_feed_hand_over(f, f->last_before);
	f->fold.last = last;
	f->start = ml_feed_mark_now(f);
}

static int
emit_ddl(void *arg, const struct ml_ddl *d, struct ml_err *err)
{
	struct ml_feed *f = arg;

	(void)err;
	if (f->skip || f->stopped || !ml_filter_ddl(f->env->filter, d))
		return 0;
	if (f->snap != NULL && ml_snapshot_leaves_out(f->snap, d))
		return 0;
	close_before(f);
	if (f->stopped)
		return 0;
	f->had_ddl = true;
	/* Should the group be cut off behind this, its DDL comes again, which delivery "at least once" allows. */
	f->partly_out = true;
	f->b->barrier = (struct ml_barrier){ .kind = ML_BAR_DDL, .ts = d->commit_ts, .ddl = ml_ddl_copy(f->b, d) };
	(void)ml_feed_emit(f);
	return 0;
}

static int
apply(struct ml_feed *f, const struct ml_ddl_stmt *stmt, struct ml_err *err)
{
	int rc = ml_schema_store_apply(f->store, stmt, f->commit_ts, f->commit_ts - 1, emit_ddl, f, err);

	ml_feed_redefined(f);
	if (f->snap != NULL && rc == 0)
		ml_snapshot_ddl(f->snap, f, stmt);
	return rc;
}

/* Nobody knows the outcome of the statement: the definitions of what it names are to be read again. */
static int
apply_unsure(struct ml_feed *f, const struct ml_ddl_stmt *stmt, struct ml_err *err)
{
	struct ml_ddl_stmt maybe = *stmt;

	maybe.class = ML_DDL_UNKNOWN;
	maybe.items = ml_arena_alloc(&f->reader.arena, (stmt->n_items + 1) * sizeof(*maybe.items));
	for (uint32_t i = 0; i < stmt->n_items; i++) {
		maybe.items[i] = stmt->items[i];
		maybe.items[i].op = ML_DDL_MAYBE;
		maybe.items[i].action = 0;
	}
	return apply(f, &maybe, err);
}

static void
log_shape(struct ml_feed *f, const struct ml_ddl_stmt *stmt, const struct ml_ev_query *q)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (const char *p = stmt->shape; *p != '\0'; p++)
		h = (h ^ (uint8_t)*p) * UINT64_C(0x100000001b3);
	for (size_t i = 0; i < f->n_shapes && i < sizeof(f->shapes) / sizeof(f->shapes[0]); i++)
		if (f->shapes[i] == h)
			return;
	f->shapes[f->n_shapes++ % (sizeof(f->shapes) / sizeof(f->shapes[0]))] = h;
	ml_warn(f->env->object, "passed over a statement that is not understood shape=\"%s\" length=%u", stmt->shape,
		q->sql.len);
}

/* Row changes written as their statement: lost to us unless they are about nothing of ours. */
static int
on_dml(struct ml_feed *f, const struct ml_ev_query *q, const struct ml_ddl_stmt *stmt, struct ml_err *err)
{
	char at[400];
	const struct ml_text *db = stmt->dml_db.len > 0 ? &stmt->dml_db : &q->db;

	if (stmt->temporary || f->skip || ml_filter_system_db(db->s, db->len))
		return 0;
	if (stmt->dml_table.len > 0) {
		if (!ml_filter_table(f->env->filter, db->s, db->len, stmt->dml_table.s, stmt->dml_table.len))
			return 0;
		if (stmt->dml_all) {
			/* A restarted server empties its MEMORY tables this way. */
			struct ml_ddl_item item = {
				.op = ML_DDL_TRUNCATE,
				.action = ACTION_TRUNCATE,
				.db = *db,
				.table = stmt->dml_table,
			};
			struct ml_ddl_stmt truncate = { .class = ML_DDL_DDL, .items = &item, .n_items = 1 };
			struct ml_buf b = { 0 };
			int rc;

			ml_buf_puts(&b, "TRUNCATE TABLE `");
			for (uint32_t i = 0; i < stmt->dml_table.len; i++) {
				if (stmt->dml_table.s[i] == '`')
					ml_buf_putc(&b, '`');
				ml_buf_putc(&b, stmt->dml_table.s[i]);
			}
			ml_buf_putc(&b, '`');
			item.query = (struct ml_text){ .s = b.data, .len = (uint32_t)b.len };
			rc = apply(f, &truncate, err);
			ml_buf_fini(&b);
			return rc;
		}
	} else if (!ml_filter_db(f->env->filter, db->s, db->len)) {
		return 0;
	}
	{
		char text[81];

		snprintf(text, sizeof(text), "%.*s", (int)q->sql.len, q->sql.s);
		return ML_ERR(err, ErrMySQLStatementEvent, 0, ml_reader_at(&f->reader, at, sizeof(at)), text);
	}
}

/* Last word of "SAVEPOINT `x`" and "ROLLBACK TO `x`", without its quotes. */
static void
savepoint_name(char out[65], const struct ml_text *sql)
{
	const char *end = sql->s + sql->len, *p;

	while (end > sql->s && (end[-1] == ' ' || end[-1] == ';'))
		end--;
	if (end > sql->s && end[-1] == '`') {
		end--;
		for (p = end; p > sql->s && p[-1] != '`'; p--)
			;
	} else {
		for (p = end; p > sql->s && p[-1] != ' '; p--)
			;
	}
	snprintf(out, 65, "%.*s", (int)(end - p), p);
}

static int
on_savepoint(struct ml_feed *f, const struct ml_ev_query *q, bool rollback, struct ml_err *err)
{
	char name[65], at[400];

	savepoint_name(name, &q->sql);
	if (!rollback) {
		struct ml_savepoint *s;

		if (f->n_savepoints == f->cap_savepoints) {
			f->cap_savepoints = f->cap_savepoints > 0 ? 2 * f->cap_savepoints : 8;
			f->savepoints = realloc(f->savepoints, f->cap_savepoints * sizeof(*f->savepoints));
			if (f->savepoints == NULL)
				abort();
		}
		s = &f->savepoints[f->n_savepoints++];
		s->held = f->n_held;
		s->mark = ml_feed_mark_now(f);
		memcpy(s->name, name, sizeof(name));
		return 0;
	}
	for (size_t i = f->n_savepoints; i-- > 0;) {
		struct ml_savepoint *s = &f->savepoints[i];

		if (strcasecmp(s->name, name) != 0)
			continue;
		f->n_savepoints = i + 1;
		if (f->preparing || ml_feed_cut(f, s->held, &s->mark) < 0)
			break;
		return 0;
	}
	if (f->skip)
		return 0;
	return ML_ERRF(err, ErrMySQLIncident, 0,
		"rows that were rolled back to savepoint %s at %s cannot be taken back any more; re-create the changefeed",
		name, ml_reader_at(&f->reader, at, sizeof(at)));
}

static int
replayed(void *arg, const struct ml_ev *e, struct ml_err *err)
{
	return e->type == ML_EV_TABLE_MAP ? ml_feed_on_map(arg, e, err) : ml_feed_on_rows(arg, e, err);
}

int
ml_feed_one_phase(struct ml_feed *f, struct ml_err *err)
{
	struct ml_xid xid = f->reader.id.xid;

	if (ml_xa_prepared(f->xa, err) < 0)
		return -1;
	f->preparing = false;
	if (!f->skip && ml_xa_replay(f->xa, &xid, f->commit_ts, replayed, f, err) < 0)
		return -1;
	ml_xa_finish(f->xa, &xid, f->commit_ts);
	return 0;
}

static int
on_xa_end(struct ml_feed *f, const struct ml_ev_query *q, bool commit, struct ml_err *err)
{
	struct ml_xid xid = f->reader.id.xid;
	char at[400], text[300];
	int rc;

	if ((f->reader.id.flags & ML_GTIDF_XA_COMPLETED) == 0 && ml_xid_parse(&xid, q->sql.s, q->sql.len) < 0)
		return ML_ERR(err, ErrMySQLXAUnknown, 0, "an unreadable xid", ml_reader_at(&f->reader, at, sizeof(at)));
	if (commit && !f->skip) {
		rc = ml_xa_replay(f->xa, &xid, f->commit_ts, replayed, f, err);
		if (rc < 0)
			return -1;
		if (rc == 0)
			return ML_ERR(err, ErrMySQLXAUnknown, 0, ml_xid_print(&xid, text, sizeof(text)),
				ml_reader_at(&f->reader, at, sizeof(at)));
	}
	ml_xa_finish(f->xa, &xid, f->commit_ts);
	return 0;
}

/* Is it a statement of a sink of ours? */
static bool
is_marked(const struct ml_ev_query *q)
{
	return (q->sql.len >= sizeof(ML_MARK_COMMENT) - 1 &&
		       memcmp(q->sql.s, ML_MARK_COMMENT, sizeof(ML_MARK_COMMENT) - 1) == 0) ||
	       (q->increment == ML_MARK_INCREMENT && q->offset == ML_MARK_OFFSET);
}

int
ml_feed_on_statement(void *arg, const struct ml_ev_query *q, const struct ml_ddl_stmt *stmt, struct ml_err *err)
{
	struct ml_feed *f = arg;
	uint8_t alter = q->alter_flags | f->reader.id.flags_extra;

	if (f->drop_marked && is_marked(q))
		f->skip = f->marked = true;
	switch (stmt->class) {
	case ML_DDL_TXN:
		switch (stmt->txn) {
		case ML_TXN_SAVEPOINT:
			return on_savepoint(f, q, false, err);
		case ML_TXN_ROLLBACK_TO:
			return on_savepoint(f, q, true, err);
		case ML_TXN_XA_START: /* MySQL; MariaDB's GTID event says so before */
			if ((f->reader.id.flags & ML_GTIDF_XA_PREPARE) == 0 || f->preparing)
				return 0;
			f->preparing = true;
			return ml_xa_begin(f->xa, &f->reader.id.xid, err);
		case ML_TXN_XA_COMMIT:
		case ML_TXN_XA_ROLLBACK:
			return on_xa_end(f, q, stmt->txn == ML_TXN_XA_COMMIT, err);
		default:
			return 0;
		}
	case ML_DDL_DML:
		return on_dml(f, q, stmt, err);
	case ML_DDL_IGNORE:
		return 0;
	case ML_DDL_UNKNOWN:
		log_shape(f, stmt, q);
		return q->error_code != 0 ? apply_unsure(f, stmt, err) : apply(f, stmt, err);
	case ML_DDL_DDL:
		break;
	}
	/* Two-phase ALTER: only its end counts, and only a good one (mysql-upstream.md 7.4). */
	if ((alter & (ML_GTIDX_START_ALTER | ML_GTIDX_ROLLBACK_ALTER)) != 0)
		return 0;
	/* It failed; but a DROP of several tables may have done some of them. */
	if (q->error_code != 0)
		return stmt->n_items > 1 ? apply_unsure(f, stmt, err) : 0;
	if (apply(f, stmt, err) < 0)
		return -1;
	/* CREATE TABLE .. SELECT: the rows behind it are a transaction of their own (mysql-upstream.md 7.5). */
	if ((f->reader.id.flags & ML_GTIDF_STANDALONE) == 0) {
		f->commit_ts = ml_fold_group(&f->fold, 0);
		ml_feed_decide(f);
	}
	return 0;
}
