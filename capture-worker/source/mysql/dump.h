/*
 * dump.h - one dump connection: the server's binary log as a stream of raw events.
 *
 * The client library connects, authenticates and sends the settings; then its socket is borrowed: the dump command is written
 * and packets are cut out of one large buffer, so an event costs no copy and a system call serves many events
 * (mysql-upstream.md 2.4, back end B).  With TLS the library's SSL object is read instead of the socket.
 *
 * Belongs to one thread, but for ml_dump_wake.
 */
#ifndef ML_WORKER_SOURCE_MYSQL_DUMP_H
#define ML_WORKER_SOURCE_MYSQL_DUMP_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capture-worker/source/mysql/conn.h"
#include "capture-worker/source/mysql/gtid_set.h"
#include "common/base/err.h"

/* The server tells us that it has nothing more, so often; also the tick of an idle stream (mysql-upstream.md 1.5, 6.4). */
#define ML_DUMP_HEARTBEAT_MS 1000u

struct ml_dump_start {
	const char *file;              /* "" with gtid: the server finds it; without: the first file */
	uint64_t offset;               /* >= 4; below 4 GiB without gtid */
	const char *gtid;              /* MariaDB GTID list; NULL: start by file and offset */
	const struct ml_gtid_set *set; /* MySQL: what need not be sent any more; NULL: start by file and offset */
	bool stop_at_end;              /* end of stream instead of waiting for more */
	uint32_t server_id;            /* unique among the server's replicas */
};

struct ml_dump;

/*
 * Connects and asks for the log.  wake_fd: an eventfd; while it is readable ml_dump_next gives ML_DUMP_WOKEN; -1: none.
 * Errors of the position come as the first packets, so from ml_dump_next.
 */
int ml_dump_open(struct ml_dump **out, const struct ml_my_target *t, const struct ml_dump_start *start, int wake_fd,
	struct ml_err *err);
void ml_dump_close(struct ml_dump *d);                          /* NULL is fine */
const struct ml_my_conn *ml_dump_conn(const struct ml_dump *d); /* addr and version; no query may be sent on it */

enum ml_dump_result {
	ML_DUMP_EVENT = 1,   /* *ev, *len: valid until the next call; with checksum, without the packet's status byte */
	ML_DUMP_END = 0,     /* stop_at_end and the end is reached */
	ML_DUMP_ERROR = -1,  /* err; its lib is the server's or the library's code, 0 for broken framing */
	ML_DUMP_NOTHING = 2, /* no whole event within timeout_us */
	ML_DUMP_WOKEN = 3,   /* wake_fd */
};
/*
 * The next event.  timeout_us: 0 takes what has arrived and does not wait; UINT64_MAX waits for ever, but not longer than the
 * server may be silent (heartbeats), which is an error.
 */
enum ml_dump_result ml_dump_next(
	struct ml_dump *d, uint64_t timeout_us, const uint8_t **ev, uint32_t *len, struct ml_err *err);
#endif
