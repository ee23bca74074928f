/* func_text.c - functions on text.  Positions count characters, of binary text bytes. */
#include <locale.h>
#include <pthread.h>
#include <string.h>
#include <wctype.h>

#include "capture-worker/filter/expr/eval.h"
#include "capture-worker/filter/expr/func.h"
#include "capture-worker/filter/expr/md5.h"
#include "capture-worker/filter/expr/value.h"

/* Arguments: text, but for those whose bit is set in ints. */
static int
bind_text(struct ml_binding *b, struct ml_node *x, unsigned ints, enum ml_xtype type, struct ml_err *err)
{
	for (uint32_t i = 0; i < x->n; i++)
		x->kids[i] = ml_bind_as(b, x->kids[i], i < 32 && (ints >> i & 1) ? ML_X_INT : ML_X_STR, 6);
	x->type = (uint8_t)type;
	if (ml_bind_collation(b, x, 0, x->n, type == ML_X_STR || x->n == 1 ? NULL : err) < 0)
		return -1;
	if (type == ML_X_STR && x->coercibility == ML_COERCE_NUMBER)
		x->coercibility = ML_COERCE_LITERAL;
	if (type != ML_X_STR) {
		x->coercibility = ML_COERCE_NUMBER;
		x->mixed = false;
	}
	return 0;
}

static int
bind_all_text(struct ml_binding *b, struct ml_node *x, struct ml_err *err)
{
	return bind_text(b, x, 0, ML_X_STR, err);
}

static int
bind_number_of_text(struct ml_binding *b, struct ml_node *x, struct ml_err *err)
{
	return bind_text(b, x, 0, ML_X_INT, err);
}

/* text, then numbers */
static int
bind_part(struct ml_binding *b, struct ml_node *x, struct ml_err *err)
{
	return bind_text(b, x, ~1u, ML_X_STR, err);
}

static int
bind_locate(struct ml_binding *b, struct ml_node *x, struct ml_err *err)
{
	return bind_text(b, x, ~3u, ML_X_INT, err);
}

/* TRIM(text) or, as the parser gives it, TRIM(text, what, side) */
static int
bind_trim(struct ml_binding *b, struct ml_node *x, struct ml_err *err)
{
	return bind_text(b, x, 4, ML_X_STR, err);
}

static void
step(const struct ml_node *x, const char **s, const char *end)
{
	if (x->coll.weighing == ML_WEIGH_BYTES)
		(*s)++;
	else
		(void)ml_utf8_next(s, end);
}

static int64_t
chars(const struct ml_node *x, const struct ml_value *v)
{
	const char *s = v->s, *end = s + v->len;
	int64_t n = 0;

	if (x->coll.weighing == ML_WEIGH_BYTES)
		return v->len;
	for (; s < end; n++)
		(void)ml_utf8_next(&s, end);
	return n;
}

/* Byte offset of character n; the end if there are fewer. */
static uint32_t
offset(const struct ml_node *x, const struct ml_value *v, int64_t n)
{
	const char *s = v->s, *end = s + v->len;

	for (; n > 0 && s < end; n--)
		step(x, &s, end);
	return (uint32_t)(s - v->s);
}

static int
length(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	int rc;

	if (ml_eval_kid(r, x, 0, v, &rc))
		*v = ml_v_int(v->len);
	return rc;
}

static int
char_length(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	int rc;

	if (ml_eval_kid(r, x, 0, v, &rc))
		*v = ml_v_int(chars(x, v));
	return rc;
}

static locale_t utf8;
static pthread_once_t utf8_once = PTHREAD_ONCE_INIT;

static void
open_locale(void)
{
	/* Built into the C library; without it only ASCII letters change. */
	utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
}

static char *
put_utf8(char *p, uint32_t c)
{
	if (c < 0x80) {
		*p++ = (char)c;
	} else if (c < 0x800) {
		*p++ = (char)(0xc0 | c >> 6);
		*p++ = (char)(0x80 | (c & 0x3f));
	} else if (c < 0x10000) {
		*p++ = (char)(0xe0 | c >> 12);
		*p++ = (char)(0x80 | (c >> 6 & 0x3f));
		*p++ = (char)(0x80 | (c & 0x3f));
	} else {
		*p++ = (char)(0xf0 | c >> 18);
		*p++ = (char)(0x80 | (c >> 12 & 0x3f));
		*p++ = (char)(0x80 | (c >> 6 & 0x3f));
		*p++ = (char)(0x80 | (c & 0x3f));
	}
	return p;
}

