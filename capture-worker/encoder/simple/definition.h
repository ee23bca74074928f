/* definition.h - a table's definition inside simple's DDL and BOOTSTRAP messages (protocols.md 12.3, 12.6). */
#ifndef ML_WORKER_ENCODER_SIMPLE_DEFINITION_H
#define ML_WORKER_ENCODER_SIMPLE_DEFINITION_H
#include <stdbool.h>

#include "capture-worker/event/msg.h"
#include "capture-worker/event/schema.h"

void sm_definition_json(struct ml_out *o, const struct ml_schema *s);
void sm_definition_avro(struct ml_out *o, const struct ml_schema *s);
#endif
