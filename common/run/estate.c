#include "common/run/estate.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/run/log.h"
#include "common/run/loop.h"
#include "common/run/proc.h"

/* After so many additions the estate is gone through, and what is closed is taken out: reconnecting must not fill it. */
#define ADDED_MAX 32
/* A socket that never connected is thrown out at this age. */
#define STILLBORN_NS (600 * 1000000000ull)
/* From when on waiting is worth a line in the log. */
#define QUIET_MS 500
/* So long it is looked at every millisecond: most servers need less. */
#define QUICK_MS 50
#define MARKER "connections"
/* The kernel's numbers of states; <netinet/tcp.h> has their names, but an older struct tcp_info. */
enum { TCP_IS_TIME_WAIT = 6, TCP_IS_CLOSE = 7, TCP_IS_CLOSE_WAIT = 8, TCP_IS_LAST_ACK = 9, TCP_IS_CLOSING = 11 };

static struct {
	int fd[2]; /* [0] sends, [1] receives; -1: no estate */
	pthread_mutex_t lock;
	char object[160];
	char marker[1100];
	bool marked;
	bool known;     /* an earlier worker of the same supervisor has been here */
	unsigned added; /* since the estate was gone through */
	atomic_bool leaving;
} estate = { .fd = { -1, -1 }, .lock = PTHREAD_MUTEX_INITIALIZER };

/* What travels: a connection, or, without a descriptor, the note that a worker has been here. */
struct entry {
	uint64_t id; /* monotonic nanoseconds: when it was put in last */
	uint64_t added;
};

static uint64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

int
ml_estate_pair(int fd[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd);
}

bool
ml_estate_empty(const int fd[2])
{
	struct pollfd p = { .fd = fd[1], .events = POLLIN };

	return poll(&p, 1, 0) == 0;
}

static int
put(struct entry *e, int sock)
{
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov = { .iov_base = e, .iov_len = sizeof(*e) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	e->id = now_ns();
	if (sock >= 0) {
		m.msg_control = &control;
		m.msg_controllen = sizeof(control.room);
		control.h.cmsg_level = SOL_SOCKET;
		control.h.cmsg_type = SCM_RIGHTS;
		control.h.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.h), &sock, sizeof(sock));
	}
	return sendmsg(estate.fd[0], &m, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)sizeof(*e) ? 0 : -1;
}

/* The oldest entry, with a descriptor of the caller's in *sock or -1.  flags: MSG_PEEK leaves it in.  False: there is none. */
static bool
get(struct entry *e, int *sock, int flags)
{
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = { .iov_base = e, .iov_len = sizeof(*e) };
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control.room)
	};
	struct cmsghdr *c;

	*sock = -1;
	if (recvmsg(estate.fd[1], &m, flags | MSG_DONTWAIT | MSG_CMSG_CLOEXEC) != (ssize_t)sizeof(*e))
		return false;
	c = CMSG_FIRSTHDR(&m);
	if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
		c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(sock, CMSG_DATA(c), sizeof(*sock));
	return true;
}

static void
drop_first(void)
{
	struct entry e;
	int sock;

	if (get(&e, &sock, 0) && sock >= 0)
		close(sock);
}

/* The server has closed it, or it was reset.  added: when it was put into the estate. */
static bool
is_closed(int sock, uint64_t added)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	if (getsockopt(sock, IPPROTO_TCP, TCP_INFO, &info, &len) != 0)
		return true;
	switch (info.tcpi_state) {
	case TCP_IS_CLOSE:
		/* A socket that has not begun to connect is in the same state; it has sent nothing. */
		return info.tcpi_segs_out > 0 || now_ns() - added > STILLBORN_NS;
	case TCP_IS_CLOSE_WAIT:
	case TCP_IS_LAST_ACK:
	case TCP_IS_CLOSING:
	case TCP_IS_TIME_WAIT:
		return true;
	default:
		return false;
	}
}

/*
 * Goes once through the estate and takes out what is closed.  Each entry is put in at the end before it is taken out at the
 * front: a worker that is killed meanwhile leaves one twice rather than none.  visit (may be NULL) gets each connection that
 * stays, as a descriptor of its own.
 */
static void
go_through(void (*visit)(int sock, void *arg), void *arg)
{
	uint64_t start = now_ns();
	bool noted = false; /* one note of an earlier worker is enough */
	struct entry e;
	int sock;

	while (get(&e, &sock, MSG_PEEK) && e.id < start) {
		bool keep = sock < 0 ? !noted : !is_closed(sock, e.added);

		if (sock < 0)
			noted = estate.known = true;
		if (keep && put(&e, sock) != 0) {
			/* Full: it stays where it is. */
			if (sock >= 0)
				close(sock);
			break;
		}
		if (keep && sock >= 0 && visit != NULL)
			visit(sock, arg);
		else if (sock >= 0)
			close(sock);
		drop_first();
	}
	estate.added = 0;
}

void
ml_estate_open(const char *state_dir, const char *object)
{
	int domain = -1;
	socklen_t len = sizeof(domain);

	if (getsockopt(ML_PROC_ESTATE_FD, SOL_SOCKET, SO_DOMAIN, &domain, &len) != 0 || domain != AF_UNIX)
		return;
	estate.fd[0] = ML_PROC_ESTATE_FD;
	estate.fd[1] = ML_PROC_ESTATE_FD + 1;
	snprintf(estate.object, sizeof(estate.object), "%s", object);
	snprintf(estate.marker, sizeof(estate.marker), "%s/%s", state_dir, MARKER);
}

