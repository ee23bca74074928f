/* test_crc32.c - every way of making a CRC-32 beside zlib's, for all short lengths, many long ones, and texts in pieces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <zlib.h>

#include "common/base/crc32.h"

#define SIZE 20000

static uint8_t text[SIZE + 64];
static uint64_t seed = 88172645463325252ull;

static uint32_t
random_number(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 16);
}

static void
fill(void)
{
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (uint8_t)random_number();
}

static void
check(enum ml_crc32_way way, uint32_t start, const uint8_t *p, size_t n)
{
	uint32_t want = (uint32_t)crc32(start, p, (uInt)n), got = start;

	if (ml_crc32_by(way, &got, p, n) && got != want)
		fail_msg("way %d, %zu bytes at %zu from %08x: %08x, not %08x", (int)way, n, (size_t)(p - text), start,
			got, want);
	assert_int_equal(ml_crc32(start, p, n), want);
}

static void
every_way_gives_what_zlib_gives(void **state)
{
	(void)state;
	fill();
	for (int way = ML_CRC32_TABLES; way <= ML_CRC32_WIDE_CLMUL; way++) {
		/* Every length around every step of the loops, at every alignment within a vector. */
		for (size_t n = 0; n < 700; n++)
			check((enum ml_crc32_way)way, 0, text + n % 33, n);
		for (int i = 0; i < 3000; i++)
			check((enum ml_crc32_way)way, random_number(), text + random_number() % 64,
				random_number() % SIZE);
		/* Bits that are all alike are where a wrong constant would hide. */
		memset(text, 0, sizeof(text));
		for (size_t n = 0; n < 700; n++)
			check((enum ml_crc32_way)way, 0, text, n);
		memset(text, 0xff, sizeof(text));
		for (size_t n = 0; n < 700; n++)
			check((enum ml_crc32_way)way, 0xffffffff, text, n);
		fill();
	}
}

static void
pieces_add_up(void **state)
{
	(void)state;
	fill();
	for (int i = 0; i < 500; i++) {
		size_t n = random_number() % SIZE, cut = n > 0 ? random_number() % n : 0;

		assert_int_equal(ml_crc32(ml_crc32(0, text, cut), text + cut, n - cut), crc32(0, text, (uInt)n));
	}
	assert_int_equal(ml_crc32(0, "123456789", 9), 0xcbf43926);
	assert_int_equal(ml_crc32(5, "", 0), 5);
}

/* No byte behind the text is read: it stands at the end of its allocation, where a sanitizer watches. */
static void
reads_no_further_than_told(void **state)
{
	(void)state;
	for (size_t n = 1; n < 600; n++) {
		uint8_t *p = malloc(n);

		assert_non_null(p);
		memset(p, (int)n, n);
		for (int way = ML_CRC32_TABLES; way <= ML_CRC32_WIDE_CLMUL; way++) {
			uint32_t got = 0;

			if (ml_crc32_by((enum ml_crc32_way)way, &got, p, n))
				assert_int_equal(got, crc32(0, p, (uInt)n));
		}
		free(p);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_way_gives_what_zlib_gives),
		cmocka_unit_test(pieces_add_up),
		cmocka_unit_test(reads_no_further_than_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
