/*
 * store.h - where a storage sink's files lie: a folder, a bucket.  Paths are relative to the sink uri's root, have '/' between
 * their elements, none at either end, and hold names as they are (any byte but NUL).
 *
 * No reader ever sees part of a file.  Calls come from any thread and end within STORE_CALL_MAX_MS, tries included.  Errors
 * are ErrStorageSinkSendFailed with the store's name and the path, never with a secret.
 */
#ifndef ML_WORKER_SINK_STORAGE_STORE_H
#define ML_WORKER_SINK_STORAGE_STORE_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capture-worker/sink/settings.h"
#include "capture-worker/sink/sink.h"
#include "common/base/buf.h"
#include "common/base/err.h"

/* sinks.md 1.10 */
#define STORE_CALL_MAX_MS (5 * 60 * 1000)
#define STORE_PATH_MAX 4096

struct store_ops;

struct store {
	const struct store_ops *ops; /* first member of each store's own struct */
	char *name;                  /* for logs and errors: "/folder", "s3://bucket/prefix" */
	_Atomic uint64_t moved;      /* grows with every piece of work done, so that slow can be told from stuck */
};

/*
 * A data file that is being collected: some of it in a temporary file, the rest in memory.  Made by spool_..., below; the
 * store's only while it is in `settle` and `place`.
 */
struct spool {
	char *tmp; /* path of the temporary file; NULL: nothing on disk */
	int fd;    /* of it; -1: not open */
	char *buf; /* what comes behind the temporary file's content */
	size_t len, cap;
	uint64_t bytes; /* all of it */
};

struct store_expired {
	uint64_t removed, failed; /* files */
	char why[256];            /* of the first that could not be removed */
};

/* name: of a file in the directory that is listed.  -1 ends the listing with err. */
typedef int store_list_fn(void *arg, const char *name, struct ml_err *err);

struct store_ops {
	const char *schemes[3];  /* of the sink uri */
	const char *const *keys; /* of the sink uri, lower case with '-', NULL at the end; NULL: none of its own */
	unsigned threads;        /* calls at a time that still make it faster */
	bool discards;           /* keeps nothing: data need not be collected */
	/* Reads and checks the settings; connects to nothing. */
	int (*make)(
		struct store **out, const struct ml_sink_env *env, const struct ml_settings *st, struct ml_err *err);
	/* Tries the store: before the first of the calls below, and alone for a trial. */
	int (*probe)(struct store *s, struct ml_err *err);
	/* Appends a small file's content: 1; 0: there is none; -1, also for one of more than max bytes. */
	int (*get)(struct store *s, const char *path, size_t max, struct ml_buf *out, struct ml_err *err);
	/* 1 and its size; 0: there is none; -1. */
	int (*stat)(struct store *s, const char *path, uint64_t *bytes, struct ml_err *err);
	/* Calls fn for each file in dir, in no order; none if dir is not there. */
	int (*list)(struct store *s, const char *dir, store_list_fn *fn, void *arg, struct ml_err *err);
	/* Writes dir/name whole, over an older one.  sync: it survives a power failure. */
	int (*put)(struct store *s, const char *dir, const char *name, const char *text, size_t len, bool sync,
		struct ml_err *err);
	/* Data files of dir come next: makes it, removes what a crash left. */
	int (*prepare)(struct store *s, const char *dir, struct ml_err *err);
	/* A path for a temporary file whose content will become a file in dir; where it lies is there afterwards. */
	int (*collect)(struct store *s, const char *dir, const char *ext, struct ml_buf *path, struct ml_err *err);
	/* Makes f ready for `place`, which may be called several times. */
	int (*settle)(struct store *s, struct spool *f, const char *dir, const char *ext, struct ml_err *err);
	/* f becomes dir/name unless that is there and not empty: 0 done and durable, 1 it is there, -1. */
	int (*place)(struct store *s, struct spool *f, const char *dir, const char *name, struct ml_err *err);
	/* Removes what lies below date directories before this one ("2026-11-25"; sinks.md 4.9); *stop ends it early. */
	void (*expire)(struct store *s, const char *before, const atomic_bool *stop, struct store_expired *x);
	/* From any thread: calls that are going on end soon, and they and all later ones fail. */
	void (*stop)(struct store *s);
	void (*free)(struct store *s);
};

extern const struct store_ops *const stores[]; /* registry.c, NULL at the end */

/* The store of the uri's scheme, not tried yet.  ErrStorageSinkInvalidConfig for its settings. */
int store_make(struct store **out, const struct ml_sink_env *env, const struct ml_settings *st, struct ml_err *err);
void store_free(struct store *s); /* NULL is fine */
/* Lower case, and '-' for '_': how keys of stores are compared (sinks.md 1.10).  False if it does not fit. */
bool store_key(char *out, size_t size, const char *key);
/* Appends the keys of the uri that are the store's, as they are written; room for all of them. */
size_t store_known_keys(const struct store *s, const struct ml_uri *uri, const char **out);
/*
 * The number to try first for the next data file of dir (sinks.md 4.8): from meta/CDC.index, 1 without one.
 * ErrStorageSinkInvalidFileName for an index that names no data file.
 */
int store_next_index(struct store *s, const char *dir, const char *ext, uint64_t *next, struct ml_err *err);

/* ErrStorageSinkSendFailed of store and path with this reason; -1. */
int store_error(const struct store *s, const char *path, int lib, const char *why, struct ml_err *err);

/* Opens the temporary file, which is made if there is none; dir: where it will go. */
int spool_open(struct spool *f, struct store *s, const char *dir, const char *ext, struct ml_err *err);
/* Moves what is in memory to the open temporary file. */
int spool_write_out(struct spool *f, struct ml_err *err);
/* Writes behind it; nothing may be in memory. */
int spool_append(struct spool *f, const char *p, size_t n, struct ml_err *err);
/* Removes the temporary file and frees. */
void spool_fini(struct spool *f);
#endif
