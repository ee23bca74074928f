#include "capture-worker/event/ddl_rename.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "capture-worker/event/ddl_token.h"

/* Deeper nesting of parentheses is an error. */
#define MAX_DEPTH 256
/* Each name is compared with each table: no statement that a server takes comes near these. */
#define MAX_REFS 2000
#define MAX_QUALIFIERS 50000

/* A run of tokens that becomes other text. */
struct edit {
	uint32_t from, to; /* tokens [from, to) */
	struct ml_text text;
};

/* A table that is read or written by the statement, or something that is called like one. */
struct ref {
	struct ml_text name, new_name; /* the table's own, without database */
	bool alias;                    /* name is an alias (or a WITH query): stays */
};

/* t in t.c, to be looked up when all tables are known. */
struct qualifier {
	uint32_t tok;
	struct ml_text name;
};

/* What is known of the parentheses around the current token. */
struct level {
	bool select; /* a query stands here */
	bool from;   /* in its FROM list */
	bool expect; /* a table, or a list of them in parentheses, is next */
	bool call;   /* arguments of a table function are next */
	bool table;  /* the whole is a table: an alias may follow */
};

struct renamer {
	const struct ml_ddl_names *names;
	struct ml_arena *a;
	struct ml_err *err;
	struct ml_text query;
	struct ml_lexer lx;
	struct ml_tok *t; /* all tokens, an END last */
	uint32_t n, i;
	struct edit *edits;
	struct ref *refs;
	struct qualifier *quals;
	uint32_t n_edits, cap_edits, n_refs, cap_refs, n_quals, cap_quals;
	uint32_t sequence; /* token that is a database in front of a sequence; 0: none */
	bool refused;      /* err is set */
};

static void *
grow(struct ml_arena *a, void *v, uint32_t n, uint32_t *cap, size_t size)
{
	void *more;

	if (n < *cap)
		return v;
	*cap = *cap == 0 ? 8 : *cap * 2;
	more = ml_arena_alloc(a, *cap * size);
	if (n > 0)
		memcpy(more, v, n * size);
	return more;
}

static int
refuse(struct renamer *r, const char *why)
{
	const struct ml_tok *t = r->i < r->n ? &r->t[r->i] : &r->t[r->n - 1];

	if (!r->refused)
		ML_ERRF(r->err, ErrTableRoutingFailed, 0,
			"table routing failed: %s near '%.*s' in: %.500s; leave the statement out (ignore-txn-start-ts or an event filter) and run it downstream yourself",
			why, t->len > 40 ? 40 : (int)t->len, t->s, r->query.s);
	r->refused = true;
	return -1;
}

/* --- tokens --------------------------------------------------------------------------------------------------------------- */

static const struct ml_tok *
peek(const struct renamer *r, uint32_t k)
{
	return r->i + k < r->n ? &r->t[r->i + k] : &r->t[r->n - 1];
}

static bool
at_end(const struct renamer *r)
{
	return peek(r, 0)->kind == ML_TK_END;
}

static bool
is(const struct renamer *r, uint32_t k, const char *word)
{
	return ml_tok_is(peek(r, k), word);
}

static bool
is_punct(const struct renamer *r, uint32_t k, char c)
{
	return ml_tok_punct(peek(r, k), c);
}

static bool
is_name(const struct ml_tok *t)
{
	return t->kind == ML_TK_WORD || t->kind == ML_TK_IDENT;
}

static bool
take(struct renamer *r, const char *word)
{
	if (!is(r, 0, word))
		return false;
	r->i++;
	return true;
}

static bool
take_punct(struct renamer *r, char c)
{
	if (!is_punct(r, 0, c))
		return false;
	r->i++;
	return true;
}

static bool
is_any(const struct ml_tok *t, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (ml_tok_is(t, words[i]))
			return true;
	return false;
}

#define IS_ANY(t, words) is_any((t), (words), sizeof(words) / sizeof((words)[0]))

static void
if_exists(struct renamer *r)
{
	if (is(r, 0, "IF") && is(r, 1, "EXISTS"))
		r->i += 2;
	else if (is(r, 0, "IF") && is(r, 1, "NOT") && is(r, 2, "EXISTS"))
		r->i += 3;
}

static void
wait_option(struct renamer *r)
{
	if (is(r, 0, "WAIT"))
		r->i += 2;
	else
		take(r, "NOWAIT");
}

