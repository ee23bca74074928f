/*
 * fake_node.h - for tests of the whole gateway: a supervisor and workers played here, over real channels and real HTTP, all on one loop.
 * Each test runs between node_up and node_down.
 */
#ifndef ML_TESTS_UNIT_API_GATEWAY_FAKE_NODE_H
#define ML_TESTS_UNIT_API_GATEWAY_FAKE_NODE_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "api-gateway/gateway.h"
#include "common/run/log.h"

#define START_TS 445644800000000001ull /* what the probe finds */
#define MAX_WORKERS 16
#define PATIENCE_MS 10000

struct worker {
	char ns[40], id[140];
	uint64_t epoch;
	Ml__Role role;
	struct ml_chan *ch;
	int64_t pid;
	bool running; /* started and not dead */
	bool stop_asked;
	uint32_t grace_ms;
	Ml__Assign *assign; /* the last one; NULL: none */
	Ml__Probe *probe;
	uint64_t saved_ts;
};

static struct node {
	struct ml_loop *l;
	char dir[200];
	struct ml_gateway *g;
	Ml__ServerConfig config;
	Ml__Upstream upstream;
	struct ml_chan *to_gateway, *of_gateway; /* both ends */
	uint16_t port;
	int listen_fd;
	struct worker w[MAX_WORKERS];
	size_t n_w;
	int64_t next_pid;
	char log_level[16];

	/* How the fakes behave. */
	const char *probe_code, *probe_text; /* "" = well */
	bool probe_silent, probe_dies;
	bool worker_silent; /* comes up and says nothing */
	bool slow_stop;     /* StopShard is answered by stop_now() only */
} n;

/* ---- the fakes ---- */

static Ml__ShardKey
key_of(struct worker *w)
{
	Ml__ShardKey k = ML__SHARD_KEY__INIT;

	k.namespace_ = w->ns;
	k.changefeed_id = w->id;
	k.epoch = w->epoch;
	return k;
}

__attribute__((unused)) static void
died(struct worker *w, bool stopped, int sig, const char *reason, bool restarting, bool hopeless)
{
	Ml__Envelope env = ML__ENVELOPE__INIT;
	Ml__ShardDied m = ML__SHARD_DIED__INIT;
	Ml__ShardKey k = key_of(w);

	m.key = &k;
	m.role = w->role;
	m.pid = w->pid;
	m.signal = sig;
	m.stopped = stopped;
	m.restarting = restarting;
	m.hopeless = hopeless;
	m.reason = (char *)(uintptr_t)reason;
	env.body_case = ML__ENVELOPE__BODY_SHARD_DIED;
	env.shard_died = &m;
	ml_chan_send(n.to_gateway, &env, -1);
	w->running = restarting;
	ml_chan_free(w->ch);
	w->ch = NULL;
}

static void
say(struct worker *w, Ml__Envelope__BodyCase body, void *m)
{
	Ml__Envelope env = ML__ENVELOPE__INIT;

	env.body_case = body;
	env.hello = m; /* all pointers of the union are one */
	ml_chan_send(w->ch, &env, -1);
}

__attribute__((unused)) static void
hello(struct worker *w, bool assigned, uint64_t checkpoint_ts)
{
	Ml__WorkerHello m = ML__WORKER_HELLO__INIT;
	Ml__ShardKey k = key_of(w);

	m.key = &k;
	m.assigned = assigned;
	m.checkpoint_ts = m.resolved_ts = checkpoint_ts;
	say(w, ML__ENVELOPE__BODY_WORKER_HELLO, &m);
}

