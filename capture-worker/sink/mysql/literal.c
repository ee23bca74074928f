#include "capture-worker/sink/mysql/literal.h"

#include <string.h>

#include "common/text/num.h"

/* What stands behind the backslash; 0: the byte goes as it is. */
static const char escape[256] = {
	['\0'] = '0',
	['\n'] = 'n',
	['\r'] = 'r',
	[0x1A] = 'Z',
	['\''] = '\'',
	['"'] = '"',
	['\\'] = '\\',
};

enum sql_quoting
sql_quoting_of(const struct ml_column *c)
{
	switch (c->type) {
	case ML_T_GEOMETRY:
		return SQL_BYTES; /* SRID and WKB, as the server itself stores it */
	case ML_T_VARCHAR:
	case ML_T_VARSTRING:
	case ML_T_STRING:
	case ML_T_TINYBLOB:
	case ML_T_MEDIUMBLOB:
	case ML_T_LONGBLOB:
	case ML_T_BLOB:
		/* Addresses and UUIDs of MariaDB are text here, whatever charset they claim. */
		if (c->special != ML_SP_NONE)
			return SQL_PLAIN_TEXT;
		return c->charset.len == 6 && memcmp(c->charset.s, "binary", 6) == 0 ? SQL_BYTES : SQL_PLAIN_TEXT;
	default:
		return SQL_PLAIN_TEXT;
	}
}

static char *
put_escaped(char *p, const char *s, size_t len)
{
	const char *end = s + len;

	while (s < end) {
		const char *run = s;

		while (s < end && escape[(unsigned char)*s] == 0)
			s++;
		memcpy(p, run, (size_t)(s - run));
		p += s - run;
		if (s < end) {
			*p++ = '\\';
			*p++ = escape[(unsigned char)*s++];
		}
	}
	return p;
}

void
sql_text(struct ml_buf *out, const char *s, size_t len, bool no_backslash)
{
	char *p;

	/* Every byte may need two. */
	ml_buf_need(out, 2 * len + 2);
	p = out->data + out->len;
	*p++ = '\'';
	if (!no_backslash) {
		p = put_escaped(p, s, len);
	} else {
		for (size_t i = 0; i < len; i++) {
			if (s[i] == '\'')
				*p++ = '\'';
			*p++ = s[i];
		}
	}
	*p++ = '\'';
	*p = '\0';
	out->len = (size_t)(p - out->data);
}

static void
grown(struct ml_buf *out, size_t n)
{
	out->len += n;
	out->data[out->len] = '\0';
}

void
sql_literal(struct ml_buf *out, const struct ml_datum *d, enum sql_quoting how, bool no_backslash)
{
	switch (d->kind) {
	case ML_D_NULL:
		ml_buf_put(out, "NULL", 4);
		return;
	case ML_D_I64:
		ml_buf_need(out, ML_INT_TEXT_MAX);
		grown(out, ml_i64_text(out->data + out->len, d->i));
		return;
	case ML_D_U64:
		ml_buf_need(out, ML_INT_TEXT_MAX);
		grown(out, ml_u64_text(out->data + out->len, d->u));
		return;
	case ML_D_F32:
		/* As the double it is, so that it equals the column's value in a WHERE. */
		ml_buf_need(out, ML_FLOAT_TEXT_MAX);
		grown(out, ml_f64_text(out->data + out->len, d->f32, ML_FLOAT_J2));
		return;
	case ML_D_F64:
		ml_buf_need(out, ML_FLOAT_TEXT_MAX);
		grown(out, ml_f64_text(out->data + out->len, d->f64, ML_FLOAT_J2));
		return;
	case ML_D_BYTES:
		if (how == SQL_BYTES)
			ml_buf_put(out, "_binary", 7);
		sql_text(out, d->s, d->len, no_backslash);
		return;
	default:
		ml_buf_put(out, "DEFAULT", 7);
		return;
	}
}

void
sql_name(struct ml_buf *out, const char *s, size_t len)
{
	ml_buf_putc(out, '`');
	for (size_t i = 0; i < len; i++) {
		if (s[i] == '`')
			ml_buf_putc(out, '`');
		ml_buf_putc(out, s[i]);
	}
	ml_buf_putc(out, '`');
}
