/*
 * shaper.h - what leaves of a row: columns that a selector takes away become absent (sinks.md 9), columns with a mask are
 * hashed, cut or replaced (mask.h).  It stands behind the choice of splitting UPDATEs and before the choice of the partition,
 * so every sink gets the same rows.  Used by one thread.
 *
 * sink_config holds the rules:
 *	column-selectors: [{matcher: [...], columns: [...]}]		the first that accepts the table counts
 *	mask: [{matcher: [...], columns: [...], method, salt | length | value}]	per column the first that names it counts
 */
#ifndef ML_WORKER_SHAPER_SHAPER_H
#define ML_WORKER_SHAPER_SHAPER_H
#include <stdbool.h>

#include "capture-worker/event/batch.h"
#include "common/base/err.h"
#include "proto/shard.pb-c.h"

struct ml_shaper;
/*
 * topics: the sink has topics and partitions, so a dispatch rule by `columns` needs its columns.  Errors: ErrSinkInvalidConfig
 * (a rule's form), ErrFilterRuleInvalid (a pattern), ErrColumnMaskFailed.
 */
int ml_shaper_new(struct ml_shaper **out, const Ml__ChangefeedSpec *spec, bool topics, struct ml_err *err);
void ml_shaper_free(struct ml_shaper *sh);
/*
 * Do the rules fit the table?  ErrColumnSelectorFailed: neither the primary key nor a unique index remains whole (a table
 * without primary key passes, as in TiCDC), or a column is gone by which rows are dispatched.  ErrColumnMaskFailed: ml_mask_bind.
 */
int ml_shaper_check(struct ml_shaper *sh, const struct ml_schema *s, struct ml_err *err);
/* Shapes b's rows; their images are changed in place, new text is in b's arena.  Errors as ml_shaper_check's. */
int ml_shaper_rows(struct ml_shaper *sh, struct ml_batch *b, struct ml_err *err);
#endif
