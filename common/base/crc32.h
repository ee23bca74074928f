/*
 * crc32.h - the CRC-32 of Ethernet, zlib and binary logs (reflected polynomial 0xEDB88320), as fast as the processor allows: with
 * its carry-less multiplication where there is one, from tables elsewhere.  Same results and same use as zlib's crc32.
 */
#ifndef ML_COMMON_BASE_CRC32_H
#define ML_COMMON_BASE_CRC32_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* crc: of the bytes before these, 0 if there are none.  Thread safe. */
uint32_t ml_crc32(uint32_t crc, const void *p, size_t n);

enum ml_crc32_way { ML_CRC32_TABLES, ML_CRC32_CLMUL, ML_CRC32_WIDE_CLMUL };
/* The same one way, for tests; false: this processor cannot go it. */
bool ml_crc32_by(enum ml_crc32_way way, uint32_t *crc, const void *p, size_t n);
#endif
