/*
 * event.h - event filters (sinks.md 8): changes of tables that are replicated, but are not to be sent - by kind, by the text of a
 * DDL, by what is in the row.
 *
 * Names, texts and rules are judged when the filter is made; expressions are compiled for a table when its first row comes, and
 * again when its definition has changed, so a column that is gone is an error then.
 */
#ifndef ML_WORKER_FILTER_EVENT_H
#define ML_WORKER_FILTER_EVENT_H
#include "capture-worker/event/batch.h"
#include "common/base/err.h"
#include "proto/shard.pb-c.h"

struct ml_event_filter;
struct ml_tz;

/*
 * From filter.event-filters of spec->replica_config_json; *out NULL if there are none.  tz (the server's; NULL: UTC) and object
 * (for logs) outlive the filter.  ErrFilterRuleInvalid, ErrInvalidIgnoreEventType, ErrInvalidFilterExpression.
 */
int ml_event_filter_new(struct ml_event_filter **out, const Ml__ChangefeedSpec *spec, const struct ml_tz *tz,
	const char *object, struct ml_err *err);
void ml_event_filter_free(struct ml_event_filter *f);
/* Does it look at rows at all?  f may be NULL here and below: nothing is left out then. */
bool ml_event_filter_wants_rows(const struct ml_event_filter *f);
/* Is this DDL, which the table filter accepts, to be left out?  From any thread. */
bool ml_event_filter_ddl(const struct ml_event_filter *f, const struct ml_ddl *ddl);
/*
 * Takes the rows out of b that are to be left out, the others keep their order.  For UPDATEs as they were logged: before they
 * are split.  By one thread, whose the schemas' `events` are.  ErrInvalidFilterExpression, ErrExpressionColumnNotFound,
 * ErrFailedToFilterDML.
 */
int ml_event_filter_rows(struct ml_event_filter *f, struct ml_batch *b, struct ml_err *err);
/* Compiles all that applies to this table, for its errors. */
int ml_event_filter_check(struct ml_event_filter *f, struct ml_schema *s, struct ml_err *err);
#endif
