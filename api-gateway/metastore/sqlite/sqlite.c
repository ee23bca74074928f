/*
 * sqlite.c - the thread owns the database once the first commit is queued; list() shares it under `db_lock`.  A commit waits for
 * the disk (WAL, synchronous=FULL: one fsync), so it must not happen on the loop's thread.
 *
 *   loop thread: commit() -> todo, wake            thread: todo -> BEGIN IMMEDIATE .. COMMIT -> done, eventfd
 *   loop thread: eventfd -> done callbacks
 */
#include "api-gateway/metastore/sqlite/sqlite.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Layout of the tables; a file with a higher number was written by a newer Millrace and is not touched. */
#define SCHEMA_VERSION 1
/* The whole store is some kilobytes per changefeed; SQLite's default cache of 2 MiB would only cost memory. */
#define CACHE_PRAGMA "PRAGMA cache_size=-256"

enum stmt { S_REV, S_GET, S_PUT, S_DEL, S_LIST, S_BUMP, N_STMTS };
static const char *const sql[N_STMTS] = {
	[S_REV] = "SELECT value FROM counter WHERE name='revision'",
	[S_GET] = "SELECT mod_rev FROM kv WHERE key=?1",
	[S_PUT] = ("INSERT INTO kv(key, value, mod_rev) VALUES(?1, ?2, ?3) "
		   "ON CONFLICT(key) DO UPDATE SET value=excluded.value, mod_rev=excluded.mod_rev"),
	[S_DEL] = "DELETE FROM kv WHERE key=?1",
	/* key < prefix || U+10FFFF: keys are UTF-8 paths, so nothing with the prefix sorts behind that */
	[S_LIST] = "SELECT key, value, mod_rev FROM kv WHERE key >= ?1 AND key < ?1 || char(1114111) ORDER BY key",
	[S_BUMP] = "UPDATE counter SET value=?1 WHERE name='revision'",
};

struct store {
	struct ml_meta base;
	sqlite3 *db;
	sqlite3_stmt *st[N_STMTS];
	pthread_mutex_t db_lock;
	pthread_t thread;
	pthread_mutex_t lock; /* todo, done, stop */
	pthread_cond_t wake;
	struct ml_list todo, done;
	bool stop, running;
	int efd;
	struct ml_watch *watch;
};

static int
fail(struct store *s, const char *what, struct ml_err *err)
{
	int code = s->db != NULL ? sqlite3_extended_errcode(s->db) : SQLITE_NOMEM;
	char text[300];

	snprintf(text, sizeof(text), "%s: %s", what, s->db != NULL ? sqlite3_errmsg(s->db) : "out of memory");
	return ML_ERR(err, ErrMetaStore, code, text);
}

static int
exec(struct store *s, const char *text, struct ml_err *err)
{
	return sqlite3_exec(s->db, text, NULL, NULL, NULL) == SQLITE_OK ? 0 : fail(s, text, err);
}

/* One row with one integer; 0 if there is no row, -1 on error. */
static int
step_u64(struct store *s, enum stmt which, uint64_t *v, struct ml_err *err)
{
	int rc = sqlite3_step(s->st[which]);

	if (rc == SQLITE_ROW)
		*v = (uint64_t)sqlite3_column_int64(s->st[which], 0);
	else if (rc != SQLITE_DONE)
		fail(s, sql[which], err);
	sqlite3_reset(s->st[which]);
	sqlite3_clear_bindings(s->st[which]);
	return rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : -1;
}

static int
user_version(struct store *s, int *v, struct ml_err *err)
{
	sqlite3_stmt *st;

	if (sqlite3_prepare_v2(s->db, "PRAGMA user_version", -1, &st, NULL) != SQLITE_OK ||
		sqlite3_step(st) != SQLITE_ROW) {
		fail(s, "reading the version", err);
		sqlite3_finalize(st);
		return -1;
	}
	*v = sqlite3_column_int(st, 0);
	sqlite3_finalize(st);
	return 0;
}

