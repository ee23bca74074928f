/*
 * flush.h - the statements of one downstream transaction: rows of some units, in order, regrouped into few statements.
 *
 * Rows that touch a common key keep their order: each row has a level, one above those of all earlier rows that it shares a key
 * with.  Levels are executed one after the other; within a level no two rows have a key in common, so there the rows are put
 * together by table and kind: DELETEs, then UPDATEs, then INSERTs (sinks.md 3.7).  A binary log has every step of a
 * transaction, not only the last change of a key, so the regrouping cannot be had more cheaply.
 */
#ifndef ML_WORKER_SINK_MYSQL_FLUSH_H
#define ML_WORKER_SINK_MYSQL_FLUSH_H
#include "capture-worker/sink/mysql/sql.h"
#include "capture-worker/sink/mysql/unit.h"

struct sql_flush_env {
	uint32_t max_txn_row;
	uint32_t max_multi_update_row, max_multi_update_row_size;
	bool batch_dml;
	bool tidb;
	bool no_backslash, json_type, in_lists, text_in_lists; /* as in sql.h */
	const char *to_vector;                                 /* the same */
	size_t max_statement_bytes; /* a multi-row INSERT or REPLACE is ended at about this size */
	const char *begin;          /* what opens the transaction: statements with ';' behind each */
};

enum sql_kind { SQL_DELETE, SQL_UPDATE, SQL_INSERT, SQL_REPLACE };

struct sql_stmt {
	size_t at, len; /* in text */
	uint32_t group; /* and which rows of it */
	uint32_t first, n;
};

struct sql_group {
	uint32_t level;
	uint8_t kind; /* enum sql_kind */
	const struct sql_table *table;
	uint32_t first, n; /* its rows in `changes` once they are sorted */
};

struct sql_flush {
	struct ml_buf text; /* begin, the statements with ';' behind each, "COMMIT" */
	struct sql_stmt *stmts;
	struct sql_group *groups;
	struct sql_change *changes;
	uint32_t n_stmts, n_groups, n_changes;
	uint32_t cap_stmts, cap_groups, cap_changes;
	/* Scratch, heap, kept for the next flush. */
	struct {
		struct sql_change change;
		uint32_t group;
	} * found;
	uint32_t cap_found;
	uint64_t *order; /* level, kind, index of each group */
	uint32_t cap_order;
	struct {
		uint64_t hash;
		uint32_t level;
		uint32_t stamp;
		uint8_t kind;
	} * levels;
	uint32_t cap_levels, stamp;
	uint32_t *group_slots, cap_group_slots;
};

void sql_flush_init(struct sql_flush *f);
void sql_flush_fini(struct sql_flush *f);
/*
 * Makes the statements for units (a list by next, n_rows rows in all).  safe: the rows may be there already, whatever their
 * units say.  A row of a table with nothing to write makes none.
 */
void sql_flush_build(
	struct sql_flush *f, const struct sql_flush_env *env, const struct sql_unit *units, uint32_t n_rows, bool safe);
/* Statement i as a template: "?" for values, which go to args; out is overwritten. */
void sql_flush_template(struct ml_buf *out, struct sql_args *args, const struct sql_flush *f,
	const struct sql_flush_env *env, uint32_t i);
/* Memory beyond what an ordinary flush needs goes back. */
void sql_flush_trim(struct sql_flush *f);
#endif
