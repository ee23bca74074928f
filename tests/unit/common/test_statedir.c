/* statedir: made with the folders above it, removed with what is in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/run/statedir.h"

static void
made_twice_removed_twice(void **state)
{
	char dir[] = "/tmp/ml-statedir-XXXXXX", path[256], file[300], want[256];
	struct ml_err err = { 0 };
	struct stat st;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	for (int i = 0; i < 2; i++)
		assert_int_equal(ml_state_dir_make(path, sizeof(path), dir, "default", "cf-1", 0, &err), 0);
	snprintf(want, sizeof(want), "%s/shards/default/cf-1-0", dir);
	assert_string_equal(path, want);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	snprintf(file, sizeof(file), "%s/journal", path);
	fd = open(file, O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	close(fd);
	for (int i = 0; i < 2; i++)
		assert_int_equal(ml_state_dir_remove(dir, "default", "cf-1", 0, &err), 0);
	assert_int_not_equal(stat(path, &st), 0);
	snprintf(path, sizeof(path), "%s/shards/default", dir);
	assert_int_equal(rmdir(path), 0);
	snprintf(path, sizeof(path), "%s/shards", dir);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(rmdir(dir), 0);
}

static void
a_folder_that_cannot_be_made_is_named(void **state)
{
	char path[256];
	struct ml_err err = { 0 };

	(void)state;
	assert_int_equal(ml_state_dir_make(path, sizeof(path), "/proc/none", "default", "cf", 0, &err), -1);
	assert_int_equal(err.code, ML_ErrDataDir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(made_twice_removed_twice),
		cmocka_unit_test(a_folder_that_cannot_be_made_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
