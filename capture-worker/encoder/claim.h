/*
 * claim.h - claim-check storage (protocols.md 4.5, sinks.md 6.9): a message that is too large for its topic becomes a file,
 * "<uuid>.json", and a short message tells where it lies.  Files are never removed here.
 *
 * Folders are written here; other places (buckets) come from outside, since an encoder knows no sink.
 */
#ifndef ML_WORKER_ENCODER_CLAIM_H
#define ML_WORKER_ENCODER_CLAIM_H
#include <stdbool.h>
#include <stddef.h>

#include "capture-worker/event/schema.h"
#include "common/base/err.h"

/* The opener's: it outlives those who write to it. */
struct ml_claim_place {
	const char *name; /* in front of a file's "/name" in its location: "s3://bucket/prefix" */
	/* Writes a file whole; durable after 0.  Blocks.  ErrStorageSinkSendFailed. */
	int (*put)(struct ml_claim_place *p, const char *name, const char *text, size_t len, struct ml_err *err);
};
/*
 * Makes a place and tries it.  ErrInvalidReplicaConfig for a uri that is not understood, ErrFailToCreateExternalStorage if it
 * cannot be used.
 */
typedef int ml_claim_place_fn(void *arg, struct ml_claim_place **out, const char *uri, struct ml_err *err);

struct ml_claim;
/*
 * uri: file:///folder, which is made if it is missing and tried; any other goes to place (NULL: it is refused).  raw: files
 * hold the value's bytes and nothing else.  Errors as of ml_claim_place_fn.
 */
int ml_claim_open(struct ml_claim **out, const char *uri, bool raw, ml_claim_place_fn *place, void *place_arg,
	struct ml_err *err);
void ml_claim_close(struct ml_claim *c); /* NULL is fine */
/*
 * Stores a message; key NULL: none.  After 0 the file is whole and safe, and *location names it, until the next call.  Blocks
 * for the disk or the bucket.  ErrStorageSinkSendFailed.
 */
int ml_claim_put(struct ml_claim *c, const char *key, size_t key_len, const char *value, size_t value_len,
	struct ml_text *location, struct ml_err *err);
#endif
