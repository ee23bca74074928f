/* table.h - what craft needs of a table for every row.  Hangs on schema->encoder. */
#ifndef ML_WORKER_ENCODER_CRAFT_TABLE_H
#define ML_WORKER_ENCODER_CRAFT_TABLE_H
#include "capture-worker/encoder/craft/terms.h"
#include "capture-worker/event/schema.h"

struct cr_column {
	struct cr_term *name;
	uint8_t type; /* enum ml_type */
	uint8_t flags;
	bool handle; /* of the handle key */
};

struct cr_table {
	uint64_t serial; /* of the encoder that made it, whose terms these are */
	struct cr_term *schema, *table;
	struct cr_column *columns; /* all of the table, in its order */
};

/* Made at first use. */
struct cr_table *cr_table_of(struct ml_schema *s, uint64_t serial, struct cr_terms *terms);
#endif
