/*
 * encoder.h - rows to messages of one protocol.  One encoder per worker, used by one thread.  Everything written goes into
 * the batch's arena; nothing is allocated per row.
 */
#ifndef ML_WORKER_ENCODER_ENCODER_H
#define ML_WORKER_ENCODER_ENCODER_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capture-worker/encoder/claim.h"
#include "capture-worker/event/batch.h"
#include "common/base/err.h"
#include "proto/process.pb-c.h"
#include "proto/shard.pb-c.h"

struct ml_topic;
struct ml_uri;
struct ml_encoder;

struct ml_encoder_env {
	const Ml__ChangefeedSpec *spec;
	const Ml__ServerConfig *config; /* names of cluster and time zone; NULL: their defaults */
	const struct ml_uri *sink_uri;  /* its query holds encoder options too (protocols.md 4.8) */
	size_t max_message_bytes;       /* effective limit; SIZE_MAX for storage */
	/* One row a message with its terminator behind it (sink_config's, CR LF), so a file is the values one after another; no
	 * keys, no size limit, no messages for DDL and checkpoints. */
	bool storage;
	uint64_t (*now_ms)(void);       /* wall clock for the "ts" field; tests own it */
	ml_claim_place_fn *claim_place; /* for large messages that do not go to a folder; NULL: they cannot */
	void *claim_arg;
};

struct ml_encoder_ops {
	const char *name;       /* "canal-json" */
	const char *aliases[3]; /* other spellings, e.g. "default" of open-protocol */
	bool for_storage, for_mq;
	bool ddl_all_partitions;  /* else partition 0 only */
	bool checkpoint_messages; /* some setting makes it write them */
	bool by_time; /* has messages that are due without rows: rows() is called for batches without any, too */
	int (*open)(struct ml_encoder **out, const struct ml_encoder_env *env, struct ml_err *err);
	/*
	 * b->rows to b->msgs, in order per (topic, partition).  There may be more messages than rows: those that stand for none
	 * have rows 0.  -1: ErrMessageTooLarge and the like.
	 */
	int (*rows)(struct ml_encoder *e, struct ml_batch *b, struct ml_err *err);
	/*
	 * Messages that describe a table to those who come at the start, at the end of b->msgs; asked only where wants_tables is
	 * set, and before any row.  NULL: it never is.
	 */
	int (*table)(struct ml_encoder *e, struct ml_batch *b, struct ml_schema *s, const struct ml_topic *topic,
		struct ml_err *err);
	/* A DDL's message in arena a: 1 = m is filled (topic and partition are the caller's), 0 = this protocol has none. */
	int (*ddl)(struct ml_encoder *e, const struct ml_ddl *ddl, struct ml_arena *a, struct ml_msg *m,
		struct ml_err *err);
	/* A checkpoint ("watermark") message, the same way; NULL: the protocol never has one. */
	int (*checkpoint)(struct ml_encoder *e, ml_ts ts, struct ml_arena *a, struct ml_msg *m, struct ml_err *err);
	void (*close)(struct ml_encoder *e);
};
struct ml_encoder {
	const struct ml_encoder_ops *ops; /* first member of each encoder's own struct */
	bool wants_tables;                /* its settings ask for ops->table; set by open */
};

extern const struct ml_encoder_ops *const ml_encoders[]; /* registry.c, NULL at the end */
/* By protocol name, any case; NULL with ErrSinkUnknownProtocol. */
const struct ml_encoder_ops *ml_encoder_for(const char *protocol, struct ml_err *err);
/* A number that no encoder of this process had before: tells whose preparations hang on schema->encoder.  Thread safe. */
uint64_t ml_encoder_serial(void);
#endif
