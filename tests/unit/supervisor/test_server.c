/*
 * test_server.c - the real `millrace server` from the command line to its exit, with a gateway that does nothing: copies of the
 * programs are laid into a folder in which this test program itself stands for the children.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/run/log.h"
#include "common/run/proc.h"

/* --- the gateway: says that it is up and what it was given --- */

static void
ignore(struct ml_chan *ch, const Ml__Envelope *m, int fd, void *arg)
{
	(void)ch;
	(void)m;
	(void)fd;
	(void)arg;
}

static int
gateway(void)
{
	static const struct ml_inbox_row rows[] = {
		{ ML__ENVELOPE__BODY_LIVENESS, ML_PROC_IN_UP, ignore },
		{ ML__ENVELOPE__BODY_PROCESS_STATS, ML_PROC_IN_UP, ignore },
	};
	struct ml_proc_desc desc = { .role = ML__ROLE__ROLE_GATEWAY, .log_name = "gateway", .rows = rows, .n_rows = 2 };
	struct ml_loop *l = ml_loop_new();
	struct ml_proc *p = ml_proc_start(l, &desc);
	const Ml__ServerConfig *c = ml_proc_config(p);
	int fd = ml_proc_listen_fd(p), listening = 0;
	socklen_t len = sizeof(listening);

	getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len);
	/* The length only: the log must not hold the password. */
	ml_info("-", "fake gateway listening=%d addr=%s advertise=%s password_len=%zu uuid_len=%zu", listening, c->addr,
		c->advertise_addr, c->upstream != NULL ? strlen(c->upstream->password) : 0, strlen(c->capture_id));
	ml_proc_ready(p);
	ml_loop_run(l);
	return 0;
}

/* --- the test --- */

static char dir[64], self[PATH_MAX];
static pid_t server_pid;

static char paths[32][160];

/* The path of a file of this test; it stays as it is until the test ends, so that argument lists can hold it. */
static const char *
path(const char *name)
{
	char wanted[sizeof(paths[0])];
	size_t i;

	snprintf(wanted, sizeof(wanted), "%s/%s", dir, name);
	for (i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		if (paths[i][0] == '\0')
			memcpy(paths[i], wanted, sizeof(wanted));
		if (strcmp(paths[i], wanted) == 0)
			return paths[i];
	}
	fail_msg("more files than this test has room for");
	return NULL;
}

static char *
read_file(const char *name, size_t *len)
{
	static char text[200000];
	int fd = open(name, O_RDONLY);
	ssize_t n = 0, r;

	while (fd >= 0 && (size_t)n < sizeof(text) - 1 && (r = read(fd, text + n, sizeof(text) - 1 - (size_t)n)) > 0)
		n += r;
	if (fd >= 0)
		close(fd);
	text[n] = '\0';
	if (len != NULL)
		*len = (size_t)n;
	return text;
}

static void run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void
run(const char *fmt, ...)
{
	char command[1000];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	assert_int_equal(system(command), 0);
}

static int
setup(void **state)
{
	(void)state;
	memset(paths, 0, sizeof(paths));
	snprintf(dir, sizeof(dir), "/tmp/ml-srv-XXXXXX");
	assert_non_null(mkdtemp(dir));
	/* As installed: bin/millrace and libexec/millrace/... */
	run("mkdir -p %s/bin %s/libexec/millrace", dir, dir);
	run("cp %s/millrace %s/bin/", ML_BIN_DIR, dir);
	run("cp %s/millrace-supervisor %s/libexec/millrace/", ML_BIN_DIR, dir);
	run("cp %s %s/libexec/millrace/millrace-api-gateway", self, dir);
	run("cp %s %s/libexec/millrace/millrace-capture-worker", self, dir);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	if (server_pid > 0) {
		kill(server_pid, SIGKILL);
		waitpid(server_pid, NULL, 0);
		server_pid = 0;
	}
	run("rm -rf %s", dir);
	return 0;
}

/* Starts `millrace server` with the arguments; its console goes to the file `console`. */
static pid_t
spawn(const char *console, const char *const *args)
{
	const char *argv[20] = { "millrace", "server" };
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	for (unsigned i = 0; args[i] != NULL && i < 17; i++)
		argv[i + 2] = args[i];
	dup2(open(path(console), O_WRONLY | O_CREAT | O_TRUNC, 0600), 1);
	dup2(1, 2);
	execv(path("bin/millrace"), (char *const *)(uintptr_t)argv);
	_exit(99);
}

