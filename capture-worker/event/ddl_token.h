/*
 * ddl_token.h - SQL text of a QUERY event to tokens.  No grammar: words, quoted names, strings, numbers, single characters.
 *
 * Knows what decides where a token ends (mysql-upstream.md 7.3): the three kinds of comments, executable comments whose
 * content is tokens, quotes doubled or escaped, ANSI_QUOTES, NO_BACKSLASH_ESCAPES, and client charsets whose second byte may
 * be a backslash or a backquote.  Never fails: an unterminated quote or comment gives one ML_TK_BAD token up to the end.
 */
#ifndef ML_WORKER_EVENT_DDL_TOKEN_H
#define ML_WORKER_EVENT_DDL_TOKEN_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capture-worker/event/schema.h"
#include "common/base/arena.h"

/* Bits of sql_mode (status variable 1) that matter here; the same in MySQL and MariaDB. */
#define ML_SQL_MODE_ANSI_QUOTES (UINT64_C(1) << 2)
#define ML_SQL_MODE_NO_BACKSLASH_ESCAPES (UINT64_C(1) << 20)

enum ml_tok_kind {
	ML_TK_END,    /* len 0; stays the answer when asked again */
	ML_TK_WORD,   /* unquoted name or keyword */
	ML_TK_IDENT,  /* `..`, or ".." under ANSI_QUOTES; s and len include the quotes */
	ML_TK_STRING, /* '..', or ".."; x'..', b'..', n'..' too; quotes and prefix included */
	ML_TK_NUMBER, /* 12, 1.5e3, 0x1F, 0b01 */
	ML_TK_PUNCT,  /* one byte */
	ML_TK_BAD,    /* unterminated quote or comment: everything up to the end */
};

struct ml_tok {
	const char *s; /* into the statement, not terminated */
	uint32_t len;
	uint8_t kind;    /* enum ml_tok_kind */
	bool blank;      /* blanks or comments stood before it */
	bool executable; /* it stands in an executable comment */
};

struct ml_lexer {
	const char *p, *end;
	uint8_t multibyte; /* private: family of the client's charset */
	bool ansi_quotes, no_backslash, mariadb;
	bool in_executable; /* inside of an executable comment */
};

/* client_collation: of status variable 4 (0: UTF-8).  Keeps sql, which need not be terminated. */
void ml_lexer_init(
	struct ml_lexer *lx, const char *sql, size_t len, uint64_t sql_mode, uint16_t client_collation, bool mariadb);
struct ml_tok ml_lexer_next(struct ml_lexer *lx);

/* True if t is the unquoted word w (upper case ASCII). */
bool ml_tok_is(const struct ml_tok *t, const char *w);
static inline bool
ml_tok_punct(const struct ml_tok *t, char c)
{
	return t->kind == ML_TK_PUNCT && t->s[0] == c;
}
/*
 * What a name or string token stands for: quotes off, doubled quotes and (strings) backslash escapes resolved, hex and bit
 * literals as their bytes; other tokens as they are.  In the arena, NUL-terminated.
 */
struct ml_text ml_tok_text(const struct ml_lexer *lx, const struct ml_tok *t, struct ml_arena *a);
/* Bytes of n digits of a hex (bits 4) or bit (bits 1) literal, a partial byte first; in the arena, NUL-terminated. */
struct ml_text ml_digits_text(const char *digits, size_t n, unsigned bits, struct ml_arena *a);
#endif
