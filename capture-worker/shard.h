/*
 * shard.h - the one shard this process runs: from Assign to its end, and what the gateway hears of it.
 *
 *   EMPTY --assign--> RUNNING --stop--> DRAINING --drained--> DONE
 *                        |                  |
 *                        +---- failed ------+--> FAULTED (the process exits with ML_EXIT_FAULT)
 *   EMPTY no pipeline    RUNNING rows flow   DRAINING in flight is flushed   DONE all durable, last progress sent
 *
 * Belongs to the loop's thread.  The gateway may come and go: a new channel gets WorkerHello with the state there is.
 */
#ifndef ML_WORKER_SHARD_H
#define ML_WORKER_SHARD_H
#include "common/run/chan.h"
#include "common/run/loop.h"

struct ml_shard;
struct ml_shard_env {
	struct ml_loop *loop;
	const Ml__ServerConfig *config;
	const Ml__ShardKey *key;
	void *arg;
	void (*done)(void *arg);    /* drained after ml_shard_stop, or finished: the process may exit with 0 */
	void (*faulted)(void *arg); /* the Fault has been sent: exit with ML_EXIT_FAULT */
};

struct ml_shard *ml_shard_new(const struct ml_shard_env *env);
void ml_shard_free(struct ml_shard *sh);
/* A new channel to a gateway, which takes the place of an older one; fd is taken over. */
void ml_shard_gateway(struct ml_shard *sh, int fd);
/* Flush and end; done() follows, or the supervisor's patience ends. */
void ml_shard_stop(struct ml_shard *sh);
#endif
