/*
 * json.h - strict JSON reader for foreign bodies, with the rules of Go's decoder that TiCDC's clients know (openapi.md 1.3):
 * numbers stay text until a field asks for them, so 64-bit integers are exact and 1.0 or 1e3 are not integers; keys match exactly
 * or else without regard to ASCII case; the last of duplicate keys wins; null leaves a field alone; unknown keys are ignored;
 * bytes after the first value are ignored.
 *
 * Not here: comments, single quotes, NaN, a byte order mark.  Text is UTF-8; bad UTF-8 and lone surrogates in strings become
 * U+FFFD, as in Go.
 */
#ifndef ML_COMMON_TEXT_JSON_H
#define ML_COMMON_TEXT_JSON_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/err.h"

/* Deeper nesting is an error: every level costs a stack frame, and no document of ours has more than six. */
#define ML_JSON_MAX_DEPTH 100

enum ml_json_type { ML_JSON_NULL, ML_JSON_BOOL, ML_JSON_NUMBER, ML_JSON_STRING, ML_JSON_ARRAY, ML_JSON_OBJECT };

struct ml_json {
	enum ml_json_type type;
	bool b;          /* BOOL */
	const char *s;   /* STRING: decoded, NUL-terminated; NUMBER: the literal, NUL-terminated */
	size_t len;      /* of s */
	const char *key; /* member of an object: decoded; else NULL */
	size_t key_len;
	struct ml_json *child; /* ARRAY, OBJECT: first element, in the order of the text */
	struct ml_json *next;  /* of the same parent */
	size_t n;              /* children */
};

/*
 * Parses the first value of text into a.  0, or -1 with ErrAPIInvalidParam whose text is Go's detail: "EOF" for an empty
 * text, "unexpected EOF" for a truncated one, "invalid character ... " else.
 */
int ml_json_parse(struct ml_json **out, struct ml_arena *a, const char *text, size_t len, struct ml_err *err);
/* Value of the last member that matches name (exactly, else ignoring case); NULL if there is none or j is no object. */
const struct ml_json *ml_json_get(const struct ml_json *j, const char *name);
const char *ml_json_type_name(enum ml_json_type t); /* "null" "bool" "number" "string" "array" "object" */
/* Appends the value without whitespace. */
void ml_json_print(const struct ml_json *j, struct ml_buf *out);

struct ml_json_strs {
	const char **v;
	size_t n;
};
struct ml_json_u64s {
	uint64_t *v;
	size_t n;
};

enum ml_json_kind {
	ML_JK_STR,    /* const char *; a text with a NUL inside is refused */
	ML_JK_BOOL,   /* bool */
	ML_JK_U64,    /* uint64_t */
	ML_JK_I64,    /* int64_t */
	ML_JK_I32,    /* int32_t */
	ML_JK_STRS,   /* struct ml_json_strs */
	ML_JK_U64S,   /* struct ml_json_u64s */
	ML_JK_OBJECT, /* const struct ml_json * */
	ML_JK_ARRAY,  /* const struct ml_json * */
};

struct ml_json_field {
	const char *name;
	enum ml_json_kind kind;
	size_t offset; /* of the value in the out struct */
};

/*
 * Fills the fields of out that j (an object, or null = {}) holds; what is absent or null stays as it is.  path: put before a
 * field's name in errors ("" at the top, "sink_config." below).  Arrays and strings live in a.  0, or -1 with
 * ErrAPIInvalidParam whose text is the detail alone, naming the field.
 */
int ml_json_decode(const struct ml_json *j, const char *path, const struct ml_json_field *fields, size_t n_fields,
	void *out, struct ml_arena *a, struct ml_err *err);
#endif
