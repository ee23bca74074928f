/*
 * pipeline_stages.h - what the parts of a pipeline share: stage_source.c, stage_encode.c and stage_sink.c have a thread each, and
 * pipeline.c sets them up, stops them and tells how far they are.  For these four files only.
 */
#ifndef ML_WORKER_PIPELINE_STAGES_H
#define ML_WORKER_PIPELINE_STAGES_H
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "capture-worker/claim_store.h"
#include "capture-worker/dispatcher/dispatcher.h"
#include "capture-worker/filter/event.h"
#include "capture-worker/pipeline.h"
#include "capture-worker/plan.h"
#include "capture-worker/progress.h"
#include "capture-worker/queue.h"
#include "capture-worker/quota.h"
#include "capture-worker/router/router.h"
#include "capture-worker/shaper/shaper.h"
#include "capture-worker/source/source.h"
#include "common/base/buf.h"
#include "common/text/tz.h"

struct ml_pipeline {
	struct ml_pipeline_env env;
	struct ml_plan plan;
	struct ml_filter *filter;
	struct ml_tz *tz;
	struct ml_event_filter
		*events; /* NULL: none.  Rows pass it in the encode stage, or in the source's if there is none */
	struct ml_source_env source_env; /* source and sink keep pointers to theirs */
	struct ml_sink_env sink_env;
	const struct ml_source_ops *source_ops;
	struct ml_source *source;
	struct ml_shaper *shaper; /* NULL: the sink takes nothing */
	struct ml_router *router; /* NULL: tables keep their names.  Used by the stage that shapes rows */
	struct ml_dispatcher *dispatcher;
	struct ml_encoder *encoder;
	_Atomic(struct ml_claim_store *) claims; /* for the encoder's large messages; NULL: none, or a folder */
	struct ml_sink *sink;
	struct ml_quota *quota;
	struct ml_progress *progress;
	struct ml_queue *to_encode, *to_sink; /* one and the same when there is no encode stage */
	pthread_t source_thread, encode_thread, sink_thread;
	bool source_started, encode_started; /* by the sink thread */
	/* Encoder and dispatcher belong to the encode stage; the sink stage borrows them once a second for checkpoint messages. */
	pthread_mutex_t encode_lock;
	/* Set before the threads of the other stages start, and while stopping. */
	pthread_mutex_t state_lock;
	bool stopping;
	struct ml_buf
		running_ddl; /* what the sink is carrying out; empty: nothing.  Under state_lock, like the next two */
	ml_ts running_ts;
	uint64_t running_since_ms; /* Unix time */
	atomic_bool failed;
	atomic_bool advanced;  /* the checkpoint did, once */
	atomic_bool at_target; /* the source came to target_ts */
	pthread_mutex_t saved_lock;
	pthread_cond_t saved_news;
	ml_ts saved;          /* the newest checkpoint that is stored */
	bool ddl_was_written; /* sink stage: the next checkpoint is told at once */
	ml_ts told;           /* sink stage: last checkpoint told downstream */
	uint64_t told_ms;
	_Atomic ml_ts replicating_ts; /* for the sink */
	atomic_uint_fast64_t rows, filtered_rows, txns, ddls;
	pthread_mutex_t tables_lock;
	int64_t *tables; /* sorted */
	size_t n_tables, cap_tables;
};

/* From any thread: the first error ends the pipeline, all queues stop. */
void pipeline_fail(struct ml_pipeline *p, const struct ml_err *err);
/* Everything that may block or fail on the way up; in the sink's thread. */
int pipeline_set_up(struct ml_pipeline *p, struct ml_err *err);
/* For source and sink, which report trouble that they try to overcome, and its end (NULL). */
void pipeline_warn(void *arg, const struct ml_err *err);

/* ---- stage_source.c ---- */
void *pipeline_source_main(void *arg);
/* What the source calls: see struct ml_source_env. */
int pipeline_emit(void *arg, struct ml_batch *b);
void pipeline_table(void *arg, int64_t table_id, bool followed);
/* Takes out the rows that event filters leave out.  counted: `rows` has them already. */
int pipeline_filter_rows(struct ml_pipeline *p, struct ml_batch *b, bool counted, struct ml_err *err);

/* ---- stage_encode.c ---- */
void *pipeline_encode_main(void *arg);
/* Gives b's DDL its names downstream, or takes it out of b. */
int pipeline_route_ddl(struct ml_pipeline *p, struct ml_batch *b, struct ml_err *err);

/* ---- stage_sink.c ---- */
void *pipeline_sink_main(void *arg);
/* What the sink calls: see struct ml_sink_env. */
void pipeline_durable(void *arg, uint64_t seq);
#endif
