/* ddl_apply.h - a definition and the changes of one CREATE or ALTER TABLE to the definition after it. */
#ifndef ML_WORKER_SOURCE_MYSQL_DDL_APPLY_H
#define ML_WORKER_SOURCE_MYSQL_DDL_APPLY_H
#include "capture-worker/event/schema.h"
#include "capture-worker/source/mysql/ddl_class.h"

/* Names of its own, the facts of s (may be NULL), no columns yet but room for so many columns and indexes. */
struct ml_schema *ml_schema_shell(
	const struct ml_schema *s, struct ml_text db, struct ml_text table, size_t columns, size_t indexes);
/* Copies with their texts in a; what ml_schema_finish derives is left out. */
void ml_column_keep(struct ml_column *c, const struct ml_column *from, struct ml_arena *a);
void ml_index_keep(struct ml_index *x, const struct ml_index *from, struct ml_arena *a);
/* A deep copy under another name, not finished: the caller may change it, then calls ml_schema_finish. */
struct ml_schema *ml_schema_copy(const struct ml_schema *s, struct ml_text db, struct ml_text table);
/*
 * The definition after the item's changes: of before (NULL: from nothing) under the item's name, finished, one reference,
 * table_id and kind of before.  Changes that do not fit (a column that is missing or there already, since before may be newer
 * than the log's place) are applied as far as they make sense.  Sets *uncertain when something was not understood.
 * charset, collation: default of the table when nothing says otherwise.
 */
struct ml_schema *ml_ddl_apply(const struct ml_schema *before, const struct ml_ddl_item *item, struct ml_text charset,
	struct ml_text collation, bool *uncertain);
#endif
