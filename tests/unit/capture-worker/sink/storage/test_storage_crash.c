/*
 * test_storage_crash.c - a process with a storage sink is killed again and again, wherever it happens to be: what was said to be
 * durable is in a finished file, and no finished file is torn.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "capture-worker/sink/sink.h"
#include "common/text/uri.h"

#define ROUNDS 8
#define ROW_LEN 20 /* "000000000042 xxxx\r\n" and more of it */
#define MAX_SEQ 100000

static char root[64];

static void
tell(void *arg, uint64_t seq)
{
	int fd = *(int *)arg;

	if (write(fd, &seq, sizeof(seq)) != (ssize_t)sizeof(seq))
		_exit(1);
}

/* Writes rows from `first` on until it is killed. */
static void
child(int fd, uint64_t first)
{
	Ml__ChangefeedSpec spec = ML__CHANGEFEED_SPEC__INIT;
	const struct ml_sink_ops *ops;
	struct ml_sink_env env = {
		.spec = &spec, .object = "cf/0", .protocol = "canal-json", .arg = &fd, .durable = tell
	};
	struct ml_schema *t = ml_schema_new();
	struct ml_uri *u;
	struct ml_sink *s;
	struct ml_err err;
	char text[128];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	spec.id = (char *)"cf";
	spec.sink_config_json = (char *)"{\"date-separator\":\"none\"}";
	t->db = (struct ml_text){ "db", 2 };
	t->table = (struct ml_text){ "t", 1 };
	t->qname = (struct ml_text){ "db.t", 4 };
	t->version = 7;
	snprintf(text, sizeof(text), "file://%s", root);
	if (ml_uri_parse(&u, text, &err) != 0)
		_exit(1);
	env.uri = u;
	ops = ml_sink_for("file", &err);
	if (ops == NULL || ops->open(&s, &env, &err) != 0)
		_exit(1);
	for (uint64_t seq = first;; seq++) {
		struct ml_batch *b = ml_batch_new();
		struct ml_msg *m = ml_batch_msg(b);
		char *row = ml_arena_bytes(&b->arena, ROW_LEN + 1);

		snprintf(row, ROW_LEN + 1, "%012llu xxxxx\r\n", (unsigned long long)seq);
		*m = (struct ml_msg){ .value = row, .value_len = ROW_LEN, .schema = t, .rows = 1 };
		ml_batch_pin(b, t);
		b->seq = seq;
		b->barrier.kind = ML_BAR_RESOLVED;
		if (ops->write(s, b, &err) != 0 || (seq % 3 == 0 && ops->flush(s, &err) != 0))
			_exit(1);
	}
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void
what_was_durable_survives_a_kill(void **state)
{
	static uint8_t durable[MAX_SEQ], found[MAX_SEQ];
	uint64_t first = 1;
	char path[512];
	int n_files = 0;
	DIR *d;

	(void)state;
	strcpy(root, "/tmp/test_storage.XXXXXX");
	assert_non_null(mkdtemp(root));
	srand(7);
	for (int round = 0; round < ROUNDS; round++) {
		int pipes[2], status, wanted = 1 + rand() % 12;
		uint64_t seq;
		pid_t pid;

		assert_int_equal(pipe(pipes), 0);
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			close(pipes[0]);
			child(pipes[1], first);
		}
		close(pipes[1]);
		for (int got = 0; got < wanted; got++) {
			assert_int_equal(read(pipes[0], &seq, sizeof(seq)), sizeof(seq));
			durable[seq] = 1;
		}
		usleep((useconds_t)(rand() % 20000)); /* anywhere in the next file's way */
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		assert_true(WIFSIGNALED(status));
		while (read(pipes[0], &seq, sizeof(seq)) == (ssize_t)sizeof(seq))
			durable[seq] = 1; /* said before it died */
		close(pipes[0]);
		/* As after a restart: again from what is not known to be durable. */
		while (durable[first])
			first++;
	}
	snprintf(path, sizeof(path), "%s/db/t/7", root);
	d = opendir(path);
	assert_non_null(d);
	for (struct dirent *e; (e = readdir(d)) != NULL;) {
		char row[ROW_LEN + 1] = "";
		size_t n, lines = 0;
		FILE *f;

		if (strncmp(e->d_name, "CDC", 3) != 0 || strstr(e->d_name, ".tmp.") != NULL)
			continue;
		assert_int_equal(strlen(e->d_name), 28);
		snprintf(path, sizeof(path), "%s/db/t/7/%s", root, e->d_name);
		f = fopen(path, "r");
		assert_non_null(f);
		while ((n = fread(row, 1, ROW_LEN, f)) == ROW_LEN) {
			uint64_t seq = strtoull(row, NULL, 10);

			assert_string_equal(row + 12, " xxxxx\r\n");
			assert_true(seq > 0 && seq < MAX_SEQ);
			found[seq] = 1;
			lines++;
		}
		assert_int_equal(n, 0); /* whole rows only */
		assert_true(lines > 0);
		fclose(f);
		n_files++;
	}
	closedir(d);
	for (uint64_t seq = 0; seq < MAX_SEQ; seq++)
		if (durable[seq] && !found[seq])
			fail_msg("row %llu was durable and is in no file", (unsigned long long)seq);
	assert_true(n_files >= ROUNDS);
	for (int i = 1; i <= n_files; i++) {
		snprintf(path, sizeof(path), "%s/db/t/7/CDC%020d.json", root, i);
		assert_int_equal(access(path, F_OK), 0); /* numbered without a gap */
	}
	nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(what_was_durable_survives_a_kill) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
