/* java_type.h - Java's SQL types of columns, as canal and canal-json name them (protocols.md 5.3). */
#ifndef ML_WORKER_ENCODER_JAVA_TYPE_H
#define ML_WORKER_ENCODER_JAVA_TYPE_H
#include <stdbool.h>
#include <stdint.h>

#include "capture-worker/event/row.h"

/* Is the column a string of bytes rather than of characters? */
bool ml_column_is_binary(const struct ml_column *c);
/* The column's code, without promotion. */
int ml_java_code(const struct ml_column *c);
/* Code of values above *bound; 0: the column is never promoted. */
int ml_java_code_promoted(const struct ml_column *c, uint64_t *bound);

/* Is the value above an unsigned column's bound?  NULL and negative numbers are not. */
static inline bool
ml_java_above(const struct ml_datum *d, uint64_t bound)
{
	return (d->kind == ML_D_U64 || (d->kind == ML_D_I64 && d->i > 0)) && d->u > bound;
}
#endif
