/*
 * parse.h - the text of a value expression to a tree, by the grammar of sinks.md 8.4; nothing of a table is known here.
 *
 * Refused beside wrong syntax: unknown functions, wrong numbers of arguments, sub-queries, variables, aggregates, and functions
 * whose value is not the row's alone (NOW, RAND, ...).
 */
#ifndef ML_WORKER_FILTER_EXPR_PARSE_H
#define ML_WORKER_FILTER_EXPR_PARSE_H
#include "capture-worker/filter/expr/lex.h"
#include "common/base/err.h"

struct ml_func;

enum ml_ast_kind {
	ML_AST_INT,
	ML_AST_DECIMAL,
	ML_AST_REAL, /* text */
	ML_AST_STRING,
	ML_AST_BYTES,
	ML_AST_NULL,
	ML_AST_TEMPORAL, /* text; op 'd' DATE, 't' TIME, 's' TIMESTAMP */
	ML_AST_COLUMN,   /* text; db and table if they were given */
	ML_AST_AND,
	ML_AST_OR,
	ML_AST_XOR,
	ML_AST_NOT,
	ML_AST_CMP, /* op: '=' '<' '>' ML_SYM_LE ML_SYM_GE ML_SYM_NE ML_SYM_NULL_EQ */
	ML_AST_IS,  /* op: 'n' NULL, 't' TRUE, 'f' FALSE */
	ML_AST_BETWEEN,
	ML_AST_IN,
	ML_AST_LIKE, /* op: escape character's code point, -1 for none */
	ML_AST_REGEXP,
	ML_AST_ARITH, /* op: + - * / % 'D' (DIV) & | ^ ML_SYM_SHL ML_SYM_SHR */
	ML_AST_NEG,
	ML_AST_BITNOT,
	ML_AST_FUNC,
	ML_AST_CASE, /* op: 1 with a base value, which is kid 0; then WHEN, THEN pairs; then ELSE, if n says so */
	ML_AST_CAST, /* op: enum ml_cast; precision, scale: -1 if not given */
};

enum ml_cast {
	ML_CAST_SIGNED,
	ML_CAST_UNSIGNED,
	ML_CAST_CHAR,
	ML_CAST_BINARY,
	ML_CAST_DECIMAL,
	ML_CAST_DOUBLE,
	ML_CAST_DATE,
	ML_CAST_DATETIME,
	ML_CAST_TIME,
	ML_CAST_JSON
};

struct ml_ast {
	uint8_t kind;
	int op;
	uint32_t n;
	struct ml_ast **kids;
	struct ml_text_ref {
		const char *s;
		uint32_t len;
	} text, table, db;
	const struct ml_func *func;
	int precision, scale;
};

struct ml_parsed {
	struct ml_arena a;
	char *text; /* as given, for messages */
	struct ml_ast *root;
};

/* ErrInvalidFilterExpression with the text and what is wrong where.  Yours to free with ml_parsed_free. */
int ml_parse_expr(struct ml_parsed **out, const char *text, struct ml_err *err);
void ml_parsed_free(struct ml_parsed *p);
/* Names with their case folded (ASCII), of equal length. */
bool ml_same_word(const char *s, size_t len, const char *word);
#endif
