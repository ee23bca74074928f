#include "capture-worker/filter/expr/parse.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "capture-worker/filter/expr/collation.h"
#include "capture-worker/filter/expr/func.h"

/* Nobody writes such an expression; every level and node costs stack and time per row. */
#define MAX_DEPTH 200
#define MAX_NODES 4000
#define MAX_TEXT 65536

struct parsing {
	struct ml_lexing lex;
	struct ml_tok t, ahead;
	bool has_ahead;
	struct ml_arena *a;
	int depth, nodes;
	char why[160];
	size_t at;
	bool failed;
};

static struct ml_ast *expr(struct parsing *p);
static struct ml_ast *bit_expr(struct parsing *p, int least);

bool
ml_same_word(const char *s, size_t len, const char *word)
{
	return strlen(word) == len && strncasecmp(s, word, len) == 0;
}

static void *
fail(struct parsing *p, const char *why)
{
	if (!p->failed) {
		p->failed = true;
		p->at = p->t.at;
		snprintf(p->why, sizeof(p->why), "%s", p->t.kind == ML_TOK_BAD ? p->lex.why : why);
	}
	return NULL;
}

static void
next(struct parsing *p)
{
	if (p->has_ahead) {
		p->t = p->ahead;
		p->has_ahead = false;
	} else {
		p->t = ml_lex_next(&p->lex);
	}
}

static const struct ml_tok *
peek(struct parsing *p)
{
	if (!p->has_ahead) {
		p->ahead = ml_lex_next(&p->lex);
		p->has_ahead = true;
	}
	return &p->ahead;
}

static bool
is_word(const struct ml_tok *t, const char *word)
{
	return t->kind == ML_TOK_NAME && ml_same_word(t->s, t->len, word);
}

static bool
is_op(const struct ml_tok *t, int op)
{
	return t->kind == ML_TOK_OP && t->op == op;
}

static bool
take_word(struct parsing *p, const char *word)
{
	if (!is_word(&p->t, word))
		return false;
	next(p);
	return true;
}

static bool
take_op(struct parsing *p, int op)
{
	if (!is_op(&p->t, op))
		return false;
	next(p);
	return true;
}

static struct ml_ast *
node(struct parsing *p, enum ml_ast_kind kind, int op, uint32_t n, ...)
{
	struct ml_ast *x;
	va_list ap;

	if (p->failed)
		return NULL;
	if (++p->nodes > MAX_NODES)
		return fail(p, "too long");
	x = ml_arena_zalloc(p->a, sizeof(*x));
	x->kind = (uint8_t)kind;
	x->op = op;
	x->n = n;
	if (n > 0)
		x->kids = ml_arena_alloc(p->a, n * sizeof(struct ml_ast *));
	va_start(ap, n);
	for (uint32_t i = 0; i < n; i++) {
		x->kids[i] = va_arg(ap, struct ml_ast *);
		if (x->kids[i] == NULL) {
			va_end(ap);
			return fail(p, "syntax error");
		}
	}
	va_end(ap);
	return x;
}

/* A node with the kids of a growing list. */
struct list {
	struct ml_ast **v;
	uint32_t n, cap;
};

static bool
add(struct parsing *p, struct list *l, struct ml_ast *x)
{
	if (x == NULL)
		return false;
	if (l->n == l->cap) {
		uint32_t cap = l->cap > 0 ? 2 * l->cap : 4;
		struct ml_ast **v = ml_arena_alloc(p->a, cap * sizeof(*v));

		if (l->n > 0)
			memcpy(v, l->v, l->n * sizeof(*v));
		l->v = v;
		l->cap = cap;
	}
	l->v[l->n++] = x;
	return true;
}

static struct ml_ast *
node_of(struct parsing *p, enum ml_ast_kind kind, int op, const struct list *l)
{
	struct ml_ast *x = node(p, kind, op, 0);

	if (x != NULL) {
		x->kids = l->v;
		x->n = l->n;
	}
	return x;
}