static struct ml_text
text_of(struct renamer *r, const struct ml_tok *t)
{
	return ml_tok_text(&r->lx, t, r->a);
}

/* --- names ---------------------------------------------------------------------------------------------------------------- */

static bool
same(struct ml_text a, struct ml_text b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.s, b.s, a.len) == 0);
}

/* Aliases and tables in front of columns: case counts for neither on most servers, so it must not tell two apart here. */
static bool
same_name(struct ml_text a, struct ml_text b)
{
	return a.len == b.len && (a.len == 0 || strncasecmp(a.s, b.s, a.len) == 0);
}

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

/* `db`.`table`; without the database where db is empty. */
static struct ml_text
quoted(struct renamer *r, struct ml_text db, struct ml_text table)
{
	char *start = ml_arena_bytes(r->a, 2 * ((size_t)db.len + table.len) + 6), *p = start;

	if (db.len > 0) {
		p = put_quoted(p, db);
		*p++ = '.';
	}
	p = put_quoted(p, table);
	*p = '\0';
	return (struct ml_text){ start, (uint32_t)(p - start) };
}

static void
edit(struct renamer *r, uint32_t from, uint32_t to, struct ml_text text)
{
	r->edits = grow(r->a, r->edits, r->n_edits, &r->cap_edits, sizeof(*r->edits));
	r->edits[r->n_edits++] = (struct edit){ from, to, text };
}

static void
add_ref(struct renamer *r, struct ml_text name, struct ml_text new_name, bool alias)
{
	r->refs = grow(r->a, r->refs, r->n_refs, &r->cap_refs, sizeof(*r->refs));
	r->refs[r->n_refs++] = (struct ref){ name, new_name, alias };
}

/* Asks for the new name of what tokens [from, to) call db.table, and writes it there. */
static int
rename_at(struct renamer *r, uint32_t from, uint32_t to, bool has_db, struct ml_text db, struct ml_text table,
	struct ml_text *new_table)
{
	static const struct ml_text none = { "", 0 };
	struct ml_text new_db = none;

	*new_table = none;
	if (table.len == 0 || (has_db && db.len == 0))
		return refuse(r, "an empty name");
	if (r->names->name(r->names->arg, db, table, &new_db, new_table, r->err) != 0) {
		r->refused = true;
		return -1;
	}
	if (has_db ? same(db, new_db) && same(table, *new_table)
		   : same(new_db, r->names->new_db) && same(table, *new_table))
		return 0;
	edit(r, from, to, quoted(r, !has_db && same(new_db, r->names->new_db) ? none : new_db, *new_table));
	return 0;
}

/* [db.]table at the current place.  name, new_name (may be NULL): the table's own. */
static int
table_name(struct renamer *r, struct ml_text *name, struct ml_text *new_name)
{
	struct ml_text db = r->names->db, table, renamed;
	uint32_t from = r->i;
	bool has_db = false;

	if (!is_name(peek(r, 0)))
		return refuse(r, "no name of a table");
	table = text_of(r, peek(r, 0));
	r->i++;
	if (is_punct(r, 0, '.')) {
		/* Behind the dot anything that looks like a word is a name, digits too. */
		if (!is_name(peek(r, 1)) && peek(r, 1)->kind != ML_TK_NUMBER)
			return refuse(r, "no name of a table");
		has_db = true;
		db = table;
		table = text_of(r, peek(r, 1));
		r->i += 2;
		if (is_punct(r, 0, '.'))
			return refuse(r, "too long a name");
	}
	if (rename_at(r, from, r->i, has_db, db, table, &renamed) != 0)
		return -1;
	if (name != NULL)
		*name = table;
	if (new_name != NULL)
		*new_name = renamed;
	return 0;
}

/* A table of the statement, which may stand in front of columns too. */
static int
own_table(struct renamer *r)
{
	struct ml_text name, new_name;

	if (table_name(r, &name, &new_name) != 0)
		return -1;
	add_ref(r, name, new_name, false);
	return 0;
}

