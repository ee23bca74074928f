/* schema_copy.h - a definition under another name, and whether two definitions are the same. */
#ifndef ML_WORKER_EVENT_SCHEMA_COPY_H
#define ML_WORKER_EVENT_SCHEMA_COPY_H
#include "capture-worker/event/schema.h"

/* A deep copy, finished, with other names and everything else as it was; one reference. */
struct ml_schema *ml_schema_renamed(const struct ml_schema *s, struct ml_text db, struct ml_text table);
/* All facts but names of the table, id and version are equal: who writes rows cannot tell the two apart. */
bool ml_schema_identical(const struct ml_schema *a, const struct ml_schema *b);
/*
 * Rows of both fit one table: same columns with the same types, in the same order, and the same handle key.  Comments,
 * defaults and other indexes may differ.  What differs goes into why ("column v").
 */
bool ml_schema_agrees(const struct ml_schema *a, const struct ml_schema *b, char *why, size_t why_size);
#endif
