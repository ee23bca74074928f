#include "capture-worker/source/mysql/dump.h"

#include <errmsg.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* The library's private transport structures, for its TLS object; they are stable within Connector/C 3. */
#if defined(MARIADB_PACKAGE_VERSION_ID) && MARIADB_PACKAGE_VERSION_ID < 40000
#define HAVE_TLS 1
typedef unsigned char uchar;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wstrict-prototypes" /* in the library's own headers */
#include <ma_pvio.h>
#pragma GCC diagnostic pop
#else
#error "the dump connection borrows the socket of MariaDB Connector/C 3"
#endif
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "common/base/buf.h"

/* Where packets are cut out: large enough that a read serves a hundred events, small enough to stay in the second-level cache. */
#define BUFFER_BYTES (512u << 10)
/* A packet of this length continues in the next one. */
#define PACKET_MAX 0xFFFFFFu
/* Largest event a server can send: max_allowed_packet is 1 GiB at most. */
#define EVENT_MAX ((1u << 30) + (64u << 10))
/* With a GTID the server may search its files for minutes before it says anything; afterwards three heartbeats and a bit. */
#define FIRST_SILENCE_US (600u * 1000000ull)
#define SILENCE_US (3ull * ML_DUMP_HEARTBEAT_MS * 1000 + 10u * 1000000ull)
/* How long the server may wait for us to take data, seconds: back-pressure leaves the socket full for as long as a sink is
 * stuck, and a cut connection would only be opened again at the same place.  The server's own limit is a year. */
#define WRITE_TIMEOUT_S 31536000u
#define SETUP_TIMEOUT_S 30u
/* Bulk transfer: a larger receive window lets the server's dump thread run ahead while a batch is handled. */
#define SOCKET_BYTES (4 << 20)

struct ml_dump {
	struct ml_my_conn conn;
	int fd, wake_fd;
	SSL *ssl;
	uint8_t *buf;
	size_t cap, head, tail; /* bytes not consumed yet are [head, tail) */
	struct ml_buf big;      /* an event that came in several packets */
	bool in_big;
	bool got_any;
	bool wants_write;  /* TLS: reading waits for a write */
	uint64_t heard_us; /* when bytes last arrived */
};

static uint64_t
now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static int
set_up(struct ml_dump *d, const struct ml_dump_start *start, struct ml_err *err)
{
	char sql[256];
	struct ml_buf b = { 0 };
	int rc = 0;

	snprintf(sql, sizeof(sql), "SET SESSION net_write_timeout = %u", WRITE_TIMEOUT_S);
	if (ml_my_query(&d->conn, sql, NULL, err) < 0 ||
		ml_my_query(&d->conn,
			"SET @master_binlog_checksum = @@global.binlog_checksum, "
			"@source_binlog_checksum = @@global.binlog_checksum",
			NULL, err) < 0)
		return -1;
	snprintf(sql, sizeof(sql), "SET @master_heartbeat_period = %llu, @source_heartbeat_period = %llu",
		ML_DUMP_HEARTBEAT_MS * 1000000ull, ML_DUMP_HEARTBEAT_MS * 1000000ull);
	if (ml_my_query(&d->conn, sql, NULL, err) < 0)
		return -1;
	if (d->conn.flavor == ML_MYSQL) {
		/*
		 * The server ends an older dump with the same UUID: one of ours that it has not noticed the end of.  So it follows
		 * from the server_id, which is this reader's own.
		 */
		snprintf(sql, sizeof(sql),
			"SET @slave_uuid = '4d696c6c-7261-4365-8000-0000%08x', @replica_uuid = @slave_uuid",
			start->server_id);
		return ml_my_query(&d->conn, sql, NULL, err);
	}
	if (ml_my_query(&d->conn, "SET @mariadb_slave_capability = 4", NULL, err) < 0)
		return -1;
	if (start->gtid != NULL) {
		ml_buf_puts(&b, "SET @slave_connect_state = ");
		ml_my_quote(&d->conn, &b, start->gtid);
		ml_buf_puts(&b, ", @slave_gtid_strict_mode = 1, @slave_gtid_ignore_duplicates = 0");
		rc = ml_my_query(&d->conn, b.data, NULL, err);
		ml_buf_fini(&b);
	}
	return rc;
}