static struct ml_ast *
leaf(struct parsing *p, enum ml_ast_kind kind, int op)
{
	struct ml_ast *x = node(p, kind, op, 0);

	if (x != NULL)
		x->text = (struct ml_text_ref){ p->t.s, p->t.len };
	next(p);
	return x;
}

/* "'a' 'b'" is one string. */
static struct ml_ast *
string(struct parsing *p)
{
	struct ml_ast *x = leaf(p, ML_AST_STRING, 0);

	while (x != NULL && p->t.kind == ML_TOK_STRING) {
		char *s = ml_arena_bytes(p->a, x->text.len + p->t.len + 1);

		memcpy(s, x->text.s, x->text.len);
		memcpy(s + x->text.len, p->t.s, p->t.len);
		x->text.s = s;
		x->text.len += p->t.len;
		next(p);
	}
	return x;
}

static bool
reserved(const struct ml_tok *t)
{
	static const char *const words[] = { "AND", "OR", "XOR", "NOT", "DIV", "MOD", "LIKE", "RLIKE", "REGEXP", "IN",
		"IS", "BETWEEN", "CASE", "WHEN", "THEN", "ELSE", "FROM", "WHERE", "SELECT", "EXISTS", "INTERVAL",
		"BINARY", "COLLATE", "GROUP", "ORDER", "AS", "BY", "LIMIT", "UNION", "ALL", "DISTINCT", "CURRENT_DATE",
		"CURRENT_TIME", "CURRENT_TIMESTAMP", "CURRENT_USER", "LOCALTIME", "LOCALTIMESTAMP", "UTC_DATE",
		"UTC_TIME", "UTC_TIMESTAMP" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (is_word(t, words[i]))
			return true;
	return false;
}

static struct ml_ast *
case_expr(struct parsing *p)
{
	struct list l = { 0 };
	bool base;

	next(p);
	base = !is_word(&p->t, "WHEN");
	if (base && !add(p, &l, expr(p)))
		return NULL;
	if (!is_word(&p->t, "WHEN"))
		return fail(p, "WHEN is missing");
	while (take_word(p, "WHEN")) {
		if (!add(p, &l, expr(p)))
			return NULL;
		if (!take_word(p, "THEN"))
			return fail(p, "THEN is missing");
		if (!add(p, &l, expr(p)))
			return NULL;
	}
	if (take_word(p, "ELSE") && !add(p, &l, expr(p)))
		return NULL;
	if (!take_word(p, "END"))
		return fail(p, "END is missing");
	return node_of(p, ML_AST_CASE, base, &l);
}

/* "(n)" or "(n, m)" behind a type; true if it was well formed or not there. */
static bool
precision(struct parsing *p, struct ml_ast *x, bool two)
{
	if (!take_op(p, '('))
		return true;
	if (p->t.kind != ML_TOK_INT || p->t.len > 4)
		return false;
	x->precision = atoi(p->t.s);
	next(p);
	if (two && take_op(p, ',')) {
		if (p->t.kind != ML_TOK_INT || p->t.len > 4)
			return false;
		x->scale = atoi(p->t.s);
		next(p);
	}
	return take_op(p, ')');
}

static struct ml_ast *
cast(struct parsing *p)
{
	static const struct {
		const char *word;
		enum ml_cast cast;
		int parts;
	} types[] = {
		{ "SIGNED", ML_CAST_SIGNED, 0 },
		{ "UNSIGNED", ML_CAST_UNSIGNED, 0 },
		{ "CHAR", ML_CAST_CHAR, 1 },
		{ "BINARY", ML_CAST_BINARY, 1 },
		{ "DECIMAL", ML_CAST_DECIMAL, 2 },
		{ "DOUBLE", ML_CAST_DOUBLE, 0 },
		{ "REAL", ML_CAST_DOUBLE, 0 },
		{ "DATE", ML_CAST_DATE, 0 },
		{ "DATETIME", ML_CAST_DATETIME, 1 },
		{ "TIME", ML_CAST_TIME, 1 },
		{ "JSON", ML_CAST_JSON, 0 },
	};
	struct ml_ast *x;

	next(p);
	next(p);
	x = node(p, ML_AST_CAST, 0, 1, expr(p));
	if (x == NULL)
		return NULL;
	x->precision = x->scale = -1;
	if (!take_word(p, "AS"))
		return fail(p, "AS is missing");
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (!take_word(p, types[i].word))
			continue;
		x->op = types[i].cast;
		if (x->op == ML_CAST_SIGNED || x->op == ML_CAST_UNSIGNED)
			(void)take_word(p, "INTEGER");
		if (types[i].parts > 0 && !precision(p, x, types[i].parts > 1))
			return fail(p, "a bad precision");
		if ((x->op == ML_CAST_DATETIME || x->op == ML_CAST_TIME) && x->precision > 6)
			return fail(p, "a bad precision");
		if (x->op == ML_CAST_DECIMAL &&
			(x->precision > 65 || x->scale > 30 || (x->scale >= 0 && x->precision < x->scale)))
			return fail(p, "a bad precision");
		return take_op(p, ')') ? x : fail(p, "a closing bracket is missing");
	}
	return fail(p, "an unknown type");
}