static int
exit_code(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void
await(const char *file, const char *text)
{
	uint64_t end = ml_now_ms() + 20000;
	struct timespec nap = { 0, 2000000 };

	while (strstr(read_file(path(file), NULL), text) == NULL) {
		if (ml_now_ms() > end)
			fail_msg("'%s' did not come: %s", text, read_file(path(file), NULL));
		nanosleep(&nap, NULL);
	}
}

static const char *
data(void)
{
	return path("data");
}

static void
a_server_runs_until_sigterm_and_hides_its_password(void **state)
{
	const char *args[] = { "--addr", "127.0.0.1:0", "--data-dir", data(), "--upstream",
		"mysql://root:geheim@127.0.0.1:1/", "--log-file", path("log"), NULL };
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	char name[64], *text;
	struct stat st;
	int s, port = 0;
	size_t n;

	(void)state;
	server_pid = spawn("console", args);
	await("log", "gateway: up pid=");
	text = read_file(path("log"), NULL);
	assert_non_null(strstr(text, "fake gateway listening=1 addr=127.0.0.1:"));
	assert_non_null(strstr(text, "password_len=6 uuid_len=36"));
	assert_non_null(strstr(text, "upstream uri=mysql://root@127.0.0.1:1/"));
	assert_null(strstr(text, "geheim"));
	assert_int_equal(sscanf(strstr(text, "advertise=127.0.0.1:"), "advertise=127.0.0.1:%d", &port), 1);
	/* The port of 0 is a real one, and it listens even though nobody accepts. */
	sa.sin_port = htons((uint16_t)port);
	s = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(s, (struct sockaddr *)&sa, sizeof(sa)), 0);
	close(s);
	snprintf(name, sizeof(name), "/proc/%d/cmdline", server_pid);
	text = read_file(name, &n);
	assert_null(memmem(text, n, "geheim", 6));
	assert_non_null(memmem(text, n, "mysql://root@127.0.0.1:1/", 25));
	assert_int_equal(stat(data(), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(atoi(read_file(path("data/millrace.lock"), NULL)), server_pid);
	kill(server_pid, SIGTERM);
	assert_int_equal(exit_code(server_pid), 0);
	server_pid = 0;
	await("log", "supervisor[");
	assert_non_null(strstr(read_file(path("log"), NULL), "stopped exit_code=0"));
	assert_null(strstr(read_file(path("log"), NULL), "WARN"));
	assert_string_equal(read_file(path("console"), NULL), "");
}

static void
the_environments_password_is_wiped_and_not_inherited(void **state)
{
	const char *args[] = { "--addr", "127.0.0.1:0", "--data-dir", data(), "--upstream", "mysql://root@127.0.0.1:1/",
		"--log-file", path("log"), NULL };
	char name[64], *text;
	int gateway_pid = 0;
	size_t n;

	(void)state;
	setenv("MILLRACE_UPSTREAM_PASSWORD", "geheim!", 1);
	server_pid = spawn("console", args);
	unsetenv("MILLRACE_UPSTREAM_PASSWORD");
	await("log", "gateway: up pid=");
	text = read_file(path("log"), NULL);
	assert_non_null(strstr(text, "password_len=7"));
	assert_int_equal(sscanf(strstr(text, "gateway: up pid="), "gateway: up pid=%d", &gateway_pid), 1);
	for (unsigned i = 0; i < 2; i++) {
		snprintf(name, sizeof(name), "/proc/%d/environ", i == 0 ? server_pid : gateway_pid);
		text = read_file(name, &n);
		assert_true(n > 0);
		assert_null(memmem(text, n, "geheim", 6));
	}
	/* A child has its log and its channel, and nothing else of the supervisor's. */
	snprintf(name, sizeof(name), "/proc/%d/cmdline", gateway_pid);
	text = read_file(name, &n);
	assert_string_equal(text + strlen(text) + 1, "gateway");
	kill(server_pid, SIGINT);
	assert_int_equal(exit_code(server_pid), 0);
	server_pid = 0;
}

static void
a_second_server_is_refused(void **state)
{
	const char *args[] = { "--addr", "127.0.0.1:0", "--data-dir", data(), NULL };
	const char *third[] = { "--addr", NULL, "--data-dir", path("data3"), "--log-file", path("log3"), NULL };
	char want[200], addr[40], *text;
	int port;

	(void)state;
	server_pid = spawn("console", args);
	await("console", "gateway: up pid="); /* without --log-file the log is standard output */
	text = read_file(path("console"), NULL);
	assert_non_null(strstr(text, "no upstream is configured"));
	assert_int_equal(sscanf(strstr(text, " addr=127.0.0.1:"), " addr=127.0.0.1:%d", &port), 1);
	assert_int_equal(exit_code(spawn("console2", args)), 1);
	snprintf(want, sizeof(want),
		"Error: [CDC:ErrDataDirLocked]data directory %s is in use by the server with pid %d; ", data(),
		server_pid);
	text = read_file(path("console2"), NULL);
	assert_int_equal(strncmp(text, want, strlen(want)), 0);
	assert_null(strstr(text, "Usage:"));
	/* Another folder, the same port. */
	snprintf(addr, sizeof(addr), "127.0.0.1:%d", port);
	third[1] = addr;
	assert_int_equal(exit_code(spawn("console3", third)), 1);
	snprintf(want, sizeof(want), "Error: [CDC:ErrListen]cannot listen on %s: Address already in use\n", addr);
	assert_string_equal(read_file(path("console3"), NULL), want);
	assert_non_null(strstr(read_file(path("log3"), NULL), "[CDC:ErrListen]"));
	kill(server_pid, SIGTERM);
	assert_int_equal(exit_code(server_pid), 0);
	/* Once it is gone both are free at once. */
	third[3] = data();
	server_pid = spawn("console4", third);
	await("log3", "gateway: up pid=");
	kill(server_pid, SIGTERM);
	assert_int_equal(exit_code(server_pid), 0);
	server_pid = 0;
}

static void
mistakes_show_the_usage_and_start_nothing(void **state)
{
	static const char *const rows[][4] = {
		{ "--nope", NULL },
		{ "--gc-ttl", "0", NULL },
		{ "--config", "/nonexistent", NULL },
		{ "--upstream", "mysql://u:geheim@h:x/", NULL },
	};
	const char *check[] = { "-n", "--upstream=mysql://root@db:3306/", NULL };
	const char *bad_dir[] = { "--data-dir", "/proc/nonexistent", "--addr", "127.0.0.1:0", NULL };
	char *text;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(exit_code(spawn("console", rows[i])), 1);
		text = read_file(path("console"), NULL);
		assert_int_equal(strncmp(text, "Error: [CDC:Err", 15), 0);
		assert_non_null(strstr(text, "\nUsage:\n"));
		assert_null(strstr(text, "geheim"));
	}
	assert_int_equal(exit_code(spawn("console", check)), 0);
	assert_string_equal(read_file(path("console"), NULL), "configuration ok\n");
	assert_int_equal(exit_code(spawn("console", bad_dir)), 1);
	text = read_file(path("console"), NULL);
	assert_int_equal(
		strncmp(text, "Error: [CDC:ErrDataDir]data directory /proc/nonexistent cannot be used: ", 71), 0);
}

static void
the_program_itself(void **state)
{
	(void)state;
	run("%s/bin/millrace version >%s 2>&1", dir, path("out"));
	assert_int_equal(strncmp(read_file(path("out"), NULL), "Release Version: v8.5.0+millrace.", 33), 0);
	run("%s/bin/millrace --help | grep -q '^Usage:'", dir);
	run("%s/bin/millrace cli changefeed list 2>%s; test $? = 1", dir, path("out"));
	assert_non_null(strstr(read_file(path("out"), NULL), "Error: \"millrace cli\" is not part of this version"));
	run("%s/bin/millrace nonsense 2>%s; test $? = 1", dir, path("out"));
	assert_non_null(
		strstr(read_file(path("out"), NULL), "Error: unknown command \"nonsense\" for \"millrace\"\nUsage:"));
	/* A child that is started by hand says what it is. */
	run("%s/libexec/millrace/millrace-api-gateway gateway </dev/null 2>%s; test $? = 78", dir, path("out"));
	assert_non_null(strstr(read_file(path("out"), NULL), "is started by it"));
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_server_runs_until_sigterm_and_hides_its_password, setup, teardown),
		cmocka_unit_test_setup_teardown(the_environments_password_is_wiped_and_not_inherited, setup, teardown),
		cmocka_unit_test_setup_teardown(a_second_server_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(mistakes_show_the_usage_and_start_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(the_program_itself, setup, teardown),
	};

	if (argc == 2 && strcmp(argv[1], "gateway") == 0)
		return gateway();
	if (realpath("/proc/self/exe", self) == NULL)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
