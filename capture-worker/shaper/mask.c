#include "capture-worker/shaper/mask.h"

#include <stdlib.h>
#include <string.h>

/*
 * The one-shot and EVP forms allocate for each value, or cannot start from a state in which the salt is already taken in; the
 * old interface is a plain struct that can be copied.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

#include "capture-worker/shaper/constant.h"

enum method { HASH, TRUNCATE, CONSTANT };

struct ml_mask {
	enum method method;
	SHA256_CTX salted;      /* HASH: the salt is in */
	uint32_t length;        /* TRUNCATE */
	enum ml_json_type type; /* CONSTANT: of the value */
	char *value;            /* its text, or the number's literal */
	size_t len;
};

/* Longest that `length` may be: no column is longer. */
#define MAX_LENGTH UINT32_MAX

static int
read_hash(struct ml_mask *m, const struct ml_json *rule, struct ml_err *err)
{
	const struct ml_json *salt = ml_json_get(rule, "salt");

	if (salt == NULL || salt->type != ML_JSON_STRING || salt->len == 0)
		return ML_ERR(err, ErrColumnMaskFailed, 0, "method hash needs a salt, a text that is not empty");
	SHA256_Init(&m->salted);
	SHA256_Update(&m->salted, salt->s, salt->len);
	return 0;
}

static int
read_truncate(struct ml_mask *m, const struct ml_json *rule, struct ml_err *err)
{
	const struct ml_json *length = ml_json_get(rule, "length");
	unsigned long long v;
	char *end;

	if (length == NULL || length->type != ML_JSON_NUMBER)
		return ML_ERR(err, ErrColumnMaskFailed, 0, "method truncate needs a length, a number of characters");
	v = strtoull(length->s, &end, 10);
	if (*end != '\0' || length->s[0] == '-' || length->len > 10 || v > MAX_LENGTH)
		return ML_ERRF(err, ErrColumnMaskFailed, 0,
			"column mask failed: length %.40s is not a number of characters", length->s);
	m->length = (uint32_t)v;
	return 0;
}

static int
read_constant(struct ml_mask *m, const struct ml_json *rule, struct ml_err *err)
{
	const struct ml_json *value = ml_json_get(rule, "value");

	if (value == NULL || value->type == ML_JSON_BOOL || value->type == ML_JSON_ARRAY ||
		value->type == ML_JSON_OBJECT)
		return ML_ERR(err, ErrColumnMaskFailed, 0, "method constant needs a value: a text, a number or null");
	m->type = value->type;
	if (m->type == ML_JSON_NULL)
		return 0;
	m->value = malloc(value->len + 1);
	if (m->value == NULL)
		abort();
	memcpy(m->value, value->s, value->len);
	m->value[value->len] = '\0';
	m->len = value->len;
	return 0;
}

int
ml_mask_new(struct ml_mask **out, const struct ml_json *rule, struct ml_err *err)
{
	static const struct {
		const char *name;
		int (*read)(struct ml_mask *m, const struct ml_json *rule, struct ml_err *err);
	} methods[] = {
		[HASH] = { "hash", read_hash },
		[TRUNCATE] = { "truncate", read_truncate },
		[CONSTANT] = { "constant", read_constant },
	};
	const struct ml_json *method = ml_json_get(rule, "method");
	struct ml_mask *m;

	for (size_t i = 0; method != NULL && method->type == ML_JSON_STRING && i < sizeof(methods) / sizeof(methods[0]);
		i++) {
		if (strcmp(method->s, methods[i].name) != 0)
			continue;
		m = calloc(1, sizeof(*m));
		if (m == NULL)
			abort();
		m->method = (enum method)i;
		if (methods[i].read(m, rule, err) < 0) {
			ml_mask_free(m);
			return -1;
		}
		*out = m;
		return 0;
	}
	return ML_ERRF(err, ErrColumnMaskFailed, 0,
		"column mask failed: method \"%.40s\" is none of hash, truncate, constant",
		method != NULL && method->type == ML_JSON_STRING ? method->s : "");
}

