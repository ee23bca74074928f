/*
 * large.h - what becomes of a row whose message is too large, and message compression: `large-message-handle` of kafka-config
 * (protocols.md 4.4, 4.5).
 *
 * An encoder with a place for it opens one and, per row:
 *	write the whole message; ml_compress(l.compressor, ...);
 *	if it is too large: l.option NONE: ErrMessageTooLarge.  Else, for CLAIM_CHECK, ml_claim_put(l.claim, ...) the message, as
 *	compressed; write it again with handle-key columns only and its marker or location, compress, test its size again.
 */
#ifndef ML_WORKER_ENCODER_LARGE_H
#define ML_WORKER_ENCODER_LARGE_H
#include "capture-worker/encoder/claim.h"
#include "capture-worker/encoder/compress.h"
#include "capture-worker/encoder/encoder.h"

enum ml_large_option { ML_LARGE_NONE, ML_LARGE_HANDLE_KEY, ML_LARGE_CLAIM_CHECK };

struct ml_large {
	enum ml_large_option option;
	struct ml_compressor *compressor; /* NULL: none */
	struct ml_claim *claim;           /* CLAIM_CHECK only */
};

/*
 * Do the settings fit the protocol?  Opens nothing.  ErrInvalidReplicaConfig: an unknown option or compression, an option with
 * a protocol that has no place for it (4.1), claim-check without a storage, raw values with open-protocol.
 * ErrCodecInvalidConfig: an option with force_replicate, whose tables may have no handle key, or a value of the wrong type.
 */
int ml_large_check(const struct ml_encoder_env *env, const char *protocol, struct ml_err *err);
/* Reads the settings and opens the claim-check storage.  Nothing is on for storage sinks.  Errors of both parts. */
int ml_large_open(struct ml_large *l, const struct ml_encoder_env *env, const char *protocol, struct ml_err *err);
void ml_large_close(struct ml_large *l);
#endif
