/*
 * cron.h - times of the day, month and week from a specification of six fields: second minute hour day month weekday
 * (sinks.md 1.10, 4.9).  Plain arithmetic on local seconds; who knows the zone and the clock asks.
 */
#ifndef ML_WORKER_SINK_STORAGE_CRON_H
#define ML_WORKER_SINK_STORAGE_CRON_H
#include <stdbool.h>
#include <stdint.h>

struct cron {
	uint64_t second, minute;            /* one bit for each that matches */
	uint32_t hour, day, month, weekday; /* day and month from bit 1, Sunday is bit 0 */
	bool any_day, any_weekday;          /* the field is a star: the other one decides alone */
};

/*
 * A field is a list of items separated by commas: '*' or '?', N, N-M, each with /STEP behind it if wanted (N/STEP: to the end
 * of the range).  Months and weekdays may be named by three letters.  NULL, or which field is wrong and why.
 */
const char *cron_parse(struct cron *c, const char *spec);
/* The first second after local_s (seconds of the epoch as if local time were UTC) that matches; INT64_MAX if none ever does. */
int64_t cron_next(const struct cron *c, int64_t local_s);
#endif
