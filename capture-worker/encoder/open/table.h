/* table.h - what open-protocol can write of a table before it has seen a row.  Hangs on schema->encoder. */
#ifndef ML_WORKER_ENCODER_OPEN_TABLE_H
#define ML_WORKER_ENCODER_OPEN_TABLE_H
#include <stdint.h>

#include "capture-worker/event/schema.h"

/* How a BYTES value is written (protocols.md 6.3); numbers need no telling. */
enum op_bytes { OP_TEXT, OP_QUOTED, OP_BASE64 };

struct op_column {
	const char *piece; /* `,"name":{"t":3,"h":true,"f":11,"v":` escaped; without the comma from piece + 1 */
	uint32_t len;
	uint16_t column; /* of the table */
	uint8_t bytes;   /* enum op_bytes */
	bool handle;     /* of the handle key */
};

struct op_table {
	uint64_t serial;           /* of the encoder that made it */
	struct ml_text names;      /* `,"scm":"shop","tbl":"item"`, the middle of a row's key */
	struct op_column *columns; /* all of the table, by name bytes */
	bool has_handle;
	struct ml_arena arena;
};

/* The table's texts, made at first use.  serial: of the encoder, so that another one's are made anew. */
struct op_table *op_table_of(struct ml_schema *s, uint64_t serial);
#endif
