/* func_time.c - functions on dates and times. */
#include <stdio.h>
#include <string.h>

#include "capture-worker/filter/expr/eval.h"
#include "capture-worker/filter/expr/func.h"
#include "capture-worker/filter/expr/temporal.h"
#include "capture-worker/filter/expr/value.h"
#include "common/text/tz.h"

/* The last second FROM_UNIXTIME knows: 3001-01-18 23:59:59 UTC. */
#define UNIX_MAX 32536771199ll

/* Numbers are read as their digits; text as a date where it is used. */
static int
bind_when(struct ml_binding *b, struct ml_node *x, struct ml_err *err)
{
	(void)err;
	for (uint32_t i = 0; i < x->n; i++)
		x->kids[i] = ml_bind_as(b, x->kids[i], ML_X_DATETIME, 6);
	x->type = ML_X_INT;
	return 0;
}

/* HOUR('272:59:59') takes times without a day too. */
static int
bind_time(struct ml_binding *b, struct ml_node *x, struct ml_err *err)
{
	(void)err;
	x->kids[0] = ml_bind_as(b, x->kids[0], ML_X_TIME, 6);
	x->type = ML_X_INT;
	return 0;
}

static bool
moment(struct ml_run *r, const struct ml_node *x, uint32_t i, struct ml_when *t, struct ml_value *v, int *rc)
{
	if (!ml_eval_kid(r, x, i, v, rc)) {
		v->kind = ML_V_NULL;
		return false;
	}
	ml_when_unpack(v->i, t);
	return true;
}

static int
year(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	struct ml_when t;
	int rc;

	if (moment(r, x, 0, &t, v, &rc))
		*v = ml_v_int(t.year);
	return rc;
}

static int
month(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	struct ml_when t;
	int rc;

	if (moment(r, x, 0, &t, v, &rc))
		*v = ml_v_int(t.month);
	return rc;
}

static int
day(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	struct ml_when t;
	int rc;

	if (moment(r, x, 0, &t, v, &rc))
		*v = ml_v_int(t.day);
	return rc;
}

static int
dayofweek(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	struct ml_when t;
	int rc;

	if (!moment(r, x, 0, &t, v, &rc))
		return rc;
	if (t.month == 0 || t.day == 0)
		v->kind = ML_V_NULL;
	else
		*v = ml_v_int((ml_weekday(&t) + 1) % 7 + 1); /* 1 = Sunday */
	return 0;
}

static int
seconds(struct ml_run *r, const struct ml_node *x, struct ml_value *v, int64_t *s)
{
	int rc;

	if (!ml_eval_kid(r, x, 0, v, &rc))
		return rc;
	*s = (v->i < 0 ? -v->i : v->i) / 1000000;
	return 1;
}

static int
hour(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	int64_t s = 0;
	int rc = seconds(r, x, v, &s);

	if (rc <= 0)
		return rc;
	*v = ml_v_int(s / 3600);
	return 0;
}

static int
minute(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	int64_t s = 0;
	int rc = seconds(r, x, v, &s);

	if (rc <= 0)
		return rc;
	*v = ml_v_int(s / 60 % 60);
	return 0;
}

static int
second(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	int64_t s = 0;
	int rc = seconds(r, x, v, &s);

	if (rc <= 0)
		return rc;
	*v = ml_v_int(s % 60);
	return 0;
}

static int
bind_date(struct ml_binding *b, struct ml_node *x, struct ml_err *err)
{
	(void)err;
	x->kids[0] = ml_bind_as(b, x->kids[0], ML_X_DATETIME, 6);
	x->type = ML_X_DATE;
	return 0;
}

static int
datediff(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	struct ml_when a, b;
	int rc;

	if (!moment(r, x, 0, &a, v, &rc) || !moment(r, x, 1, &b, v, &rc))
		return rc;
	if (a.month == 0 || a.day == 0 || b.month == 0 || b.day == 0)
		v->kind = ML_V_NULL;
	else
		*v = ml_v_int(ml_days(a.year, a.month, a.day) - ml_days(b.year, b.month, b.day));
	return 0;
}

static const char *const days[] = { "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday" };
static const char *const months[] = { "January", "February", "March", "April", "May", "June", "July", "August",
	"September", "October", "November", "December" };

