/*
 * test_storage_shared.c - a folder whose directories change and that has had another owner: midnight between rows and their file,
 * and a table that two sinks write, as when a node that is slow to die is followed by its successor.
 */
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
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "capture-worker/sink/sink.h"
#include "common/text/uri.h"

struct node {
	Ml__ChangefeedSpec spec;
	Ml__ServerConfig config;
	struct ml_sink_env env;
	const struct ml_sink_ops *ops;
	struct ml_uri *uri;
	struct ml_sink *s;
	uint64_t seq;
	_Atomic unsigned durable; /* batches */
};

static char root[64];

static void
count_durable(void *arg, uint64_t seq)
{
	(void)seq;
	((struct node *)arg)->durable++;
}

static void
node_open(struct node *n, const char *tz, const char *config)
{
	struct ml_err err;
	char text[128];

	memset(n, 0, sizeof(*n));
	ml__changefeed_spec__init(&n->spec);
	ml__server_config__init(&n->config);
	n->spec.id = (char *)"cf";
	n->spec.sink_config_json = (char *)(uintptr_t)config;
	n->config.tz = (char *)(uintptr_t)tz;
	snprintf(text, sizeof(text), "file://%s", root);
	assert_int_equal(ml_uri_parse(&n->uri, text, &err), 0);
	n->env = (struct ml_sink_env){ .spec = &n->spec,
		.config = &n->config,
		.uri = n->uri,
		.object = "cf/0",
		.protocol = "canal-json",
		.arg = n,
		.durable = count_durable };
	n->ops = ml_sink_for("file", &err);
	if (n->ops->open(&n->s, &n->env, &err) != 0)
		fail_msg("%s", err.text);
}

static void
node_close(struct node *n)
{
	n->ops->close(n->s);
	ml_uri_free(n->uri);
}

static void
put(struct node *n, struct ml_schema *t, const char *text, size_t len)
{
	struct ml_batch *b = ml_batch_new();
	struct ml_msg *m = ml_batch_msg(b);
	char *copy = ml_arena_bytes(&b->arena, len);
	struct ml_err err;

	memcpy(copy, text, len);
	*m = (struct ml_msg){ .value = copy, .value_len = (uint32_t)len, .schema = t, .rows = 1 };
	ml_batch_pin(b, t);
	b->seq = ++n->seq;
	b->barrier.kind = ML_BAR_RESOLVED;
	assert_int_equal(n->ops->write(n->s, b, &err), 0);
}

static void
flush(struct node *n)
{
	struct ml_err err = { 0 };

	if (n->ops->flush(n->s, &err) != 0)
		fail_msg("%s", err.text);
}

static struct ml_schema *
table(void)
{
	struct ml_schema *t = ml_schema_new();

	t->db = (struct ml_text){ "db", 2 };
	t->table = (struct ml_text){ "t", 1 };
	t->qname = (struct ml_text){ "db.t", 4 };
	t->version = 7;
	return t;
}

static void
assert_file(const char *name, const char *want)
{
	char path[300], got[128];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", root, name);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		fail_msg("%s is missing", path);
	n = read(fd, got, sizeof(got) - 1);
	close(fd);
	assert_true(n >= 0);
	got[n] = '\0';
	assert_string_equal(got, want);
}