void
ml_mask_free(struct ml_mask *m)
{
	if (m == NULL)
		return;
	free(m->value);
	free(m);
}

/* Text and binary strings; not what is only printed as text (DECIMAL, JSON, times). */
static bool
is_string(const struct ml_column *c)
{
	switch (c->type) {
	case ML_T_VARCHAR:
	case ML_T_VARSTRING:
	case ML_T_STRING:
	case ML_T_TINYBLOB:
	case ML_T_MEDIUMBLOB:
	case ML_T_LONGBLOB:
	case ML_T_BLOB:
		return true;
	default:
		return false;
	}
}

int
ml_mask_bind(struct ml_mask_column *out, const struct ml_mask *m, const struct ml_schema *s, uint16_t col,
	struct ml_arena *a, struct ml_err *err)
{
	const struct ml_column *c = &s->columns[col];
	struct ml_mask_column b = { .mask = m, .col = col, .binary = c->flags & ML_F_BINARY };

	if (m->method != HASH && (c->flags & (ML_F_PRIMARY_KEY | ML_F_UNIQUE_KEY | ML_F_HANDLE_KEY)))
		return ML_ERRF(err, ErrColumnMaskFailed, 0,
			"column mask failed: column %s of table %s belongs to a key, which can only be masked by hash",
			c->name.s, s->qname.s);
	if (m->method != CONSTANT && !is_string(c))
		return ML_ERRF(err, ErrColumnMaskFailed, 0,
			"column mask failed: column %s of table %s is %s; hash and truncate are for text and binary columns",
			c->name.s, s->qname.s, c->type_short.s);
	if (m->method == CONSTANT && ml_constant_of(&b.constant, c, is_string(c), m->type, m->value, m->len, a) < 0)
		return ML_ERRF(err, ErrColumnMaskFailed, 0,
			"column mask failed: column %s of table %s is %s%s, which does not hold the constant %.60s",
			c->name.s, s->qname.s, c->type_short.s, c->flags & ML_F_NULLABLE ? "" : " not null",
			m->value != NULL ? m->value : "null");
	*out = b;
	return 0;
}

static void
hash(const struct ml_mask *m, struct ml_datum *d, struct ml_arena *a)
{
	static const char digits[] = "0123456789abcdef";
	unsigned char sum[SHA256_DIGEST_LENGTH];
	SHA256_CTX ctx = m->salted;
	char *p = ml_arena_bytes(a, 2 * sizeof(sum));

	SHA256_Update(&ctx, d->s, d->len);
	SHA256_Final(sum, &ctx);
	d->s = p;
	d->len = 2 * sizeof(sum);
	for (size_t i = 0; i < sizeof(sum); i++) {
		*p++ = digits[sum[i] >> 4];
		*p++ = digits[sum[i] & 15];
	}
}

/* Bytes of the first n characters of UTF-8; bytes that are none are never parted from the character before them. */
static uint32_t
prefix(const char *s, uint32_t len, uint32_t n)
{
	uint32_t i = 0;

	if (len <= n)
		return len;
	for (; i < len; i++)
		if (((unsigned char)s[i] & 0xc0) != 0x80 && n-- == 0)
			break;
	return i;
}

void
ml_mask_apply(const struct ml_mask_column *c, struct ml_datum *d, struct ml_arena *a)
{
	const struct ml_mask *m = c->mask;

	if (d->kind == ML_D_ABSENT)
		return;
	if (m->method == CONSTANT) {
		*d = c->constant;
		return;
	}
	if (d->kind != ML_D_BYTES)
		return;
	if (m->method == HASH)
		hash(m, d, a);
	else if (!c->binary)
		d->len = prefix(d->s, d->len, m->length);
	else if (d->len > m->length)
		d->len = m->length;
}