static void
answer_probe(struct worker *w)
{
	Ml__ProbeResult m = ML__PROBE_RESULT__INIT;
	Ml__Position pos = ML__POSITION__INIT;

	m.code = (char *)(uintptr_t)n.probe_code;
	m.text = (char *)(uintptr_t)n.probe_text;
	m.current_ts = START_TS;
	m.start_ts = w->probe->spec->start_ts != 0 ? w->probe->spec->start_ts : START_TS;
	pos.flavor = (char *)(uintptr_t) "mariadb";
	pos.file = (char *)(uintptr_t) "bin.000001";
	pos.offset = 4711;
	m.position = &pos;
	m.upstream_id = 7711925978435491515ull;
	say(w, ML__ENVELOPE__BODY_PROBE_RESULT, &m);
	died(w, false, 0, "exit 0", false, false);
}

static void
worker_message(struct ml_chan *ch, const Ml__Envelope *m, int fd, void *arg)
{
	struct worker *w = arg;
	uint8_t buf[65536];
	size_t len;

	(void)ch;
	(void)fd;
	switch (m->body_case) {
	case ML__ENVELOPE__BODY_ASSIGN:
		if (w->assign != NULL)
			ml__assign__free_unpacked(w->assign, NULL);
		len = ml__assign__pack(m->assign, buf);
		w->assign = ml__assign__unpack(NULL, len, buf);
		break;
	case ML__ENVELOPE__BODY_PROBE:
		len = ml__probe__pack(m->probe, buf);
		w->probe = ml__probe__unpack(NULL, len, buf);
		if (n.probe_dies)
			died(w, false, SIGSEGV, "SIGSEGV", false, false);
		else if (!n.probe_silent)
			answer_probe(w);
		break;
	case ML__ENVELOPE__BODY_PROGRESS_SAVED:
		w->saved_ts = m->progress_saved->checkpoint_ts;
		break;
	default:
		fail_msg("a worker got message %d", (int)m->body_case);
	}
}

static void
worker_closed(struct ml_chan *ch, enum ml_chan_end end, const struct ml_err *err, void *arg)
{
	struct worker *w = arg;

	(void)ch;
	(void)end;
	(void)err;
	ml_chan_free(w->ch);
	w->ch = NULL;
}

/* A worker is up: the gateway gets its end of a new pair. */
__attribute__((unused)) static void
up(struct worker *w, bool ran_before)
{
	static const struct ml_chan_handlers h = { .message = worker_message, .closed = worker_closed };
	Ml__Envelope env = ML__ENVELOPE__INIT;
	Ml__ShardUp m = ML__SHARD_UP__INIT;
	Ml__ShardKey k = key_of(w);
	struct ml_err err;
	int fds[2];

	assert_int_equal(ml_chan_pair(fds, &err), 0);
	ml_chan_free(w->ch);
	w->ch = ml_chan_new(n.l, fds[0], "fake", &h, w);
	w->pid = ++n.next_pid;
	w->running = true;
	m.key = &k;
	m.role = w->role;
	m.pid = w->pid;
	m.running = ran_before;
	env.body_case = ML__ENVELOPE__BODY_SHARD_UP;
	env.shard_up = &m;
	ml_chan_send(n.to_gateway, &env, fds[1]);
	close(fds[1]);
	if (!n.worker_silent)
		hello(w, false, 0);
}

static struct worker *
slot(const Ml__ShardKey *k)
{
	for (size_t i = 0; i < n.n_w; i++)
		if (strcmp(n.w[i].id, k->changefeed_id) == 0 && n.w[i].epoch == k->epoch)
			return &n.w[i];
	return NULL;
}

__attribute__((unused)) static struct worker *
new_worker(const char *id, uint64_t epoch, Ml__Role role)
{
	struct worker *w;

	assert_true(n.n_w < MAX_WORKERS);
	w = &n.w[n.n_w++];
	*w = (struct worker){ .epoch = epoch, .role = role };
	snprintf(w->ns, sizeof(w->ns), "default");
	snprintf(w->id, sizeof(w->id), "%s", id);
	return w;
}

