#include "common/run/chan.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/run/frame.h"

/* Descriptors sent or received ahead of their frame; a handful is all a starting node needs at once. */
#define FDS_MAX 64
/* Past this much unsent the peer is stuck and the caller ignores ml_chan_full: the channel is given up. */
#define QUEUE_MAX_BYTES (4 * (size_t)ML_CHAN_HIGH)
/* Messages handed out per turn, so that one busy peer cannot starve the others; the rest waits in the buffer. */
#define MESSAGES_PER_TURN 64

struct out_fd {
	size_t at; /* offset in out.data of the frame it goes with */
	int fd;    /* ours: a duplicate */
};

struct ml_chan {
	struct ml_loop *loop;
	struct ml_watch *watch;
	const struct ml_chan_handlers *h;
	void *arg;
	int fd;        /* -1 after ml_chan_free */
	unsigned refs; /* the owner, a running callback, a call that is to come later */
	uint64_t last_id;

	struct ml_frame_in in;
	int in_fds[FDS_MAX];
	unsigned n_in_fds;
	bool more; /* whole frames may wait in `in`: go on in the next turn */

	struct ml_buf out;
	size_t out_at; /* first byte not sent */
	struct out_fd out_fds[FDS_MAX];
	unsigned n_out_fds;
	bool was_full; /* on_room is owed */
	bool deaf;     /* the peer reads no more; what it has sent is still read */

	bool dead; /* closed() is owed or done */
	enum ml_chan_end end;
	struct ml_err err;
	char name[64];
};

static void take_messages(struct ml_chan *ch);

static void
unref(struct ml_chan *ch)
{
	if (--ch->refs == 0)
		free(ch);
}

static void
tell_closed(void *arg)
{
	struct ml_chan *ch = arg;

	if (ch->fd >= 0)
		ch->h->closed(ch, ch->end, &ch->err, ch->arg);
	unref(ch);
}

/* The one way to die; ch->err is set already. */
static void
die(struct ml_chan *ch, enum ml_chan_end end)
{
	if (ch->dead)
		return;
	ch->dead = true;
	ch->end = end;
	ml_watch_set(ch->watch, 0);
	ch->refs++;
	ml_loop_later(ch->loop, tell_closed, ch);
}

static void
drop_fds(struct ml_chan *ch)
{
	for (unsigned i = 0; i < ch->n_in_fds; i++)
		close(ch->in_fds[i]);
	for (unsigned i = 0; i < ch->n_out_fds; i++)
		close(ch->out_fds[i].fd);
	ch->n_in_fds = ch->n_out_fds = 0;
}

static size_t
unsent(const struct ml_chan *ch)
{
	return ch->out.len - ch->out_at;
}

static void
drop_out(struct ml_chan *ch)
{
	for (unsigned i = 0; i < ch->n_out_fds; i++)
		close(ch->out_fds[i].fd);
	ch->n_out_fds = 0;
	ml_buf_fini(&ch->out);
	ch->out_at = 0;
}

static void
want_io(struct ml_chan *ch)
{
	if (!ch->dead)
		ml_watch_set(ch->watch, (short)((ch->more ? 0 : EV_READ) | (unsent(ch) > 0 ? EV_WRITE : 0)));
}

/* Sends what the socket takes: one sendmsg, or one more for each descriptor on the way. */
static void
flush(struct ml_chan *ch)
{
	while (!ch->dead && unsent(ch) > 0) {
		char control[CMSG_SPACE(sizeof(int))];
		bool with_fd = ch->n_out_fds > 0 && ch->out_fds[0].at == ch->out_at;
		/* A descriptor must go with the first byte of its own frame, so it ends what one call may send. */
		unsigned next = with_fd ? 1 : 0;
		size_t end = next < ch->n_out_fds ? ch->out_fds[next].at : ch->out.len;
		struct iovec iov = { ch->out.data + ch->out_at, end - ch->out_at };
		struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
		ssize_t n;

		if (with_fd) {
			struct cmsghdr *c;

			memset(control, 0, sizeof(control));
			msg.msg_control = control;
			msg.msg_controllen = sizeof(control);
			c = CMSG_FIRSTHDR(&msg);
			c->cmsg_level = SOL_SOCKET;
			c->cmsg_type = SCM_RIGHTS;
			c->cmsg_len = CMSG_LEN(sizeof(int));
			memcpy(CMSG_DATA(c), &ch->out_fds[0].fd, sizeof(int));
		}
		n = sendmsg(ch->fd, &msg, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS || errno == ETOOMANYREFS))
			break;
		if (n < 0 && (errno == EPIPE || errno == ECONNRESET)) {
			/* The peer is gone, but its last words may still be unread: the read side ends the channel. */
			ch->deaf = true;
			drop_out(ch);
			break;
		}
		if (n < 0) {
			ML_ERRF(&ch->err, ErrChannel, errno, "%s: cannot send: %s", ch->name, strerror(errno));
			die(ch, ML_CHAN_IO);
			return;
		}
		if (with_fd && n > 0) {
			close(ch->out_fds[0].fd);
			ch->n_out_fds--;
			memmove(ch->out_fds, ch->out_fds + 1, ch->n_out_fds * sizeof(ch->out_fds[0]));
		}
		ch->out_at += (size_t)n;
	}
	if (ch->out_at == ch->out.len) {
		ch->out_at = 0;
		if (ch->out.cap > ML_CHAN_LOW)
			ml_buf_fini(&ch->out);
		else
			ml_buf_clear(&ch->out);
	}
	want_io(ch);
}

