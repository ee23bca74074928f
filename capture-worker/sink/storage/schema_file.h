/* schema_file.h - the text and the checksum of a table's schema file (sinks.md 4.3). */
#ifndef ML_WORKER_SINK_STORAGE_SCHEMA_FILE_H
#define ML_WORKER_SINK_STORAGE_SCHEMA_FILE_H
#include <stdbool.h>
#include <stdint.h>

#include "capture-worker/event/schema.h"
#include "common/base/buf.h"

struct schema_file {
	const char *db, *table; /* table "": of the database */
	size_t db_len, table_len;
	const struct ml_schema *schema; /* its columns; NULL: none */
	ml_ts version;
	const char *query; /* "" and 0 when data, not a DDL, made the file */
	size_t query_len;
	int type;
	bool column_id;
};

/* Appends the file's whole text. */
void schema_file_text(const struct schema_file *f, struct ml_buf *out);
/* CRC-32 over what describes the columns, not over version, query and type. */
uint32_t schema_file_checksum(const struct schema_file *f);
/* "schema_<version>_<checksum>.json" */
void schema_file_name(char out[64], ml_ts version, uint32_t checksum);
/* Takes such a name apart; false if it is none. */
bool schema_file_parse_name(const char *name, ml_ts *version, uint32_t *checksum);
#endif
