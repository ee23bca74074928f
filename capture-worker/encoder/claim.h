/*
 * claim.h - claim-check storage (protocols.md 4.5, sinks.md 6.9): a message that is too large for its topic becomes a file,
 * "<uuid>.json", and a short message tells where it lies.  Files are never removed here.
 */
#ifndef ML_WORKER_ENCODER_CLAIM_H
#define ML_WORKER_ENCODER_CLAIM_H
#include <stdbool.h>
#include <stddef.h>

#include "capture-worker/event/schema.h"
#include "common/base/err.h"

struct ml_claim;
/*
 * uri: file:///folder, which is made if it is missing and tried.  raw: files hold the value's bytes and nothing else.
 * ErrInvalidReplicaConfig for a uri of another kind, ErrFailToCreateExternalStorage if nothing can be written there.
 */
int ml_claim_open(struct ml_claim **out, const char *uri, bool raw, struct ml_err *err);
void ml_claim_close(struct ml_claim *c); /* NULL is fine */
/*
 * Stores a message; key NULL: none.  After 0 the file is whole and on disk, and *location names it, until the next call.
 * Blocks for the disk.  ErrStorageSinkSendFailed.
 */
int ml_claim_put(struct ml_claim *c, const char *key, size_t key_len, const char *value, size_t value_len,
	struct ml_text *location, struct ml_err *err);
#endif
