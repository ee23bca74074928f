/*
 * split.h - UPDATEs that change a key become DELETE and INSERT before they are dispatched (protocols.md 4.6, sinks.md 2.4).
 */
#ifndef ML_WORKER_ENCODER_SPLIT_H
#define ML_WORKER_ENCODER_SPLIT_H
#include <stdbool.h>

#include "capture-worker/event/batch.h"

/*
 * Rewrites b->rows for sinks with messages (Kafka, storage), before rows get their topic and partition: the halves of an UPDATE
 * may go to different partitions.  raw_change_event (output-raw-change-event): nothing is done.
 *
 * The unit is what b holds of one transaction on one table.  In a unit with no UPDATE to split nothing changes.  In any other
 * the rows are put in the order DELETEs, UPDATEs, INSERTs, each kind in its old order, so that no INSERT of a unique value
 * comes before the row that gives it up.  But only if no row (by its handle key) is touched twice: TiDB logs one change per row
 * and transaction, a binary log every step, and steps of one row must not pass each other; such a unit keeps its order, with
 * the halves of an UPDATE side by side.  A unit keeps the places its rows had between rows of other tables, and what the
 * splitting adds stands behind its last place: a table's order is the reference's, which has one stream per table, and other
 * tables do not move.  A transaction that fills several batches is handled per batch, as the reference does per chunk.
 *
 * An UPDATE is split if any column of a primary or unique index (nullable ones too) has another key text (2.8) in its two
 * images.
 * Both halves keep ts and schema, and have row->split set.
 */
void ml_split_updates(struct ml_batch *b, bool raw_change_event);
#endif
