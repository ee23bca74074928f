/*
 * test_supervisor.c - the real supervisor with children that misbehave.  This program plays all parts: started by a supervisor
 * it is the gateway or a worker, and the worker's changefeed id says in which way it is bad.
 *
 * Every process appends what it sees to one file, one line at a time; the test waits for lines to come.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/run/log.h"
#include "common/run/proc.h"
#include "supervisor/child.h"
#include "supervisor/supervisor.h"

/* --- the parts of children --- */

static struct ml_loop *loop;
static struct ml_proc *proc;
static const char *me; /* changefeed id, or "gateway" */

static void report(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void
report(const char *fmt, ...)
{
	char line[400];
	int fd = open(getenv("FAKE_REPORT"), O_WRONLY | O_APPEND | O_CREAT, 0600), n;
	va_list ap;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	line[n++] = '\n';
	if (write(fd, line, (size_t)n) != n)
		abort();
	close(fd);
}

static void
on_pair_message(struct ml_chan *ch, const Ml__Envelope *m, int fd, void *arg)
{
	(void)ch;
	(void)fd;
	(void)arg;
	if (m->body_case == ML__ENVELOPE__BODY_WORKER_HELLO)
		report("%s hello %s %d", me, m->worker_hello->key->changefeed_id, m->worker_hello->assigned);
}

static void
on_pair_closed(struct ml_chan *ch, enum ml_chan_end end, const struct ml_err *err, void *arg)
{
	(void)end;
	(void)err;
	(void)arg;
	ml_chan_free(ch);
}

static const struct ml_chan_handlers pair_handlers = { on_pair_message, on_pair_closed, NULL };

static void
take_channel(struct ml_chan *ch, const Ml__Envelope *m, int fd, void *arg)
{
	static bool before;
	Ml__Envelope out = ML__ENVELOPE__INIT;
	Ml__WorkerHello hello = ML__WORKER_HELLO__INIT;
	Ml__ShardKey key = ML__SHARD_KEY__INIT;

	(void)ch;
	(void)m;
	(void)arg;
	key.changefeed_id = (char *)(uintptr_t)me;
	hello.key = &key;
	hello.assigned = before;
	before = true;
	out.body_case = ML__ENVELOPE__BODY_WORKER_HELLO;
	out.worker_hello = &hello;
	ml_chan_send(ml_chan_new(loop, fd, "gateway", &pair_handlers, NULL), &out, -1);
}

static void
stop_worker(uint32_t grace_ms, void *arg)
{
	(void)arg;
	report("%s stop %u", me, grace_ms);
	if (strcmp(me, "stubborn") != 0)
		ml_proc_end(proc, ML_EXIT_OK);
}

static void
send_hello(const char *build)
{
	Ml__Envelope m = ML__ENVELOPE__INIT;
	Ml__Hello hello = ML__HELLO__INIT;

	hello.version = ML_CHAN_VERSION;
	hello.build = (char *)(uintptr_t)build;
	hello.role = ML__ROLE__ROLE_WORKER;
	m.body_case = ML__ENVELOPE__BODY_HELLO;
	m.hello = &hello;
	ml_chan_send(ml_chan_new(loop, ML_PROC_FD, "supervisor", &pair_handlers, NULL), &m, -1);
	ml_loop_run(loop);
}

/* Bad in the way of its name; it never returns. */
static void
worker(void)
{
	static const struct ml_inbox_row rows[] = {
		{ ML__ENVELOPE__BODY_GATEWAY_CHANNEL, ML_PROC_IN_UP, take_channel },
	};
	struct ml_proc_desc desc = {
		.role = ML__ROLE__ROLE_WORKER, .log_name = "fake", .rows = rows, .n_rows = 1, .stop = stop_worker
	};
	Ml__Envelope m = ML__ENVELOPE__INIT;
	Ml__Liveness liveness = ML__LIVENESS__INIT;

	if (strcmp(me, "nohello") == 0)
		for (;;)
			pause();
	if (strcmp(me, "mismatch") == 0)
		send_hello("0.0.0 another build");
	proc = ml_proc_start(loop, &desc);
	if (ml_proc_config(proc)->upstream != NULL || ml_proc_listen_fd(proc) >= 0)
		report("%s was told too much", me);
	if (strcmp(me, "noready") == 0)
		ml_loop_run(loop);
	ml_proc_ready(proc);
	report("%s ready role %d pid %d", me, ml_proc_role(proc), (int)getpid());
	if (strcmp(me, "garbage") == 0 && write(ML_PROC_FD, "\xff\xff\xff\xff\xff", 5) != 5)
		abort();
	if (strcmp(me, "outofturn") == 0) {
		m.body_case = ML__ENVELOPE__BODY_LIVENESS;
		m.liveness = &liveness;
		ml_chan_send(ml_proc_chan(proc), &m, -1);
	}
	if (strcmp(me, "abort") == 0) {
		ml_chan_drain(ml_proc_chan(proc), 1000);
		abort();
	}
	if (strcmp(me, "fault") == 0)
		ml_proc_end(proc, ML_EXIT_FAULT);
	if (strcmp(me, "config") == 0)
		ml_proc_end(proc, ML_EXIT_CONFIG);
	if (strcmp(me, "finished") == 0)
		ml_proc_end(proc, ML_EXIT_OK);
	ml_loop_run(loop);
}

static void
take_shard_up(struct ml_chan *ch, const Ml__Envelope *m, int fd, void *arg)
{
	(void)ch;
	(void)arg;
	report("gateway up %s role %d running %d", m->shard_up->key->changefeed_id, m->shard_up->role,
		m->shard_up->running);
	ml_chan_new(loop, fd, m->shard_up->key->changefeed_id, &pair_handlers, NULL);
}

static void
take_shard_died(struct ml_chan *ch, const Ml__Envelope *m, int fd, void *arg)
{
	const Ml__ShardDied *d = m->shard_died;

	(void)ch;
	(void)fd;
	(void)arg;
	report("gateway died %s epoch %d stopped %d restarting %d hopeless %d: %s", d->key->changefeed_id,
		(int)d->key->epoch, d->stopped, d->restarting, d->hopeless, d->reason);
}

static void
take_other(struct ml_chan *ch, const Ml__Envelope *m, int fd, void *arg)
{
	(void)ch;
	(void)fd;
	(void)arg;
	if (m->body_case == ML__ENVELOPE__BODY_LIVENESS)
		report("gateway liveness %d", m->liveness->stopping);
	else if (m->process_stats->n_processes > 2)
		report("gateway stats %s restarts %u", m->process_stats->processes[2]->name,
			m->process_stats->processes[2]->restarts);
}

/* A line of the test: "start ID EPOCH", "probe ID MS", "stop ID EPOCH GRACE", "level NAME", "bad", "die", "exit CODE". */
static void
on_order(int fd, short what, void *arg)
{
	char text[1000], id[32], *line, *rest = text;
	ssize_t n = read(fd, text, sizeof(text) - 1);

	(void)what;
	(void)arg;
	text[n > 0 ? n : 0] = '\0';
	while ((line = strsep(&rest, "\n")) != NULL && *line != '\0') {
		Ml__Envelope m = ML__ENVELOPE__INIT;
		Ml__ShardKey key = ML__SHARD_KEY__INIT;
		Ml__StartShard start = ML__START_SHARD__INIT;
		Ml__StopShard stop = ML__STOP_SHARD__INIT;
		Ml__SetLogLevel level = ML__SET_LOG_LEVEL__INIT;
		unsigned a = 0, b = 0;
		char default_ns[] = "default";

		key.namespace_ = default_ns;
		key.changefeed_id = id;
		start.key = stop.key = &key;
		m.body_case = ML__ENVELOPE__BODY_START_SHARD;
		m.start_shard = &start;
		if (sscanf(line, "start %31s %u", id, &a) == 2) {
			start.role = ML__ROLE__ROLE_WORKER;
			key.epoch = a;
		} else if (sscanf(line, "probe %31s %u", id, &a) == 2) {
			start.role = ML__ROLE__ROLE_PROBE;
			start.deadline_ms = a;
		} else if (sscanf(line, "stop %31s %u %u", id, &a, &b) == 3) {
			key.epoch = a;
			stop.grace_ms = b;
			m.body_case = ML__ENVELOPE__BODY_STOP_SHARD;
			m.stop_shard = &stop;
		} else if (sscanf(line, "level %31s", id) == 1) {
			level.level = id;
			m.body_case = ML__ENVELOPE__BODY_SET_LOG_LEVEL;
			m.set_log_level = &level;
		} else if (sscanf(line, "exit %u", &a) == 1) {
			_exit((int)a);
		} else if (strcmp(line, "die") == 0) {
			kill(getpid(), SIGKILL);
		} else {
			start.role = ML__ROLE__ROLE_GATEWAY; /* "bad": nobody may ask for that */
		}
		ml_chan_send(ml_proc_chan(proc), &m, -1);
	}
}

static void
stop_gateway(uint32_t grace_ms, void *arg)
{
	(void)arg;
	report("gateway stop %d", grace_ms > 0);
	ml_proc_end(proc, ML_EXIT_OK);
}

static void
gateway(void)
{
	static const struct ml_inbox_row rows[] = {
		{ ML__ENVELOPE__BODY_SHARD_UP, ML_PROC_IN_UP, take_shard_up },
		{ ML__ENVELOPE__BODY_SHARD_DIED, ML_PROC_IN_UP, take_shard_died },
		{ ML__ENVELOPE__BODY_LIVENESS, ML_PROC_IN_UP, take_other },
		{ ML__ENVELOPE__BODY_PROCESS_STATS, ML_PROC_IN_UP, take_other },
	};
	struct ml_proc_desc desc = {
		.role = ML__ROLE__ROLE_GATEWAY, .log_name = "fake", .rows = rows, .n_rows = 4, .stop = stop_gateway
	};
	int orders;

	proc = ml_proc_start(loop, &desc);
	ml_proc_ready(proc);
	report("gateway ready fd %d upstream %s pid %d", ml_proc_listen_fd(proc) >= 0,
		ml_proc_config(proc)->upstream->password, (int)getpid());
	/* Read-write, so that it never ends. */
	orders = open(getenv("FAKE_ORDERS"), O_RDWR | O_NONBLOCK | O_CLOEXEC);
	ml_watch_new(loop, orders, EV_READ, on_order, NULL);
	ml_loop_run(loop);
}

/* --- the test's own --- */

static char dir[64], report_path[96], orders_path[96], log_path[96], self[PATH_MAX];
static pid_t sup_pid;
static size_t seen; /* of the report, what earlier waits have passed */
static size_t mark; /* where await_any begins */

static uint32_t ready_ms = 20000; /* ample, but for the test that waits for it */

static void
start(uint32_t grace_ms)
{
	snprintf(dir, sizeof(dir), "/tmp/ml-sup-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(report_path, sizeof(report_path), "%s/report", dir);
	snprintf(orders_path, sizeof(orders_path), "%s/orders", dir);
	snprintf(log_path, sizeof(log_path), "%s/log", dir);
	assert_int_equal(mkfifo(orders_path, 0600), 0);
	close(open(report_path, O_CREAT | O_WRONLY, 0600));
	setenv("FAKE_REPORT", report_path, 1);
	setenv("FAKE_ORDERS", orders_path, 1);
	seen = mark = 0;
	sup_pid = fork();
	assert_true(sup_pid >= 0);
	if (sup_pid == 0) {
		Ml__ServerConfig config = ML__SERVER_CONFIG__INIT;
		Ml__Upstream upstream = ML__UPSTREAM__INIT;
		struct ml_supervisor_env env = { .gateway_program = self,
			.worker_program = self,
			.lock_fd = -1,
			.grace_ms = grace_ms,
			.ready_ms = ready_ms,
			.config = &config };
		char password[] = "geheim", level[] = "info";
		struct rlimit no_core = { 0, 0 };
		struct ml_supervisor *sup;
		struct ml_loop *l = ml_loop_new();
		int fd = open(log_path, O_WRONLY | O_CREAT | O_APPEND, 0600), code;

		setrlimit(RLIMIT_CORE, &no_core);
		env.listen_fd = open("/dev/null", O_RDONLY);
		dup2(fd, 2);
		upstream.password = password;
		config.upstream = &upstream;
		config.log_level = level;
		ml_log_init("supervisor");
		sup = ml_supervisor_new(l, &env);
		code = ml_supervisor_run(sup);
		ml_supervisor_free(sup);
		ml_loop_free(l);
		_exit(code);
	}
}

static char *
read_file(const char *path)
{
	static char text[100000];
	int fd = open(path, O_RDONLY);
	ssize_t n = read(fd, text, sizeof(text) - 1);

	close(fd);
	text[n > 0 ? n : 0] = '\0';
	return text;
}

/* Waits until text stands in the report behind all that earlier waits have found; returns what follows it. */
static const char *
await(const char *text)
{
	uint64_t end = ml_now_ms() + 20000;
	struct timespec nap = { 0, 2000000 };

	while (ml_now_ms() < end) {
		char *all = read_file(report_path), *at = strlen(all) >= seen ? strstr(all + seen, text) : NULL;

		if (at != NULL && strchr(at, '\n') != NULL) {
			seen = (size_t)(at - all) + strlen(text);
			return all + seen;
		}
		nanosleep(&nap, NULL);
	}
	fprintf(stderr, "--- report\n%s", read_file(report_path));
	fprintf(stderr, "--- log\n%s", read_file(log_path));
	fail_msg("did not come: %s", text);
	return NULL;
}

/* Like await, from the mark on: for things whose order is not given. */
static const char *
await_any(const char *text)
{
	size_t kept = seen;
	const char *after;

	seen = mark;
	after = await(text);
	if (seen < kept)
		seen = kept;
	return after;
}

static void
order(const char *text)
{
	int fd = open(orders_path, O_WRONLY);

	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static int
finish(void)
{
	int status;

	assert_int_equal(waitpid(sup_pid, &status, 0), sup_pid);
	sup_pid = 0;
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int
stop(void)
{
	kill(sup_pid, SIGTERM);
	return finish();
}

static int
after_test(void **state)
{
	char command[100];

	(void)state;
	if (sup_pid > 0) {
		kill(sup_pid, SIGKILL); /* the children see their channel close */
		waitpid(sup_pid, NULL, 0);
		sup_pid = 0;
	}
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

static void
a_worker_is_connected_to_the_gateway_and_stopped_with_the_node(void **state)
{
	(void)state;
	start(3000);
	await("gateway ready fd 1 upstream geheim");
	order("start good 1\n");
	await("good ready role 2");
	await_any("gateway up good role 2 running 0");
	await_any("gateway hello good 0");
	await_any("gateway stats worker good/0 restarts 0");
	kill(sup_pid, SIGHUP);
	await_any("gateway liveness 1");
	/* Two thirds of the whole time, less what has passed of it. */
	assert_in_range(atoi(await_any("good stop ")), 1, 2000);
	await_any("gateway died good epoch 1 stopped 1 restarting 0 hopeless 0: exit 0");
	await_any("gateway stop 1"); /* the gateway is the last */
	assert_int_equal(finish(), 0);
}

static void
killed_workers_come_back_soon(void **state)
{
	uint64_t killed = 0;

	(void)state;
	start(1000);
	await("gateway ready");
	order("start good 7\n");
	for (unsigned i = 0; i < 5; i++) {
		int pid = 0;

		/* The hello is waited for before the next kill: else that of this worker could be taken for the next one's. */
		mark = seen;
		assert_int_equal(sscanf(await("good ready role 2 pid "), "%d", &pid), 1);
		await_any("gateway hello good 0");
		if (i > 0)
			assert_true(ml_now_ms() - killed < 3000);
		if (i == 4)
			break;
		killed = ml_now_ms();
		kill(pid, SIGKILL);
		await("gateway died good epoch 7 stopped 0 restarting 1 hopeless 0: SIGKILL");
	}
	assert_int_equal(stop(), 0);
}

static void
bad_children_are_killed_and_restarted(void **state)
{
	static const struct {
		const char *id, *want;
	} rows[] = {
		{ "nohello", "stopped 0 restarting 1 hopeless 0: not ready in time" },
		{ "noready", "stopped 0 restarting 1 hopeless 0: not ready in time" },
		{ "garbage", "stopped 0 restarting 1 hopeless 0: bad message: " },
		{ "outofturn", "stopped 0 restarting 1 hopeless 0: bad message: " },
		{ "abort", "stopped 0 restarting 1 hopeless 0: SIGABRT" },
	};
	char text[200];

	(void)state;
	ready_ms = 500;
	start(1000);
	ready_ms = 20000;
	await("gateway ready");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(text, sizeof(text), "start %s 1\n", rows[i].id);
		order(text);
	}
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(text, sizeof(text), "gateway died %s epoch 1 %s", rows[i].id, rows[i].want);
		await_any(text);
	}
	/* They hurt nobody else. */
	order("start good 1\n");
	await_any("gateway hello good 0");
	assert_int_equal(stop(), 0);
}

static void
what_restarting_cannot_help_is_parked_until_it_is_asked_for(void **state)
{
	static const struct {
		const char *id, *want;
	} rows[] = {
		{ "fault", "stopped 0 restarting 0 hopeless 0: exit 70" },
		{ "finished", "stopped 0 restarting 0 hopeless 0: exit 0" },
		{ "config", "stopped 0 restarting 0 hopeless 1: exit 78" },
		{ "mismatch", "stopped 0 restarting 0 hopeless 1: it is of build '0.0.0 another build', version 1" },
	};
	char text[200];

	(void)state;
	start(1000);
	await("gateway ready");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		/* Twice: a StartShard is what ends parking. */
		for (unsigned times = 0; times < 2; times++) {
			snprintf(text, sizeof(text), "start %s 1\n", rows[i].id);
			order(text);
			snprintf(text, sizeof(text), "gateway died %s epoch 1 %s", rows[i].id, rows[i].want);
			await(text);
		}
		snprintf(text, sizeof(text), "stop %s 1 100\n", rows[i].id);
		order(text);
		snprintf(text, sizeof(text), "gateway died %s epoch 1 stopped 1", rows[i].id);
		await(text);
	}
	assert_int_equal(stop(), 0);
}

static void
stopping_a_shard(void **state)
{
	(void)state;
	start(1000);
	await("gateway ready");
	order("stop nobody 3 100\n");
	await("gateway died nobody epoch 3 stopped 1");
	order("start stubborn 1\nstart good 1\n");
	await_any("gateway hello stubborn 0");
	await_any("gateway hello good 0");
	order("stop stubborn 1 400\n");
	await_any("stubborn stop 400");
	await("gateway died stubborn epoch 1 stopped 1 restarting 0 hopeless 0: not stopped in time");
	order("stop good 1 0\n"); /* no time at all */
	await("gateway died good epoch 1 stopped 1 restarting 0 hopeless 0: SIGKILL");
	assert_null(strstr(read_file(report_path), "good stop"));
	assert_int_equal(stop(), 0);
}

static void
a_new_epoch_ends_the_old_one_first(void **state)
{
	char *all, *died, *second;

	(void)state;
	start(1000);
	await("gateway ready");
	order("start good 1\n");
	await("gateway hello good 0");
	order("start good 2\n");
	await("gateway died good epoch 1 stopped 1");
	await_any("good ready");
	await("gateway hello good 0");
	all = read_file(report_path);
	died = strstr(all, "gateway died good epoch 1");
	second = strstr(strstr(all, "good ready") + 1, "good ready");
	assert_true(second != NULL && died < second);
	assert_int_equal(stop(), 0);
}

static void
a_new_gateway_finds_the_running_workers(void **state)
{
	int gateway_pid = 0;

	(void)state;
	start(1000);
	assert_int_equal(sscanf(await("gateway ready fd 1 upstream geheim pid "), "%d", &gateway_pid), 1);
	order("start good 1\nstart fault 1\n");
	await_any("gateway hello good 0");
	await_any("gateway died fault epoch 1");
	mark = strlen(read_file(report_path));
	kill(gateway_pid, SIGKILL);
	await_any("gateway ready fd 1"); /* with its listener and all */
	await_any("gateway up good role 2 running 1");
	await_any("gateway hello good 1");
	await_any("gateway died fault epoch 1 stopped 0 restarting 0 hopeless 0: exit 70");
	/* A gateway that says something wrong fares the same. */
	mark = strlen(read_file(report_path));
	order("bad\n");
	await_any("gateway ready fd 1");
	await_any("gateway hello good 1");
	assert_int_equal(stop(), 0);
}

static void
a_hopeless_gateway_ends_the_server(void **state)
{
	(void)state;
	start(1000);
	await("gateway ready");
	order("start good 1\n");
	await("gateway hello good 0");
	order("exit 78\n");
	await("good stop");
	assert_int_equal(finish(), 1);
}

static void
a_probe_lives_once_and_within_its_time(void **state)
{
	char *all;

	(void)state;
	start(1000);
	await("gateway ready");
	order("probe good 1500\n");
	await("good ready role 3");
	await_any("gateway up good role 3 running 0");
	await("gateway died good epoch 0 stopped 0 restarting 0 hopeless 0: not done in time");
	order("probe finished 1000\n");
	await("gateway died finished epoch 0 stopped 0 restarting 0 hopeless 0: exit 0");
	/* Nothing is left of them: the same may be asked again. */
	order("probe finished 1000\n");
	await("gateway died finished epoch 0 stopped 0 restarting 0 hopeless 0: exit 0");
	all = read_file(report_path);
	assert_null(strstr(strstr(all, "good ready role 3") + 1, "good ready"));
	assert_int_equal(stop(), 0);
}

static void
a_log_level_reaches_everyone(void **state)
{
	(void)state;
	start(1000);
	await("gateway ready");
	order("start good 1\n");
	await("gateway hello good 0");
	order("level debug\nstart good2 1\n");
	await_any("gateway hello good2 0");
	assert_non_null(strstr(read_file(log_path), "log level is now debug"));
	assert_non_null(strstr(read_file(log_path), "DEBUG supervisor"));
	assert_int_equal(stop(), 0);
}

static void
the_second_signal_waits_for_nobody(void **state)
{
	uint64_t before = ml_now_ms();

	(void)state;
	start(60000);
	await("gateway ready");
	order("start stubborn 1\n");
	await("gateway hello stubborn 0");
	kill(sup_pid, SIGTERM);
	assert_in_range(atoi(await("stubborn stop ")), 30000, 40000);
	kill(sup_pid, SIGINT);
	assert_int_equal(finish(), 1);
	assert_true(ml_now_ms() - before < 20000);
}

static void
whoever_does_not_stop_is_killed_in_the_end(void **state)
{
	(void)state;
	start(600);
	await("gateway ready");
	order("start stubborn 1\n");
	await("gateway hello stubborn 0");
	kill(sup_pid, SIGQUIT);
	await("stubborn stop");
	await("gateway died stubborn epoch 1 stopped 1 restarting 0 hopeless 0: not stopped in time");
	await("gateway stop 1");
	assert_int_equal(finish(), 0);
}

/* A zombie that init has not collected yet is as good as gone. */
static bool
gone(int pid)
{
	char path[64], *stat;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	stat = read_file(path);
	return *stat == '\0' || strstr(stat, ") Z") != NULL;
}

static void
children_end_with_the_supervisor(void **state)
{
	uint64_t end = ml_now_ms() + 20000;
	int worker_pid = 0, gateway_pid = 0;
	struct timespec nap = { 0, 2000000 };

	(void)state;
	start(1000);
	assert_int_equal(sscanf(await("gateway ready fd 1 upstream geheim pid "), "%d", &gateway_pid), 1);
	order("start good 1\n");
	assert_int_equal(sscanf(await("good ready role 2 pid "), "%d", &worker_pid), 1);
	kill(sup_pid, SIGKILL);
	while ((!gone(worker_pid) || !gone(gateway_pid)) && ml_now_ms() < end)
		nanosleep(&nap, NULL);
	assert_true(gone(worker_pid));
	assert_true(gone(gateway_pid));
	waitpid(sup_pid, NULL, 0);
	sup_pid = 0;
}

static void
too_many_deaths_within_the_window_are_told(void **state)
{
	struct ml_tally t = { 0 };
	struct ml_death d = { 0 };

	(void)state;
	for (unsigned i = 0; i < ML_TALLY_DEATHS - 1; i++) {
		d.at_ms = i * 1000;
		assert_false(ml_tally_add(&t, &d));
	}
	d.at_ms = ML_TALLY_WINDOW_MS + 1; /* the first is out of the window by now, the second is in it */
	assert_false(ml_tally_add(&t, &d));
	assert_true(ml_tally_add(&t, &d));
	ml_tally_clear(&t);
	assert_false(ml_tally_add(&t, &d));
}

static void
jitter_stays_within_a_tenth(void **state)
{
	(void)state;
	for (uint32_t rnd = 0; rnd < 1000; rnd++) {
		assert_in_range(ml_child_jitter(1000, rnd), 900, 1100);
		assert_in_range(ml_child_jitter(20, rnd), 18, 22);
		assert_int_equal(ml_child_jitter(0, rnd), 0);
	}
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_worker_is_connected_to_the_gateway_and_stopped_with_the_node, after_test),
		cmocka_unit_test_teardown(killed_workers_come_back_soon, after_test),
		cmocka_unit_test_teardown(bad_children_are_killed_and_restarted, after_test),
		cmocka_unit_test_teardown(what_restarting_cannot_help_is_parked_until_it_is_asked_for, after_test),
		cmocka_unit_test_teardown(stopping_a_shard, after_test),
		cmocka_unit_test_teardown(a_new_epoch_ends_the_old_one_first, after_test),
		cmocka_unit_test_teardown(a_new_gateway_finds_the_running_workers, after_test),
		cmocka_unit_test_teardown(a_hopeless_gateway_ends_the_server, after_test),
		cmocka_unit_test_teardown(a_probe_lives_once_and_within_its_time, after_test),
		cmocka_unit_test_teardown(a_log_level_reaches_everyone, after_test),
		cmocka_unit_test_teardown(the_second_signal_waits_for_nobody, after_test),
		cmocka_unit_test_teardown(whoever_does_not_stop_is_killed_in_the_end, after_test),
		cmocka_unit_test_teardown(children_end_with_the_supervisor, after_test),
		cmocka_unit_test(too_many_deaths_within_the_window_are_told),
		cmocka_unit_test(jitter_stays_within_a_tenth),
	};

	if (argc == 2 && getenv("FAKE_REPORT") != NULL) {
		me = strtok(argv[1], "/");
		loop = ml_loop_new();
		if (strcmp(me, "gateway") == 0)
			gateway();
		else
			worker();
		return 1;
	}
	if (realpath("/proc/self/exe", self) == NULL)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
