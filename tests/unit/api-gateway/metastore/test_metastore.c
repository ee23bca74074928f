/* test_metastore.c - the same promises asked of every store, and of sqlite what a disk can do to it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/resource.h>
#include <signal.h>
#include <unistd.h>

#include <cmocka.h>

#include "api-gateway/metastore/metastore.h"
#include "common/base/buf.h"

struct answer {
	struct ml_loop *l;
	int n;
	enum ml_meta_outcome outcome;
	uint64_t rev;
	struct ml_err err;
};

static void
done(enum ml_meta_outcome outcome, uint64_t rev, const struct ml_err *err, void *arg)
{
	struct answer *a = arg;

	a->n++;
	a->outcome = outcome;
	a->rev = rev;
	a->err = *err;
	ml_loop_stop(a->l);
}

static enum ml_meta_outcome
commit(struct ml_loop *l, struct ml_meta *m, struct ml_meta_txn *t, struct answer *a)
{
	*a = (struct answer){ .l = l };
	ml_meta_commit(m, t, done, a);
	assert_int_equal(a->n, 0); /* never from inside */
	ml_loop_run(l);
	assert_int_equal(a->n, 1);
	return a->outcome;
}

static struct ml_meta_txn *
put(const char *key, const char *value)
{
	struct ml_meta_txn *t = ml_meta_txn_new();

	ml_meta_txn_put(t, key, value, strlen(value));
	return t;
}

static void
collect(const char *key, const void *value, size_t len, uint64_t rev, void *arg)
{
	ml_buf_printf(arg, "%s=%.*s@%llu;", key, (int)len, (const char *)value, (unsigned long long)rev);
}

static void
assert_holds(struct ml_meta *m, const char *prefix, const char *want)
{
	struct ml_buf b = { 0 };
	struct ml_err err;

	assert_int_equal(m->ops->list(m, prefix, collect, &b, &err), 0);
	assert_string_equal(b.data != NULL ? b.data : "", want);
	ml_buf_fini(&b);
}