static int
database_name(struct renamer *r)
{
	static const struct ml_text none = { "", 0 };
	struct ml_text db, new_db = none, ignored = none;

	if (!is_name(peek(r, 0)))
		return refuse(r, "no name of a database");
	db = text_of(r, peek(r, 0));
	if (db.len == 0)
		return refuse(r, "an empty name");
	if (r->names->name(r->names->arg, db, none, &new_db, &ignored, r->err) != 0) {
		r->refused = true;
		return -1;
	}
	if (!same(db, new_db))
		edit(r, r->i, r->i + 1, quoted(r, none, new_db));
	r->i++;
	return 0;
}

/* --- what stands behind the names ----------------------------------------------------------------------------------------- */

/* Words that end a table's place in a FROM list, so that they are no alias. */
static bool
ends_table(const struct ml_tok *t)
{
	static const char *const words[] = { "ON", "USING", "JOIN", "INNER", "LEFT", "RIGHT", "FULL", "CROSS",
		"NATURAL", "STRAIGHT_JOIN", "WHERE", "GROUP", "HAVING", "ORDER", "LIMIT", "UNION", "EXCEPT", "MINUS",
		"INTERSECT", "USE", "FORCE", "IGNORE", "WINDOW", "PROCEDURE", "FOR", "INTO", "LOCK", "OFFSET", "FETCH",
		"WITH", "PARTITION", "TABLESAMPLE", "RETURNING", "SET", "AS" };

	return IS_ANY(t, words);
}

/* Behind the parenthesis that closes the one at the current place. */
static int
skip_parens(struct renamer *r)
{
	uint32_t depth = 0;

	do {
		if (at_end(r))
			return refuse(r, "a parenthesis that is not closed");
		if (is_punct(r, 0, '('))
			depth++;
		else if (is_punct(r, 0, ')'))
			depth--;
		r->i++;
	} while (depth > 0);
	return 0;
}

/* [AS] alias of a table or a subquery; true if there is one. */
static bool
alias(struct renamer *r)
{
	if (is(r, 0, "AS") && is_name(peek(r, 1)))
		r->i++;
	else if (!is_name(peek(r, 0)) || ends_table(peek(r, 0)))
		return false;
	add_ref(r, text_of(r, peek(r, 0)), (struct ml_text){ NULL, 0 }, true);
	r->i++;
	return true;
}

static bool
is_with_query(const struct renamer *r, struct ml_text name)
{
	for (uint32_t i = 0; i < r->n_refs; i++)
		if (r->refs[i].alias && r->refs[i].new_name.s != NULL && same_name(r->refs[i].name, name))
			return true;
	return false;
}

/* A table in a FROM list; parentheses are the caller's. */
static int
from_table(struct renamer *r, struct level *l)
{
	struct ml_text name, new_name;

	l->expect = false;
	if (is(r, 0, "DUAL") && !is_punct(r, 1, '.')) {
		r->i++;
		return 0;
	}
	if (!is_punct(r, 1, '.') && is_with_query(r, text_of(r, peek(r, 0)))) {
		r->i++;
		alias(r);
		return 0;
	}
	if (is_punct(r, 1, '(')) { /* JSON_TABLE(..), VALUES (..) */
		r->i++;
		l->call = true;
		return 0;
	}
	if (table_name(r, &name, &new_name) != 0)
		return -1;
	if (is(r, 0, "PARTITION") && is_punct(r, 1, '(')) {
		r->i++;
		if (skip_parens(r) != 0)
			return -1;
	}
	/* An alias behind FOR SYSTEM_TIME .. is not seen, and needs not be: what it is in front of stays. */
	if (!alias(r))
		add_ref(r, name, new_name, false);
	return 0;
}

/* WITH [RECURSIVE] q [(columns)] AS (: remembers q, and leaves the rest to the caller.  Commas lead to further ones. */
static void
with_queries(struct renamer *r)
{
	static const struct ml_text query = { "", 0 };
	uint32_t save = r->i;

	take(r, "WITH");
	take(r, "RECURSIVE");
	while (is_name(peek(r, 0))) {
		const struct ml_tok *name = peek(r, 0);

		r->i++;
		if (is_punct(r, 0, '(')) {
			while (!at_end(r) && !is_punct(r, 0, ')'))
				r->i++;
			take_punct(r, ')');
		}
		if (!take(r, "AS") || !is_punct(r, 0, '('))
			break;
		add_ref(r, text_of(r, name), query, true);
		/* Over its query, only to see whether another one follows. */
		for (uint32_t depth = 0; !at_end(r);) {
			if (is_punct(r, 0, '('))
				depth++;
			else if (is_punct(r, 0, ')'))
				depth--;
			r->i++;
			if (depth == 0)
				break;
		}
		if (!take_punct(r, ','))
			break;
	}
	r->i = save + 1;
}

