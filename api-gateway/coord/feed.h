/*
 * feed.h - one changefeed as the coordinator holds it: its definition, its state, where it is, and its worker.
 *
 *   normal --error--> pending --wait over--> warning --advances--> normal        (error: retryable; fatal: failed)
 *      |                 | budget spent          |
 *      +--target--> finished   +--> failed <-----+ stuck for 30 min               pause: normal, warning, pending -> stopped
 *                                                                                resume: stopped, failed, finished -> normal
 * Fields are for reading outside coord/; only coord/ changes them.
 */
#ifndef ML_API_GATEWAY_COORD_FEED_H
#define ML_API_GATEWAY_COORD_FEED_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api-gateway/coord/retry.h"
#include "common/base/err.h"
#include "common/base/list.h"
#include "common/base/ts.h"
#include "common/run/chan.h"
#include "common/run/figures.h"
#include "common/run/loop.h"
#include "proto/meta.pb-c.h"

/* The numbers are those of the metric ticdc_owner_status (runtime.md 2.1). */
enum ml_feed_state {
	ML_FEED_NORMAL = 0,   /* its worker runs */
	ML_FEED_PENDING = 1,  /* waits for the next retry; no worker */
	ML_FEED_FAILED = 2,   /* waits for a person */
	ML_FEED_STOPPED = 3,  /* paused */
	ML_FEED_FINISHED = 4, /* reached target_ts */
	ML_FEED_REMOVED = 5,  /* never stored */
	ML_FEED_WARNING = 6,  /* runs, with trouble */
};

/*
 *   OFF --StartShard--> STARTING --ShardUp--> UP --WorkerHello, Assign--> RUNNING --StopShard--> STOPPING --ShardDied--> OFF
 *                          ^---------- died, restarted by the supervisor ----+
 */
enum ml_shard_phase { ML_SHARD_OFF, ML_SHARD_STARTING, ML_SHARD_UP, ML_SHARD_RUNNING, ML_SHARD_STOPPING };

struct ml_feed_error {
	int64_t time_us; /* Unix time */
	char *addr;      /* advertised address of the node where it arose */
	struct ml_err err;
};

struct ml_shard {
	enum ml_shard_phase phase;
	uint64_t epoch;     /* of the worker this phase is about */
	struct ml_chan *ch; /* NULL: none (yet, or its worker is gone) */
	int64_t pid;
	bool hello; /* WorkerHello came on ch */
	bool died;  /* ShardDied came while ch still held unread messages: acted on when ch ends */
	bool died_restarting;
	struct ml_err died_err;
	uint64_t
		ch_lost_ms; /* since then we wait: for WorkerHello, for ShardDied after the end of ch, or for that end; 0: not so */
	unsigned strays;       /* workers of an older epoch that are not gone yet: ours is not assigned before */
	uint64_t deaths_ms[3]; /* the last deaths without progress between them, newest last; 0: none */
	bool once;             /* it has been RUNNING since this gateway took the changefeed on */
};

struct ml_feed {
	struct ml_coord *c;
	char *name; /* "namespace/id" */
	Ml__ChangefeedSpec *spec;
	enum ml_feed_state state;
	uint64_t upstream_id;
	char *creator_version;
	int64_t create_time_us;
	int32_t create_offset_s;
	uint64_t epoch;                        /* for the next start of its worker */
	struct ml_feed_error *error, *warning; /* NULL: none */

	ml_ts checkpoint_ts, resolved_ts; /* resolved >= checkpoint; both of memory, ahead of the store */
	Ml__Position *position;           /* belongs to checkpoint_ts; NULL: the worker finds one */
	ml_ts saved_ts;                   /* checkpoint in the store; never falls */
	int64_t *table_ids;
	size_t n_table_ids;
	Ml__WorkerStats stats, stats_before;       /* of the present worker; summed over those before it */
	struct ml_figures figures, figures_before; /* the same of its sink's own */
	Ml__RunningDdl *running_ddl;               /* what its target is carrying out; NULL: nothing that takes long */
	uint64_t restarts;                         /* deaths of its worker that nobody asked for */
	int64_t started_us;                        /* the worker last took up its work */

	struct ml_shard shard;
	struct ml_retry retry;
	struct ml_timer *retry_timer;
	ml_ts retry_ts, warning_ts; /* checkpoint at the last retry, at the last warning */
	uint64_t advanced_ms;       /* monotonic: the checkpoint moved, or had nothing to move to */

	unsigned version; /* counts changes of what is stored */
	bool info_dirty, status_dirty;
	bool removing;          /* no new worker; the keys go when the old one is gone */
	bool deleting;          /* the deletion is with the store: nothing may write its keys again */
	struct ml_list waiters; /* of the removal */
};

const char *ml_feed_state_name(enum ml_feed_state s);
/* false if name is none that is stored; "error" (TiCDC before 7.0) is pending. */
bool ml_feed_state_of(const char *name, enum ml_feed_state *s);
/* Its worker shall run: normal or warning. */
bool ml_feed_active(const struct ml_feed *f);
/* stats + stats_before, so that counters never fall while the gateway lives. */
Ml__WorkerStats ml_feed_totals(const struct ml_feed *f);

/* For coord/ only. */
struct ml_feed *ml_feed_new(struct ml_coord *c, Ml__ChangefeedSpec *spec); /* takes spec */
void ml_feed_free(struct ml_feed *f);
void ml_feed_set_state(struct ml_feed *f, enum ml_feed_state s); /* logs; what is stored follows soon */
void ml_feed_start_over(struct ml_feed *f);                      /* into normal with no error and no back-off: resume */
/* What its worker or its death reported.  Each moves the state as drawn above. */
void ml_feed_error(struct ml_feed *f, const struct ml_err *err);
void ml_feed_warn(struct ml_feed *f, const struct ml_err *err);
void ml_feed_well(struct ml_feed *f);
/* Takes a copy of position.  A checkpoint that falls is an error of the worker and changes nothing else. */
void ml_feed_progress(struct ml_feed *f, ml_ts checkpoint_ts, ml_ts resolved_ts, const Ml__Position *position);
void ml_feed_finished(struct ml_feed *f, ml_ts checkpoint_ts);
void ml_feed_tick(struct ml_feed *f, uint64_t now_ms); /* once a second */
void ml_feed_error_free(struct ml_feed_error *e);
#endif
