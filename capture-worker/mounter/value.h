/*
 * value.h - the bytes of single values in the binary log to the text of protocols.md 2.2: decimals, dates, times, addresses.
 *
 * Every function writes at out, where the caller has ML_VALUE_MAX bytes of room, and returns the end of the text, without a
 * NUL; NULL means that the bytes cannot be such a value.  Sizes of the input are the caller's to check.
 */
#ifndef ML_WORKER_MOUNTER_VALUE_H
#define ML_WORKER_MOUNTER_VALUE_H
#include <stddef.h>
#include <stdint.h>

#include "common/text/tz.h"

#define ML_VALUE_MAX 96 /* a DECIMAL(65,38) has 68 characters, an INET6 45 */

/* Bytes of a NEWDECIMAL(precision, scale) in the log. */
unsigned ml_decimal_bytes(unsigned precision, unsigned scale);
/* Bytes of the fraction of TIME2, DATETIME2, TIMESTAMP2 with so many digits. */
unsigned ml_fraction_bytes(unsigned digits);
/* Bytes of MariaDB 5.3's TIME, DATETIME, TIMESTAMP (codes 11, 12, 7) with so many digits, 0..6. */
unsigned ml_old_temporal_bytes(uint8_t code, unsigned digits);

char *ml_decimal_text(char *out, const uint8_t *p, unsigned precision, unsigned scale);
char *ml_date_text(char *out, const uint8_t *p); /* 3 bytes */
char *ml_time2_text(char *out, const uint8_t *p, unsigned digits);
char *ml_datetime2_text(char *out, const uint8_t *p, unsigned digits);
char *ml_old_time_text(char *out, const uint8_t *p, unsigned digits);
char *ml_old_datetime_text(char *out, const uint8_t *p, unsigned digits);

/* A zone with what was found out for the last value: neighbours mostly share their day and offset.  For one thread. */
struct ml_stamp {
	const struct ml_tz *tz;
	struct ml_tz_range range; /* empty at first */
	int64_t day;              /* local days of the epoch that date[] shows; INT64_MIN: none */
	char date[10];
};
void ml_stamp_init(struct ml_stamp *st, const struct ml_tz *tz);
/* UTC seconds and microseconds as local text; 0 and 0 is the zero date. */
char *ml_stamp_text(struct ml_stamp *st, char *out, int64_t utc_s, uint32_t us, unsigned digits);
char *ml_timestamp2_text(struct ml_stamp *st, char *out, const uint8_t *p, unsigned digits);
char *ml_old_timestamp_text(struct ml_stamp *st, char *out, const uint8_t *p, unsigned digits);

/* As the server's SELECT prints them. */
char *ml_uuid_text(char *out, const uint8_t *p);  /* 16 bytes */
char *ml_inet4_text(char *out, const uint8_t *p); /* 4 bytes */
char *ml_inet6_text(char *out, const uint8_t *p); /* 16 bytes */

/* JSON's packed dates: ymd and hms in the upper 40 bits, microseconds in the lower 24; type 7, 10, 11 or 12 of enum ml_bt. */
char *ml_packed_temporal_text(char *out, int64_t packed, uint8_t type);
#endif
