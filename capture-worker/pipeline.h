/*
 * pipeline.h - wires the stages of one shard, in order; the only file that names them all.
 *
 *   source thread:  source (reads, mounts, filters) --batch--> queue
 *   encode thread:  event filters, split UPDATEs, dispatch, encode --batch--> queue   (left out when the sink takes no messages;
 *                   event filters run in the source thread then)
 *   sink thread:    opens sink and encoder, writes, barriers, checkpoint messages
 *
 * Quota is taken where a batch enters and given back when it is freed.  The checkpoint comes from progress.c alone.
 */
#ifndef ML_WORKER_PIPELINE_H
#define ML_WORKER_PIPELINE_H
#include "common/base/err.h"
#include "common/base/ts.h"
#include "proto/shard.pb-c.h"

struct ml_pipeline;

struct ml_pipeline_env {
	const Ml__ChangefeedSpec *spec; /* all of these outlive the pipeline */
	const Ml__ServerConfig *config;
	const char *object;
	ml_ts checkpoint_ts;
	const Ml__Position *position;
	const char *state_dir;
	void *arg;
	/* From the pipeline's threads: hand over to your own. */
	void (*failed)(void *arg, const struct ml_err *err); /* once; nothing becomes durable any more */
	void (*warned)(void *arg, const struct ml_err *err); /* NULL: over */
	void (*advanced)(void *arg);                         /* the checkpoint has, for the first time */
	void (*save_wanted)(
		void *arg); /* the checkpoint is to be reported and stored now: ml_pipeline_saved is waited for */
	void (*drained)(
		void *arg, bool finished); /* after stop, or at target_ts: what the checkpoint covers is durable */
};

/* Starts the threads.  0, or -1 when the system refuses. */
int ml_pipeline_start(struct ml_pipeline **out, const struct ml_pipeline_env *env, struct ml_err *err);
/* The source stops; what is in flight is flushed, then drained() is called (or failed()). */
void ml_pipeline_stop(struct ml_pipeline *p);
/* Joins the threads and frees: after drained(). */
void ml_pipeline_free(struct ml_pipeline *p);
/* Checkpoint, resolved-ts, position, table ids, counters: malloc'ed; free with ml__progress__free_unpacked(x, NULL). */
Ml__Progress *ml_pipeline_progress(struct ml_pipeline *p);
/* Cheap look whether a new report is worth while. */
void ml_pipeline_marks(struct ml_pipeline *p, ml_ts *checkpoint, ml_ts *resolved);
/* The metadata store holds this checkpoint now. */
void ml_pipeline_saved(struct ml_pipeline *p, ml_ts checkpoint);
#endif
