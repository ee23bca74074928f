/*
 * tz.c - TZif files (RFC 8536), version 2 and later; of older ones the 32-bit part.  The rule in the footer is unrolled into
 * transitions up to LAST_YEAR, so that a look-up is a binary search and nothing else.
 */
#include "common/text/tz.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/buf.h"

#define FIRST_YEAR 1970     /* of the unrolled rule, where the file has no transitions */
#define LAST_YEAR 2200      /* TIMESTAMP ends in 2106 */
#define FILE_MAX (1u << 20) /* the greatest zone has some 4 KB */
#define TRANSITIONS_MAX 65536u

struct transition {
	int64_t from_s;
	int32_t offset_s;
};

struct ml_tz {
	char name[128];
	int32_t first_offset_s; /* before the first transition */
	uint32_t n, cap;
	struct transition *t; /* rising */
};

static const char *const folders[] = { "/usr/share/zoneinfo", "/usr/lib/zoneinfo", "/usr/share/lib/zoneinfo" };

static void
add(struct ml_tz *tz, int64_t from_s, int32_t offset_s)
{
	if (tz->n > 0 && from_s <= tz->t[tz->n - 1].from_s)
		return;
	if (tz->n == tz->cap) {
		uint32_t cap = tz->cap > 0 ? tz->cap * 2 : 64;
		struct transition *t = realloc(tz->t, cap * sizeof(*t));

		if (t == NULL)
			abort();
		tz->t = t;
		tz->cap = cap;
	}
	tz->t[tz->n++] = (struct transition){ .from_s = from_s, .offset_s = offset_s };
}

/* A day of the year in a POSIX rule, and the local second of that day. */
struct rule {
	enum { JULIAN, ZERO_BASED, MONTH_WEEK_DAY } kind;
	int day, week, month;
	int32_t time_s;
};

static bool
is_leap(int y)
{
	return (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
}

static int64_t
days_before_year(int y)
{
	int64_t p = y - 1;

	return p * 365 + p / 4 - p / 100 + p / 400 - 719162;
}

/* Seconds of the epoch, in local time, at which the rule strikes in year y. */
static int64_t
rule_at(const struct rule *r, int y)
{
	static const int before[12] = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334 };
	static const int length[12] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	int64_t day = days_before_year(y);

	if (r->kind == JULIAN) {
		day += r->day - 1 + (is_leap(y) && r->day >= 60);
	} else if (r->kind == ZERO_BASED) {
		day += r->day;
	} else {
		int m = r->month - 1, last = length[m] + (m == 1 && is_leap(y)), weekday, d;

		day += before[m] + (m > 1 && is_leap(y));
		weekday = (int)(((day + 4) % 7 + 7) % 7); /* 1 January 1970 was a Thursday */
		d = (r->day - weekday + 7) % 7 + 7 * (r->week - 1);
		day += d < last ? d : d - 7;
	}
	return day * 86400 + r->time_s;
}

static bool
read_int(const char **p, int max, int *out)
{
	int v = 0;

	if (!isdigit((unsigned char)**p))
		return false;
	for (; isdigit((unsigned char)**p); (*p)++) {
		v = v * 10 + (**p - '0');
		if (v > max)
			return false;
	}
	*out = v;
	return true;
}

/* [+-]hh[:mm[:ss]] */
static bool
read_time(const char **p, int32_t *out)
{
	int sign = 1, h, m = 0, s = 0;

	if (**p == '+' || **p == '-')
		sign = *(*p)++ == '-' ? -1 : 1;
	if (!read_int(p, 167, &h))
		return false;
	if (**p == ':' && ((*p)++, !read_int(p, 59, &m)))
		return false;
	if (**p == ':' && ((*p)++, !read_int(p, 59, &s)))
		return false;
	*out = sign * (h * 3600 + m * 60 + s);
	return true;
}

static bool
skip_name(const char **p)
{
	const char *start = *p;

	if (**p == '<') {
		const char *end = strchr(*p, '>');

		if (end == NULL)
			return false;
		*p = end + 1;
		return true;
	}
	while (isalpha((unsigned char)**p))
		(*p)++;
	return *p - start >= 3;
}

static bool
read_rule(const char **p, struct rule *r)
{
	if (*(*p)++ != ',')
		return false;
	r->time_s = 7200;
	if (**p == 'M') {
		r->kind = MONTH_WEEK_DAY;
		(*p)++;
		if (!read_int(p, 12, &r->month) || r->month < 1 || *(*p)++ != '.' || !read_int(p, 5, &r->week) ||
			r->week < 1 || *(*p)++ != '.' || !read_int(p, 6, &r->day))
			return false;
	} else if (**p == 'J') {
		r->kind = JULIAN;
		(*p)++;
		if (!read_int(p, 365, &r->day) || r->day < 1)
			return false;
	} else {
		r->kind = ZERO_BASED;
		if (!read_int(p, 365, &r->day))
			return false;
	}
	if (**p == '/') {
		(*p)++;
		return read_time(p, &r->time_s);
	}
	return true;
}

