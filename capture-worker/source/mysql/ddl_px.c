#include "capture-worker/source/mysql/ddl_px.h"

#include <string.h>

#include "capture-worker/mounter/charset.h"

const struct ml_tok *
ml_px_peek(struct ml_px *px, uint32_t k)
{
	while (px->n <= px->i + k) {
		if (px->n > 0 && (px->t[px->n - 1].kind == ML_TK_END || px->t[px->n - 1].kind == ML_TK_BAD))
			return &px->t[px->n - 1];
		if (px->n == px->cap) {
			uint32_t cap = px->cap == 0 ? 64 : px->cap * 2;
			struct ml_tok *t = ml_arena_alloc(px->a, cap * sizeof(*t));

			if (px->n > 0)
				memcpy(t, px->t, px->n * sizeof(*t));
			px->t = t;
			px->cap = cap;
		}
		px->t[px->n] = ml_lexer_next(&px->lx);
		px->bad = px->bad || px->t[px->n].kind == ML_TK_BAD;
		px->n++;
	}
	return &px->t[px->i + k];
}

bool
ml_px_take(struct ml_px *px, const char *word)
{
	if (!ml_px_is(px, 0, word))
		return false;
	px->i++;
	return true;
}

bool
ml_px_take2(struct ml_px *px, const char *word, const char *word2)
{
	if (!ml_px_is(px, 0, word) || !ml_px_is(px, 1, word2))
		return false;
	px->i += 2;
	return true;
}

bool
ml_px_take_punct(struct ml_px *px, char c)
{
	if (!ml_px_punct(px, 0, c))
		return false;
	px->i++;
	return true;
}

bool
ml_px_if_exists(struct ml_px *px, bool *exists, bool *not_exists)
{
	if (ml_px_is(px, 0, "IF") && ml_px_is(px, 1, "EXISTS")) {
		px->i += 2;
		*exists = true;
		return true;
	}
	if (ml_px_is(px, 0, "IF") && ml_px_is(px, 1, "NOT") && ml_px_is(px, 2, "EXISTS")) {
		px->i += 3;
		*not_exists = true;
		return true;
	}
	return false;
}

static struct ml_text
to_utf8(struct ml_px *px, struct ml_text t)
{
	size_t n;
	const char *s;

	if (px->conv == NULL)
		return t;
	s = ml_charconv_utf8(px->conv, px->a, t.s, t.len, &n);
	if (s == t.s)
		return t;
	return (struct ml_text){ ml_arena_strndup(px->a, s, n), (uint32_t)n };
}

struct ml_text
ml_px_text(struct ml_px *px, const struct ml_tok *t)
{
	struct ml_text v = ml_tok_text(&px->lx, t, px->a);

	/* x'..' and b'..' are bytes, not text of the client's charset. */
	if (t->kind == ML_TK_STRING && t->s[0] != '\'' && t->s[0] != '"' && t->s[0] != 'n' && t->s[0] != 'N')
		return v;
	return to_utf8(px, v);
}

bool
ml_px_name(struct ml_px *px, struct ml_text *out)
{
	const struct ml_tok *t = ml_px_peek(px, 0);

	if (t->kind != ML_TK_WORD && t->kind != ML_TK_IDENT)
		return false;
	*out = ml_px_text(px, t);
	px->i++;
	return true;
}

struct ml_text
ml_px_lower(struct ml_px *px, struct ml_text t)
{
	char *p = ml_arena_strndup(px->a, t.s, t.len);

	for (uint32_t i = 0; i < t.len; i++)
		if (p[i] >= 'A' && p[i] <= 'Z')
			p[i] = (char)(p[i] - 'A' + 'a');
	return (struct ml_text){ p, t.len };
}

static struct ml_text
fold(struct ml_px *px, struct ml_text t)
{
	return px->env->lower_case_table_names == 1 ? ml_px_lower(px, t) : t;
}

static struct ml_text
default_db(struct ml_px *px)
{
	const struct ml_ddl_env *env = px->env;

	return (struct ml_text){ ml_arena_strndup(
					 px->a, env->default_db_len > 0 ? env->default_db : "", env->default_db_len),
		(uint32_t)env->default_db_len };
}

bool
ml_px_db(struct ml_px *px, struct ml_text *db)
{
	if (!ml_px_name(px, db))
		return false;
	*db = fold(px, *db);
	return true;
}

bool
ml_px_table(struct ml_px *px, struct ml_text *db, struct ml_text *table)
{
	struct ml_text first = { NULL, 0 };
	const struct ml_tok *t;
	bool has_first = ml_px_name(px, &first);

	if (!ml_px_punct(px, 0, '.')) {
		if (!has_first)
			return false;
		*db = default_db(px);
		*table = fold(px, first);
		return true;
	}
	/* Behind the dot anything that looks like a word is a name, digits too. */
	t = ml_px_peek(px, 1);
	if (t->kind != ML_TK_WORD && t->kind != ML_TK_IDENT && t->kind != ML_TK_NUMBER)
		return false;
	px->i += 2;
	*db = has_first ? fold(px, first) : default_db(px);
	*table = fold(px, ml_px_text(px, t));
	return true;
}

void
ml_px_skip_parens(struct ml_px *px)
{
	int depth = 0;

	while (!ml_px_end(px)) {
		if (ml_px_punct(px, 0, '('))
			depth++;
		else if (ml_px_punct(px, 0, ')') && --depth <= 0) {
			px->i++;
			return;
		}
		px->i++;
	}
}

void
ml_px_skip_item(struct ml_px *px)
{
	while (!ml_px_end(px) && !ml_px_punct(px, 0, ',') && !ml_px_punct(px, 0, ')')) {
		if (ml_px_punct(px, 0, '('))
			ml_px_skip_parens(px);
		else
			px->i++;
	}
}

struct ml_text
ml_px_source(struct ml_px *px, uint32_t from, uint32_t to)
{
	struct ml_text out;
	size_t n = 0;
	char *p;

	while (to > from && (px->t[to - 1].kind == ML_TK_END || ml_tok_punct(&px->t[to - 1], ';')))
		to--;
	for (uint32_t i = from; i < to; i++)
		n += px->t[i].len + 1u;
	p = ml_arena_bytes(px->a, n + 1);
	out.s = p;
	for (uint32_t i = from; i < to; i++) {
		if (i > from && px->t[i].blank)
			*p++ = ' ';
		memcpy(p, px->t[i].s, px->t[i].len);
		p += px->t[i].len;
	}
	*p = '\0';
	out.len = (uint32_t)(p - out.s);
	return to_utf8(px, out);
}
