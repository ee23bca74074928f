/* claim_store.h - buckets for claim-check files: a store of the storage sink as a place that encoders can write to. */
#ifndef ML_WORKER_CLAIM_STORE_H
#define ML_WORKER_CLAIM_STORE_H
#include "capture-worker/encoder/claim.h"
#include "common/base/err.h"
#include "proto/process.pb-c.h"

struct ml_claim_store;
/*
 * uri: as of a storage sink with its credentials (s3://bucket/prefix?endpoint=..., gs://...).  Tries the bucket.  Errors as of
 * ml_claim_place_fn, without secrets.
 */
int ml_claim_store_open(struct ml_claim_store **out, const char *uri, const Ml__ServerConfig *config,
	const char *object, struct ml_err *err);
void ml_claim_store_free(struct ml_claim_store *s); /* NULL is fine */
/* Its place, borrowed. */
struct ml_claim_place *ml_claim_store_place(struct ml_claim_store *s);
/* From any thread: calls that are going on end soon, and they and all later ones fail.  NULL is fine. */
void ml_claim_store_stop(struct ml_claim_store *s);
#endif
