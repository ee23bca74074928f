/*
 * test_gateway_flow.c - the whole gateway against a supervisor and workers played here, over real channels and real HTTP, on one loop.
 */
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

#define START_TS 445644800000000001ull	/* what the probe finds */
#define MAX_WORKERS 16
#define PATIENCE_MS 10000

struct worker {
	char ns[40], id[140];
	uint64_t epoch;
	Ml__Role role;
	struct ml_chan *ch;
	int64_t pid;
	bool running;		/* started and not dead */
	bool stop_asked;
	uint32_t grace_ms;
	Ml__Assign *assign;	/* the last one; NULL: none */
	Ml__Probe *probe;
	uint64_t saved_ts;
};

static struct node {
	struct ml_loop *l;
	char dir[200];
	struct ml_gateway *g;
	Ml__ServerConfig config;
	Ml__Upstream upstream;
	struct ml_chan *to_gateway, *of_gateway;	/* both ends */
	uint16_t port;
	int listen_fd;
	struct worker w[MAX_WORKERS];
	size_t n_w;
	int64_t next_pid;
	char log_level[16];

	/* How the fakes behave. */
	const char *probe_code, *probe_text;	/* "" = well */
	bool probe_silent, probe_dies;
	bool worker_silent;			/* comes up and says nothing */
	bool slow_stop;				/* StopShard is answered by stop_now() only */
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

static void
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
	env.hello = m;		/* all pointers of the union are one */
	ml_chan_send(w->ch, &env, -1);
}

static void
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
	pos.flavor = (char *)(uintptr_t)"mariadb";
	pos.file = (char *)(uintptr_t)"bin.000001";
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
static void
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

