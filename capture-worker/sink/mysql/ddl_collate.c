#include "capture-worker/sink/mysql/ddl_collate.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "capture-worker/event/ddl_token.h"

#define COLLATION_UTF8MB4_UCA1400_AI_CI 2304

static const char mysql_prefix[] = "utf8mb4_0900_";

struct item {
	struct ml_tok t;
	int depth; /* of the list that the token stands in; a parenthesis belongs to the list around it */
};

struct statement {
	struct ml_buf items; /* struct item */
	size_t n;
	bool alter; /* its clauses are divided by commas; else all behind the list is one */
};

static const struct item *
at(const struct statement *s, size_t i)
{
	static const struct item end = { .t = { .s = "", .kind = ML_TK_END } };

	return i < s->n ? (const struct item *)(const void *)s->items.data + i : &end;
}

bool
sql_collates(const struct sql_target *t)
{
	unsigned major, minor;

	return t->server == SQL_MARIADB && sscanf(t->version, "%u.%u", &major, &minor) == 2 &&
	       major * 100 + minor >= 1010 && major * 100 + minor < 1104;
}

/* ---- tokens ---- */

static void
read_all(struct statement *s, struct ml_text text, uint64_t sql_mode)
{
	struct ml_lexer lx;
	struct item it = { 0 };
	int depth = 0;

	ml_lexer_init(&lx, text.s, text.len, sql_mode, 0, true);
	for (;;) {
		it.t = ml_lexer_next(&lx);
		if (it.t.kind == ML_TK_END || it.t.kind == ML_TK_BAD)
			break;
		depth -= ml_tok_punct(&it.t, ')');
		it.depth = depth;
		depth += ml_tok_punct(&it.t, '(');
		ml_buf_put(&s->items, &it, sizeof(it));
		s->n++;
	}
	s->alter = ml_tok_is(&at(s, 0)->t, "ALTER");
}

/* A word or quoted: is it this name? */
static bool
names(const struct ml_tok *t, const char *name, bool prefix)
{
	size_t n = strlen(name), quote = t->kind == ML_TK_STRING || t->kind == ML_TK_IDENT ? 1 : 0;

	if (t->kind != ML_TK_WORD && quote == 0)
		return false;
	return t->len >= n + 2 * quote && (prefix || t->len == n + 2 * quote) &&
	       strncasecmp(t->s + quote, name, n) == 0;
}

/* The place behind CHARSET or CHARACTER SET, and =; 0: it is something else. */
static size_t
charset_value(const struct statement *s, size_t i)
{
	if (ml_tok_is(&at(s, i)->t, "CHARSET"))
		i++;
	else if (ml_tok_is(&at(s, i)->t, "CHARACTER") && ml_tok_is(&at(s, i + 1)->t, "SET"))
		i += 2;
	else
		return 0;
	return i + ml_tok_punct(&at(s, i)->t, '=');
}

/* Ends what token i is part of: a column's definition, the options behind the list, a clause of ALTER. */
static bool
divides(const struct statement *s, size_t i, int depth)
{
	const struct item *it = at(s, i);

	return it->t.kind == ML_TK_END || it->depth < depth ||
	       (it->depth == depth && ml_tok_punct(&it->t, ',') && (depth > 0 || s->alter));
}

/* Does the definition that token i is in name a collation, or BINARY for one? */
static bool
has_collation(const struct statement *s, size_t i)
{
	int depth = at(s, i)->depth;
	size_t from = i, to = i;

	while (from > 0 && !divides(s, from - 1, depth))
		from--;
	while (!divides(s, to, depth))
		to++;
	for (size_t k = from; k < to; k++)
		if (at(s, k)->depth == depth &&
			(ml_tok_is(&at(s, k)->t, "COLLATE") || (k > i && ml_tok_is(&at(s, k)->t, "BINARY"))))
			return true;
	/* ALTER TABLE t CHARSET=utf8mb4, COLLATE=utf8mb4_bin */
	to += ml_tok_is(&at(s, to + 1)->t, "DEFAULT");
	return depth == 0 && ml_tok_is(&at(s, to + 1)->t, "COLLATE");
}

