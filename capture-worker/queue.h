/* queue.h - bounded queue of batches between two stages: one producer, one consumer. */
#ifndef ML_WORKER_QUEUE_H
#define ML_WORKER_QUEUE_H
#include "capture-worker/event/batch.h"

struct ml_queue;
struct ml_queue *ml_queue_new(unsigned capacity);
void ml_queue_free(struct ml_queue *q); /* frees the batches in it; NULL is fine */
/* Waits for room.  0: b is in the queue; -1: the queue is stopped, b is still the caller's. */
int ml_queue_push(struct ml_queue *q, struct ml_batch *b);
/* No more batches will come; what is in the queue is still handed out. */
void ml_queue_end(struct ml_queue *q);
enum ml_pop { ML_POP_BATCH, ML_POP_TIMEOUT, ML_POP_END, ML_POP_STOPPED };
/* Waits up to timeout_ms (-1: for ever). */
enum ml_pop ml_queue_pop(struct ml_queue *q, struct ml_batch **b, int timeout_ms);
void ml_queue_stop(struct ml_queue *q); /* wakes both sides; nothing is handed out any more */
#endif
