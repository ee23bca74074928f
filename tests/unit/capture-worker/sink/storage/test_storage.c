/* test_storage.c - the storage sink through its operations, in a temporary folder: layout, restart, DDLs, failures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "capture-worker/sink/sink.h"
#include "common/text/uri.h"

#define NONE "{\"date-separator\":\"none\"}"

static char root[64];
static const char *protocol = "canal-json";

struct env {
	struct ml_sink_env env;
	Ml__ChangefeedSpec spec;
	Ml__ServerConfig config;
	struct ml_uri *uri;
	const struct ml_sink_ops *ops;
	struct ml_sink *s;
	pthread_mutex_t lock;
	uint64_t durable, failures; /* under lock: number of durable batches, of fail calls */
	struct ml_err error;
};

static void
on_durable(void *arg, uint64_t seq)
{
	struct env *e = arg;

	(void)seq;
	pthread_mutex_lock(&e->lock);
	e->durable++;
	pthread_mutex_unlock(&e->lock);
}

static void
on_fail(void *arg, const struct ml_err *err)
{
	struct env *e = arg;

	pthread_mutex_lock(&e->lock);
	e->failures++;
	e->error = *err;
	pthread_mutex_unlock(&e->lock);
}

static uint64_t
durable(struct env *e)
{
	uint64_t n;

	pthread_mutex_lock(&e->lock);
	n = e->durable;
	pthread_mutex_unlock(&e->lock);
	return n;
}

static uint64_t
failures(struct env *e)
{
	uint64_t n;

	pthread_mutex_lock(&e->lock);
	n = e->failures;
	pthread_mutex_unlock(&e->lock);
	return n;
}

static int
try_open_uri(struct env *e, const char *uri, const char *config, struct ml_err *err)
{
	memset(e, 0, sizeof(*e));
	pthread_mutex_init(&e->lock, NULL);
	ml__changefeed_spec__init(&e->spec);
	ml__server_config__init(&e->config);
	e->config.tz = (char *)"UTC";
	e->spec.id = (char *)"cf";
	e->spec.sink_config_json = (char *)config;
	assert_int_equal(ml_uri_parse(&e->uri, uri, NULL), 0);
	e->env = (struct ml_sink_env){ .spec = &e->spec,
		.config = &e->config,
		.uri = e->uri,
		.object = "cf/0",
		.protocol = protocol,
		.arg = e,
		.durable = on_durable,
		.fail = on_fail };
	e->ops = ml_sink_for(e->uri->scheme, err);
	assert_non_null(e->ops);
	if (e->ops->check(&e->env, err) != 0 || e->ops->open(&e->s, &e->env, err) != 0)
		return -1;
	return 0;
}

static int
try_open(struct env *e, const char *dir, const char *query, const char *config, struct ml_err *err)
{
	char text[512];

	snprintf(text, sizeof(text), "file://%s%s", dir, query);
	return try_open_uri(e, text, config, err);
}

static void
open_env(struct env *e, const char *config)
{
	struct ml_err err;

	if (try_open(e, root, "", config, &err) != 0)
		fail_msg("%s", err.text);
}

static void
close_env(struct env *e)
{
	if (e->s != NULL)
		e->ops->close(e->s);
	ml_uri_free(e->uri);
	pthread_mutex_destroy(&e->lock);
}

/* A table with one integer column of this name. */
static struct ml_schema *
table(const char *db, const char *name, const char *column, ml_ts version)
{
	struct ml_schema *s = ml_schema_new();
	struct ml_column *c;

	s->db = (struct ml_text){ ml_arena_strndup(&s->arena, db, strlen(db)), (uint32_t)strlen(db) };
	s->table = (struct ml_text){ ml_arena_strndup(&s->arena, name, strlen(name)), (uint32_t)strlen(name) };
	s->qname = s->table;
	s->version = version;
	s->n_columns = 1;
	s->columns = c = ml_arena_zalloc(&s->arena, sizeof(*s->columns));
	c->name = (struct ml_text){ column, (uint32_t)strlen(column) };
	c->type_short = (struct ml_text){ "int", 3 };
	c->type = ML_T_LONG;
	c->flen = 11;
	c->flags = ML_F_NULLABLE;
	return s;
}

