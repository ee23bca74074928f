/*
 * mask.h - values that must not leave as they are: hashed, cut, or replaced by a constant.
 *
 *	hash      hex SHA-256 of salt and value; for text and binary columns, keys too
 *	truncate  the first `length` characters (bytes of binary columns); for text and binary columns that are no keys
 *	constant  `value`, also in place of NULL; for columns that are no keys, of a type that can hold the value: a JSON string
 *	          for text, binary, DATE, DATETIME and TIMESTAMP, a number for integers, YEAR, BIT, FLOAT, DOUBLE and DECIMAL,
 *	          null for every column that allows NULL
 * A key is a column of a primary or unique index: what is cut or replaced there would make different rows the same.
 * NULL stays NULL for hash and truncate.  Declared lengths are not looked at: a hash is 64 characters in any column.
 */
#ifndef ML_WORKER_SHAPER_MASK_H
#define ML_WORKER_SHAPER_MASK_H
#include "capture-worker/event/row.h"
#include "common/base/arena.h"
#include "common/base/err.h"
#include "common/text/json.h"

struct ml_mask;
/* From the rule's members method, salt, length and value.  ErrColumnMaskFailed. */
int ml_mask_new(struct ml_mask **out, const struct ml_json *rule, struct ml_err *err);
void ml_mask_free(struct ml_mask *m);

/* A mask bound to a column; constant and other facts are worked out. */
struct ml_mask_column {
	const struct ml_mask *mask;
	uint16_t col;
	bool binary;
	struct ml_datum constant; /* its text is in the arena given to ml_mask_bind */
};

/* Does the mask fit column col of s?  ErrColumnMaskFailed with the column's name. */
int ml_mask_bind(struct ml_mask_column *out, const struct ml_mask *m, const struct ml_schema *s, uint16_t col,
	struct ml_arena *a, struct ml_err *err);
/* Masks a datum in place; new text is in a.  An absent one stays absent. */
void ml_mask_apply(const struct ml_mask_column *c, struct ml_datum *d, struct ml_arena *a);
#endif
