#include "capture-worker/sink/mysql/ddl_rewrite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "capture-worker/event/ddl_token.h"
#include "capture-worker/sink/mysql/literal.h"

/* No server takes more columns in an index. */
#define MAX_INDEX_COLUMNS 64

struct tokens {
	struct ml_lexer lx;
	struct ml_tok *t; /* behind the last stands one of kind END or BAD */
	size_t n, cap;
};

static void
read_tokens(struct tokens *ts, const char *s, size_t len, uint64_t sql_mode)
{
	struct ml_tok t;

	*ts = (struct tokens){ 0 };
	ml_lexer_init(&ts->lx, s, len, sql_mode, 0, true);
	do {
		t = ml_lexer_next(&ts->lx);
		if (ts->n == ts->cap) {
			ts->cap = ts->cap > 0 ? 2 * ts->cap : 128;
			ts->t = realloc(ts->t, ts->cap * sizeof(*ts->t));
			if (ts->t == NULL)
				abort();
		}
		ts->t[ts->n++] = t;
	} while (t.kind != ML_TK_END && t.kind != ML_TK_BAD);
	ts->n--;
}

/* Token i, or the one at the end. */
static const struct ml_tok *
at(const struct tokens *ts, size_t i)
{
	return &ts->t[i < ts->n ? i : ts->n];
}

static bool
is(const struct tokens *ts, size_t i, const char *word)
{
	return ml_tok_is(at(ts, i), word);
}

static bool
is_punct(const struct tokens *ts, size_t i, char c)
{
	return ml_tok_punct(at(ts, i), c);
}

static bool
is_key_or_index(const struct tokens *ts, size_t i)
{
	return is(ts, i, "KEY") || is(ts, i, "INDEX");
}

/* ---- indexes without a name ---- */

struct anonymous {
	size_t before; /* the token in front of which the name goes */
	bool unique;
	uint16_t n_cols;
	struct ml_text cols[MAX_INDEX_COLUMNS];
};

/* The columns of an index, from the parenthesis on; false if there is more than names and lengths. */
static bool
read_columns(struct anonymous *x, const struct tokens *ts, size_t i, struct ml_arena *a)
{
	for (x->n_cols = 0; x->n_cols < MAX_INDEX_COLUMNS; i++) { /* i: what stands in front of the name */
		const struct ml_tok *t = at(ts, ++i);

		if (t->kind != ML_TK_IDENT && t->kind != ML_TK_WORD)
			return false;
		x->cols[x->n_cols++] = ml_tok_text(&ts->lx, t, a);
		if (is_punct(ts, i + 1, '(') && at(ts, i + 2)->kind == ML_TK_NUMBER && is_punct(ts, i + 3, ')'))
			i += 3;
		if (is(ts, i + 1, "ASC") || is(ts, i + 1, "DESC"))
			i++;
		if (is_punct(ts, i + 1, ')'))
			return true;
		if (!is_punct(ts, i + 1, ','))
			return false;
	}
	return false;
}

/* Token i begins an entry of a list of columns and keys, or stands behind ADD: is it an index without a name? */
static bool
read_anonymous(struct anonymous *x, const struct tokens *ts, size_t i, struct ml_arena *a)
{
	x->unique = false;
	if (is(ts, i, "CONSTRAINT") && !is(ts, ++i, "UNIQUE"))
		return false; /* named by it, or no index at all */
	if (is(ts, i, "UNIQUE")) {
		x->unique = true;
		i += is_key_or_index(ts, i + 1) ? 2 : 1;
	} else if (is(ts, i, "FULLTEXT") || is(ts, i, "SPATIAL")) {
		i += is_key_or_index(ts, i + 1) ? 2 : 1;
	} else if (is_key_or_index(ts, i)) {
		i++;
	} else {
		return false;
	}
	if (is(ts, i, "IF"))
		i += 3;
	x->before = i;
	if (is(ts, i, "USING") && is_punct(ts, i + 2, '('))
		i += 2;
	return is_punct(ts, i, '(') && read_columns(x, ts, i, a);
}

static bool
same(struct ml_text a, struct ml_text b)
{
	return a.len == b.len && strncasecmp(a.s, b.s, a.len) == 0;
}

static bool
is_new(const struct ml_ddl *ddl, const struct ml_index *x)
{
	for (int i = 0; ddl->pre_schema != NULL && i < ddl->pre_schema->n_indexes; i++)
		if (same(ddl->pre_schema->indexes[i].name, x->name))
			return false;
	return !x->primary && x->n_cols > 0;
}

/*
 * The index's name at the source; NULL: not known beyond doubt.  Servers count up the names of indexes that begin with the same
 * column, by an order of their own: one alone is certain.
 */
