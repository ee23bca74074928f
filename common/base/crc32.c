#include "common/base/crc32.h"

#include <endian.h>
#include <pthread.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#define HAVE_CLMUL 1
#endif

#define POLYNOMIAL 0xEDB88320u
/* Folding needs a vector to begin with; the wide one pays from some loops on. */
#define CLMUL_MIN 16
#define WIDE_MIN 256

/* table[k][b]: what byte b contributes when k more bytes follow it. */
static uint32_t table[8][256];
static enum ml_crc32_way best;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void
init(void)
{
	for (uint32_t b = 0; b < 256; b++) {
		uint32_t v = b;

		for (int i = 0; i < 8; i++)
			v = v & 1 ? v >> 1 ^ POLYNOMIAL : v >> 1;
		table[0][b] = v;
	}
	for (int k = 1; k < 8; k++)
		for (int b = 0; b < 256; b++)
			table[k][b] = table[k - 1][b] >> 8 ^ table[0][table[k - 1][b] & 0xff];
#ifdef HAVE_CLMUL
	__builtin_cpu_init();
	if (__builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1"))
		best = ML_CRC32_CLMUL;
	if (best == ML_CRC32_CLMUL && __builtin_cpu_supports("vpclmulqdq") && __builtin_cpu_supports("avx2"))
		best = ML_CRC32_WIDE_CLMUL;
#endif
}

/* r: the register, which is the complement of the CRC. */
static uint32_t
by_tables(uint32_t r, const uint8_t *p, size_t n)
{
	for (; n >= 8; n -= 8, p += 8) {
		uint64_t v;

		memcpy(&v, p, 8);
		v = le64toh(v) ^ r;
		r = table[7][v & 0xff] ^ table[6][v >> 8 & 0xff] ^ table[5][v >> 16 & 0xff] ^ table[4][v >> 24 & 0xff] ^
		    table[3][v >> 32 & 0xff] ^ table[2][v >> 40 & 0xff] ^ table[1][v >> 48 & 0xff] ^ table[0][v >> 56];
	}
	while (n-- > 0)
		r = r >> 8 ^ table[0][(r ^ *p++) & 0xff];
	return r;
}

#ifdef HAVE_CLMUL

/*
 * Folding: 16 bytes of the text are the coefficients of a polynomial, and moving them d bits further on means multiplying by x^d
 * modulo the CRC's polynomial.  Each half is multiplied by a constant of its own: x^(d+32) and x^(d-32), bits reflected and
 * shifted by one.  What remains in the end are 16 bytes that have the CRC of all that went into them.
 */
#define FOLD_128 _mm_set_epi64x(0x0ccaa009e, 0x1751997d0)
#define FOLD_512 _mm_set_epi64x(0x1c6e41596, 0x154442bd4)
#define FOLD_256 _mm_set_epi64x(0x15a546366, 0x0f1da05aa)
#define FOLD_1024 _mm_set_epi64x(0x14a7fe880, 0x1e88ef372)

__attribute__((target("pclmul,sse4.1"))) static inline __m128i
fold(__m128i x, __m128i k, __m128i next)
{
	return _mm_xor_si128(next, _mm_xor_si128(_mm_clmulepi64_si128(x, k, 0x00), _mm_clmulepi64_si128(x, k, 0x11)));
}

__attribute__((target("pclmul,sse4.1"))) static inline __m128i
load(const uint8_t *p)
{
	return _mm_loadu_si128((const __m128i *)(const void *)p);
}

/* x stands for all bytes before p, of which there are 16 at least. */
__attribute__((target("pclmul,sse4.1"))) static uint32_t
finish(__m128i x, const uint8_t *p, size_t n)
{
	/* Read at n: moves 16 bytes 16 - n places up; at 16 + n: n places down, with the sign set where nothing is left. */
	static const uint8_t moves[48] = { 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
		0x80, 0x80, 0x80, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0x80, 0x80, 0x80, 0x80, 0x80,
		0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80 };
	uint8_t rest[16];

	for (; n >= 16; n -= 16, p += 16)
		x = fold(x, FOLD_128, load(p));
	if (n > 0) {
		/* Of 16 + n bytes the first n are folded into the others; the last of these are read with what is before them. */
		__m128i down = load(moves + 16 + n), last = load(p + n - 16);

		x = fold(_mm_shuffle_epi8(x, load(moves + n)), FOLD_128,
			_mm_blendv_epi8(_mm_shuffle_epi8(x, down), last, down));
	}
	_mm_storeu_si128((__m128i *)(void *)rest, x);
	return by_tables(0, rest, 16);
}

/* n is at least CLMUL_MIN. */
__attribute__((target("pclmul,sse4.1"))) static uint32_t
by_clmul(uint32_t r, const uint8_t *p, size_t n)
{
	__m128i x0 = _mm_xor_si128(load(p), _mm_cvtsi32_si128((int)r)), x1, x2, x3;

	if (n < 64)
		return finish(x0, p + 16, n - 16);
	x1 = load(p + 16);
	x2 = load(p + 32);
	x3 = load(p + 48);
	for (p += 64, n -= 64; n >= 64; n -= 64, p += 64) {
		x0 = fold(x0, FOLD_512, load(p));
		x1 = fold(x1, FOLD_512, load(p + 16));
		x2 = fold(x2, FOLD_512, load(p + 32));
		x3 = fold(x3, FOLD_512, load(p + 48));
	}
	x1 = fold(x0, FOLD_128, x1);
	x2 = fold(x1, FOLD_128, x2);
	x3 = fold(x2, FOLD_128, x3);
	return finish(x3, p, n);
}

__attribute__((target("vpclmulqdq,pclmul,avx2"))) static inline __m256i
fold_wide(__m256i x, __m128i k, __m256i next)
{
	__m256i kk = _mm256_broadcastsi128_si256(k);

	return _mm256_xor_si256(
		next, _mm256_xor_si256(_mm256_clmulepi64_epi128(x, kk, 0x00), _mm256_clmulepi64_epi128(x, kk, 0x11)));
}

__attribute__((target("vpclmulqdq,pclmul,avx2"))) static inline __m256i
load_wide(const uint8_t *p)
{
	return _mm256_loadu_si256((const __m256i *)(const void *)p);
}

/* n is at least WIDE_MIN. */
__attribute__((target("vpclmulqdq,pclmul,avx2"))) static uint32_t
by_wide_clmul(uint32_t r, const uint8_t *p, size_t n)
{
	__m256i x0 = _mm256_xor_si256(load_wide(p), _mm256_zextsi128_si256(_mm_cvtsi32_si128((int)r))),
		x1 = load_wide(p + 32), x2 = load_wide(p + 64), x3 = load_wide(p + 96);
	__m128i low, high;

	for (p += 128, n -= 128; n >= 128; n -= 128, p += 128) {
		x0 = fold_wide(x0, FOLD_1024, load_wide(p));
		x1 = fold_wide(x1, FOLD_1024, load_wide(p + 32));
		x2 = fold_wide(x2, FOLD_1024, load_wide(p + 64));
		x3 = fold_wide(x3, FOLD_1024, load_wide(p + 96));
	}
	x1 = fold_wide(x0, FOLD_256, x1);
	x2 = fold_wide(x1, FOLD_256, x2);
	x3 = fold_wide(x2, FOLD_256, x3);
	low = _mm256_castsi256_si128(x3);
	high = _mm256_extracti128_si256(x3, 1);
	_mm256_zeroupper();
	return finish(fold(low, FOLD_128, high), p, n);
}

#endif

static uint32_t
by(enum ml_crc32_way way, uint32_t r, const void *p, size_t n)
{
#ifdef HAVE_CLMUL
	if (way == ML_CRC32_WIDE_CLMUL && n >= WIDE_MIN)
		return by_wide_clmul(r, p, n);
	if (way != ML_CRC32_TABLES && n >= CLMUL_MIN)
		return by_clmul(r, p, n);
#endif
	(void)way;
	return by_tables(r, p, n);
}

uint32_t
ml_crc32(uint32_t crc, const void *p, size_t n)
{
	pthread_once(&once, init);
	return ~by(best, ~crc, p, n);
}

bool
ml_crc32_by(enum ml_crc32_way way, uint32_t *crc, const void *p, size_t n)
{
	pthread_once(&once, init);
	if (way > best)
		return false;
	*crc = ~by(way, ~*crc, p, n);
	return true;
}
