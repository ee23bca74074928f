/*
 * ddl_rewrite.h - what a DDL's text says otherwise downstream (sinks.md 3.11): indexes without a name get the one that the
 * source gave them, so that doing it again is noticed and a later DROP INDEX finds them; VECTOR(n) becomes LONGTEXT.
 */
#ifndef ML_WORKER_SINK_MYSQL_DDL_REWRITE_H
#define ML_WORKER_SINK_MYSQL_DDL_REWRITE_H
#include <stdbool.h>

#include "capture-worker/event/ddl.h"
#include "capture-worker/sink/mysql/conn.h"
#include "common/base/buf.h"

/*
 * Appends ddl's text with names for the indexes of CREATE TABLE and ALTER TABLE that have none, as far as ddl->schema tells them
 * beyond doubt: other statements, and indexes whose name could be another's, stay as they are.
 */
void sql_ddl_name_indexes(struct ml_buf *out, const struct ml_ddl *ddl);
/* True if the user says that there are vectors (has-vector-type) and the target is no TiDB that has them (8.4 and later). */
bool sql_ddl_lacks_vectors(const struct sql_target *t);
/* VECTOR(n) in the text becomes LONGTEXT. */
void sql_ddl_vectors_to_text(struct ml_buf *text, uint64_t sql_mode);
#endif
