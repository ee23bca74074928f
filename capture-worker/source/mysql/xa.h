/*
 * xa.h - rows of prepared XA transactions, kept in files until XA COMMIT or XA ROLLBACK comes, which may be hours and restarts
 * later (mysql-upstream.md 3.12).
 *
 * One file per transaction in the state folder: "xa-<hash>.rows" from XA PREPARE on, synced to disk before the reader's
 * position may pass the prepare; renamed to "xa-<hash>-<ts>.done" when it is committed or rolled back, and removed when the
 * checkpoint has passed that ts, so that a restart from an older checkpoint finds it again.
 *
 * The source's thread only, but for ml_xa_saved.
 */
#ifndef ML_WORKER_SOURCE_MYSQL_XA_H
#define ML_WORKER_SOURCE_MYSQL_XA_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capture-worker/source/mysql/event.h"
#include "common/base/err.h"
#include "common/base/ts.h"

struct ml_xa;

/* dir: the shard's state folder, copied.  Half-written files of an earlier run are removed. */
int ml_xa_open(struct ml_xa **out, const char *dir, struct ml_err *err);
void ml_xa_close(struct ml_xa *x); /* NULL is fine */

/* A prepared group begins: its TABLE_MAP and rows events follow with ml_xa_add, then ml_xa_prepared or ml_xa_abandon. */
int ml_xa_begin(struct ml_xa *x, const struct ml_xid *xid, struct ml_err *err);
int ml_xa_add(struct ml_xa *x, const struct ml_ev *e, struct ml_err *err);
int ml_xa_prepared(struct ml_xa *x, struct ml_err *err); /* durable when it returns 0 */
void ml_xa_abandon(struct ml_xa *x); /* the group was cut off; nothing is kept.  Fine when none is open */

/*
 * Gives the events of xid to fn, in order.  ts: of the group that commits it, which tells apart the uses of one xid when the
 * log is read again.  1: done; 0: xid is not known; -1: fn's or the file's error.
 */
int ml_xa_replay(struct ml_xa *x, const struct ml_xid *xid, ml_ts ts,
	int (*fn)(void *arg, const struct ml_ev *e, struct ml_err *err), void *arg, struct ml_err *err);
/* xid was committed or rolled back by a group with this ts. */
void ml_xa_finish(struct ml_xa *x, const struct ml_xid *xid, ml_ts ts);
/* The checkpoint is durable; from any thread. */
void ml_xa_saved(struct ml_xa *x, ml_ts checkpoint_ts);
/* Removes what a durable checkpoint has passed; cheap when there is nothing. */
void ml_xa_sweep(struct ml_xa *x);
#endif
