/*
 * table.h - what is prepared once per version of a table: quoted names, the columns that are written, the columns that find a
 * row, and the unique indexes by whose values changes conflict (sinks.md 3.3, 3.4).  Hangs on schema->encoder, which a row sink
 * has for itself; made by the thread that calls write(), read by all workers.
 */
#ifndef ML_WORKER_SINK_MYSQL_TABLE_H
#define ML_WORKER_SINK_MYSQL_TABLE_H
#include <stdbool.h>
#include <stdint.h>

#include "capture-worker/event/row.h"
#include "common/base/arena.h"
#include "common/base/err.h"

struct sql_col {
	struct ml_text name; /* quoted */
	uint16_t at;         /* index of the datum */
	uint8_t quoting;     /* enum sql_quoting */
	bool text;           /* has a charset */
	bool exact;          /* ... in which a text has one form alone */
	bool vector;         /* its value is the text of one */
	bool json;           /* type JSON: MySQL compares it with a text only after a CAST */
	bool json_text;      /* MariaDB's JSON, a text: in MySQL it may have become either */
};

/* How a column's value becomes part of a conflict key. */
enum sql_fold {
	SQL_FOLD_NONE,  /* its bytes */
	SQL_FOLD_PAD,   /* bytes without trailing blanks: _bin */
	SQL_FOLD_CASE,  /* what its collation may take for equal */
	SQL_FOLD_WHOLE, /* a prefix index of unknown length: any two values may be equal in it */
};

struct sql_unique {
	uint32_t ordinal; /* position among the table's unique indexes */
	uint16_t n_cols;
	uint16_t *cols;     /* indexes of datums, index order */
	uint8_t *folds;     /* enum sql_fold of each */
	uint32_t *prefixes; /* characters, or bytes with SQL_FOLD_NONE, of each that count; 0: all */
};

struct sql_table {
	struct ml_text name;                      /* "`db`.`t`" */
	struct ml_text insert_head, replace_head; /* "INSERT INTO `db`.`t` (`a`,`b`) VALUES " */
	struct sql_col *cols;                     /* written ones, table order */
	uint16_t n_cols;
	struct sql_col *key; /* NULL: none, a row is found by all its columns */
	uint16_t n_key;
	uint16_t *key_order; /* into key: index order, for batches; key itself is in table order */
	struct sql_col *all; /* every column with a value, to find a row without a key */
	uint16_t n_all;
	struct sql_unique *uniques;
	uint16_t n_uniques;
	bool keyed; /* every row has a key: the handle index's columns are all there */
	int64_t table_id;
	struct ml_arena arena;
};

/*
 * The plan of s, made when it is asked for first.  image: any image of a row, which tells the columns that a selector took
 * away.  Only one thread may ask.
 */
const struct sql_table *sql_table_of(struct ml_schema *s, const struct ml_datum *image);
#endif
