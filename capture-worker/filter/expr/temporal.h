/* temporal.h - dates and times of SQL as numbers: reading, printing, calendar.  Zero dates and zero parts are values too. */
#ifndef ML_WORKER_FILTER_EXPR_TEMPORAL_H
#define ML_WORKER_FILTER_EXPR_TEMPORAL_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ml_when {
	int year, month, day, hour, minute, second, micro;
};

#define ML_WHEN_TEXT_MAX 32

/* Moments compare as their numbers do. */
int64_t ml_when_pack(const struct ml_when *t);
void ml_when_unpack(int64_t v, struct ml_when *t);
/*
 * "2024-05-06 07:08:09.12", any punctuation between the parts, "20240506070809", two-digit years; has_time: is there a time
 * part?  digits: of the fraction.  False for anything else, and for dates that no calendar has.
 */
bool ml_when_parse(const char *s, size_t len, int64_t *v, bool *has_time, int *digits);
/* The text a row holds, "YYYY-MM-DD[ hh:mm:ss[.f]]"; the quick way. */
bool ml_when_of_column(const char *s, size_t len, int64_t *v);
/* "[-]hhh:mm:ss[.f]", "d hh:mm:ss", "hhmmss", or the time of a date and time; microseconds, up to 838:59:59.999999. */
bool ml_time_parse(const char *s, size_t len, int64_t *micros, int *digits);
size_t ml_when_text(int64_t v, bool date_only, int digits, char buf[ML_WHEN_TEXT_MAX]);
size_t ml_time_text(int64_t micros, int digits, char buf[ML_WHEN_TEXT_MAX]);
/* Days since 0000-01-01 of the Gregorian calendar. */
int64_t ml_days(int year, int month, int day);
void ml_days_to_date(int64_t days, struct ml_when *t);
int ml_day_of_year(const struct ml_when *t);
int ml_weekday(const struct ml_when *t); /* 0 = Monday */
/* MySQL's week number; mode 0 to 3.  *year: the year the week belongs to, for modes 2 and 3. */
int ml_week(const struct ml_when *t, int mode, int *year);
#endif
