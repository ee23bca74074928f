/*
 * hold.h - snapshot=locked: all readers get a view of one instant, under a lock of a moment; the stream waits at the instant's
 * place until the rows of the view have gone (mysql-upstream.md 8.2).
 *
 * A view that is lost (a connection, or a DDL under it) ends the instant for all: the stream goes on, and what is still missing
 * is read at another instant.
 */
#ifndef ML_WORKER_SOURCE_MYSQL_SNAPSHOT_HOLD_H
#define ML_WORKER_SOURCE_MYSQL_SNAPSHOT_HOLD_H
#include "capture-worker/source/mysql/snapshot/snapshot_int.h"

/*
 * Between two groups: begins an instant if there is none, or ends one that is lost.  True: chunks may be read; else *wait_us falls
 * to when to look again.
 */
bool ml_copy_hold(struct ml_snapshot *s, struct ml_feed *f, uint64_t now_us, uint64_t *wait_us);
#endif
