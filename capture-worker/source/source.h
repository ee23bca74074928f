/*
 * source.h - where changes come from: one upstream's log as batches of mounted rows in commit order.
 *
 * A source runs in a thread of its own: open, then run until stop or a fatal error.  It calls env->emit with each batch; that
 * may wait for room (back-pressure), and gives -1 when the shard stops.
 */
#ifndef ML_WORKER_SOURCE_SOURCE_H
#define ML_WORKER_SOURCE_SOURCE_H
#include <stdbool.h>
#include <stdint.h>

#include "capture-worker/event/batch.h"
#include "common/base/err.h"
#include "proto/shard.pb-c.h"

struct ml_filter;
struct ml_quota;
struct ml_source;

struct ml_source_env {
	const Ml__ChangefeedSpec *spec;
	const Ml__ServerConfig *config;
	const char *object;             /* "default/cf1/0", for logs */
	const struct ml_filter *filter; /* which tables and DDLs; never NULL */
	bool want_values;               /* false: nobody looks into rows (blackhole): count changes, build no rows */
	bool every_ddl;                 /* also changes of tables that TiDB has no code for: ML_DDL_OTHER */
	bool tables_only;               /* probe: read the tables, and look at nothing else */
	bool want_tables;               /* emit batches with ML_BAR_TABLES before all others */
	ml_ts checkpoint_ts;            /* deliver what is above it */
	const Ml__Position *position;   /* belongs to checkpoint_ts; NULL: find one */
	const char *state_dir;          /* folder for this shard's own files (journal); exists */
	/*
	 * Of the shard: what the source reads ahead (the initial copy) it charges itself, without waiting, and keeps below an
	 * eighth of quota_bytes; such batches are emitted with `quota` set.  NULL: nobody counts.
	 */
	struct ml_quota *quota;
	uint64_t quota_bytes;
	void *arg;
	/* Hands b over.  0: taken.  -1: the shard stops; b is freed. */
	int (*emit)(void *arg, struct ml_batch *b);
	/* Trouble that the source mends by itself (reconnecting); err NULL: it is over. */
	void (*warn)(void *arg, const struct ml_err *err);
	/*
	 * What the upstream has logged up to now lies at or below now, as far as its clock tells: said before the first batch.
	 * May be NULL.
	 */
	void (*clock)(void *arg, ml_ts now);
	/* A table is followed (or, with id negated, no longer), for the API's table_ids. */
	void (*table)(void *arg, int64_t table_id, bool followed);
};

/* What a probe finds out: filled as far as it got. */
struct ml_source_facts {
	ml_ts current_ts; /* now, by the upstream's clock */
	ml_ts start_ts;
	ml_ts earliest_ts;     /* oldest usable start_ts */
	Ml__Position position; /* for start_ts; strings malloc'ed */
	char server_version[64];
	char instance[400]; /* names the very server, as a sink that writes to it would name it; "" if unknown */
	uint64_t upstream_id;
	struct ml_schema **tables; /* of the filter, references owned; without system schemas */
	size_t n_tables;
	char warnings[4][512];
	int n_warnings;
};

struct ml_source_ops {
	const char *scheme; /* of the upstream uri: "mysql" (alias "mariadb") */
	/*
	 * Checks the upstream for a changefeed: reachable, prerequisites, privileges, start_ts; fills facts.  Blocking.  The
	 * caller frees facts with ml_source_facts_fini, also after an error.
	 */
	int (*probe)(const struct ml_source_env *env, struct ml_source_facts *facts, struct ml_err *err);
	int (*open)(
		struct ml_source **out, const struct ml_source_env *env, struct ml_err *err); /* connects nothing yet;
		 * env outlives the source */
	/* 0: stopped, or target_ts reached; -1: an error that the shard must die of.  Blocking. */
	int (*run)(struct ml_source *s, struct ml_err *err);
	void (*stop)(struct ml_source *s); /* from any thread; run returns soon */
	/* The checkpoint is durable: older journal entries may go.  From any thread. */
	void (*saved)(struct ml_source *s, ml_ts checkpoint_ts);
	void (*close)(struct ml_source *s);
	/* Counters for statistics; from any thread. */
	void (*stats)(struct ml_source *s, uint64_t *bytes_in, uint64_t *events, uint64_t *reconnects);
};

/* registry.c: by the upstream uri's scheme; NULL with err for an unknown one. */
const struct ml_source_ops *ml_source_for(const char *uri, struct ml_err *err);
void ml_source_facts_fini(struct ml_source_facts *f);
#endif
