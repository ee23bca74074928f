/*
 * toml.h - reader of TOML 1.0 documents into a tree.
 *
 * Strict: everything the standard forbids is refused with its line, and so are NUL characters, documents above ML_TOML_MAX
 * bytes or ML_TOML_NODES_MAX values, and nesting below ML_TOML_DEPTH_MAX (configuration is small; a huge one is a mistake).
 */
#ifndef ML_COMMON_TEXT_TOML_H
#define ML_COMMON_TEXT_TOML_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"

#define ML_TOML_MAX (1u << 20)
#define ML_TOML_NODES_MAX 10000u
#define ML_TOML_DEPTH_MAX 32u

enum ml_toml_type {
	ML_TOML_STRING,
	ML_TOML_INT,
	ML_TOML_FLOAT,
	ML_TOML_BOOL,
	ML_TOML_TIME,
	ML_TOML_ARRAY,
	ML_TOML_TABLE
};

struct ml_toml {
	enum ml_toml_type type;
	uint8_t how;                  /* the reader's own: how a table came to be */
	unsigned line;                /* where it stands, from 1 */
	const char *key;              /* of a table's member; NULL in arrays and for the root */
	const char *text;             /* STRING: its value, UTF-8; INT, FLOAT, TIME: as written; else NULL */
	int64_t num;                  /* INT; BOOL: 0 or 1 */
	double real;                  /* FLOAT */
	struct ml_toml *first, *last; /* members of TABLE and ARRAY, in order */
	struct ml_toml *next;         /* the next one beside this */
};

/* Reads text (len bytes).  *out: the root table, to be freed.  ErrConfigInvalid with "line N: ..." otherwise. */
int ml_toml_parse(struct ml_toml **out, const char *text, size_t len, struct ml_err *err);
void ml_toml_free(struct ml_toml *root); /* NULL is fine */
/* Member of a table; NULL if absent. */
const struct ml_toml *ml_toml_get(const struct ml_toml *table, const char *key);
const char *ml_toml_type_name(enum ml_toml_type type);
#endif