/* The rule behind the last transition, e.g. "CET-1CEST,M3.5.0,M10.5.0/3", unrolled; false if it is not one. */
static bool
unroll(struct ml_tz *tz, const char *text)
{
	const char *p = text;
	int32_t standard, summer;
	struct rule start, end;
	int64_t last = tz->n > 0 ? tz->t[tz->n - 1].from_s : INT64_MIN;

	if (!skip_name(&p) || !read_time(&p, &standard))
		return false;
	standard = -standard; /* POSIX counts west of Greenwich */
	if (*p == '\0') {
		if (tz->n == 0)
			tz->first_offset_s = standard;
		return true;
	}
	if (!skip_name(&p))
		return false;
	summer = standard + 3600;
	if (*p != ',') {
		if (!read_time(&p, &summer))
			return false;
		summer = -summer;
	}
	if (!read_rule(&p, &start) || !read_rule(&p, &end) || *p != '\0')
		return false;
	for (int y = FIRST_YEAR; y <= LAST_YEAR; y++) {
		int64_t on = rule_at(&start, y) - standard, off = rule_at(&end, y) - summer;
		bool south = off < on;

		if ((south ? off : on) > last)
			add(tz, south ? off : on, south ? standard : summer);
		if ((south ? on : off) > last)
			add(tz, south ? on : off, south ? summer : standard);
	}
	return true;
}

struct counts {
	uint32_t isut, isstd, leap, time, type, chars;
};

static int
read_header(struct ml_rd *r, uint8_t *version, struct counts *c)
{
	const uint8_t *magic = ml_rd_bytes(r, 4);

	if (magic == NULL || memcmp(magic, "TZif", 4) != 0)
		return -1;
	*version = (uint8_t)ml_rd_le(r, 1);
	ml_rd_bytes(r, 15);
	c->isut = (uint32_t)ml_rd_be(r, 4);
	c->isstd = (uint32_t)ml_rd_be(r, 4);
	c->leap = (uint32_t)ml_rd_be(r, 4);
	c->time = (uint32_t)ml_rd_be(r, 4);
	c->type = (uint32_t)ml_rd_be(r, 4);
	c->chars = (uint32_t)ml_rd_be(r, 4);
	return r->bad || c->time > TRANSITIONS_MAX || c->type == 0 || c->type > 256 || c->leap > 4096 ? -1 : 0;
}

static int
parse(struct ml_tz *tz, const uint8_t *data, size_t len)
{
	struct ml_rd r = ml_rd_of(data, len), times, index;
	struct counts c;
	uint8_t version;
	unsigned width = 4;
	const uint8_t *p, *types;

	if (read_header(&r, &version, &c) != 0)
		return -1;
	if (version >= '2') {
		size_t skip = (size_t)c.time * 5 + c.type * 6 + c.chars + (size_t)c.leap * 8 + c.isstd + c.isut;

		if (ml_rd_bytes(&r, skip) == NULL || read_header(&r, &version, &c) != 0)
			return -1;
		width = 8;
	}
	p = ml_rd_bytes(&r, (size_t)c.time * width);
	times = ml_rd_of(p, p != NULL ? (size_t)c.time * width : 0);
	p = ml_rd_bytes(&r, c.time);
	index = ml_rd_of(p, p != NULL ? c.time : 0);
	types = ml_rd_bytes(&r, (size_t)c.type * 6);
	ml_rd_bytes(&r, (size_t)c.chars + (size_t)c.leap * (width + 4) + c.isstd + c.isut);
	if (r.bad)
		return -1;
#define OFFSET(i)                                                                                                      \
	((int32_t)((uint32_t)types[6 * (i)] << 24 | (uint32_t)types[6 * (i) + 1] << 16 |                               \
		   (uint32_t)types[6 * (i) + 2] << 8 | types[6 * (i) + 3]))
	for (unsigned i = 0; i < c.type; i++)
		if (OFFSET(i) <= -26 * 3600 || OFFSET(i) >= 26 * 3600)
			return -1;
	tz->first_offset_s = OFFSET(0);
	for (uint32_t i = 0; i < c.time; i++) {
		uint64_t raw = ml_rd_be(&times, width);
		unsigned type = (unsigned)ml_rd_le(&index, 1);

		if (type >= c.type)
			return -1;
		add(tz, width == 8 ? (int64_t)raw : (int64_t)(int32_t)(uint32_t)raw, OFFSET(type));
	}
#undef OFFSET
	if (width == 8 && ml_rd_left(&r) > 2) {
		char footer[128];
		size_t n = ml_rd_left(&r);

		if (r.p[0] != '\n' || r.p[n - 1] != '\n' || n - 2 >= sizeof(footer))
			return -1;
		memcpy(footer, r.p + 1, n - 2);
		footer[n - 2] = '\0';
		if (!unroll(tz, footer))
			return -1;
	}
	return 0;
}

