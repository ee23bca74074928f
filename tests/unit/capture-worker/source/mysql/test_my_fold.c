/* The fold: strictly increasing timestamps; the journal: the same ones again after a restart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "capture-worker/source/mysql/fold.h"
#include "capture-worker/source/mysql/journal.h"

#define S 1000000ull

static void
timestamps_rise_whatever_the_log_says(void **state)
{
	static const struct {
		uint64_t phys_us;
		ml_ts want_ms, want_logical;
	} rows[] = {
		{ 100 * S, 100000, 0 },
		{ 100 * S, 100000, 1 },
		{ 100 * S, 100000, 2 },
		{ 99 * S, 100000, 3 },        /* a statement that waited for a lock */
		{ 0, 100000, 4 },             /* SET timestamp */
		{ 101 * S + 999, 101000, 0 }, /* microseconds are below the resolution */
		{ 101 * S + 1000, 101001, 0 },
	};
	struct ml_fold f = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ml_ts before = f.last, c = ml_fold_group(&f, rows[i].phys_us);

		assert_int_equal(c, ml_ts_from_ms(rows[i].want_ms) + rows[i].want_logical);
		assert_int_equal(c, f.last);
		assert_true(c > before);
	}
	/* More groups in a millisecond than it has numbers: they carry over. */
	f.last = ml_ts_from_ms(5) - 1;
	assert_int_equal(ml_fold_group(&f, 4 * 1000), ml_ts_from_ms(5));
}

static void
times_far_ahead_are_clamped(void **state)
{
	bool clamped;

	(void)state;
	assert_int_equal(ml_fold_clamp(105 * S, 100 * S, &clamped), 105 * S);
	assert_false(clamped);
	assert_int_equal(ml_fold_clamp(105 * S + 1, 100 * S, &clamped), 100 * S);
	assert_true(clamped);
	assert_int_equal(ml_fold_clamp(1, 100 * S, &clamped), 1);
	assert_false(clamped);
}

static void
ticks_only_raise(void **state)
{
	struct ml_fold f = { .last = ml_ts_from_ms(100) + 7 };

	(void)state;
	assert_false(ml_fold_tick(&f, 100 * 1000));
	assert_int_equal(f.last, ml_ts_from_ms(100) + 7);
	assert_true(ml_fold_tick(&f, 101 * 1000));
	assert_int_equal(f.last, ml_ts_from_ms(101));
	assert_false(ml_fold_tick(&f, 101 * 1000));
	/* A group older than the tick comes behind it. */
	assert_int_equal(ml_fold_group(&f, 50 * 1000), ml_ts_from_ms(101) + 1);
}

static char dir[64];

static int
make_dir(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/ml-journal-XXXXXX");
	return mkdtemp(dir) != NULL ? 0 : -1;
}

static int
remove_dir(void **state)
{
	char path[128];

	(void)state;
	snprintf(path, sizeof(path), "%s/fold.journal", dir);
	unlink(path);
	return rmdir(dir);
}

static struct ml_journal *
reopen(struct ml_journal *j, const char *log)
{
	struct ml_err err = { 0 };

	ml_journal_close(j);
	assert_int_equal(ml_journal_open(&j, dir, log, &err), 0);
	return j;
}