/* Takes the descriptors that came with a read.  0, or -1 with err. */
static int
take_fds(struct ml_chan *ch, struct msghdr *msg)
{
	int result = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (i > 0 || ch->n_in_fds == FDS_MAX) {
				close(fd);
				result = ML_ERRF(
					&ch->err, ErrChannel, EBADMSG, "%s: more descriptors than messages", ch->name);
			} else {
				ch->in_fds[ch->n_in_fds++] = fd;
			}
		}
	}
	if ((msg->msg_flags & MSG_CTRUNC) != 0)
		result = ML_ERRF(&ch->err, ErrChannel, EBADMSG, "%s: descriptors were cut off", ch->name);
	return result;
}

static void
read_some(struct ml_chan *ch)
{
	char control[CMSG_SPACE(sizeof(int) * 4)];
	struct iovec iov;
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)
	};
	ssize_t n;

	iov.iov_base = ml_frame_room(&ch->in, &iov.iov_len);
	n = recvmsg(ch->fd, &msg, MSG_CMSG_CLOEXEC);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		return;
	if (n == 0 || (n < 0 && errno == ECONNRESET)) {
		size_t rest = ml_frame_rest(&ch->in);

		/* A reset is a peer that went away without reading all we sent: an end like any other. */
		ML_ERRF(&ch->err, ErrChannel, 0,
			rest > 0 ? "%s: closed by the peer within a message" : "%s: closed by the peer", ch->name);
		die(ch, ML_CHAN_EOF);
		return;
	}
	if (n < 0) {
		ML_ERRF(&ch->err, ErrChannel, errno, "%s: cannot read: %s", ch->name, strerror(errno));
		die(ch, ML_CHAN_IO);
		return;
	}
	if (take_fds(ch, &msg) != 0) {
		die(ch, ML_CHAN_BAD);
		return;
	}
	ml_frame_added(&ch->in, (size_t)n);
	take_messages(ch);
}

static void
go_on(void *arg)
{
	struct ml_chan *ch = arg;

	ch->more = false;
	if (ch->fd >= 0 && !ch->dead) {
		want_io(ch);
		take_messages(ch);
	}
	unref(ch);
}

/* Hands out the whole frames of the buffer; the caller holds a reference. */
static void
take_messages(struct ml_chan *ch)
{
	unsigned given = 0;

	for (;;) {
		Ml__Envelope *m;
		struct ml_err err;
		bool has_fd;
		int r, fd = -1;

		if (ch->fd < 0 || ch->dead)
			return;
		if (given == MESSAGES_PER_TURN) {
			/* Read nothing before these are out, so the buffer stays bounded. */
			ch->more = true;
			want_io(ch);
			ch->refs++;
			ml_loop_later(ch->loop, go_on, ch);
			return;
		}
		r = ml_frame_next(&ch->in, &m, &has_fd, &err);
		if (r < 0) {
			ch->err = err;
			ml_err_in(&ch->err, "%s", ch->name);
			die(ch, ML_CHAN_BAD);
			return;
		}
		if (r == 0)
			break;
		given++;
		if (has_fd) {
			if (ch->n_in_fds == 0) {
				ml__envelope__free_unpacked(m, NULL);
				ML_ERRF(&ch->err, ErrChannel, EBADMSG, "%s: a message came without its descriptor",
					ch->name);
				die(ch, ML_CHAN_BAD);
				return;
			}
			fd = ch->in_fds[0];
			ch->n_in_fds--;
			memmove(ch->in_fds, ch->in_fds + 1, ch->n_in_fds * sizeof(ch->in_fds[0]));
		}
		ch->h->message(ch, m, fd, ch->arg);
		ml__envelope__free_unpacked(m, NULL);
	}
	/* Only a frame that has begun may have its descriptor here already. */
	if (ch->n_in_fds > (ml_frame_rest(&ch->in) > 0 ? 1u : 0u)) {
		ML_ERRF(&ch->err, ErrChannel, EBADMSG, "%s: a descriptor without its message", ch->name);
		die(ch, ML_CHAN_BAD);
	}
}