static int
prepare(struct store *s, const char *path, struct ml_err *err)
{
	int version, fd;

	/* The file holds passwords of sinks: it is made here, with its mode, and SQLite gives the same mode to -wal and -shm. */
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0) {
		char text[300];

		snprintf(text, sizeof(text), "%s: %s", path, strerror(errno));
		return ML_ERR(err, ErrMetaStore, errno, text);
	}
	close(fd);
	if (sqlite3_open_v2(path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX, NULL) != SQLITE_OK)
		return fail(s, path, err);
	sqlite3_busy_timeout(s->db, 5000); /* an operator's sqlite3 shell may look in */
	if (exec(s, "PRAGMA journal_mode=WAL", err) < 0 || exec(s, "PRAGMA synchronous=FULL", err) < 0 ||
		exec(s, CACHE_PRAGMA, err) < 0 || user_version(s, &version, err) < 0)
		return -1;
	if (version > SCHEMA_VERSION) {
		char text[300];

		snprintf(text, sizeof(text), "%s has layout %d, this build knows %d; it was written by a newer version",
			path, version, SCHEMA_VERSION);
		return ML_ERR(err, ErrMetaStore, 0, text);
	}
	if (version == 0 &&
		exec(s,
			"BEGIN IMMEDIATE;"
			"CREATE TABLE IF NOT EXISTS kv(key TEXT PRIMARY KEY, value BLOB NOT NULL, mod_rev INTEGER NOT NULL) WITHOUT ROWID;"
			"CREATE TABLE IF NOT EXISTS counter(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
			"INSERT OR IGNORE INTO counter VALUES('revision', 0);"
			"PRAGMA user_version=1;"
			"COMMIT",
			err) < 0)
		return -1;
	/* Fails now and not at the first commit when the folder or the file cannot be written. */
	if (exec(s, "BEGIN IMMEDIATE; UPDATE counter SET value=value WHERE name='revision'; COMMIT", err) < 0)
		return -1;
	for (int i = 0; i < N_STMTS; i++)
		if (sqlite3_prepare_v3(s->db, sql[i], -1, SQLITE_PREPARE_PERSISTENT, &s->st[i], NULL) != SQLITE_OK)
			return fail(s, sql[i], err);
	return 0;
}

static int
check(struct store *s, const struct ml_meta_op *op, struct ml_err *err)
{
	uint64_t rev = 0;

	sqlite3_bind_text(s->st[S_GET], 1, op->key, -1, SQLITE_STATIC);
	if (step_u64(s, S_GET, &rev, err) < 0)
		return -1;
	return rev == op->mod_rev ? 1 : 0;
}

static int
write_op(struct store *s, const struct ml_meta_op *op, uint64_t rev, struct ml_err *err)
{
	enum stmt which = op->verb == ML_META_PUT ? S_PUT : S_DEL;
	uint64_t none;

	sqlite3_bind_text(s->st[which], 1, op->key, -1, SQLITE_STATIC);
	if (which == S_PUT) {
		sqlite3_bind_blob64(s->st[which], 2, op->value, op->len, SQLITE_STATIC);
		sqlite3_bind_int64(s->st[which], 3, (sqlite3_int64)rev);
	}
	return step_u64(s, which, &none, err);
}

/* All of t inside BEGIN .. COMMIT; on failure nothing of it stays. */
static enum ml_meta_outcome
run(struct store *s, struct ml_meta_txn *t)
{
	struct ml_err *err = &t->err;
	uint64_t rev = 0, none;

	if (exec(s, "BEGIN IMMEDIATE", err) < 0)
		return ML_META_FAILED;
	for (size_t i = 0; i < t->n; i++) {
		int ok = t->ops[i].verb == ML_META_IF ? check(s, &t->ops[i], err) : 1;

		if (ok < 0)
			goto failed;
		if (ok == 0) {
			exec(s, "ROLLBACK", NULL);
			return ML_META_CONFLICT;
		}
	}
	if (step_u64(s, S_REV, &rev, err) < 0)
		goto failed;
	rev++;
	for (size_t i = 0; i < t->n; i++)
		if (t->ops[i].verb != ML_META_IF && write_op(s, &t->ops[i], rev, err) < 0)
			goto failed;
	sqlite3_bind_int64(s->st[S_BUMP], 1, (sqlite3_int64)rev);
	if (step_u64(s, S_BUMP, &none, err) < 0 || exec(s, "COMMIT", err) < 0)
		goto failed;
	t->rev = rev;
	return ML_META_DONE;

failed:
	/* A full disk may have rolled back already. */
	if (!sqlite3_get_autocommit(s->db))
		exec(s, "ROLLBACK", NULL);
	return ML_META_FAILED;
}

