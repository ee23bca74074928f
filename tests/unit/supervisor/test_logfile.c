/* test_logfile.c - names of rotated logs, which of them go, and what happens when the file cannot be moved. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/logfile.h"

#define NOON 1795608000 /* 2026-11-25T12:00:00Z */

static char dir[64];

static int
make_dir(void **state)
{
	(void)state;
	setenv("TZ", "UTC0", 1);
	tzset();
	snprintf(dir, sizeof(dir), "/tmp/millrace-logfile-XXXXXX");
	return mkdtemp(dir) == NULL;
}

static int
remove_dir(void **state)
{
	struct dirent *e;
	DIR *d = opendir(dir);

	(void)state;
	while (d != NULL && (e = readdir(d)) != NULL)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			unlinkat(dirfd(d), e->d_name, 0);
	closedir(d);
	return rmdir(dir);
}

static const char *
path(const char *name)
{
	static char text[4][300];
	static int i;

	i = (i + 1) % 4;
	snprintf(text[i], sizeof(text[i]), "%s/%s", dir, name);
	return text[i];
}

static int
make(const char *name, off_t size)
{
	int fd = open(path(name), O_WRONLY | O_APPEND | O_CREAT, 0640);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, size), 0);
	return fd;
}

static bool
there(const char *name)
{
	return access(path(name), F_OK) == 0;
}

static void
rotates_at_the_limit_with_the_time_before_the_extension(void **state)
{
	static const struct {
		const char *name, *old;
	} rows[] = {
		{ "a.log", "a-2026-11-25T12-00-00.007.log" },
		{ "plain", "plain-2026-11-25T12-00-00.007" },
		{ "b.2.txt", "b.2-2026-11-25T12-00-00.007.txt" },
		{ ".hidden", "-2026-11-25T12-00-00.007.hidden" },
	};
	struct timespec now = { .tv_sec = NOON, .tv_nsec = 7999999 };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ml_logfile *lf = ml_logfile_new(path(rows[i].name), 2, 0, 0);
		int fd = make(rows[i].name, (2 << 20) - 1), new_fd = -1;
		struct ml_err err = { 0 };
		struct stat st;

		assert_false(ml_logfile_due(lf, fd));
		assert_int_equal(ftruncate(fd, 2 << 20), 0);
		assert_true(ml_logfile_due(lf, fd));
		if (ml_logfile_rotate(lf, now, &new_fd, &err) != 0)
			fail_msg("%s", err.text);
		assert_true(there(rows[i].old));
		assert_int_equal(stat(path(rows[i].old), &st), 0);
		assert_int_equal(st.st_size, 2 << 20);
		assert_false(ml_logfile_due(lf, new_fd));
		/* It is appended to, by whoever holds it. */
		assert_int_equal(fcntl(new_fd, F_GETFL) & (O_APPEND | O_ACCMODE), O_APPEND | O_WRONLY);
		assert_int_equal(fstat(new_fd, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0640);
		/* The same moment again: what stands there is not replaced. */
		assert_int_equal(ml_logfile_rotate(lf, now, &new_fd, &err), -1);
		assert_int_equal(err.code, ML_ErrIO);
		assert_true(there(rows[i].name));
		close(fd);
		close(new_fd);
		ml_logfile_free(lf);
	}
}

static void
a_limit_of_zero_is_300_mib_and_none_is_too_large(void **state)
{
	struct ml_logfile *lf = ml_logfile_new(path("a.log"), 0, 0, 0),
			  *large = ml_logfile_new(path("a.log"), INT64_MAX, INT64_MAX, INT64_MAX);
	int fd = make("a.log", (300ll << 20) - 1);

	(void)state;
	assert_false(ml_logfile_due(lf, fd));
	assert_int_equal(ftruncate(fd, 300ll << 20), 0);
	assert_true(ml_logfile_due(lf, fd));
	assert_false(ml_logfile_due(large, fd));
	assert_false(ml_logfile_due(lf, -1));
	ml_logfile_clean(large, NOON);
	close(fd);
	ml_logfile_free(lf);
	ml_logfile_free(large);
}

static void
old_files_go_by_number_and_age(void **state)
{
	static const char *const others[] = { "a.log", "a-2026-11-25T12-00-00.007.txt", "a-2026-11-25.log",
		"b-2020-01-01T00-00-00.000.log", "a-2020-01-01T00-00-0x.000.log", "a-2020-01-01T00-00-00.000.log.gz" };
	static const char *const ours[] = { "a-2026-11-25T11-59-59.999.log", "a-2026-11-24T12-00-00.000.log",
		"a-2026-11-24T11-59-59.000.log", "a-2026-11-20T00-00-00.000.log", "a-2025-11-20T00-00-00.000.log" };
	static const struct {
		int64_t days, backups;
		int left; /* of the newest ones of ours */
	} rows[] = { { 0, 0, 5 }, { 10, 0, 4 }, { 0, 3, 3 }, { 1, 0, 2 }, { 1, 1, 1 }, { 0, 1, 1 } };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ml_logfile *lf = ml_logfile_new(path("a.log"), 1, rows[i].days, rows[i].backups);

		for (size_t k = 0; k < sizeof(others) / sizeof(others[0]); k++)
			close(make(others[k], 0));
		for (size_t k = 0; k < 5; k++)
			close(make(ours[k], 0));
		ml_logfile_clean(lf, NOON);
		for (size_t k = 0; k < sizeof(others) / sizeof(others[0]); k++)
			assert_true(there(others[k]));
		for (int k = 0; k < 5; k++)
			if (there(ours[k]) != (k < rows[i].left))
				fail_msg("row %zu: %s", i, ours[k]);
		ml_logfile_free(lf);
	}
}

static void
a_file_that_cannot_be_moved_stays(void **state)
{
	struct ml_logfile *lf = ml_logfile_new("/proc/self/none/a.log", 1, 1, 1);
	struct timespec now = { .tv_sec = NOON };
	struct ml_err err = { 0 };
	int fd = -1;

	(void)state;
	assert_int_equal(ml_logfile_rotate(lf, now, &fd, &err), -1);
	assert_int_equal(err.code, ML_ErrIO);
	assert_int_equal(fd, -1);
	ml_logfile_clean(lf, NOON);
	ml_logfile_free(lf);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			rotates_at_the_limit_with_the_time_before_the_extension, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(a_limit_of_zero_is_300_mib_and_none_is_too_large, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(old_files_go_by_number_and_age, make_dir, remove_dir),
		cmocka_unit_test(a_file_that_cannot_be_moved_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
