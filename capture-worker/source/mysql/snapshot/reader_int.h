/* reader_int.h - what the parts of a reader share: chunk_read.c (rows), look.c (facts of a table, views of one instant). */
#ifndef ML_WORKER_SOURCE_MYSQL_SNAPSHOT_READER_INT_H
#define ML_WORKER_SOURCE_MYSQL_SNAPSHOT_READER_INT_H
#include <pthread.h>

#include "capture-worker/mounter/column.h"
#include "capture-worker/source/mysql/snapshot/chunk_read.h"

struct ml_copy_value {
	enum ml_copy_kind kind;
	uint16_t out;   /* index of the datum */
	uint8_t digits; /* of the fraction */
	bool strip;     /* zeros that ZEROFILL put in front */
	struct ml_charconv *conv;
	union {
		int64_t i;
		uint64_t u;
		float f32;
		double f64;
		MYSQL_TIME t;
	};
	char *buf;
	unsigned long size, len;
	my_bool null, cut;
};

struct ml_copy_reader {
	const struct ml_my_target *target;
	struct ml_stamp stamp;
	struct ml_quota *quota;
	struct ml_my_conn conn;
	pthread_mutex_t lock; /* of fd and stopped */
	int fd;
	bool stopped;
	bool held;               /* in a view of one instant: no other may be begun */
	struct ml_copy_value *v; /* of the table being read */
	MYSQL_BIND *bind;
	size_t n;
	struct ml_buf sql;
};

void ml_copy_hang_up(struct ml_copy_reader *r);
/* Opens a view of one instant, in a transaction that stays. */
int ml_copy_begin_view(struct ml_copy_reader *r, struct ml_err *err);
/*
 * A table that no view is of, or whose view does not tell its place: a lock on it by a connection of its own, *locker, until
 * ml_copy_unlock.  It is not waited for long.  s NULL: all tables of the server.
 */
int ml_copy_lock(struct ml_copy_reader *r, struct ml_my_conn *locker, const struct ml_schema *s, struct ml_err *err);
void ml_copy_unlock(struct ml_my_conn *locker);
#endif
