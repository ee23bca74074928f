/* by_name.h - a table's columns in the order of their names' bytes, as protocols with objects of columns write them. */
#ifndef ML_WORKER_ENCODER_BY_NAME_H
#define ML_WORKER_ENCODER_BY_NAME_H
#include "capture-worker/event/schema.h"

/* s->n_columns of them, in a. */
const struct ml_column **ml_columns_by_name(const struct ml_schema *s, struct ml_arena *a);
#endif