/* TRIM([BOTH | LEADING | TRAILING] [what] FROM text); a third argument says which. */
static bool
trim_arguments(struct parsing *p, struct list *l)
{
	static const char *const sides[] = { "BOTH", "LEADING", "TRAILING" };
	int side = -1;
	struct ml_ast *x;

	for (int i = 0; i < 3 && side < 0; i++)
		if (take_word(p, sides[i]))
			side = i;
	if (side >= 0 && take_word(p, "FROM")) {
		x = node(p, ML_AST_STRING, 0, 0);
		if (x == NULL)
			return false;
		x->text = (struct ml_text_ref){ " ", 1 };
	} else {
		x = expr(p);
		if (x == NULL)
			return false;
		if (side < 0 && !is_word(&p->t, "FROM"))
			return add(p, l, x);
		if (!take_word(p, "FROM")) {
			fail(p, "FROM is missing");
			return false;
		}
	}
	if (!add(p, l, expr(p)) || !add(p, l, x))
		return false;
	x = node(p, ML_AST_INT, 0, 0);
	if (x != NULL)
		x->text = (struct ml_text_ref){ side < 0 ? "0" : side == 1 ? "1" : side == 2 ? "2" : "0", 1 };
	return add(p, l, x);
}

static struct ml_ast *
call(struct parsing *p)
{
	const struct ml_func *f;
	struct list l = { 0 };
	struct ml_ast *x;
	const char *why;

	if (is_word(&p->t, "CAST"))
		return cast(p);
	f = ml_func_find(p->t.s, p->t.len, &why);
	if (f == NULL)
		return fail(p, why);
	next(p);
	next(p);
	if (ml_same_word(f->name, strlen(f->name), "TRIM") && !is_op(&p->t, ')')) {
		if (!trim_arguments(p, &l))
			return NULL;
	} else if (!is_op(&p->t, ')')) {
		do {
			if (!add(p, &l, expr(p)))
				return NULL;
			/* SUBSTRING(text FROM position [FOR length]) */
		} while (take_op(p, ',') || (f->from_for && l.n == 1 && take_word(p, "FROM")) ||
			 (f->from_for && l.n == 2 && take_word(p, "FOR")));
	}
	if (!is_op(&p->t, ')'))
		return fail(p, "a closing bracket is missing");
	if (l.n < f->least || l.n > f->most)
		return fail(p, "a wrong number of arguments");
	next(p);
	x = node_of(p, ML_AST_FUNC, 0, &l);
	if (x != NULL)
		x->func = f;
	return x;
}

static bool
is_name(const struct ml_tok *t)
{
	return t->kind == ML_TOK_NAME || t->kind == ML_TOK_QUOTED;
}

