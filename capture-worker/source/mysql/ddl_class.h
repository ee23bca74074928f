/*
 * ddl_class.h - what a statement of the log is and does: class, tables touched, TiDB's action codes, text to send, and the
 * changes of columns and indexes as far as they can be told from the text.
 *
 * Never fails (mysql-upstream.md 7.3: a statement that nobody understands must not stop the stream): what cannot be
 * tokenised or is not known is ML_DDL_UNKNOWN, with the names that were found.
 */
#ifndef ML_WORKER_SOURCE_MYSQL_DDL_CLASS_H
#define ML_WORKER_SOURCE_MYSQL_DDL_CLASS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capture-worker/event/ddl.h"
#include "capture-worker/event/schema.h"
#include "common/base/arena.h"

/* Facts about the QUERY event (its status variables) and the server that decide how its text reads. */
struct ml_ddl_env {
	uint64_t sql_mode;              /* status variable 1 */
	uint16_t client_collation;      /* status variable 4, first u16; 0: not told, UTF-8 */
	uint16_t connection_collation;  /* status variable 4, second u16; 0: not told */
	uint16_t server_collation;      /* status variable 4, third u16; 0: not told */
	uint16_t db_collation;          /* status variable 8; 0: not told */
	uint8_t lower_case_table_names; /* of the server: 1 folds names of databases and tables */
	bool mariadb;
	const char *default_db; /* of the event; not terminated */
	size_t default_db_len;
};

enum ml_ddl_class {
	ML_DDL_UNKNOWN, /* log once per shape; `items` holds tables it may have touched (op ML_DDL_MAYBE) */
	ML_DDL_TXN,     /* transaction control, see `txn` */
	ML_DDL_DML,     /* statement-format DML on dml_db.dml_table */
	ML_DDL_DDL,     /* items, in order */
	ML_DDL_IGNORE,  /* nothing for us: temporary tables, triggers, routines, users, sequences, maintenance */
};

enum ml_txn_verb {
	ML_TXN_NONE,
	ML_TXN_BEGIN,
	ML_TXN_COMMIT,
	ML_TXN_ROLLBACK,
	ML_TXN_SAVEPOINT,
	ML_TXN_RELEASE,
	ML_TXN_ROLLBACK_TO,
	ML_TXN_XA_START,
	ML_TXN_XA_END,
	ML_TXN_XA_PREPARE,
	ML_TXN_XA_COMMIT,
	ML_TXN_XA_ROLLBACK,
};

enum ml_ddl_op {
	ML_DDL_MAYBE,        /* not known what; the definition of db.table must be read again */
	ML_DDL_CREATE_TABLE, /* pre_db.pre_table: source of LIKE */
	ML_DDL_ALTER_TABLE,  /* with a rename: pre_db.pre_table is the old name; covers indexes and partitions */
	ML_DDL_DROP_TABLE,
	ML_DDL_RENAME_TABLE, /* pre_db.pre_table -> db.table */
	ML_DDL_TRUNCATE,
	ML_DDL_EXCHANGE, /* db.table is the partitioned one, pre_db.pre_table the plain one */
	ML_DDL_CREATE_VIEW,
	ML_DDL_DROP_VIEW,
	ML_DDL_CREATE_DB,
	ML_DDL_ALTER_DB,
	ML_DDL_DROP_DB,
};

