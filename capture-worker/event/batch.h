/*
 * batch.h - what moves between the stages: rows in commit order, then at most one barrier.  A batch changes hands, it is
 * never shared; its arena holds rows, datums and messages, and goes with it.
 *
 * A batch never holds rows from both sides of a barrier.  A transaction larger than a batch comes as several batches, the
 * last of which carries the barrier.
 */
#ifndef ML_WORKER_EVENT_BATCH_H
#define ML_WORKER_EVENT_BATCH_H
#include <stdbool.h>
#include <stdint.h>

#include "capture-worker/event/ddl.h"
#include "capture-worker/event/msg.h"
#include "capture-worker/event/row.h"
#include "proto/shard.pb-c.h"

enum ml_barrier_kind {
	ML_BAR_NONE,
	ML_BAR_RESOLVED, /* everything with commit_ts <= ts has been handed over before or with this batch */
	ML_BAR_DDL,      /* ddl comes after the rows of this batch and before anything later; moves no checkpoint:
				 * a RESOLVED barrier with its ts follows */
	ML_BAR_TABLES,   /* no rows: the pins are definitions of tables that are followed as the source starts; come
				 * before all else, in the order of their versions, in several batches if they are many */
};

struct ml_barrier {
	enum ml_barrier_kind kind;
	ml_ts ts;
	/* RESOLVED: where the upstream stands at ts, to be stored with the checkpoint; in the batch's arena. */
	const Ml__Position *position;
	struct ml_ddl *ddl; /* DDL: in the batch's arena */
};

struct ml_quota;

struct ml_batch {
	struct ml_arena arena;
	struct ml_row *rows; /* cap_rows of them, heap; kept when the batch is recycled */
	struct ml_msg *msgs; /* made by the encode stage */
	struct ml_schema **pins;
	uint32_t n_rows, cap_rows, n_msgs, cap_msgs, n_pins, cap_pins;
	uint64_t
		n_changes; /* row changes this batch stands for: n_rows, or more when rows are counted without being built */
	uint32_t n_txns;   /* groups that end in it */
	uint64_t bytes_in; /* of the upstream's events, for statistics */
	struct ml_barrier barrier;
	uint64_t seq;           /* number given by the pipeline when it enters; durable(seq) is told once for each */
	uint64_t charged_bytes; /* taken from quota; given back when the batch is freed */
	struct ml_quota *quota;
	struct ml_batch *next; /* of the queue or list it is in */
	size_t kept_bytes;     /* while it is in the pool: of its arena's spare chunks */
};

/* A recycled or new empty batch from the pool of this process; thread safe. */
struct ml_batch *ml_batch_new(void);
/* Drops pins, gives charged bytes back, recycles; NULL is fine; thread safe. */
void ml_batch_free(struct ml_batch *b);
void ml_batch_pool_drain(void); /* frees the pool, at exit */
/* One more row, not initialised; the pointer dies with the next call. */
struct ml_row *ml_batch_row(struct ml_batch *b);
struct ml_msg *ml_batch_msg(struct ml_batch *b);
/* Keeps schema alive as long as the batch; cheap when it was the last one pinned. */
void ml_batch_pin(struct ml_batch *b, struct ml_schema *s);
/* A copy of a protobuf position in the batch's arena. */
const Ml__Position *ml_batch_position(struct ml_batch *b, const Ml__Position *p);
/* Bytes of memory the batch holds: arena chunks and arrays. */
size_t ml_batch_bytes(const struct ml_batch *b);
#endif
