/* Clean-up by age in a temporary folder: what goes, what stays, when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "capture-worker/sink/storage/cleanup.h"
#include "capture-worker/sink/storage/disk.h"
#include "capture-worker/sink/storage/store_file.h"

static char root[64];
static struct store folder;

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int
fresh_root(void **state)
{
	(void)state;
	strcpy(root, "/tmp/test_cleanup.XXXXXX");
	return mkdtemp(root) == NULL ? -1 : 0;
}

static int
drop_root(void **state)
{
	(void)state;
	nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return 0;
}

static void
make_file(const char *path)
{
	char full[512], *slash;
	struct ml_err err;
	FILE *f;

	snprintf(full, sizeof(full), "%s/%s", root, path);
	slash = strrchr(full, '/');
	*slash = '\0';
	assert_int_equal(disk_make_dirs(full, &err), 0);
	*slash = '/';
	f = fopen(full, "w");
	assert_non_null(f);
	fclose(f);
}

static bool
there(const char *path)
{
	char full[512];

	snprintf(full, sizeof(full), "%s/%s", root, path);
	return access(full, F_OK) == 0;
}

/* What a run before 2026-11-20 is to do with each. */
static const struct {
	const char *path;
	bool stays;
} files[] = {
	{ "metadata", true },
	{ "db/meta/schema_1_0000000001.json", true },
	{ "db/t/meta/schema_1_0000000001.json", true },
	{ "db/t/1/2026-11-19/CDC00000000000000000001.csv", false },
	{ "db/t/1/2026-11-19/CDC00000000000000000002.csv.tmp.0f", false },
	{ "db/t/1/2026-11-19/meta/CDC.index", false },
	{ "db/t/1/2026-11-20/CDC00000000000000000001.csv", true },
	{ "db/t/1/2026-11-20/meta/CDC.index", true },
	{ "db/t/2/2025-12-31/CDC00000000000000000001.csv", false },
	{ "db/part/1/77/2026-11-01/CDC00000000000000000001.csv", false },
	{ "db/part/1/77/2026-11-21/CDC00000000000000000001.csv", true },
	{ "db/part/1/78/2026-11-01/meta/CDC.index", false },
	/* Names that look like dates, and dates that are none. */
	{ "2020-01-01/2020-01-01/meta/schema_1_0000000001.json", true },
	{ "2020-01-01/2020-01-01/1/2026-11-21/CDC00000000000000000001.csv", true },
	{ "2020-01-01/2020-01-01/1/2026-11-11/CDC00000000000000000001.csv", false },
	{ "db/t/1/2020-01/CDC00000000000000000001.csv", true },
	{ "db/t/1/2020-01-010/CDC00000000000000000001.csv", true },
	{ "db/t/1/CDC00000000000000000001.csv", true },
	{ "db/t/1x/2020-01-01/CDC00000000000000000001.csv", true },
	{ "db/t/1/77/78/2020-01-01/CDC00000000000000000001.csv", true },
};

static void
make_all(void)
{
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		make_file(files[i].path);
}

static void
assert_cleaned(void)
{
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (there(files[i].path) != files[i].stays)
			fail_msg("%s %s", files[i].path, files[i].stays ? "is gone" : "is still there");
}

static void
removes_what_lies_below_old_dates_only(void **state)
{
	static const char *const gone[] = { "db/t/1/2026-11-19", "db/t/2", "db/part/1/78" };
	uint64_t removed, failed;
	atomic_bool stop = false;
	int e;

	(void)state;
	make_all();
	cleanup_run(root, "2026-11-20", &stop, &removed, &failed, &e);
	assert_cleaned();
	assert_int_equal(removed, 7);
	assert_int_equal(failed, 0);
	for (size_t i = 0; i < sizeof(gone) / sizeof(gone[0]); i++)
		assert_false(there(gone[i]));
	cleanup_run(root, "2026-11-20", &stop, &removed, &failed, &e);
	assert_int_equal(removed, 0);
	assert_int_equal(failed, 0);
}