static int
put(struct env *e, struct ml_schema *s, const char *text, size_t len, bool boundary, struct ml_err *err)
{
	struct ml_batch *b = ml_batch_new();
	struct ml_msg *m = ml_batch_msg(b);
	char *copy = ml_arena_bytes(&b->arena, len);

	memcpy(copy, text, len);
	*m = (struct ml_msg){ .value = copy, .value_len = (uint32_t)len, .schema = s, .rows = 1 };
	ml_batch_pin(b, s);
	b->barrier.kind = boundary ? ML_BAR_RESOLVED : ML_BAR_NONE;
	return e->ops->write(e->s, b, err);
}

static void
put_text(struct env *e, struct ml_schema *s, const char *text)
{
	struct ml_err err;

	if (put(e, s, text, strlen(text), true, &err) != 0)
		fail_msg("%s", err.text);
}

static void
flush(struct env *e)
{
	struct ml_err err;

	if (e->ops->flush(e->s, &err) != 0)
		fail_msg("%s", err.text);
}

/* Text of root/path; "" and *len -1 without such a file.  Static storage. */
static const char *
text_of(const char *path, ssize_t *len)
{
	static char text[4 << 20];
	char full[512];
	int fd;

	snprintf(full, sizeof(full), "%s/%s", root, path);
	fd = open(full, O_RDONLY);
	text[0] = '\0';
	*len = -1;
	if (fd < 0)
		return text;
	*len = read(fd, text, sizeof(text) - 1);
	text[*len] = '\0';
	close(fd);
	return text;
}

static void
assert_file(const char *path, const char *want)
{
	ssize_t n;
	const char *got = text_of(path, &n);

	if (n < 0)
		fail_msg("there is no file %s", path);
	assert_string_equal(got, want);
}

static void
assert_no_file(const char *path)
{
	ssize_t n;

	text_of(path, &n);
	if (n >= 0)
		fail_msg("there is a file %s", path);
}