static int
load(struct ml_tz *tz, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc = -1;
	struct stat st;
	uint8_t *data;
	ssize_t n;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 && st.st_size <= FILE_MAX &&
		(data = malloc((size_t)st.st_size)) != NULL) {
		n = read(fd, data, (size_t)st.st_size);
		if (n > 0)
			rc = parse(tz, data, (size_t)n);
		free(data);
	}
	close(fd);
	return rc;
}

/* Letters, digits and "_+-/" only, no empty or dotted parts: such a name stays in the zone folder. */
static bool
is_zone_name(const char *name)
{
	if (!isalpha((unsigned char)name[0]) || strlen(name) > 100)
		return false;
	for (const char *p = name; *p != '\0'; p++)
		if (!isalnum((unsigned char)*p) && strchr("_+-", *p) == NULL &&
			!(*p == '/' && p[1] != '/' && p[1] != '\0'))
			return false;
	return true;
}

static int
load_named(struct ml_tz *tz, const char *name)
{
	char path[256];

	if (!is_zone_name(name))
		return -1;
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", folders[i], name);
		if (access(path, F_OK) == 0) {
			snprintf(tz->name, sizeof(tz->name), "%s", name);
			return load(tz, path);
		}
	}
	if (strcmp(name, "UTC") != 0)
		return -1;
	snprintf(tz->name, sizeof(tz->name), "UTC"); /* also without a zone folder */
	return 0;
}

/* "+08:00", "-3:30" */
static int
parse_offset(struct ml_tz *tz, const char *name)
{
	const char *p = name;
	int32_t s;

	if ((*p != '+' && *p != '-') || !read_time(&p, &s) || *p != '\0' || s < -14 * 3600 || s > 14 * 3600)
		return -1;
	tz->first_offset_s = s;
	snprintf(tz->name, sizeof(tz->name), "%s", name);
	return 0;
}

static int
load_local(struct ml_tz *tz)
{
	const char *env = getenv("TZ"), *at;
	char target[PATH_MAX];

	if (env != NULL) {
		if (*env == ':')
			env++;
		if (*env == '\0')
			return load_named(tz, "UTC");
		if (*env != '/')
			return load_named(tz, env);
	}
	if (realpath(env != NULL ? env : "/etc/localtime", target) == NULL)
		return env == NULL ? load_named(tz, "UTC") : -1;
	at = strstr(target, "/zoneinfo/");
	snprintf(tz->name, sizeof(tz->name), "%s", at != NULL ? at + strlen("/zoneinfo/") : "Local");
	return load(tz, target);
}

int
ml_tz_open(struct ml_tz **out, const char *name, struct ml_err *err)
{
	struct ml_tz *tz = calloc(1, sizeof(*tz));
	char text[160];
	int rc;

	if (tz == NULL)
		abort();
	if (name == NULL || name[0] == '\0' || strcasecmp(name, "system") == 0 || strcasecmp(name, "local") == 0)
		rc = load_local(tz);
	else if (name[0] == '+' || name[0] == '-')
		rc = parse_offset(tz, name);
	else
		rc = load_named(tz, name);
	if (rc != 0) {
		ml_tz_free(tz);
		snprintf(text, sizeof(text), "unknown time zone %s", name == NULL ? "" : name);
		return ML_ERR(err, ErrLoadTimezone, 0, text);
	}
	*out = tz;
	return 0;
}

void
ml_tz_free(struct ml_tz *tz)
{
	if (tz == NULL)
		return;
	free(tz->t);
	free(tz);
}

const char *
ml_tz_name(const struct ml_tz *tz)
{
	return tz->name;
}

struct ml_tz_range
ml_tz_range_at(const struct ml_tz *tz, int64_t utc_s)
{
	uint32_t lo = 0, hi = tz->n; /* the first transition behind utc_s is in [lo, hi] */

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (tz->t[mid].from_s <= utc_s)
			lo = mid + 1;
		else
			hi = mid;
	}
	return (struct ml_tz_range){
		.from_s = lo > 0 ? tz->t[lo - 1].from_s : INT64_MIN,
		.to_s = lo < tz->n ? tz->t[lo].from_s : INT64_MAX,
		.offset_s = lo > 0 ? tz->t[lo - 1].offset_s : tz->first_offset_s,
	};
}

int64_t
ml_tz_to_utc(const struct ml_tz *tz, int64_t local_s)
{
	struct ml_tz_range r = ml_tz_range_at(tz, local_s);
	int64_t utc = local_s - r.offset_s;

	if (utc < r.from_s || utc >= r.to_s)
		utc = local_s - ml_tz_range_at(tz, utc).offset_s;
	return utc;
}
