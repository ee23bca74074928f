/*
 * tablemap.h - a TABLE_MAP event of the binary log as a struct: what the log itself says about a table.
 *
 * Understands MySQL 5.7-9 and MariaDB, with any level of binlog_row_metadata.  Rejects bodies that run past their end, codes
 * that cannot stand there, and optional fields that do not fit the columns.
 */
#ifndef ML_WORKER_MOUNTER_TABLEMAP_H
#define ML_WORKER_MOUNTER_TABLEMAP_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capture-worker/event/schema.h"
#include "common/base/arena.h"
#include "common/base/err.h"

/* Type codes of the binary log, also ml_tm_column.real. */
enum ml_bt {
	ML_BT_TINY = 1,
	ML_BT_SHORT = 2,
	ML_BT_LONG = 3,
	ML_BT_FLOAT = 4,
	ML_BT_DOUBLE = 5,
	ML_BT_NULL = 6,
	ML_BT_TIMESTAMP = 7,
	ML_BT_LONGLONG = 8,
	ML_BT_INT24 = 9,
	ML_BT_DATE = 10,
	ML_BT_TIME = 11,
	ML_BT_DATETIME = 12,
	ML_BT_YEAR = 13,
	ML_BT_NEWDATE = 14,
	ML_BT_VARCHAR = 15,
	ML_BT_BIT = 16,
	ML_BT_TIMESTAMP2 = 17,
	ML_BT_DATETIME2 = 18,
	ML_BT_TIME2 = 19,
	ML_BT_BLOB_COMPRESSED = 140,
	ML_BT_VARCHAR_COMPRESSED = 141, /* MariaDB */
	ML_BT_VECTOR = 242,             /* MySQL 9 */
	ML_BT_JSON = 245,
	ML_BT_NEWDECIMAL = 246,
	ML_BT_ENUM = 247,
	ML_BT_SET = 248, /* only inside STRING's metadata */
	ML_BT_BLOB = 252,
	ML_BT_VAR_STRING = 253,
	ML_BT_STRING = 254,
	ML_BT_GEOMETRY = 255,
};

#define ML_COLLATION_BINARY 63u

struct ml_tm_column {
	uint8_t code;   /* enum ml_bt, as the event has it */
	uint8_t real;   /* the same, but ENUM or SET where STRING's metadata says so */
	uint8_t prefix; /* bytes of the length prefix: strings 1-2, blobs 1-4; ENUM and SET: bytes of the value; else 0 */
	uint8_t precision; /* NEWDECIMAL; BIT: number of bits */
	uint8_t scale;     /* NEWDECIMAL; fraction digits of TIME2, DATETIME2, TIMESTAMP2 */
	bool nullable;
	bool is_unsigned; /* of integers, floats, decimal, YEAR; means nothing unless has_signedness */
	bool visible;     /* true unless the event says otherwise */
	uint8_t geometry; /* 0 geometry, 1 point, 2 linestring, 3 polygon, 4-6 multi, 7 collection */
	uint8_t pk_part;  /* 1-based place in the primary key; 0: not in it, or not known (has_pk) */
	uint16_t meta;    /* raw metadata, first byte low; 0 without */
	/* FLOAT, DOUBLE: bytes.  VARCHAR, STRING: most bytes of a value (COMPRESSED: declared, without the header byte). */
	uint32_t length;
	uint32_t collation;          /* character columns, ENUM, SET: collation id; 0: not told */
	uint32_t pk_prefix;          /* characters of it in the primary key; 0: whole */
	uint32_t vector_dim;         /* 0: not told */
	struct ml_text name;         /* UTF-8; s is NULL if not told */
	const struct ml_text *elems; /* ENUM, SET strings, in the charset of `collation`; NULL if not told */
	uint16_t n_elems;
};

struct ml_tablemap {
	uint64_t table_id; /* of the binary log: dies with the next flush of the table */
	uint16_t flags;
	uint16_t n_columns;
	struct ml_tm_column *columns;
	struct ml_text db, table; /* UTF-8 */
	bool has_signedness;      /* MINIMAL and FULL */
	bool has_charsets; /* collations of character columns; also true with none of these columns if has_signedness */
	bool has_names;    /* FULL: names, enum strings, and the primary key if there is one */
	bool has_pk;       /* pk_part is told; with has_names and not has_pk the table has no primary key */
	bool has_visibility;
	uint16_t n_pk;
	const uint16_t *pk; /* column indexes in key order */
};

/*
 * Reads the body of a TABLE_MAP event (behind the common header, without the checksum).  All that tm points to lives in a;
 * body may die afterwards.  mariadb: who wrote it, since MariaDB counts GEOMETRY among the character columns and MySQL does
 * not.  at: the event's position, for the error text.  0, or -1 with ErrMySQLEventCorrupt.
 */
int ml_tablemap_parse(struct ml_tablemap *tm, struct ml_arena *a, const uint8_t *body, size_t len, bool mariadb,
	const char *at, struct ml_err *err);

/*
 * Only the names, without an arena, for filters: borrowed from body, not NUL-terminated.  0, or -1 if the body is too
 * short for them.
 */
int ml_tablemap_names(const uint8_t *body, size_t len, struct ml_text *db, struct ml_text *table);

/* Table id of a TABLE_MAP or rows event's body; UINT64_MAX if the body is too short.  0xFFFFFF is the dummy of 3.9. */
uint64_t ml_tablemap_id(const uint8_t *body, size_t len);

/* True if the column counts as a character column of the optional fields (CHAR, VARCHAR, BLOB family, not JSON, GEOMETRY). */
bool ml_tm_is_character(const struct ml_tm_column *c);
#endif
