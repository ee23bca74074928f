/* topic.h - topic expressions (protocols.md 14.2): "cdc_{schema}_{table}" and the names they make. */
#ifndef ML_WORKER_DISPATCHER_TOPIC_H
#define ML_WORKER_DISPATCHER_TOPIC_H
#include <stdbool.h>
#include <stddef.h>

#include "common/base/err.h"

#define ML_TOPIC_MAX 249 /* bytes; Kafka's limit */

/*
 * Is text a fixed topic, or prefix {schema}? (middle {table})? suffix?  both: an expression needs both placeholders (avro's
 * rule).  0, or -1 with ErrKafkaTopicExprInvalid.
 */
int ml_topic_check(const char *text, bool both, struct ml_err *err);
/*
 * Topic of a table: other characters than [A-Za-z0-9._-] in the names become '_', longer ones are cut.  text is one that
 * ml_topic_check took.  Returns the length; out is NUL-terminated.
 */
size_t ml_topic_name(const char *text, const char *db, size_t db_len, const char *table, size_t table_len,
	char out[ML_TOPIC_MAX + 1]);
#endif
