/* varint.h - base-128 numbers, least significant group first: protobuf's, and craft's (protocols.md 1.1). */
#ifndef ML_WORKER_ENCODER_VARINT_H
#define ML_WORKER_ENCODER_VARINT_H
#include <stddef.h>
#include <stdint.h>

#define ML_UVARINT_MAX 10 /* bytes */

/* Bytes that v takes, 1 to ML_UVARINT_MAX. */
static inline size_t
ml_uvarint_len(uint64_t v)
{
	return (size_t)(63 - __builtin_clzll(v | 1)) / 7 + 1;
}

/* Writes v at p; returns the byte behind it. */
static inline char *
ml_put_uvarint(char *p, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		*p++ = (char)(v | 0x80);
	*p++ = (char)v;
	return p;
}

/* Small numbers of either sign to small unsigned ones. */
static inline uint64_t
ml_zigzag(int64_t v)
{
	return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}
#endif
