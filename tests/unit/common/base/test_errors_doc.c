/*
 * test_errors_doc.c - docs/errors.md holds every row of errcodes.def, as it is.  MILLRACE_UPDATE_DOCS=1 in the environment writes the page
 * instead of comparing it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/buf.h"
#include "common/base/err.h"

#define PAGE ML_TEST_DIR "/../docs/errors.md"

static const struct row {
	const char *name, *text;
	enum ml_err_class class;
	int status;
} rows[] = {
#define X(n, c, s, t) { #n, t, c, s },
#include "common/base/errcodes.def"
#undef X
};

/* The format's conversions as an ellipsis, and what Markdown would take for its own escaped. */
static void
put_text(struct ml_buf *out, const char *s)
{
	for (; *s != '\0'; s++) {
		if (*s == '%') {
			s += strcspn(s, "sdu");
			ml_buf_puts(out, "&hellip;");
		} else {
			if (strchr("|*_<>", *s) != NULL)
				ml_buf_putc(out, '\\');
			ml_buf_putc(out, *s);
		}
	}
}

static void
render(struct ml_buf *out)
{
	static const char *const what[] = {
		[ML_RETRY] = "retries by itself, shown as `error`",
		[ML_FAIL] = "fails at once and waits for `resume`",
		[ML_ASK] = "(only answered to callers)",
	};

	ml_buf_puts(out,
		"# Error codes\n\n"
		"Generated from `common/base/errcodes.def` with `MILLRACE_UPDATE_DOCS=1 build/release/tests/test_errors_doc`.\n\n"
		"Codes appear as `CDC:<code>` in `error_code` of an answer and in `error.code` of a changefeed. The status is that of an\n"
		"answer; an error that wraps one with status 400 is answered with 400, too.\n\n"
		"| Code | Status | A changefeed that meets it | Text |\n|---|---|---|---|\n");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ml_buf_printf(out, "| `%s` | %d | %s | ", rows[i].name, rows[i].status, what[rows[i].class]);
		put_text(out, rows[i].text);
		ml_buf_puts(out, " |\n");
	}
}

static void
read_page(struct ml_buf *out)
{
	char part[4096];
	size_t n;
	FILE *f = fopen(PAGE, "r");

	assert_non_null(f);
	while ((n = fread(part, 1, sizeof(part), f)) > 0)
		ml_buf_put(out, part, n);
	fclose(f);
}

static void
the_page_is_that_of_the_table(void **state)
{
	struct ml_buf want = { 0 }, got = { 0 };

	(void)state;
	render(&want);
	if (getenv("MILLRACE_UPDATE_DOCS") != NULL) {
		FILE *f = fopen(PAGE, "w");

		assert_non_null(f);
		assert_int_equal(fwrite(want.data, 1, want.len, f), want.len);
		fclose(f);
	}
	read_page(&got);
	if (strcmp(got.data, want.data) != 0)
		fail_msg(
			"docs/errors.md is out of date: MILLRACE_UPDATE_DOCS=1 build/release/tests/test_errors_doc writes it anew");
	ml_buf_fini(&want);
	ml_buf_fini(&got);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(the_page_is_that_of_the_table) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