static struct ml_ast *
column(struct parsing *p)
{
	struct ml_ast *x;
	int op;

	if (p->t.kind == ML_TOK_NAME && reserved(&p->t))
		return fail(p, is_word(&p->t, "SELECT") || is_word(&p->t, "EXISTS") ? "sub-queries are not allowed"
										    : "syntax error");
	x = leaf(p, ML_AST_COLUMN, 0);
	for (int i = 0; i < 2 && x != NULL && is_op(&p->t, '.'); i++) {
		next(p);
		if (!is_name(&p->t))
			return fail(p, "a name is missing");
		x->db = x->table;
		x->table = x->text;
		x->text = (struct ml_text_ref){ p->t.s, p->t.len };
		next(p);
	}
	if (x == NULL || !(is_op(&p->t, ML_SYM_ARROW) || is_op(&p->t, ML_SYM_ARROW_TEXT)))
		return x;
	op = p->t.op;
	next(p);
	if (p->t.kind != ML_TOK_STRING)
		return fail(p, "-> takes a path in quotes");
	x = node(p, ML_AST_FUNC, 0, 2, x, string(p));
	if (x == NULL)
		return NULL;
	x->func = ml_func_find("JSON_EXTRACT", 12, NULL);
	if (op == ML_SYM_ARROW_TEXT) {
		x = node(p, ML_AST_FUNC, 0, 1, x);
		if (x != NULL)
			x->func = ml_func_find("JSON_UNQUOTE", 12, NULL);
	}
	return x;
}

static struct ml_ast *
word(struct parsing *p)
{
	static const struct {
		const char *word;
		char op;
	} temporal[] = { { "DATE", 'd' }, { "TIME", 't' }, { "TIMESTAMP", 's' } };
	const struct ml_tok *ahead = peek(p);
	struct ml_ast *x;

	if (ahead->kind == ML_TOK_STRING)
		for (int i = 0; i < 3; i++)
			if (take_word(p, temporal[i].word))
				return leaf(p, ML_AST_TEMPORAL, temporal[i].op);
	if (is_word(&p->t, "CASE"))
		return case_expr(p);
	if (is_word(&p->t, "NULL"))
		return leaf(p, ML_AST_NULL, 0);
	if (is_word(&p->t, "TRUE") || is_word(&p->t, "FALSE")) {
		bool yes = is_word(&p->t, "TRUE");

		x = leaf(p, ML_AST_INT, 0);
		if (x != NULL)
			x->text = (struct ml_text_ref){ yes ? "1" : "0", 1 };
		return x;
	}
	if (is_op(ahead, '('))
		return is_word(&p->t, "SELECT") || is_word(&p->t, "EXISTS") ? fail(p, "sub-queries are not allowed")
									    : call(p);
	return column(p);
}

static struct ml_ast *
primary(struct parsing *p)
{
	struct ml_ast *x;

	switch (p->t.kind) {
	case ML_TOK_INT:
		return leaf(p, ML_AST_INT, 0);
	case ML_TOK_DECIMAL:
		return leaf(p, ML_AST_DECIMAL, 0);
	case ML_TOK_REAL:
		return leaf(p, ML_AST_REAL, 0);
	case ML_TOK_STRING:
		return string(p);
	case ML_TOK_BYTES:
		return leaf(p, ML_AST_BYTES, 0);
	case ML_TOK_NAME:
		return word(p);
	case ML_TOK_QUOTED:
		return column(p);
	case ML_TOK_OP:
		if (!take_op(p, '('))
			break;
		if (is_word(&p->t, "SELECT"))
			return fail(p, "sub-queries are not allowed");
		x = expr(p);
		if (x != NULL && !take_op(p, ')'))
			return fail(p, "a closing bracket is missing");
		return x;
	case ML_TOK_END:
		return fail(p, "the expression ends too early");
	default:
		break;
	}
	return fail(p, "syntax error");
}

static struct ml_ast *
unary(struct parsing *p)
{
	struct ml_ast *x;

	if (p->failed)
		return NULL;
	if (++p->depth > MAX_DEPTH)
		return fail(p, "nested too deeply");
	if (take_op(p, '-')) {
		/* So that -9223372036854775808 is one number. */
		if (p->t.kind == ML_TOK_INT || p->t.kind == ML_TOK_DECIMAL || p->t.kind == ML_TOK_REAL) {
			char *s = ml_arena_bytes(p->a, p->t.len + 1);

			s[0] = '-';
			memcpy(s + 1, p->t.s, p->t.len);
			p->t.s = s;
			p->t.len++;
			x = primary(p);
		} else {
			x = node(p, ML_AST_NEG, 0, 1, unary(p));
		}
	} else if (take_op(p, '+')) {
		x = unary(p);
	} else if (take_op(p, '~')) {
		x = node(p, ML_AST_BITNOT, 0, 1, unary(p));
	} else if (take_op(p, '!')) {
		x = node(p, ML_AST_NOT, 0, 1, unary(p));
	} else {
		x = primary(p);
	}
	p->depth--;
	return x;
}

