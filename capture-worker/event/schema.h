/*
 * schema.h - one version of a table's definition, shared by reference count; immutable once built (but for `encoder`).
 * Facts per column are those that TiCDC's formats need: type codes, flags, type text, lengths.
 */
#ifndef ML_WORKER_EVENT_SCHEMA_H
#define ML_WORKER_EVENT_SCHEMA_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/ts.h"

/* MySQL's type codes as TiCDC prints them: the declared type, not the binlog's (BLOB family told apart, ENUM 247, ...). */
enum ml_type {
	ML_T_TINY = 1,
	ML_T_SHORT = 2,
	ML_T_LONG = 3,
	ML_T_FLOAT = 4,
	ML_T_DOUBLE = 5,
	ML_T_NULL = 6,
	ML_T_TIMESTAMP = 7,
	ML_T_LONGLONG = 8,
	ML_T_INT24 = 9,
	ML_T_DATE = 10,
	ML_T_TIME = 11,
	ML_T_DATETIME = 12,
	ML_T_YEAR = 13,
	ML_T_VARCHAR = 15,
	ML_T_BIT = 16,
	ML_T_VECTOR = 225,
	ML_T_JSON = 245,
	ML_T_DECIMAL = 246,
	ML_T_ENUM = 247,
	ML_T_SET = 248,
	ML_T_TINYBLOB = 249,
	ML_T_MEDIUMBLOB = 250,
	ML_T_LONGBLOB = 251,
	ML_T_BLOB = 252,
	ML_T_VARSTRING = 253,
	ML_T_STRING = 254,
	ML_T_GEOMETRY = 255,
};

/* TiCDC's column flags; their sum is visible in open-protocol. */
enum {
	ML_F_BINARY = 1,
	ML_F_HANDLE_KEY = 2,
	ML_F_GENERATED = 4,
	ML_F_PRIMARY_KEY = 8,
	ML_F_UNIQUE_KEY = 16,
	ML_F_MULTIPLE_KEY = 32,
	ML_F_NULLABLE = 64,
	ML_F_UNSIGNED = 128,
};

struct ml_text {
	const char *s; /* NUL-terminated too */
	uint32_t len;
};

/* What neither the type code nor the binary log tells of a column: how its bytes are to be read. */
enum ml_special {
	ML_SP_NONE,
	ML_SP_INET4,
	ML_SP_INET6,
	ML_SP_UUID,   /* MariaDB: fixed bytes that become text */
	ML_SP_VECTOR, /* MariaDB's VECTOR(n): floats in a VARBINARY(4n) */
	ML_SP_ROW_START,
	ML_SP_ROW_END, /* declared columns of a system-versioned table */
};

struct ml_column {
	struct ml_text name;
	uint16_t id;     /* position in the table, 1-based; TiCDC's column id */
	uint8_t type;    /* enum ml_type */
	uint8_t flags;   /* ML_F_... */
	uint8_t special; /* enum ml_special */
	bool zerofill;
	bool virtual_generated; /* never handed to encoders: its datum is ML_D_ABSENT */
	bool auto_increment;
	bool json_text;         /* MariaDB: longtext with CHECK json_valid */
	bool on_update_now;     /* ON UPDATE CURRENT_TIMESTAMP */
	bool has_default;       /* dflt holds the default's text; false: none or NULL */
	bool default_expr;      /* dflt is an expression, but for CURRENT_TIMESTAMP, and no value */
	bool fraction_unsaid;   /* this version's DDL made the column, a TIME, DATETIME or TIMESTAMP without (n) */
	int32_t flen;           /* declared length or precision, -1 if not given */
	int32_t decimal;        /* scale or fractional digits, -1 if not given */
	struct ml_text dflt;    /* the value, not the SQL expression */
	struct ml_text charset; /* "utf8mb4", "latin1", "binary"; of the upstream's column */
	struct ml_text collation;
	struct ml_text type_full;  /* canal-json's full text, protocols.md 2.7: "int(11) unsigned" */
	struct ml_text type_short; /* protocols.md 2.6: "int unsigned" */
	struct ml_text comment;
	struct ml_text *elems; /* ENUM and SET: element names in UTF-8 */
	uint16_t n_elems;
};

struct ml_index {
	struct ml_text name;                                    /* "PRIMARY" for the primary key */
	bool primary, unique, nullable, prefix, virtual_column; /* of any of its columns */
	uint16_t n_cols;
	uint16_t *cols; /* indexes into columns, in index order */
	/*
	 * With prefix: how many characters (of binary strings: bytes) of each column are in it, 0 for all of them; NULL: not
	 * known.
	 */
	uint32_t *prefixes;
};

enum ml_table_kind { ML_TABLE_BASE, ML_TABLE_VIEW, ML_TABLE_SEQUENCE, ML_TABLE_VERSIONED };

struct ml_schema {
	struct ml_text db, table;
	struct ml_text qname; /* "db.table", for messages */
	int64_t table_id;     /* stable across restarts */
	ml_ts version;        /* commit_ts of the DDL that made this definition, or the ts at which it was first read */
	enum ml_table_kind kind;
	uint16_t n_columns, n_indexes;
	struct ml_column *columns;     /* table order */
	struct ml_index *indexes;      /* primary key first */
	const struct ml_index *handle; /* handle key (protocols.md 2.5); NULL: none */
	int16_t rid_column; /* column whose integer value is the row handle (single integer primary key); -1: none */
	struct ml_text charset, collation, comment; /* of the table */

	struct ml_arena arena; /* holds all of the above */
	atomic_int refs;
	/* What the one encoder of this process prepared for this table; set and read by the encode stage only. */
	void *encoder;
	void (*encoder_free)(void *);
	/* The same for the dispatcher. */
	void *route;
	void (*route_free)(void *);
	/* And for the shaper. */
	void *shape;
	void (*shape_free)(void *);
	/* And for the event filter, in the stage that runs it. */
	void *events;
	void (*events_free)(void *);
	/* And for the router: the definition under its name downstream. */
	void *target;
	void (*target_free)(void *);
};

/* An empty schema with one reference; fill it (names and arrays from its arena), then call ml_schema_finish. */
struct ml_schema *ml_schema_new(void);
/*
 * Derives what follows from columns and indexes: flags HandleKey, PrimaryKey, UniqueKey, MultipleKey, handle, rid_column,
 * qname, type_short and type_full where they are empty.  Flags Binary, Generated, Nullable, Unsigned are the caller's.
 */
void ml_schema_finish(struct ml_schema *s);
struct ml_schema *ml_schema_ref(struct ml_schema *s);
void ml_schema_unref(struct ml_schema *s); /* NULL is fine */
/* Index of a column by name (ASCII case-insensitive), or -1. */
int ml_schema_column(const struct ml_schema *s, const char *name, size_t len);
/* True if the table may be replicated without force_replicate: a view, or it has a handle key. */
bool ml_schema_eligible(const struct ml_schema *s);
#endif
