/*
 * sql.h - the shapes of statements that change rows (sinks.md 3.7), as text with the values in it, or as a template with "?"
 * and the values apart (for errors and prepared statements).
 */
#ifndef ML_WORKER_SINK_MYSQL_SQL_H
#define ML_WORKER_SINK_MYSQL_SQL_H
#include <stdbool.h>
#include <stdint.h>

#include "capture-worker/event/row.h"
#include "capture-worker/sink/mysql/table.h"
#include "common/base/buf.h"

struct sql_arg {
	const struct ml_datum *datum;
	uint8_t quoting; /* enum sql_quoting */
};

struct sql_args {
	struct sql_arg *v; /* heap, kept for the next one */
	size_t n, cap;
};
void sql_args_fini(struct sql_args *a);

struct sql_out {
	struct ml_buf *text;
	struct sql_args *args; /* NULL: values go into the text */
	bool no_backslash;
	bool json_type;        /* the target has a JSON type of its own */
	const char *to_vector; /* function that makes a vector of its text; NULL: the text is taken */
	bool in_lists;         /* several rows are found by IN, not by OR */
	bool text_in_lists;    /* also those whose keys are a text and more */
};

/* One row's images; which of them count depends on the statement. */
struct sql_change {
	const struct ml_datum *before, *after;
};

void sql_insert(struct sql_out *o, const struct sql_table *t, bool replace, const struct sql_change *rows, uint32_t n);
/* One row; by the key, or by all its old values where the table has none. */
void sql_update(struct sql_out *o, const struct sql_table *t, const struct sql_change *row);
void sql_delete(struct sql_out *o, const struct sql_table *t, const struct sql_change *row);
/* Several rows, or one; only for tables with a key. */
void sql_delete_many(struct sql_out *o, const struct sql_table *t, const struct sql_change *rows, uint32_t n);
/* TiDB only: others evaluate assignments one after the other, so a changed key would change later CASEs. */
void sql_update_many(struct sql_out *o, const struct sql_table *t, const struct sql_change *rows, uint32_t n);
#endif