/* Everything of p goes out, waiting as long as the setup may take. */
static int
send_all(struct ml_dump *d, const uint8_t *p, size_t n, struct ml_err *err)
{
	while (n > 0) {
		struct pollfd pfd = { .fd = d->fd, .events = POLLOUT };
		ssize_t k;

		if (d->ssl != NULL) {
			k = SSL_write(d->ssl, p, (int)n);
			if (k <= 0) {
				int e = SSL_get_error(d->ssl, (int)k);

				if (e != SSL_ERROR_WANT_READ && e != SSL_ERROR_WANT_WRITE)
					return ML_ERR(err, ErrUpstreamUnavailable, CR_SERVER_LOST, d->conn.addr,
						"TLS write failed");
				pfd.events = e == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
				k = 0;
			}
		} else {
			k = send(d->fd, p, n, MSG_NOSIGNAL);
			if (k < 0 && errno != EAGAIN && errno != EINTR)
				return ML_ERR(
					err, ErrUpstreamUnavailable, CR_SERVER_LOST, d->conn.addr, strerror(errno));
			if (k < 0)
				k = 0;
		}
		p += k;
		n -= (size_t)k;
		if (k == 0 && poll(&pfd, 1, (int)SETUP_TIMEOUT_S * 1000) == 0)
			return ML_ERR(
				err, ErrUpstreamUnavailable, CR_SERVER_LOST, d->conn.addr, "the server takes no data");
	}
	return 0;
}

static void
le(uint8_t **p, uint64_t v, unsigned n)
{
	for (; n > 0; n--, v >>= 8)
		*(*p)++ = (uint8_t)v;
}

/* COM_BINLOG_DUMP_GTID. */
static int
command_by_gtid(struct ml_dump *d, const struct ml_dump_start *start, uint16_t flags, struct ml_err *err)
{
	uint8_t head[4 + 1 + 2 + 4 + 4 + 8 + 4], *p = head;
	struct ml_buf set = { 0 };
	int rc;

	ml_gtid_set_encode(start->set, &set);
	if (set.len > PACKET_MAX - sizeof(head)) {
		ml_buf_fini(&set);
		return ML_ERR(err, ErrMySQLQueryError, 0, d->conn.addr, "the GTID set is too large");
	}
	le(&p, sizeof(head) - 4 + set.len, 3);
	*p++ = 0;
	*p++ = 0x1E;
	le(&p, flags, 2);
	le(&p, start->server_id, 4);
	le(&p, 0, 4); /* no file name: with one, the server would begin there and lose what is before */
	le(&p, 4, 8);
	le(&p, set.len, 4);
	rc = send_all(d, head, sizeof(head), err);
	if (rc == 0)
		rc = send_all(d, (const uint8_t *)set.data, set.len, err);
	ml_buf_fini(&set);
	return rc;
}

static int
command(struct ml_dump *d, const struct ml_dump_start *start, struct ml_err *err)
{
	uint8_t packet[4 + 11 + 512], *p = packet;
	size_t file_len = strlen(start->file);
	/* MySQL: heartbeats that can tell of places beyond 4 GiB; MariaDB gives the bit another meaning. */
	uint16_t flags = (start->stop_at_end ? 1 : 0) | (d->conn.flavor == ML_MYSQL ? 2 : 0);

	if (start->set != NULL)
		return command_by_gtid(d, start, flags, err);
	if (file_len > 511)
		return ML_ERR(err, ErrMySQLQueryError, 0, d->conn.addr, "the log file's name is too long");
	le(&p, 11 + file_len, 3);
	*p++ = 0;    /* sequence number: each command starts anew */
	*p++ = 0x12; /* COM_BINLOG_DUMP */
	le(&p, start->gtid != NULL ? 4 : start->offset, 4);
	le(&p, flags, 2);
	le(&p, start->server_id, 4);
	memcpy(p, start->file, file_len);
	return send_all(d, packet, (size_t)(p - packet) + file_len, err);
}

int
ml_dump_open(struct ml_dump **out, const struct ml_my_target *t, const struct ml_dump_start *start, int wake_fd,
	struct ml_err *err)
{
	struct ml_dump *d = calloc(1, sizeof(*d));
	MARIADB_PVIO *pvio;
	int bytes = SOCKET_BYTES;