/* The name of a sequence, which is none of a table: NEXTVAL(s), NEXT VALUE FOR s. */
static bool
before_sequence(const struct renamer *r, uint32_t *words)
{
	static const char *const functions[] = { "NEXTVAL", "LASTVAL", "SETVAL" };

	*words = 0;
	if (IS_ANY(peek(r, 0), functions) && is_punct(r, 1, '('))
		*words = 2;
	else if ((is(r, 0, "NEXT") || is(r, 0, "PREVIOUS")) && is(r, 1, "VALUE") && is(r, 2, "FOR"))
		*words = 3;
	return *words > 0 && is_name(peek(r, *words)) && is_punct(r, *words + 1, '.');
}

/* A name in an expression: t.c and db.t.c have tables in front. */
static int
in_expression(struct renamer *r)
{
	uint32_t from = r->i, words;
	struct ml_text unused;

	if (before_sequence(r, &words)) {
		/* The parenthesis is the caller's. */
		r->sequence = r->i + words;
		r->i++;
		return 0;
	}
	r->i++;
	if (from == r->sequence)
		return 0;
	if (!is_punct(r, 0, '.'))
		return 0;
	if (!is_name(peek(r, 1)) && peek(r, 1)->kind != ML_TK_NUMBER && !is_punct(r, 1, '*'))
		return 0;
	r->i += 2;
	if (is_punct(r, 0, '.')) {
		/* db.t.c */
		if (!is_name(peek(r, 1)) && peek(r, 1)->kind != ML_TK_NUMBER && !is_punct(r, 1, '*'))
			return refuse(r, "not a name of a column");
		r->i += 2;
		return rename_at(
			r, from, from + 3, true, text_of(r, &r->t[from]), text_of(r, &r->t[from + 2]), &unused);
	}
	if (is_punct(r, 0, '('))
		return 0; /* db.function(..) */
	r->quals = grow(r->a, r->quals, r->n_quals, &r->cap_quals, sizeof(*r->quals));
	r->quals[r->n_quals++] = (struct qualifier){ from, text_of(r, &r->t[from]) };
	return 0;
}

/* UNION [=] (t, ...), an option of MERGE tables. */
static int
merge_union(struct renamer *r)
{
	take(r, "UNION");
	take_punct(r, '=');
	r->i++;
	while (!is_punct(r, 0, ')')) {
		if (table_name(r, NULL, NULL) != 0)
			return -1;
		if (!take_punct(r, ',') && !is_punct(r, 0, ')'))
			return refuse(r, "not a list of tables");
	}
	r->i++;
	return 0;
}

static bool
at_merge_union(const struct renamer *r)
{
	uint32_t k = is_punct(r, 1, '=') ? 2 : 1;

	return is(r, 0, "UNION") && is_punct(r, k, '(') && is_name(peek(r, k + 1)) && !is(r, k + 1, "SELECT") &&
	       !is(r, k + 1, "WITH") && !is(r, k + 1, "VALUES");
}

/* One word outside of FROM lists that tables follow; 1: taken, 0: it was another one. */
static int
key_word(struct renamer *r, const struct level *l, bool alter)
{
	static const char *const not_a_table[] = { "COLUMN", "INDEX", "KEY", "CONSTRAINT", "PARTITION" };

	if (take(r, "REFERENCES"))
		return table_name(r, NULL, NULL) != 0 ? -1 : 1;
	if (!l->select && at_merge_union(r))
		return merge_union(r) != 0 ? -1 : 1;
	if (!alter)
		return is(r, 0, "TABLE") ? refuse(r, "TABLE in a query") : 0;
	if (is(r, 0, "RENAME") && !IS_ANY(peek(r, 1), not_a_table)) {
		r->i++;
		if (!take(r, "TO") && !take(r, "AS"))
			take_punct(r, '=');
		return table_name(r, NULL, NULL) != 0 ? -1 : 1;
	}
	/* EXCHANGE PARTITION p WITH TABLE t; CONVERT TABLE t TO PARTITION p; CONVERT PARTITION p TO TABLE t */
	if (is(r, 0, "TABLE")) {
		r->i++;
		return table_name(r, NULL, NULL) != 0 ? -1 : 1;
	}
	return 0;
}

