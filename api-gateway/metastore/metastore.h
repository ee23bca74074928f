/*
 * metastore.h - where the node's durable facts live: etcd's model cut down to what one node needs.  Keys are paths, values are
 * bytes, every key carries the store revision of its last write; writes are transactions: conditions on key revisions, then
 * puts and deletes, all of it or nothing, durable before `done` is called.
 *
 * Commits are asynchronous, since they wait for the disk: they run in the order of the calls, `done` comes on the loop's thread.
 */
#ifndef ML_API_GATEWAY_METASTORE_METASTORE_H
#define ML_API_GATEWAY_METASTORE_METASTORE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/list.h"
#include "common/run/loop.h"

struct ml_meta; /* an open store; every implementation begins its own struct with it */
struct ml_meta_txn;

enum ml_meta_outcome {
	ML_META_DONE,     /* committed and durable */
	ML_META_CONFLICT, /* a condition did not hold; nothing was written */
	ML_META_FAILED,   /* err says why; nothing was written */
};
/* rev: the store revision of the commit. */
typedef void ml_meta_done(enum ml_meta_outcome outcome, uint64_t rev, const struct ml_err *err, void *arg);
typedef void ml_meta_each(const char *key, const void *value, size_t len, uint64_t mod_rev, void *arg);

struct ml_meta_ops {
	const char *name; /* of --metastore */
	/* data_dir: an existing folder; ignored by stores that keep nothing there.  ErrMetaStore. */
	int (*open)(struct ml_meta **out, struct ml_loop *l, const char *data_dir, struct ml_err *err);
	/* Calls fn for each key that begins with prefix, in the order of the keys.  Blocks: for start-up. */
	int (*list)(struct ml_meta *m, const char *prefix, ml_meta_each *fn, void *arg, struct ml_err *err);
	void (*commit)(struct ml_meta *m, struct ml_meta_txn *t); /* takes t; t->done is set */
	void (*close)(struct ml_meta *m); /* waits for what was queued and calls its done; NULL is fine */
};

struct ml_meta {
	const struct ml_meta_ops *ops;
};

enum ml_meta_verb { ML_META_IF, ML_META_PUT, ML_META_DEL };
struct ml_meta_op {
	enum ml_meta_verb verb;
	char *key;
	void *value; /* PUT */
	size_t len;
	uint64_t mod_rev; /* IF: 0 = the key must not exist */
};
struct ml_meta_txn {
	struct ml_list link; /* the store's queue */
	struct ml_meta_op *ops;
	size_t n, cap;
	ml_meta_done *done;
	void *arg;
	enum ml_meta_outcome outcome;
	uint64_t rev;
	struct ml_err err;
};

struct ml_meta_txn *ml_meta_txn_new(void);
void ml_meta_txn_free(struct ml_meta_txn *t); /* one that was not committed; NULL is fine */
void ml_meta_txn_if(struct ml_meta_txn *t, const char *key, uint64_t mod_rev);
void ml_meta_txn_put(struct ml_meta_txn *t, const char *key, const void *value, size_t len);
void ml_meta_txn_del(struct ml_meta_txn *t, const char *key); /* of a key that may be absent */
/* Gives t to the store; done (not NULL) is called exactly once, on the loop's thread, never from inside this call. */
void ml_meta_commit(struct ml_meta *m, struct ml_meta_txn *t, ml_meta_done *done, void *arg);
void ml_meta_close(struct ml_meta *m);

extern const struct ml_meta_ops *const ml_meta_stores[]; /* NULL-terminated */
/* Opens the store called name; ErrConfigInvalid naming the known ones if there is none. */
int ml_meta_open(struct ml_meta **out, const char *name, struct ml_loop *l, const char *data_dir, struct ml_err *err);
#endif
