/*
 * ddl_spec.h - the inside of CREATE TABLE and ALTER TABLE: columns, indexes, options and partition operations as a list of
 * struct ml_change.  What is not known is passed over up to the next comma and makes the item needs_reread.
 */
#ifndef ML_WORKER_SOURCE_MYSQL_DDL_SPEC_H
#define ML_WORKER_SOURCE_MYSQL_DDL_SPEC_H
#include "capture-worker/source/mysql/ddl_px.h"

struct ml_changes {
	struct ml_change *v;
	uint32_t n, cap;
};

/* A zeroed change of this kind at the end; the pointer dies with the next call. */
struct ml_change *ml_change_add(struct ml_px *px, struct ml_changes *cs, enum ml_change_kind kind);
/* "(" has been seen but not taken: columns, indexes, checks up to the matching ")". */
void ml_px_create_body(struct ml_px *px, struct ml_changes *cs, struct ml_ddl_item *it);
/* Table options of CREATE, behind the body: up to PARTITION, AS, SELECT or the end. */
void ml_px_table_options(struct ml_px *px, struct ml_changes *cs, struct ml_ddl_item *it);
/* The specifications of ALTER TABLE, behind the table's name, to the end. */
void ml_px_alter_specs(struct ml_px *px, struct ml_changes *cs, struct ml_ddl_item *it);
/* (col, col(n) DESC, (expr)) into ch->cols; an expression gets an empty name.  False if no "(" is next. */
bool ml_px_index_columns(struct ml_px *px, struct ml_change *ch);
/* [DEFAULT] CHARACTER SET [=] x, COLLATE [=] x; false if neither is next. */
bool ml_px_charset_option(struct ml_px *px, struct ml_text *charset, struct ml_text *collation);
/* TiDB's action code of an ALTER TABLE with these changes; 0: none that TiCDC sends. */
int ml_changes_action(const struct ml_changes *cs);
#endif
