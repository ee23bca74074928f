#include "capture-worker/sink/mysql/create.h"

#include <mysqld_error.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "capture-worker/event/ddl_token.h"
#include "capture-worker/event/mark.h"
#include "capture-worker/sink/mysql/ddl_collate.h"
#include "capture-worker/sink/mysql/ddl_session.h"
#include "capture-worker/sink/mysql/ddl_rewrite.h"
#include "capture-worker/sink/mysql/literal.h"
#include "common/run/log.h"
#include "common/text/json.h"

/* TiDB's action code (protocols.md 2.9). */
#define ACTION_TRUNCATE 11
/* As many names of columns as an error tells. */
#define TOLD_COLUMNS 20
/* The longest name, if it is ASCII. */
#define NAME_MAX_BYTES 64

/* ---- the statement ---- */

/* Walks the text; what stood between two tokens is kept. */
struct walk {
	struct ml_lexer lx;
	struct ml_buf *out;
	const char *at; /* up to here it has been written */
	int depth;
	bool names; /* a column's name comes next, if it is an entry of the list */
	bool blob;  /* the column's type takes no plain default outside of MariaDB */
};

static struct ml_tok
next(struct walk *w)
{
	struct ml_tok t = ml_lexer_next(&w->lx);

	if (ml_tok_punct(&t, '('))
		w->depth++;
	else if (ml_tok_punct(&t, ')'))
		w->depth--;
	return t;
}

static void
put_up_to(struct walk *w, const char *end)
{
	ml_buf_put(w->out, w->at, (size_t)(end - w->at));
	w->at = end;
}

static bool
is_blob(const struct ml_tok *t)
{
	static const char *const types[] = { "TINYBLOB", "BLOB", "MEDIUMBLOB", "LONGBLOB", "TINYTEXT", "TEXT",
		"MEDIUMTEXT", "LONGTEXT", "JSON", "GEOMETRY", "POINT", "LINESTRING", "POLYGON", "MULTIPOINT",
		"MULTILINESTRING", "MULTIPOLYGON", "GEOMETRYCOLLECTION" };

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (ml_tok_is(t, types[i]))
			return true;
	return false;
}

/* The moment of the change, which is a default everywhere. */
static bool
is_now(const struct ml_tok *t)
{
	return ml_tok_is(t, "CURRENT_TIMESTAMP") || ml_tok_is(t, "NOW") || ml_tok_is(t, "LOCALTIME") ||
	       ml_tok_is(t, "LOCALTIMESTAMP") || ml_tok_is(t, "NULL");
}

/* Behind DEFAULT: its value in parentheses, where it needs some.  Returns the token behind it. */
static struct ml_tok
put_default(struct walk *w)
{
	struct ml_tok t = next(w), after;
	const char *begin = t.s, *end = t.s + t.len;
	bool call = t.kind == ML_TK_WORD && !is_now(&t);

	if (ml_tok_punct(&t, '(') || is_now(&t) || t.kind == ML_TK_END || t.kind == ML_TK_BAD)
		return t;
	if (ml_tok_punct(&t, '-') || ml_tok_punct(&t, '+')) {
		t = next(w);
		end = t.s + t.len;
	}
	after = next(w);
	/* _utf8mb4'x', and a function's arguments. */
	if (call && after.kind == ML_TK_STRING) {
		call = false;
		end = after.s + after.len;
		after = next(w);
	} else if (call && ml_tok_punct(&after, '(')) {
		int depth = w->depth - 1;

		while (w->depth > depth && after.kind != ML_TK_END && after.kind != ML_TK_BAD)
			after = next(w);
		end = after.s + after.len;
		after = next(w);
	} else if (call) {
		return after;
	}
	if (!call && !w->blob)
		return after;
	put_up_to(w, begin);
	ml_buf_putc(w->out, '(');
	put_up_to(w, end);
	ml_buf_putc(w->out, ')');
	return after;
}

/*
 * Behind CONSTRAINT: names that the source's server made of the table's name, since a database has each only once, and tables
 * under other names may come from several.
 */