static int
change_case(struct ml_run *r, const struct ml_node *x, struct ml_value *v, bool upper)
{
	const char *s, *end;
	char *out, *p;
	int rc;

	if (!ml_eval_kid(r, x, 0, v, &rc) || x->coll.weighing == ML_WEIGH_BYTES)
		return rc;
	pthread_once(&utf8_once, open_locale);
	/* A letter may need a byte more than its other form, never more than four in all. */
	p = out = ml_arena_bytes(r->a, 4 * (size_t)v->len + 1);
	for (s = v->s, end = s + v->len; s < end;) {
		uint32_t c = ml_utf8_next(&s, end);

		if (c < 0x80)
			*p++ = (char)(upper ? c - (c >= 'a' && c <= 'z' ? 32 : 0)
					    : c + (c >= 'A' && c <= 'Z' ? 32 : 0));
		else if (c >= 0x110000)
			*p++ = (char)(c - 0x110000);
		else if (utf8 == (locale_t)0)
			p = put_utf8(p, c);
		else
			p = put_utf8(p, (uint32_t)(upper ? towupper_l((wint_t)c, utf8) : towlower_l((wint_t)c, utf8)));
	}
	*v = ml_v_text(out, (size_t)(p - out));
	return 0;
}

static int
lower(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	return change_case(r, x, v, false);
}

static int
upper(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	return change_case(r, x, v, true);
}

static void
strip(struct ml_value *v, const char *what, uint32_t n, bool left, bool right)
{
	if (n == 0)
		return;
	while (left && v->len >= n && memcmp(v->s, what, n) == 0) {
		v->s += n;
		v->len -= n;
	}
	while (right && v->len >= n && memcmp(v->s + v->len - n, what, n) == 0)
		v->len -= n;
}

static int
trim(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	struct ml_value what = ml_v_text(" ", 1), side = ml_v_int(0);
	int rc;

	if (!ml_eval_kid(r, x, 0, v, &rc))
		return rc;
	if (x->n == 3 && (!ml_eval_kid(r, x, 1, &what, &rc) || !ml_eval_kid(r, x, 2, &side, &rc))) {
		v->kind = ML_V_NULL;
		return rc;
	}
	strip(v, what.s, what.len, side.i != 2, side.i != 1);
	return 0;
}

static int
ltrim(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	int rc;

	if (ml_eval_kid(r, x, 0, v, &rc))
		strip(v, " ", 1, true, false);
	return rc;
}

static int
rtrim(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	int rc;

	if (ml_eval_kid(r, x, 0, v, &rc))
		strip(v, " ", 1, false, true);
	return rc;
}

/* Text and its numbers; 1 if all are there. */
static int
part(struct ml_run *r, const struct ml_node *x, struct ml_value *v, int64_t *a, int64_t *b)
{
	int64_t *to[] = { a, b };
	struct ml_value n;
	int rc;

	if (!ml_eval_kid(r, x, 0, v, &rc))
		return rc;
	for (uint32_t i = 1; i < x->n; i++) {
		if (!ml_eval_kid(r, x, i, &n, &rc)) {
			v->kind = ML_V_NULL;
			return rc;
		}
		*to[i - 1] = ml_value_i64(r, &n);
	}
	return 1;
}

static int
left(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	int64_t n = 0;
	int rc = part(r, x, v, &n, NULL);

	if (rc <= 0)
		return rc;
	v->len = offset(x, v, n);
	return 0;
}

static int
right(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	int64_t n = 0, all;
	int rc = part(r, x, v, &n, NULL);
	uint32_t from;

	if (rc <= 0)
		return rc;
	all = chars(x, v);
	from = n <= 0 ? v->len : n >= all ? 0 : offset(x, v, all - n);
	v->s += from;
	v->len -= from;
	return 0;
}

static int
substring(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	int64_t at = 0, n = INT64_MAX, all;
	int rc = part(r, x, v, &at, &n);
	uint32_t from;

	if (rc <= 0)
		return rc;
	all = chars(x, v);
	if (at < 0)
		at += all + 1; /* from the end */
	if (at <= 0 || at > all || n <= 0) {
		v->len = 0;
		return 0;
	}
	from = offset(x, v, at - 1);
	v->s += from;
	v->len -= from;
	v->len = offset(x, v, n);
	return 0;
}

static int
concat(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	struct ml_value *parts = ml_arena_alloc(r->a, x->n * sizeof(*parts));
	size_t len = 0;
	char *p, *s;
	int rc;

	for (uint32_t i = 0; i < x->n; i++) {
		if (!ml_eval_kid(r, x, i, &parts[i], &rc)) {
			v->kind = ML_V_NULL;
			return rc;
		}
		len += parts[i].len;
	}
	if (len > INT32_MAX)
		return ml_run_fail(r, "a text is too long");
	p = s = ml_arena_bytes(r->a, len + 1);
	for (uint32_t i = 0; i < x->n; i++) {
		memcpy(p, parts[i].s, parts[i].len);
		p += parts[i].len;
	}
	*v = ml_v_text(s, len);
	return 0;
}

