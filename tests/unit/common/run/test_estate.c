/* The estate of a worker: connections wait for a successor, who waits for their servers. */
#include "common/run/estate.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/run/log.h"
#include "common/run/loop.h"
#include "common/run/proc.h"

static char dir[] = "/tmp/millrace-estate-XXXXXX";
static char marker[64];
static int pair[2];  /* the supervisor's */
static int listener; /* the server's */
static uint16_t port;

static int
dial(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = port, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(s >= 0);
	assert_int_equal(connect(s, (struct sockaddr *)&at, sizeof(at)), 0);
	return s;
}

/* What a worker's process does between its start and what `kind` says; it ends like one that is killed. */
static void
worker(const char *kind, int connections)
{
	pid_t pid = fork();
	char got[16];
	int status, s;

	assert_true(pid >= 0);
	if (pid == 0) {
		int high[2] = { fcntl(pair[0], F_DUPFD, 100), fcntl(pair[1], F_DUPFD, 100) };

		/* No copy of the server's end, which would keep it open. */
		dup2(high[0], ML_PROC_ESTATE_FD);
		dup2(high[1], ML_PROC_ESTATE_FD + 1);
		close_range(ML_PROC_FD, ML_PROC_ESTATE_FD - 1, 0);
		close_range(ML_PROC_ESTATE_FD + 2, ~0u, 0);
		ml_estate_open(dir, "test");
		if (strstr(kind, "settle") != NULL && !ml_estate_settle(5000))
			_exit(2);
		for (int i = 0; i < connections; i++) {
			s = dial();
			if (ml_estate_add(s) != 0 || send(s, "request", 7, MSG_NOSIGNAL) != 7)
				_exit(3);
			if (strstr(kind, "close") != NULL) {
				ml_estate_end(s);
				/* The server is not behind. */
				while (recv(s, got, sizeof(got), 0) > 0)
					continue;
				close(s);
			}
		}
		if (strstr(kind, "reset") != NULL && ml_estate_settle(100))
			_exit(4);
		if (strstr(kind, "leave") != NULL) {
			if (!ml_estate_leave(5000))
				_exit(5);
			if (ml_estate_add(0) == 0 || errno != ECANCELED)
				_exit(6);
		}
		if (strstr(kind, "hurry") != NULL && ml_estate_leave(50))
			_exit(7);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static int
take(void)
{
	int s = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	assert_true(s >= 0);
	return s;
}

/* A slow server: reads the request and the end, and closes after a while. */
static void *
slow_server(void *arg)
{
	int s = *(int *)arg;
	char got[16];

	while (recv(s, got, sizeof(got), 0) > 0)
		continue;
	poll(NULL, 0, 200);
	close(s);
	return NULL;
}

static int
set_up(void **state)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);

	(void)state;
	assert_int_equal(ml_estate_pair(pair), 0);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(listener, 128), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &len), 0);
	port = at.sin_port;
	unlink(marker);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	close(pair[0]);
	close(pair[1]);
	close(listener);
	return 0;
}

static void
test_a_successor_waits(void **state)
{
	uint64_t start;
	pthread_t t;
	int s;

	(void)state;
	worker("settle", 1);
	s = take();
	assert_false(ml_estate_empty(pair));
	/* The worker is dead, and its connection is not: that is for the successor to end. */
	assert_int_equal(access(marker, F_OK), 0);
	start = ml_now_ms();
	assert_int_equal(pthread_create(&t, NULL, slow_server, &s), 0);
	worker("settle", 0);
	pthread_join(t, NULL);
	assert_true(ml_now_ms() - start >= 200);
	assert_int_not_equal(access(marker, F_OK), 0);
	/* Nothing is left. */
	worker("settle leave", 0);
	assert_true(ml_estate_empty(pair));
}

static void
test_a_server_that_does_not_close(void **state)
{
	char got[16];
	int s;

	(void)state;
	worker("settle", 1);
	s = take();
	/* In a hurry it stays for the next one; who may reset it does. */
	worker("hurry", 0);
	assert_false(ml_estate_empty(pair));
	worker("reset", 0);
	assert_int_equal(recv(s, got, 7, MSG_WAITALL), 7);
	assert_true(recv(s, got, 1, 0) <= 0);
	close(s);
}

static void
test_a_worker_that_leaves(void **state)
{
	pthread_t t;
	int s;

	(void)state;
	worker("settle", 1);
	s = take();
	assert_int_equal(pthread_create(&t, NULL, slow_server, &s), 0);
	worker("leave", 0);
	pthread_join(t, NULL);
	assert_true(ml_estate_empty(pair));
	assert_int_not_equal(access(marker, F_OK), 0);
}

static void
test_reconnecting_does_not_fill_it(void **state)
{
	int status, n = 0, s;
	pid_t pid;

	(void)state;
	/* The server closes each as soon as it has come. */
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		for (int i = 0; i < 2000; i++)
			close(take());
		_exit(0);
	}
	worker("settle close", 2000);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	while (!ml_estate_empty(pair)) {
		char byte[16];

		s = (int)recv(pair[1], byte, sizeof(byte), MSG_DONTWAIT);
		assert_int_equal(s, 16);
		n++;
	}
	assert_in_range(n, 1, 100);
}

static void
test_after_a_crash_of_all(void **state)
{
	uint64_t start = ml_now_ms();
	int fd = open(marker, O_CREAT | O_WRONLY, 0600);

	(void)state;
	close(fd);
	worker("settle", 0);
	assert_true(ml_now_ms() - start >= ML_ESTATE_CRASH_MS);
	assert_int_not_equal(access(marker, F_OK), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_successor_waits, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_server_that_does_not_close, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_worker_that_leaves, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_reconnecting_does_not_fill_it, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_after_a_crash_of_all, set_up, tear_down),
	};
	int rc;

	ml_log_init("test");
	assert_non_null(mkdtemp(dir));
	snprintf(marker, sizeof(marker), "%s/connections", dir);
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(marker);
	rmdir(dir);
	return rc;
}