static struct worker *
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
			w = new_worker(m->start_shard->key->changefeed_id, m->start_shard->key->epoch, m->start_shard->role);
		if (!w->running)
			up(w, false);
		break;
	case ML__ENVELOPE__BODY_STOP_SHARD:
		w = slot(m->stop_shard->key);
		if (w == NULL) {
			struct worker none = { .epoch = m->stop_shard->key->epoch, .role = ML__ROLE__ROLE_WORKER, .ns = "default" };

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

static void
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
	n.upstream.uri = (char *)(uintptr_t)"mysql://u@127.0.0.1:3306/";
	n.upstream.password = (char *)(uintptr_t)"secret";
	n.config.upstream = &n.upstream;
	n.config.advertise_addr = (char *)(uintptr_t)"127.0.0.1:8300";
	n.config.cluster_id = (char *)(uintptr_t)"default";
	n.config.capture_id = (char *)(uintptr_t)"0a1b2c3d-0000-4000-8000-000000000001";
	n.config.data_dir = n.dir;
	n.config.metastore = (char *)(uintptr_t)"sqlite";
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
	const char *body;	/* into in */
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
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(n.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct ml_buf out = { 0 };

	*x = (struct exchange){ .fd = socket(AF_INET, SOCK_STREAM, 0) };
	assert_int_equal(connect(x->fd, (struct sockaddr *)&to, sizeof(to)), 0);
	ml_buf_printf(&out, "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s", method, path,
		strlen(body), body);
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
		assert_null(strstr(x.in.data, "Content-Type"));	/* style E */
	ml_buf_fini(&x.in);
	return x.status;
}

#define ASSERT_ERROR(status, method, path, body, code, text) \
	do { \
		assert_int_equal(http((method), (path), (body)), (status)); \
		assert_string_equal(reply, "{\n    \"error_msg\": \"[CDC:" code "]" text "\",\n    \"error_code\": \"CDC:" code "\"\n}"); \
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
static void
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

static void
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

static void
fault(const char *id, const char *code, const char *text, bool warning, bool cleared)
{
	Ml__Fault m = ML__FAULT__INIT;

	m.code = (char *)(uintptr_t)code;
	m.text = (char *)(uintptr_t)text;
	m.warning = warning;
	m.cleared = cleared;
	say(worker_of(id), ML__ENVELOPE__BODY_FAULT, &m);
}

static bool
is_gone(void *arg)
{
	return !((struct worker *)arg)->running;
}

/* ---- tests ---- */

static void
describes_the_node(void **state)
{
	(void)state;
	assert_int_equal(http("GET", "/api/v1/status", ""), 200);
	assert_non_null(strstr(reply, "{\n    \"version\": \"v8.5.0+millrace." ML_VERSION "\",\n    \"git_hash\": \""));
	assert_non_null(strstr(reply, "\",\n    \"id\": \"0a1b2c3d-0000-4000-8000-000000000001\",\n    \"cluster_id\": \"default\",\n"
		"    \"pid\": 4242,\n    \"is_owner\": true,\n    \"liveness\": 0\n}"));
	assert_int_equal(http("GET", "/status", ""), 200);
	assert_non_null(strstr(reply, "\",\n \"id\": \"0a1b2c3d-0000-4000-8000-000000000001\",\n \"pid\": 4242,\n \"is_owner\": true\n}"));
	assert_int_equal(http("GET", "/api/v1/health", ""), 200);
	assert_string_equal(reply, "");
	assert_int_equal(http("GET", "/api/v1/captures", ""), 200);
	assert_string_equal(reply, "[\n    {\n        \"id\": \"0a1b2c3d-0000-4000-8000-000000000001\",\n        \"is_owner\": true,\n"
		"        \"address\": \"127.0.0.1:8300\",\n        \"cluster_id\": \"default\"\n    }\n]");
	assert_int_equal(http("GET", "/api/v1/changefeeds", ""), 200);
	assert_string_equal(reply, "[]");
	assert_int_equal(http("GET", "/api/v1/processors", ""), 200);
	assert_string_equal(reply, "[]");
	assert_int_equal(http("POST", "/api/v1/owner/resign", ""), 202);
	assert_string_equal(reply, "");
	ASSERT_ERROR(400, "PUT", "/api/v1/captures/drain", "{\"capture_id\":\"x\"}", "ErrSchedulerRequestFailed",
		"scheduler request failed, only one capture alive");
	ASSERT_ERROR(400, "PUT", "/api/v1/captures/drain", "", "ErrAPIInvalidParam", "invalid api parameter: EOF");
}

static bool
level_came(void *arg)
{
	return strcmp(n.log_level, arg) == 0;
}

static void
changes_the_log_level_of_all_processes(void **state)
{
	(void)state;
	assert_int_equal(http("POST", "/api/v1/log", "{\"log_level\":\"ERROR\"}"), 200);
	assert_string_equal(reply, "");
	wait_for(level_came, (void *)(uintptr_t)"error", "SetLogLevel");
	assert_int_equal(http("POST", "/api/v1/log", "{\"log_level\":\"dpanic\"}"), 200);
	wait_for(level_came, (void *)(uintptr_t)"fatal", "SetLogLevel");
	ASSERT_ERROR(400, "POST", "/api/v1/log", "{\"log_level\":\"loud\"}", "ErrAPIInvalidParam", "fail to change log level: loud");
	ASSERT_ERROR(400, "POST", "/api/v1/log", "\"debug\"", "ErrAPIInvalidParam",
		"invalid log level: cannot decode string into an object");
	ASSERT_ERROR(400, "POST", "/api/v1/log", "", "ErrAPIInvalidParam", "invalid log level: EOF");
	ml_log_set_level(ML_FATAL);
}

static void
creates_runs_and_shows_a_changefeed(void **state)
{
	struct worker *w;
	Ml__ChangefeedSpec *s;
	char *p;

	(void)state;
	assert_int_equal(http("POST", "/api/v1/changefeeds", "{\"changefeed_id\":\"kf\",\"start_ts\":445644799999999999,\"target_ts\":"
		"445644900000000000,\"sink_uri\":\"kafka://u:p@127.0.0.1:9092/t?sasl-password=x\",\"filter_rules\":[\"a.*\"],"
		"\"ignore_txn_start_ts\":[1,2],\"force_replicate\":true,\"mounter_worker_num\":4,\"sink_config\":{\"dispatchers\":["
		"{\"matcher\":[\"a.*\",\"b.*\"],\"dispatcher\":\"ts\"},{\"matcher\":[\"c.*\"],\"dispatcher\":\"rowid\"}],"
		"\"Date-Separator\":\"day\"},\"upstream_uri\":\"mysql://root:a%40b@10.0.0.1:3307/\"} rest"), 202);
	wait_for(is_assigned, (void *)(uintptr_t)"kf", "Assign");
	w = worker_of("kf");
	s = w->assign->spec;
	assert_true(w->assign->checkpoint_ts == 445644799999999999ull);
	assert_int_equal(w->assign->position->offset, 4711);
	assert_true(w->assign->epoch == w->epoch);
	assert_string_equal(s->upstream->uri, "mysql://root@10.0.0.1:3307/");
	assert_string_equal(s->upstream->password, "a@b");
	assert_string_equal(s->protocol, "open-protocol");	/* v1's default for Kafka */
	assert_string_equal(s->sink_config_json, "{\"date-separator\":\"day\"}");
	assert_int_equal(s->n_dispatchers, 2);
	assert_string_equal(s->dispatchers[0]->matcher[1], "b.*");
	assert_string_equal(s->dispatchers[1]->partition, "rowid");
	assert_int_equal(s->n_ignore_txn_start_ts, 2);
	assert_int_equal(s->mounter_worker_num, 4);
	assert_true(s->force_replicate);

	progress("kf", 445644800000000001ull, 445644800000000002ull, 1);
	assert_int_equal(http("GET", "/api/v1/changefeeds/kf", ""), 200);
	p = strstr(reply, "    \"create_time\"");
	assert_non_null(p);
	memmove(p, strchr(p, '\n') + 1, strlen(strchr(p, '\n')));
	assert_string_equal(reply, "{\n    \"upstream_id\": 7711925978435491515,\n    \"namespace\": \"default\",\n    \"id\": \"kf\",\n"
		"    \"sink_uri\": \"kafka://u:xxxxx@127.0.0.1:9092/t?sasl-password=xxxxx\",\n    \"start_ts\": 445644799999999999,\n"
		"    \"resolved_ts\": 445644800000000002,\n    \"target_ts\": 445644900000000000,\n"
		"    \"checkpoint_tso\": 445644800000000001,\n    \"checkpoint_time\": \"2023-11-14 22:13:20.000\",\n"
		"    \"sort_engine\": \"unified\",\n    \"state\": \"normal\",\n    \"error\": null,\n    \"error_history\": null,\n"
		"    \"creator_version\": \"v8.5.0+millrace." ML_VERSION "\",\n    \"task_status\": [\n        {\n"
		"            \"capture_id\": \"0a1b2c3d-0000-4000-8000-000000000001\",\n            \"table_ids\": [\n                7,\n"
		"                11\n            ],\n            \"table_operations\": {}\n        }\n    ]\n}");
	assert_int_equal(http("GET", "/api/v1/changefeeds?state=normal&state=failed", ""), 200);
	assert_string_equal(reply, "[\n    {\n        \"upstream_id\": 7711925978435491515,\n        \"namespace\": \"default\",\n"
		"        \"id\": \"kf\",\n        \"state\": \"normal\",\n        \"checkpoint_tso\": 445644800000000001,\n"
		"        \"checkpoint_time\": \"2023-11-14 22:13:20.000\",\n        \"error\": null\n    }\n]");
	assert_int_equal(http("GET", "/api/v1/changefeeds?state=NORMAL", ""), 200);
	assert_string_equal(reply, "[]");
	assert_int_equal(http("GET", "/api/v1/processors", ""), 200);
	assert_string_equal(reply, "[\n    {\n        \"namespace\": \"default\",\n        \"changefeed_id\": \"kf\",\n"
		"        \"capture_id\": \"0a1b2c3d-0000-4000-8000-000000000001\"\n    }\n]");
	assert_int_equal(http("GET", "/api/v1/processors/kf/0a1b2c3d-0000-4000-8000-000000000001", ""), 200);
	assert_string_equal(reply, "{\n    \"checkpoint_ts\": 445644800000000001,\n    \"resolved_ts\": 445644800000000002,\n"
		"    \"table_ids\": [\n        7,\n        11\n    ],\n    \"error\": null\n}");
	ASSERT_ERROR(400, "GET", "/api/v1/processors/kf/nobody", "", "ErrCaptureNotExist", "capture not exists, nobody");
	ASSERT_ERROR(400, "GET", "/api/v1/processors/none/a_b", "", "ErrAPIInvalidParam", "invalid capture_id: a_b");
	ASSERT_ERROR(400, "GET", "/api/v1/processors/none/x", "", "ErrChangeFeedNotExists", "changefeed not exists, default/none");
	assert_int_equal(http("GET", "/metrics", ""), 200);
	assert_non_null(strstr(reply, "\nticdc_owner_status{namespace=\"default\",changefeed=\"kf\"} 0\n"));
	assert_non_null(strstr(reply, "\nticdc_owner_checkpoint_ts{namespace=\"default\",changefeed=\"kf\"} 1700000000000\n"));
	assert_non_null(strstr(reply, "\nticdc_sink_table_sink_total_rows_count{namespace=\"default\",changefeed=\"kf\"} 100\n"));
	assert_non_null(strstr(reply, "\nprocess_resident_memory_bytes "));
}

static void
refuses_to_create_what_cannot_be(void **state)
{
	static const struct { const char *body, *want; } rows[] = {
		{ "", "[CDC:ErrAPIInvalidParam]invalid api parameter: EOF" },
		{ "{", "[CDC:ErrAPIInvalidParam]invalid api parameter: unexpected EOF" },
		{ "[]", "[CDC:ErrAPIInvalidParam]invalid api parameter: cannot decode array into an object" },
		{ "{\"sink_uri\":\"blackhole://\",\"start_ts\":\"1\"}",
			"[CDC:ErrAPIInvalidParam]invalid api parameter: cannot decode string into field start_ts of type uint64" },
		{ "{\"sink_uri\":\"blackhole://\",\"sink_config\":{\"protocol\":1}}",
			"[CDC:ErrAPIInvalidParam]invalid api parameter: cannot decode number 1 into field sink_config.protocol of type string" },
		{ "{\"sink_uri\":\"blackhole://\",\"sink_config\":{\"dispatchers\":[1]}}",
			"[CDC:ErrAPIInvalidParam]invalid api parameter: cannot decode number into field sink_config.dispatchers of type object" },
		{ "null", "[CDC:ErrSinkURIInvalid]sink uri invalid 'sink-uri is empty, can't not create a changefeed without sink-uri'" },
		{ "{\"changefeed_id\":\"a_b\"}",
			"[CDC:ErrSinkURIInvalid]sink uri invalid 'sink-uri is empty, can't not create a changefeed without sink-uri'" },
		{ "{\"changefeed_id\":\"a_b\",\"sink_uri\":\"blackhole://\"}", "[CDC:ErrAPIInvalidParam]invalid changefeed_id: a_b" },
		{ "{\"changefeed_id\":\"one\",\"sink_uri\":\"x\"}", "[CDC:ErrChangeFeedAlreadyExists]changefeed already exists, one" },
		{ "{\"target_ts\":5,\"sink_uri\":\"blackhole://\"}", "[CDC:ErrTargetTsBeforeStartTs]fail to create changefeed because "
			"target-ts 5 is earlier than start-ts 445644800000000001" },
		{ "{\"sink_uri\":\"blackhole://\",\"upstream_uri\":\"pg://u:secret@h/\"}",
			"[CDC:ErrUpstreamURIInvalid]upstream uri invalid: pg; give mysql://user@host:port/" },
	};
	char want[600];

	(void)state;
	create("one");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(http("POST", "/api/v1/changefeeds", rows[i].body), 400);
		snprintf(want, sizeof(want), "\"error_msg\": \"%s\",", rows[i].want);
		if (strstr(reply, want) == NULL)
			fail_msg("wanted %s got %s", want, reply);
	}
	n.probe_code = "CDC:ErrSinkURIInvalid";
	n.probe_text = "the sink scheme (blackhome) is not supported";
	ASSERT_ERROR(400, "POST", "/api/v1/changefeeds", "{\"sink_uri\":\"blackhome://\"}", "ErrSinkURIInvalid",
		"the sink scheme (blackhome) is not supported");
	n.probe_code = "CDC:ErrKafkaNewProducer";
	n.probe_text = "no broker";
	ASSERT_ERROR(500, "POST", "/api/v1/changefeeds", "{\"sink_uri\":\"kafka://h/t\"}", "ErrKafkaNewProducer", "no broker");
	n.probe_dies = true;
	ASSERT_ERROR(500, "POST", "/api/v1/changefeeds", "{\"changefeed_id\":\"x\",\"sink_uri\":\"kafka://h/t\"}", "ErrWorkerDied",
		"capture-worker of changefeed default/x died: SIGSEGV");
	assert_int_equal(http("GET", "/api/v1/changefeeds?state=all", ""), 200);
	assert_null(strstr(strstr(reply, "\"id\"") + 1, "\"id\""));	/* only "one" */
}

static bool
probe_asked(void *arg)
{
	(void)arg;
	for (size_t i = 0; i < n.n_w; i++)
		if (n.w[i].role == ML__ROLE__ROLE_PROBE && n.w[i].probe != NULL && n.w[i].running)
			return true;
	return false;
}

static void
one_of_two_creations_of_an_id_wins_and_lost_clients_do_no_harm(void **state)
{
	static const char body[] = "{\"changefeed_id\":\"two\",\"sink_uri\":\"blackhole://\"}";
	struct exchange first;

	(void)state;
	n.probe_silent = true;
	ask(&first, "POST", "/api/v1/changefeeds", body);
	wait_for(probe_asked, NULL, "Probe");
	ASSERT_ERROR(400, "POST", "/api/v1/changefeeds", body, "ErrChangeFeedAlreadyExists", "changefeed already exists, two");
	/* the client goes away while the probe runs */
	ml_watch_free(first.watch);
	close(first.fd);
	ml_buf_fini(&first.in);
	answer_probe(&n.w[0]);
	wait_for(is_assigned, (void *)(uintptr_t)"two", "Assign");
	assert_int_equal(http("GET", "/api/v1/changefeeds/two", ""), 200);
}

static void
generates_an_id(void **state)
{
	(void)state;
	assert_int_equal(http("POST", "/api/v1/changefeeds", "{\"changefeed_id\":\"\",\"sink_uri\":\"blackhole://\"}"), 202);
	assert_int_equal(http("GET", "/api/v1/changefeeds", ""), 200);
	assert_int_equal(strspn(strstr(reply, "\"id\": \"") + 7, "0123456789abcdef-"), 36);
}

static void
pauses_and_resumes_from_the_last_words(void **state)
{
	struct worker *w;
	uint64_t epoch;

	(void)state;
	create("p");
	progress("p", START_TS + 10, START_TS + 20, 10);
	w = worker_of("p");
	epoch = w->epoch;
	n.slow_stop = true;
	assert_int_equal(http("POST", "/api/v1/changefeeds/p/pause", "ignored"), 202);
	wait_detail("p", "\"state\": \"stopped\"");
	assert_true(w->stop_asked);
	assert_true(w->grace_ms > 0);
	assert_int_equal(http("POST", "/api/v1/changefeeds/p/pause", ""), 202);
	progress("p", START_TS + 15, START_TS + 20, 15);	/* while it stops */
	assert_non_null(strstr(reply, "\"resolved_ts\": 0,"));
	assert_non_null(strstr(reply, "\"task_status\": []"));
	ASSERT_ERROR(400, "GET", "/api/v1/processors/p/x", "", "ErrAPIInvalidParam",
		"invalid api parameter: changefeed in abnormal state: stopped, can't get processors of an abnormal changefeed");
	assert_int_equal(http("GET", "/api/v1/processors", ""), 200);
	assert_string_equal(reply, "[]");

	/* resumed before the old worker is gone: no second one runs beside it */
	assert_int_equal(http("POST", "/api/v1/changefeeds/p/resume", ""), 202);
	assert_int_equal(http("GET", "/api/v1/changefeeds/p", ""), 200);
	assert_non_null(strstr(reply, "\"state\": \"normal\""));
	assert_ptr_equal(worker_of("p"), w);
	died(w, true, 0, "exit 0", false, false);
	wait_for(is_assigned, (void *)(uintptr_t)"p", "Assign");
	w = worker_of("p");
	assert_true(w->epoch > epoch);
	assert_true(w->assign->checkpoint_ts == START_TS + 15);
	assert_int_equal(w->assign->position->offset, 15);
	assert_int_equal(http("POST", "/api/v1/changefeeds/p/resume", ""), 202);
	ASSERT_ERROR(400, "POST", "/api/v1/changefeeds/none/pause", "", "ErrChangeFeedNotExists", "changefeed not exists, default/none");
	ASSERT_ERROR(400, "POST", "/api/v1/changefeeds/a_b/resume", "", "ErrAPIInvalidParam", "invalid changefeed_id: a_b");
}

static void
retries_what_may_pass_and_fails_what_cannot(void **state)
{
	struct worker *w;

	(void)state;
	create("f");
	w = worker_of("f");
	fault("f", "CDC:ErrKafkaAsyncSendMessage", "broken pipe", false, false);
	wait_for(is_gone, w, "the end of the worker");
	/* the first retry is at once, from the same checkpoint, as state error until the checkpoint moves */
	wait_for(is_assigned, (void *)(uintptr_t)"f", "Assign");
	assert_ptr_not_equal(worker_of("f"), w);
	assert_int_equal(http("GET", "/api/v1/changefeeds/f", ""), 200);
	assert_non_null(strstr(reply, "\"state\": \"error\",\n    \"error\": {\n        \"time\": \""));
	assert_non_null(strstr(reply, "\"addr\": \"127.0.0.1:8300\",\n        \"code\": \"CDC:ErrKafkaAsyncSendMessage\",\n"
		"        \"message\": \"[CDC:ErrKafkaAsyncSendMessage]broken pipe\"\n    },"));
	assert_int_equal(http("GET", "/api/v1/changefeeds", ""), 200);
	assert_string_equal(reply, "[]");
	assert_int_equal(http("GET", "/api/v1/changefeeds?state=error", ""), 200);
	assert_non_null(strstr(reply, "\"id\": \"f\""));
	progress("f", START_TS + 1, START_TS + 1, 1);
	wait_detail("f", "\"state\": \"normal\",\n    \"error\": null");

	/* the next one soon after belongs to the same streak: it waits */
	w = worker_of("f");
	fault("f", "CDC:ErrKafkaAsyncSendMessage", "again", false, false);
	wait_for(is_gone, w, "the end of the worker");
	assert_int_equal(http("GET", "/api/v1/changefeeds?state=pending", ""), 200);
	assert_non_null(strstr(reply, "\"state\": \"error\""));
	assert_int_equal(http("POST", "/api/v1/changefeeds/f/pause", ""), 202);
	assert_int_equal(http("POST", "/api/v1/changefeeds/f/resume", ""), 202);
	wait_for(is_assigned, (void *)(uintptr_t)"f", "Assign");

	w = worker_of("f");
	fault("f", "CDC:ErrKafkaSendMessage", "wrapped [CDC:ErrDispatcherFailed]x", false, false);
	wait_for(is_gone, w, "the end of the worker");
	wait_detail("f", "\"state\": \"failed\"");
	assert_ptr_equal(worker_of("f"), w);
}

static void
shows_a_warning_while_it_lasts(void **state)
{
	(void)state;
	create("w");
	fault("w", "CDC:ErrUpstreamUnavailable", "reconnecting", true, false);
	wait_detail("w", "\"state\": \"error\"");
	assert_non_null(strstr(reply, "[CDC:ErrUpstreamUnavailable]reconnecting"));
	fault("w", "", "", true, true);
	wait_detail("w", "\"state\": \"normal\"");
	assert_true(worker_of("w")->running);
}

static void
goes_on_where_a_killed_worker_was(void **state)
{
	struct worker *w;

	(void)state;
	create("k");
	w = worker_of("k");
	for (int i = 1; i <= 3; i++) {
		if (i == 1)
			progress("k", START_TS + 100, START_TS + 100, 100);
		ml__assign__free_unpacked(w->assign, NULL);
		w->assign = NULL;
		died(w, false, SIGSEGV, "SIGSEGV", true, false);
		up(w, false);
		wait_for(is_assigned, (void *)(uintptr_t)"k", "Assign");
		assert_true(w->assign->checkpoint_ts == START_TS + 100);
		assert_int_equal(w->assign->position->offset, 100);
		assert_int_equal(http("GET", "/api/v1/changefeeds/k", ""), 200);
		/* three deaths without progress are worth a warning */
		assert_non_null(strstr(reply, i < 3 ? "\"state\": \"normal\"" : "\"state\": \"error\""));
	}
	assert_non_null(strstr(reply, "[CDC:ErrWorkerDied]capture-worker of changefeed default/k died: SIGSEGV"));
	progress("k", START_TS + 200, START_TS + 200, 200);
	wait_detail("k", "\"state\": \"normal\"");
	/* the supervisor gives it up: the changefeed's own back-off takes over, its first retry is at once */
	died(w, false, SIGSEGV, "SIGSEGV", false, true);
	wait_detail("k", "\"state\": \"error\"");
	wait_for(is_assigned, (void *)(uintptr_t)"k", "Assign");
	assert_ptr_not_equal(worker_of("k"), w);
}

static void
reads_the_fault_before_the_death(void **state)
{
	struct worker *w;

	(void)state;
	create("d");
	w = worker_of("d");
	fault("d", "CDC:ErrMySQLBinlogPurged", "gone", false, false);
	died(w, false, 0, "exit 70", false, false);	/* both are on their way before the gateway reads either */
	wait_detail("d", "\"state\": \"failed\"");
	assert_non_null(strstr(reply, "[CDC:ErrMySQLBinlogPurged]gone"));
}

static void
finishes_at_the_target(void **state)
{
	Ml__Finished m = ML__FINISHED__INIT;
	struct worker *w;

	(void)state;
	create("t");
	w = worker_of("t");
	m.checkpoint_ts = START_TS + 50;
	say(w, ML__ENVELOPE__BODY_FINISHED, &m);
	wait_detail("t", "\"state\": \"finished\"");
	wait_for(is_gone, w, "the end of the worker");
	assert_int_equal(http("GET", "/api/v1/changefeeds", ""), 200);
	assert_string_equal(reply, "[]");
	assert_int_equal(http("GET", "/api/v1/changefeeds?state=finished", ""), 200);
	assert_non_null(strstr(reply, "\"checkpoint_tso\": 445644800000000051"));
	assert_int_equal(http("POST", "/api/v1/changefeeds/t/resume", ""), 202);
	wait_for(is_assigned, (void *)(uintptr_t)"t", "Assign");
}

static void
refuses_a_checkpoint_that_falls(void **state)
{
	Ml__Progress m = ML__PROGRESS__INIT;
	struct worker *w;

	(void)state;
	create("c");
	progress("c", START_TS + 10, START_TS + 10, 1);
	w = worker_of("c");
	m.checkpoint_ts = START_TS + 9;
	say(w, ML__ENVELOPE__BODY_PROGRESS, &m);
	wait_for(is_gone, w, "the end of the worker");
	wait_for(is_assigned, (void *)(uintptr_t)"c", "Assign");
	assert_true(worker_of("c")->assign->checkpoint_ts == START_TS + 10);
	assert_int_equal(http("GET", "/api/v1/changefeeds/c", ""), 200);
	assert_non_null(strstr(reply, "CDC:ErrInternalCheckFailed"));
}

static void
removes_when_the_worker_is_gone(void **state)
{
	struct exchange x, y;
	struct worker *w;

	(void)state;
	create("r");
	w = worker_of("r");
	n.slow_stop = true;
	ask(&x, "DELETE", "/api/v1/changefeeds/r", "");
	ask(&y, "DELETE", "/api/v1/changefeeds/r", "");
	assert_int_equal(http("GET", "/api/v1/changefeeds/r", ""), 200);
	ASSERT_ERROR(400, "POST", "/api/v1/changefeeds", "{\"changefeed_id\":\"r\",\"sink_uri\":\"blackhole://\"}",
		"ErrChangeFeedAlreadyExists", "changefeed already exists, r");
	assert_false(x.over);
	assert_true(w->stop_asked);
	died(w, true, 0, "exit 0", false, false);
	finish(&x);
	finish(&y);
	assert_int_equal(x.status, 202);
	assert_int_equal(y.status, 202);
	assert_string_equal(x.body, "");
	ml_buf_fini(&x.in);
	ml_buf_fini(&y.in);
	ASSERT_ERROR(400, "DELETE", "/api/v1/changefeeds/r", "", "ErrChangeFeedNotExists", "changefeed not exists, default/r");
	create("r");	/* the name is free again */
}

static void
updates_a_stopped_changefeed(void **state)
{
	struct worker *w;

	(void)state;
	assert_int_equal(http("POST", "/api/v1/changefeeds", "{\"changefeed_id\":\"u\",\"sink_uri\":\"mysql://root:pw@h:1/\"}"), 202);
	wait_for(is_assigned, (void *)(uintptr_t)"u", "Assign");
	ASSERT_ERROR(400, "PUT", "/api/v1/changefeeds/u", "not even JSON", "ErrChangefeedUpdateRefused",
		"changefeed update error: can only update changefeed config when it is stopped or failed");
	assert_int_equal(http("POST", "/api/v1/changefeeds/u/pause", ""), 202);
	ASSERT_ERROR(400, "PUT", "/api/v1/changefeeds/u", "{", "ErrAPIInvalidParam", "invalid api parameter: unexpected EOF");
	ASSERT_ERROR(400, "PUT", "/api/v1/changefeeds/u", "{\"target_ts\":1}", "ErrChangefeedUpdateRefused",
		"can not update target-ts:1 less than start-ts:445644800000000001");
	ASSERT_ERROR(400, "PUT", "/api/v1/changefeeds/u", "{\"start_ts\":5,\"filter_rules\":[],\"target_ts\":0,\"sink_uri\":\"\"}",
		"ErrChangefeedUpdateRefused", "changefeed update error: changefeed config is the same with the old one, do nothing");
	n.probe_code = "CDC:ErrFilterRuleInvalid";
	n.probe_text = "filter rule is invalid [bad]: x";
	ASSERT_ERROR(400, "PUT", "/api/v1/changefeeds/u", "{\"filter_rules\":[\"bad\"]}", "ErrChangefeedUpdateRefused",
		"changefeed update error: [CDC:ErrFilterRuleInvalid]filter rule is invalid [bad]: x");
	n.probe_code = "";
	assert_int_equal(http("PUT", "/api/v1/changefeeds/u", "{\"mounter_worker_num\":32,\"filter_rules\":[\"d.*\"],"
		"\"sink_uri\":\"mysql://root:xxxxx@h:2/\"}"), 202);
	ASSERT_ERROR(400, "PUT", "/api/v1/changefeeds/u", "{\"mounter_worker_num\":32}", "ErrChangefeedUpdateRefused",
		"changefeed update error: changefeed config is the same with the old one, do nothing");
	assert_int_equal(http("POST", "/api/v1/changefeeds/u/resume", ""), 202);
	wait_for(is_assigned, (void *)(uintptr_t)"u", "Assign");
	w = worker_of("u");
	assert_string_equal(w->assign->spec->sink_uri, "mysql://root:pw@h:2/");	/* a masked secret keeps the stored one */
	assert_int_equal(w->assign->spec->mounter_worker_num, 32);
	assert_string_equal(w->assign->spec->filter_rules[0], "d.*");
	assert_string_equal(w->assign->spec->upstream->password, "secret");
}

static void
takes_table_commands_and_drops_them(void **state)
{
	(void)state;
	create("m");
	assert_int_equal(http("POST", "/api/v1/changefeeds/m/tables/rebalance_table", ""), 202);
	assert_string_equal(reply, "");
	assert_int_equal(http("POST", "/api/v1/changefeeds/m/tables/move_table", "{\"capture_id\":\"x\",\"table_id\":49}"), 202);
	assert_int_equal(http("POST", "/api/v1/changefeeds/m/tables/move_table", "{\"target_capture_id\":\"x\"}"), 202);
	ASSERT_ERROR(400, "POST", "/api/v1/changefeeds/m/tables/move_table", "{}", "ErrAPIInvalidParam", "invalid capture_id: ");
	ASSERT_ERROR(400, "POST", "/api/v1/changefeeds/m/tables/move_table", "", "ErrAPIInvalidParam", "invalid api parameter: EOF");
	ASSERT_ERROR(400, "POST", "/api/v1/changefeeds/none/tables/move_table", "{", "ErrChangeFeedNotExists",
		"changefeed not exists, default/none");
	ASSERT_ERROR(400, "POST", "/api/v1/changefeeds/none/tables/rebalance_table", "", "ErrChangeFeedNotExists",
		"changefeed not exists, default/none");
}

static bool
saved_up_to(void *arg)
{
	return worker_of("s")->saved_ts == *(uint64_t *)arg;
}

static void
comes_back_from_the_store(void **state)
{
	uint64_t ts = START_TS + 30;
	struct worker *w, *old;

	(void)state;
	create("s");
	create("idle");
	assert_int_equal(http("POST", "/api/v1/changefeeds/idle/pause", ""), 202);
	progress("s", ts, ts, 30);
	wait_for(saved_up_to, &ts, "ProgressSaved");

	/* the gateway dies and comes back, the worker went on meanwhile */
	w = worker_of("s");
	stop_gateway();
	start_gateway();
	assert_int_equal(http("GET", "/api/v1/changefeeds/idle", ""), 200);
	assert_non_null(strstr(reply, "\"state\": \"stopped\""));
	n.worker_silent = true;
	up(w, true);
	hello(w, true, ts + 5);
	wait_detail("s", "\"checkpoint_tso\": 445644800000000036,");
	assert_ptr_equal(worker_of("s"), w);
	assert_false(w->stop_asked);
	n.worker_silent = false;

	/* once more, but all workers died with the node: it starts where the store says */
	stop_gateway();
	w->running = false;
	ml_chan_free(w->ch);
	w->ch = NULL;
	ml__assign__free_unpacked(w->assign, NULL);
	w->assign = NULL;
	start_gateway();
	wait_for(is_assigned, (void *)(uintptr_t)"s", "Assign");
	w = worker_of("s");
	assert_true(w->assign->checkpoint_ts == ts + 5);

	/* a worker of an epoch that nobody knows is stopped, and ours waits until it is gone */
	stop_gateway();
	old = new_worker("s", 1, ML__ROLE__ROLE_WORKER);
	n.worker_silent = true;
	n.slow_stop = true;
	start_gateway();
	up(old, true);
	hello(old, true, ts + 99);
	while (!old->stop_asked)
		http("GET", "/api/v1/status", "");
	assert_int_equal(http("GET", "/api/v1/changefeeds/s", ""), 200);
	assert_non_null(strstr(reply, "\"checkpoint_tso\": 445644800000000036,"));
	died(old, true, 0, "exit 0", false, false);
}

static void
is_not_ready_until_the_store_can_be_read(void **state)
{
	char path[300];

	(void)state;
	create("x");
	/* the data directory is not there */
	stop_gateway();
	n.config.data_dir = (char *)(uintptr_t)"/nowhere";
	start_gateway();
	assert_int_equal(http("GET", "/api/v1/changefeeds", ""), 503);
	assert_string_equal(reply, "{\n    \"error_msg\": \"[CDC:ErrServerIsNotReady]cdc server is not ready\",\n"
		"    \"error_code\": \"CDC:ErrServerIsNotReady\"\n}");
	assert_int_equal(http("GET", "/api/v1/health", ""), 503);
	assert_int_equal(http("GET", "/status", ""), 200);
	assert_int_equal(http("GET", "/metrics", ""), 200);
	/* the store is there again: the gateway finds it by itself */
	n.config.data_dir = n.dir;
	while (http("GET", "/api/v1/changefeeds/x", "") == 503)
		;
	assert_non_null(strstr(reply, "\"id\": \"x\""));
	snprintf(path, sizeof(path), "%s/meta.db", n.dir);
	assert_int_equal(access(path, F_OK), 0);
}

/* A limit on the size of files stands for a full disk. */
static void
answers_500_when_a_command_cannot_be_stored(void **state)
{
	struct rlimit old, tight;
	struct worker *w;

	(void)state;
	create("x");
	w = worker_of("x");
	getrlimit(RLIMIT_FSIZE, &old);
	tight = old;
	tight.rlim_cur = 1;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
	assert_int_equal(http("POST", "/api/v1/changefeeds", "{\"changefeed_id\":\"y\",\"sink_uri\":\"blackhole://\"}"), 500);
	assert_non_null(strstr(reply, "[CDC:ErrMetaStore]metadata store failed: "));
	assert_int_equal(http("GET", "/api/v1/changefeeds/y", ""), 400);
	assert_int_equal(http("POST", "/api/v1/changefeeds/x/pause", ""), 500);
	assert_int_equal(http("GET", "/api/v1/changefeeds/x", ""), 200);
	assert_non_null(strstr(reply, "\"state\": \"normal\""));
	progress("x", START_TS + 1, START_TS + 1, 1);
	while (http("GET", "/api/v1/health", "") == 200)
		;	/* until the batch of checkpoints was refused too */
	assert_non_null(strstr(reply, "CDC:ErrClusterIsUnhealthy"));
	assert_true(w->running && !w->stop_asked);
	assert_int_equal(http("DELETE", "/api/v1/changefeeds/x", ""), 500);
	assert_int_equal(http("GET", "/api/v1/changefeeds/x", ""), 200);
	/* the removal had stopped the worker; since the changefeed stays, it runs again */
	wait_for(is_assigned, (void *)(uintptr_t)"x", "Assign");
	assert_ptr_not_equal(worker_of("x"), w);

	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	while (http("GET", "/api/v1/health", "") != 200)
		;
	assert_int_equal(http("POST", "/api/v1/changefeeds/x/pause", ""), 202);
	stop_gateway();
	start_gateway();
	assert_int_equal(http("GET", "/api/v1/changefeeds?state=all", ""), 200);
	assert_non_null(strstr(reply, "\"state\": \"stopped\",\n        \"checkpoint_tso\": 445644800000000002,"));
	assert_null(strstr(reply, "\"y\""));
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, node_up, node_down)
	const struct CMUnitTest tests[] = {
		T(describes_the_node),
		T(changes_the_log_level_of_all_processes),
		T(creates_runs_and_shows_a_changefeed),
		T(refuses_to_create_what_cannot_be),
		T(one_of_two_creations_of_an_id_wins_and_lost_clients_do_no_harm),
		T(generates_an_id),
		T(pauses_and_resumes_from_the_last_words),
		T(retries_what_may_pass_and_fails_what_cannot),
		T(shows_a_warning_while_it_lasts),
		T(goes_on_where_a_killed_worker_was),
		T(reads_the_fault_before_the_death),
		T(finishes_at_the_target),
		T(refuses_a_checkpoint_that_falls),
		T(removes_when_the_worker_is_gone),
		T(updates_a_stopped_changefeed),
		T(takes_table_commands_and_drops_them),
		T(comes_back_from_the_store),
		T(is_not_ready_until_the_store_can_be_read),
		T(answers_500_when_a_command_cannot_be_stored),
	};

	setenv("TZ", "UTC0", 1);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	ml_log_set_level(getenv("V") != NULL ? ML_DEBUG : ML_FATAL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