static void
put_constraint(struct walk *w, const struct ml_tok *t, struct ml_text table)
{
	static const char made[] = "_ibfk_";
	const char *end = t->s + t->len - 1, *p = end;

	if (t->kind != ML_TK_IDENT)
		return;
	while (p > t->s + 1 && p[-1] >= '0' && p[-1] <= '9')
		p--;
	if (p == end || p - t->s < (int)sizeof(made) || memcmp(p - sizeof(made) + 1, made, sizeof(made) - 1) != 0)
		return;
	p -= sizeof(made) - 1;
	if (table.len + (size_t)(end - p) > NAME_MAX_BYTES)
		return;
	put_up_to(w, t->s);
	sql_name(w->out, table.s, table.len);
	w->out->data[--w->out->len] = '\0'; /* the name's last quote */
	w->at = p;
}

void
sql_create_text(struct ml_buf *out, const struct ml_ddl *ddl, enum sql_server server)
{
	struct walk w = { .out = out, .at = ddl->query.s };
	bool other = server != SQL_MARIADB;
	struct ml_tok t;

	ml_lexer_init(&w.lx, ddl->query.s, ddl->query.len, ddl->sql_mode, 0, true);
	for (t = next(&w); t.kind != ML_TK_END && t.kind != ML_TK_BAD;) {
		if (w.depth == 1 && ml_tok_is(&t, "CONSTRAINT")) {
			t = next(&w);
			put_constraint(&w, &t, ddl->table);
		} else if (w.depth == 1 && (ml_tok_punct(&t, '(') || ml_tok_punct(&t, ','))) {
			w.names = true;
			w.blob = false;
		} else if (w.names && w.depth == 1 && t.kind == ML_TK_IDENT) {
			t = next(&w);
			w.blob = is_blob(&t);
			w.names = false;
			continue;
		} else if (other && w.depth == 1 && ml_tok_is(&t, "DEFAULT")) {
			t = put_default(&w);
			continue;
		} else if (other && w.depth == 1 && ml_tok_is(&t, "COMPRESSED")) {
			put_up_to(&w, t.s);
			w.at = t.s + t.len;
		} else {
			w.names = w.names && w.depth > 1;
		}
		t = next(&w);
	}
	put_up_to(&w, ddl->query.s + ddl->query.len);
}

/* ---- running it ---- */

static int
run(struct sql_conn *c, const struct ml_buf *b, struct ml_err *err)
{
	return sql_conn_run(c, b->data, b->len, NULL, err);
}

/* True for what says nothing of the statement: another try, later, may not meet it. */
static bool
is_passing(const struct ml_err *err)
{
	switch (err->lib) {
	case ER_LOCK_WAIT_TIMEOUT:
	case ER_LOCK_DEADLOCK:
	case ER_CON_COUNT_ERROR:
	case ER_RECORD_FILE_FULL:
	case ER_OPTION_PREVENTS_STATEMENT:
	case ER_QUERY_INTERRUPTED:
	case ER_SERVER_SHUTDOWN:
	case ER_OUT_OF_RESOURCES:
	case ER_DISK_FULL:
	case ER_CANT_CREATE_FILE:
		return true;
	default:
		return sql_is_lost(err->lib) || err->lib >= 8000;
	}
}

static int
refused(const struct ml_ddl *ddl, const struct ml_buf *text, struct ml_err *err)
{
	struct ml_err e = *err;
	char name[300];

	if (is_passing(err))
		return -1;
	snprintf(name, sizeof(name), ddl->table.len > 0 ? "%.128s.%.128s" : "%.128s", ddl->db.s, ddl->table.s);
	return ML_ERR(err, ErrCreateTableFailed, e.lib, name, e.text, text->data);
}

