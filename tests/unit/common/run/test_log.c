/* test_log.c - form of a log line, escaping, levels. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <regex.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/run/log.h"

static int saved, out;

/* Sends fd 2 into a pipe while a test logs. */
static void
begin(void)
{
	int p[2];

	assert_int_equal(pipe(p), 0);
	saved = dup(2);
	dup2(p[1], 2);
	close(p[1]);
	out = p[0];
}

static void
end(char *buf, size_t size)
{
	ssize_t n;

	dup2(saved, 2);
	close(saved);
	n = read(out, buf, size - 1);
	buf[n > 0 ? n : 0] = '\0';
	close(out);
}

static void
a_line_has_time_level_process_object_and_text(void **state)
{
	char got[512];
	regex_t re;

	(void)state;
	ml_log_init("worker");
	begin();
	ml_info("cf1/0", "checkpoint advanced checkpoint_ts=%d", 12);
	end(got, sizeof(got));
	assert_int_equal(regcomp(&re,
				 "^20[0-9][0-9]-[01][0-9]-[0-3][0-9]T[0-9:]{8}\\.[0-9]{3}Z INFO  worker\\[[0-9]+\\] "
				 "cf1/0: checkpoint advanced checkpoint_ts=12\n$",
				 REG_EXTENDED | REG_NOSUB),
		0);
	assert_int_equal(regexec(&re, got, 0, NULL, 0), 0);
	regfree(&re);
}

static void
control_characters_cannot_forge_a_line(void **state)
{
	char got[512];

	(void)state;
	begin();
	ml_warn("a\nb", "x\n2026 ERROR\t\r\x1b[31m%s", "\x7f\xc3\xa4");
	end(got, sizeof(got));
	assert_non_null(strstr(got, " a\\nb: x\\n2026 ERROR\\t\\r\\x1b[31m\\x7f\xc3\xa4\n"));
	assert_ptr_equal(strchr(got, '\n'), got + strlen(got) - 1);
}

static void
long_records_are_cut_and_end_their_line(void **state)
{
	static char text[20000], got[20000];

	(void)state;
	memset(text, '\x01', sizeof(text) - 1);
	begin();
	ml_error("-", "%s", text);
	end(got, sizeof(got));
	assert_in_range(strlen(got), 4000, 8192);
	assert_int_equal(got[strlen(got) - 1], '\n');
}

static void
lower_levels_are_not_written_and_errors_name_their_code(void **state)
{
	char got[1024];
	struct ml_err err;

	(void)state;
	ML_ERR(&err, ErrListen, EADDRINUSE, "127.0.0.1:1", "in use");
	ml_err_in(&err, "start");
	begin();
	ml_log_set_level(ML_ERROR);
	ml_warn("-", "not seen");
	ml_log_err(ML_WARN, "-", &err, "not seen");
	ml_log_err(ML_ERROR, "-", &err, "no server");
	ml_log_set_level(ML_INFO);
	end(got, sizeof(got));
	assert_null(strstr(got, "not seen"));
	assert_non_null(strstr(got, "no server: start: [CDC:ErrListen]cannot listen on 127.0.0.1:1: in use lib=98\n"));
}

static void
level_names_are_ticdcs(void **state)
{
	static const struct {
		const char *name;
		int want;
	} rows[] = {
		{ "debug", ML_DEBUG },
		{ "INFO", ML_INFO },
		{ "", ML_INFO },
		{ "warn", ML_WARN },
		{ "Warning", ML_WARN },
		{ "error", ML_ERROR },
		{ "dpanic", ML_FATAL },
		{ "panic", ML_FATAL },
		{ "fatal", ML_FATAL },
		{ "loud", -1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		enum ml_level level;
		int r = ml_log_parse_level(rows[i].name, &level);

		assert_int_equal(r == 0 ? (int)level : -1, rows[i].want);
	}
	assert_string_equal(ml_level_name(ML_WARN), "warn");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_has_time_level_process_object_and_text),
		cmocka_unit_test(control_characters_cannot_forge_a_line),
		cmocka_unit_test(long_records_are_cut_and_end_their_line),
		cmocka_unit_test(lower_levels_are_not_written_and_errors_name_their_code),
		cmocka_unit_test(level_names_are_ticdcs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
