#include "capture-worker/filter/expr/temporal.h"

#include <stdio.h>
#include <string.h>

int64_t
ml_when_pack(const struct ml_when *t)
{
	int64_t date = ((int64_t)t->year * 13 + t->month) << 5 | t->day;
	int64_t time = (int64_t)t->hour << 12 | (int64_t)t->minute << 6 | t->second;

	return (date << 17 | time) << 20 | t->micro;
}

void
ml_when_unpack(int64_t v, struct ml_when *t)
{
	int64_t date = v >> 37;

	t->micro = (int)(v & 0xfffff);
	t->second = (int)(v >> 20 & 63);
	t->minute = (int)(v >> 26 & 63);
	t->hour = (int)(v >> 32 & 31);
	t->day = (int)(date & 31);
	t->month = (int)((date >> 5) % 13);
	t->year = (int)((date >> 5) / 13);
}

static bool
leap(int year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int
days_in(int year, int month)
{
	static const uint8_t days[] = { 31, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	return month == 2 && leap(year) ? 29 : days[month];
}

static bool
is_valid(const struct ml_when *t)
{
	return t->year <= 9999 && t->month <= 12 && t->day <= days_in(t->year, t->month) && t->hour <= 23 &&
	       t->minute <= 59 && t->second <= 59;
}

static bool
digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static int
number(const char *s, size_t n)
{
	int v = 0;

	for (size_t i = 0; i < n; i++)
		v = v * 10 + (s[i] - '0');
	return v;
}

static bool
all_digits(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!digit(s[i]))
			return false;
	return true;
}

bool
ml_when_of_column(const char *s, size_t len, int64_t *v)
{
	struct ml_when t = { 0 };

	if (len < 10 || !all_digits(s, 4) || !all_digits(s + 5, 2) || !all_digits(s + 8, 2))
		return false;
	t.year = number(s, 4);
	t.month = number(s + 5, 2);
	t.day = number(s + 8, 2);
	if (len >= 19) {
		if (!all_digits(s + 11, 2) || !all_digits(s + 14, 2) || !all_digits(s + 17, 2))
			return false;
		t.hour = number(s + 11, 2);
		t.minute = number(s + 14, 2);
		t.second = number(s + 17, 2);
		if (len > 20) {
			size_t n = len - 20 < 6 ? len - 20 : 6;

			if (!all_digits(s + 20, n))
				return false;
			t.micro = number(s + 20, n);
			for (; n < 6; n++)
				t.micro *= 10;
		}
	}
	if (t.month > 12)
		return false;
	*v = ml_when_pack(&t);
	return true;
}

/* Fraction digits at s (behind the point); microseconds, rounded at the seventh.  Returns the number of bytes. */
static size_t
fraction(const char *s, size_t len, int *micro, int *digits)
{
	size_t n = 0;

	*micro = *digits = 0;
	for (; n < len && digit(s[n]); n++) {
		if (n < 6) {
			*micro = *micro * 10 + (s[n] - '0');
			(*digits)++;
		} else if (n == 6 && s[n] >= '5') {
			(*micro)++;
		}
	}
	for (int i = *digits; i < 6; i++)
		*micro *= 10;
	return n;
}

/* A fraction that was rounded up to a second. */
static void
carry(struct ml_when *t)
{
	int64_t days;

	if (t->micro < 1000000)
		return;
	t->micro -= 1000000;
	if (++t->second < 60)
		return;
	t->second = 0;
	if (++t->minute < 60)
		return;
	t->minute = 0;
	if (++t->hour < 24)
		return;
	t->hour = 0;
	days = ml_days(t->year, t->month, t->day) + 1;
	ml_days_to_date(days, t);
}

static int
full_year(int year, size_t digits)
{
	return digits > 2 ? year : year < 70 ? 2000 + year : 1900 + year;
}

/* "20240506070809.5": all in one. */
static bool
parse_compact(const char *s, size_t n, struct ml_when *t, bool *has_time)
{
	size_t y = n == 8 || n == 14 ? 4 : 2;

	if (n != 6 && n != 8 && n != 12 && n != 14)
		return false;
	t->year = full_year(number(s, y), y);
	t->month = number(s + y, 2);
	t->day = number(s + y + 2, 2);
	*has_time = n > 8;
	if (*has_time) {
		t->hour = number(s + y + 4, 2);
		t->minute = number(s + y + 6, 2);
		t->second = number(s + y + 8, 2);
	}
	return true;
}

bool
ml_when_parse(const char *s, size_t len, int64_t *v, bool *has_time, int *digits)
{
	struct ml_when t = { 0 };
	int *parts[] = { &t.year, &t.month, &t.day, &t.hour, &t.minute, &t.second };
	size_t i = 0, n = 0;

	*digits = 0;
	*has_time = false;
	while (len > 0 && space(*s)) {
		s++;
		len--;
	}
	while (len > 0 && space(s[len - 1]))
		len--;
	while (n < len && digit(s[n]))
		n++;
	if (n >= 6) {
		if (n > 14 || !parse_compact(s, n, &t, has_time))
			return false;
		i = n;
		if (i < len && s[i] == '.') {
			i++;
			i += fraction(s + i, len - i, &t.micro, digits);
			*has_time = true;
		}
	} else {
		int k = 0;

		for (; k < 6; k++) {
			size_t from = i;

			while (i < len && digit(s[i]) && i - from < (k == 0 ? 4 : 2))
				i++;
			if (i == from)
				return false;
			*parts[k] = number(s + from, i - from);
			if (k == 0)
				t.year = full_year(t.year, i - from);
			if (i == len)
				break;
			if (k == 2) {
				/* 'T' or blanks before the time. */
				if (s[i] != 'T' && !space(s[i]))
					return false;
				i++;
				while (i < len && space(s[i]))
					i++;
			} else if (k < 5) {
				if (digit(s[i]) || space(s[i]) || (s[i] >= 'A' && s[i] <= 'Z') ||
					(s[i] >= 'a' && s[i] <= 'z') || (unsigned char)s[i] >= 0x80)
					return false;
				i++;
			}
		}
		if (k < 2)
			return false;
		*has_time = k > 2;
		if (k >= 5 && i < len && s[i] == '.') {
			i++;
			i += fraction(s + i, len - i, &t.micro, digits);
		}
	}
	if (i != len || !is_valid(&t))
		return false;
	carry(&t);
	*v = ml_when_pack(&t);
	return true;
}

bool
ml_time_parse(const char *s, size_t len, int64_t *micros, int *digits)
{
	int64_t days = 0, part[3] = { 0 };
	bool neg = false, has_days = false, has_time;
	int micro = 0, k = 0;
	size_t i = 0, n;
	int64_t v;

	*digits = 0;
	while (len > 0 && space(*s)) {
		s++;
		len--;
	}
	while (len > 0 && space(s[len - 1]))
		len--;
	/* A date and time. */
	if (len >= 12 && memchr(s, '-', len) != NULL && s[0] != '-') {
		struct ml_when t;

		if (!ml_when_parse(s, len, &v, &has_time, digits))
			return false;
		ml_when_unpack(v, &t);
		*micros = ((int64_t)t.hour * 3600 + t.minute * 60 + t.second) * 1000000 + t.micro;
		return true;
	}
	if (i < len && s[i] == '-') {
		neg = true;
		i++;
	}
	for (n = i; n < len && digit(s[n]); n++)
		;
	if (n - i == 0 || n - i > 7)
		return false;
	if (n < len && s[n] == ' ') {
		days = number(s + i, n - i);
		has_days = true;
		for (i = n; i < len && s[i] == ' '; i++)
			;
	}
	for (; k < 3; k++) {
		for (n = i; n < len && digit(s[n]); n++)
			;
		if (n == i || n - i > 7)
			return false;
		part[k] = number(s + i, n - i);
		i = n;
		if (i == len || s[i] != ':')
			break;
		i++;
	}
	if (k == 3)
		return false; /* a colon behind the seconds */
	if (k == 0 && !has_days) {
		/* hhmmss */
		part[2] = part[0] % 100;
		part[1] = part[0] / 100 % 100;
		part[0] /= 10000;
	}
	if (i < len && s[i] == '.') {
		i++;
		i += fraction(s + i, len - i, &micro, digits);
	}
	if (i != len || part[1] > 59 || part[2] > 59 || days > 34)
		return false;
	v = ((days * 24 + part[0]) * 3600 + part[1] * 60 + part[2]) * 1000000 + micro;
	if (v > 3020399999999)
		return false;
	*micros = neg ? -v : v;
	return true;
}

static size_t
put_fraction(char *buf, size_t size, int micro, int digits)
{
	char all[8];

	if (digits <= 0)
		return 0;
	snprintf(all, sizeof(all), "%06d", micro);
	return (size_t)snprintf(buf, size, ".%.*s", digits < 6 ? digits : 6, all);
}

size_t
ml_when_text(int64_t v, bool date_only, int digits, char buf[ML_WHEN_TEXT_MAX])
{
	struct ml_when t;
	size_t n;

	ml_when_unpack(v, &t);
	n = (size_t)snprintf(buf, ML_WHEN_TEXT_MAX, "%04d-%02d-%02d", t.year % 10000, t.month, t.day);
	if (date_only)
		return n;
	n += (size_t)snprintf(buf + n, ML_WHEN_TEXT_MAX - n, " %02d:%02d:%02d", t.hour, t.minute, t.second);
	return n + put_fraction(buf + n, ML_WHEN_TEXT_MAX - n, t.micro, digits);
}

size_t
ml_time_text(int64_t micros, int digits, char buf[ML_WHEN_TEXT_MAX])
{
	int64_t v = micros < 0 ? -micros : micros, s = v / 1000000;
	size_t n = (size_t)snprintf(buf, ML_WHEN_TEXT_MAX, "%s%02d:%02d:%02d", micros < 0 ? "-" : "",
		(int)(s / 3600 % 10000), (int)(s / 60 % 60), (int)(s % 60));

	return n + put_fraction(buf + n, ML_WHEN_TEXT_MAX - n, (int)(v % 1000000), digits);
}

int64_t
ml_days(int year, int month, int day)
{
	/* Years that begin in March, so that the leap day is the last one. */
	int64_t y = month <= 2 ? year - 1 : year, era = (y >= 0 ? y : y - 399) / 400, yoe = y - era * 400;
	int64_t doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy + 60;
}

void
ml_days_to_date(int64_t days, struct ml_when *t)
{
	int64_t z = days - 60, era = (z >= 0 ? z : z - 146096) / 146097, doe = z - era * 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365,
		doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int64_t mp = (5 * doy + 2) / 153;

	t->day = (int)(doy - (153 * mp + 2) / 5 + 1);
	t->month = (int)(mp < 10 ? mp + 3 : mp - 9);
	t->year = (int)(yoe + era * 400 + (t->month <= 2));
}

int
ml_day_of_year(const struct ml_when *t)
{
	return (int)(ml_days(t->year, t->month, t->day) - ml_days(t->year, 1, 1)) + 1;
}

int
ml_weekday(const struct ml_when *t)
{
	/* 2024-01-01 was a Monday. */
	int64_t d = (ml_days(t->year, t->month, t->day) - ml_days(2024, 1, 1)) % 7;

	return (int)(d < 0 ? d + 7 : d);
}

int
ml_week(const struct ml_when *t, int mode, int *year)
{
	bool monday = (mode & 1) != 0, own_year = (mode & 2) != 0;
	/* Odd modes: week 1 has four days of the year at least; even ones: it begins with the first Sunday of the year. */
	bool first_full = !monday;
	int64_t day = ml_days(t->year, t->month, t->day), first = ml_days(t->year, 1, 1);
	struct ml_when jan = { .year = t->year, .month = 1, .day = 1 };
	int wd = (ml_weekday(&jan) + (monday ? 0 : 1)) % 7, length;

	*year = t->year;
	if (t->month == 1 && t->day <= 7 - wd) {
		bool in = first_full ? wd == 0 : wd < 4;

		if (!own_year && !in)
			return 0;
		if (!in) {
			/* The last week of the year before. */
			own_year = true;
			*year = t->year - 1;
			length = 365 + leap(*year);
			first -= length;
			wd = ((wd - length) % 7 + 7) % 7;
		}
	}
	first += (first_full ? wd != 0 : wd >= 4) ? 7 - wd : -wd;
	day -= first;
	if (own_year && day >= 52 * 7) {
		/* Does it belong to the next year? */
		int next = (wd + 365 + leap(*year)) % 7;

		if (first_full ? next == 0 : next < 4) {
			(*year)++;
			return 1;
		}
	}
	return (int)(day / 7) + 1;
}