/* ---- names ---- */

/* "ai_ci" and the like: MariaDB has them of UCA 14, without padding; _bin has no weights of anybody. */
static bool
put_known(struct ml_buf *out, const struct ml_tok *name)
{
	static const char *const kinds[] = { "ai_ci", "as_ci", "as_cs" };
	char whole[64];

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		snprintf(whole, sizeof(whole), "%s%s", mysql_prefix, kinds[i]);
		if (names(name, whole, false)) {
			ml_buf_printf(out, "utf8mb4_uca1400_nopad_%s", kinds[i]);
			return true;
		}
	}
	if (!names(name, "utf8mb4_0900_bin", false))
		return false;
	ml_buf_puts(out, "utf8mb4_nopad_bin");
	return true;
}

/* What utf8mb4 means at the source, if the target has another default: NULL: not that is known. */
static const char *
default_of(const struct ml_ddl *ddl)
{
	for (uint8_t i = 0; i < ddl->n_collations; i++) {
		if (ddl->collations[i] == ML_COLLATION_UTF8MB4_0900_AI_CI)
			return "utf8mb4_uca1400_nopad_ai_ci";
		if (ddl->collations[i] == COLLATION_UTF8MB4_UCA1400_AI_CI)
			return "utf8mb4_uca1400_ai_ci";
	}
	return NULL;
}

/* Those that define tables and databases; in others the same words may mean something else. */
static bool
defines(const struct statement *s)
{
	size_t i = 1;

	if (!s->alter && !ml_tok_is(&at(s, 0)->t, "CREATE"))
		return false;
	while (at(s, i)->t.kind == ML_TK_WORD &&
		(ml_tok_is(&at(s, i)->t, "OR") || ml_tok_is(&at(s, i)->t, "REPLACE") ||
			ml_tok_is(&at(s, i)->t, "ONLINE") || ml_tok_is(&at(s, i)->t, "IGNORE")))
		i++;
	return ml_tok_is(&at(s, i)->t, "TABLE") || ml_tok_is(&at(s, i)->t, "DATABASE") ||
	       ml_tok_is(&at(s, i)->t, "SCHEMA");
}

void
sql_ddl_collate(struct ml_buf *text, const struct ml_ddl *ddl)
{
	const char *dflt = default_of(ddl), *done = text->data;
	struct statement s = { 0 };
	struct ml_buf out = { 0 };

	read_all(&s, (struct ml_text){ text->data, (uint32_t)text->len }, ddl->sql_mode);
	for (size_t i = 0; defines(&s) && i < s.n; i++) {
		size_t v = charset_value(&s, i);

		if (ml_tok_is(&at(&s, i)->t, "COLLATE")) {
			const struct ml_tok *name = &at(&s, i + 1 + ml_tok_punct(&at(&s, i + 1)->t, '='))->t;

			if (!names(name, mysql_prefix, true))
				continue;
			ml_buf_put(&out, done, (size_t)(name->s - done));
			done = name->s + (put_known(&out, name) ? name->len : 0);
		} else if (v > 0 && dflt != NULL && at(&s, i)->depth <= 1 && names(&at(&s, v)->t, "utf8mb4", false) &&
			   !has_collation(&s, i)) {
			const char *end = at(&s, v)->t.s + at(&s, v)->t.len;

			ml_buf_put(&out, done, (size_t)(end - done));
			ml_buf_printf(&out, " COLLATE %s", dflt);
			done = end;
		}
	}
	if (out.len > 0) {
		ml_buf_put(&out, done, (size_t)(text->data + text->len - done));
		ml_buf_clear(text);
		ml_buf_put(text, out.data, out.len);
	}
	ml_buf_fini(&out);
	ml_buf_fini(&s.items);
}
