/*
 * table.h - what canal can write of a table before it has seen a row: each Column but its length, `isNull` and value, and the
 * Headers but for their time (protocols.md 7.1).  Hangs on schema->encoder.
 */
#ifndef ML_WORKER_ENCODER_CANAL_TABLE_H
#define ML_WORKER_ENCODER_CANAL_TABLE_H
#include <stdbool.h>
#include <stdint.h>

#include "capture-worker/event/row.h"

/*
 * Tags: field number << 3 | wire type (0 varint, 2 bytes); what is in Packet, Messages, Entry, Header, RowChange, RowData and
 * Column under these numbers stands in the protocol's table.
 */
enum {
	CN_PACKET_VERSION = 2 << 3,
	CN_PACKET_TYPE = 3 << 3,
	CN_PACKET_BODY = 5 << 3 | 2,
	CN_MESSAGES_ENTRY = 2 << 3 | 2,
	CN_ENTRY_HEADER = 1 << 3 | 2,
	CN_ENTRY_TYPE = 2 << 3,
	CN_ENTRY_STORE = 3 << 3 | 2,
	CN_HEADER_VERSION = 1 << 3,
	CN_HEADER_ENCODING = 5 << 3 | 2,
	CN_HEADER_TIME = 6 << 3,
	CN_HEADER_SOURCE = 7 << 3,
	CN_HEADER_SCHEMA = 8 << 3 | 2,
	CN_HEADER_TABLE = 9 << 3 | 2,
	CN_HEADER_EVENT = 11 << 3,
	CN_HEADER_PROPS = 12 << 3 | 2,
	CN_PAIR_KEY = 1 << 3 | 2,
	CN_PAIR_VALUE = 2 << 3 | 2,
	CN_CHANGE_EVENT = 2 << 3,
	CN_CHANGE_DDL = 10 << 3,
	CN_CHANGE_SQL = 11 << 3 | 2,
	CN_CHANGE_ROW = 12 << 3 | 2,
	CN_CHANGE_SCHEMA = 14 << 3 | 2,
	CN_ROW_BEFORE = 1 << 3 | 2,
	CN_ROW_AFTER = 2 << 3 | 2,
	CN_COLUMN_SQL_TYPE = 2 << 3,
	CN_COLUMN_NAME = 3 << 3 | 2,
	CN_COLUMN_KEY = 4 << 3,
	CN_COLUMN_UPDATED = 5 << 3,
	CN_COLUMN_NULL = 6 << 3,
	CN_COLUMN_VALUE = 8 << 3 | 2,
	CN_COLUMN_MYSQL_TYPE = 10 << 3 | 2,
};

#define CN_VERSION 1
#define CN_MESSAGES 7 /* Packet.type */
#define CN_ROWDATA 2  /* Entry.entryType, for DDL too */
#define CN_MYSQL 2    /* Header.sourceType */

struct cn_column {
	/* From `sqlType` up to the tag of `isNull`; [1]: with the code of a value above the bound. */
	struct ml_text updated[2]; /* INSERT and UPDATE */
	struct ml_text deleted[2];
	struct ml_text type; /* `mysqlType` */
	uint64_t bound;
	bool promotes; /* bound and [1] are in use */
	bool latin1;   /* bytes become code points */
	bool handle;   /* of the handle key */
};

/* Header and entryType of an Entry, tags and lengths included, with the time of the last row that asked for it. */
struct cn_head {
	char *s;
	uint32_t len;
	uint64_t ms;
};

struct cn_table {
	uint64_t serial;           /* of the encoder that made it */
	struct cn_column *columns; /* of the table */
	struct cn_head heads[4];   /* by enum ml_op */
	struct ml_arena arena;
};

/* The table's texts, made at first use.  serial: of the encoder, so that another one's are made anew. */
struct cn_table *cn_table_of(struct ml_schema *s, uint64_t serial);
/* The head of a row's Entry. */
const struct cn_head *cn_head_of(struct cn_table *t, const struct ml_schema *s, int op, uint64_t ms);

/*
 * Writes the head of an Entry at p: at most CN_HEAD_MAX bytes and the names.  event: EventType; rows have the property
 * `rowsCount`.  Returns the byte behind it.
 */
#define CN_HEAD_MAX 96
char *cn_put_head(char *p, struct ml_text db, struct ml_text table, int event, uint64_t ms, bool row);
#endif