static void
follows_no_links_and_obeys_a_stop(void **state)
{
	uint64_t removed, failed;
	atomic_bool stop = false;
	char from[128], to[128];
	int e;

	(void)state;
	make_file("db/t/1/2026-11-19/CDC00000000000000000001.csv");
	make_file("other/keep");
	snprintf(from, sizeof(from), "%s/other", root);
	snprintf(to, sizeof(to), "%s/db/t/1/2026-11-18", root);
	assert_int_equal(symlink(from, to), 0);
	atomic_store(&stop, true);
	cleanup_run(root, "2026-11-20", &stop, &removed, &failed, &e);
	assert_int_equal(removed, 0);
	assert_true(there("db/t/1/2026-11-19/CDC00000000000000000001.csv"));
	atomic_store(&stop, false);
	cleanup_run(root, "2026-11-20", &stop, &removed, &failed, &e);
	assert_int_equal(removed, 1);
	assert_int_equal(failed, 0);
	assert_true(there("other/keep"));
	assert_true(there("db/t/1/2026-11-18"));
	cleanup_run("/nowhere/at/all", "2026-11-20", &stop, &removed, &failed, &e);
	assert_int_equal(removed, 0);
}

static void
paths_are_old_by_their_date_directory_only(void **state)
{
	static const struct {
		const char *path;
		bool old;
	} rows[] = {
		{ "db/t/7/2026-11-19/CDC000001.json", true },
		{ "db/t/7/2026-11-19/meta/CDC.index", true },
		{ "db/t/7/12/2026-11-19/CDC000001.json", true },
		{ "db/t/7/2026-11-20/CDC000001.json", false },
		{ "db/t/7/2026-11-19", false },
		{ "db/t/7/CDC000001.json", false },
		{ "db/t/meta/2026-11-19/x", false },
		{ "2026-11-19/t/7/x", false },
		{ "db/2026-11-19/7/x", false },
		{ "db/t/2026-11-19/x/y", false },
		{ "db/t/7/12/13/2026-11-19/x", false },
		{ "db/t/7/2026-11/CDC000001.json", false },
		{ "metadata", false },
		{ "", false },
		{ "db/t/1234567890123456789012345678901234567890/2026-11-19/x", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (cleanup_is_old(rows[i].path, "2026-11-20") != rows[i].old)
			fail_msg("%s", rows[i].path);
}

static struct cleanup *
start(uint32_t days, enum storage_date date, const char *spec, const struct ml_tz *tz, uint64_t wall_ms)
{
	struct storage_options o = { .store = &folder, .expire_days = days, .date = date };

	folder = (struct store){ .ops = &store_file, .name = root };
	assert_null(cron_parse(&o.cleanup_cron, spec));
	return cleanup_new(&o, tz, "cf/0", wall_ms);
}

static bool
any_left(void)
{
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (!files[i].stays && there(files[i].path))
			return true;
	return false;
}

static void
runs_on_schedule_by_the_checkpoints_local_date(void **state)
{
	/* 2026-11-25 16:30 UTC is the 26th in Shanghai: six days back is the 20th. */
	const uint64_t now = 1795624200000, due = 1795629600000; /* 18:00 UTC is 02:00 there */
	ml_ts checkpoint = ml_ts_from_ms(now);
	struct ml_err err;
	struct cleanup *c;
	struct ml_tz *tz;

	(void)state;
	assert_int_equal(ml_tz_open(&tz, "Asia/Shanghai", &err), 0);
	assert_null(start(0, STORAGE_DATE_DAY, "0 0 2 * * *", tz, now));
	assert_null(start(6, STORAGE_DATE_MONTH, "0 0 2 * * *", tz, now));
	make_all();
	c = start(6, STORAGE_DATE_DAY, "0 0 2 * * *", tz, now);
	assert_non_null(c);
	cleanup_tick(c, checkpoint, due - 1000);
	cleanup_tick(c, 0, due); /* no checkpoint yet: this run is left out */
	cleanup_tick(c, checkpoint, due + 1000);
	cleanup_free(c);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		assert_true(there(files[i].path));
	c = start(6, STORAGE_DATE_DAY, "0 0 2 * * *", tz, now);
	cleanup_tick(c, checkpoint, due);
	/* Its thread has no other sign of being done, and cleanup_free would stop it. */
	for (int i = 0; i < 1000 && any_left(); i++)
		usleep(5000);
	cleanup_free(c);
	assert_cleaned();
	cleanup_tick(NULL, checkpoint, due);
	cleanup_free(NULL);
	ml_tz_free(tz);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(removes_what_lies_below_old_dates_only, fresh_root, drop_root),
		cmocka_unit_test_setup_teardown(follows_no_links_and_obeys_a_stop, fresh_root, drop_root),
		cmocka_unit_test(paths_are_old_by_their_date_directory_only),
		cmocka_unit_test_setup_teardown(runs_on_schedule_by_the_checkpoints_local_date, fresh_root, drop_root),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
