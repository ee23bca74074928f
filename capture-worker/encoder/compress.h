/*
 * compress.h - message compression (protocols.md 4.4): what an encoder has written becomes an LZ4 frame or a raw Snappy block.
 * It is not the producer's compression, which brokers and clients undo by themselves.
 */
#ifndef ML_WORKER_ENCODER_COMPRESS_H
#define ML_WORKER_ENCODER_COMPRESS_H
#include "capture-worker/event/msg.h"
#include "common/base/err.h"

enum ml_compression { ML_COMPRESS_NONE, ML_COMPRESS_LZ4, ML_COMPRESS_SNAPPY };

/* "none", "lz4", "snappy", ""; -1: unknown. */
int ml_compression_named(enum ml_compression *out, const char *name);

/* For one thread; keeps its memory from message to message. */
struct ml_compressor;
struct ml_compressor *ml_compressor_new(enum ml_compression c); /* NULL for NONE */
void ml_compressor_free(struct ml_compressor *z);
/*
 * The text of o from offset `from` on becomes its compressed form; z NULL: nothing is done.  -1 with ErrCompressionFailed, which
 * only lack of memory explains.
 */
int ml_compress(struct ml_compressor *z, struct ml_out *o, size_t from, struct ml_err *err);
#endif
