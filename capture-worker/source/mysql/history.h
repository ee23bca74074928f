/* history.h - whether a server is the one, or a successor of the one, that a changefeed has read so far (mysql-upstream.md 5.5). */
#ifndef ML_WORKER_SOURCE_MYSQL_HISTORY_H
#define ML_WORKER_SOURCE_MYSQL_HISTORY_H
#include <stdbool.h>

#include "capture-worker/source/mysql/check.h"
#include "capture-worker/source/mysql/group.h"
#include "common/base/err.h"

/*
 * Everything before `delivered` must be known to the server behind c, whose facts are s; by_gtid: reading will go on there by
 * GTID, so nothing behind it may be purged.  wake_fd: ends waiting early; -1: none.  -1: ErrMySQLGTIDDiverged (RESET MASTER,
 * a restored backup, a wrong server), ErrMySQLGTIDGap, or that of a query.
 */
int ml_history_check(struct ml_my_conn *c, const struct ml_server *s, const struct ml_place *delivered, bool by_gtid,
	int wake_fd, struct ml_err *err);
#endif