/* The state of a query's level after one of its words; false: the word has nothing to do with it. */
static bool
query_word(struct renamer *r, struct level *l)
{
	static const char *const ends[] = { "WHERE", "GROUP", "HAVING", "ORDER", "LIMIT", "UNION", "EXCEPT", "MINUS",
		"INTERSECT", "WINDOW", "PROCEDURE", "INTO" };
	bool after_system_time = r->i > 0 && ml_tok_is(&r->t[r->i - 1], "SYSTEM_TIME");

	if (is(r, 0, "SELECT")) {
		*l = (struct level){ .select = true, .table = l->table };
	} else if (is(r, 0, "FROM") && l->select && !after_system_time) {
		l->from = l->expect = true;
	} else if (l->from && (is(r, 0, "JOIN") || is(r, 0, "STRAIGHT_JOIN"))) {
		l->expect = true;
	} else if (l->select && IS_ANY(peek(r, 0), ends)) {
		l->from = l->expect = false;
	} else {
		return false;
	}
	r->i++;
	return true;
}

static int
one_token(struct renamer *r, struct level *levels, uint32_t *depth, bool alter)
{
	struct level *l = &levels[*depth];
	const struct ml_tok *t = peek(r, 0);
	int rc;

	if (ml_tok_punct(t, '(')) {
		/* FROM (a JOIN b): still tables, unless a query begins. */
		struct level inner = {
			.select = l->expect, .from = l->expect, .expect = l->expect, .table = l->expect || l->call
		};

		if (*depth + 1 == MAX_DEPTH)
			return refuse(r, "parentheses nested too deep");
		l->expect = l->call = false;
		levels[++*depth] = inner;
		r->i++;
		return 0;
	}
	if (ml_tok_punct(t, ')')) {
		if (*depth == 0)
			return refuse(r, "a parenthesis that was not opened");
		r->i++;
		--*depth;
		if (l->table)
			alias(r);
		return 0;
	}
	if (ml_tok_punct(t, ',')) {
		l->expect = l->from;
		r->i++;
		return 0;
	}
	if (!is_name(t)) {
		if (l->expect)
			return refuse(r, "not a table");
		r->i++;
		return 0;
	}
	if (is(r, 0, "WITH") && !is(r, 1, "TABLE")) {
		l->from = l->expect = false;
		with_queries(r);
		return 0;
	}
	if (query_word(r, l))
		return 0;
	if (l->expect && is(r, 0, "LATERAL")) {
		r->i++;
		return 0;
	}
	if (l->expect)
		return from_table(r, l);
	rc = key_word(r, l, alter && *depth == 0);
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	return in_expression(r);
}

/* Everything up to the end: expressions and queries. */
static int
rest(struct renamer *r, bool alter)
{
	struct level *levels = ml_arena_zalloc(r->a, MAX_DEPTH * sizeof(*levels));
	uint32_t depth = 0;

	while (!at_end(r))
		if (one_token(r, levels, &depth, alter) != 0)
			return -1;
	return depth == 0 ? 0 : refuse(r, "a parenthesis that is not closed");
}

/* --- statements ----------------------------------------------------------------------------------------------------------- */

/* OR REPLACE, DEFINER = x, ALGORITHM = x, SQL SECURITY x in front of the kind of object. */
static void
create_prefix(struct renamer *r)
{
	for (;;) {
		if (is(r, 0, "OR") && is(r, 1, "REPLACE")) {
			r->i += 2;
		} else if (take(r, "ALGORITHM")) {
			take_punct(r, '=');
			r->i++;
		} else if (is(r, 0, "SQL") && is(r, 1, "SECURITY")) {
			r->i += 3;
		} else if (take(r, "DEFINER")) {
			take_punct(r, '=');
			r->i++;
			if (is_punct(r, 0, '(') && is_punct(r, 1, ')'))
				r->i += 2;
			if (take_punct(r, '@')) {
				/* A host may be written in pieces: user@127.0.0.1, user@host.name */
				do {
					r->i++;
				} while (!at_end(r) && !peek(r, 0)->blank);
			}
		} else {
			return;
		}
	}
}

