#include "capture-worker/encoder/debezium/when.h"

#include <string.h>

#define SECOND_US 1000000LL
#define DAY_S 86400LL

static inline bool
two(const char *s, unsigned *v)
{
	unsigned a = (unsigned char)s[0] - '0', b = (unsigned char)s[1] - '0';

	*v = a * 10 + b;
	return a < 10 && b < 10;
}

/* Days since 1970-01-01 in the proleptic Gregorian calendar; years start in March, so that leap days end them. */
static int64_t
days_of(int64_t y, unsigned m, unsigned d)
{
	int64_t era;
	unsigned of_era, of_year;

	y -= m <= 2;
	era = (y >= 0 ? y : y - 399) / 400;
	of_era = (unsigned)(y - era * 400);
	of_year = (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + d - 1;
	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

/* And back. */
static void
civil_of(int64_t days, unsigned *y, unsigned *m, unsigned *d)
{
	int64_t era;
	unsigned of_era, year, of_year, month;

	days += 719468;
	era = (days >= 0 ? days : days - 146096) / 146097;
	of_era = (unsigned)(days - era * 146097);
	year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	of_year = of_era - (365 * year + year / 4 - year / 100);
	month = (5 * of_year + 2) / 153;
	*d = of_year - (153 * month + 2) / 5 + 1;
	*m = month < 10 ? month + 3 : month - 9;
	*y = (unsigned)(era * 400) + year + (*m <= 2);
}

/* The date at s, 10 bytes long. */
static enum dbz_when
read_date(const char *s, int64_t *days)
{
	static const uint8_t lengths[13] = { 0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	unsigned hi, lo, y, m, d;
	bool leap;

	if (!two(s, &hi) || !two(s + 2, &lo) || s[4] != '-' || !two(s + 5, &m) || s[7] != '-' || !two(s + 8, &d))
		return DBZ_UNREADABLE;
	y = hi * 100 + lo;
	if (y < 70)
		y += 2000;
	else if (y < 100)
		y += 1900;
	leap = y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);
	if (m < 1 || m > 12 || d < 1 || d > lengths[m] + (unsigned)(m == 2 && leap))
		return DBZ_UNREAL;
	*days = days_of(y, m, d);
	return DBZ_REAL;
}

enum dbz_when
dbz_date(const char *s, uint32_t len, int64_t *days)
{
	return len < 10 ? DBZ_UNREADABLE : read_date(s, days);
}

/* `:mm:ss[.f]`, which are len bytes; h is what stood before. */
static bool
read_clock(const char *s, uint32_t len, unsigned h, int64_t *us, bool *real)
{
	unsigned m, sec;
	int64_t f = 0, unit = SECOND_US / 10;

	if (len < 6 || s[0] != ':' || !two(s + 1, &m) || s[3] != ':' || !two(s + 4, &sec))
		return false;
	if (len > 6 && s[6] != '.')
		return false;
	for (uint32_t i = 7; i < len; i++) {
		if (s[i] < '0' || s[i] > '9')
			return false;
		f += (s[i] - '0') * unit;
		unit /= 10;
	}
	*real = m < 60 && sec < 60;
	*us = ((h * 60LL + m) * 60 + sec) * SECOND_US + f;
	return true;
}

enum dbz_when
dbz_datetime(const char *s, uint32_t len, int64_t *us)
{
	int64_t days = 0, clock = 0;
	unsigned h = 0;
	bool real = true;
	enum dbz_when when;

	if (len < 10 || (when = read_date(s, &days)) == DBZ_UNREADABLE)
		return DBZ_UNREADABLE;
	if (len > 10 && (len < 19 || (s[10] != ' ' && s[10] != 'T') || !two(s + 11, &h) ||
				!read_clock(s + 13, len - 13, h, &clock, &real)))
		return DBZ_UNREADABLE;
	if (when != DBZ_REAL || !real || h > 23)
		return DBZ_UNREAL;
	*us = days * DAY_S * SECOND_US + clock;
	return DBZ_REAL;
}

bool
dbz_time(const char *s, uint32_t len, int64_t *us)
{
	bool negative = len > 0 && s[0] == '-', real;
	uint32_t i = negative, from = i;
	unsigned h = 0;

	for (; i < len && i - from < 4 && s[i] >= '0' && s[i] <= '9'; i++)
		h = h * 10 + (unsigned)(s[i] - '0');
	if (i == from || !read_clock(s + i, len - i, h, us, &real) || !real)
		return false;
	if (negative)
		*us = -*us;
	return true;
}

static inline char *
put_two(char *p, unsigned v)
{
	p[0] = (char)('0' + v / 10);
	p[1] = (char)('0' + v % 10);
	return p + 2;
}

void
dbz_put_instant(struct ml_out *o, int64_t us, int digits)
{
	int64_t s = us / SECOND_US, f = us % SECOND_US, days;
	char *p = ml_out_need(o, 40);
	unsigned y, m, d, left;

	if (f < 0) {
		f += SECOND_US;
		s--;
	}
	days = s / DAY_S - (s % DAY_S < 0);
	left = (unsigned)(s - days * DAY_S);
	civil_of(days, &y, &m, &d);
	*p++ = '"';
	p = put_two(p, y / 100 % 100);
	p = put_two(p, y % 100);
	*p++ = '-';
	p = put_two(p, m);
	*p++ = '-';
	p = put_two(p, d);
	*p++ = 'T';
	p = put_two(p, left / 3600);
	*p++ = ':';
	p = put_two(p, left / 60 % 60);
	*p++ = ':';
	p = put_two(p, left % 60);
	if (digits > 0) {
		*p++ = '.';
		for (int64_t unit = SECOND_US / 10; digits > 0 && unit > 0; digits--, unit /= 10)
			*p++ = (char)('0' + f / unit % 10);
	}
	memcpy(p, "Z\"", 2);
	o->p = p + 2;
}

void
dbz_put_timestamp(struct ml_out *o, const char *s, uint32_t len, const struct ml_tz *tz)
{
	int64_t us, local_s;

	/* Mind that those below the first one and the zero timestamp need not be real. */
	if (dbz_datetime(s, len, &us) != DBZ_REAL) {
		ml_out_lit(o, DBZ_EPOCH);
		return;
	}
	if (tz != NULL) {
		local_s = us / SECOND_US - (us % SECOND_US < 0);
		us += (ml_tz_to_utc(tz, local_s) - local_s) * SECOND_US;
	}
	if (us < DBZ_TIMESTAMP_MIN_US)
		ml_out_lit(o, DBZ_EPOCH);
	else if (tz == NULL && len >= 19 && len <= 26) {
		/* What was read is what is written but for two characters. */
		char *p = ml_out_need(o, 32);

		p[0] = '"';
		memcpy(p + 1, s, len);
		p[11] = 'T';
		memcpy(p + 1 + len, "Z\"", 2);
		o->p = p + len + 3;
	} else {
		dbz_put_instant(o, us, len > 20 ? (int)(len - 20) : 0);
	}
}
