/* ddl_px.h - reading position in the tokens of one statement, for the files that take statements apart. */
#ifndef ML_WORKER_SOURCE_MYSQL_DDL_PX_H
#define ML_WORKER_SOURCE_MYSQL_DDL_PX_H
#include "capture-worker/source/mysql/ddl_class.h"
#include "capture-worker/event/ddl_token.h"

struct ml_charconv;

struct ml_px {
	struct ml_lexer lx;
	struct ml_tok *t; /* tokens read so far, in the arena */
	uint32_t n, cap;
	uint32_t i; /* next one */
	bool bad;   /* an ML_TK_BAD token was met */
	struct ml_arena *a;
	const struct ml_ddl_env *env;
	struct ml_charconv *conv; /* NULL: text is UTF-8 */
};

/* The token k places ahead; an ML_TK_END behind the last. */
const struct ml_tok *ml_px_peek(struct ml_px *px, uint32_t k);
static inline bool
ml_px_end(struct ml_px *px)
{
	uint8_t kind = ml_px_peek(px, 0)->kind;

	return kind == ML_TK_END || kind == ML_TK_BAD;
}
static inline bool
ml_px_is(struct ml_px *px, uint32_t k, const char *word)
{
	return ml_tok_is(ml_px_peek(px, k), word);
}
static inline bool
ml_px_punct(struct ml_px *px, uint32_t k, char c)
{
	return ml_tok_punct(ml_px_peek(px, k), c);
}
bool ml_px_take(struct ml_px *px, const char *word); /* passes over the word if it is next */
bool ml_px_take2(struct ml_px *px, const char *word, const char *word2);
bool ml_px_take_punct(struct ml_px *px, char c);
/* IF [NOT] EXISTS; false if it does not stand here. */
bool ml_px_if_exists(struct ml_px *px, bool *exists, bool *not_exists);
/* A name of any kind; false (and nothing taken) if none is next. */
bool ml_px_name(struct ml_px *px, struct ml_text *out);
/* [db.]table with the default database put in and case folded as the server does. */
bool ml_px_table(struct ml_px *px, struct ml_text *db, struct ml_text *table);
bool ml_px_db(struct ml_px *px, struct ml_text *db);
struct ml_text ml_px_text(struct ml_px *px, const struct ml_tok *t); /* its meaning, UTF-8 */
/* Behind the parenthesis that closes the one at the current place (or to the end). */
void ml_px_skip_parens(struct ml_px *px);
/* To the next comma or closing parenthesis of this depth, or to the end. */
void ml_px_skip_item(struct ml_px *px);
/*
 * Text of tokens [from, to) as logged, without comments, each run of blanks as one; a trailing semicolon dropped.  The words of
 * executable comments stay, their frame goes, since they were executed.
 */
struct ml_text ml_px_source(struct ml_px *px, uint32_t from, uint32_t to);
struct ml_text ml_px_lower(struct ml_px *px, struct ml_text t); /* ASCII lower case copy */
#endif
