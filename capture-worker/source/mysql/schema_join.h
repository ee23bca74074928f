/*
 * schema_join.h - facts of a TABLE_MAP and the tracked definition to the schema that decodes its rows.
 *
 * With FULL metadata the TABLE_MAP is the truth: its columns, in its order; the definition decorates those columns of the same
 * name whose type facts agree.  Without: columns by position, and every fact that the TABLE_MAP has must agree, else the
 * definition is not this table's and nothing is guessed (mysql-upstream.md 1.6, 7.1).
 */
#ifndef ML_WORKER_SOURCE_MYSQL_SCHEMA_JOIN_H
#define ML_WORKER_SOURCE_MYSQL_SCHEMA_JOIN_H
#include <stdbool.h>
#include <stddef.h>

#include "capture-worker/event/schema.h"

struct ml_tablemap;

enum ml_join {
	ML_JOIN_SAME,     /* def describes the TABLE_MAP: use it */
	ML_JOIN_BUILT,    /* *out is a new schema made of both */
	ML_JOIN_MISMATCH, /* no FULL metadata and def does not fit; why says what */
};

/*
 * def may be NULL.  *out (ML_JOIN_BUILT): one reference, table_id and version copied from def (0 without); *poor is true when a
 * column could not be decorated, so that a re-read of the definition is worth while.
 */
enum ml_join ml_schema_join(struct ml_schema **out, const struct ml_tablemap *tm, struct ml_schema *def, bool *poor,
	char *why, size_t why_size);
#endif
