#include "capture-worker/encoder/connect_name.h"

#include "capture-worker/encoder/text/escape.h"

static void
put_name(struct ml_out *o, struct ml_text t, bool table)
{
	const uint8_t *s = (const uint8_t *)t.s, *end = s + t.len;
	char *p = ml_out_need(o, (size_t)t.len + 1);

	for (bool first = true; s < end; first = false) {
		uint32_t rune;
		unsigned n = ml_utf8_rune(s, end, &rune);
		bool digit = *s >= '0' && *s <= '9';
		bool letter = (*s >= 'A' && *s <= 'Z') || (*s >= 'a' && *s <= 'z');

		if (digit && first && !table)
			*p++ = '_';
		*p++ = digit || letter || (table && *s == '.') ? (char)*s : '_';
		s += n > 0 ? n : 1;
	}
	o->p = p;
}

void
ml_connect_name(struct ml_out *o, struct ml_text t)
{
	put_name(o, t, false);
}

void
ml_connect_table_name(struct ml_out *o, struct ml_text t)
{
	put_name(o, t, true);
}

/* Of \' and '' (first is their first character) the quote alone stays. */
static uint32_t
drop_before_quote(char *buf, uint32_t n, char first)
{
	uint32_t m = 0;

	for (uint32_t k = 0; k < n; k++) {
		if (buf[k] == first && k + 1 < n && buf[k + 1] == '\'')
			k++;
		buf[m++] = buf[k];
	}
	return m;
}

uint32_t
ml_connect_element(char *buf, struct ml_text t)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < t.len; i++) {
		if (t.s[i] == ',')
			buf[n++] = '\\';
		buf[n++] = t.s[i];
	}
	n = drop_before_quote(buf, n, '\\');
	return drop_before_quote(buf, n, '\'');
}
