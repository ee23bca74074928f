/*
 * ddl_column.h - one column's definition, as CREATE and ALTER TABLE, COLUMN_TYPE of information_schema and SHOW write it.
 *
 * Takes over what the formats show; passes over the rest by depth of parentheses.
 */
#ifndef ML_WORKER_SOURCE_MYSQL_DDL_COLUMN_H
#define ML_WORKER_SOURCE_MYSQL_DDL_COLUMN_H
#include "capture-worker/source/mysql/ddl_px.h"

/*
 * Type and what belongs to it (length, UNSIGNED, ZEROFILL, charset words): into c, which is zeroed but for its name.  Without
 * charset in the text c->charset stays empty for text types.  False: not a type we know; c->type stays 0.
 */
bool ml_px_type(struct ml_px *px, struct ml_column *c);
/* Type and attributes, up to a comma, a closing parenthesis, FIRST, AFTER, PARTITION or the end. */
void ml_px_column(struct ml_px *px, struct ml_change *ch);
/* The value behind DEFAULT as dflt and has_default (protocols: the value, not the SQL expression). */
void ml_px_default(struct ml_px *px, struct ml_column *c);
/*
 * Once the charset is known: its name and collation, flag Binary, BINARY and BLOB told from text, TEXT(n) to its true size,
 * lengths that follow from the type, defaults padded as the server keeps them.  Texts from a.
 */
void ml_column_settle(struct ml_column *c, struct ml_arena *a, struct ml_text charset, struct ml_text collation);
/* A column from a type text such as "int(10) unsigned" or "enum('a','b')", UTF-8, not settled.  False as ml_px_type. */
bool ml_column_of_type(struct ml_column *c, struct ml_arena *a, const char *text, size_t len, bool mariadb);
/* Defaults of MariaDB's information_schema are SQL expressions. */
void ml_column_default_sql(struct ml_column *c, struct ml_arena *a, const char *text, size_t len);
bool ml_type_is_text(uint8_t type); /* has a charset: CHAR, VARCHAR, BLOB family, ENUM, SET */
#endif
