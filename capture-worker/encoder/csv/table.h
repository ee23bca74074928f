/* table.h - what csv can write of a table before it has seen a row: the first three fields, how each column is written, names. */
#ifndef ML_WORKER_ENCODER_CSV_TABLE_H
#define ML_WORKER_ENCODER_CSV_TABLE_H
#include <stdint.h>

#include "capture-worker/encoder/options.h"
#include "capture-worker/event/schema.h"

/* Numbers need no telling: their datum says what they are. */
enum csv_form { CSV_PLAIN, CSV_BINARY, CSV_ENUM, CSV_SET };

struct csv_column {
	uint8_t form; /* enum csv_form */
	uint16_t n_elems;
	const struct ml_text *elems; /* names; ENUM: as whole fields */
};

struct csv_table {
	uint64_t serial;                       /* of the encoder that made it */
	struct ml_text insert, update, delete; /* `"I","table","schema"` */
	struct csv_column *columns;
	struct ml_arena arena;
};

/* The table's texts, made at first use.  serial: of the encoder, so that another one's are made anew. */
const struct csv_table *csv_table_of(struct ml_schema *s, uint64_t serial, const struct ml_csv_opts *c);
#endif
