/* start.h - where to begin reading: the head of the log, or the place that belongs to a timestamp (mysql-upstream.md 6.7). */
#ifndef ML_WORKER_SOURCE_MYSQL_START_H
#define ML_WORKER_SOURCE_MYSQL_START_H
#include <stdint.h>

#include "capture-worker/source/mysql/conn.h"
#include "capture-worker/source/mysql/group.h"
#include "common/base/err.h"
#include "common/base/ts.h"

/* The end of the log now. */
int ml_start_head(struct ml_my_conn *c, struct ml_place *out, struct ml_err *err);
/* GTIDs of the log now, without a place; cheap.  MariaDB only. */
int ml_start_gtids(struct ml_my_conn *c, struct ml_gtid_list *out, struct ml_err *err);
/* File and offset of it only, cheaply. */
int ml_start_head_offset(struct ml_my_conn *c, char file[256], uint64_t *offset, struct ml_err *err);
/* Creation time of the oldest file as a ts: older start_ts cannot be served. */
int ml_start_earliest(
	struct ml_my_conn *c, const struct ml_my_target *t, uint32_t server_id, ml_ts *earliest, struct ml_err *err);
/*
 * The beginning of the last file that is not younger than ts, and the fold's value there: all groups above ts lie behind it.
 * server_id: for short dump connections.  ErrStartTsBeforeGC when ts is older than the oldest file.
 */
int ml_start_find(struct ml_my_conn *c, const struct ml_my_target *t, uint32_t server_id, ml_ts ts,
	struct ml_place *out, ml_ts *last, struct ml_err *err);
#endif
