/*
 * shard.h - the worker of one changefeed, seen from the gateway: asked for and given up through the supervisor, spoken to over a
 * channel of its own.  Every start has an epoch of its own; what an older epoch says is not heard.
 */
#ifndef ML_API_GATEWAY_COORD_SHARD_H
#define ML_API_GATEWAY_COORD_SHARD_H
#include "api-gateway/coord/feed.h"

/* A worker has this long to flush to a checkpoint when its changefeed is paused or removed; then comes SIGKILL. */
#define ML_SHARD_GRACE_MS 5000u
/* From ShardUp to WorkerHello, and from the end of a channel to ShardDied: local sockets, so seconds are ample. */
#define ML_SHARD_DEADLINE_MS 5000u
/* runtime.md 11: so many deaths within the window, without progress between them, make the changefeed `warning`. */
#define ML_SHARD_DEATHS 3
#define ML_SHARD_DEATHS_WINDOW_MS 600000u

/* Starts or stops the worker so that it runs exactly when the changefeed is active. */
void ml_shard_converge(struct ml_feed *f);
/* ShardUp for this changefeed; fd is taken. */
void ml_shard_up(struct ml_feed *f, const Ml__ShardUp *m, int fd);
void ml_shard_died(struct ml_feed *f, const Ml__ShardDied *m);
/* The checkpoint is in the store. */
void ml_shard_saved(struct ml_feed *f, ml_ts checkpoint_ts);
void ml_shard_tick(struct ml_feed *f, uint64_t now_ms);
void ml_shard_drop(struct ml_feed *f); /* closes the channel; the worker goes on */
#endif