static void
make_file(const char *path, const char *text)
{
	char full[512];
	FILE *f;

	snprintf(full, sizeof(full), "%s/%s", root, path);
	f = fopen(full, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static int n_tmp;

static int
count_tmp(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	n_tmp += strstr(path, ".tmp.") != NULL;
	return 0;
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
fresh_root(void **state)
{
	(void)state;
	strcpy(root, "/tmp/test_storage.XXXXXX");
	return mkdtemp(root) == NULL ? -1 : 0;
}

static int
drop_root(void **state)
{
	(void)state;
	nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	ml_batch_pool_drain();
	return 0;
}

/* A file of root/dir whose name begins with prefix holds this text. */
static bool
schema_file_has(const char *dir, const char *prefix, const char *has)
{
	char full[256], path[600];
	bool found = false;
	ssize_t n;
	DIR *d;

	snprintf(full, sizeof(full), "%s/%s", root, dir);
	d = opendir(full);
	assert_non_null(d);
	for (struct dirent *f; (f = readdir(d)) != NULL;)
		if (strncmp(f->d_name, prefix, strlen(prefix)) == 0) {
			snprintf(path, sizeof(path), "%s/%s", dir, f->d_name);
			found = strstr(text_of(path, &n), has) != NULL;
		}
	closedir(d);
	return found;
}

static void
rows_become_durable_with_their_file(void **state)
{
	struct ml_schema *t = table("db", "t", "a", 7);
	struct env e;
	char path[128], date[16];
	time_t now;

	(void)state;
	open_env(&e, "");
	put_text(&e, t, "one\r\n");
	put_text(&e, t, "two\r\n");
	assert_int_equal(durable(&e), 0);
	now = time(NULL);
	strftime(date, sizeof(date), "%Y-%m-%d", gmtime(&now));
	flush(&e);
	assert_int_equal(durable(&e), 2);
	snprintf(path, sizeof(path), "db/t/7/%s/CDC00000000000000000001.json", date);
	assert_file(path, "one\r\ntwo\r\n");
	snprintf(path, sizeof(path), "db/t/7/%s/meta/CDC.index", date);
	assert_file(path, "CDC00000000000000000001.json\n");
	assert_true(schema_file_has("db/t/meta", "schema_7_", "\"Query\": \"\",\n    \"Type\": 0,"));
	put_text(&e, t, "three\r\n");
	flush(&e);
	snprintf(path, sizeof(path), "db/t/7/%s/CDC00000000000000000002.json", date);
	assert_file(path, "three\r\n");
	assert_int_equal(durable(&e), 3);
	n_tmp = 0;
	nftw(root, count_tmp, 16, FTW_PHYS);
	assert_int_equal(n_tmp, 0);
	close_env(&e);
	ml_schema_unref(t);
}

static void
a_restart_goes_on_behind_what_is_there(void **state)
{
	struct ml_schema *t = table("db", "t", "a", 7);
	struct env e;
	struct ml_err err;

	(void)state;
	open_env(&e, "{\"date-separator\":\"none\",\"file-index-digit\":6}");
	put_text(&e, t, "one");
	flush(&e);
	put_text(&e, t, "lost with the sink");
	close_env(&e);
	n_tmp = 0;
	nftw(root, count_tmp, 16, FTW_PHYS);
	assert_int_equal(n_tmp, 0);
	assert_file("db/t/7/meta/CDC.index", "CDC000001.json\n");

	/* A file without its index: a crash between the two. */
	make_file("db/t/7/CDC000002.json", "from before the crash");
	open_env(&e, "{\"date-separator\":\"none\",\"file-index-digit\":6}");
	put_text(&e, t, "three");
	flush(&e);
	assert_file("db/t/7/CDC000002.json", "from before the crash");
	assert_file("db/t/7/CDC000003.json", "three");
	close_env(&e);

	/* The index names a file that is missing, or empty: its number is used (again). */
	make_file("db/t/7/meta/CDC.index", "CDC000009.json\n");
	make_file("db/t/7/CDC000009.json", "");
	open_env(&e, "{\"date-separator\":\"none\",\"file-index-digit\":6}");
	put_text(&e, t, "nine");
	flush(&e);
	assert_file("db/t/7/CDC000009.json", "nine");
	close_env(&e);

	/* No index at all. */
	assert_int_equal(unlink(strcat(strcpy((char[256]){ 0 }, root), "/db/t/7/meta/CDC.index")), 0);
	open_env(&e, "{\"date-separator\":\"none\",\"file-index-digit\":6}");
	put_text(&e, t, "four");
	flush(&e);
	assert_file("db/t/7/CDC000004.json", "four");
	close_env(&e);

	make_file("db/t/7/meta/CDC.index", "CDCx.json\n");
	open_env(&e, "{\"date-separator\":\"none\",\"file-index-digit\":6}");
	put_text(&e, t, "never");
	assert_int_equal(e.ops->flush(e.s, &err), -1);
	assert_int_equal(err.code, ML_ErrStorageSinkInvalidFileName);
	assert_int_equal(durable(&e), 0);
	close_env(&e);
	ml_schema_unref(t);
}

static void
the_directory_is_that_of_the_definition(void **state)
{
	struct ml_schema *t7 = table("db", "t", "a", 7), *t9 = table("db", "t", "a", 9), *u9 = table("db", "t", "b", 9);
	struct ml_schema *t12 = table("db", "t", "a", 12);
	struct env e;
	struct ml_err err;
	ssize_t n;

	(void)state;
	open_env(&e, NONE);
	put_text(&e, t7, "1");
	put_text(&e, t9, "2"); /* read anew after a restart, nothing changed: the old directory */
	put_text(&e, u9, "3");
	flush(&e);
	assert_file("db/t/7/CDC00000000000000000001.json", "12");
	assert_file("db/t/9/CDC00000000000000000001.json", "3");
	/* The definition of 7 again, by a DDL: its own file and directory. */
	assert_int_equal(e.ops->ddl(e.s,
				 &(struct ml_ddl){ .commit_ts = 12,
					 .action = 5,
					 .db = { "db", 2 },
					 .table = { "t", 1 },
					 .query = { "q", 1 },
					 .schema = t12 },
				 NULL, false, &err),
		0);
	put_text(&e, t12, "4");
	flush(&e);
	assert_file("db/t/12/CDC00000000000000000001.json", "4");
	close_env(&e);

	make_file("db/t/meta/schema_no_number.json", "");
	open_env(&e, NONE);
	put_text(&e, t7, "5");                                 /* its file is found by name */
	assert_int_equal(put(&e, t9, "6", 1, true, &err), -1); /* this one must look around */
	assert_int_equal(err.code, ML_ErrInternalCheckFailed);
	close_env(&e);
	text_of("db/t/7/CDC00000000000000000002.json", &n);
	assert_int_equal(n, -1); /* nothing after the error */
	ml_schema_unref(t7);
	ml_schema_unref(t9);
	ml_schema_unref(u9);
	ml_schema_unref(t12);
}

static void
ddls_write_schema_files(void **state)
{
	struct ml_schema *t = table("db", "new", "a", 20);
	struct ml_ddl rows[] = {
		{ .commit_ts = 11, .action = 1, .db = { "db", 2 }, .query = { "CREATE DATABASE db", 18 } },
		{ .commit_ts = 20,
			.action = 14,
			.db = { "db", 2 },
			.table = { "new", 3 },
			.pre_db = { "db", 2 },
			.pre_table = { "old", 3 },
			.query = { "RENAME TABLE old TO new", 23 },
			.schema = t },
		{ .commit_ts = 30,
			.action = 42,
			.db = { "db", 2 },
			.table = { "part", 4 },
			.pre_db = { "db2", 3 },
			.pre_table = { "x", 1 },
			.query = { "EXCHANGE", 8 },
			.schema = t },
		{ .commit_ts = 40,
			.action = 4,
			.db = { "db", 2 },
			.table = { "new", 3 },
			.query = { "DROP TABLE new", 14 },
			.schema = t },
	};
	static const struct {
		const char *dir, *prefix, *has;
	} want[] = {
		{ "db/meta", "schema_11_", "\"Table\": \"\"" },
		{ "db/meta", "schema_11_", "\"TableColumns\": null" },
		{ "db/new/meta", "schema_20_", "\"Query\": \"RENAME TABLE old TO new\",\n    \"Type\": 14" },
		{ "db/part/meta", "schema_30_", "\"Query\": \"EXCHANGE\",\n    \"Type\": 42" },
		{ "db2/x/meta", "schema_30_", "\"Query\": \"\",\n    \"Type\": 0" },
		{ "db/new/meta", "schema_40_", "\"ColumnName\": \"a\"" },
	};
	struct env e;
	struct ml_err err;

	(void)state;
	open_env(&e, NONE);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(e.ops->ddl(e.s, &rows[i], NULL, false, &err), 0);
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		if (!schema_file_has(want[i].dir, want[i].prefix, want[i].has))
			fail_msg("%s/%s...: %s", want[i].dir, want[i].prefix, want[i].has);
	}
	assert_no_file("db/old");
	close_env(&e);
	ml_schema_unref(t);
}

static void
no_name_leaves_its_directory(void **state)
{
	static const struct {
		const char *db, *table, *dir;
	} rows[] = {
		{ "..", "..", "%2E%2E/%2E%2E" },
		{ ".", "a/../b", "%2E/a%2F..%2Fb" },
		{ "/etc", "...", "%2Fetc/..." },
		{ "metadata", "t", "%6Detadata/t" },
		{ "\xc3\xa4 b", "t'\"", "\xc3\xa4 b/t'\"" },
	};
	struct env e;

	(void)state;
	open_env(&e, NONE);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ml_schema *t = table(rows[i].db, rows[i].table, "a", 3);
		char path[256];

		put_text(&e, t, "x");
		flush(&e);
		snprintf(path, sizeof(path), "%s/3/CDC00000000000000000001.json", rows[i].dir);
		assert_file(path, "x");
		ml_schema_unref(t);
	}
	close_env(&e);
}

static void
a_transaction_is_in_one_file_and_large_files_are_closed_by_themselves(void **state)
{
	static char big[400000];
	struct ml_schema *t = table("db", "t", "a", 7);
	struct env e;
	struct ml_err err;
	ssize_t n;

	(void)state;
	memset(big, 'x', sizeof(big));
	assert_int_equal(try_open(&e, root, "?file-size=1048576", NONE, &err), 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(put(&e, t, big, sizeof(big), false, &err), 0);
	assert_int_equal(put(&e, t, "end", 3, true, &err), 0);
	while (durable(&e) < 5)
		usleep(1000);
	text_of("db/t/7/CDC00000000000000000001.json", &n);
	assert_int_equal(n, 4 * sizeof(big) + 3);
	assert_int_equal(put(&e, t, "next", 4, true, &err), 0);
	flush(&e);
	assert_file("db/t/7/CDC00000000000000000002.json", "next");
	close_env(&e);
	ml_schema_unref(t);
}

static void
more_tables_than_descriptors(void **state)
{
	enum { TABLES = 140 };
	static char row[70000];
	struct ml_schema *t[TABLES];
	struct env e;
	struct ml_err err;
	struct rlimit old, few = { 160, 160 };

	(void)state;
	memset(row, 'y', sizeof(row));
	getrlimit(RLIMIT_NOFILE, &old);
	few.rlim_max = old.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	open_env(&e, NONE);
	for (int i = 0; i < TABLES; i++) {
		char name[16];

		snprintf(name, sizeof(name), "t%d", i);
		t[i] = table("db", name, "a", 7);
	}
	for (int round = 0; round < 3; round++)
		for (int i = 0; i < TABLES; i++)
			if (put(&e, t[i], row, round == 1 ? 3 : sizeof(row), true, &err) != 0)
				fail_msg("%s", err.text);
	flush(&e);
	assert_int_equal(durable(&e), 3 * TABLES);
	for (int i = 0; i < TABLES; i++) {
		char path[128];
		ssize_t n;

		snprintf(path, sizeof(path), "db/t%d/7/CDC00000000000000000001.json", i);
		text_of(path, &n);
		assert_int_equal(n, 2 * sizeof(row) + 3);
		ml_schema_unref(t[i]);
	}
	close_env(&e);
	setrlimit(RLIMIT_NOFILE, &old);
}

static void
noop_takes_everything_and_keeps_nothing(void **state)
{
	static char row[300000];
	struct ml_schema *t = table("db", "t", "a", 7);
	struct ml_ddl ddl = { .db = { "db", 2 },
		.table = { "t", 1 },
		.query = { "create", 6 },
		.action = 3,
		.commit_ts = 9,
		.schema = t };
	struct env e;
	struct ml_err err;

	(void)state;
	memset(row, 'x', sizeof(row));
	assert_int_equal(try_open_uri(&e, "noop://any/where?file-size=1048576", NONE, &err), 0);
	for (int i = 0; i < 20; i++)
		assert_int_equal(put(&e, t, row, i % 2 == 0 ? sizeof(row) : 10, true, &err), 0);
	flush(&e);
	assert_int_equal(durable(&e), 20);
	assert_int_equal(e.ops->ddl(e.s, &ddl, NULL, false, &err), 0);
	put_text(&e, t, "more");
	flush(&e);
	assert_int_equal(durable(&e), 21);
	close_env(&e);
	assert_no_file("any");
	ml_schema_unref(t);
}

static void
the_metadata_file_never_goes_back(void **state)
{
	struct env e;
	struct ml_err err;
	struct timespec pause = { .tv_nsec = 20000000 };
	ssize_t n;

	(void)state;
	make_file("metadata", "{\"checkpoint-ts\":100}");
	open_env(&e, NONE);
	assert_int_equal(e.ops->checkpoint(e.s, 90, NULL, NULL, 0, &err), 0);
	assert_int_equal(e.ops->checkpoint(e.s, 101, NULL, NULL, 0, &err), 0);
	assert_file("metadata", "{\"checkpoint-ts\":100}"); /* not in the first two seconds */
	while (strcmp(text_of("metadata", &n), "{\"checkpoint-ts\":101}") != 0) {
		assert_int_equal(e.ops->tick(e.s, &err), 0);
		nanosleep(&pause, NULL);
	}
	close_env(&e);
}

static void
nothing_is_durable_when_the_storage_fails(void **state)
{
	struct ml_schema *t = table("db", "t", "a", 7);
	struct rlimit old, small;
	struct env e;
	struct ml_err err;
	static char row[100000];

	(void)state;
	/* A file stands where the table's directory belongs. */
	open_env(&e, NONE);
	make_file("db", "");
	assert_int_equal(put(&e, t, "x", 1, true, &err), -1);
	assert_int_equal(err.code, ML_ErrStorageSinkSendFailed);
	assert_int_equal(put(&e, t, "x", 1, true, &err), -1);
	assert_int_equal(durable(&e), 0);
	close_env(&e);
	unlink(strcat(strcpy((char[256]){ 0 }, root), "/db"));

	/* The disk is full: here, files may not grow. */
	open_env(&e, NONE);
	put_text(&e, t, "first");
	flush(&e);
	memset(row, 'z', sizeof(row));
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	small = (struct rlimit){ 1000, old.rlim_max };
	setrlimit(RLIMIT_FSIZE, &small);
	if (put(&e, t, row, 60000, true, &err) == 0)
		assert_int_equal(e.ops->flush(e.s, &err), -1);
	assert_int_equal(err.code, ML_ErrStorageSinkSendFailed);
	while (failures(&e) == 0)
		usleep(1000); /* told by the thread that met it */
	assert_int_equal(failures(&e), 1);
	assert_int_equal(e.error.code, ML_ErrStorageSinkSendFailed);
	assert_int_equal(e.ops->flush(e.s, &err), -1);
	assert_int_equal(put(&e, t, row, 3, true, &err), -1);
	setrlimit(RLIMIT_FSIZE, &old);
	assert_int_equal(durable(&e), 1);
	assert_no_file("db/t/7/CDC00000000000000000002.json");
	close_env(&e);
	n_tmp = 0;
	nftw(root, count_tmp, 16, FTW_PHYS);
	assert_int_equal(n_tmp, 0);
	ml_schema_unref(t);
}

static void
old_leftovers_are_swept(void **state)
{
	struct ml_schema *t = table("db", "t", "a", 7);
	struct timespec old[2] = { { .tv_sec = time(NULL) - 100000 }, { .tv_sec = time(NULL) - 100000 } };
	struct env e;
	char path[256];

	(void)state;
	open_env(&e, NONE);
	put_text(&e, t, "1");
	flush(&e);
	close_env(&e);
	make_file("db/t/7/CDC.json.tmp.old", "x");
	make_file("db/t/7/CDC.json.tmp.young", "x");
	snprintf(path, sizeof(path), "%s/db/t/7/CDC.json.tmp.old", root);
	assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
	open_env(&e, NONE);
	put_text(&e, t, "2");
	flush(&e);
	assert_no_file("db/t/7/CDC.json.tmp.old");
	assert_file("db/t/7/CDC.json.tmp.young", "x");
	close_env(&e);
	ml_schema_unref(t);
}

static void
csv_files_have_their_own_ending(void **state)
{
	struct ml_schema *t = table("db", "t", "a", 7);
	struct env e;

	(void)state;
	protocol = "csv";
	for (int i = 0; i < 2; i++) {
		open_env(&e, "{\"date-separator\":\"none\",\"file-index-digit\":6}");
		put_text(&e, t, "\"I\",\"t\",\"db\",1\r\n");
		flush(&e);
		close_env(&e);
	}
	protocol = "canal-json";
	assert_file("db/t/7/CDC000001.csv", "\"I\",\"t\",\"db\",1\r\n");
	assert_file("db/t/7/CDC000002.csv", "\"I\",\"t\",\"db\",1\r\n");
	assert_file("db/t/7/meta/CDC.index", "CDC000002.csv\n");
	ml_schema_unref(t);
}

static void
dates_separate_directories(void **state)
{
	static const struct {
		const char *config, *format;
	} rows[] = {
		{ "{\"date-separator\":\"year\"}", "%Y/" },
		{ "{\"date-separator\":\"MONTH\"}", "%Y-%m/" },
		{ "{\"date-separator\":\"\"}", "%Y-%m-%d/" },
		{ "{\"date-separator\":\"none\"}", "" },
	};
	struct ml_schema *t = table("db", "t", "a", 7);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char date[16] = "", path[128];
		time_t now = time(NULL);
		struct env e;

		open_env(&e, rows[i].config);
		put_text(&e, t, "x");
		flush(&e);
		close_env(&e);
		strftime(date, sizeof(date), rows[i].format, gmtime(&now));
		snprintf(path, sizeof(path), "db/t/7/%sCDC00000000000000000001.json", date);
		assert_file(path, "x");
	}
	ml_schema_unref(t);
}

static void
settings_are_checked(void **state)
{
	static const struct {
		const char *dir, *query, *config;
		enum ml_code code;
	} rows[] = {
		{ "", "?worker-count=0", "", ML_ErrStorageSinkInvalidConfig },
		{ "", "?worker-count=", "", ML_ErrStorageSinkInvalidConfig },
		{ "", "?worker-count=x", "", ML_ErrStorageSinkInvalidConfig },
		{ "", "?flush-interval=5", "", ML_ErrStorageSinkInvalidConfig },
		{ "", "?file-size=1.5", "", ML_ErrStorageSinkInvalidConfig },
		{ "", "?transaction-atomicity=row", "", ML_ErrSinkURIInvalid },
		{ "", "", "{\"date-separator\":\"week\"}", ML_ErrSinkInvalidConfig },
		{ "", "", "{\"cloud-storage-config\":{\"worker-count\":\"4\"}}", ML_ErrStorageSinkInvalidConfig },
		{ "", "", "{\"cloud-storage-config\":[]}", ML_ErrSinkInvalidConfig },
		{ "", "", "[]", ML_ErrSinkInvalidConfig },
		{ "", "", "{\"date-separator\":1}", ML_ErrSinkInvalidConfig },
		{ "", "", "{\"file-index-digit\":\"6\"}", ML_ErrSinkInvalidConfig },
		{ "", "", "{\"enable-partition-separator\":\"yes\"}", ML_ErrSinkInvalidConfig },
		{ "", "", "{\"enable-partition-separator\":false}", ML_OK },
		{ "", "", "{\"cloud-storage-config\":{\"output-column-id\":1}}", ML_ErrStorageSinkInvalidConfig },
		{ "", "", "{\"cloud-storage-config\":{\"file-expiration-days\":\"7\"}}",
			ML_ErrStorageSinkInvalidConfig },
		{ "", "", "{\"cloud-storage-config\":{\"file-cleanup-cron-spec\":\"0 0 25 * * *\"}}",
			ML_ErrStorageSinkInvalidConfig },
		{ "", "", "{\"cloud-storage-config\":{\"file-expiration-days\":-1,\"file-cleanup-cron-spec\":\"\"}}",
			ML_OK },
		{ "", "",
			"{\"cloud-storage-config\":{\"file-expiration-days\":7,\"file-cleanup-cron-spec\":\"0 30 4 * * 1-5\"}}",
			ML_OK },
		{ "", "?worker-count=1&transaction-atomicity=table", "{\"date-separator\":\"DAY\"}", ML_OK },
		{ "", "?worker-count=100000&file-size=1&flush-interval=1ms", "{\"file-index-digit\":99}", ML_OK },
		/* The URI wins also with a value that is its type's zero. */
		{ "", "?worker-count=0", "{\"cloud-storage-config\":{\"worker-count\":4}}",
			ML_ErrStorageSinkInvalidConfig },
		{ "host", "", "", ML_ErrStorageSinkInvalidConfig },
		{ "/dev/null/x", "", "", ML_ErrFailToCreateExternalStorage },
		{ "/proc/nowhere", "", "", ML_ErrFailToCreateExternalStorage },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct env e;
		struct ml_err err = { 0 };

		if (try_open(&e, rows[i].dir[0] != '\0' ? rows[i].dir : root, rows[i].query, rows[i].config, &err) == 0)
			err.code = ML_OK;
		if (err.code != rows[i].code)
			fail_msg("%s %s: %s %s", rows[i].query, rows[i].config, ml_code_name(err.code), err.text);
		close_env(&e);
	}
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh_root, drop_root)
	const struct CMUnitTest tests[] = {
		TEST(rows_become_durable_with_their_file),
		TEST(a_restart_goes_on_behind_what_is_there),
		TEST(the_directory_is_that_of_the_definition),
		TEST(ddls_write_schema_files),
		TEST(no_name_leaves_its_directory),
		TEST(a_transaction_is_in_one_file_and_large_files_are_closed_by_themselves),
		TEST(more_tables_than_descriptors),
		TEST(noop_takes_everything_and_keeps_nothing),
		TEST(the_metadata_file_never_goes_back),
		TEST(nothing_is_durable_when_the_storage_fails),
		TEST(old_leftovers_are_swept),
		TEST(csv_files_have_their_own_ending),
		TEST(dates_separate_directories),
		TEST(settings_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