static void
make_file(const char *dir, const char *name, const char *text)
{
	char path[300];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", root, dir);
	for (char *p = path + 1; *p != '\0'; p++)
		if (*p == '/') {
			*p = '\0';
			(void)mkdir(path, 0700);
			*p = '/';
		}
	(void)mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/%s/%s", root, dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static int
fresh_root(void **state)
{
	(void)state;
	strcpy(root, "/tmp/test_storage.XXXXXX");
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

/* A zone in which it will be midnight in three seconds, and how far from Greenwich it is. */
static long
zone_before_midnight(char tz[16])
{
	long second = (long)(time(NULL) % 86400), offset = 86397 - second, shown;

	if (offset > 43200)
		offset -= 86400;
	shown = labs(offset);
	snprintf(tz, 16, "%c%02ld:%02ld:%02ld", offset < 0 ? '-' : '+', shown / 3600, shown / 60 % 60, shown % 60);
	return offset;
}

static void
day(char out[16], long offset)
{
	time_t local = time(NULL) + offset;
	struct tm tm;

	gmtime_r(&local, &tm);
	strftime(out, 16, "%Y-%m-%d", &tm);
}

static void
midnight_comes_between_rows_and_their_file(void **state)
{
	struct ml_schema *t = table();
	char tz[16], first[16], now[16], name[80], row[70000];
	long offset = zone_before_midnight(tz);
	struct node n;
	struct stat st;

	(void)state;
	day(first, offset);
	node_open(&n, tz, "{\"file-index-digit\":6}");
	put(&n, t, "before", 6);
	flush(&n);
	/* One row waits in memory, one is spilled to a temporary file beside its place of today. */
	put(&n, t, "late", 4);
	memset(row, 'r', sizeof(row));
	put(&n, t, row, sizeof(row));
	do {
		usleep(20000);
		day(now, offset);
	} while (strcmp(first, now) == 0);
	/* Somebody has been there already: its index is read, and its file stays. */
	snprintf(name, sizeof(name), "db/t/7/%s", now);
	make_file(name, "CDC000005.json", "of another");
	snprintf(name, sizeof(name), "db/t/7/%s/meta", now);
	make_file(name, "CDC.index", "CDC000005.json\n");
	assert_int_equal(n.durable, 1);
	flush(&n);
	assert_int_equal(n.durable, 3);
	put(&n, t, "after", 5);
	flush(&n);
	node_close(&n);
	snprintf(name, sizeof(name), "db/t/7/%s/CDC000001.json", first);
	assert_file(name, "before");
	snprintf(name, sizeof(name), "db/t/7/%s/meta/CDC.index", first);
	assert_file(name, "CDC000001.json\n");
	snprintf(name, sizeof(name), "db/t/7/%s/CDC000005.json", now);
	assert_file(name, "of another");
	snprintf(row, sizeof(row), "%s/db/t/7/%s/CDC000006.json", root, now);
	assert_int_equal(stat(row, &st), 0);
	assert_int_equal(st.st_size, 4 + 70000);
	snprintf(name, sizeof(name), "db/t/7/%s/CDC000007.json", now);
	assert_file(name, "after");
	snprintf(name, sizeof(name), "db/t/7/%s/meta/CDC.index", now);
	assert_file(name, "CDC000007.json\n");
	ml_schema_unref(t);
}

static void
two_that_write_a_table_never_replace_a_file(void **state)
{
	static const char config[] = "{\"date-separator\":\"none\",\"file-index-digit\":6}";
	struct ml_schema *t = table();
	struct node old, new;

	(void)state;
	node_open(&old, "UTC", config);
	put(&old, t, "old 1", 5);
	flush(&old);
	put(&old, t, "old 2", 5);
	node_open(&new, "UTC", config);
	put(&new, t, "new 1", 5);
	flush(&new);
	/* It still believes that 2 is free. */
	flush(&old);
	put(&new, t, "new 2", 5);
	flush(&new);
	put(&old, t, "old 3", 5);
	flush(&old);
	node_close(&old);
	put(&new, t, "new 3", 5);
	flush(&new);
	node_close(&new);
	assert_int_equal(old.durable, 3);
	assert_int_equal(new.durable, 3);
	assert_file("db/t/7/CDC000001.json", "old 1");
	assert_file("db/t/7/CDC000002.json", "new 1");
	assert_file("db/t/7/CDC000003.json", "old 2");
	assert_file("db/t/7/CDC000004.json", "new 2");
	assert_file("db/t/7/CDC000005.json", "old 3");
	assert_file("db/t/7/CDC000006.json", "new 3");
	assert_file("db/t/7/meta/CDC.index", "CDC000006.json\n");
	ml_schema_unref(t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(midnight_comes_between_rows_and_their_file, fresh_root, drop_root),
		cmocka_unit_test_setup_teardown(two_that_write_a_table_never_replace_a_file, fresh_root, drop_root),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
