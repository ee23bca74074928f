/* rowdec.h - a decoder prepared for one TABLE_MAP body and definition: the part of binlog.h that is done once per table. */
#ifndef ML_WORKER_MOUNTER_ROWDEC_H
#define ML_WORKER_MOUNTER_ROWDEC_H
#include <stdbool.h>
#include <stdint.h>

#include "capture-worker/event/schema.h"
#include "capture-worker/mounter/column.h"
#include "capture-worker/mounter/tablemap.h"
#include "common/base/arena.h"
#include "common/base/err.h"

struct ml_tz;

/* Some bytes of fixed size, then a value behind a length of `prefix` bytes: an image without NULLs is a few of these. */
struct ml_step {
	uint32_t fixed;
	uint32_t prefix;
};

/* Fields are binlog.c's: others only carry it about. */
struct ml_rowdec {
	struct ml_schema *schema;
	uint16_t n_columns;     /* of the TABLE_MAP */
	uint16_t n_json;        /* of them, for PARTIAL_UPDATE */
	uint16_t null_bytes;    /* of a full image */
	uint8_t last_null_mask; /* bits of the last null byte that mean something */
	bool prefill;           /* some datum comes from no column of the image */
	struct ml_coldec *cols;
	struct ml_step *steps;
	uint16_t n_steps;
	uint32_t tail; /* fixed bytes behind the last step */
	/* PARTIAL_UPDATE: the JSON values of the row's before image, one for each JSON column; len 0 if NULL. */
	struct {
		const uint8_t *p;
		size_t len;
	} * old_json;
	int row_end;          /* system-versioned: the column that ends a row's life; else -1 */
	uint64_t live_end[2]; /* its value in a current row, little-endian; MariaDB before 11.5 and since */
	uint8_t row_end_size;
	struct ml_colenv env;
	struct ml_arena arena;      /* of cols and steps */
	struct ml_charconv **convs; /* owned, with the charset of each */
	const struct ml_charset **conv_sets;
	unsigned n_convs;
};

/*
 * Prepares a decoder.  tm's memory may die afterwards; tz must live as long as the decoder; a reference of schema is taken.
 *
 * Columns are joined by name, ASCII case-insensitively, when tm has names: columns that schema lacks (MariaDB's row_start and
 * row_end, a cloud's hidden key) are passed over; one that only schema has is an error.  Without names: by ordinal, with
 * counts, types, lengths and nullability checked; the extra columns of 4.11 are allowed behind.
 *
 * What the schema says on top of tm: signedness and charset where tm does not tell them; ml_column.special; fraction digits
 * (`decimal`) of old temporal columns (codes 7, 11, 12), which must be >= 0 there: -1 means that nobody knows, an error.
 *
 * For ML_TABLE_VERSIONED only current rows come out, as INSERT, UPDATE, DELETE of an ordinary table.
 * at: position for the text.  -1: ErrMySQLSchemaMismatch.
 */
int ml_rowdec_new(struct ml_rowdec **out, const struct ml_tablemap *tm, struct ml_schema *schema,
	const struct ml_tz *tz, const char *at, struct ml_err *err);
void ml_rowdec_free(struct ml_rowdec *dec);                      /* NULL is fine; not while an event is open on it */
struct ml_schema *ml_rowdec_schema(const struct ml_rowdec *dec); /* borrowed */
#endif
