/*
 * fake_registry.h - an HTTP server in a thread of the test, one request a connection: answers what the test's function says.  For
 * faults that a real schema registry does not have on demand, and for ids that golden files hold.
 */
#ifndef ML_TESTS_ENCODER_FAKE_REGISTRY_H
#define ML_TESTS_ENCODER_FAKE_REGISTRY_H
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

struct fake_request {
	char method[8], path[256];
	const char *head; /* all header lines */
	const char *body; /* NUL-terminated */
};

struct fake_reply {
	int status;
	char body[512];
	unsigned delay_ms; /* before it is sent; ends with a stop and when the client has gone */
};

typedef void fake_answer_fn(void *arg, const struct fake_request *q, struct fake_reply *r);

struct fake_registry {
	int fd, port;
	fake_answer_fn *answer;
	void *arg;
	atomic_int requests;
	atomic_bool stop;
	pthread_t thread;
	char url[64];
};

static inline void
fake_serve(struct fake_registry *f, int c)
{
	size_t cap = 1 << 20, n = 0, want = SIZE_MAX;
	char *buf = malloc(cap + 1), *body = NULL, head[256];
	struct fake_request q = { 0 };
	struct fake_reply r = { .status = 200 };
	int len;

	while (n < cap && n < want) {
		ssize_t got = read(c, buf + n, cap - n);

		if (got <= 0)
			break;
		n += (size_t)got;
		buf[n] = '\0';
		if (body == NULL && (body = strstr(buf, "\r\n\r\n")) != NULL) {
			const char *cl = strcasestr(buf, "\r\nContent-Length:");

			body += 4;
			want = (size_t)(body - buf) + (cl != NULL ? strtoul(cl + 17, NULL, 10) : 0);
		}
	}
	if (body != NULL && sscanf(buf, "%7s %255s", q.method, q.path) == 2) {
		body[-2] = '\0';
		q.head = buf;
		q.body = body;
		atomic_fetch_add(&f->requests, 1);
		f->answer(f->arg, &q, &r);
		for (unsigned ms = 0; ms < r.delay_ms && !atomic_load(&f->stop); ms += 5) {
			struct pollfd gone = { .fd = c, .events = POLLRDHUP };

			if (poll(&gone, 1, 5) > 0)
				break;
		}
		len = snprintf(head, sizeof(head), "HTTP/1.1 %d X\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n",
			r.status, strlen(r.body));
		if (send(c, head, (size_t)len, MSG_NOSIGNAL) == len)
			(void)!send(c, r.body, strlen(r.body), MSG_NOSIGNAL);
	}
	free(buf);
	close(c);
}

static inline void *
fake_main(void *arg)
{
	struct fake_registry *f = arg;

	while (!atomic_load(&f->stop)) {
		struct pollfd p = { .fd = f->fd, .events = POLLIN };
		int c;

		if (poll(&p, 1, 5) == 1 && (c = accept(f->fd, NULL, NULL)) >= 0)
			fake_serve(f, c);
	}
	return NULL;
}

static inline void
fake_start(struct fake_registry *f, fake_answer_fn *answer, void *arg)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);

	memset(f, 0, sizeof(*f));
	f->answer = answer;
	f->arg = arg;
	f->fd = socket(AF_INET, SOCK_STREAM, 0);
	if (f->fd < 0 || bind(f->fd, (struct sockaddr *)&a, len) != 0 || listen(f->fd, 16) != 0 ||
		getsockname(f->fd, (struct sockaddr *)&a, &len) != 0 ||
		pthread_create(&f->thread, NULL, fake_main, f) != 0)
		abort();
	f->port = ntohs(a.sin_port);
	snprintf(f->url, sizeof(f->url), "http://127.0.0.1:%d", f->port);
}

static inline void
fake_stop(struct fake_registry *f)
{
	atomic_store(&f->stop, true);
	pthread_join(f->thread, NULL);
	close(f->fd);
}
#endif
