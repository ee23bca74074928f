/* same.h - did a column keep its value?  As `only-output-updated-columns` asks it: bytes for text, numbers as numbers. */
#ifndef ML_WORKER_ENCODER_SAME_H
#define ML_WORKER_ENCODER_SAME_H
#include <stdbool.h>
#include <string.h>

#include "capture-worker/event/row.h"

static inline bool
ml_datum_same(const struct ml_datum *a, const struct ml_datum *b)
{
	if (a->kind != b->kind)
		return false;
	switch (a->kind) {
	case ML_D_I64:
	case ML_D_U64:
		return a->u == b->u;
	case ML_D_F32:
		return a->f32 == b->f32;
	case ML_D_F64:
		return a->f64 == b->f64;
	case ML_D_BYTES:
		return a->len == b->len && memcmp(a->s, b->s, a->len) == 0;
	default:
		return true;
	}
}

/* No column of the image is there; true for no image at all. */
static inline bool
ml_image_empty(const struct ml_datum *image, int n_columns)
{
	for (int i = 0; image != NULL && i < n_columns; i++)
		if (image[i].kind != ML_D_ABSENT)
			return false;
	return true;
}
#endif