static int
create_db(struct sql_conn *c, const struct ml_ddl *ddl, struct ml_err *err)
{
	const char *mark = c->target->mark_table ? ML_MARK_COMMENT " " : "";
	struct ml_buf b = { 0 };
	int rc = 0;

	/* A collation that the target lacks is only a default: tables name theirs, and are refused for them. */
	for (int with_collation = 1; with_collation >= 0; with_collation--) {
		ml_buf_clear(&b);
		ml_buf_printf(&b, "%sCREATE DATABASE IF NOT EXISTS ", mark);
		sql_name(&b, ddl->db.s, ddl->db.len);
		if (ddl->charset.len > 0)
			ml_buf_printf(&b, " CHARACTER SET %.*s", (int)ddl->charset.len, ddl->charset.s);
		if (ddl->collation.len > 0 && with_collation)
			ml_buf_printf(&b, " COLLATE %.*s", (int)ddl->collation.len, ddl->collation.s);
		if (sql_collates(c->target))
			sql_ddl_collate(&b, ddl);
		rc = run(c, &b, err);
		if (rc == 0 || err->lib != ER_UNKNOWN_COLLATION)
			break;
		if (with_collation)
			*err = (struct ml_err){ 0 };
	}
	/* Who may not make databases may still use the one that is there, which the table will show. */
	if (rc != 0 && err->lib == ER_DBACCESS_DENIED_ERROR && ddl->table.len > 0) {
		*err = (struct ml_err){ 0 };
		rc = 0;
	}
	if (rc != 0)
		rc = refused(ddl, &b, err);
	ml_buf_fini(&b);
	return rc;
}

/* Selectors leave columns out, so which ones the target needs is not known here; rows will show. */
static bool
has_selectors(const struct sql_ddl *d)
{
	const char *json = d->env->spec->sink_config_json;
	struct ml_arena a;
	struct ml_json *doc;
	bool has = false;

	if (json == NULL || json[0] == '\0')
		return false;
	ml_arena_init(&a, 4096);
	if (ml_json_parse(&doc, &a, json, strlen(json), NULL) == 0) {
		const struct ml_json *v = ml_json_get(doc, "column-selectors");

		has = v != NULL && v->child != NULL;
	}
	ml_arena_fini(&a);
	return has;
}

static bool
is_written(const struct ml_column *c)
{
	return (c->flags & ML_F_GENERATED) == 0 && !c->virtual_generated && c->special != ML_SP_ROW_START &&
	       c->special != ML_SP_ROW_END;
}

static int
compare_columns(const struct ml_ddl *ddl, MYSQL_RES *res, struct ml_err *err)
{
	const struct ml_schema *s = ddl->schema;
	struct ml_buf missing = { 0 };
	unsigned n = 0;
	char name[300];
	int rc = 0;

	for (uint16_t i = 0; i < s->n_columns; i++) {
		const struct ml_column *col = &s->columns[i];
		bool found = !is_written(col);
		MYSQL_ROW row;

		mysql_data_seek(res, 0);
		while (!found && (row = mysql_fetch_row(res)) != NULL)
			found = row[0] != NULL && strcasecmp(row[0], col->name.s) == 0;
		if (!found && n++ < TOLD_COLUMNS)
			ml_buf_printf(&missing, "%s%s", n > 1 ? ", " : "", col->name.s);
	}
	if (n > TOLD_COLUMNS)
		ml_buf_printf(&missing, " and %u more", n - TOLD_COLUMNS);
	if (n > 0) {
		snprintf(name, sizeof(name), "%.128s.%.128s", ddl->db.s, ddl->table.s);
		rc = ML_ERR(err, ErrTargetTableUnfit, 0, name, missing.data);
	}
	ml_buf_fini(&missing);
	return rc;
}

/* The target's table, if there is one, must have what rows will need.  1: there is none; -1. */
static int
check_table(struct sql_ddl *d, struct sql_conn *c, const struct ml_ddl *ddl, struct ml_err *err)
{
	struct ml_buf b = { 0 };
	MYSQL_RES *res;
	int rc;

	ml_buf_puts(&b, "SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ");
	sql_text(&b, ddl->db.s, ddl->db.len, false);
	ml_buf_puts(&b, " AND TABLE_NAME = ");
	sql_text(&b, ddl->table.s, ddl->table.len, false);
	rc = mysql_real_query(c->my, b.data, (unsigned long)b.len);
	ml_buf_fini(&b);
	res = rc == 0 ? mysql_store_result(c->my) : NULL;
	if (res == NULL)
		return sql_conn_error(c, err);
	if (mysql_num_rows(res) == 0)
		rc = 1;
	else if (ddl->schema != NULL && !has_selectors(d))
		rc = compare_columns(ddl, res, err);
	mysql_free_result(res);
	return rc;
}

