#include "common/run/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/run/log.h"
#include "ml_build.h"

/* What a dying process may wait for a supervisor that does not read. */
#define LAST_WORDS_MS 1000

struct ml_proc {
	struct ml_loop *loop;
	struct ml_chan *ch;
	struct ml_proc_desc desc;
	Ml__Envelope *welcome; /* NULL until it is here */
	unsigned state;
	int listen_fd;
	bool stopping;
	struct ml_timer *deadline;
	char object[160];
};

const char *
ml_proc_build(void)
{
	return ML_VERSION " " ML_GIT_HASH;
}

static void
take_welcome(struct ml_chan *ch, const Ml__Envelope *m, int fd, void *arg)
{
	struct ml_proc *p = arg;
	size_t n = ml__envelope__get_packed_size(m);
	uint8_t *bytes = malloc(n);
	enum ml_level level;

	if (p->welcome != NULL || m->welcome->config == NULL || bytes == NULL ||
		(fd >= 0) != (p->desc.role == ML__ROLE__ROLE_GATEWAY)) {
		if (fd >= 0)
			close(fd);
		free(bytes);
		ml_chan_refuse(
			ch, "Welcome out of turn, without its configuration, or with a descriptor that is not for us");
		return;
	}
	ml__envelope__pack(m, bytes);
	p->welcome = ml__envelope__unpack(NULL, n, bytes);
	free(bytes);
	if (p->welcome == NULL)
		abort(); /* it has been unpacked a moment ago: out of memory */
	p->listen_fd = fd;
	if (p->desc.role == ML__ROLE__ROLE_WORKER && m->welcome->role == ML__ROLE__ROLE_PROBE)
		p->desc.role = ML__ROLE__ROLE_PROBE;
	if (ml_log_parse_level(m->welcome->config->log_level, &level) == 0)
		ml_log_set_level(level);
	if (m->welcome->changefeed_id[0] != '\0')
		snprintf(p->object, sizeof(p->object), "%.64s/%.64s/%u", m->welcome->namespace_,
			m->welcome->changefeed_id, m->welcome->shard);
	ml_loop_stop(p->loop);
}

static void
take_stop(struct ml_chan *ch, const Ml__Envelope *m, int fd, void *arg)
{
	struct ml_proc *p = arg;

	(void)ch;
	if (fd >= 0)
		close(fd);
	p->stopping = true;
	if (p->desc.stop == NULL || p->welcome == NULL)
		ml_proc_end(p, ML_EXIT_OK);
	p->desc.stop(m->stop->grace_ms, p->desc.arg);
}

static void
take_log_level(struct ml_chan *ch, const Ml__Envelope *m, int fd, void *arg)
{
	enum ml_level level;

	(void)arg;
	if (fd >= 0)
		close(fd);
	if (ml_log_parse_level(m->set_log_level->level, &level) != 0)
		ml_chan_refuse(ch, "unknown log level");
	else
		ml_log_set_level(level);
}

static void
take_log_file(struct ml_chan *ch, const Ml__Envelope *m, int fd, void *arg)
{
	(void)m;
	(void)arg;
	if (fd < 0) {
		ml_chan_refuse(ch, "a log file without its descriptor");
		return;
	}
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	close(fd);
}

static void
on_message(struct ml_chan *ch, const Ml__Envelope *m, int fd, void *arg)
{
	static const struct ml_inbox_row own[] = {
		{ ML__ENVELOPE__BODY_WELCOME, ML_PROC_IN_STARTING, take_welcome },
		{ ML__ENVELOPE__BODY_STOP, ML_PROC_IN_STARTING | ML_PROC_IN_UP, take_stop },
		{ ML__ENVELOPE__BODY_SET_LOG_LEVEL, ML_PROC_IN_STARTING | ML_PROC_IN_UP, take_log_level },
		{ ML__ENVELOPE__BODY_LOG_FILE, ML_PROC_IN_STARTING | ML_PROC_IN_UP, take_log_file },
	};
	struct ml_proc *p = arg;

	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
		if (own[i].body == m->body_case) {
			ml_inbox_take(own, sizeof(own) / sizeof(own[0]), p->state, ch, m, fd, p);
			return;
		}
	}
	ml_inbox_take(p->desc.rows, p->desc.n_rows, p->state, ch, m, fd, p->desc.arg);
}

static void
on_closed(struct ml_chan *ch, enum ml_chan_end end, const struct ml_err *err, void *arg)
{
	struct ml_proc *p = arg;

	(void)ch;
	if (end != ML_CHAN_EOF)
		ml_log_err(ML_ERROR, p->object, err, "channel to the supervisor broke, exiting");
	else if (!p->stopping)
		ml_warn(p->object, "the supervisor is gone, exiting");
	if (p->desc.leave != NULL)
		p->desc.leave(true, p->desc.arg);
	/* At once, whatever other threads are doing: nothing may be written downstream any more. */
	_exit(err->lib == EPROTONOSUPPORT ? ML_EXIT_CONFIG : ML_EXIT_ORPHAN);
}

