/* table.h - what maxwell can write of a table before it has seen a row.  Hangs on schema->encoder. */
#ifndef ML_WORKER_ENCODER_MAXWELL_TABLE_H
#define ML_WORKER_ENCODER_MAXWELL_TABLE_H
#include <stdint.h>

#include "capture-worker/event/row.h"

struct mx_column {
	const char *piece; /* `,"name":` escaped; without the comma from piece + 1 */
	uint32_t len;
	uint16_t column; /* of the table */
	bool base64;
	bool handle;     /* of the handle key */
	bool always_old; /* VECTOR: in `old` of every UPDATE */
};

struct mx_table {
	uint64_t serial;                       /* of the encoder that made it */
	struct ml_text head[ML_OP_DELETE + 1]; /* by operation: `{"database":"d","table":"t","type":"insert","ts":` */
	struct mx_column *columns;             /* all of the table, by name bytes */
	struct ml_arena arena;
};

/* The table's texts, made at first use.  serial: of the encoder, so that another one's are made anew. */
struct mx_table *mx_table_of(struct ml_schema *s, uint64_t serial);
/* Maxwell's name of a column's type; "" for what has none. */
const char *mx_type_name(const struct ml_column *c);
#endif