static void
supervisor_message(struct ml_chan *ch, const Ml__Envelope *m, int fd, void *arg)
{
	struct worker *w;

	(void)ch;
	(void)fd;
	(void)arg;
	switch (m->body_case) {
	case ML__ENVELOPE__BODY_START_SHARD:
		w = slot(m->start_shard->key);
		if (w == NULL)
			w = new_worker(
				m->start_shard->key->changefeed_id, m->start_shard->key->epoch, m->start_shard->role);
		if (!w->running)
			up(w, false);
		break;
	case ML__ENVELOPE__BODY_STOP_SHARD:
		w = slot(m->stop_shard->key);
		if (w == NULL) {
			struct worker none = {
				.epoch = m->stop_shard->key->epoch, .role = ML__ROLE__ROLE_WORKER, .ns = "default"
			};

			snprintf(none.id, sizeof(none.id), "%s", m->stop_shard->key->changefeed_id);
			died(&none, true, 0, "unknown", false, false);
			break;
		}
		w->stop_asked = true;
		w->grace_ms = m->stop_shard->grace_ms;
		if (!n.slow_stop)
			died(w, true, 0, "exit 0", false, false);
		break;
	case ML__ENVELOPE__BODY_SET_LOG_LEVEL:
		snprintf(n.log_level, sizeof(n.log_level), "%s", m->set_log_level->level);
		break;
	default:
		fail_msg("the supervisor got message %d", (int)m->body_case);
	}
}

static void
supervisor_closed(struct ml_chan *ch, enum ml_chan_end end, const struct ml_err *err, void *arg)
{
	(void)ch;
	(void)end;
	(void)arg;
	fail_msg("channel closed: %s", err->text);
}

/* The gateway's own end: what ml_proc does in the real process. */
static void
gateway_message(struct ml_chan *ch, const Ml__Envelope *m, int fd, void *arg)
{
	struct ml_inbox_row rows[ML_GATEWAY_N_ROWS];

	(void)arg;
	ml_gateway_rows(rows, 1);
	ml_inbox_take(rows, ML_GATEWAY_N_ROWS, 0, ch, m, fd, &n.g);
}

/* ---- node up, down, waiting ---- */

static void
start_gateway(void)
{
	static const struct ml_chan_handlers sup = { .message = supervisor_message, .closed = supervisor_closed };
	static const struct ml_chan_handlers own = { .message = gateway_message, .closed = supervisor_closed };
	struct ml_err err;
	int fds[2], fd = dup(n.listen_fd);

	assert_int_equal(ml_chan_pair(fds, &err), 0);
	n.to_gateway = ml_chan_new(n.l, fds[0], "gateway", &sup, NULL);
	n.of_gateway = ml_chan_new(n.l, fds[1], "supervisor", &own, NULL);
	n.g = ml_gateway_new(n.l, &n.config, n.of_gateway, fd, &err);
	assert_non_null(n.g);
	ml_gateway_start(n.g);
}

__attribute__((unused)) static void
stop_gateway(void)
{
	ml_gateway_free(n.g);
	n.g = NULL;
	ml_chan_free(n.to_gateway);
	ml_chan_free(n.of_gateway);
}

static int
node_up(void **state)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);

	(void)state;
	n = (struct node){ .l = ml_loop_new(), .probe_code = "", .probe_text = "", .next_pid = 1000 };
	snprintf(n.dir, sizeof(n.dir), "%s/ml-gateway-XXXXXX", getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp");
	assert_non_null(mkdtemp(n.dir));
	ml__server_config__init(&n.config);
	ml__upstream__init(&n.upstream);
	n.upstream.uri = (char *)(uintptr_t) "mysql://u@127.0.0.1:3306/";
	n.upstream.password = (char *)(uintptr_t) "secret";
	n.config.upstream = &n.upstream;
	n.config.advertise_addr = (char *)(uintptr_t) "127.0.0.1:8300";
	n.config.cluster_id = (char *)(uintptr_t) "default";
	n.config.capture_id = (char *)(uintptr_t) "0a1b2c3d-0000-4000-8000-000000000001";
	n.config.data_dir = n.dir;
	n.config.metastore = (char *)(uintptr_t) "sqlite";
	n.config.supervisor_pid = 4242;
	n.listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(n.listen_fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(n.listen_fd, 64), 0);
	assert_int_equal(getsockname(n.listen_fd, (struct sockaddr *)&at, &len), 0);
	n.port = ntohs(at.sin_port);
	start_gateway();
	return 0;
}

