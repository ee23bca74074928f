/*
 * schema_map.h - the tables and databases that a store knows, by name.  Names compare as the server compares them: exactly, or
 * (lower_case_table_names 1 and 2) without ASCII case.
 */
#ifndef ML_WORKER_SOURCE_MYSQL_SCHEMA_MAP_H
#define ML_WORKER_SOURCE_MYSQL_SCHEMA_MAP_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capture-worker/event/schema.h"

struct ml_table_entry {
	struct ml_table_entry *next; /* of its bucket */
	char *db, *table;            /* heap, NUL-terminated */
	uint32_t db_len, table_len;
	struct ml_schema *def;     /* NULL: only the name is known */
	struct ml_schema *pending; /* read from the server, not in force yet */
	int64_t id;                /* 0: none given yet */
	bool stale;                /* def should be read again */
	bool asked;                /* it was read again since the last DDL on it: asking once more tells nothing new */
	bool confirmed;            /* the log has shown that it exists at this place */
};

struct ml_db_entry {
	struct ml_db_entry *next;
	char *name, charset[65], collation[65];
	uint32_t name_len;
};

struct ml_schema_map {
	struct ml_table_entry **buckets;
	size_t n_buckets, n_tables, n_stale;
	struct ml_db_entry *dbs;
	bool fold; /* compare without case */
};

void ml_schema_map_init(struct ml_schema_map *m, bool fold);
void ml_schema_map_fini(struct ml_schema_map *m);
struct ml_table_entry *ml_schema_map_find(const struct ml_schema_map *m, struct ml_text db, struct ml_text table);
struct ml_table_entry *ml_schema_map_add(
	struct ml_schema_map *m, struct ml_text db, struct ml_text table);    /* or the old one */
void ml_schema_map_remove(struct ml_schema_map *m, struct ml_table_entry *e); /* frees it */
void ml_schema_map_stale(struct ml_schema_map *m, struct ml_table_entry *e, bool stale);
/* Calls f for each table; f may remove it. */
void ml_schema_map_each(struct ml_schema_map *m, void (*f)(void *arg, struct ml_table_entry *e), void *arg);
bool ml_schema_map_same(const struct ml_schema_map *m, struct ml_text a, struct ml_text b);
struct ml_db_entry *ml_schema_map_db(const struct ml_schema_map *m, struct ml_text name); /* NULL: not known */
void ml_schema_map_set_db(
	struct ml_schema_map *m, struct ml_text name, struct ml_text charset, struct ml_text collation);
void ml_schema_map_drop_db(struct ml_schema_map *m, struct ml_text name); /* the entry of the database itself only */
static inline struct ml_text
ml_entry_db(const struct ml_table_entry *e)
{
	return (struct ml_text){ e->db, e->db_len };
}
static inline struct ml_text
ml_entry_table(const struct ml_table_entry *e)
{
	return (struct ml_text){ e->table, e->table_len };
}
#endif
