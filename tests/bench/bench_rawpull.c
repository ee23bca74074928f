/*
 * bench_rawpull.c - reads a server's binary log over one dump connection and throws it away: what the wire and the server
 * allow at most.
 *
 *	bench_rawpull SOCKET FILE POSITION
 *
 * Reads from there to the end of the log as it is now; prints "events bytes seconds cpu_seconds".
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include <mysql.h>
#include <mariadb_rpl.h>

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
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

int
main(int argc, char **argv)
{
	unsigned long long events = 0, bytes = 0;
	MARIADB_RPL_EVENT *event = NULL;
	MARIADB_RPL *rpl;
	double begin;
	MYSQL *m;

	if (argc != 4) {
		fprintf(stderr, "usage: %s SOCKET FILE POSITION\n", argv[0]);
		return 2;
	}
	m = mysql_init(NULL);
	if (mysql_real_connect(m, NULL, "root", "", NULL, 0, argv[1], 0) == NULL ||
		mysql_query(m, "SET @master_binlog_checksum = @@global.binlog_checksum") != 0 ||
		mysql_query(m, "SET @mariadb_slave_capability = 4") != 0) {
		fprintf(stderr, "%s\n", mysql_error(m));
		return 1;
	}
	rpl = mariadb_rpl_init(m);
	mariadb_rpl_optionsv(rpl, MARIADB_RPL_FILENAME, argv[2], (size_t)0);
	mariadb_rpl_optionsv(rpl, MARIADB_RPL_START, strtoul(argv[3], NULL, 10));
	mariadb_rpl_optionsv(rpl, MARIADB_RPL_SERVER_ID, 4711u);
	mariadb_rpl_optionsv(rpl, MARIADB_RPL_FLAGS, (unsigned)MARIADB_RPL_BINLOG_DUMP_NON_BLOCK);
	begin = now_s();
	if (mariadb_rpl_open(rpl) != 0) {
		fprintf(stderr, "%s\n", mysql_error(m));
		return 1;
	}
	while ((event = mariadb_rpl_fetch(rpl, event)) != NULL) {
		events++;
		bytes += event->event_length;
	}
	if (mysql_errno(m) != 0) {
		fprintf(stderr, "%s\n", mysql_error(m));
		return 1;
	}
	printf("%llu %llu %.3f %.3f\n", events, bytes, now_s() - begin, cpu_s());
	mariadb_rpl_close(rpl);
	mysql_close(m);
	return 0;
}
