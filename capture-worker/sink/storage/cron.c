#include "capture-worker/sink/storage/cron.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define DAY_S 86400
/* 29 February may be eight years away (1896, 1904; 2096, 2104). */
#define SEARCH_DAYS (8 * 366)

static const struct field {
	const char *wrong;
	unsigned min, max;
	const char *names; /* three letters each, from min on */
} fields[] = {
	{ "the second is not a list of numbers, ranges or steps within 0 to 59", 0, 59, "" },
	{ "the minute is not a list of numbers, ranges or steps within 0 to 59", 0, 59, "" },
	{ "the hour is not a list of numbers, ranges or steps within 0 to 23", 0, 23, "" },
	{ "the day is not a list of numbers, ranges or steps within 1 to 31", 1, 31, "" },
	{ "the month is not a list of numbers, names, ranges or steps within 1 to 12", 1, 12,
		"janfebmaraprmayjunjulaugsepoctnovdec" },
	{ "the weekday is not a list of numbers, names, ranges or steps within 0 to 6", 0, 6, "sunmontuewedthufrisat" },
};

static bool
number(const char **p, unsigned *v)
{
	const char *s = *p;

	*v = 0;
	while (*s >= '0' && *s <= '9' && s - *p < 4)
		*v = *v * 10 + (unsigned)(*s++ - '0');
	if (s == *p)
		return false;
	*p = s;
	return true;
}

static bool
value(const struct field *f, const char **p, unsigned *v)
{
	if (number(p, v))
		return true;
	for (unsigned i = 0; f->names[3 * i] != '\0'; i++)
		if (strncasecmp(*p, f->names + 3 * i, 3) == 0) {
			*v = f->min + i;
			*p += 3;
			return true;
		}
	return false;
}

/* One item up to a comma, a blank or the end. */
static bool
item(const struct field *f, const char **p, uint64_t *bits, bool *star)
{
	unsigned from = f->min, to = f->max, step = 1;
	bool all = **p == '*' || **p == '?', single = false;

	if (all) {
		++*p;
	} else {
		if (!value(f, p, &from))
			return false;
		to = from;
		single = **p != '-';
		if (!single && (++*p, !value(f, p, &to)))
			return false;
	}
	if (**p == '/') {
		++*p;
		if (!number(p, &step) || step == 0)
			return false;
		if (single)
			to = f->max;
	}
	if (from < f->min || to > f->max || from > to)
		return false;
	for (unsigned v = from; v <= to; v += step)
		*bits |= (uint64_t)1 << v;
	*star |= all && step == 1;
	return true;
}

static const char *
skip_blanks(const char *p)
{
	return p + strspn(p, " \t");
}

const char *
cron_parse(struct cron *c, const char *spec)
{
	uint64_t bits[6] = { 0 };
	bool star[6] = { false };
	const char *p = skip_blanks(spec);

	for (int i = 0; i < 6; i++) {
		if (*p == '\0')
			return "six fields are needed: second minute hour day month weekday";
		for (;;) {
			if (!item(&fields[i], &p, &bits[i], &star[i]))
				return fields[i].wrong;
			if (*p != ',')
				break;
			p++;
		}
		if (*p != '\0' && *p != ' ' && *p != '\t')
			return fields[i].wrong;
		p = skip_blanks(p);
	}
	if (*p != '\0')
		return "there are more than six fields";
	*c = (struct cron){ .second = bits[0],
		.minute = bits[1],
		.hour = (uint32_t)bits[2],
		.day = (uint32_t)bits[3],
		.month = (uint32_t)bits[4],
		.weekday = (uint32_t)bits[5],
		.any_day = star[3],
		.any_weekday = star[5] };
	return NULL;
}

/* With a star in one of them the other decides; of two lists either is enough, as cron has always had it. */
static bool
day_matches(const struct cron *c, int64_t day)
{
	time_t s = (time_t)(day * DAY_S);
	bool in_month, in_week;
	struct tm tm;

	gmtime_r(&s, &tm);
	if (!(c->month >> (tm.tm_mon + 1) & 1))
		return false;
	in_month = c->day >> tm.tm_mday & 1;
	in_week = c->weekday >> tm.tm_wday & 1;
	return c->any_day || c->any_weekday ? in_month && in_week : in_month || in_week;
}

/* The first bit of mask from `from` on; -1: none. */
static int
bit_from(uint64_t mask, int from)
{
	uint64_t left = from < 64 ? mask >> from << from : 0;

	return left != 0 ? __builtin_ctzll(left) : -1;
}

/* The first second of the day, from `from` on, that matches; -1: none. */
static int
second_of_day(const struct cron *c, int from)
{
	int h = bit_from(c->hour, from / 3600), m, s;

	while (h >= 0) {
		int rest = from > h * 3600 ? from - h * 3600 : 0;

		for (m = bit_from(c->minute, rest / 60); m >= 0; m = bit_from(c->minute, m + 1)) {
			s = bit_from(c->second, rest > m * 60 ? rest - m * 60 : 0);
			if (s >= 0)
				return h * 3600 + m * 60 + s;
		}
		h = bit_from(c->hour, h + 1);
	}
	return -1;
}

int64_t
cron_next(const struct cron *c, int64_t local_s)
{
	int64_t at = local_s + 1, day = at / DAY_S - (at % DAY_S < 0);
	int from = (int)(at - day * DAY_S);

	for (int i = 0; i < SEARCH_DAYS; i++, day++, from = 0) {
		int s;

		if (day_matches(c, day) && (s = second_of_day(c, from)) >= 0)
			return day * DAY_S + s;
	}
	return INT64_MAX;
}