static int
create_table(struct sql_ddl *d, struct sql_conn *c, const struct ml_ddl *ddl, struct ml_err *err)
{
	struct ml_buf b = { 0 };
	int rc;

	sql_ddl_lenient(c);
	ml_buf_puts(&b, "USE ");
	sql_name(&b, ddl->db.s, ddl->db.len);
	rc = run(c, &b, err);
	if (rc == 0) {
		ml_buf_clear(&b);
		sql_ddl_mode(&b, ddl->sql_mode, d->target->server);
		rc = run(c, &b, err);
	}
	if (rc == 0) {
		ml_buf_clear(&b);
		if (d->target->mark_table)
			ml_buf_puts(&b, ML_MARK_COMMENT " ");
		sql_create_text(&b, ddl, d->target->server);
		if (sql_ddl_lacks_vectors(d->target))
			sql_ddl_vectors_to_text(&b, ddl->sql_mode);
		if (sql_collates(d->target))
			sql_ddl_collate(&b, ddl);
		rc = run(c, &b, err);
	}
	if (rc != 0)
		rc = refused(ddl, &b, err);
	ml_buf_fini(&b);
	return rc;
}

/* Equal rows without any key can only be counted: there must be none but those that will come. */
static int
check_empty(struct sql_conn *c, const struct ml_ddl *ddl, struct ml_err *err)
{
	struct ml_buf b = { 0 };
	char found[8];
	int rc;

	if (ddl->schema == NULL || ddl->schema->handle != NULL)
		return 0;
	ml_buf_puts(&b, "SELECT 1 FROM ");
	sql_name(&b, ddl->db.s, ddl->db.len);
	ml_buf_putc(&b, '.');
	sql_name(&b, ddl->table.s, ddl->table.len);
	ml_buf_puts(&b, " LIMIT 1");
	rc = sql_conn_scalar(c, b.data, found, sizeof(found), err);
	ml_buf_fini(&b);
	if (rc > 0)
		rc = ML_ERRF(err, ErrTargetTableUnfit, 0,
			"table %.128s.%.128s of the target has rows already, and no key by which copied rows could replace them; "
			"empty it, or leave it out by the filter, and resume the changefeed",
			ddl->db.s, ddl->table.s);
	return rc;
}

/* What is in the table is ours: it was empty when it was made known to the copy. */
static int
empty_table(struct sql_conn *c, const struct ml_ddl *ddl, struct ml_err *err)
{
	struct ml_buf b = { 0 };
	int rc;

	sql_ddl_lenient(c);
	if (c->target->mark_table)
		ml_buf_puts(&b, ML_MARK_COMMENT " ");
	ml_buf_puts(&b, "TRUNCATE TABLE ");
	sql_name(&b, ddl->db.s, ddl->db.len);
	ml_buf_putc(&b, '.');
	sql_name(&b, ddl->table.s, ddl->table.len);
	rc = run(c, &b, err);
	if (rc != 0)
		rc = refused(ddl, &b, err);
	ml_buf_fini(&b);
	return rc;
}

int
sql_create_run(struct sql_ddl *d, const struct ml_ddl *ddl, struct ml_err *err)
{
	struct sql_conn *c = &d->conn;
	int rc = 0;

	if (d->target->params->dry_run)
		return 0;
	if (sql_conn_open(c, d->target, true, err) != 0)
		return -1;
	if (c->target->mark_table)
		sql_ddl_mark(c);
	/* Looked at first: the server would refuse a statement that it does not understand even if the table is there. */
	if (ddl->action == ACTION_TRUNCATE) {
		rc = empty_table(c, ddl, err);
		sql_conn_close(c);
		return rc;
	}
	if (ddl->table.len > 0)
		rc = check_table(d, c, ddl, err);
	if (rc == 0 && ddl->table.len > 0)
		rc = check_empty(c, ddl, err);
	if (rc > 0 || ddl->table.len == 0)
		rc = create_db(c, ddl, err) != 0 || (ddl->table.len > 0 && create_table(d, c, ddl, err) != 0) ? -1 : 1;
	sql_conn_close(c);
	if (rc > 0)
		ml_info(d->env->object, "made for the initial copy, unless it was there name=%s%s%s", ddl->db.s,
			ddl->table.len > 0 ? "." : "", ddl->table.s);
	return rc < 0 ? -1 : 0;
}
