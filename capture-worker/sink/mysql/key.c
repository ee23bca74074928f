#include "capture-worker/sink/mysql/key.h"

#include <string.h>

#include "capture-worker/sink/mysql/fold_tables.h"
#include "common/text/num.h"

/* ---- text under a collation ---- */

static uint32_t
next_char(const unsigned char **p, const unsigned char *end)
{
	uint32_t c = *(*p)++;
	unsigned more = c >= 0xF0 ? 3 : c >= 0xE0 ? 2 : c >= 0xC0 ? 1 : 0;

	if (c < 0x80)
		return c;
	c &= 0x3Fu >> more;
	for (; more > 0 && *p < end && (**p & 0xC0) == 0x80; more--)
		c = c << 6 | (*(*p)++ & 0x3F);
	return c;
}

/* Base letters of a character beyond ASCII; 0: it may be ignorable, or be equal to something else. */
static uint32_t
base_letters(uint32_t c)
{
	if (c >= 0x80 && c <= 0x52F)
		return sql_fold_80[c - 0x80];
	if (c >= 0x1E00 && c <= 0x1FFF)
		return sql_fold_1e00[c - 0x1E00];
	if (c >= 0xFF01 && c <= 0xFF5E)
		return sql_fold_ff01[c - 0xFF01];
	/* Han has neither case nor accents. */
	if ((c >= 0x3400 && c <= 0x9FFF) || (c >= 0xAC00 && c <= 0xD7A3))
		return c;
	return 0;
}

struct folder {
	struct ml_buf *out;
	uint32_t last;
};

/*
 * What some collation of MySQL or MariaDB takes for equal must come out equal: ss = ß, ae = ä = æ, aa = å, v = w, y = i.  So
 * doubled letters count once, an e behind a, o or u not at all.
 */
static void
put_letter(struct folder *f, uint32_t c)
{
	c = c == 'w' ? 'v' : c == 'y' || c == 'j' ? 'i' : c;
	if (c == f->last || (c == 'e' && (f->last == 'a' || f->last == 'o' || f->last == 'u')))
		return;
	f->last = c;
	if (c < 0x80) {
		ml_buf_putc(f->out, (char)c);
	} else {
		char b[3] = { (char)(0x80 | c >> 14), (char)(0x80 | (c >> 7 & 0x7F)), (char)(0x80 | (c & 0x7F)) };

		ml_buf_put(f->out, b, 3);
	}
}

void
sql_fold_text(struct ml_buf *out, const char *s, size_t len)
{
	const unsigned char *p = (const unsigned char *)s, *end = p + len;
	struct folder f = { .out = out };

	while (p < end) {
		uint32_t c = next_char(&p, end);

		if (c >= 0x80)
			c = base_letters(c);
		else if (c >= 'A' && c <= 'Z')
			c += 32;
		else if (c <= ' ' || c == 0x7F)
			c = 0; /* blanks at the end do not count everywhere, control characters nowhere */
		if ((c & 0xFFFF) != 0)
			put_letter(&f, c & 0xFFFF);
		if (c >> 16 != 0)
			put_letter(&f, c >> 16);
	}
}

/* ---- keys ---- */

/* Bytes of the first n characters of UTF-8. */
static uint32_t
first_chars(const char *s, uint32_t len, uint32_t n)
{
	uint32_t i = 0;

	for (; i < len; i++)
		if (((uint8_t)s[i] & 0xC0) != 0x80 && n-- == 0)
			break;
	return i;
}

static bool
put_value(struct ml_buf *out, const struct ml_datum *d, uint8_t fold, uint32_t prefix)
{
	char num[ML_FLOAT_TEXT_MAX];
	uint32_t len = d->len;

	switch (d->kind) {
	case ML_D_I64:
		ml_buf_put(out, num, ml_i64_text(num, d->i));
		break;
	case ML_D_U64:
		ml_buf_put(out, num, ml_u64_text(num, d->u));
		break;
	case ML_D_F32:
		/* 0 and -0 are one value. */
		ml_buf_put(out, num, ml_f64_text(num, d->f32 + 0.0, ML_FLOAT_F));
		break;
	case ML_D_F64:
		ml_buf_put(out, num, ml_f64_text(num, d->f64 + 0.0, ML_FLOAT_F));
		break;
	case ML_D_BYTES:
		/* The server cuts before it compares, so blanks in front of the cut are at the end. */
		if (prefix > 0 && prefix < len)
			len = fold == SQL_FOLD_NONE ? prefix : first_chars(d->s, len, prefix);
		if (fold == SQL_FOLD_CASE) {
			sql_fold_text(out, d->s, len);
		} else if (fold != SQL_FOLD_WHOLE) {
			while (fold == SQL_FOLD_PAD && len > 0 && d->s[len - 1] == ' ')
				len--;
			ml_buf_put(out, d->s, len);
		}
		break;
	default:
		return false;
	}
	ml_buf_putc(out, '\0');
	return true;
}

static void
put_be64(struct ml_buf *out, uint64_t v)
{
	char b[8];

	for (int i = 0; i < 8; i++)
		b[i] = (char)(v >> (56 - 8 * i));
	ml_buf_put(out, b, 8);
}

bool
sql_key_bytes(struct ml_buf *out, const struct sql_table *t, const struct sql_unique *u, const struct ml_datum *image)
{
	ml_buf_clear(out);
	for (uint16_t i = 0; i < u->n_cols; i++)
		if (!put_value(out, &image[u->cols[i]], u->folds[i], u->prefixes[i]))
			return false;
	put_be64(out, u->ordinal);
	put_be64(out, (uint64_t)t->table_id);
	return true;
}

/* FNV-1a over words, mixed at the end: keys are short. */
static uint64_t
hash_of(const char *p, size_t n)
{
	uint64_t h = UINT64_C(14695981039346656037) ^ n, w;

	for (; n >= 8; n -= 8, p += 8) {
		memcpy(&w, p, 8);
		h = (h ^ w) * UINT64_C(0x9E3779B97F4A7C15);
		h ^= h >> 29;
	}
	for (; n > 0; n--, p++)
		h = (h ^ (uint8_t)*p) * UINT64_C(1099511628211);
	h ^= h >> 32;
	return h != 0 ? h : 1;
}

static uint32_t
add(uint64_t *out, uint32_t n, uint64_t hash)
{
	for (uint32_t i = 0; i < n; i++)
		if (out[i] == hash)
			return n;
	out[n] = hash;
	return n + 1;
}

static uint32_t
image_keys(uint64_t *out, uint32_t n, const struct sql_table *t, const struct ml_datum *image, struct ml_buf *scratch)
{
	uint32_t given = 0;

	if (image == NULL)
		return n;
	for (uint16_t i = 0; i < t->n_uniques; i++) {
		if (!sql_key_bytes(scratch, t, &t->uniques[i], image))
			continue;
		n = add(out, n, hash_of(scratch->data, scratch->len));
		given++;
	}
	/* Nothing tells this row from others of its table. */
	if (given == 0) {
		ml_buf_clear(scratch);
		put_be64(scratch, (uint64_t)t->table_id);
		n = add(out, n, hash_of(scratch->data, scratch->len));
	}
	return n;
}

uint32_t
sql_keys_of(uint64_t *out, const struct sql_table *t, const struct ml_row *row, struct ml_buf *scratch)
{
	uint32_t n = image_keys(out, 0, t, row->before, scratch);

	return image_keys(out, n, t, row->after, scratch);
}
