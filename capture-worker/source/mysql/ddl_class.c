#include "capture-worker/source/mysql/ddl_class.h"

#include <string.h>

#include "capture-worker/mounter/charset.h"
#include "capture-worker/source/mysql/ddl_spec.h"

/*
 * Text to send: the server's own text is kept, with comments and redundant blanks taken out.  TiCDC prints the statement anew
 * in TiDB's style, which needs TiDB's parser; consumers parse SQL either way.
 */

struct items {
	struct ml_ddl_item *v;
	uint32_t n, cap;
};

static struct ml_ddl_item *
add_item(struct ml_px *px, struct items *is, enum ml_ddl_op op, int action)
{
	if (is->n == is->cap) {
		uint32_t cap = is->cap == 0 ? 2 : is->cap * 2;
		struct ml_ddl_item *v = ml_arena_alloc(px->a, cap * sizeof(*v));

		if (is->n > 0)
			memcpy(v, is->v, is->n * sizeof(*v));
		is->v = v;
		is->cap = cap;
	}
	memset(&is->v[is->n], 0, sizeof(is->v[0]));
	is->v[is->n].op = (uint8_t)op;
	is->v[is->n].action = action;
	return &is->v[is->n++];
}

/* "`", with those inside doubled, "`". */
static char *
put_quoted(char *p, struct ml_text t)
{
	*p++ = '`';
	for (uint32_t i = 0; i < t.len; i++) {
		if (t.s[i] == '`')
			*p++ = '`';
		*p++ = t.s[i];
	}
	*p++ = '`';
	return p;
}

static char *
put_lit(char *p, const char *s)
{
	return stpcpy(p, s);
}

/* head `db`.`table` mid `db2`.`table2` tail; the second name may be missing (mid NULL). */
static struct ml_text
rebuild(struct ml_px *px, const char *head, struct ml_text db, struct ml_text table, const char *mid,
	struct ml_text db2, struct ml_text table2)
{
	size_t room = strlen(head) + (mid != NULL ? strlen(mid) : 0) +
		      2 * ((size_t)db.len + table.len + db2.len + table2.len) + 16;
	char *start = ml_arena_bytes(px->a, room), *p = put_lit(start, head);

	p = put_quoted(p, db);
	*p++ = '.';
	p = put_quoted(p, table);
	if (mid != NULL) {
		p = put_lit(p, mid);
		p = put_quoted(p, db2);
		*p++ = '.';
		p = put_quoted(p, table2);
	}
	*p = '\0';
	return (struct ml_text){ start, (uint32_t)(p - start) };
}

static const struct ml_text none = { "", 0 };

/* The whole statement from token `from` on. */
static struct ml_text
whole(struct ml_px *px, uint32_t from)
{
	while (!ml_px_end(px))
		px->i++;
	return ml_px_source(px, from, px->n);
}

static enum ml_ddl_class
create_table(struct ml_px *px, struct items *is, uint32_t from, bool or_replace)
{
	struct ml_ddl_item *it = add_item(px, is, ML_DDL_CREATE_TABLE, 3);
	struct ml_changes cs = { 0 };
	uint32_t to;
	bool parens;

	it->or_replace = or_replace;
	ml_px_if_exists(px, &it->if_exists, &it->if_not_exists);
	if (!ml_px_table(px, &it->db, &it->table))
		return ML_DDL_UNKNOWN;
	parens = ml_px_punct(px, 0, '(') && ml_px_is(px, 1, "LIKE");
	if (parens || ml_px_is(px, 0, "LIKE")) {
		px->i += parens ? 2 : 1;
		if (!ml_px_table(px, &it->pre_db, &it->pre_table))
			return ML_DDL_UNKNOWN;
		it->query = whole(px, from);
		return ML_DDL_DDL;
	}
	if (ml_px_punct(px, 0, '(') && !ml_px_is(px, 1, "SELECT"))
		ml_px_create_body(px, &cs, it);
	ml_px_table_options(px, &cs, it);
	/* PARTITION BY hides nothing but START TRANSACTION and SELECT behind it. */
	to = px->i;
	while (!ml_px_end(px)) {
		if (ml_px_is(px, 0, "START") && ml_px_is(px, 1, "TRANSACTION")) {
			it->as_select = true;
			break;
		}
		if (ml_px_is(px, 0, "SELECT"))
			it->as_select = it->needs_reread = true;
		if (ml_px_punct(px, 0, '('))
			ml_px_skip_parens(px);
		else
			px->i++;
		to = px->i;
	}
	it->changes = cs.v;
	it->n_changes = cs.n;
	if (cs.n == 0)
		it->needs_reread = true;
	it->query = ml_px_source(px, from, to);
	return ML_DDL_DDL;
}

