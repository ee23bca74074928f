/* test_disk.c - temporary files: their names, and which of them are swept away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "capture-worker/sink/storage/disk.h"

#define HEAD "CDC.json.tmp."

static char dir[64];

static char *
path(const char *name)
{
	static char text[300];

	snprintf(text, sizeof(text), "%s/%s", dir, name);
	return text;
}

static void
make(const char *name, time_t age_s)
{
	struct timespec times[2] = { { .tv_sec = time(NULL) - age_s }, { .tv_sec = time(NULL) - age_s } };
	int fd = open(path(name), O_WRONLY | O_CREAT | O_EXCL, 0600);

	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(utimensat(AT_FDCWD, path(name), times, 0), 0);
}

static bool
there(const char *name)
{
	return access(path(name), F_OK) == 0;
}

static void
change(char *digit)
{
	*digit = *digit == '0' ? '1' : '0';
}

static void
names_are_unique_and_of_the_form_of_a_uuid(void **state)
{
	char name[2][96];

	(void)state;
	for (int owned = 0; owned < 2; owned++) {
		if (owned)
			disk_own("cluster /data default/cf1");
		for (int i = 0; i < 2; i++) {
			disk_tmp_name(name[i], sizeof(name[i]), "CDC.json");
			assert_int_equal(strlen(name[i]), strlen(HEAD) + 36);
			assert_memory_equal(name[i], HEAD, strlen(HEAD));
			assert_int_equal(strspn(name[i] + strlen(HEAD), "0123456789abcdef-"), 36);
			assert_int_equal(name[i][strlen(HEAD) + 14], '4');
			assert_non_null(strchr("89ab", name[i][strlen(HEAD) + 19]));
		}
		assert_string_not_equal(name[0], name[1]);
		/* One owner's names of one run share the first word and the last. */
		assert_int_equal(memcmp(name[0], name[1], strlen(HEAD) + 8) == 0, owned);
		assert_int_equal(strcmp(name[0] + strlen(HEAD) + 24, name[1] + strlen(HEAD) + 24) == 0, owned);
	}
}

/* A young one, too, if it is ours and of an earlier run: a disk that it fills would stay full. */
static void
leftovers_are_swept_by_owner_and_age(void **state)
{
	char ours[96], earlier[96], foreign[96], cut[96];

	(void)state;
	strcpy(dir, "/tmp/test_disk.XXXXXX");
	assert_non_null(mkdtemp(dir));
	disk_own("cluster /data default/cf1");
	disk_tmp_name(ours, sizeof(ours), "CDC.json");
	strcpy(earlier, ours);
	change(&earlier[strlen(HEAD)]);
	strcpy(foreign, earlier);
	change(&foreign[strlen(foreign) - 1]);
	strcpy(cut, earlier);
	cut[strlen(cut) - 1] = '\0';
	make(ours, 0);
	make(earlier, 0);
	make(foreign, 0);
	make(cut, 0);
	make("CDC.json.tmp.x", 23 * 3600);
	make("CDC.json.tmp.y", 25 * 3600);
	make("CDC00000000000000000001.json", 25 * 3600);
	disk_sweep(dir);
	assert_true(there(ours));
	assert_false(there(earlier));
	assert_true(there(foreign));
	assert_true(there(cut));
	assert_true(there("CDC.json.tmp.x"));
	assert_false(there("CDC.json.tmp.y"));
	assert_true(there("CDC00000000000000000001.json"));
	/* To another owner they are foreign, all of them. */
	make(earlier, 0);
	disk_own("cluster /data default/cf2");
	disk_sweep(dir);
	assert_true(there(earlier));
	disk_sweep("/nowhere/at/all");
	unlink(path(ours));
	unlink(path(earlier));
	unlink(path(foreign));
	unlink(path(cut));
	unlink(path("CDC.json.tmp.x"));
	unlink(path("CDC00000000000000000001.json"));
	assert_int_equal(rmdir(dir), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_unique_and_of_the_form_of_a_uuid),
		cmocka_unit_test(leftovers_are_swept_by_owner_and_age),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
