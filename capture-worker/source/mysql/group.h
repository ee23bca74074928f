/*
 * group.h - raw events of a dump to groups: one transaction or DDL each, with their places in the log
 * (mysql-upstream.md 3.1-3.8, 3.14, 5.4).
 *
 *   IDLE --GTID--> OPEN --XID, COMMIT, ROLLBACK, XA_PREPARE, statement of a standalone group--> IDLE
 *                   |      (MySQL: of one without BEGIN)
 *                   +-- another GTID, another file, a restart of the server: the group was cut off, discard --> IDLE or OPEN
 *
 * Places are known between groups only: inside, MariaDB 11.4+ writes no positions, and a log must be resumed between groups.
 * Rejects what would lose data if passed over: unknown events, incidents, LOAD DATA of statement format, rows outside of a
 * group.
 */
#ifndef ML_WORKER_SOURCE_MYSQL_GROUP_H
#define ML_WORKER_SOURCE_MYSQL_GROUP_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capture-worker/source/mysql/conn.h"
#include "capture-worker/source/mysql/ddl_class.h"
#include "capture-worker/source/mysql/event.h"
#include "capture-worker/source/mysql/gtid.h"
#include "common/base/arena.h"
#include "common/base/err.h"

/* A boundary between groups. */
struct ml_place {
	char file[256];
	uint64_t offset;
	struct ml_gtid_list gtids; /* MariaDB: last group of each domain before it */
	struct ml_gtid_set set;    /* MySQL: all groups before it */
};
void ml_place_fini(struct ml_place *p);
void ml_place_copy(struct ml_place *to, const struct ml_place *from);
/* The GTIDs as text, appended to out; nothing if there are none. */
void ml_place_print_gtids(const struct ml_place *p, struct ml_buf *out);
/* Sets the GTIDs from such a text.  -1 if it is none of that flavour. */
int ml_place_parse_gtids(struct ml_place *p, enum ml_flavor flavor, const char *text);
static inline bool
ml_place_has_gtids(const struct ml_place *p)
{
	return p->gtids.n > 0 || p->set.n > 0;
}

enum ml_group_end {
	ML_GROUP_COMMIT,
	ML_GROUP_ROLLBACK,  /* what transactional tables got is void */
	ML_GROUP_STATEMENT, /* the group was its one statement */
	ML_GROUP_PREPARED,  /* XA: neither committed nor void yet */
};

/* Callbacks give 0, or -1 with err, which ends the feed. */
struct ml_group_ops {
	int (*open)(void *arg, const struct ml_ev_gtid *id, uint32_t timestamp, struct ml_err *err);
	int (*map)(void *arg, const struct ml_ev *e, struct ml_err *err);
	int (*rows)(void *arg, const struct ml_ev *e, struct ml_err *err);
	/* A statement that is no mere COMMIT, ROLLBACK, XA END or comment; q and stmt die after the call. */
	int (*statement)(void *arg, const struct ml_ev_query *q, const struct ml_ddl_stmt *stmt, struct ml_err *err);
	/* The place is now the one behind the group. */
	int (*close)(void *arg, enum ml_group_end how, struct ml_err *err);
	void (*discard)(void *arg);                 /* the open group is void and may come again */
	int (*head)(void *arg, struct ml_err *err); /* nothing lies behind the place yet: heartbeat while IDLE */
	void (*file)(void *arg);                    /* another file begins: table ids mean nothing any more */
};

struct ml_reader {
	const struct ml_group_ops *ops;
	void *arg;
	enum ml_flavor flavor;
	uint8_t lower_case_table_names;
	char addr[280]; /* of the server, for texts */

	struct ml_place place; /* last boundary */
	bool open;
	bool fresh;      /* the stream has not said yet where it begins */
	bool check_next; /* the next group is the first one behind a given place */
	bool begun;      /* MySQL: BEGIN or XA START has come, so that a statement does not end the group */
	bool by_gtid;    /* MySQL: the stream began by GTID, see on_heartbeat; set by the owner after ml_reader_start */
	bool heard_here; /* ... and a heartbeat told of this place already */
	struct ml_ev_gtid id;        /* of the open group */
	uint64_t pending_bytes;      /* of events since the place */
	unsigned crc_len;            /* 4 if events carry a checksum */
	char server_version[51];     /* of the file's writer */
	uint32_t created;            /* header time of the file's FORMAT_DESCRIPTION */
	const struct ml_ev *current; /* being fed; NULL in between */
	const struct ml_ev *outer;   /* TRANSACTION_PAYLOAD whose content is being fed; else NULL */
	struct ml_payload *payload;  /* NULL until the first one */
	struct ml_arena arena;       /* of one statement */
	struct ml_buf scratch;
};

void ml_reader_init(struct ml_reader *r, const struct ml_group_ops *ops, void *arg);
void ml_reader_fini(struct ml_reader *r);
/* A new stream begins at this place: no group is open.  crc_len: of the events before the first FORMAT_DESCRIPTION. */
void ml_reader_start(struct ml_reader *r, const struct ml_place *place, unsigned crc_len);
/* Feeds one event as ml_dump_next gives it. */
int ml_reader_feed(struct ml_reader *r, const uint8_t *p, size_t len, struct ml_err *err);
/* "mbin.000007:4711 (GTID 0-1-42)" for texts: the open group's start and id, or the place. */
const char *ml_reader_at(const struct ml_reader *r, char *buf, size_t size);
#endif
