/*
 * column.h - how one column's bytes in a row image are walked and turned into a datum; the inner part of the row decoder.
 */
#ifndef ML_WORKER_MOUNTER_COLUMN_H
#define ML_WORKER_MOUNTER_COLUMN_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capture-worker/event/row.h"
#include "capture-worker/mounter/charset.h"
#include "capture-worker/mounter/tablemap.h"
#include "capture-worker/mounter/value.h"
#include "common/base/arena.h"

struct ml_inflate;

/* What to do with the bytes.  Up to ML_COP_LAST_FIXED the value has `size` bytes; after that `size` is its length's prefix. */
enum ml_cop {
	ML_COP_NOTHING, /* type NULL: no bytes */
	ML_COP_I8,
	ML_COP_I16,
	ML_COP_I24,
	ML_COP_I32,
	ML_COP_I64,
	ML_COP_U8,
	ML_COP_U16,
	ML_COP_U24,
	ML_COP_U32,
	ML_COP_U64,
	ML_COP_ULE, /* ENUM, SET: little-endian of `size` bytes */
	ML_COP_BIT, /* big-endian */
	ML_COP_YEAR,
	ML_COP_F32,
	ML_COP_F64,
	ML_COP_DECIMAL,
	ML_COP_DATE,
	ML_COP_TIME2,
	ML_COP_DATETIME2,
	ML_COP_TIMESTAMP2,
	ML_COP_OLD_TIME,
	ML_COP_OLD_DATETIME,
	ML_COP_OLD_TIMESTAMP,
	ML_COP_LAST_FIXED = ML_COP_OLD_TIMESTAMP,
	ML_COP_BYTES,      /* as they are: UTF-8, binary, geometry */
	ML_COP_PADDED,     /* BINARY(n): the zeros at the end were left out */
	ML_COP_TEXT,       /* to be converted to UTF-8 */
	ML_COP_COMPRESSED, /* MariaDB's COMPRESSED; converted afterwards if conv is set */
	ML_COP_JSON,       /* MySQL's binary JSON */
	ML_COP_INET4,
	ML_COP_INET6,
	ML_COP_UUID,
	ML_COP_VECTOR, /* floats */
};

struct ml_coldec {
	uint8_t op;   /* enum ml_cop */
	uint8_t size; /* bytes of the value, or of its length */
	uint8_t precision, scale;
	bool derived;             /* a generated column: an image may lack it (MariaDB 11.8: UPDATE and DELETE) */
	int16_t out;              /* index of the datum; -1: nobody wants it */
	uint32_t width;           /* PADDED: bytes of the whole value */
	struct ml_charconv *conv; /* shared by the columns of one charset; NULL: none needed */
};

/* What values need besides their own bytes.  One thread. */
struct ml_colenv {
	struct ml_arena *arena; /* where text goes */
	struct ml_stamp stamp;
	struct ml_inflate *inflate;
	const char *bad; /* set when a value cannot be right */
};

/*
 * Plans the column from the TABLE_MAP and the definition (col NULL: the column is only walked over).  cs: charset of its
 * text, NULL where it has none.  NULL, or what does not fit.
 */
const char *ml_coldec_plan(struct ml_coldec *cd, const struct ml_tm_column *tc, const struct ml_column *col);

/*
 * The rare values: everything whose bytes need more than a load.  p: n bytes, that stay as long as the arena.  false: env->bad
 * says why.
 */
bool ml_coldec_value(const struct ml_coldec *cd, struct ml_colenv *env, struct ml_datum *d, const uint8_t *p, size_t n);
#endif