/* One of DATE_FORMAT's letters; false: the result is NULL. */
static bool
format_part(char c, const struct ml_when *t, char *buf, size_t size)
{
	const char *th = t->day / 10 == 1   ? "th"
			 : t->day % 10 == 1 ? "st"
			 : t->day % 10 == 2 ? "nd"
			 : t->day % 10 == 3 ? "rd"
					    : "th";
	int twelve = (t->hour + 11) % 12 + 1, y;
	bool whole = t->month > 0 && t->day > 0;

	switch (c) {
	case 'Y':
		snprintf(buf, size, "%04d", t->year);
		break;
	case 'y':
		snprintf(buf, size, "%02d", t->year % 100);
		break;
	case 'm':
		snprintf(buf, size, "%02d", t->month);
		break;
	case 'c':
		snprintf(buf, size, "%d", t->month);
		break;
	case 'M':
	case 'b':
		if (t->month == 0)
			return false;
		snprintf(buf, size, c == 'M' ? "%s" : "%.3s", months[t->month - 1]);
		break;
	case 'd':
		snprintf(buf, size, "%02d", t->day);
		break;
	case 'e':
		snprintf(buf, size, "%d", t->day);
		break;
	case 'D':
		snprintf(buf, size, "%d%s", t->day, th);
		break;
	case 'H':
		snprintf(buf, size, "%02d", t->hour);
		break;
	case 'k':
		snprintf(buf, size, "%d", t->hour);
		break;
	case 'h':
	case 'I':
		snprintf(buf, size, "%02d", twelve);
		break;
	case 'l':
		snprintf(buf, size, "%d", twelve);
		break;
	case 'i':
		snprintf(buf, size, "%02d", t->minute);
		break;
	case 's':
	case 'S':
		snprintf(buf, size, "%02d", t->second);
		break;
	case 'f':
		snprintf(buf, size, "%06d", t->micro);
		break;
	case 'p':
		snprintf(buf, size, t->hour < 12 ? "AM" : "PM");
		break;
	case 'r':
		snprintf(buf, size, "%02d:%02d:%02d %s", twelve, t->minute, t->second, t->hour < 12 ? "AM" : "PM");
		break;
	case 'T':
		snprintf(buf, size, "%02d:%02d:%02d", t->hour, t->minute, t->second);
		break;
	case 'W':
	case 'a':
	case 'w':
	case 'j':
	case 'U':
	case 'u':
	case 'V':
	case 'v':
	case 'X':
	case 'x':
		if (!whole)
			return false;
		switch (c) {
		case 'W':
			snprintf(buf, size, "%s", days[ml_weekday(t)]);
			break;
		case 'a':
			snprintf(buf, size, "%.3s", days[ml_weekday(t)]);
			break;
		case 'w':
			snprintf(buf, size, "%d", (ml_weekday(t) + 1) % 7);
			break;
		case 'j':
			snprintf(buf, size, "%03d", ml_day_of_year(t));
			break;
		case 'U':
			snprintf(buf, size, "%02d", ml_week(t, 0, &y));
			break;
		case 'u':
			snprintf(buf, size, "%02d", ml_week(t, 1, &y));
			break;
		case 'V':
			snprintf(buf, size, "%02d", ml_week(t, 2, &y));
			break;
		case 'v':
			snprintf(buf, size, "%02d", ml_week(t, 3, &y));
			break;
		default:
			(void)ml_week(t, c == 'X' ? 2 : 3, &y);
			snprintf(buf, size, "%04d", y);
		}
		break;
	default:
		snprintf(buf, size, "%c", c);
	}
	return true;
}

static int
format(struct ml_run *r, const struct ml_when *t, const struct ml_value *f, struct ml_value *v)
{
	/* The longest part is a month's name. */
	char *s = ml_arena_bytes(r->a, 12 * (size_t)f->len + 1), *p = s, part[24];

	for (uint32_t i = 0; i < f->len; i++) {
		if (f->s[i] != '%' || i + 1 == f->len) {
			*p++ = f->s[i];
			continue;
		}
		if (!format_part(f->s[++i], t, part, sizeof(part))) {
			v->kind = ML_V_NULL;
			return 0;
		}
		memcpy(p, part, strlen(part));
		p += strlen(part);
	}
	*v = ml_v_text(s, (size_t)(p - s));
	return 0;
}

static int
bind_date_format(struct ml_binding *b, struct ml_node *x, struct ml_err *err)
{
	(void)err;
	x->kids[0] = ml_bind_as(b, x->kids[0], ML_X_DATETIME, 6);
	x->kids[1] = ml_bind_as(b, x->kids[1], ML_X_STR, 6);
	x->type = ML_X_STR;
	x->coercibility = ML_COERCE_LITERAL;
	return 0;
}

static int
date_format(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	struct ml_value f;
	struct ml_when t;
	int rc;

	if (!moment(r, x, 0, &t, v, &rc))
		return rc;
	if (!ml_eval_kid(r, x, 1, &f, &rc)) {
		v->kind = ML_V_NULL;
		return rc;
	}
	return format(r, &t, &f, v);
}

/* Whole seconds where the argument has no fraction, else a decimal of six digits. */
static int
bind_unix_timestamp(struct ml_binding *b, struct ml_node *x, struct ml_err *err)
{
	struct ml_node *k = x->kids[0];
	int64_t v;
	bool has_time;
	int digits = k->type == ML_X_STR ? 6 : k->digits;

	(void)err;
	if (k->constant && k->value.kind == ML_V_STR &&
		ml_when_parse(k->value.s, k->value.len, &v, &has_time, &digits) == false)
		digits = 0;
	x->kids[0] = ml_bind_as(b, k, ML_X_DATETIME, 6);
	x->type = digits > 0 ? ML_X_DEC : ML_X_INT;
	x->digits = (uint8_t)digits;
	return 0;
}