/* NULLs are left out, a NULL separator makes NULL. */
static int
concat_ws(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	struct ml_value *parts = ml_arena_alloc(r->a, x->n * sizeof(*parts)), *sep = &parts[0];
	size_t len = 0;
	char *p, *s;
	bool first = true;
	int rc;

	for (uint32_t i = 0; i < x->n; i++) {
		if (ml_eval_kid(r, x, i, &parts[i], &rc)) {
			len += (size_t)parts[i].len + (i > 0 ? sep->len : 0);
			continue;
		}
		if (rc < 0 || i == 0) {
			v->kind = ML_V_NULL;
			return rc;
		}
	}
	if (len > INT32_MAX)
		return ml_run_fail(r, "a text is too long");
	p = s = ml_arena_bytes(r->a, len + 1);
	for (uint32_t i = 1; i < x->n; i++) {
		if (parts[i].kind == ML_V_NULL)
			continue;
		if (!first) {
			memcpy(p, sep->s, sep->len);
			p += sep->len;
		}
		first = false;
		memcpy(p, parts[i].s, parts[i].len);
		p += parts[i].len;
	}
	*v = ml_v_text(s, (size_t)(p - s));
	return 0;
}

static int
replace(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	struct ml_value from, to;
	const char *s, *end, *hit;
	size_t n = 0, len;
	char *out, *p;
	int rc;

	if (!ml_eval_kid(r, x, 0, v, &rc))
		return rc;
	if (!ml_eval_kid(r, x, 1, &from, &rc) || !ml_eval_kid(r, x, 2, &to, &rc)) {
		v->kind = ML_V_NULL;
		return rc;
	}
	if (from.len == 0)
		return 0;
	end = v->s + v->len;
	for (s = v->s; (hit = memmem(s, (size_t)(end - s), from.s, from.len)) != NULL; s = hit + from.len)
		n++;
	len = v->len - n * from.len + n * to.len;
	if (len > INT32_MAX)
		return ml_run_fail(r, "a text is too long");
	p = out = ml_arena_bytes(r->a, len + 1);
	for (s = v->s; (hit = memmem(s, (size_t)(end - s), from.s, from.len)) != NULL; s = hit + from.len) {
		memcpy(p, s, (size_t)(hit - s));
		p += hit - s;
		memcpy(p, to.s, to.len);
		p += to.len;
	}
	memcpy(p, s, (size_t)(end - s));
	*v = ml_v_text(out, len);
	return 0;
}

/* Position of the text in kid `what` in the text of kid `in`, from character `from` on; 0: nowhere. */
static int
position(struct ml_run *r, const struct ml_node *x, struct ml_value *v, uint32_t what, uint32_t in, int64_t from)
{
	struct ml_value a, b, head;
	long at;
	int rc;

	if (!ml_eval_kid(r, x, what, &a, &rc) || !ml_eval_kid(r, x, in, &b, &rc)) {
		v->kind = ML_V_NULL;
		return rc;
	}
	if (from < 1 || from > chars(x, &b) + 1) {
		*v = ml_v_int(0);
		return 0;
	}
	at = ml_collation_find(x->coll, b.s, b.len, offset(x, &b, from - 1), a.s, a.len);
	head = ml_v_text(b.s, at < 0 ? 0 : (size_t)at);
	*v = ml_v_int(at < 0 ? 0 : chars(x, &head) + 1);
	return 0;
}

static int
locate(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	struct ml_value from = ml_v_int(1);
	int rc;

	if (x->n > 2 && !ml_eval_kid(r, x, 2, &from, &rc)) {
		v->kind = ML_V_NULL;
		return rc;
	}
	return position(r, x, v, 0, 1, ml_value_i64(r, &from));
}

static int
instr(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	return position(r, x, v, 1, 0, 1);
}

/* HEX of a number is the number in base 16, of text its bytes. */
static int
bind_hex(struct ml_binding *b, struct ml_node *x, struct ml_err *err)
{
	enum ml_xtype t = x->kids[0]->type;

	(void)err;
	if (t == ML_X_DEC || t == ML_X_REAL)
		x->kids[0] = ml_bind_as(b, x->kids[0], ML_X_INT, 0);
	else if (t != ML_X_INT)
		x->kids[0] = ml_bind_as(b, x->kids[0], ML_X_STR, 6);
	x->type = ML_X_STR;
	x->coercibility = ML_COERCE_LITERAL;
	return 0;
}

