/*
 * when.h - dates and times of rows as the numbers of Debezium's types (protocols.md 11.4).  Text comes as rows and defaults
 * have it; nothing is read behind its length.
 */
#ifndef ML_WORKER_ENCODER_DEBEZIUM_WHEN_H
#define ML_WORKER_ENCODER_DEBEZIUM_WHEN_H
#include <stdbool.h>
#include <stdint.h>

#include "capture-worker/event/msg.h"
#include "common/text/tz.h"

enum dbz_when {
	DBZ_REAL,
	DBZ_UNREAL,     /* written like one, but there is no such day or hour: zero parts, 31 April */
	DBZ_UNREADABLE, /* not written like one */
};

/* `YYYY-MM-DD` as days since 1970-01-01; years 0-69 are 2000 + y, 70-99 are 1900 + y. */
enum dbz_when dbz_date(const char *s, uint32_t len, int64_t *days);
/* `YYYY-MM-DD[ hh:mm:ss[.f]]` as microseconds since 1970-01-01 of a clock without zone; years as above. */
enum dbz_when dbz_datetime(const char *s, uint32_t len, int64_t *us);
/* `[-]hhh:mm:ss[.f]` as microseconds; false: not written like one. */
bool dbz_time(const char *s, uint32_t len, int64_t *us);

/* The first instant that TIMESTAMP has; what is below prints as DBZ_EPOCH. */
#define DBZ_TIMESTAMP_MIN_US 1000000
#define DBZ_EPOCH "\"1970-01-01T00:00:00Z\""

/* us since 1970 of UTC as `"YYYY-MM-DDThh:mm:ss[.f]Z"` with that many fractional digits (0-6). */
void dbz_put_instant(struct ml_out *o, int64_t us, int digits);
/* A TIMESTAMP's text, which is local to tz, as an instant of UTC; tz NULL: it is UTC already. */
void dbz_put_timestamp(struct ml_out *o, const char *s, uint32_t len, const struct ml_tz *tz);
#endif