static int
unix_timestamp(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	struct ml_when t;
	int64_t s = 0;
	int rc;

	if (!moment(r, x, 0, &t, v, &rc))
		return rc;
	s = (ml_days(t.year, t.month, t.day) - ml_days(1970, 1, 1)) * 86400 + t.hour * 3600 + t.minute * 60 + t.second;
	if (r->tz != NULL)
		s = ml_tz_to_utc(r->tz, s);
	if (t.month == 0 || t.day == 0 || s < 0 || (s == 0 && t.micro == 0) || s > UNIX_MAX)
		s = t.micro = 0; /* zero stands for what has none */
	if (x->type == ML_X_DEC) {
		struct ml_dec *d = ml_arena_alloc(r->a, sizeof(*d));

		ml_dec_of_i64(d, s * 1000000 + t.micro);
		d->scale = 6;
		(void)ml_dec_round(d, x->digits, ML_DEC_TRUNCATE);
		v->kind = ML_V_DEC;
		v->d = d;
		return 0;
	}
	*v = ml_v_int(s);
	return 0;
}

static int
bind_from_unixtime(struct ml_binding *b, struct ml_node *x, struct ml_err *err)
{
	struct ml_node *k = ml_bind_number(b, x->kids[0]);

	(void)err;
	x->digits = k->type == ML_X_INT ? 0 : k->type == ML_X_DEC && k->digits < 6 ? k->digits : 6;
	x->kids[0] = ml_bind_as(b, k, ML_X_DEC, 6);
	x->type = ML_X_DATETIME;
	if (x->n > 1) {
		x->kids[1] = ml_bind_as(b, x->kids[1], ML_X_STR, 6);
		x->type = ML_X_STR;
		x->coercibility = ML_COERCE_LITERAL;
	}
	return 0;
}

static int
from_unixtime(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	struct ml_when t = { 0 };
	struct ml_value f;
	struct ml_dec d;
	int64_t micros, s;
	int rc;

	if (!ml_eval_kid(r, x, 0, v, &rc))
		return rc;
	d = *v->d;
	if (!ml_dec_round(&d, 6, ML_DEC_HALF_UP) || (d.scale = 0, !ml_dec_i64(&d, &micros)) || micros < 0 ||
		micros / 1000000 > UNIX_MAX) {
		v->kind = ML_V_NULL;
		return 0;
	}
	s = micros / 1000000;
	if (r->tz != NULL)
		s += ml_tz_range_at(r->tz, s).offset_s;
	/* West of Greenwich the first hours lie before 1970. */
	ml_days_to_date((s >= 0 ? s : s - 86399) / 86400 + ml_days(1970, 1, 1), &t);
	s = (s % 86400 + 86400) % 86400;
	t.hour = (int)(s / 3600);
	t.minute = (int)(s / 60 % 60);
	t.second = (int)(s % 60);
	t.micro = (int)(micros % 1000000);
	if (x->n > 1) {
		if (ml_eval_kid(r, x, 1, &f, &rc))
			return format(r, &t, &f, v);
		v->kind = ML_V_NULL;
		return rc;
	}
	*v = (struct ml_value){ .kind = ML_V_WHEN, .i = ml_when_pack(&t) };
	return 0;
}

static int
date(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	int rc;

	if (ml_eval_kid(r, x, 0, v, &rc))
		*v = (struct ml_value){ .kind = ML_V_WHEN, .len = 1, .i = v->i >> 37 << 37 };
	return rc;
}

const struct ml_func ml_funcs_time[] = {
	{ "YEAR", 1, 1, false, bind_when, year, 0, 0 },
	{ "MONTH", 1, 1, false, bind_when, month, 0, 0 },
	{ "DAY", 1, 1, false, bind_when, day, 0, 0 },
	{ "DAYOFMONTH", 1, 1, false, bind_when, day, 0, 0 },
	{ "DAYOFWEEK", 1, 1, false, bind_when, dayofweek, 0, 0 },
	{ "HOUR", 1, 1, false, bind_time, hour, 0, 0 },
	{ "MINUTE", 1, 1, false, bind_time, minute, 0, 0 },
	{ "SECOND", 1, 1, false, bind_time, second, 0, 0 },
	{ "DATE", 1, 1, false, bind_date, date, 0, 0 },
	{ "DATE_FORMAT", 2, 2, false, bind_date_format, date_format, 0, 0 },
	{ "DATEDIFF", 2, 2, false, bind_when, datediff, 0, 0 },
	{ "UNIX_TIMESTAMP", 1, 1, false, bind_unix_timestamp, unix_timestamp, 0, 0 },
	{ "FROM_UNIXTIME", 1, 2, false, bind_from_unixtime, from_unixtime, 0, 0 },
};
const size_t ml_funcs_time_n = sizeof(ml_funcs_time) / sizeof(ml_funcs_time[0]);
