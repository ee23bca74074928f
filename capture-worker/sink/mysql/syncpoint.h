/*
 * syncpoint.h - sync points (sinks.md 3.13, runtime.md 7.1): moments of the upstream at which the target holds exactly what the
 * upstream held, written down in tidb_cdc.syncpoint_v1 with the target's own name for that moment: TiDB's timestamp, or the GTID
 * position of MariaDB and MySQL (ours), so that both sides can be compared.
 *
 * They lie on the multiples of sync-point-interval.  What the shard may have written before it started (replicating_ts) is no
 * ground for one: the target may hold later rows already.  Of several that pass without a change between them the last is written.
 */
#ifndef ML_WORKER_SINK_MYSQL_SYNCPOINT_H
#define ML_WORKER_SINK_MYSQL_SYNCPOINT_H
#include "capture-worker/sink/mysql/conn.h"
#include "capture-worker/sink/sink.h"

struct sql_syncpoint {
	const struct sql_target *target;
	const struct ml_sink_env *env;
	bool on;
	uint64_t interval_ms, retention_ms;
	ml_ts next;          /* 0: not known yet */
	uint64_t cleaned_ms; /* monotonic; 0: never */
	bool ready;          /* the table is there */
	uint32_t seed;
};

/* Reads enable-sync-point, sync-point-interval, sync-point-retention.  ErrInvalidReplicaConfig. */
int sql_syncpoint_init(
	struct sql_syncpoint *s, const struct sql_target *t, const struct ml_sink_env *env, struct ml_err *err);
/*
 * Changes above ts are about to be written, or nothing up to ts is missing any more and nothing above it was written: 0 if no
 * sync point lies at or below ts, else its ts; then everything must be flushed and sql_syncpoint_write called.
 */
ml_ts sql_syncpoint_due(struct sql_syncpoint *s, ml_ts ts);
/* Writes the sync point.  -1: ErrMySQLTxnError, ErrMySQLConnectionError, after some tries. */
int sql_syncpoint_write(struct sql_syncpoint *s, ml_ts point, struct ml_err *err);
#endif
