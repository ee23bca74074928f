#include "capture-worker/mounter/json_binary.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "decode_util.h"

static void
expect(const char *hex, const char *want)
{
	struct ml_arena a;
	size_t len, n;
	uint8_t *doc = unhex(hex, &n);
	const char *got;

	/* A small arena, so that the text has to move while it grows. */
	ml_arena_init(&a, 32);
	got = ml_json_binary_text(&a, doc, n, &len);
	if (want == NULL) {
		assert_null(got);
	} else {
		assert_non_null(got);
		assert_int_equal(len, strlen(want));
		assert_memory_equal(got, want, len);
	}
	ml_arena_fini(&a);
	free(doc);
}

static const char many[] =
	"000400c80020000000200001002100010022000400022600050100022a0000c40061626c6f6e67000004001200"
	"9a000401000400000402000b3a000c420005fbff074a00074e0006409c0952000a5a000b62000b6a000b72000b7a000b82000b8a000b92"
	"00000000000000044007780a225c01c3a97011010090eefeff00f2052a01000000ffffffffffffffff00003426f56b0c430000901ec4bcd642"
	"1656e79eaf03d23cbc89d897b2d29c3c355800662deb41fe9a9999999999b93f000000000000008000000400";

static void
documents_print_as_the_server_prints_them(void **state)
{
	static const struct {
		const char *hex, *want;
	} rows[] = {
		{ "", "null" },
		{ "0400", "null" },
		{ "0401", "true" },
		{ "0402", "false" },
		{ "0403", NULL },
		{ "05ff7f", "32767" },
		{ "0500", NULL },
		{ "0c00", "\"\"" },
		{ "0c0141", "\"A\"" },
		{ "0c02", NULL },
		{ "00020026001200010013000100021400050100626b020012000501000b0a000000000000000440",
			"{\"b\": [1, 2.5], \"k\": 1}" },
		/* Large: four-byte offsets, 32-bit integers inside of the entry. */
		{ "0102000000390000001e00000001001f00000001000501000000032000000061620300000019000000077011010008005ed0b20c17000000"
		  "0178",
			"{\"a\": 1, \"b\": [70000, 3000000000, \"x\"]}" },
		/* Opaque: decimal, date, datetime, time, timestamp, blob, varchar. */
		{ "02070050000f19000f20000f2a000f34000f3e000f48000f4d00f6050502807b2d0a080000000000bab2190c0840e2018310bab2190b08e0"
		  "5ef84737ffffff07080000008310bab219fc036162630f01ff",
			"[123.45, \"2024-02-29\", \"2024-02-29 01:02:03.123456\", \"-12:34:56.500000\", \"2024-02-29 01:02:03.000000\", "
			"\"base64:type252:YWJj\", \"base64:type15:/w==\"]" },
		{ many, "{\"\": [], \"a\": 1, \"b\": [true, null, false, 2.5, \"x\\n\\\"\\\\\\u0001\xc3\xa9\", -5, 70000, -70000, "
			"40000, 5000000000, 18446744073709551615, 1e15, 100000000000000.0, 0.000000000000001, 1e-16, -1.5e300, 0.1, "
			"-0.0], \"long\": {}}" },
		/* A hole after an update in place: the value is where its offset says, not behind the one before. */
		{ "0202001000"
		  "0c0a00"
		  "0c0e00"
		  "ffff"
		  "0161",
			NULL },
		{ "0202001100"
		  "0c0a00"
		  "0c0f00"
		  "0161ffffff"
		  "0162",
			"[\"a\", \"b\"]" },
		/* An array of itself, and offsets outside. */
		{ "0201000700020000", NULL },
		{ "0201000700020700", NULL },
		{ "02ffff0700", NULL },
		{ "0d00", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		expect(rows[i].hex, rows[i].want);
}

static void
cut_documents_are_refused(void **state)
{
	struct ml_arena a;
	size_t n, len;
	uint8_t *doc = unhex(many, &n);

	(void)state;
	ml_arena_init(&a, 0);
	for (size_t cut = 1; cut < n; cut++) {
		uint8_t *p = malloc(cut);

		memcpy(p, doc, cut);
		assert_null(ml_json_binary_text(&a, p, cut, &len));
		free(p);
	}
	ml_arena_fini(&a);
	free(doc);
}

/* 64 arrays, each of two entries that both point to the next: 2^64 values if one believed it. */
static void
shared_values_do_not_explode(void **state)
{
	uint8_t doc[1 + 64 * 10 + 4] = { 2 };
	struct ml_arena a;
	size_t len;

	(void)state;
	for (unsigned i = 0; i < 64; i++) {
		uint8_t *p = doc + 1 + 10 * i;
		unsigned left = (unsigned)sizeof(doc) - 1 - 10 * i;

		p[0] = 2;
		p[2] = (uint8_t)left;
		p[3] = (uint8_t)(left >> 8);
		p[4] = p[7] = 2;
		p[5] = p[8] = 10;
	}
	doc[1 + 640 + 2] = 4;
	ml_arena_init(&a, 0);
	assert_null(ml_json_binary_text(&a, doc, sizeof(doc), &len));
	ml_arena_fini(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(documents_print_as_the_server_prints_them),
		cmocka_unit_test(cut_documents_are_refused),
		cmocka_unit_test(shared_values_do_not_explode),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
