/* lex.h - SQL text of a value expression to tokens (sinks.md 8.4), in the default SQL mode: "..." is a string. */
#ifndef ML_WORKER_FILTER_EXPR_LEX_H
#define ML_WORKER_FILTER_EXPR_LEX_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"

enum ml_tok_kind {
	ML_TOK_END,
	ML_TOK_BAD, /* BAD: why says it */
	ML_TOK_INT,
	ML_TOK_DECIMAL,
	ML_TOK_REAL,   /* s: the digits as written */
	ML_TOK_STRING, /* s: decoded */
	ML_TOK_BYTES,  /* x'..', 0x.., b'..', 0b..: the bytes */
	ML_TOK_NAME,
	ML_TOK_QUOTED, /* plain; back-quoted, decoded */
	ML_TOK_OP,     /* op */
};

/* Operators of one character are that character. */
enum {
	ML_SYM_LE = 256,
	ML_SYM_GE,
	ML_SYM_NE,
	ML_SYM_NULL_EQ,
	ML_SYM_SHL,
	ML_SYM_SHR,
	ML_SYM_AND_AND,
	ML_SYM_OR_OR,
	ML_SYM_ARROW,
	ML_SYM_ARROW_TEXT
};

struct ml_tok {
	enum ml_tok_kind kind;
	int op;
	const char *s; /* in the arena or the text; not terminated */
	uint32_t len;
	size_t at; /* where it begins in the text */
};

struct ml_lexing {
	const char *start, *p, *end;
	struct ml_arena *a;
	const char *why;
};

struct ml_tok ml_lex_next(struct ml_lexing *l);
#endif