static void
db_options(struct ml_px *px, struct ml_ddl_item *it)
{
	while (!ml_px_end(px))
		if (!ml_px_charset_option(px, &it->charset, &it->collation))
			px->i++;
}

static enum ml_ddl_class
create_db(struct ml_px *px, struct items *is, uint32_t from, bool or_replace)
{
	struct ml_ddl_item *it = add_item(px, is, ML_DDL_CREATE_DB, 1);

	it->or_replace = or_replace;
	it->table = none;
	ml_px_if_exists(px, &it->if_exists, &it->if_not_exists);
	if (!ml_px_db(px, &it->db))
		return ML_DDL_UNKNOWN;
	db_options(px, it);
	it->query = whole(px, from);
	return ML_DDL_DDL;
}

/* CREATE [..] INDEX [IF NOT EXISTS] name [USING t] ON table (columns). */
static enum ml_ddl_class
create_index(struct ml_px *px, struct items *is, uint32_t from, bool unique)
{
	struct ml_ddl_item *it = add_item(px, is, ML_DDL_ALTER_TABLE, 7);
	struct ml_changes cs = { 0 };
	struct ml_change *ch = ml_change_add(px, &cs, ML_CH_ADD_INDEX);
	bool exists = false;

	ml_px_if_exists(px, &exists, &ch->if_not_exists);
	ml_px_name(px, &ch->name);
	ch->unique = unique;
	while (!ml_px_end(px) && !ml_px_is(px, 0, "ON"))
		px->i++;
	px->i++;
	if (ml_px_end(px) || !ml_px_table(px, &it->db, &it->table))
		return ML_DDL_UNKNOWN;
	if (ml_px_take(px, "WAIT"))
		px->i++;
	ml_px_take(px, "NOWAIT");
	ml_px_index_columns(px, ch);
	it->changes = cs.v;
	it->n_changes = cs.n;
	it->query = whole(px, from);
	return ML_DDL_DDL;
}

static enum ml_ddl_class
view(struct ml_px *px, struct items *is, uint32_t from, bool or_replace)
{
	struct ml_ddl_item *it = add_item(px, is, ML_DDL_CREATE_VIEW, 21);

	it->or_replace = or_replace;
	ml_px_if_exists(px, &it->if_exists, &it->if_not_exists);
	if (!ml_px_table(px, &it->db, &it->table))
		return ML_DDL_UNKNOWN;
	it->query = whole(px, from);
	return ML_DDL_DDL;
}