static int
node_down(void **state)
{
	static const char *const names[] = { "meta.db", "meta.db-wal", "meta.db-shm" };
	char path[300];

	(void)state;
	stop_gateway();
	for (size_t i = 0; i < n.n_w; i++) {
		ml_chan_free(n.w[i].ch);
		if (n.w[i].assign != NULL)
			ml__assign__free_unpacked(n.w[i].assign, NULL);
		if (n.w[i].probe != NULL)
			ml__probe__free_unpacked(n.w[i].probe, NULL);
	}
	close(n.listen_fd);
	ml_loop_free(n.l);
	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%s", n.dir, names[i]);
		unlink(path);
	}
	rmdir(n.dir);
	return 0;
}

struct waiting {
	bool (*cond)(void *arg);
	void *arg;
	struct ml_timer *t;
	uint64_t until;
	bool held;
};

static void
look(void *arg)
{
	struct waiting *w = arg;

	w->held = w->cond(w->arg);
	if (w->held || ml_now_ms() > w->until)
		ml_loop_stop(n.l);
	else
		ml_timer_arm(w->t, 1);
}

static void
wait_for(bool (*cond)(void *arg), void *arg, const char *what)
{
	struct waiting w = { .cond = cond, .arg = arg, .until = ml_now_ms() + PATIENCE_MS };

	w.t = ml_timer_new(n.l, look, &w);
	ml_timer_arm(w.t, 0);
	ml_loop_run(n.l);
	ml_timer_free(w.t);
	if (!w.held)
		fail_msg("waited in vain for %s", what);
}

/* ---- HTTP ---- */

struct exchange {
	int fd;
	struct ml_watch *watch;
	struct ml_buf in;
	bool over;
	int status;
	const char *body; /* into in */
};

static void
readable(int fd, short what, void *arg)
{
	struct exchange *x = arg;
	char buf[16384];
	ssize_t got = read(fd, buf, sizeof(buf));

	(void)what;
	if (got > 0) {
		ml_buf_put(&x->in, buf, (size_t)got);
		return;
	}
	x->over = true;
	ml_watch_free(x->watch);
	close(fd);
}

static void
ask(struct exchange *x, const char *method, const char *path, const char *body)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET, .sin_port = htons(n.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)
	};
	struct ml_buf out = { 0 };

	*x = (struct exchange){ .fd = socket(AF_INET, SOCK_STREAM, 0) };
	assert_int_equal(connect(x->fd, (struct sockaddr *)&to, sizeof(to)), 0);
	ml_buf_printf(&out, "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s", method,
		path, strlen(body), body);
	assert_int_equal(write(x->fd, out.data, out.len), out.len);
	ml_buf_fini(&out);
	fcntl(x->fd, F_SETFL, O_NONBLOCK);
	x->watch = ml_watch_new(n.l, x->fd, EV_READ, readable, x);
}

static bool
is_over(void *arg)
{
	return ((struct exchange *)arg)->over;
}

static void
finish(struct exchange *x)
{
	char *end;

	wait_for(is_over, x, "the answer");
	assert_int_equal(sscanf(x->in.data, "HTTP/1.1 %d", &x->status), 1);
	end = strstr(x->in.data, "\r\n\r\n");
	assert_non_null(end);
	x->body = end + 4;
}

static char reply[65536];

