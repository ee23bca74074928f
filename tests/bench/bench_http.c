/*
 * bench_http.c - GETs of one path over connections that stay open, one request at a time on each.
 *
 *	bench_http PORT PATH CONNECTIONS SECONDS
 *
 * Prints "requests seconds cpu_seconds p50_us p99_us".  Any answer but 200 with a Content-Length ends it with exit code 1.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define ANSWER_MAX 65536
#define SAMPLES_MAX (1 << 22)

struct connection {
	int fd;
	size_t have;
	int64_t sent_us;
	char buf[ANSWER_MAX + 1];
};

static int64_t
now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void
die(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, errno != 0 ? strerror(errno) : "");
	exit(1);
}

static void
ask(struct connection *c, const char *request, size_t len)
{
	c->have = 0;
	c->sent_us = now_us();
	if (send(c->fd, request, len, MSG_NOSIGNAL) != (ssize_t)len)
		die("send");
}

/* 1: the answer is here as a whole. */
static int
answered(struct connection *c)
{
	const char *end, *length;
	ssize_t k = recv(c->fd, c->buf + c->have, ANSWER_MAX - c->have, 0);

	if (k <= 0)
		die("the server closed a connection");
	c->have += (size_t)k;
	c->buf[c->have] = '\0';
	end = strstr(c->buf, "\r\n\r\n");
	if (end == NULL)
		return 0;
	length = strcasestr(c->buf, "\r\ncontent-length:");
	if (strncmp(c->buf, "HTTP/1.1 200 ", 13) != 0 || length == NULL || length > end) {
		errno = 0;
		die(c->buf);
	}
	return c->have - (size_t)(end + 4 - c->buf) >= strtoul(length + 17, NULL, 10);
}

static int
by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

int
main(int argc, char **argv)
{
	int n = argc == 5 ? atoi(argv[3]) : 0, ep = epoll_create1(0), one = 1;
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct connection *all = calloc(n > 0 ? (size_t)n : 1, sizeof(*all));
	uint32_t *took = malloc(SAMPLES_MAX * sizeof(*took));
	int64_t begin, end, last;
	uint32_t count = 0;
	char request[1024];
	struct rusage u;
	size_t len;

	if (n <= 0 || all == NULL || took == NULL) {
		fprintf(stderr, "usage: %s PORT PATH CONNECTIONS SECONDS\n", argv[0]);
		return 2;
	}
	to.sin_port = htons((uint16_t)atoi(argv[1]));
	len = (size_t)snprintf(
		request, sizeof(request), "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%s\r\n\r\n", argv[2], argv[1]);
	if (len >= sizeof(request))
		return 2;
	begin = last = now_us();
	end = begin + (int64_t)(atof(argv[4]) * 1e6);
	for (int i = 0; i < n; i++) {
		struct epoll_event ev = { .events = EPOLLIN, .data.ptr = &all[i] };

		all[i].fd = socket(AF_INET, SOCK_STREAM, 0);
		if (all[i].fd < 0 || connect(all[i].fd, (struct sockaddr *)&to, sizeof(to)) != 0)
			die("connect");
		setsockopt(all[i].fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		epoll_ctl(ep, EPOLL_CTL_ADD, all[i].fd, &ev);
		ask(&all[i], request, len);
	}
	while (last < end && count < SAMPLES_MAX) {
		struct epoll_event evs[64];
		int k = epoll_wait(ep, evs, 64, 1000);

		if (k == 0) {
			errno = ETIMEDOUT;
			die("no answer");
		}
		for (int i = 0; i < k && count < SAMPLES_MAX; i++) {
			struct connection *c = evs[i].data.ptr;

			if (!answered(c))
				continue;
			last = now_us();
			took[count++] = (uint32_t)(last - c->sent_us);
			ask(c, request, len);
		}
	}
	getrusage(RUSAGE_SELF, &u);
	qsort(took, count, sizeof(*took), by_value);
	printf("%u %.4f %.4f %u %u\n", count, (double)(last - begin) / 1e6,
		(double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
			(double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6,
		count > 0 ? took[count / 2] : 0, count > 0 ? took[(uint64_t)count * 99 / 100] : 0);
	for (int i = 0; i < n; i++)
		close(all[i].fd);
	free(all);
	free(took);
	close(ep);
	return 0;
}