static const struct ml_index *
find_index(const struct ml_ddl *ddl, const struct anonymous *a)
{
	const struct ml_schema *s = ddl->schema;
	const struct ml_index *found = NULL;
	bool fits;

	if (strcasecmp(a->cols[0].s, "PRIMARY") == 0)
		return NULL;
	for (int i = 0; i < s->n_indexes; i++) {
		if (!is_new(ddl, &s->indexes[i]) || !same(s->columns[s->indexes[i].cols[0]].name, a->cols[0]))
			continue;
		if (found != NULL)
			return NULL;
		found = &s->indexes[i];
	}
	fits = found != NULL && found->unique == a->unique && found->n_cols == a->n_cols;
	for (int i = 0; fits && i < found->n_cols; i++)
		fits = same(s->columns[found->cols[i]].name, a->cols[i]);
	return fits ? found : NULL;
}

/* Where entries begin: in the parentheses of CREATE TABLE; behind ADD, and in the parentheses there. */
static bool
begins_entry(const struct tokens *ts, size_t i, int depth, bool create)
{
	if (depth == 1 && (is_punct(ts, i - 1, '(') || is_punct(ts, i - 1, ',')))
		return true;
	return !create && depth == 0 && is(ts, i - 1, "ADD");
}

void
sql_ddl_name_indexes(struct ml_buf *out, const struct ml_ddl *ddl)
{
	const char *done = ddl->query.s;
	struct anonymous x;
	struct tokens ts;
	struct ml_arena a;
	bool create, foreign = false;
	int depth = 0;

	read_tokens(&ts, ddl->query.s, ddl->query.len, ddl->sql_mode);
	create = is(&ts, 0, "CREATE");
	/* A foreign key makes an index of its own, or none. */
	for (size_t i = 0; i < ts.n; i++)
		foreign = foreign || is(&ts, i, "FOREIGN") || is(&ts, i, "REFERENCES");
	if (foreign || ddl->schema == NULL || (create ? ddl->pre_schema != NULL : ddl->pre_schema == NULL) ||
		(!create && !is(&ts, 0, "ALTER"))) {
		ml_buf_put(out, ddl->query.s, ddl->query.len);
		free(ts.t);
		return;
	}
	ml_arena_init(&a, 0);
	for (size_t i = 1; i < ts.n; i++) {
		const struct ml_index *found = NULL;

		if (begins_entry(&ts, i, depth, create) && read_anonymous(&x, &ts, i, &a))
			found = find_index(ddl, &x);
		if (found != NULL) {
			ml_buf_put(out, done, (size_t)(at(&ts, x.before)->s - done));
			if (!at(&ts, x.before)->blank)
				ml_buf_putc(out, ' ');
			sql_name(out, found->name.s, found->name.len);
			ml_buf_putc(out, ' ');
			done = at(&ts, x.before)->s;
		}
		depth += is_punct(&ts, i, '(') ? 1 : is_punct(&ts, i, ')') ? -1 : 0;
	}
	ml_buf_put(out, done, (size_t)(ddl->query.s + ddl->query.len - done));
	ml_arena_fini(&a);
	free(ts.t);
}

/* ---- vectors ---- */

bool
sql_ddl_lacks_vectors(const struct sql_target *t)
{
	const char *tidb = strstr(t->version, "-TiDB-v");
	unsigned major = 0, minor = 0;

	if (!t->params->has_vector_type)
		return false;
	if (t->server != SQL_TIDB || tidb == NULL || sscanf(tidb, "-TiDB-v%u.%u", &major, &minor) != 2)
		return true;
	return major < 8 || (major == 8 && minor < 4);
}

void
sql_ddl_vectors_to_text(struct ml_buf *text, uint64_t sql_mode)
{
	struct ml_buf out = { 0 };
	struct tokens ts;
	const char *done = text->data;

	if (text->len == 0)
		return;
	read_tokens(&ts, text->data, text->len, sql_mode);
	for (size_t i = 1; i < ts.n; i++) {
		if (!is(&ts, i, "VECTOR") || !is_punct(&ts, i + 1, '(') || at(&ts, i + 2)->kind != ML_TK_NUMBER ||
			!is_punct(&ts, i + 3, ')'))
			continue;
		ml_buf_put(&out, done, (size_t)(at(&ts, i)->s - done));
		ml_buf_puts(&out, "LONGTEXT");
		done = at(&ts, i + 3)->s + 1;
	}
	ml_buf_put(&out, done, (size_t)(text->data + text->len - done));
	free(ts.t);
	ml_buf_fini(text);
	*text = out;
}