static int
hex(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	static const char digits[] = "0123456789ABCDEF";
	char *s, *p;
	int rc;

	if (!ml_eval_kid(r, x, 0, v, &rc))
		return rc;
	if (v->kind != ML_V_STR) {
		p = s = ml_arena_bytes(r->a, 16);
		for (int shift = 60; shift >= 0; shift -= 4)
			if (p > s || shift == 0 || (v->u >> shift & 15) != 0)
				*p++ = digits[v->u >> shift & 15];
	} else {
		p = s = ml_arena_bytes(r->a, 2 * (size_t)v->len + 1);
		for (uint32_t i = 0; i < v->len; i++) {
			*p++ = digits[(uint8_t)v->s[i] >> 4];
			*p++ = digits[v->s[i] & 15];
		}
	}
	*v = ml_v_text(s, (size_t)(p - s));
	return 0;
}

static int
bind_unhex(struct ml_binding *b, struct ml_node *x, struct ml_err *err)
{
	(void)err;
	x->kids[0] = ml_bind_as(b, x->kids[0], ML_X_STR, 6);
	x->type = ML_X_STR;
	x->coll = ml_collation_of("", 0);
	x->coercibility = ML_COERCE_LITERAL;
	return 0;
}

static int
unhex(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	uint32_t odd;
	char *s;
	int rc;

	if (!ml_eval_kid(r, x, 0, v, &rc))
		return rc;
	odd = v->len % 2;
	s = ml_arena_zalloc(r->a, v->len / 2 + 1);
	for (uint32_t i = 0; i < v->len; i++) {
		char c = v->s[i];
		int d = c >= '0' && c <= '9'   ? c - '0'
			: c >= 'a' && c <= 'f' ? c - 'a' + 10
			: c >= 'A' && c <= 'F' ? c - 'A' + 10
					       : -1;

		if (d < 0) {
			v->kind = ML_V_NULL;
			return 0;
		}
		s[(i + odd) / 2] |= (char)((i + odd) % 2 == 0 ? d << 4 : d);
	}
	*v = ml_v_text(s, (v->len + odd) / 2);
	return 0;
}

static int
md5(struct ml_run *r, const struct ml_node *x, struct ml_value *v)
{
	char *s;
	int rc;

	if (!ml_eval_kid(r, x, 0, v, &rc))
		return rc;
	s = ml_arena_bytes(r->a, 32);
	ml_md5_hex(v->s, v->len, s);
	*v = ml_v_text(s, 32);
	return 0;
}

static int
bind_md5(struct ml_binding *b, struct ml_node *x, struct ml_err *err)
{
	(void)err;
	x->kids[0] = ml_bind_as(b, x->kids[0], ML_X_STR, 6);
	x->type = ML_X_STR;
	x->coercibility = ML_COERCE_LITERAL;
	return 0;
}

const struct ml_func ml_funcs_text[] = {
	{ "LENGTH", 1, 1, false, bind_number_of_text, length, 0, 0 },
	{ "OCTET_LENGTH", 1, 1, false, bind_number_of_text, length, 0, 0 },
	{ "CHAR_LENGTH", 1, 1, false, bind_number_of_text, char_length, 0, 0 },
	{ "CHARACTER_LENGTH", 1, 1, false, bind_number_of_text, char_length, 0, 0 },
	{ "LOWER", 1, 1, false, bind_all_text, lower, 0, 0 },
	{ "LCASE", 1, 1, false, bind_all_text, lower, 0, 0 },
	{ "UPPER", 1, 1, false, bind_all_text, upper, 0, 0 },
	{ "UCASE", 1, 1, false, bind_all_text, upper, 0, 0 },
	{ "TRIM", 1, 3, false, bind_trim, trim, 0, 0 },
	{ "LTRIM", 1, 1, false, bind_all_text, ltrim, 0, 0 },
	{ "RTRIM", 1, 1, false, bind_all_text, rtrim, 0, 0 },
	{ "LEFT", 2, 2, false, bind_part, left, 0, 0 },
	{ "RIGHT", 2, 2, false, bind_part, right, 0, 0 },
	{ "SUBSTRING", 2, 3, true, bind_part, substring, 0, 0 },
	{ "SUBSTR", 2, 3, true, bind_part, substring, 0, 0 },
	{ "MID", 3, 3, true, bind_part, substring, 0, 0 },
	{ "CONCAT", 1, 250, false, bind_all_text, concat, 0, 0 },
	{ "CONCAT_WS", 2, 250, false, bind_all_text, concat_ws, 0, 0 },
	{ "REPLACE", 3, 3, false, bind_all_text, replace, 0, 0 },
	{ "LOCATE", 2, 3, false, bind_locate, locate, 0, 0 },
	{ "INSTR", 2, 2, false, bind_locate, instr, 0, 0 },
	{ "HEX", 1, 1, false, bind_hex, hex, 0, 0 },
	{ "UNHEX", 1, 1, false, bind_unhex, unhex, 0, 0 },
	{ "MD5", 1, 1, false, bind_md5, md5, 0, 0 },
};
const size_t ml_funcs_text_n = sizeof(ml_funcs_text) / sizeof(ml_funcs_text[0]);
