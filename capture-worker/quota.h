/* quota.h - bytes in flight of one shard: charged at the source, given back when a batch is freed.  Thread safe. */
#ifndef ML_WORKER_QUOTA_H
#define ML_WORKER_QUOTA_H
#include <stdbool.h>
#include <stdint.h>

struct ml_quota;
struct ml_quota *ml_quota_new(uint64_t limit_bytes);
void ml_quota_free(struct ml_quota *q);
/*
 * Takes bytes; waits while the quota is spent and something is in flight (so that one batch larger than the quota still
 * passes).  0, or -1 if ml_quota_stop was called.
 */
int ml_quota_take(struct ml_quota *q, uint64_t bytes);
/* Takes bytes without waiting: what a batch that is already in flight grows by when it is encoded. */
void ml_quota_add(struct ml_quota *q, uint64_t bytes);
void ml_quota_give(struct ml_quota *q, uint64_t bytes);
uint64_t ml_quota_used(struct ml_quota *q);
void ml_quota_stop(struct ml_quota *q); /* wakes everybody who waits */
#endif
