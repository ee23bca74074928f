#include "capture-worker/filter/expr/value.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture-worker/filter/expr/temporal.h"
#include "common/text/json.h"
#include "common/text/num.h"

int
ml_run_fail(struct ml_run *r, const char *fmt, ...)
{
	char text[200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (r->text == NULL)
		return ML_ERRF(r->err, ErrFailedToFilterDML, 0, "%s", text);
	return ML_ERRF(r->err, ErrFailedToFilterDML, 0, "failed to filter dml event: %s in '%.300s'", text, r->text);
}

/* The number that text begins with, as SQL reads it: no hexadecimal, no "inf". */
static double
text_real(const char *s, size_t len)
{
	char buf[400];
	size_t n = 0, i = 0;
	bool digits = false;

	while (i < len && (s[i] == ' ' || (s[i] >= '\t' && s[i] <= '\r')))
		i++;
	for (bool point = false, exp = false; i < len && n < sizeof(buf) - 1; i++) {
		char c = s[i];

		if (c >= '0' && c <= '9')
			digits = true;
		else if ((c == '+' || c == '-') && (n == 0 || buf[n - 1] == 'e'))
			;
		else if (c == '.' && !point && !exp)
			point = true;
		else if ((c == 'e' || c == 'E') && digits && !exp)
			c = 'e', exp = true;
		else
			break;
		buf[n++] = c;
	}
	buf[n] = '\0';
	return digits ? strtod(buf, NULL) : 0;
}

static bool
json_number(const struct ml_json *j, double *v)
{
	switch (j->type) {
	case ML_JSON_BOOL:
		*v = j->b;
		return true;
	case ML_JSON_NUMBER:
		*v = strtod(j->s, NULL);
		return true;
	case ML_JSON_STRING:
		*v = text_real(j->s, j->len);
		return true;
	default:
		*v = 0;
		return false;
	}
}

/* 20240506070809.123456, 20240506, 70809 */
static void
when_dec(struct ml_dec *d, const struct ml_value *v)
{
	struct ml_when t = { 0 };
	int64_t n, micro;

	if (v->kind == ML_V_WHEN) {
		ml_when_unpack(v->i, &t);
		n = (int64_t)t.year * 10000 + t.month * 100 + t.day;
		/* len marks a date: it has no time to show. */
		if (v->len == 0)
			n = n * 1000000 + t.hour * 10000 + t.minute * 100 + t.second;
		micro = t.micro;
	} else {
		int64_t a = v->i < 0 ? -v->i : v->i, s = a / 1000000;

		n = s / 3600 * 10000 + s / 60 % 60 * 100 + s % 60;
		micro = a % 1000000;
	}
	if (micro == 0) {
		ml_dec_of_i64(d, n);
	} else {
		char text[40];

		/* Seconds of a whole date and microseconds together are more than 64 bits. */
		(void)ml_dec_parse(
			d, text, (size_t)snprintf(text, sizeof(text), "%lld.%06d", (long long)n, (int)micro));
	}
	d->neg = v->kind == ML_V_TIME && v->i < 0;
}

double
ml_value_real(const struct ml_value *v)
{
	struct ml_dec d;
	double f;

	switch (v->kind) {
	case ML_V_INT:
		return (double)v->i;
	case ML_V_UINT:
		return (double)v->u;
	case ML_V_REAL:
		return v->f;
	case ML_V_DEC:
		return ml_dec_f64(v->d);
	case ML_V_STR:
		return text_real(v->s, v->len);
	case ML_V_JSON:
		(void)json_number(v->j, &f);
		return f;
	case ML_V_WHEN:
	case ML_V_TIME:
		when_dec(&d, v);
		return ml_dec_f64(&d);
	default:
		return 0;
	}
}

const struct ml_dec *
ml_value_dec(struct ml_run *r, const struct ml_value *v)
{
	struct ml_dec *d;
	char buf[ML_FLOAT_TEXT_MAX];
	double f;

	if (v->kind == ML_V_DEC)
		return v->d;
	d = ml_arena_alloc(r->a, sizeof(*d));
	switch (v->kind) {
	case ML_V_INT:
		ml_dec_of_i64(d, v->i);
		break;
	case ML_V_UINT:
		ml_dec_of_u64(d, v->u);
		break;
	case ML_V_STR:
		(void)ml_dec_parse(d, v->s, v->len);
		break;
	case ML_V_WHEN:
	case ML_V_TIME:
		when_dec(d, v);
		break;
	default:
		f = ml_value_real(v);
		(void)ml_dec_parse(d, buf, ml_f64_text(buf, f, ML_FLOAT_F));
	}
	return d;
}

struct ml_value
ml_value_int(struct ml_run *r, const struct ml_value *v)
{
	struct ml_value out = { .kind = ML_V_INT };
	const struct ml_dec *d;

	if (v->kind == ML_V_INT || v->kind == ML_V_UINT)
		return *v;
	if (v->kind == ML_V_REAL || v->kind == ML_V_JSON) {
		double f = rint(ml_value_real(v));

		if (f >= 9223372036854775808.0) {
			out.kind = ML_V_UINT;
			out.u = f >= 18446744073709551616.0 ? UINT64_MAX : (uint64_t)f;
		} else {
			out.i = f < -9223372036854775808.0 ? INT64_MIN : (int64_t)f;
		}
		return out;
	}
	d = ml_value_dec(r, v);
	if (v->kind == ML_V_STR) {
		/* Text counts up to its point: '1.9' is 1. */
		struct ml_dec *t = ml_arena_alloc(r->a, sizeof(*t));

		*t = *d;
		(void)ml_dec_round(t, 0, ML_DEC_TRUNCATE);
		d = t;
	}
	if (!ml_dec_i64(d, &out.i) && !d->neg) {
		out.kind = ML_V_UINT;
		(void)ml_dec_u64(d, &out.u);
	}
	return out;
}

int64_t
ml_value_i64(struct ml_run *r, const struct ml_value *v)
{
	struct ml_value i = ml_value_int(r, v);

	return i.kind == ML_V_UINT && i.i < 0 ? INT64_MAX : i.i;
}

/* The text form of documents: blanks behind commas and colons, as MySQL prints them. */
static void
json_text(const struct ml_json *j, struct ml_buf *out)
{
	bool object = j->type == ML_JSON_OBJECT;

	if (!object && j->type != ML_JSON_ARRAY) {
		ml_json_print(j, out);
		return;
	}
	ml_buf_putc(out, object ? '{' : '[');
	for (const struct ml_json *e = j->child; e != NULL; e = e->next) {
		if (e != j->child)
			ml_buf_puts(out, ", ");
		if (object) {
			struct ml_json key = { .type = ML_JSON_STRING, .s = e->key, .len = e->key_len };

			ml_json_print(&key, out);
			ml_buf_puts(out, ": ");
		}
		json_text(e, out);
	}
	ml_buf_putc(out, object ? '}' : ']');
}

struct ml_value
ml_value_text(struct ml_run *r, const struct ml_node *x, const struct ml_value *v)
{
	char *p;
	size_t n;

	switch (v->kind) {
	case ML_V_STR:
		return *v;
	case ML_V_INT:
		p = ml_arena_bytes(r->a, ML_INT_TEXT_MAX);
		n = ml_i64_text(p, v->i);
		break;
	case ML_V_UINT:
		p = ml_arena_bytes(r->a, ML_INT_TEXT_MAX);
		n = ml_u64_text(p, v->u);
		break;
	case ML_V_REAL:
		p = ml_arena_bytes(r->a, ML_FLOAT_TEXT_MAX);
		/* A FLOAT column's value has its own, fewer digits. */
		n = x->def != NULL && x->def->type == ML_T_FLOAT ? ml_f32_text(p, (float)v->f, ML_FLOAT_F)
								 : ml_f64_text(p, v->f, ML_FLOAT_F);
		break;
	case ML_V_DEC:
		p = ml_arena_bytes(r->a, ML_DEC_TEXT_MAX);
		n = ml_dec_text(v->d, p);
		break;
	case ML_V_WHEN:
		p = ml_arena_bytes(r->a, ML_WHEN_TEXT_MAX);
		n = ml_when_text(v->i, v->len != 0, x->digits, p);
		break;
	case ML_V_TIME:
		p = ml_arena_bytes(r->a, ML_WHEN_TEXT_MAX);
		n = ml_time_text(v->i, x->digits, p);
		break;
	case ML_V_JSON: {
		struct ml_buf b = { 0 };

		json_text(v->j, &b);
		p = ml_arena_strndup(r->a, b.data != NULL ? b.data : "", b.len);
		n = b.len;
		ml_buf_fini(&b);
		break;
	}
	default:
		return ml_v_text("", 0);
	}
	return ml_v_text(p, n);
}

bool
ml_value_when(struct ml_run *r, const struct ml_node *x, const struct ml_value *v, int64_t *when)
{
	struct ml_value t;
	bool has_time;
	int digits;

	if (v->kind == ML_V_WHEN) {
		*when = v->i;
		return true;
	}
	if (v->kind == ML_V_TIME)
		return false; /* it has no day */
	if (v->kind == ML_V_JSON && v->j->type == ML_JSON_STRING)
		return ml_when_parse(v->j->s, v->j->len, when, &has_time, &digits);
	t = ml_value_text(r, x, v);
	return ml_when_parse(t.s, t.len, when, &has_time, &digits);
}

bool
ml_value_time(struct ml_run *r, const struct ml_node *x, const struct ml_value *v, int64_t *micros)
{
	struct ml_value t;
	int digits;

	if (v->kind == ML_V_TIME) {
		*micros = v->i;
		return true;
	}
	if (v->kind == ML_V_WHEN) {
		struct ml_when w;

		ml_when_unpack(v->i, &w);
		*micros = ((int64_t)w.hour * 3600 + w.minute * 60 + w.second) * 1000000 + w.micro;
		return true;
	}
	t = ml_value_text(r, x, v);
	return ml_time_parse(t.s, t.len, micros, &digits);
}

const struct ml_json *
ml_value_json(struct ml_run *r, const struct ml_node *x, const struct ml_value *v)
{
	struct ml_json *j;
	struct ml_value t;

	if (v->kind == ML_V_JSON)
		return v->j;
	t = ml_value_text(r, x, v);
	j = ml_arena_zalloc(r->a, sizeof(*j));
	j->type = v->kind == ML_V_INT || v->kind == ML_V_UINT || v->kind == ML_V_DEC || v->kind == ML_V_REAL
			  ? ML_JSON_NUMBER
			  : ML_JSON_STRING;
	j->s = ml_arena_strndup(r->a, t.s, t.len);
	j->len = t.len;
	return j;
}

bool
ml_value_true(struct ml_run *r, const struct ml_value *v)
{
	(void)r;
	switch (v->kind) {
	case ML_V_INT:
	case ML_V_UINT:
	case ML_V_WHEN:
	case ML_V_TIME:
		return v->i != 0;
	case ML_V_DEC:
		return !ml_dec_is_zero(v->d);
	default:
		return ml_value_real(v) != 0;
	}
}

int
ml_value_cmp_int(const struct ml_value *a, const struct ml_value *b)
{
	if (a->kind == b->kind)
		return a->kind == ML_V_INT ? (a->i > b->i) - (a->i < b->i) : (a->u > b->u) - (a->u < b->u);
	if (a->kind == ML_V_INT)
		return a->i < 0 ? -1 : ((uint64_t)a->i > b->u) - ((uint64_t)a->i < b->u);
	return -ml_value_cmp_int(b, a);
}

/* MySQL's order of kinds; booleans and numbers count as one here, so that "= 1" and "= TRUE" find both. */
static int
json_rank(const struct ml_json *j)
{
	static const int ranks[] = { [ML_JSON_NULL] = 0,
		[ML_JSON_BOOL] = 1,
		[ML_JSON_NUMBER] = 1,
		[ML_JSON_STRING] = 2,
		[ML_JSON_OBJECT] = 3,
		[ML_JSON_ARRAY] = 4 };

	return ranks[j->type];
}

int
ml_json_cmp(const struct ml_json *a, const struct ml_json *b)
{
	const struct ml_json *x = a->child, *y = b->child;
	struct ml_dec da, db;
	double fa, fb;
	size_t n;
	int rc;

	if (json_rank(a) != json_rank(b))
		return json_rank(a) < json_rank(b) ? -1 : 1;
	switch (a->type) {
	case ML_JSON_NULL:
		return 0;
	case ML_JSON_BOOL:
	case ML_JSON_NUMBER:
		/* Integers beyond 2^53 differ as numbers where their floats do not. */
		if (a->type == ML_JSON_NUMBER && b->type == ML_JSON_NUMBER && strpbrk(a->s, "eE") == NULL &&
			strpbrk(b->s, "eE") == NULL) {
			(void)ml_dec_parse(&da, a->s, a->len);
			(void)ml_dec_parse(&db, b->s, b->len);
			return ml_dec_cmp(&da, &db);
		}
		(void)json_number(a, &fa);
		(void)json_number(b, &fb);
		return (fa > fb) - (fa < fb);
	case ML_JSON_STRING:
		n = a->len < b->len ? a->len : b->len;
		rc = n > 0 ? memcmp(a->s, b->s, n) : 0;
		return rc != 0 ? rc : (a->len > b->len) - (a->len < b->len);
	case ML_JSON_ARRAY:
		for (; x != NULL && y != NULL; x = x->next, y = y->next)
			if ((rc = ml_json_cmp(x, y)) != 0)
				return rc;
		return (x != NULL) - (y != NULL);
	case ML_JSON_OBJECT:
		if (a->n != b->n)
			return a->n < b->n ? -1 : 1;
		for (; x != NULL; x = x->next) {
			for (y = b->child; y != NULL; y = y->next)
				if (y->key_len == x->key_len && memcmp(y->key, x->key, x->key_len) == 0)
					break;
			if (y == NULL)
				return 1;
			if ((rc = ml_json_cmp(x, y)) != 0)
				return rc;
		}
		return 0;
	}
	return 0;
}
