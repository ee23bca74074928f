/*
 * gtid_set.h - MySQL's GTID sets: which transactions of which servers, as ranges (mysql-upstream.md 5.2).
 *
 * Kept sorted by server and tag, ranges disjoint and apart, so that equal sets print alike.
 */
#ifndef ML_WORKER_SOURCE_MYSQL_GTID_SET_H
#define ML_WORKER_SOURCE_MYSQL_GTID_SET_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"

#define ML_GTID_TAG_MAX 32u

struct ml_gtid_range {
	int64_t from, to; /* to: exclusive */
};

struct ml_gtid_source {
	uint8_t uuid[16];
	char tag[ML_GTID_TAG_MAX + 1]; /* lower case; "": none, as all servers before 8.3 write */
	struct ml_gtid_range *v;
	size_t n, cap;
};

struct ml_gtid_set {
	struct ml_gtid_source *v; /* the first n; those up to cap keep their memory for later */
	size_t n, cap;
};

void ml_gtid_set_fini(struct ml_gtid_set *s);
void ml_gtid_set_clear(struct ml_gtid_set *s);
void ml_gtid_set_copy(struct ml_gtid_set *to, const struct ml_gtid_set *from);
/* Adds from .. to - 1; tag: lower case.  1 <= from < to. */
void ml_gtid_set_add(struct ml_gtid_set *s, const uint8_t uuid[16], const char *tag, int64_t from, int64_t to);
bool ml_gtid_set_has(const struct ml_gtid_set *s, const uint8_t uuid[16], const char *tag, int64_t number);
/*
 * "uuid:1-5:7,uuid:tag:1", any case, blanks and newlines between elements, as servers print it; "" is the empty set.  0, or -1
 * for anything else; s is then empty.
 */
int ml_gtid_set_parse(struct ml_gtid_set *s, const char *text);
/* Appends the text to out, without blanks; nothing for the empty set. */
void ml_gtid_set_print(const struct ml_gtid_set *s, struct ml_buf *out);
/* Appends the form that COM_BINLOG_DUMP_GTID takes; the tagged one only if there is a tag, since older servers do not know it. */
void ml_gtid_set_encode(const struct ml_gtid_set *s, struct ml_buf *out);
/* Adds what p holds, in either form, to the end of it.  -1 for broken bytes. */
int ml_gtid_set_decode(struct ml_gtid_set *s, const uint8_t *p, size_t n);

/* "3e11fa47-71ca-11e1-9e33-c80aa9429562" and back; parsing takes any case and gives the end, or NULL. */
const char *ml_uuid_parse(uint8_t uuid[16], const char *text);
void ml_uuid_print(const uint8_t uuid[16], char out[37]);
#endif