	if (d == NULL)
		abort();
	d->wake_fd = wake_fd;
	d->fd = -1;
	if (ml_my_connect(&d->conn, t, SETUP_TIMEOUT_S, err) < 0 || set_up(d, start, err) < 0)
		goto fail;
	pvio = d->conn.my->net.pvio;
	if (pvio->cache != NULL && pvio->cache_pos != pvio->cache + pvio->cache_size) {
		ML_ERR(err, ErrUpstreamUnavailable, 0, d->conn.addr, "unexpected data before the dump");
		goto fail;
	}
	d->fd = mysql_get_socket(d->conn.my);
	if (pvio->ctls != NULL)
		d->ssl = pvio->ctls->ssl;
	if (d->fd < 0 || fcntl(d->fd, F_SETFL, fcntl(d->fd, F_GETFL) | O_NONBLOCK) < 0) {
		ML_ERR(err, ErrUpstreamUnavailable, errno, d->conn.addr, "its socket cannot be used");
		goto fail;
	}
	(void)setsockopt(d->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	if (command(d, start, err) < 0)
		goto fail;
	d->cap = BUFFER_BYTES;
	d->buf = malloc(d->cap);
	if (d->buf == NULL)
		abort();
	d->heard_us = now_us();
	*out = d;
	return 0;
fail:
	ml_dump_close(d);
	return -1;
}

void
ml_dump_close(struct ml_dump *d)
{
	if (d == NULL)
		return;
	/* The server is in the middle of its stream and would read no goodbye; the library must not wait for it. */
	if (d->fd >= 0) {
		(void)fcntl(d->fd, F_SETFL, fcntl(d->fd, F_GETFL) & ~O_NONBLOCK);
		(void)shutdown(d->fd, SHUT_RDWR);
	}
	ml_my_close(&d->conn);
	ml_buf_fini(&d->big);
	free(d->buf);
	free(d);
}

const struct ml_my_conn *
ml_dump_conn(const struct ml_dump *d)
{
	return &d->conn;
}

/* Makes room behind tail for one read, at least `want` bytes after head. */
static void
room(struct ml_dump *d, size_t want)
{
	size_t have = d->tail - d->head;

	if (have == 0)
		d->head = d->tail = 0;
	if (d->head + want <= d->cap && d->cap - d->tail >= d->cap / 4)
		return;
	if (want > d->cap) {
		uint8_t *p = malloc(want + BUFFER_BYTES);

		if (p == NULL)
			abort();
		memcpy(p, d->buf + d->head, have);
		free(d->buf);
		d->buf = p;
		d->cap = want + BUFFER_BYTES;
	} else if (d->head > 0) {
		memmove(d->buf, d->buf + d->head, have);
	}
	d->head = 0;
	d->tail = have;
}

/* One read into the buffer.  1: something came; 0: nothing there; -1: error or end of connection. */
static int
fill(struct ml_dump *d, struct ml_err *err)
{
	ssize_t k;

	if (d->ssl != NULL) {
		ERR_clear_error();
		k = SSL_read(d->ssl, d->buf + d->tail, (int)(d->cap - d->tail));
		if (k <= 0) {
			int e = SSL_get_error(d->ssl, (int)k);

			d->wants_write = e == SSL_ERROR_WANT_WRITE;
			if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE)
				return 0;
			return ML_ERR(
				err, ErrUpstreamUnavailable, CR_SERVER_LOST, d->conn.addr, "connection lost (TLS)");
		}
		d->wants_write = false;
	} else {
		k = recv(d->fd, d->buf + d->tail, d->cap - d->tail, 0);
		if (k < 0 && (errno == EAGAIN || errno == EINTR))
			return 0;
		if (k <= 0)
			return ML_ERR(err, ErrUpstreamUnavailable, CR_SERVER_LOST, d->conn.addr,
				k == 0 ? "connection closed by the server" : strerror(errno));
	}
	d->tail += (size_t)k;
	return 1;
}

static int
server_error(struct ml_dump *d, const uint8_t *p, size_t n, struct ml_err *err)
{
	unsigned code = n >= 3 ? (unsigned)(p[1] | p[2] << 8) : 0;
	char text[600];
	size_t at = n > 3 && p[3] == '#' ? 9 : 3;

	snprintf(text, sizeof(text), "%.*s", at < n ? (int)(n - at) : 0, (const char *)p + (at < n ? at : 0));
	if (ml_my_is_lost((int)code))
		return ML_ERR(err, ErrUpstreamUnavailable, (int)code, d->conn.addr, text);
	return ML_ERR(err, ErrMySQLQueryError, (int)code, d->conn.addr, text);
}