/* One exchange; the body is in `reply` afterwards. */
static int
http(const char *method, const char *path, const char *body)
{
	struct exchange x;

	ask(&x, method, path, body);
	finish(&x);
	snprintf(reply, sizeof(reply), "%s", x.body);
	if (reply[0] == '\0')
		assert_null(strstr(x.in.data, "Content-Type")); /* style E */
	ml_buf_fini(&x.in);
	return x.status;
}

#define ASSERT_ERROR(status, method, path, body, code, text)                                                           \
	do {                                                                                                           \
		assert_int_equal(http((method), (path), (body)), (status));                                            \
		assert_string_equal(reply,                                                                             \
			"{\n    \"error_msg\": \"[CDC:" code "]" text "\",\n    \"error_code\": \"CDC:" code "\"\n}"); \
	} while (0)

static struct worker *
worker_of(const char *id)
{
	struct worker *found = NULL;

	for (size_t i = 0; i < n.n_w; i++)
		if (strcmp(n.w[i].id, id) == 0 && n.w[i].role == ML__ROLE__ROLE_WORKER)
			found = &n.w[i];
	return found;
}

static bool
is_assigned(void *arg)
{
	struct worker *w = worker_of(arg);

	return w != NULL && w->running && w->assign != NULL;
}

/* Polls the API until the detail holds text. */
__attribute__((unused)) static void
wait_detail(const char *id, const char *text)
{
	char path[200];
	uint64_t until = ml_now_ms() + PATIENCE_MS;

	snprintf(path, sizeof(path), "/api/v1/changefeeds/%s", id);
	do {
		assert_int_equal(http("GET", path, ""), 200);
		if (strstr(reply, text) != NULL)
			return;
	} while (ml_now_ms() < until);
	fail_msg("waited in vain for %s in %s", text, reply);
}

static void
create(const char *id)
{
	char body[300];

	snprintf(body, sizeof(body), "{\"changefeed_id\":\"%s\",\"sink_uri\":\"blackhole://\"}", id);
	assert_int_equal(http("POST", "/api/v1/changefeeds", body), 202);
	wait_for(is_assigned, (void *)(uintptr_t)id, "Assign");
}

__attribute__((unused)) static void
progress(const char *id, uint64_t checkpoint_ts, uint64_t resolved_ts, uint64_t offset)
{
	struct worker *w = worker_of(id);
	Ml__Progress m = ML__PROGRESS__INIT;
	Ml__Position pos = ML__POSITION__INIT;
	Ml__WorkerStats stats = ML__WORKER_STATS__INIT;
	int64_t ids[] = { 7, 11 };
	char text[60];

	m.checkpoint_ts = checkpoint_ts;
	m.resolved_ts = resolved_ts;
	pos.offset = offset;
	m.position = &pos;
	m.table_ids = ids;
	m.n_table_ids = 2;
	stats.rows = 100;
	m.stats = &stats;
	say(w, ML__ENVELOPE__BODY_PROGRESS, &m);
	snprintf(text, sizeof(text), "\"checkpoint_tso\": %llu,", (unsigned long long)checkpoint_ts);
	wait_detail(id, text);
}

__attribute__((unused)) static void
fault(const char *id, const char *code, const char *text, bool warning, bool cleared)
{
	Ml__Fault m = ML__FAULT__INIT;

	m.code = (char *)(uintptr_t)code;
	m.text = (char *)(uintptr_t)text;
	m.warning = warning;
	m.cleared = cleared;
	say(worker_of(id), ML__ENVELOPE__BODY_FAULT, &m);
}

__attribute__((unused)) static bool
is_gone(void *arg)
{
	return !((struct worker *)arg)->running;
}

#define NODE_TEST(f) cmocka_unit_test_setup_teardown(f, node_up, node_down)

static int
run_node_tests(const char *name, const struct CMUnitTest *tests, size_t n_tests)
{
	setenv("TZ", "UTC0", 1);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	ml_log_set_level(getenv("V") != NULL ? ML_DEBUG : ML_FATAL);
	return _cmocka_run_group_tests(name, tests, n_tests, NULL, NULL);
}
#endif
