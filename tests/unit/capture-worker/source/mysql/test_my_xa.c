/* Prepared XA transactions: kept over restarts, found again when the log is read again, removed when nobody needs them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "capture-worker/source/mysql/xa.h"

static char dir[64];
static struct ml_xa *xa;

static int
make_dir(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/ml-xa-XXXXXX");
	return mkdtemp(dir) != NULL ? 0 : -1;
}

static int
n_files(bool remove)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	int n = 0;

	assert_non_null(d);
	while ((e = readdir(d)) != NULL)
		if (e->d_name[0] != '.') {
			n++;
			if (remove)
				unlinkat(dirfd(d), e->d_name, 0);
		}
	closedir(d);
	return n;
}

static int
remove_dir(void **state)
{
	(void)state;
	(void)n_files(true);
	return rmdir(dir);
}

static void
restart(void)
{
	struct ml_err err = { 0 };

	ml_xa_close(xa);
	assert_int_equal(ml_xa_open(&xa, dir, &err), 0);
}

static struct ml_xid
xid(const char *name)
{
	struct ml_xid x = { .format = 1, .gtrid_len = (uint8_t)strlen(name) };

	memcpy(x.data, name, strlen(name));
	return x;
}

static void
prepare(const char *name, const char *rows, bool finish)
{
	struct ml_xid x = xid(name);
	struct ml_ev e = { .type = ML_EV_TABLE_MAP, .body = (const uint8_t *)"map", .body_len = 3 };
	struct ml_err err = { 0 };

	assert_int_equal(ml_xa_begin(xa, &x, &err), 0);
	assert_int_equal(ml_xa_add(xa, &e, &err), 0);
	e.type = 23;
	e.body = (const uint8_t *)rows;
	e.body_len = (uint32_t)strlen(rows);
	assert_int_equal(ml_xa_add(xa, &e, &err), 0);
	if (finish)
		assert_int_equal(ml_xa_prepared(xa, &err), 0);
	else
		ml_xa_abandon(xa);
}

static char got[256];

static int
take(void *arg, const struct ml_ev *e, struct ml_err *err)
{
	size_t n = strlen(got);

	snprintf(got + n, sizeof(got) - n, "%u:%.*s ", e->type, (int)e->body_len, (const char *)e->body);
	return arg == NULL ? 0 : ML_ERR(err, ErrNoMemory, 0, "testing");
}

static const char *
replay(const char *name, ml_ts ts)
{
	struct ml_xid x = xid(name);
	struct ml_err err = { 0 };

	int known;

	got[0] = '\0';
	known = ml_xa_replay(xa, &x, ts, take, NULL, &err);

	assert_int_equal(known, got[0] != '\0' ? 1 : 0);
	return got;
}

static void
prepared_rows_survive_a_restart(void **state)
{
	struct ml_xid a = xid("a");
	struct ml_err err = { 0 };

	(void)state;
	restart();
	prepare("a", "rows of a", true);
	prepare("b", "rows of b", true);
	prepare("c", "cut off", false);
	assert_string_equal(replay("c", 1), "");
	restart();
	assert_string_equal(replay("a", 1), "19:map 23:rows of a ");
	assert_string_equal(replay("b", 1), "19:map 23:rows of b ");
	assert_int_equal(ml_xa_replay(xa, &a, 1, take, xa, &err), -1);
	assert_int_equal(err.code, ML_ErrNoMemory);
}

static void
finished_ones_go_with_the_checkpoint(void **state)
{
	struct ml_xid a = xid("a");

	(void)state;
	ml_xa_finish(xa, &a, 100);
	assert_string_equal(replay("a", 200), ""); /* a later transaction of that name has not been prepared */
	restart();
	assert_string_equal(replay("a", 100), "19:map 23:rows of a "); /* the log is read again */
	prepare("a", "second use", true);
	assert_string_equal(replay("a", 100), "19:map 23:rows of a ");
	assert_string_equal(replay("a", 200), "19:map 23:second use ");
	ml_xa_finish(xa, &a, 100);
	assert_string_equal(replay("a", 200), "19:map 23:second use ");
	ml_xa_saved(xa, 99);
	ml_xa_sweep(xa);
	assert_int_equal(n_files(false), 3);
	ml_xa_saved(xa, 100);
	ml_xa_sweep(xa);
	assert_int_equal(n_files(false), 2);
	assert_string_equal(replay("b", 1), "19:map 23:rows of b ");
	ml_xa_close(xa);
	xa = NULL;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(prepared_rows_survive_a_restart),
		cmocka_unit_test(finished_ones_go_with_the_checkpoint),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