/* Operator of arithmetic at the front: its level (higher binds tighter), 0 if there is none. */
static int
arith(const struct ml_tok *t, int *op)
{
	if (is_word(t, "DIV") || is_word(t, "MOD")) {
		*op = is_word(t, "DIV") ? 'D' : '%';
		return 5;
	}
	if (t->kind != ML_TOK_OP)
		return 0;
	*op = t->op;
	switch (t->op) {
	case '^':
		return 6;
	case '*':
	case '/':
	case '%':
		return 5;
	case '+':
	case '-':
		return 4;
	case ML_SYM_SHL:
	case ML_SYM_SHR:
		return 3;
	case '&':
		return 2;
	case '|':
		return 1;
	default:
		return 0;
	}
}

static struct ml_ast *
bit_expr(struct parsing *p, int least)
{
	struct ml_ast *x = unary(p);
	int op, level;

	while (x != NULL && (level = arith(&p->t, &op)) >= least && level > 0) {
		next(p);
		x = node(p, ML_AST_ARITH, op, 2, x, bit_expr(p, level + 1));
	}
	return x;
}

static struct ml_ast *
in_list(struct parsing *p, struct ml_ast *x)
{
	struct list l = { 0 };

	if (!take_op(p, '('))
		return fail(p, "an opening bracket is missing");
	if (is_word(&p->t, "SELECT"))
		return fail(p, "sub-queries are not allowed");
	if (!add(p, &l, x))
		return NULL;
	do {
		if (!add(p, &l, expr(p)))
			return NULL;
	} while (take_op(p, ','));
	if (!take_op(p, ')'))
		return fail(p, "a closing bracket is missing");
	return node_of(p, ML_AST_IN, 0, &l);
}

static struct ml_ast *
like(struct parsing *p, struct ml_ast *x)
{
	int32_t escape = '\\';

	x = node(p, ML_AST_LIKE, 0, 2, x, bit_expr(p, 1));
	if (x != NULL && take_word(p, "ESCAPE")) {
		const char *s = p->t.s;

		if (p->t.kind != ML_TOK_STRING)
			return fail(p, "ESCAPE takes a string");
		if (p->t.len == 0)
			escape = -1;
		else
			escape = (int32_t)ml_utf8_next(&s, p->t.s + p->t.len);
		if (p->t.len > 0 && s != p->t.s + p->t.len)
			return fail(p, "ESCAPE takes one character");
		next(p);
	}
	if (x != NULL)
		x->op = escape;
	return x;
}

/* bit [NOT] BETWEEN .., IN, LIKE, REGEXP */
static struct ml_ast *
predicate(struct parsing *p)
{
	struct ml_ast *x = bit_expr(p, 1), *low;
	bool not ;

	if (x == NULL)
		return NULL;
	not = is_word(&p->t, "NOT");
	if (not )
		next(p);
	if (take_word(p, "BETWEEN")) {
		low = bit_expr(p, 1);
		if (low == NULL)
			return NULL;
		if (!take_word(p, "AND"))
			return fail(p, "AND is missing");
		x = node(p, ML_AST_BETWEEN, 0, 3, x, low, bit_expr(p, 1));
	} else if (take_word(p, "IN")) {
		x = in_list(p, x);
	} else if (take_word(p, "LIKE")) {
		x = like(p, x);
	} else if (take_word(p, "REGEXP") || take_word(p, "RLIKE")) {
		x = node(p, ML_AST_REGEXP, 0, 2, x, bit_expr(p, 1));
	} else if (not ) {
		return fail(p, "syntax error");
	}
	return not ? node(p, ML_AST_NOT, 0, 1, x) : x;
}