static int
create_table(struct renamer *r)
{
	bool parens;

	if_exists(r);
	if (own_table(r) != 0)
		return -1;
	parens = is_punct(r, 0, '(') && is(r, 1, "LIKE");
	if (!parens && !is(r, 0, "LIKE"))
		return rest(r, false);
	r->i += parens ? 2 : 1;
	if (table_name(r, NULL, NULL) != 0)
		return -1;
	if (parens && !take_punct(r, ')'))
		return refuse(r, "not the end of LIKE");
	return at_end(r) ? 0 : refuse(r, "not the end of LIKE");
}

static int
view(struct renamer *r)
{
	if_exists(r);
	if (own_table(r) != 0)
		return -1;
	if (is_punct(r, 0, '(') && skip_parens(r) != 0)
		return -1;
	if (!take(r, "AS"))
		return refuse(r, "a view without a query");
	return rest(r, false);
}

static int
index_on(struct renamer *r)
{
	while (!at_end(r) && !is(r, 0, "ON"))
		r->i++;
	if (!take(r, "ON"))
		return refuse(r, "an index of no table");
	if (own_table(r) != 0)
		return -1;
	return rest(r, false);
}

static int
create(struct renamer *r)
{
	static const char *const kinds[] = { "UNIQUE", "FULLTEXT", "SPATIAL", "VECTOR", "CLUSTERING", "ONLINE",
		"OFFLINE" };

	create_prefix(r);
	if (take(r, "TABLE"))
		return create_table(r);
	if (take(r, "VIEW"))
		return view(r);
	if (take(r, "DATABASE") || take(r, "SCHEMA")) {
		if_exists(r);
		return database_name(r);
	}
	while (IS_ANY(peek(r, 0), kinds))
		r->i++;
	return take(r, "INDEX") ? index_on(r) : refuse(r, "a statement of another kind");
}

static int
alter(struct renamer *r)
{
	static const char *const words[] = { "ONLINE", "OFFLINE", "IGNORE" }, *const options[] = { "DEFAULT",
		"CHARACTER", "CHARSET", "COLLATE", "COMMENT" };

	create_prefix(r);
	while (IS_ANY(peek(r, 0), words))
		r->i++;
	if (take(r, "TABLE")) {
		if_exists(r);
		if (own_table(r) != 0)
			return -1;
		wait_option(r);
		return rest(r, true);
	}
	if (take(r, "VIEW"))
		return view(r);
	if (take(r, "DATABASE") || take(r, "SCHEMA"))
		/* Without a name it is the default database. */
		return at_end(r) || IS_ANY(peek(r, 0), options) ? 0 : database_name(r);
	return refuse(r, "a statement of another kind");
}

static int
name_list(struct renamer *r)
{
	static const char *const ends[] = { "RESTRICT", "CASCADE", "WAIT", "NOWAIT" };

	if_exists(r);
	do
		if (table_name(r, NULL, NULL) != 0)
			return -1;
	while (take_punct(r, ','));
	return at_end(r) || IS_ANY(peek(r, 0), ends) ? 0 : refuse(r, "not the end of a list of tables");
}

static int
drop(struct renamer *r)
{
	if (take(r, "TABLE") || take(r, "TABLES") || take(r, "VIEW"))
		return name_list(r);
	if (take(r, "DATABASE") || take(r, "SCHEMA")) {
		if_exists(r);
		return database_name(r);
	}
	return take(r, "INDEX") ? index_on(r) : refuse(r, "a statement of another kind");
}

static int
rename_tables(struct renamer *r)
{
	if (!take(r, "TABLE") && !take(r, "TABLES"))
		return refuse(r, "a statement of another kind");
	if_exists(r);
	do {
		if (table_name(r, NULL, NULL) != 0)
			return -1;
		wait_option(r);
		if (!take(r, "TO"))
			return refuse(r, "a table without a new name");
		if (table_name(r, NULL, NULL) != 0)
			return -1;
	} while (take_punct(r, ','));
	return at_end(r) ? 0 : refuse(r, "not the end of a list of tables");
}

static int
statement(struct renamer *r)
{
	if (take(r, "CREATE"))
		return create(r);
	if (take(r, "ALTER"))
		return alter(r);
	if (take(r, "DROP"))
		return drop(r);
	if (take(r, "RENAME"))
		return rename_tables(r);
	if (take(r, "TRUNCATE")) {
		take(r, "TABLE");
		return name_list(r);
	}
	return refuse(r, "a statement of another kind");
}

