/*
 * inflate.h - zlib as MariaDB's binary log uses it: compressed events (166-168, QUERY_COMPRESSED) and COMPRESSED columns.  The
 * stream's state is kept from call to call, so nothing is allocated per value.
 */
#ifndef ML_WORKER_MOUNTER_INFLATE_H
#define ML_WORKER_MOUNTER_INFLATE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ml_inflate; /* for one thread */

struct ml_inflate *ml_inflate_new(void);    /* aborts without memory */
void ml_inflate_free(struct ml_inflate *z); /* NULL is fine */

/*
 * Reads the descriptor of a compressed event: *p (advanced) to end.  *plain_len: bytes it will give; *raw: deflate without
 * zlib's frame.  -1: no such descriptor, or a length that the stream cannot reach (so it may be allocated).
 */
int ml_inflate_descriptor(const uint8_t **p, const uint8_t *end, size_t *plain_len, bool *raw);
/* n bytes to exactly out_len bytes.  -1: broken, or of another length. */
int ml_inflate_run(struct ml_inflate *z, bool raw, const uint8_t *in, size_t n, uint8_t *out, size_t out_len);
#endif
