#include "capture-worker/mounter/json_diff.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "capture-worker/mounter/json_binary.h"
#include "decode_util.h"

static char *
diff(int op, const char *path, const char *value_hex)
{
	struct ml_buf b = { 0 };

	ml_buf_printf(&b, "%02x%02zx", op, strlen(path));
	for (const char *p = path; *p != '\0'; p++)
		ml_buf_printf(&b, "%02x", (unsigned char)*p);
	if (value_hex != NULL)
		ml_buf_printf(&b, "%02zx%s", strlen(value_hex) / 2, value_hex);
	return b.data;
}

/* {"a": 1, "b": [1, 2, 3], "c": {"x y": "s"}} */
static const char doc_hex[] =
	"0003003900190001001a0001001b000100050100021c0000290061626303000d00050100050200050300010010000b0003000c0e007820790173";

static void
places_of_a_document_change(void **state)
{
	static const struct {
		int op;
		const char *path, *value, *want;
	} rows[] = {
		{ 0, "$.a", "0c036e6577", "{\"a\": \"new\", \"b\": [1, 2, 3], \"c\": {\"x y\": \"s\"}}" },
		{ 1, "$.b[1]", "0401", "{\"a\": 1, \"b\": [1, true, 2, 3], \"c\": {\"x y\": \"s\"}}" },
		{ 1, "$.b[9]", "0401", "{\"a\": 1, \"b\": [1, 2, 3, true], \"c\": {\"x y\": \"s\"}}" },
		{ 2, "$.b[0]", NULL, "{\"a\": 1, \"b\": [2, 3], \"c\": {\"x y\": \"s\"}}" },
		{ 0, "$.c.\"x y\"", "0400", "{\"a\": 1, \"b\": [1, 2, 3], \"c\": {\"x y\": null}}" },
		{ 1, "$.aa", "0200000400", "{\"a\": 1, \"b\": [1, 2, 3], \"c\": {\"x y\": \"s\"}, \"aa\": []}" },
		{ 1, "$.A", "05ffff", "{\"A\": -1, \"a\": 1, \"b\": [1, 2, 3], \"c\": {\"x y\": \"s\"}}" },
		{ 1, "$.\"\\\"\\u0001\"", "05ffff",
			"{\"a\": 1, \"b\": [1, 2, 3], \"c\": {\"x y\": \"s\"}, \"\\\"\\u0001\": -1}" },
		{ 2, "$.c", NULL, "{\"a\": 1, \"b\": [1, 2, 3]}" },
		{ 0, "$", "05ffff", "-1" },
		{ 0, "$.b[2]", "02010009000c07000178", "{\"a\": 1, \"b\": [1, 2, [\"x\"]], \"c\": {\"x y\": \"s\"}}" },
		/* Not there, not a place, not a path, there already. */
		{ 0, "$.d", "0400", NULL },
		{ 2, "$.b[3]", NULL, NULL },
		{ 0, "$.a.b", "0400", NULL },
		{ 1, "$.b.x", "0400", NULL },
		{ 0, "a", "0400", NULL },
		{ 0, "$.", "0400", NULL },
		{ 0, "$[", "0400", NULL },
		{ 0, "$.\"a", "0400", NULL },
		{ 1, "$.a", "0400", NULL },
		{ 3, "$.a", "0400", NULL },
		{ 2, "$", NULL, NULL },
		{ 0, "$.a", "0c05", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *hex = diff(rows[i].op, rows[i].path, rows[i].value);
		struct ml_arena a;
		size_t n, diff_n, out_n, text_n;
		uint8_t *doc = unhex(doc_hex, &n), *bytes = unhex(hex, &diff_n);
		const uint8_t *out;

		ml_arena_init(&a, 0);
		out = ml_json_diff_apply(&a, doc, n, bytes, diff_n, &out_n);
		if (rows[i].want == NULL) {
			if (out != NULL)
				fail_msg("%s is taken", rows[i].path);
		} else {
			const char *text = out != NULL ? ml_json_binary_text(&a, out, out_n, &text_n) : NULL;

			if (text == NULL || text_n != strlen(rows[i].want) || memcmp(text, rows[i].want, text_n) != 0)
				fail_msg("%s gives %.*s", rows[i].path, text != NULL ? (int)text_n : 4,
					text != NULL ? text : "none");
		}
		ml_arena_fini(&a);
		free(hex);
		free(doc);
		free(bytes);
	}
}

static void
several_changes_come_in_order(void **state)
{
	char *hex[3] = { diff(1, "$.b[0]", "05ffff"), diff(2, "$.b[1]", NULL), diff(0, "$.b[0]", "0402") };
	struct ml_buf all = { 0 };
	struct ml_arena a;
	size_t n, diff_n, out_n, text_n;
	uint8_t *doc = unhex(doc_hex, &n), *bytes;
	const uint8_t *out;
	const char *text;

	(void)state;
	for (int i = 0; i < 3; i++) {
		ml_buf_puts(&all, hex[i]);
		free(hex[i]);
	}
	bytes = unhex(all.data, &diff_n);
	ml_arena_init(&a, 0);
	out = ml_json_diff_apply(&a, doc, n, bytes, diff_n, &out_n);
	assert_non_null(out);
	text = ml_json_binary_text(&a, out, out_n, &text_n);
	assert_non_null(text);
	assert_int_equal(text_n, strlen("{\"a\": 1, \"b\": [false, 2, 3], \"c\": {\"x y\": \"s\"}}"));
	assert_memory_equal(text, "{\"a\": 1, \"b\": [false, 2, 3], \"c\": {\"x y\": \"s\"}}", text_n);
	ml_arena_fini(&a);
	ml_buf_fini(&all);
	free(doc);
	free(bytes);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(places_of_a_document_change),
		cmocka_unit_test(several_changes_come_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