/* Would a name that stays mean the table that is called so from now on? */
static bool
captured(const struct renamer *r, struct ml_text name)
{
	for (uint32_t i = 0; i < r->n_refs; i++)
		if (!r->refs[i].alias && same_name(r->refs[i].new_name, name) &&
			!same(r->refs[i].name, r->refs[i].new_name))
			return true;
	return false;
}

/* t of t.c: a table that is called so gives its new name; what only is an alias stays. */
static int
qualifiers(struct renamer *r)
{
	if (r->n_refs > MAX_REFS || r->n_quals > MAX_QUALIFIERS)
		return refuse(r, "too many names");
	for (uint32_t i = 0; i < r->n_refs; i++)
		if (r->refs[i].alias && captured(r, r->refs[i].name))
			return refuse(r, "an alias that is the new name of a table");
	for (uint32_t i = 0; i < r->n_quals; i++) {
		const struct qualifier *q = &r->quals[i];
		const struct ref *table = NULL;
		bool other = false;

		for (uint32_t k = 0; k < r->n_refs; k++) {
			const struct ref *ref = &r->refs[k];

			if (!same_name(ref->name, q->name))
				continue;
			if (!ref->alias && (table == NULL || same(table->new_name, ref->new_name)))
				table = ref;
			else
				other = true;
		}
		r->i = q->tok;
		if ((table != NULL && other) || (table == NULL && captured(r, q->name)))
			return refuse(r, "a name of several tables");
		if (table == NULL || same(table->name, table->new_name))
			continue;
		edit(r, q->tok, q->tok + 1, quoted(r, (struct ml_text){ "", 0 }, table->new_name));
	}
	return 0;
}

/* --- text ----------------------------------------------------------------------------------------------------------------- */

static int
read_tokens(struct renamer *r)
{
	uint32_t cap = 0;

	do {
		r->t = grow(r->a, r->t, r->n, &cap, sizeof(*r->t));
		r->t[r->n++] = ml_lexer_next(&r->lx);
		r->i = r->n - 1;
		if (r->t[r->i].kind == ML_TK_BAD)
			return refuse(r, "a quote or comment that is not closed");
	} while (r->t[r->n - 1].kind != ML_TK_END);
	r->i = 0;
	return 0;
}

static int
by_place(const void *a, const void *b)
{
	const struct edit *x = a, *y = b;

	return x->from < y->from ? -1 : x->from > y->from;
}

static struct ml_text
put_together(struct renamer *r)
{
	const char *from = r->query.s, *end = from + r->query.len;
	size_t room = r->query.len + 1u;
	char *start, *p;

	for (uint32_t i = 0; i < r->n_edits; i++)
		room += r->edits[i].text.len + 2u;
	start = p = ml_arena_bytes(r->a, room);
	for (uint32_t i = 0; i < r->n_edits; i++) {
		const struct edit *e = &r->edits[i];
		const struct ml_tok *last = &r->t[e->to - 1];

		p = (char *)mempcpy(p, from, (size_t)(r->t[e->from].s - from));
		/* Two quoted names side by side would be one with a quote in it. */
		if (p > start && p[-1] == '`')
			*p++ = ' ';
		p = (char *)mempcpy(p, e->text.s, e->text.len);
		from = last->s + last->len;
		if (from < end && *from == '`')
			*p++ = ' ';
	}
	p = (char *)mempcpy(p, from, (size_t)(end - from));
	*p = '\0';
	return (struct ml_text){ start, (uint32_t)(p - start) };
}

int
ml_ddl_rename(const struct ml_ddl_names *names, struct ml_text query, struct ml_arena *a, struct ml_text *out,
	struct ml_err *err)
{
	struct renamer r = { .names = names, .a = a, .err = err, .query = query };

	ml_lexer_init(&r.lx, query.s, query.len, names->sql_mode, 0, true);
	if (read_tokens(&r) != 0 || statement(&r) != 0 || qualifiers(&r) != 0)
		return -1;
	if (r.n_edits == 0) {
		*out = query;
		return 0;
	}
	/* Qualifiers were looked up last. */
	qsort(r.edits, r.n_edits, sizeof(*r.edits), by_place);
	*out = put_together(&r);
	return 0;
}
