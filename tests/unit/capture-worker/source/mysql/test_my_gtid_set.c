/* MySQL's GTID sets: texts, ranges that meet, the form on the wire, broken bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "capture-worker/source/mysql/gtid_set.h"

#define A "3e11fa47-71ca-11e1-9e33-c80aa9429562"
#define B "24bc7850-2c16-11e6-a073-0242ac110002"

static const char *
printed(const struct ml_gtid_set *s)
{
	static struct ml_buf b;

	ml_buf_clear(&b);
	ml_gtid_set_print(s, &b);
	return b.len > 0 ? b.data : "";
}

static void
texts(void **state)
{
	static const struct {
		const char *in, *out; /* out NULL: refused */
	} rows[] = {
		{ "", "" },
		{ " \n", "" },
		{ A ":1", A ":1" },
		{ A ":1-5:7:9-9", A ":1-5:7:9" },
		{ A ":5-7:1-4", A ":1-7" },
		{ A ":1-3:2-9:20", A ":1-9:20" },
		{ "3E11FA47-71CA-11E1-9E33-C80AA9429562:1 - 3", A ":1-3" },
		{ A ":1-3,\n" B ":4", B ":4," A ":1-3" },
		{ A ":1-3," A ":4-6", A ":1-6" },
		{ A ":blue:1-2", A ":blue:1-2" },
		{ A ":1-16:Blue:1:x_9:3", A ":1-16," A ":blue:1," A ":x_9:3" },
		{ A ":9223372036854775806", A ":9223372036854775806" },
		{ A, NULL },
		{ A ":", NULL },
		{ A ":0", NULL },
		{ A ":3-2", NULL },
		{ A ":1-", NULL },
		{ A ":-1", NULL },
		{ A ":9223372036854775807", NULL },
		{ A ":99999999999999999999", NULL },
		{ A ":1,", NULL },
		{ A ":1 2", NULL },
		{ A ":blue", NULL },
		{ A ":1:blue", NULL },
		{ A ":9x", NULL },
		{ A ":abcdefghijabcdefghijabcdefghijabc:1", NULL },
		{ "3e11fa4771ca11e19e33c80aa9429562:1", NULL },
		{ "3e11fa47-71ca-11e1-9e33-c80aa942956:1", NULL },
		{ "0-1-42", NULL },
	};
	struct ml_gtid_set s = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(ml_gtid_set_parse(&s, rows[i].in), rows[i].out != NULL ? 0 : -1);
		assert_string_equal(printed(&s), rows[i].out != NULL ? rows[i].out : "");
	}
	ml_gtid_set_fini(&s);
}

static void
ranges_meet_in_any_order(void **state)
{
	/* Every order of adding five neighbours and one far away gives the same. */
	static const int64_t n[6] = { 1, 2, 3, 4, 5, 9 };
	struct ml_gtid_set s = { 0 }, copy = { 0 };
	uint8_t uuid[16];
	unsigned order[6] = { 0 }, used;

	(void)state;
	assert_non_null(ml_uuid_parse(uuid, A));
	for (unsigned code = 0; code < 6 * 6 * 6 * 6 * 6 * 6; code++) {
		unsigned c = code;

		used = 0;
		for (unsigned i = 0; i < 6; i++, c /= 6) {
			order[i] = c % 6;
			used |= 1u << order[i];
		}
		if (used != 63)
			continue;
		ml_gtid_set_clear(&s);
		for (unsigned i = 0; i < 6; i++) {
			assert_false(ml_gtid_set_has(&s, uuid, "", n[order[i]]));
			ml_gtid_set_add(&s, uuid, "", n[order[i]], n[order[i]] + 1);
			ml_gtid_set_copy(&copy, &s);
			assert_true(ml_gtid_set_has(&copy, uuid, "", n[order[i]]));
		}
		assert_string_equal(printed(&s), A ":1-5:9");
		assert_string_equal(printed(&copy), A ":1-5:9");
	}
	assert_false(ml_gtid_set_has(&s, uuid, "", 6));
	assert_false(ml_gtid_set_has(&s, uuid, "blue", 1));
	/* Far ones stay apart, and one over all swallows them. */
	ml_gtid_set_add(&s, uuid, "", 20, 30);
	ml_gtid_set_add(&s, uuid, "", 12, 14);
	assert_string_equal(printed(&s), A ":1-5:9:12-13:20-29");
	ml_gtid_set_add(&s, uuid, "", 8, 25);
	assert_string_equal(printed(&s), A ":1-5:8-29");
	ml_gtid_set_fini(&s);
	ml_gtid_set_fini(&copy);
}

static void
bytes_on_the_wire(void **state)
{
	static const char *const texts[] = { "", A ":1-3:7", B ":4," A ":1-3:7:9-11", A ":1," A ":blue:1-2:5" };
	struct ml_gtid_set s = { 0 }, back = { 0 };
	struct ml_buf b = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_int_equal(ml_gtid_set_parse(&s, texts[i]), 0);
		ml_buf_clear(&b);
		ml_gtid_set_encode(&s, &b);
		ml_gtid_set_clear(&back);
		assert_int_equal(ml_gtid_set_decode(&back, (const uint8_t *)b.data, b.len), 0);
		assert_string_equal(printed(&back), texts[i]);
		for (size_t n = 0; n < b.len; n++) {
			ml_gtid_set_clear(&back);
			assert_int_equal(ml_gtid_set_decode(&back, (const uint8_t *)b.data, n), -1);
		}
	}
	/* One server, one range; the end is exclusive. */
	assert_int_equal(ml_gtid_set_parse(&s, A ":1-3"), 0);
	ml_buf_clear(&b);
	ml_gtid_set_encode(&s, &b);
	assert_int_equal(b.len, 48);
	assert_memory_equal(b.data,
		"\1\0\0\0\0\0\0\0\x3e\x11\xfa\x47\x71\xca\x11\xe1\x9e\x33\xc8\x0a\xa9\x42\x95\x62"
		"\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\4\0\0\0\0\0\0\0",
		48);
	/* No range, and one that ends before it begins. */
	b.data[24] = 0;
	assert_int_equal(ml_gtid_set_decode(&back, (const uint8_t *)b.data, 32), -1);
	b.data[24] = 1;
	b.data[40] = 1;
	assert_int_equal(ml_gtid_set_decode(&back, (const uint8_t *)b.data, 48), -1);
	ml_gtid_set_fini(&s);
	ml_gtid_set_fini(&back);
	ml_buf_fini(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts),
		cmocka_unit_test(ranges_meet_in_any_order),
		cmocka_unit_test(bytes_on_the_wire),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
