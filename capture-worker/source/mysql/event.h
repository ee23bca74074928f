/*
 * event.h - events of the binary log: the common header and every body but TABLE_MAP and rows (those are mounter/'s).
 *
 * All functions read foreign bytes and check every length; what they return is borrowed from the event unless said otherwise.
 * Formats: mysql-upstream.md 3.
 */
#ifndef ML_WORKER_SOURCE_MYSQL_EVENT_H
#define ML_WORKER_SOURCE_MYSQL_EVENT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capture-worker/event/ddl.h"
#include "capture-worker/event/schema.h"
#include "capture-worker/source/mysql/gtid.h"
#include "capture-worker/source/mysql/gtid_set.h"
#include "common/base/buf.h"

enum ml_ev_type {
	ML_EV_QUERY = 2,
	ML_EV_STOP = 3,
	ML_EV_ROTATE = 4,
	ML_EV_INTVAR = 5,
	ML_EV_APPEND_BLOCK = 9,
	ML_EV_DELETE_FILE = 11,
	ML_EV_RAND = 13,
	ML_EV_USER_VAR = 14,
	ML_EV_FORMAT = 15,
	ML_EV_XID = 16,
	ML_EV_BEGIN_LOAD = 17,
	ML_EV_EXECUTE_LOAD = 18,
	ML_EV_TABLE_MAP = 19,
	ML_EV_INCIDENT = 26,
	ML_EV_HEARTBEAT = 27,
	ML_EV_IGNORABLE = 28,
	ML_EV_ROWS_QUERY = 29,
	ML_EV_GTID = 33,
	ML_EV_ANONYMOUS_GTID = 34,
	ML_EV_PREVIOUS_GTIDS = 35,
	ML_EV_TRANSACTION_CONTEXT = 36,
	ML_EV_VIEW_CHANGE = 37,
	ML_EV_XA_PREPARE = 38,
	ML_EV_TRANSACTION_PAYLOAD = 40,
	ML_EV_HEARTBEAT_V2 = 41,
	ML_EV_GTID_TAGGED = 42,
	ML_EV_MARIA_ANNOTATE = 160,
	ML_EV_MARIA_CHECKPOINT = 161,
	ML_EV_MARIA_GTID = 162,
	ML_EV_MARIA_GTID_LIST = 163,
	ML_EV_MARIA_START_ENCRYPTION = 164,
	ML_EV_MARIA_QUERY_COMPRESSED = 165,
};

/* Flags of the common header. */
enum { ML_EVF_THREAD_SPECIFIC = 0x0004, ML_EVF_ARTIFICIAL = 0x0020, ML_EVF_IGNORABLE = 0x0080 };

#define ML_EV_HEADER 19u

struct ml_ev {
	uint32_t timestamp; /* seconds, UTC; of the statement, or 0 */
	uint32_t server_id;
	uint32_t next_pos; /* end of the event in its file, modulo 2^32; 0 inside groups of MariaDB 11.4+ */
	uint32_t len;      /* whole event with header and checksum */
	uint16_t flags;
	uint8_t type;
	const uint8_t *raw;  /* the whole event */
	const uint8_t *body; /* behind the header */
	uint32_t body_len;   /* without the checksum */
};

/*
 * Splits an event of len bytes.  crc_len: 4 if events carry a checksum now, else 0; a FORMAT_DESCRIPTION brings its own rule and
 * always loses its 4 bytes.  -1 if the sizes do not add up.
 */
int ml_ev_split(struct ml_ev *e, const uint8_t *p, size_t len, unsigned crc_len);
/* True if the event's last 4 bytes are the CRC32 of the others. */
bool ml_ev_crc_ok(const uint8_t *p, size_t len);
const char *ml_ev_name(uint8_t type); /* "TABLE_MAP"; "unknown" */

struct ml_ev_format {
	char server_version[51];
	uint32_t created; /* seconds, only in the first file after a start, else 0 */
	uint8_t checksum; /* 0 none, 1 CRC32, 255 undefined */
};
int ml_ev_format(struct ml_ev_format *f, const struct ml_ev *e);

