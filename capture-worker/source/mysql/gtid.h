/*
 * gtid.h - places in a binary log: MariaDB's GTID lists (mysql-upstream.md 5.3) and file names with their number (5.4).
 *
 * A list says "last group applied" once per replication domain; it is kept sorted by domain, so that equal lists print alike.
 */
#ifndef ML_WORKER_SOURCE_MYSQL_GTID_H
#define ML_WORKER_SOURCE_MYSQL_GTID_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"

struct ml_gtid {
	uint32_t domain, server;
	uint64_t seq;
};

struct ml_gtid_list {
	struct ml_gtid *v; /* sorted by domain, one per domain */
	size_t n, cap;
};

void ml_gtid_list_fini(struct ml_gtid_list *l);
/* g is now the last one of its domain. */
void ml_gtid_list_set(struct ml_gtid_list *l, const struct ml_gtid *g);
void ml_gtid_list_copy(struct ml_gtid_list *to, const struct ml_gtid_list *from);
/* "0-1-42,7-3-9", blanks allowed, "" is the empty list.  0, or -1 for anything else; l is then empty. */
int ml_gtid_list_parse(struct ml_gtid_list *l, const char *text);
/* Appends the text to out; nothing for the empty list. */
void ml_gtid_list_print(const struct ml_gtid_list *l, struct ml_buf *out);

/* Number behind the last dot of a binary log's name ("binlog.000042" is 42); UINT64_MAX if there is none. */
uint64_t ml_binlog_number(const char *file);
/* True if both names have the same base, so that their numbers can be compared. */
bool ml_binlog_same_base(const char *a, const char *b);
#endif