/* Kinds of objects that carry no rows of ours. */
static bool
is_other_object(struct ml_px *px)
{
	static const char *const words[] = {
		"SEQUENCE",
		"TRIGGER",
		"PROCEDURE",
		"FUNCTION",
		"EVENT",
		"PACKAGE",
		"USER",
		"ROLE",
		"SERVER",
		"TABLESPACE",
		"LOGFILE",
		"INSTANCE",
		"RESOURCE",
		"AGGREGATE",
		"SPATIAL",
		"UNDO",
		"LIBRARY",
		"CATALOG",
		"PUBLIC",
		"PREPARE",
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (ml_px_is(px, 0, words[i]))
			return true;
	return false;
}

/* OR REPLACE, DEFINER = x, ALGORITHM = x, SQL SECURITY x in front of the kind of object. */
static void
create_prefix(struct ml_px *px, bool *or_replace)
{
	for (;;) {
		if (ml_px_take2(px, "OR", "REPLACE")) {
			*or_replace = true;
		} else if (ml_px_take(px, "ALGORITHM")) {
			ml_px_take_punct(px, '=');
			px->i++;
		} else if (ml_px_take2(px, "SQL", "SECURITY")) {
			px->i++;
		} else if (ml_px_take(px, "DEFINER")) {
			ml_px_take_punct(px, '=');
			px->i++;
			if (ml_px_punct(px, 0, '('))
				ml_px_skip_parens(px);
			if (ml_px_take_punct(px, '@')) {
				/* A host may be written in pieces: user@127.0.0.1, user@host.name */
				do {
					px->i++;
				} while (!ml_px_end(px) && !ml_px_peek(px, 0)->blank);
			}
		} else {
			return;
		}
	}
}

static enum ml_ddl_class
create(struct ml_px *px, struct items *is, struct ml_ddl_stmt *out, uint32_t from)
{
	bool or_replace = false;

	create_prefix(px, &or_replace);
	if (ml_px_take(px, "TEMPORARY") || ml_px_take2(px, "GLOBAL", "TEMPORARY")) {
		out->temporary = true;
		return ML_DDL_IGNORE;
	}
	if (ml_px_take(px, "TABLE"))
		return create_table(px, is, from, or_replace);
	if (ml_px_take(px, "DATABASE") || ml_px_take(px, "SCHEMA"))
		return create_db(px, is, from, or_replace);
	if (ml_px_take(px, "VIEW"))
		return view(px, is, from, or_replace);
	if (ml_px_take2(px, "UNIQUE", "INDEX"))
		return create_index(px, is, from, true);
	if (ml_px_take(px, "INDEX") || ml_px_take2(px, "FULLTEXT", "INDEX") || ml_px_take2(px, "SPATIAL", "INDEX") ||
		ml_px_take2(px, "VECTOR", "INDEX") || ml_px_take2(px, "CLUSTERING", "INDEX"))
		return create_index(px, is, from, false);
	return is_other_object(px) ? ML_DDL_IGNORE : ML_DDL_UNKNOWN;
}

static struct ml_text
exchange_text(struct ml_px *px, const struct ml_ddl_item *it, const struct ml_change *ch)
{
	struct ml_text mid = ch->name, t;
	char *buf = ml_arena_bytes(px->a, 2 * (size_t)mid.len + 64), *p;
	char *all;

	p = put_lit(buf, " EXCHANGE PARTITION ");
	p = put_quoted(p, mid);
	strcpy(p, " WITH TABLE ");
	t = rebuild(px, "ALTER TABLE ", it->db, it->table, buf, it->pre_db, it->pre_table);
	if (!ch->if_exists)
		return t;
	all = ml_arena_bytes(px->a, t.len + 32u);
	memcpy(all, t.s, t.len);
	p = put_lit(all + t.len, " WITHOUT VALIDATION");
	return (struct ml_text){ all, (uint32_t)(p - all) };
}

static enum ml_ddl_class
alter_table(struct ml_px *px, struct items *is, uint32_t from)
{
	struct ml_ddl_item *it = add_item(px, is, ML_DDL_ALTER_TABLE, 0);
	struct ml_changes cs = { 0 };
	bool not_exists = false;

	ml_px_if_exists(px, &it->if_exists, &not_exists);
	if (!ml_px_table(px, &it->db, &it->table))
		return ML_DDL_UNKNOWN;
	ml_px_alter_specs(px, &cs, it);
	it->changes = cs.v;
	it->n_changes = cs.n;
	it->action = ml_changes_action(&cs);
	it->query = whole(px, from);
	if (it->op == ML_DDL_EXCHANGE)
		for (uint32_t i = 0; i < cs.n; i++)
			if (cs.v[i].kind == ML_CH_EXCHANGE)
				it->query = exchange_text(px, it, &cs.v[i]);
	return ML_DDL_DDL;
}

static enum ml_ddl_class
alter(struct ml_px *px, struct items *is, uint32_t from)
{
	struct ml_ddl_item *it;
	bool or_replace = false;

	create_prefix(px, &or_replace);
	ml_px_take(px, "ONLINE");
	ml_px_take(px, "OFFLINE");
	ml_px_take(px, "IGNORE");
	if (ml_px_take(px, "TABLE"))
		return alter_table(px, is, from);
	if (ml_px_take(px, "VIEW"))
		return view(px, is, from, true);
	if (ml_px_take(px, "DATABASE") || ml_px_take(px, "SCHEMA")) {
		it = add_item(px, is, ML_DDL_ALTER_DB, 26);
		it->table = none;
		/* Without a name it is the default database. */
		if (ml_px_is(px, 0, "DEFAULT") || ml_px_is(px, 0, "CHARACTER") || ml_px_is(px, 0, "CHARSET") ||
			ml_px_is(px, 0, "COLLATE") || ml_px_is(px, 0, "COMMENT") || ml_px_end(px)) {
			it->db = (struct ml_text){ ml_arena_strndup(px->a,
							   px->env->default_db_len > 0 ? px->env->default_db : "",
							   px->env->default_db_len),
				(uint32_t)px->env->default_db_len };
		} else if (!ml_px_db(px, &it->db)) {
			return ML_DDL_UNKNOWN;
		}
		db_options(px, it);
		it->query = whole(px, from);
		/* COMMENT and UPGRADE DATA DIRECTORY NAME change nothing that TiCDC sends. */
		if (it->charset.len == 0 && it->collation.len == 0)
			it->action = 0;
		return ML_DDL_DDL;
	}
	return is_other_object(px) ? ML_DDL_IGNORE : ML_DDL_UNKNOWN;
}

/* DROP TABLE and DROP VIEW: one item a name, each with a text of its own. */
static enum ml_ddl_class
drop_list(struct ml_px *px, struct items *is, bool is_view)
{
	bool exists = false, not_exists = false;

	ml_px_if_exists(px, &exists, &not_exists);
	for (;;) {
		struct ml_ddl_item *it =
			add_item(px, is, is_view ? ML_DDL_DROP_VIEW : ML_DDL_DROP_TABLE, is_view ? 24 : 4);

		it->if_exists = exists;
		if (!ml_px_table(px, &it->db, &it->table)) {
			is->n--;
			return ML_DDL_UNKNOWN;
		}
		it->query = rebuild(px, is_view ? "DROP VIEW " : "DROP TABLE ", it->db, it->table, NULL, none, none);
		if (!ml_px_take_punct(px, ','))
			return ML_DDL_DDL;
	}
}

static enum ml_ddl_class
drop(struct ml_px *px, struct items *is, struct ml_ddl_stmt *out, uint32_t from)
{
	struct ml_ddl_item *it;
	struct ml_changes cs = { 0 };
	struct ml_change *ch;
	bool not_exists = false;

	if (ml_px_take(px, "TEMPORARY")) {
		out->temporary = true;
		return ML_DDL_IGNORE;
	}
	if (ml_px_take(px, "TABLE") || ml_px_take(px, "TABLES"))
		return drop_list(px, is, false);
	if (ml_px_take(px, "VIEW"))
		return drop_list(px, is, true);
	if (ml_px_take(px, "DATABASE") || ml_px_take(px, "SCHEMA")) {
		it = add_item(px, is, ML_DDL_DROP_DB, 2);
		it->table = none;
		ml_px_if_exists(px, &it->if_exists, &not_exists);
		if (!ml_px_db(px, &it->db))
			return ML_DDL_UNKNOWN;
		it->query = whole(px, from);
		return ML_DDL_DDL;
	}
	if (ml_px_take(px, "INDEX")) {
		it = add_item(px, is, ML_DDL_ALTER_TABLE, 8);
		ch = ml_change_add(px, &cs, ML_CH_DROP_INDEX);
		ml_px_if_exists(px, &ch->if_exists, &not_exists);
		ml_px_name(px, &ch->name);
		if (ch->name.len == 7 && strncasecmp(ch->name.s, "PRIMARY", 7) == 0) {
			ch->kind = ML_CH_DROP_PRIMARY;
			it->action = 33;
		}
		if (!ml_px_take(px, "ON") || !ml_px_table(px, &it->db, &it->table))
			return ML_DDL_UNKNOWN;
		it->changes = cs.v;
		it->n_changes = cs.n;
		it->query = whole(px, from);
		return ML_DDL_DDL;
	}
	if (ml_px_is(px, 0, "PREPARE"))
		return ML_DDL_IGNORE;
	return is_other_object(px) ? ML_DDL_IGNORE : ML_DDL_UNKNOWN;
}

static enum ml_ddl_class
rename_list(struct ml_px *px, struct items *is, uint32_t from)
{
	bool exists = false, not_exists = false;

	if (ml_px_take(px, "USER"))
		return ML_DDL_IGNORE;
	if (!ml_px_take(px, "TABLE") && !ml_px_take(px, "TABLES"))
		return ML_DDL_UNKNOWN;
	ml_px_if_exists(px, &exists, &not_exists);
	for (;;) {
		struct ml_ddl_item *it = add_item(px, is, ML_DDL_RENAME_TABLE, 14);

		it->if_exists = exists;
		if (!ml_px_table(px, &it->pre_db, &it->pre_table)) {
			is->n--;
			return ML_DDL_UNKNOWN;
		}
		if (ml_px_take(px, "WAIT"))
			px->i++;
		ml_px_take(px, "NOWAIT");
		if (!ml_px_take(px, "TO") || !ml_px_table(px, &it->db, &it->table)) {
			it->db = it->pre_db;
			it->table = it->pre_table;
			return ML_DDL_UNKNOWN;
		}
		it->query = rebuild(px, "RENAME TABLE ", it->pre_db, it->pre_table, " TO ", it->db, it->table);
		if (!ml_px_take_punct(px, ','))
			break;
	}
	if (is->n == 1)
		is->v[0].query = whole(px, from);
	return ML_DDL_DDL;
}

static enum ml_ddl_class
truncate(struct ml_px *px, struct items *is, uint32_t from)
{
	struct ml_ddl_item *it = add_item(px, is, ML_DDL_TRUNCATE, 11);

	ml_px_take(px, "TABLE");
	if (!ml_px_table(px, &it->db, &it->table))
		return ML_DDL_UNKNOWN;
	it->query = whole(px, from);
	return ML_DDL_DDL;
}

static enum ml_ddl_class
transaction(struct ml_px *px, struct ml_ddl_stmt *out)
{
	if (ml_px_take(px, "BEGIN") || ml_px_take2(px, "START", "TRANSACTION")) {
		out->txn = ML_TXN_BEGIN;
	} else if (ml_px_take(px, "COMMIT")) {
		out->txn = ML_TXN_COMMIT;
	} else if (ml_px_take(px, "ROLLBACK")) {
		ml_px_take(px, "WORK");
		out->txn = ml_px_is(px, 0, "TO") ? ML_TXN_ROLLBACK_TO : ML_TXN_ROLLBACK;
	} else if (ml_px_take(px, "SAVEPOINT")) {
		out->txn = ML_TXN_SAVEPOINT;
	} else if (ml_px_take2(px, "RELEASE", "SAVEPOINT")) {
		out->txn = ML_TXN_RELEASE;
	} else if (ml_px_take(px, "XA")) {
		if (ml_px_is(px, 0, "START") || ml_px_is(px, 0, "BEGIN"))
			out->txn = ML_TXN_XA_START;
		else if (ml_px_is(px, 0, "END"))
			out->txn = ML_TXN_XA_END;
		else if (ml_px_is(px, 0, "PREPARE"))
			out->txn = ML_TXN_XA_PREPARE;
		else if (ml_px_is(px, 0, "COMMIT"))
			out->txn = ML_TXN_XA_COMMIT;
		else if (ml_px_is(px, 0, "ROLLBACK"))
			out->txn = ML_TXN_XA_ROLLBACK;
	}
	return out->txn == ML_TXN_NONE ? ML_DDL_UNKNOWN : ML_DDL_TXN;
}

/* Words between the verb and the name of the target. */
static void
dml_target(struct ml_px *px, struct ml_ddl_stmt *out)
{
	static const char *const modifiers[] = { "LOW_PRIORITY", "DELAYED", "HIGH_PRIORITY", "QUICK", "IGNORE", "INTO",
		"FROM" };
	bool is_delete = ml_px_is(px, 0, "DELETE");

	if (ml_px_is(px, 0, "CALL") || ml_px_is(px, 0, "WITH") || ml_px_is(px, 0, "SELECT") || ml_px_is(px, 0, "DO"))
		return;
	if (ml_px_is(px, 0, "LOAD")) {
		/* LOAD DATA .. INTO TABLE name; not far behind its start. */
		while (!ml_px_end(px) && px->i < 64 && !(ml_px_is(px, 0, "INTO") && ml_px_is(px, 1, "TABLE")))
			px->i++;
		if (!ml_px_take2(px, "INTO", "TABLE"))
			return;
		ml_px_table(px, &out->dml_db, &out->dml_table);
		return;
	}
	px->i++;
	for (size_t i = 0; i < sizeof(modifiers) / sizeof(modifiers[0]);)
		i = ml_px_take(px, modifiers[i]) ? 0 : i + 1;
	if (!ml_px_table(px, &out->dml_db, &out->dml_table))
		return;
	out->dml_all = is_delete && (ml_px_peek(px, 0)->kind == ML_TK_END || ml_px_punct(px, 0, ';'));
}

static bool
starts_with(struct ml_px *px, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (ml_px_is(px, 0, words[i]))
			return true;
	return false;
}

#define STARTS_WITH(px, words) starts_with((px), (words), sizeof(words) / sizeof((words)[0]))

static enum ml_ddl_class
classify(struct ml_px *px, struct items *is, struct ml_ddl_stmt *out)
{
	static const char *const txn[] = { "BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "XA" };
	static const char *const dml[] = { "INSERT", "REPLACE", "UPDATE", "DELETE", "LOAD", "CALL", "WITH", "SELECT",
		"DO" };
	static const char *const nothing[] = {
		"GRANT",
		"REVOKE",
		"SET",
		"FLUSH",
		"ANALYZE",
		"OPTIMIZE",
		"REPAIR",
		"CHECK",
		"CHECKSUM",
		"INSTALL",
		"UNINSTALL",
		"RESET",
		"PURGE",
		"KILL",
		"USE",
		"SHOW",
		"LOCK",
		"UNLOCK",
		"BACKUP",
		"CHANGE",
		"STOP",
		"CACHE",
		"BINLOG",
		"SHUTDOWN",
		"RESTART",
		"CLONE",
		"IMPORT",
		"HELP",
	};
	uint32_t from;

	/* MariaDB logs SET STATEMENT v = e, .. FOR statement as it was typed. */
	if (ml_px_is(px, 0, "SET") && ml_px_is(px, 1, "STATEMENT")) {
		while (!ml_px_end(px) && !ml_px_is(px, 0, "FOR")) {
			if (ml_px_punct(px, 0, '('))
				ml_px_skip_parens(px);
			else
				px->i++;
		}
		ml_px_take(px, "FOR");
	}
	while (ml_px_punct(px, 0, '(')) /* (SELECT ..) */
		px->i++;
	from = px->i;
	if (ml_px_peek(px, 0)->kind == ML_TK_END)
		return ML_DDL_IGNORE; /* only comments: MariaDB's dummy events "# Dum.." */
	if (STARTS_WITH(px, txn) || (ml_px_is(px, 0, "START") && ml_px_is(px, 1, "TRANSACTION")))
		return transaction(px, out);
	if (STARTS_WITH(px, dml)) {
		dml_target(px, out);
		return ML_DDL_DML;
	}
	if (ml_px_take(px, "CREATE"))
		return create(px, is, out, from);
	if (ml_px_take(px, "ALTER"))
		return alter(px, is, from);
	if (ml_px_take(px, "DROP"))
		return drop(px, is, out, from);
	if (ml_px_take(px, "RENAME"))
		return rename_list(px, is, from);
	if (ml_px_take(px, "TRUNCATE"))
		return truncate(px, is, from);
	return STARTS_WITH(px, nothing) || ml_px_is(px, 0, "START") ? ML_DDL_IGNORE : ML_DDL_UNKNOWN;
}

/* Up to three first words, upper case: enough to tell shapes apart in the log, and no data. */
static void
put_shape(struct ml_px *px, struct ml_ddl_stmt *out)
{
	size_t n = 0;

	px->i = 0;
	for (uint32_t k = 0; k < 3; k++) {
		const struct ml_tok *t = ml_px_peek(px, k);

		if (t->kind != ML_TK_WORD || n + t->len + 2 > sizeof(out->shape))
			break;
		if (n > 0)
			out->shape[n++] = ' ';
		for (uint32_t i = 0; i < t->len; i++)
			out->shape[n++] = t->s[i] >= 'a' && t->s[i] <= 'z' ? (char)(t->s[i] - 'a' + 'A') : t->s[i];
	}
	out->shape[n] = '\0';
}

/* Tables that an unknown statement names: whatever stands behind TABLE, TABLES or ON. */
static void
maybe_items(struct ml_px *px, struct items *is)
{
	struct ml_text db, table;
	bool a = false, b = false;

	is->n = 0;
	for (px->i = 0; !ml_px_end(px);) {
		if (!ml_px_is(px, 0, "TABLE") && !ml_px_is(px, 0, "TABLES") && !ml_px_is(px, 0, "ON")) {
			px->i++;
			continue;
		}
		px->i++;
		ml_px_if_exists(px, &a, &b);
		while (ml_px_table(px, &db, &table)) {
			struct ml_ddl_item *it = add_item(px, is, ML_DDL_MAYBE, 0);

			it->db = db;
			it->table = table;
			it->needs_reread = true;
			if (!ml_px_take_punct(px, ','))
				break;
		}
	}
	if (is->n == 0 && px->bad && px->env->default_db_len > 0) {
		/* Nothing could be told: any table of the default database. */
		struct ml_ddl_item *it = add_item(px, is, ML_DDL_MAYBE, 0);

		it->db = (struct ml_text){ ml_arena_strndup(px->a, px->env->default_db, px->env->default_db_len),
			(uint32_t)px->env->default_db_len };
		it->table = none;
		it->needs_reread = true;
	}
}

static bool
has_high_byte(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((uint8_t)s[i] >= 0x80)
			return true;
	return false;
}

/* What the status variables tell of defaults. */
static struct ml_text
told_charset(const struct ml_ddl_env *env, const struct ml_ddl_item *it)
{
	const struct ml_charset *cs = NULL;

	if (it->op == ML_DDL_CREATE_DB && env->server_collation != 0)
		cs = ml_charset_by_collation(env->server_collation);
	else if (it->op == ML_DDL_CREATE_TABLE && env->db_collation != 0 && it->db.len > 0 &&
		 it->db.len == env->default_db_len && memcmp(it->db.s, env->default_db, it->db.len) == 0)
		cs = ml_charset_by_collation(env->db_collation);
	else if (it->op == ML_DDL_CREATE_VIEW && env->connection_collation != 0)
		cs = ml_charset_by_collation(env->connection_collation);
	return cs == NULL ? none : (struct ml_text){ cs->name, (uint32_t)strlen(cs->name) };
}

enum ml_ddl_class
ml_ddl_classify(const struct ml_ddl_env *env, const char *sql, size_t len, struct ml_arena *a, struct ml_ddl_stmt *out)
{
	struct ml_px px = { .a = a, .env = env };
	struct items is = { 0 };
	const struct ml_charset *cs;

	*out = (struct ml_ddl_stmt){ .dml_db = none, .dml_table = none, .sql_mode = env->sql_mode, .default_db = none };
	if (env->default_db_len > 0)
		out->default_db = (struct ml_text){ ml_arena_strndup(a, env->default_db, env->default_db_len),
			(uint32_t)env->default_db_len };
	ml_lexer_init(&px.lx, sql, len, env->sql_mode, env->client_collation, env->mariadb);
	cs = env->client_collation != 0 ? ml_charset_by_collation(env->client_collation) : NULL;
	if (cs != NULL && (cs->kind == ML_CS_SINGLE || cs->kind == ML_CS_MULTI) && has_high_byte(sql, len))
		px.conv = ml_charconv_new(cs);
	out->class = classify(&px, &is, out);
	if (out->class == ML_DDL_DDL && px.bad)
		out->class = ML_DDL_UNKNOWN;
	if (out->class == ML_DDL_UNKNOWN)
		maybe_items(&px, &is);
	put_shape(&px, out);
	if (px.conv != NULL)
		ml_charconv_free(px.conv);
	out->items = is.v;
	out->n_items = is.n;
	/* Names that were not set are empty texts, so that nobody needs to ask for NULL. */
	for (uint32_t i = 0; i < is.n; i++) {
		struct ml_text *t[] = { &is.v[i].db, &is.v[i].table, &is.v[i].pre_db, &is.v[i].pre_table,
			&is.v[i].query, &is.v[i].charset, &is.v[i].collation };

		for (size_t k = 0; k < sizeof(t) / sizeof(t[0]); k++)
			if (t[k]->s == NULL)
				*t[k] = none;
		is.v[i].told_charset = told_charset(env, &is.v[i]);
	}
	return out->class;
}