static void
a_restart_replays_ticks_and_clamps(void **state)
{
	struct ml_journal *j = reopen(NULL, "1-0 mbin");
	struct ml_err err = { 0 };
	ml_ts last = 0;

	(void)state;
	assert_int_equal(ml_journal_add(j, ML_JOURNAL_TICK, 1, 100, 50, 50, &err), 0);
	assert_int_equal(ml_journal_add(j, ML_JOURNAL_TICK, 1, 100, 60, 60, &err), 0);
	assert_int_equal(ml_journal_add(j, ML_JOURNAL_CLAMP, 1, 200, 7777, 65, &err), 0);
	assert_int_equal(ml_journal_add(j, ML_JOURNAL_TICK, 2, 4, 90, 90, &err), 0);
	assert_false(ml_journal_behind(j));

	j = reopen(j, "1-0 mbin");
	ml_journal_seek(j, 1, 50);
	assert_true(ml_journal_behind(j));
	assert_int_equal(ml_journal_pass(j, 1, 50, &last), 0);
	assert_int_equal(last, 0);
	assert_int_equal(ml_journal_pass(j, 1, 100, &last), 0);
	assert_int_equal(last, 60);
	last = 61; /* the group at 100 */
	assert_int_equal(ml_journal_pass(j, 1, 200, &last), 7777);
	assert_int_equal(ml_journal_pass(j, 1, 200, &last), 7777); /* asking does not use it up */
	assert_int_equal(last, 61);
	assert_int_equal(ml_journal_pass(j, 2, 300, &last), 0);
	assert_int_equal(last, 90); /* a tick at a place between groups that is not stopped at */
	assert_false(ml_journal_behind(j));

	/* From the middle: what lies before is not applied again. */
	last = 0;
	ml_journal_seek(j, 1, 150);
	assert_int_equal(ml_journal_pass(j, 1, 200, &last), 7777);
	assert_int_equal(last, 0);
	ml_journal_close(j);
}

static void
another_log_and_damage_are_noticed(void **state)
{
	struct ml_journal *j = reopen(NULL, "1-0 other");
	struct ml_err err = { 0 };
	char path[128];
	ml_ts last = 0;
	FILE *f;

	(void)state;
	ml_journal_seek(j, 1, 0);
	(void)ml_journal_pass(j, 9, 0, &last);
	assert_int_equal(last, 0); /* records of the log before are gone */
	assert_int_equal(ml_journal_add(j, ML_JOURNAL_TICK, 1, 100, 50, 50, &err), 0);
	assert_int_equal(ml_journal_add(j, ML_JOURNAL_TICK, 1, 200, 60, 60, &err), 0);
	ml_journal_close(j);
	snprintf(path, sizeof(path), "%s/fold.journal", dir);
	assert_int_equal(truncate(path, 16 + 40 + 39), 0);
	j = reopen(NULL, "1-0 other");
	ml_journal_seek(j, 1, 0);
	(void)ml_journal_pass(j, 9, 0, &last);
	assert_int_equal(last, 50); /* the torn record is cut off, the whole one kept */
	assert_int_equal(ml_journal_add(j, ML_JOURNAL_TICK, 9, 0, 70, 70, &err), 0);
	ml_journal_close(j);
	f = fopen(path, "r+");
	assert_non_null(f);
	assert_int_equal(fseek(f, 16 + 17, SEEK_SET), 0);
	assert_int_equal(fputc(0x55, f), 0x55);
	fclose(f);
	last = 0;
	j = reopen(NULL, "1-0 other");
	ml_journal_seek(j, 1, 0);
	(void)ml_journal_pass(j, 9, 0, &last);
	assert_int_equal(last, 0); /* nothing behind a damaged record is believed */
	ml_journal_close(j);
}

static void
an_idle_server_does_not_fill_the_disk(void **state)
{
	struct ml_journal *j = reopen(NULL, "1-0 idle");
	struct ml_err err = { 0 };
	char path[128];
	ml_ts last = 0;
	FILE *f;

	(void)state;
	for (uint64_t i = 1; i <= 20000; i++) {
		assert_int_equal(ml_journal_add(j, ML_JOURNAL_TICK, 1, 100 + i % 3, i, i, &err), 0);
		ml_journal_saved(j, i - 1);
	}
	snprintf(path, sizeof(path), "%s/fold.journal", dir);
	f = fopen(path, "r");
	assert_non_null(f);
	fseek(f, 0, SEEK_END);
	assert_true(ftell(f) < 5000 * 40);
	fclose(f);
	j = reopen(j, "1-0 idle");
	ml_journal_seek(j, 1, 0);
	(void)ml_journal_pass(j, 1, 200, &last);
	assert_int_equal(last, 20000);
	ml_journal_close(j);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(timestamps_rise_whatever_the_log_says),
		cmocka_unit_test(times_far_ahead_are_clamped),
		cmocka_unit_test(ticks_only_raise),
		cmocka_unit_test(a_restart_replays_ticks_and_clamps),
		cmocka_unit_test(another_log_and_damage_are_noticed),
		cmocka_unit_test(an_idle_server_does_not_fill_the_disk),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
