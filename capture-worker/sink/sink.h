/*
 * sink.h - where changes go.  All calls but close come from the sink stage's thread; they may block for a bounded time.
 *
 * Accepted is not durable: a sink says env->durable(seq) for every batch it was given, once, when all of it is safe
 * downstream (delivery reports, closed files), in any order and from any thread.  It frees the batch as soon as it no longer
 * needs its memory, which may be earlier.  After an error no further durable may be said.
 */
#ifndef ML_WORKER_SINK_SINK_H
#define ML_WORKER_SINK_SINK_H
#include <stdbool.h>
#include <stdint.h>

#include "capture-worker/dispatcher/dispatcher.h"
#include "capture-worker/event/batch.h"
#include "common/base/err.h"
#include "proto/shard.pb-c.h"

struct ml_figures;
struct ml_uri;
struct ml_sink;

enum ml_takes {
	ML_TAKES_NOTHING, /* counts only: blackhole */
	ML_TAKES_ROWS,    /* typed rows, no encoder */
	ML_TAKES_MSGS,    /* encoded messages, b->msgs */
};

struct ml_sink_env {
	const Ml__ChangefeedSpec *spec;
	const Ml__ServerConfig *config;
	const struct ml_uri *uri;
	const char *object;    /* "default/cf1/0", for logs */
	const char *protocol;  /* canonical name of the encoder, NULL if none */
	const char *state_dir; /* folder for the shard's own files; NULL in a probe */
	/* What was committed at or before it may have been written before; 0: not known yet.  NULL in a probe. */
	const _Atomic ml_ts *replicating_ts;
	void *arg;
	void (*durable)(void *arg, uint64_t seq);          /* any thread */
	void (*fail)(void *arg, const struct ml_err *err); /* any thread: the shard dies of err */
	/* Any thread: trouble that the sink mends by itself; err NULL: it is over.  May be NULL. */
	void (*warn)(void *arg, const struct ml_err *err);
};

struct ml_sink_ops {
	const char *schemes[8]; /* of the sink uri; NULL behind the last if there are fewer */
	enum ml_takes takes;
	bool topics;      /* rows are dispatched to topics and partitions */
	bool storage;     /* encoders write one row a message */
	bool sync_points; /* enable-sync-point and bdr-mode are for it */
	bool saves_before_ddl; /* ddl is called only when the checkpoint before it is stored: no row from before comes again */
	/*
	 * Checks every parameter that needs no connection; a protocol is required or not by the sink.  Used before open, and
	 * alone where a check must precede a connection.
	 */
	int (*check)(const struct ml_sink_env *env, struct ml_err *err);
	/* Connects and tries (create-time trial: open, then close).  env outlives the sink. */
	int (*open)(struct ml_sink **out, const struct ml_sink_env *env, struct ml_err *err);
	/* When a changefeed is made, behind the trial: what one of that name before it left downstream means nothing.  May be NULL. */
	void (*forget)(struct ml_sink *s);
	size_t (*max_message_bytes)(struct ml_sink *s); /* for the encoder; NULL: unlimited */
	ml_topic_open_fn *open_topic;                   /* arg: the sink; NULL without topics */
	/* The batch is the sink's from here on, also after -1. */
	int (*write)(struct ml_sink *s, struct ml_batch *b, struct ml_err *err);
	/* Blocks until everything written is durable, or an error. */
	int (*flush)(struct ml_sink *s, struct ml_err *err);
	/* After flush: sends a DDL and waits until it is durable.  m: its message or NULL (no message form, or a row sink);
	 * all_partitions: to each partition of m->topic, else to m->partition. */
	int (*ddl)(struct ml_sink *s, const struct ml_ddl *ddl, const struct ml_msg *m, bool all_partitions,
		struct ml_err *err);
	/* The checkpoint has advanced to ts (everything <= ts is durable); at most once a second and after each DDL.  m: its
	 * message or NULL; goes to every partition of the topics. */
	int (*checkpoint)(struct ml_sink *s, ml_ts ts, const struct ml_msg *m, struct ml_topic **topics,
		size_t n_topics, struct ml_err *err);
	/* Called at least every ML_SINK_TICK_MS: flush by time, delivery reports. */
	int (*tick)(struct ml_sink *s, struct ml_err *err);
	/* NULL is fine; gives up what is not durable, quickly. */
	void (*close)(struct ml_sink *s);
	/* Names the server that it writes to, as a source's facts do; "" if unknown.  NULL: never a source. */
	const char *(*instance)(struct ml_sink *s);
	void (*stats)(struct ml_sink *s, uint64_t *bytes_out, uint64_t *errors); /* any thread; may be NULL */
	void (*figures)(struct ml_sink *s,
		struct ml_figures *f); /* the same, for /metrics; f is zeroed, and the caller's then */
};
struct ml_sink {
	const struct ml_sink_ops *ops; /* first member of each sink's own struct */
};

#define ML_SINK_TICK_MS 50

extern const struct ml_sink_ops *const ml_sinks[]; /* registry.c, NULL at the end */
/* By the uri's scheme; NULL with ErrSinkURIInvalid "the sink scheme (x) is not supported". */
const struct ml_sink_ops *ml_sink_for(const char *scheme, struct ml_err *err);
#endif