static void
give_room(struct ml_chan *ch)
{
	if (ch->fd < 0 || ch->dead || !ch->was_full || unsent(ch) > ML_CHAN_LOW)
		return;
	ch->was_full = false;
	if (ch->h->room != NULL)
		ch->h->room(ch, ch->arg);
}

static void
on_io(int fd, short what, void *arg)
{
	struct ml_chan *ch = arg;

	(void)fd;
	ch->refs++;
	if ((what & EV_WRITE) != 0) {
		flush(ch);
		give_room(ch);
	}
	if ((what & EV_READ) != 0 && ch->fd >= 0 && !ch->dead && !ch->more)
		read_some(ch);
	unref(ch);
}

struct ml_chan *
ml_chan_new(struct ml_loop *l, int fd, const char *name, const struct ml_chan_handlers *h, void *arg)
{
	struct ml_chan *ch = calloc(1, sizeof(*ch));

	if (ch == NULL)
		abort();
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	ch->loop = l;
	ch->fd = fd;
	ch->refs = 1;
	ch->h = h;
	ch->arg = arg;
	snprintf(ch->name, sizeof(ch->name), "%s", name);
	ch->watch = ml_watch_new(l, fd, EV_READ, on_io, ch);
	return ch;
}

void
ml_chan_free(struct ml_chan *ch)
{
	if (ch == NULL)
		return;
	ml_watch_free(ch->watch);
	ch->watch = NULL;
	close(ch->fd);
	ch->fd = -1;
	drop_fds(ch);
	ml_frame_in_fini(&ch->in);
	ml_buf_fini(&ch->out);
	unref(ch);
}

uint64_t
ml_chan_send(struct ml_chan *ch, Ml__Envelope *m, int fd)
{
	size_t at;

	if (ch->dead || ch->deaf)
		return 0;
	if (ch->out_at > 0 && ch->out_at >= ch->out.len / 2) {
		memmove(ch->out.data, ch->out.data + ch->out_at, unsent(ch));
		ch->out.len -= ch->out_at;
		for (unsigned i = 0; i < ch->n_out_fds; i++)
			ch->out_fds[i].at -= ch->out_at;
		ch->out_at = 0;
	}
	at = ch->out.len;
	m->version = ML_CHAN_VERSION;
	m->id = ch->last_id + 1;
	if (ml_frame_put(&ch->out, m, fd >= 0, NULL) != 0)
		return 0;
	ch->last_id++;
	if (fd >= 0) {
		int dup_fd = ch->n_out_fds < FDS_MAX ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;

		if (dup_fd < 0) {
			ML_ERRF(&ch->err, ErrChannel, errno, "%s: cannot pass a descriptor", ch->name);
			die(ch, ML_CHAN_IO);
			return 0;
		}
		ch->out_fds[ch->n_out_fds++] = (struct out_fd){ at, dup_fd };
	}
	/* If bytes wait already, the socket is full: the loop will tell. */
	if (at == ch->out_at)
		flush(ch);
	if (ch->dead || ch->deaf)
		return 0;
	if (unsent(ch) > QUEUE_MAX_BYTES) {
		ML_ERRF(&ch->err, ErrChannel, ENOBUFS, "%s: the peer does not read", ch->name);
		die(ch, ML_CHAN_IO);
		return 0;
	}
	if (unsent(ch) > ML_CHAN_HIGH)
		ch->was_full = true;
	return m->id;
}

bool
ml_chan_full(const struct ml_chan *ch)
{
	return ch->was_full;
}

size_t
ml_chan_unsent(const struct ml_chan *ch)
{
	return unsent(ch);
}

void
ml_chan_drain(struct ml_chan *ch, int timeout_ms)
{
	uint64_t now = ml_now_ms(), end = now + (uint64_t)timeout_ms;

	for (; !ch->dead && unsent(ch) > 0 && now < end; now = ml_now_ms()) {
		struct pollfd pfd = { .fd = ch->fd, .events = POLLOUT };

		poll(&pfd, 1, (int)(end - now));
		flush(ch);
	}
}

void
ml_chan_refuse(struct ml_chan *ch, const char *why)
{
	if (ch->dead)
		return;
	ML_ERRF(&ch->err, ErrChannel, EBADMSG, "%s: %s", ch->name, why);
	die(ch, ML_CHAN_BAD);
}

void
ml_chan_set(struct ml_chan *ch, const struct ml_chan_handlers *h, void *arg)
{
	ch->h = h;
	ch->arg = arg;
}

const char *
ml_chan_name(const struct ml_chan *ch)
{
	return ch->name;
}

int
ml_chan_pair(int fds[2], struct ml_err *err)
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) != 0)
		return ML_ERRF(err, ErrChannel, errno, "socketpair: %s", strerror(errno));
	return 0;
}
