/*
 * jsonw.h - JSON writer: text goes straight into a buffer, in the order of the calls, with the escaping of Go's encoder
 * (openapi.md 1.4) and either no whitespace or n spaces a level.  64-bit integers are printed exactly.
 */
#ifndef ML_COMMON_TEXT_JSONW_H
#define ML_COMMON_TEXT_JSONW_H
#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"

struct ml_jw {
	struct ml_buf *out;
	int indent; /* spaces a level; 0: compact */
	int depth;
	bool empty; /* nothing in the innermost bracket yet */
	bool after_key;
};

static inline struct ml_jw
ml_jw_of(struct ml_buf *out, int indent)
{
	return (struct ml_jw){ .out = out, .indent = indent, .empty = true };
}

void ml_jw_open(struct ml_jw *w, char bracket);  /* '{' or '[' */
void ml_jw_close(struct ml_jw *w, char bracket); /* '}' or ']' */
void ml_jw_key(struct ml_jw *w, const char *key);
void ml_jw_str(struct ml_jw *w, const char *s); /* NULL is "" */
void ml_jw_u64(struct ml_jw *w, uint64_t v);
void ml_jw_i64(struct ml_jw *w, int64_t v);
void ml_jw_bool(struct ml_jw *w, bool v);
void ml_jw_null(struct ml_jw *w);

static inline void
ml_jw_kstr(struct ml_jw *w, const char *key, const char *s)
{
	ml_jw_key(w, key);
	ml_jw_str(w, s);
}

static inline void
ml_jw_ku64(struct ml_jw *w, const char *key, uint64_t v)
{
	ml_jw_key(w, key);
	ml_jw_u64(w, v);
}

/* A quoted string with Go's escapes: also < > & and U+2028, U+2029; bad UTF-8 becomes \ufffd. */
void ml_json_quote(struct ml_buf *out, const char *s, size_t len);
/* Length (2..4) of the well-formed multi-byte UTF-8 sequence at p, 0 if there is none (ASCII, overlong, surrogate, cut). */
size_t ml_utf8_len(const unsigned char *p, size_t left);
#endif