struct ml_ev_rotate {
	uint64_t pos;
	char file[256];
};
int ml_ev_rotate(struct ml_ev_rotate *r, const struct ml_ev *e);

/* File name of a heartbeat (type 27); its position is e->next_pos. */
int ml_ev_heartbeat(char file[256], const struct ml_ev *e);

/* XA transaction id as the log has it: format, global part, branch part. */
struct ml_xid {
	uint32_t format;
	uint8_t gtrid_len, bqual_len; /* at most 64 each */
	uint8_t data[128];
};

enum {
	ML_GTIDF_STANDALONE = 0x01,
	ML_GTIDF_GROUP_COMMIT = 0x02,
	ML_GTIDF_TRANSACTIONAL = 0x04,
	ML_GTIDF_DDL = 0x20,
	ML_GTIDF_XA_PREPARE = 0x40,
	ML_GTIDF_XA_COMPLETED = 0x80,
	/* flags_extra */
	ML_GTIDX_START_ALTER = 0x02,
	ML_GTIDX_COMMIT_ALTER = 0x04,
	ML_GTIDX_ROLLBACK_ALTER = 0x08,
};
struct ml_ev_gtid {
	struct ml_gtid gtid;        /* MariaDB */
	uint8_t flags, flags_extra; /* MySQL: set while the group is read, as far as they mean something there */
	struct ml_xid xid;          /* with ML_GTIDF_XA_PREPARE or _XA_COMPLETED */
	/* MySQL (event_mysql.h): */
	bool mysql;
	bool anonymous; /* no GTID: gtid_mode is OFF */
	uint8_t uuid[16];
	char tag[ML_GTID_TAG_MAX + 1];
	int64_t number;
	uint64_t time_us; /* when it was committed first, Unix time; 0: not told */
};
int ml_ev_maria_gtid(struct ml_ev_gtid *g, const struct ml_ev *e);

/* Adds the list's GTIDs to l, the current one of each domain last as the server writes them. */
int ml_ev_maria_gtid_list(struct ml_gtid_list *l, const struct ml_ev *e);

struct ml_ev_query {
	uint32_t thread_id;
	uint16_t error_code;
	struct ml_text db;  /* default schema */
	struct ml_text sql; /* in the client's charset; not NUL-terminated */
	bool has_sql_mode;
	uint64_t sql_mode;
	uint16_t increment, offset; /* auto_increment_increment and _offset; 0: 1, or not told */
	uint16_t client_charset;    /* collation ids; 0: not told */
	uint16_t connection_collation, server_collation;
	uint16_t db_collation; /* 0: not told */
	/* What character sets without a collation mean; 0: not told.  MySQL: of utf8mb4; MariaDB: character_set_collations, but for its rest. */
	uint16_t collations[ML_DDL_COLLATIONS];
	uint8_t n_collations;
	bool implicit_timestamps; /* MySQL's explicit_defaults_for_timestamp is off */
	uint32_t micros;          /* part of the second; 0 if not told */
	uint8_t alter_flags;      /* MariaDB's two-phase ALTER, ML_GTIDX_... */
};
/* QUERY and QUERY_COMPRESSED; scratch holds the text of the latter until its next use. */
int ml_ev_query(struct ml_ev_query *q, const struct ml_ev *e, struct ml_buf *scratch);

struct ml_ev_xa_prepare {
	bool one_phase;
	struct ml_xid xid;
};
int ml_ev_xa_prepare(struct ml_ev_xa_prepare *x, const struct ml_ev *e);

/* Text of an INCIDENT, copied and cut to size. */
int ml_ev_incident(uint16_t *code, char *text, size_t size, const struct ml_ev *e);

/* Target of "XA COMMIT X'..',X'..',n" and "XA ROLLBACK ..." as servers write it to the log. */
int ml_xid_parse(struct ml_xid *xid, const char *text, size_t len);
bool ml_xid_equal(const struct ml_xid *a, const struct ml_xid *b);
/* "X'6731',X'62',7"; cut to size, always terminated. */
const char *ml_xid_print(const struct ml_xid *xid, char *buf, size_t size);
#endif