/*
 * Cuts the next event out of the buffer.  ML_DUMP_NOTHING: it is not there as a whole yet, *want bytes after head are needed
 * for the packet.
 */
static enum ml_dump_result
cut(struct ml_dump *d, const uint8_t **ev, uint32_t *len, size_t *want, struct ml_err *err)
{
	for (;;) {
		size_t have = d->tail - d->head, n;
		const uint8_t *p = d->buf + d->head;

		*want = 4;
		if (have < 4)
			return ML_DUMP_NOTHING;
		n = (size_t)(p[0] | p[1] << 8 | p[2] << 16);
		*want = 4 + n;
		if (have < 4 + n)
			return ML_DUMP_NOTHING;
		d->head += 4 + n;
		p += 4;
		if (__builtin_expect(d->in_big || n == PACKET_MAX, 0)) {
			/* Only the first packet of an event has the status byte; a shorter one, maybe empty, is the last. */
			if (d->big.len + n > EVENT_MAX) {
				ML_ERR(err, ErrMySQLEventTooBig, 0, "the current position", d->conn.addr);
				return ML_DUMP_ERROR;
			}
			ml_buf_put(&d->big, p, n);
			d->in_big = n == PACKET_MAX;
			if (d->in_big)
				continue;
			p = (const uint8_t *)d->big.data;
			n = d->big.len;
		}
		if (n == 0) {
			ML_ERR(err, ErrUpstreamUnavailable, 0, d->conn.addr, "empty packet in the stream");
			return ML_DUMP_ERROR;
		}
		if (p[0] == 0xFF) {
			server_error(d, p, n, err);
			return ML_DUMP_ERROR;
		}
		if (p[0] == 0xFE && n < 9)
			return ML_DUMP_END;
		if (p[0] != 0x00) {
			ML_ERR(err, ErrUpstreamUnavailable, 0, d->conn.addr, "packet out of order in the stream");
			return ML_DUMP_ERROR;
		}
		*ev = p + 1;
		*len = (uint32_t)(n - 1);
		return ML_DUMP_EVENT;
	}
}

enum ml_dump_result
ml_dump_next(struct ml_dump *d, uint64_t timeout_us, const uint8_t **ev, uint32_t *len, struct ml_err *err)
{
	uint64_t start = 0;
	size_t want;

	if (__builtin_expect(d->big.len > 0 && !d->in_big, 0)) {
		/* What the last call returned is done with; its memory, up to 1 GiB, is not worth keeping. */
		ml_buf_fini(&d->big);
	}
	for (;;) {
		enum ml_dump_result res = cut(d, ev, len, &want, err);
		struct pollfd pfd[2] = { { .fd = d->fd, .events = POLLIN }, { .fd = d->wake_fd, .events = POLLIN } };
		uint64_t now, wait, silence;
		struct timespec ts;
		int k;

		if (res != ML_DUMP_NOTHING)
			return res;
		room(d, want);
		k = fill(d, err);
		if (k < 0)
			return ML_DUMP_ERROR;
		if (k > 0) {
			d->got_any = true;
			d->heard_us = 0;
			continue;
		}
		if (timeout_us == 0)
			return ML_DUMP_NOTHING;
		now = now_us();
		if (start == 0)
			start = now;
		/* The clock is read only when there is nothing to do; silence is counted from then on. */
		if (d->heard_us == 0)
			d->heard_us = now;
		silence = d->got_any ? SILENCE_US : FIRST_SILENCE_US;
		if (now - d->heard_us >= silence) {
			ML_ERR(err, ErrUpstreamUnavailable, CR_SERVER_LOST, d->conn.addr,
				"no heartbeat: the server or the network is stuck");
			return ML_DUMP_ERROR;
		}
		if (now - start >= timeout_us)
			return ML_DUMP_NOTHING;
		wait = silence - (now - d->heard_us);
		if (timeout_us - (now - start) < wait)
			wait = timeout_us - (now - start);
		ts = (struct timespec){ .tv_sec = (time_t)(wait / 1000000), .tv_nsec = (long)(wait % 1000000) * 1000 };
		if (d->wants_write)
			pfd[0].events |= POLLOUT;
		k = ppoll(pfd, d->wake_fd >= 0 ? 2 : 1, &ts, NULL);
		if (k > 0 && d->wake_fd >= 0 && pfd[1].revents != 0)
			return ML_DUMP_WOKEN;
	}
}