static void
fresh_dir(char *dir, size_t size)
{
	snprintf(dir, size, "%s/ml-meta-XXXXXX", getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp");
	assert_non_null(mkdtemp(dir));
}

static void
remove_dir(const char *dir)
{
	static const char *const names[] = { "meta.db", "meta.db-wal", "meta.db-shm" };
	char path[300];

	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	rmdir(dir);
}

static void
transactions_are_whole_and_conditions_guard_them(void **state)
{
	(void)state;
	for (size_t i = 0; ml_meta_stores[i] != NULL; i++) {
		struct ml_loop *l = ml_loop_new();
		struct ml_meta *m;
		struct ml_meta_txn *t;
		struct answer a;
		struct ml_err err;
		char dir[200];

		fresh_dir(dir, sizeof(dir));
		assert_int_equal(ml_meta_open(&m, ml_meta_stores[i]->name, l, dir, &err), 0);
		assert_holds(m, "/", "");
		t = put("/a/x", "1");
		ml_meta_txn_put(t, "/a/y", "2", 1);
		ml_meta_txn_put(t, "/ab", "", 0);
		ml_meta_txn_if(t, "/a/x", 0);
		assert_int_equal(commit(l, m, t, &a), ML_META_DONE);
		assert_true(a.rev == 1);
		assert_holds(m, "/a/", "/a/x=1@1;/a/y=2@1;");
		assert_holds(m, "/a", "/a/x=1@1;/a/y=2@1;/ab=@1;");

		t = put("/a/x", "again"); /* must not exist, but does: nothing is written */
		ml_meta_txn_put(t, "/b", "b", 1);
		ml_meta_txn_if(t, "/a/x", 0);
		assert_int_equal(commit(l, m, t, &a), ML_META_CONFLICT);
		assert_holds(m, "/", "/a/x=1@1;/a/y=2@1;/ab=@1;");

		t = put("/a/x", "new");
		ml_meta_txn_if(t, "/a/x", 1);
		ml_meta_txn_del(t, "/a/y");
		ml_meta_txn_del(t, "/never/was");
		assert_int_equal(commit(l, m, t, &a), ML_META_DONE);
		assert_holds(m, "/a/", "/a/x=new@2;");
		ml_meta_close(m);
		ml_loop_free(l);
		remove_dir(dir);
	}
}

static void
sqlite_keeps_what_was_done_and_finishes_the_queue_at_close(void **state)
{
	struct ml_loop *l = ml_loop_new();
	struct ml_meta *m;
	struct answer a = { .l = l };
	struct ml_err err;
	struct stat st;
	char dir[200], path[300];

	(void)state;
	fresh_dir(dir, sizeof(dir));
	assert_int_equal(ml_meta_open(&m, "sqlite", l, dir, &err), 0);
	snprintf(path, sizeof(path), "%s/meta.db", dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	for (int i = 0; i < 10; i++) {
		char key[20];

		snprintf(key, sizeof(key), "/k%d", i);
		ml_meta_commit(m, put(key, "v"), done, &a);
	}
	ml_meta_close(m);
	assert_int_equal(a.n, 10);
	assert_int_equal(ml_meta_open(&m, NULL, l, dir, &err), 0);
	assert_holds(m, "/k9", "/k9=v@10;");
	ml_meta_close(m);
	ml_loop_free(l);
	remove_dir(dir);
}

static void
sqlite_says_why_it_cannot_open(void **state)
{
	struct ml_loop *l = ml_loop_new();
	struct ml_meta *m = NULL;
	struct ml_err err = { 0 };
	char dir[200], path[300];
	FILE *f;

	(void)state;
	assert_int_equal(ml_meta_open(&m, "sqlite", l, "/nowhere/at/all", &err), -1);
	assert_int_equal(err.code, ML_ErrMetaStore);
	assert_non_null(strstr(err.text, "No such file"));
	fresh_dir(dir, sizeof(dir));
	snprintf(path, sizeof(path), "%s/meta.db", dir);
	f = fopen(path, "w");
	assert_non_null(f);
	for (int i = 0; i < 500; i++)
		fputs("this is no database\n", f);
	fclose(f);
	assert_int_equal(ml_meta_open(&m, "sqlite", l, dir, &err), -1);
	assert_int_equal(err.code, ML_ErrMetaStore);
	assert_non_null(strstr(err.text, "not a database"));
	assert_int_equal(ml_meta_open(&m, "bdb", l, dir, &err), -1);
	assert_int_equal(err.code, ML_ErrConfigInvalid);
	assert_non_null(strstr(err.text, "sqlite, mem"));
	assert_null(m);
	ml_loop_free(l);
	remove_dir(dir);
}

/* A limit on the size of files stands for a full disk: both fail the write of a page. */
static void
sqlite_with_a_full_disk_refuses_and_recovers(void **state)
{
	struct ml_loop *l = ml_loop_new();
	struct ml_meta *m;
	struct ml_meta_txn *t;
	struct answer a;
	struct ml_err err;
	struct rlimit old, tight;
	char dir[200];
	static char big[1 << 20];

	(void)state;
	fresh_dir(dir, sizeof(dir));
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(ml_meta_open(&m, "sqlite", l, dir, &err), 0);
	assert_int_equal(commit(l, m, put("/a", "1"), &a), ML_META_DONE);
	getrlimit(RLIMIT_FSIZE, &old);
	tight = old;
	tight.rlim_cur = 256 << 10;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
	t = put("/a", "2");
	ml_meta_txn_put(t, "/big", big, sizeof(big));
	assert_int_equal(commit(l, m, t, &a), ML_META_FAILED);
	assert_int_equal(a.err.code, ML_ErrMetaStore);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_holds(m, "/", "/a=1@1;");
	assert_int_equal(commit(l, m, put("/a", "3"), &a), ML_META_DONE);
	assert_holds(m, "/", "/a=3@2;");
	ml_meta_close(m);
	ml_loop_free(l);
	remove_dir(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(transactions_are_whole_and_conditions_guard_them),
		cmocka_unit_test(sqlite_keeps_what_was_done_and_finishes_the_queue_at_close),
		cmocka_unit_test(sqlite_says_why_it_cannot_open),
		cmocka_unit_test(sqlite_with_a_full_disk_refuses_and_recovers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
