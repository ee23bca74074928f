/*
 * event_mysql.h - bodies of events that only MySQL writes: GTIDs, plain and tagged, and the long heartbeat
 * (mysql-upstream.md 3.6, 3.8).
 */
#ifndef ML_WORKER_SOURCE_MYSQL_EVENT_MYSQL_H
#define ML_WORKER_SOURCE_MYSQL_EVENT_MYSQL_H
#include "capture-worker/source/mysql/event.h"

/* GTID, ANONYMOUS_GTID and GTID_TAGGED; fills what is under `mysql`. */
int ml_ev_mysql_gtid(struct ml_ev_gtid *g, const struct ml_ev *e);

/* HEARTBEAT_V2. */
int ml_ev_heartbeat_v2(char file[256], uint64_t *pos, const struct ml_ev *e);
#endif