static struct ml_ast *
is_what(struct parsing *p, struct ml_ast *x)
{
	bool not = take_word(p, "NOT");
	int op = is_word(&p->t, "NULL") || is_word(&p->t, "UNKNOWN") ? 'n'
		 : is_word(&p->t, "TRUE")                            ? 't'
		 : is_word(&p->t, "FALSE")                           ? 'f'
								     : 0;

	if (op == 0)
		return fail(p, "NULL, TRUE, FALSE or UNKNOWN is missing");
	next(p);
	x = node(p, ML_AST_IS, op, 1, x);
	return not ? node(p, ML_AST_NOT, 0, 1, x) : x;
}

static struct ml_ast *
boolean(struct parsing *p)
{
	struct ml_ast *x = predicate(p);

	for (;;) {
		int op = p->t.kind == ML_TOK_OP ? p->t.op : 0;

		if (x == NULL)
			return NULL;
		if (take_word(p, "IS")) {
			x = is_what(p, x);
			continue;
		}
		if (op != '=' && op != '<' && op != '>' && op != ML_SYM_LE && op != ML_SYM_GE && op != ML_SYM_NE &&
			op != ML_SYM_NULL_EQ)
			return x;
		next(p);
		x = node(p, ML_AST_CMP, op, 2, x, predicate(p));
	}
}

static struct ml_ast *
not_expr(struct parsing *p)
{
	struct ml_ast *x;

	if (!take_word(p, "NOT"))
		return boolean(p);
	if (++p->depth > MAX_DEPTH)
		return fail(p, "nested too deeply");
	x = node(p, ML_AST_NOT, 0, 1, not_expr(p));
	p->depth--;
	return x;
}

static struct ml_ast *
and_expr(struct parsing *p)
{
	struct ml_ast *x = not_expr(p);

	while (x != NULL && (take_word(p, "AND") || take_op(p, ML_SYM_AND_AND)))
		x = node(p, ML_AST_AND, 0, 2, x, not_expr(p));
	return x;
}

static struct ml_ast *
xor_expr(struct parsing *p)
{
	struct ml_ast *x = and_expr(p);

	while (x != NULL && take_word(p, "XOR"))
		x = node(p, ML_AST_XOR, 0, 2, x, and_expr(p));
	return x;
}

static struct ml_ast *
expr(struct parsing *p)
{
	struct ml_ast *x;

	if (p->failed)
		return NULL;
	if (++p->depth > MAX_DEPTH)
		return fail(p, "nested too deeply");
	x = xor_expr(p);
	while (x != NULL && (take_word(p, "OR") || take_op(p, ML_SYM_OR_OR)))
		x = node(p, ML_AST_OR, 0, 2, x, xor_expr(p));
	p->depth--;
	return x;
}

int
ml_parse_expr(struct ml_parsed **out, const char *text, struct ml_err *err)
{
	struct ml_parsed *r = calloc(1, sizeof(*r));
	struct parsing p = { 0 };
	size_t len = strlen(text);

	if (r == NULL)
		abort();
	ml_arena_init(&r->a, 4096);
	r->text = ml_arena_strndup(&r->a, text, len);
	p.a = &r->a;
	p.lex = (struct ml_lexing){ .start = r->text, .p = r->text, .end = r->text + len, .a = &r->a };
	if (len > MAX_TEXT) {
		fail(&p, "too long");
	} else {
		next(&p);
		r->root = expr(&p);
		if (r->root != NULL && p.t.kind != ML_TOK_END)
			r->root = fail(&p, "syntax error");
	}
	if (r->root == NULL) {
		ML_ERRF(err, ErrInvalidFilterExpression, 0,
			"invalid filter expressions. There is a syntax error in: '%.400s': %s near '%.60s'", text,
			p.why, len > p.at ? r->text + p.at : "");
		ml_parsed_free(r);
		return -1;
	}
	*out = r;
	return 0;
}

void
ml_parsed_free(struct ml_parsed *p)
{
	if (p == NULL)
		return;
	ml_arena_fini(&p->a);
	free(p);
}
