/*
 * progress.h - from "batch n is durable" to the checkpoint.  Batches enter numbered, in order; acknowledgements may come in
 * any order; the checkpoint is the last resolved barrier before the first batch that is not durable yet.  Thread safe.
 */
#ifndef ML_WORKER_PROGRESS_H
#define ML_WORKER_PROGRESS_H
#include <stdbool.h>
#include <stdint.h>

#include "common/base/ts.h"
#include "proto/shard.pb-c.h"

struct ml_progress;
/* position: belongs to checkpoint, copied; may be NULL. */
struct ml_progress *ml_progress_new(ml_ts checkpoint, const Ml__Position *position);
void ml_progress_free(struct ml_progress *p);
/* The next batch enters; resolved 0: it carries no resolved barrier.  position is copied.  Returns its number. */
uint64_t ml_progress_enter(struct ml_progress *p, ml_ts resolved, const Ml__Position *position);
/* All of batch seq is durable downstream.  True if the checkpoint advanced. */
bool ml_progress_durable(struct ml_progress *p, uint64_t seq);
ml_ts ml_progress_checkpoint(struct ml_progress *p);
ml_ts ml_progress_resolved(struct ml_progress *p); /* of the last batch that entered */
/* Checkpoint with its position: malloc'ed, NULL if unknown; free with ml__position__free_unpacked(x, NULL). */
ml_ts ml_progress_get(struct ml_progress *p, Ml__Position **position);
/* A malloc'ed copy, to be freed with ml__position__free_unpacked; NULL gives NULL. */
Ml__Position *ml_position_dup(const Ml__Position *p);
#endif
