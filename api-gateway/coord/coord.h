/*
 * coord.h - the coordinator of one node: all changefeeds, their records in the metadata store, their workers.  It decides and knows no
 * HTTP.  Recovery is the way to start: load() reads the store, start() lets every worker run that should.
 *
 * Commands are durable before their answer: the store first, then memory.  An answer comes once, on the loop's thread; err is NULL
 * when the command was carried out.
 */
#ifndef ML_API_GATEWAY_COORD_COORD_H
#define ML_API_GATEWAY_COORD_COORD_H
#include "api-gateway/coord/feed.h"
#include "api-gateway/metastore/metastore.h"

/* Checkpoints of all changefeeds go to the store in one transaction, so often at most. */
#define ML_COORD_SAVE_MS 1000u
/* openapi.md 3.6: how long a removal may take before its caller is told that it is not finished. */
#define ML_COORD_REMOVE_MS 60000u

struct ml_coord_env {
	struct ml_loop *loop;
	struct ml_chan *supervisor;
	const Ml__ServerConfig *config;
	const char *version; /* of this build, as creator_version has it */
};

typedef void ml_coord_reply(const struct ml_err *err, void *arg);

struct ml_coord {
	struct ml_coord_env env;
	struct ml_feed **feeds; /* sorted by namespace, then id */
	size_t n_feeds, cap_feeds;
	bool running;       /* workers are started and stopped; false before start() and once the node stops */
	bool store_failing; /* the last write of the store failed */

	/* For coord/ only. */
	struct ml_meta *meta;
	struct ml_list commands; /* those that wait for their probe or for the store */
	struct ml_list probes;
	unsigned n_probing;  /* of probes: those with a worker asked for */
	uint64_t last_probe; /* epoch of the last probe */
	struct ml_timer *tick, *save_timer;
	struct ml_save *saving; /* the batch that is with the store; NULL: none */
	bool save_again;
};

struct ml_coord *ml_coord_new(const struct ml_coord_env *env);
/* Answers nobody any more.  Does not close the store: what is queued there is written by ml_meta_close. */
void ml_coord_free(struct ml_coord *c);
/* Takes every changefeed from the store; meta stays the caller's and outlives c.  Damaged records: ErrMetaStore, naming the key. */
int ml_coord_load(struct ml_coord *c, struct ml_meta *meta, struct ml_err *err);
void ml_coord_start(struct ml_coord *c);
void ml_coord_halt(struct ml_coord *c); /* the node stops: no worker is started or stopped from now on */
/* Queues what is not saved yet, for ml_meta_close to finish. */
void ml_coord_flush(struct ml_coord *c);

struct ml_feed *ml_coord_find(const struct ml_coord *c, const char *ns, const char *id); /* NULL: none */

/* From the supervisor.  fd is taken. */
void ml_coord_shard_up(struct ml_coord *c, const Ml__ShardUp *m, int fd);
void ml_coord_shard_died(struct ml_coord *c, const Ml__ShardDied *m);

/*
 * The commands (openapi.md 3).  spec: taken; upstream absent means the server's default one; its start_ts and the position are those
 * that the probe finds.  create: ErrChangeFeedAlreadyExists also while another creation of that id is under way.
 */
void ml_coord_create(struct ml_coord *c, Ml__ChangefeedSpec *spec, ml_coord_reply *reply, void *arg);
/* May f's configuration be changed in its state?  ErrChangefeedUpdateRefused. */
int ml_coord_may_update(const struct ml_feed *f, struct ml_err *err);
/* spec: the merged one, taken.  What its checks find comes wrapped in ErrChangefeedUpdateRefused. */
void ml_coord_update(struct ml_coord *c, struct ml_feed *f, Ml__ChangefeedSpec *spec, ml_coord_reply *reply, void *arg);
void ml_coord_pause(struct ml_feed *f, ml_coord_reply *reply, void *arg);
void ml_coord_resume(struct ml_feed *f, ml_coord_reply *reply, void *arg);
/* Answers when the changefeed is really gone. */
void ml_coord_remove(struct ml_feed *f, ml_coord_reply *reply, void *arg);

/* For coord/ only. */
void ml_coord_insert(struct ml_coord *c, struct ml_feed *f);
void ml_coord_take_out(struct ml_coord *c, struct ml_feed *f); /* and frees f */
void ml_coord_save_soon(struct ml_coord *c);                   /* definitions and states at the end of this turn */
void ml_coord_save_now(struct ml_coord *c);                    /* checkpoints too */
void ml_coord_stop_shard(struct ml_coord *c, Ml__ShardKey *key, uint32_t grace_ms);
void ml_coord_delete(struct ml_feed *f); /* removing, and its worker is gone: the keys go now */
void ml_coord_tick_commands(struct ml_coord *c, uint64_t now_ms);
void ml_coord_free_commands(struct ml_coord *c);
#endif
