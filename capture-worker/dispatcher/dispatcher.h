/*
 * dispatcher.h - topic and partition of a row (protocols.md 14).  Used by the one thread of its stage, but for the partition
 * counts, which the sink may raise from another.
 */
#ifndef ML_WORKER_DISPATCHER_DISPATCHER_H
#define ML_WORKER_DISPATCHER_DISPATCHER_H
#include "capture-worker/event/batch.h"
#include "capture-worker/event/ddl.h"
#include "capture-worker/event/topic.h"
#include "common/base/err.h"
#include "proto/shard.pb-c.h"

/*
 * How the dispatcher learns of a topic the first time: the sink looks it up or creates it and fills partitions and sink.
 * 0 or -1 with err.  Called from the dispatcher's thread, may block.
 */
typedef int ml_topic_open_fn(void *arg, struct ml_topic *t, struct ml_err *err);

struct ml_dispatcher;
/* default_topic: path of the sink uri; "" for sinks without topics (rows then get topic NULL, partition 0).
 * open_topic may be NULL in tests: every topic then has one partition. */
int ml_dispatcher_new(struct ml_dispatcher **out, const Ml__ChangefeedSpec *spec, const char *default_topic,
	const char *protocol, ml_topic_open_fn *open_topic, void *arg, struct ml_err *err);
void ml_dispatcher_free(struct ml_dispatcher *d);
/* Checks the rules against a table: index and columns exist; ErrDispatcherFailed.  Opens no topic. */
int ml_dispatcher_check(struct ml_dispatcher *d, struct ml_schema *s, struct ml_err *err);
/* Fills row->topic and row->partition; the decision per table is kept in row->schema->route. */
int ml_dispatcher_row(struct ml_dispatcher *d, struct ml_row *row, struct ml_err *err);
/* Topic of a table's rows. */
int ml_dispatcher_table(struct ml_dispatcher *d, struct ml_schema *s, struct ml_topic **topic, struct ml_err *err);
/* Topic of a DDL: by the table's name before it; default topic for database DDLs. */
int ml_dispatcher_ddl(struct ml_dispatcher *d, const struct ml_ddl *ddl, struct ml_topic **topic, struct ml_err *err);
/* Every topic opened so far plus the default one, for checkpoint messages; the array is the dispatcher's. */
int ml_dispatcher_topics(struct ml_dispatcher *d, struct ml_topic ***topics, size_t *n, struct ml_err *err);
/* Key text of a value (protocols.md 2.8) appended at buf, at most 350 bytes for numbers; BYTES are not copied: *s, *len say
 * where.  Returns nothing; NULL gives "null". */
void ml_key_text(const struct ml_datum *d, char buf[352], const char **s, size_t *len);
#endif