/* ---- waiting ---- */

struct wait {
	int *sockets;
	size_t n, room;
};

static void
collect(int sock, void *arg)
{
	struct wait *w = arg;

	if (w->n == w->room) {
		w->room = w->room * 2 + 16;
		w->sockets = realloc(w->sockets, w->room * sizeof(*w->sockets));
		if (w->sockets == NULL)
			abort();
	}
	shutdown(sock, SHUT_WR);
	w->sockets[w->n++] = sock;
}

/*
 * True when the server has closed it; what it still says is of no interest.  An end that can be read is not enough: the
 * worker may have shut the reading side itself.
 */
static bool
read_to_end(int sock)
{
	char trash[4096];
	ssize_t n;

	do {
		n = recv(sock, trash, sizeof(trash), MSG_DONTWAIT);
	} while (n > 0 || (n < 0 && errno == EINTR));
	return is_closed(sock, 0);
}

/* Waits for the ends of w's connections; those that ended are closed and taken out. */
static void
wait_for_ends(struct wait *w, int limit_ms)
{
	uint64_t start = ml_now_ms(), lived;
	bool told = false;

	for (;;) {
		for (size_t i = 0; i < w->n;) {
			if (read_to_end(w->sockets[i])) {
				close(w->sockets[i]);
				w->sockets[i] = w->sockets[--w->n];
			} else {
				i++;
			}
		}
		lived = ml_now_ms() - start;
		if (w->n == 0 || lived >= (uint64_t)limit_ms)
			break;
		if (!told && lived >= QUIET_MS) {
			told = true;
			ml_info(estate.object, "waiting until servers are through with earlier connections n=%zu",
				w->n);
		}
		poll(NULL, 0, lived < QUICK_MS ? 1 : 10);
	}
	if (told)
		ml_info(estate.object, "waited for earlier connections ms=%llu left=%zu", (unsigned long long)lived,
			w->n);
}

static void
unmark(void)
{
	unlink(estate.marker);
	estate.marked = false;
}

bool
ml_estate_settle(int limit_ms)
{
	static const struct linger reset = { .l_onoff = 1 };
	struct wait w = { 0 };
	struct entry here = { 0 };
	bool all;

	if (estate.fd[0] < 0)
		return true;
	pthread_mutex_lock(&estate.lock);
	go_through(collect, &w);
	wait_for_ends(&w, limit_ms);
	all = w.n == 0;
	if (!all)
		ml_warn(estate.object,
			"servers do not close connections of an earlier worker n=%zu; they are reset, "
			"and what it sent last may still arrive",
			w.n);
	for (size_t i = 0; i < w.n; i++) {
		setsockopt(w.sockets[i], SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		close(w.sockets[i]);
	}
	free(w.sockets);
	if (!estate.known && access(estate.marker, F_OK) == 0) {
		ml_info(estate.object, "an earlier server ended without a trace of its connections, waiting ms=%d",
			ML_ESTATE_CRASH_MS);
		poll(NULL, 0, ML_ESTATE_CRASH_MS);
	}
	/* Emptied with the last copies of the descriptors; and from now on a successor knows that there was someone. */
	while (!ml_estate_empty(estate.fd))
		drop_first();
	here.added = now_ns();
	put(&here, -1);
	estate.known = true;
	unmark();
	pthread_mutex_unlock(&estate.lock);
	return all;
}

int
ml_estate_add(int sock)
{
	struct entry e = { .added = now_ns() };
	int fd, rc;

	if (estate.fd[0] < 0)
		return 0;
	pthread_mutex_lock(&estate.lock);
	if (atomic_load(&estate.leaving)) {
		pthread_mutex_unlock(&estate.lock);
		errno = ECANCELED;
		return -1;
	}
	if (!estate.marked) {
		fd = open(estate.marker, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		if (fd >= 0)
			close(fd);
		estate.marked = fd >= 0;
	}
	if (++estate.added > ADDED_MAX)
		go_through(NULL, NULL);
	rc = put(&e, sock);
	pthread_mutex_unlock(&estate.lock);
	if (rc != 0)
		ml_warn(estate.object, "a connection cannot be left to a successor: %s", strerror(errno));
	return 0;
}

void
ml_estate_end(int sock)
{
	if (estate.fd[0] >= 0)
		shutdown(sock, SHUT_WR);
}

bool
ml_estate_leave(int limit_ms)
{
	struct wait w = { 0 };
	bool all;

	if (estate.fd[0] < 0)
		return true;
	pthread_mutex_lock(&estate.lock);
	atomic_store(&estate.leaving, true);
	go_through(collect, &w);
	wait_for_ends(&w, limit_ms);
	all = w.n == 0;
	for (size_t i = 0; i < w.n; i++)
		close(w.sockets[i]);
	free(w.sockets);
	if (all) {
		while (!ml_estate_empty(estate.fd))
			drop_first();
		unmark();
	}
	pthread_mutex_unlock(&estate.lock);
	return all;
}