/* The supervisor has died.  The loop will see it and leave in order; if it hangs, the alarm ends the process. */
static void
on_parent_death(int sig)
{
	(void)sig;
	alarm(ML_PROC_ORPHAN_MS / 1000 + 5);
}

static void
watch_parent(bool leaves)
{
	if (!leaves) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		return;
	}
	signal(SIGUSR1, on_parent_death);
	prctl(PR_SET_PDEATHSIG, SIGUSR1);
}

static void
on_deadline(void *arg)
{
	struct ml_proc *p = arg;

	ml_error(p->object, "no Welcome of the supervisor within %d ms, exiting", ML_PROC_DEADLINE_MS);
	_exit(ML_EXIT_ORPHAN);
}

struct ml_proc *
ml_proc_start(struct ml_loop *l, const struct ml_proc_desc *desc)
{
	static const struct ml_chan_handlers handlers = { on_message, on_closed, NULL };
	static const int ignored[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE };
	struct ml_proc *p = calloc(1, sizeof(*p));
	Ml__Envelope m = ML__ENVELOPE__INIT;
	Ml__Hello hello = ML__HELLO__INIT;
	int domain = -1;
	socklen_t len = sizeof(domain);

	if (p == NULL)
		abort();
	ml_log_init(desc->log_name);
	if (getsockopt(ML_PROC_FD, SOL_SOCKET, SO_DOMAIN, &domain, &len) != 0 || domain != AF_UNIX) {
		fprintf(stderr, "This program is a part of Millrace and is started by it: use `millrace server`.\n");
		exit(ML_EXIT_CONFIG);
	}
	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
	watch_parent(desc->leave != NULL);
	for (int fd = ML_PROC_FD; fd < ML_PROC_LOCK_FD + ML_PROC_KEPT; fd++)
		fcntl(fd, F_SETFD, FD_CLOEXEC);
	p->loop = l;
	p->desc = *desc;
	p->listen_fd = -1;
	snprintf(p->object, sizeof(p->object), "-");
	p->ch = ml_chan_new(l, ML_PROC_FD, "supervisor", &handlers, p);
	hello.version = ML_CHAN_VERSION;
	hello.build = (char *)(uintptr_t)ml_proc_build();
	hello.role = desc->role;
	m.body_case = ML__ENVELOPE__BODY_HELLO;
	m.hello = &hello;
	ml_chan_send(p->ch, &m, -1);
	p->deadline = ml_timer_new(l, on_deadline, p);
	ml_timer_arm(p->deadline, ML_PROC_DEADLINE_MS);
	while (p->welcome == NULL)
		ml_loop_run(l);
	ml_timer_free(p->deadline);
	p->deadline = NULL;
	return p;
}

const Ml__ServerConfig *
ml_proc_config(const struct ml_proc *p)
{
	return p->welcome->welcome->config;
}

const Ml__Welcome *
ml_proc_welcome(const struct ml_proc *p)
{
	return p->welcome->welcome;
}

const char *
ml_proc_object(const struct ml_proc *p)
{
	return p->object;
}

Ml__Role
ml_proc_role(const struct ml_proc *p)
{
	return p->desc.role;
}

int
ml_proc_listen_fd(struct ml_proc *p)
{
	int fd = p->listen_fd;

	p->listen_fd = -1;
	return fd;
}

struct ml_chan *
ml_proc_chan(struct ml_proc *p)
{
	return p->ch;
}

void
ml_proc_ready(struct ml_proc *p)
{
	Ml__Envelope m = ML__ENVELOPE__INIT;
	Ml__Ready ready = ML__READY__INIT;

	m.body_case = ML__ENVELOPE__BODY_READY;
	m.ready = &ready;
	p->state = ML_PROC_UP;
	ml_chan_send(p->ch, &m, -1);
}

void
ml_proc_end(struct ml_proc *p, enum ml_exit code)
{
	if (p->stopping) {
		Ml__Envelope m = ML__ENVELOPE__INIT;
		Ml__Stopped stopped = ML__STOPPED__INIT;

		m.body_case = ML__ENVELOPE__BODY_STOPPED;
		m.stopped = &stopped;
		ml_chan_send(p->ch, &m, -1);
	}
	ml_chan_drain(p->ch, LAST_WORDS_MS);
	if (p->desc.leave != NULL)
		p->desc.leave(false, p->desc.arg);
	/* Not exit(3): other threads may still use what its handlers take down. */
	fflush(NULL);
	_exit(code);
}
