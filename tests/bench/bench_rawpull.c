/*
 * bench_rawpull.c - reads a server's binary log over one dump connection and throws it away: what the wire and the server
 * allow at most.  Bytes come in large pieces and only packet boundaries are looked at.
 *
 *	bench_rawpull PORT FILE POSITION
 *
 * Reads from there to the end of the log as it is now, over TCP as the server under test does; prints "events bytes seconds
 * cpu_seconds".
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

#include <mysql.h>

#define BUFFER_BYTES (1u << 20)
#define COM_BINLOG_DUMP 0x12
#define DUMP_NON_BLOCK 1
#define PACKET_MAX 0xFFFFFFu /* a packet of this length continues in the next one */

static double
now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double
cpu_s(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static int
ask(int fd, const char *file, uint32_t position)
{
	uint8_t packet[4 + 11 + 255] = { 0 };
	size_t n = 11 + strlen(file);
	uint32_t server_id = 4711;

	if (strlen(file) > 255)
		return -1;
	packet[0] = (uint8_t)n;
	packet[1] = (uint8_t)(n >> 8);
	packet[4] = COM_BINLOG_DUMP;
	memcpy(packet + 5, &position, 4); /* little-endian, as this machine is */
	packet[9] = DUMP_NON_BLOCK;
	memcpy(packet + 11, &server_id, 4);
	memcpy(packet + 15, file, n - 11);
	return send(fd, packet, n + 4, MSG_NOSIGNAL) == (ssize_t)n + 4 ? 0 : -1;
}

int
main(int argc, char **argv)
{
	unsigned long long events = 0, bytes = 0;
	size_t head = 0, tail = 0, skip = 0; /* skip: bytes of the current packet that are still to come */
	uint8_t *buf = malloc(BUFFER_BYTES);
	int size = 4 << 20, fd;
	bool big = false;
	double begin, cpu;
	MYSQL *m;

	if (argc != 4 || buf == NULL) {
		fprintf(stderr, "usage: %s PORT FILE POSITION\n", argv[0]);
		return 2;
	}
	m = mysql_init(NULL);
	if (mysql_real_connect(m, "127.0.0.1", "root", "", NULL, (unsigned)atoi(argv[1]), NULL, 0) == NULL ||
		mysql_query(m, "SET @master_binlog_checksum = @@global.binlog_checksum") != 0 ||
		mysql_query(m, "SET @mariadb_slave_capability = 4") != 0) {
		fprintf(stderr, "%s\n", mysql_error(m));
		return 1;
	}
	fd = mysql_get_socket(m);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	begin = now_s();
	cpu = cpu_s();
	if (ask(fd, argv[2], (uint32_t)strtoul(argv[3], NULL, 10)) < 0) {
		perror("send");
		return 1;
	}
	for (;;) {
		ssize_t k;

		if (skip >= tail - head) {
			skip -= tail - head;
			head = tail = 0;
		} else {
			head += skip;
			skip = 0;
			if (tail - head >= 5) {
				const uint8_t *p = buf + head;
				uint32_t n = (uint32_t)(p[0] | p[1] << 8 | p[2] << 16);

				if (!big && p[4] != 0) {
					if (p[4] == 0xFE && n < 9)
						break;
					fprintf(stderr, "the server answers %.*s\n", (int)(n < 100 ? n : 100),
						(const char *)p + 7);
					return 1;
				}
				events += !big;
				bytes += n;
				big = n == PACKET_MAX;
				skip = n + 4;
				continue;
			}
			memmove(buf, buf + head, tail - head);
			tail -= head;
			head = 0;
		}
		k = recv(fd, buf + tail, BUFFER_BYTES - tail, 0);
		if (k <= 0) {
			perror("recv");
			return 1;
		}
		tail += (size_t)k;
	}
	printf("%llu %llu %.4f %.4f\n", events, bytes, now_s() - begin, cpu_s() - cpu);
	mysql_close(m);
	free(buf);
	return 0;
}
