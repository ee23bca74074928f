/* test_claim.c - files of messages that were too large lie where their location leads, also when the folder there is another one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "capture-worker/encoder/claim.h"

static char root[64];

static int
fresh_root(void **state)
{
	(void)state;
	strcpy(root, "/tmp/test_claim.XXXXXX");
	return mkdtemp(root) == NULL;
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int
drop_root(void **state)
{
	(void)state;
	return nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Stores a value; the file at its location must hold it. */
static void
stored(struct ml_claim *c, const char *value)
{
	struct ml_text location;
	struct ml_err err;
	char path[200], got[64];
	ssize_t n;
	int fd;

	if (ml_claim_put(c, NULL, 0, value, strlen(value), &location, &err) != 0)
		fail_msg("%s", err.text);
	snprintf(path, sizeof(path), "%.*s", (int)location.len, location.s);
	assert_memory_equal(path, "file://", 7);
	fd = open(path + 7, O_RDONLY);
	if (fd < 0)
		fail_msg("%s is missing", path);
	n = read(fd, got, sizeof(got) - 1);
	close(fd);
	assert_int_equal(n, strlen(value));
	got[n] = '\0';
	assert_string_equal(got, value);
}

static void
files_follow_the_path(void **state)
{
	char uri[100], folder[100], aside[100], file[100];
	struct ml_text location;
	struct ml_claim *c;
	struct ml_err err = { 0 };
	int fd;

	(void)state;
	snprintf(folder, sizeof(folder), "%s/a/claims", root);
	snprintf(aside, sizeof(aside), "%s/aside", root);
	snprintf(uri, sizeof(uri), "file://%s/", folder);
	if (ml_claim_open(&c, uri, true, NULL, NULL, &err) != 0)
		fail_msg("%s", err.text);
	stored(c, "first");
	/* Moved away: another is made. */
	assert_int_equal(rename(folder, aside), 0);
	stored(c, "second");
	/* Moved away, and another stands there. */
	snprintf(aside, sizeof(aside), "%s/aside2", root);
	assert_int_equal(rename(folder, aside), 0);
	assert_int_equal(mkdir(folder, 0700), 0);
	stored(c, "third");
	stored(c, "fourth");
	/* What is no folder is an error until it is one again. */
	snprintf(aside, sizeof(aside), "%s/aside3", root);
	assert_int_equal(rename(folder, aside), 0);
	snprintf(file, sizeof(file), "%s", folder);
	fd = open(file, O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	close(fd);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(ml_claim_put(c, NULL, 0, "x", 1, &location, &err), -1);
		assert_int_equal(err.code, ML_ErrStorageSinkSendFailed);
	}
	assert_int_equal(unlink(file), 0);
	stored(c, "fifth");
	ml_claim_close(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(files_follow_the_path, fresh_root, drop_root),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
