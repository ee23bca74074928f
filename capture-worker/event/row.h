/* row.h - one typed row change.  Values are those of protocols.md 2.2, ready for any encoder; all memory is the batch's. */
#ifndef ML_WORKER_EVENT_ROW_H
#define ML_WORKER_EVENT_ROW_H
#include <stdbool.h>
#include <stdint.h>

#include "capture-worker/event/schema.h"

enum ml_datum_kind {
	ML_D_ABSENT, /* the column is not in this image (virtual, or removed by a selector): skip it */
	ML_D_NULL,
	ML_D_I64, /* signed integers, YEAR */
	ML_D_U64, /* unsigned integers, BIT, ENUM (index), SET (bitmap) */
	ML_D_F32,
	ML_D_F64,   /* both: NaN and infinities are already 0 */
	ML_D_BYTES, /* text and binary; DECIMAL, DATE, TIME, DATETIME, TIMESTAMP, JSON as text */
};

struct ml_datum {
	union {
		int64_t i;
		uint64_t u;
		float f32;
		double f64;
		const char *s; /* not NUL-terminated */
	};
	uint32_t len; /* of s */
	uint8_t kind; /* enum ml_datum_kind */
};

enum ml_op { ML_OP_INSERT = 1, ML_OP_UPDATE, ML_OP_DELETE };

struct ml_topic; /* of the dispatcher: name and partition count */

struct ml_row {
	struct ml_schema *schema;      /* pinned by the batch */
	const struct ml_datum *before; /* schema->n_columns datums; NULL for INSERT */
	const struct ml_datum *after;  /* NULL for DELETE */
	const struct ml_topic *topic;  /* where it goes; NULL for sinks without topics */
	ml_ts commit_ts, start_ts;
	int32_t partition;
	uint8_t op; /* enum ml_op */
	bool split; /* half of an UPDATE that was split */
	/* Nobody knows whether the row is there downstream (initial copy): SQL sinks write INSERT as REPLACE, UPDATE as both. */
	bool upsert;
};
#endif