enum ml_change_kind {
	ML_CH_ADD_COLUMN,
	ML_CH_MODIFY_COLUMN, /* column: the new definition; name: the old name */
	ML_CH_DROP_COLUMN,
	ML_CH_RENAME_COLUMN, /* name, name2 */
	ML_CH_SET_DEFAULT,
	ML_CH_DROP_DEFAULT, /* name; column->dflt */
	ML_CH_ADD_INDEX,
	ML_CH_DROP_INDEX,
	ML_CH_DROP_PRIMARY,
	ML_CH_RENAME_INDEX,
	ML_CH_INDEX_VISIBILITY,
	ML_CH_ADD_FOREIGN,
	ML_CH_DROP_FOREIGN,
	ML_CH_CONVERT_CHARSET,
	ML_CH_DEFAULT_CHARSET, /* charset, collation */
	ML_CH_COMMENT,         /* name2: the text */
	ML_CH_AUTO_INCREMENT,
	ML_CH_RENAME_TABLE,
	ML_CH_ADD_PARTITION,
	ML_CH_DROP_PARTITION,
	ML_CH_TRUNCATE_PARTITION,
	ML_CH_REORGANIZE_PARTITION,
	ML_CH_EXCHANGE,
	ML_CH_PARTITION_BY,
	ML_CH_REMOVE_PARTITIONING,
	ML_CH_VERSIONING, /* ADD SYSTEM VERSIONING, WITH SYSTEM VERSIONING; with `drop` DROP SYSTEM VERSIONING */
	ML_CH_OTHER,      /* engine, options, checks, order: nothing that a row shows */
};

struct ml_change {
	uint8_t kind; /* enum ml_change_kind */
	bool if_exists, if_not_exists, first, drop;
	bool primary, unique; /* ADD_INDEX; for a column: declared with PRIMARY KEY or UNIQUE */
	struct ml_text name, name2;
	struct ml_text after; /* of a column: behind which; empty: at the end, or where it was */
	/* ADD, MODIFY, SET_DEFAULT.  id 0; empty charset: the table's; type 0: the type was not understood. */
	struct ml_column *column;
	struct ml_text *cols; /* ADD_INDEX: names of the columns */
	uint32_t *prefixes;   /* ... and how many characters of each are in it; 0: all */
	uint16_t n_cols;
	struct ml_text charset, collation;
};

struct ml_ddl_item {
	uint8_t op; /* enum ml_ddl_op */
	int action; /* TiDB's code, protocols.md 2.9; 0: nothing that TiCDC would send */
	bool if_exists, if_not_exists, or_replace;
	bool as_select;    /* CREATE TABLE .. SELECT: rows may follow in the same group */
	bool needs_reread; /* the text does not tell the whole definition */
	struct ml_text db, table, pre_db, pre_table;
	struct ml_text query;              /* text to send, UTF-8 */
	struct ml_text charset, collation; /* databases; empty: the server's */
	/*
	 * Charset that the event says is the default where the text has none: of the session's server for a new database, of the
	 * default database for a table in it.  A view's is that of the connection which makes it.  Empty: not told.
	 */
	struct ml_text told_charset;
	const struct ml_change *changes; /* CREATE TABLE (from nothing) and ALTER TABLE, in order */
	uint32_t n_changes;
};

struct ml_ddl_stmt {
	enum ml_ddl_class class;
	enum ml_txn_verb txn;
	bool temporary; /* about a temporary table */
	bool dml_all;   /* DELETE without WHERE: the emptied MEMORY table after a restart of the server */
	struct ml_text dml_db, dml_table; /* target of DML, as far as found */
	struct ml_text default_db;        /* of the event */
	uint64_t sql_mode;
	/* Set by the reader of the log: what NOW() was, and the session's defaults as ml_ddl has them. */
	uint64_t time_us;
	uint16_t server_collation, collations[ML_DDL_COLLATIONS];
	uint8_t n_collations;
	bool implicit_timestamps;
	struct ml_ddl_item *items;
	uint32_t n_items;
	char shape[32]; /* first words, upper case, for "log once per shape" */
};

/*
 * Classifies sql.  out and all it points to live in the arena (out itself is the caller's).  sql need not outlive the call,
 * nor be terminated.  Text of another client charset than UTF-8 is converted where it becomes a name or text to send.
 */
enum ml_ddl_class ml_ddl_classify(
	const struct ml_ddl_env *env, const char *sql, size_t len, struct ml_arena *a, struct ml_ddl_stmt *out);
#endif