static void *
work(void *arg)
{
	struct store *s = arg;
	static const uint64_t one = 1;

	pthread_mutex_lock(&s->lock);
	for (;;) {
		struct ml_meta_txn *t;

		while (ml_list_empty(&s->todo) && !s->stop)
			pthread_cond_wait(&s->wake, &s->lock);
		if (ml_list_empty(&s->todo))
			break;
		t = ML_CONTAINER(s->todo.next, struct ml_meta_txn, link);
		ml_list_remove(&t->link);
		pthread_mutex_unlock(&s->lock);
		pthread_mutex_lock(&s->db_lock);
		t->outcome = run(s, t);
		pthread_mutex_unlock(&s->db_lock);
		pthread_mutex_lock(&s->lock);
		ml_list_append(&s->done, &t->link);
		if (write(s->efd, &one, sizeof(one)) < 0)
			continue; /* EAGAIN: the counter is set anyway */
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* Calls the done of every finished commit. */
static void
report(struct store *s)
{
	for (;;) {
		struct ml_meta_txn *t;

		pthread_mutex_lock(&s->lock);
		if (ml_list_empty(&s->done)) {
			pthread_mutex_unlock(&s->lock);
			return;
		}
		t = ML_CONTAINER(s->done.next, struct ml_meta_txn, link);
		ml_list_remove(&t->link);
		pthread_mutex_unlock(&s->lock);
		t->done(t->outcome, t->rev, &t->err, t->arg);
		ml_meta_txn_free(t);
	}
}

static void
on_done(int fd, short what, void *arg)
{
	uint64_t n;

	(void)what;
	if (read(fd, &n, sizeof(n)) == (ssize_t)sizeof(n))
		report(arg);
}

static void
store_close(struct ml_meta *base)
{
	struct store *s = (struct store *)base;

	if (s->running) {
		pthread_mutex_lock(&s->lock);
		s->stop = true;
		pthread_cond_signal(&s->wake);
		pthread_mutex_unlock(&s->lock);
		pthread_join(s->thread, NULL);
		report(s);
	}
	ml_watch_free(s->watch);
	if (s->efd >= 0)
		close(s->efd);
	for (int i = 0; i < N_STMTS; i++)
		sqlite3_finalize(s->st[i]);
	sqlite3_close(s->db);
	pthread_mutex_destroy(&s->db_lock);
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->wake);
	free(s);
}

/* A thread that takes no signal: they belong to the loop. */
static int
start_thread(struct store *s, struct ml_err *err)
{
	sigset_t all, old;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&s->thread, NULL, work, s);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc != 0)
		return ML_ERR(err, ErrMetaStore, rc, strerror(rc));
	s->running = true;
	return 0;
}

static int
store_open(struct ml_meta **out, struct ml_loop *l, const char *data_dir, struct ml_err *err)
{
	struct store *s = calloc(1, sizeof(*s));
	char path[4096];

	if (s == NULL)
		return ML_ERR(err, ErrNoMemory, 0, "opening the metadata store");
	s->base.ops = &ml_meta_sqlite;
	s->efd = -1;
	ml_list_init(&s->todo);
	ml_list_init(&s->done);
	pthread_mutex_init(&s->lock, NULL);
	pthread_mutex_init(&s->db_lock, NULL);
	pthread_cond_init(&s->wake, NULL);
	if (snprintf(path, sizeof(path), "%s/meta.db", data_dir) >= (int)sizeof(path)) {
		ML_ERR(err, ErrMetaStore, 0, "the path of the data directory is too long");
		goto fail;
	}
	if (prepare(s, path, err) < 0)
		goto fail;
	s->efd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->efd < 0) {
		ML_ERR(err, ErrMetaStore, errno, strerror(errno));
		goto fail;
	}
	s->watch = ml_watch_new(l, s->efd, EV_READ, on_done, s);
	if (start_thread(s, err) < 0)
		goto fail;
	*out = &s->base;
	return 0;
fail:
	store_close(&s->base);
	return -1;
}

static int
store_list(struct ml_meta *base, const char *prefix, ml_meta_each *fn, void *arg, struct ml_err *err)
{
	struct store *s = (struct store *)base;
	sqlite3_stmt *st = s->st[S_LIST];
	int rc;

	pthread_mutex_lock(&s->db_lock);
	sqlite3_bind_text(st, 1, prefix, -1, SQLITE_STATIC);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW)
		fn((const char *)sqlite3_column_text(st, 0), sqlite3_column_blob(st, 1),
			(size_t)sqlite3_column_bytes(st, 1), (uint64_t)sqlite3_column_int64(st, 2), arg);
	if (rc != SQLITE_DONE)
		fail(s, sql[S_LIST], err);
	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	pthread_mutex_unlock(&s->db_lock);
	return rc == SQLITE_DONE ? 0 : -1;
}

static void
store_commit(struct ml_meta *base, struct ml_meta_txn *t)
{
	struct store *s = (struct store *)base;

	pthread_mutex_lock(&s->lock);
	ml_list_append(&s->todo, &t->link);
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->lock);
}

const struct ml_meta_ops ml_meta_sqlite = {
	.name = "sqlite",
	.open = store_open,
	.list = store_list,
	.commit = store_commit,
	.close = store_close,
};
