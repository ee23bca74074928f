#include "capture-worker/mounter/inflate.h"

#include <limits.h>
#include <stdlib.h>
#include <zlib.h>

/* Greatest event of the protocol. */
#define PLAIN_MAX (1u << 30)
/* Deflate cannot do better than this: 258 bytes in two bits, and the frame around it. */
#define RATIO_MAX 1032u

struct ml_inflate {
	z_stream z;
};

struct ml_inflate *
ml_inflate_new(void)
{
	struct ml_inflate *z = calloc(1, sizeof(*z));

	if (z == NULL || inflateInit(&z->z) != Z_OK)
		abort();
	return z;
}

void
ml_inflate_free(struct ml_inflate *z)
{
	if (z == NULL)
		return;
	inflateEnd(&z->z);
	free(z);
}

/* High nibble 8: zlib.  Bit 3: no frame.  Low three bits: number of big-endian bytes of the length that follow. */
int
ml_inflate_descriptor(const uint8_t **p, const uint8_t *end, size_t *plain_len, bool *raw)
{
	const uint8_t *q = *p;
	uint64_t len = 0;
	unsigned n;

	if (q == end || (*q & 0xF0) != 0x80)
		return -1;
	*raw = (*q & 8) != 0;
	n = *q++ & 7;
	if (n == 0 || n > (size_t)(end - q))
		return -1;
	for (unsigned i = 0; i < n; i++)
		len = len << 8 | *q++;
	if (len > PLAIN_MAX || len > (uint64_t)(end - q) * RATIO_MAX)
		return -1;
	*p = q;
	*plain_len = (size_t)len;
	return 0;
}

int
ml_inflate_run(struct ml_inflate *z, bool raw, const uint8_t *in, size_t n, uint8_t *out, size_t out_len)
{
	static uint8_t nothing;
	int rc;

	if (n > UINT_MAX || out_len > UINT_MAX || inflateReset2(&z->z, raw ? -MAX_WBITS : MAX_WBITS) != Z_OK)
		return -1;
	z->z.next_in = (uint8_t *)(uintptr_t)in;
	z->z.avail_in = (uInt)n;
	z->z.next_out = out_len > 0 ? out : &nothing;
	z->z.avail_out = (uInt)out_len;
	rc = inflate(&z->z, Z_FINISH);
	return rc == Z_STREAM_END && z->z.avail_out == 0 ? 0 : -1;
}
