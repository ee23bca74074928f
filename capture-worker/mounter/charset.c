#include "capture-worker/mounter/charset.h"

#include <errno.h>
#include <iconv.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "capture-worker/mounter/charset_tables.h"

#define REPLACEMENT 0xFFFDu

/* Places of ml_charsets that the id ranges of MariaDB name. */
enum { I_UTF8MB4 = 1, I_UTF8MB3 = 2, I_UCS2 = 37, I_UTF16 = 38, I_UTF32 = 40 };

struct ml_charconv {
	const struct ml_charset *cs;
	iconv_t cd;                        /* MULTI */
	const struct ml_cs_override *over; /* MULTI: sequences that are not iconv's; NULL: none */
	unsigned n_over;
	uint8_t three_byte_lead; /* byte that begins three-byte sequences, where there are overrides; else 0 */
	bool kana;               /* bytes A1-DF stand alone */
	char text[256][4];       /* SINGLE: UTF-8 of each byte, its length in the last one */
};

const struct ml_charset *
ml_charset_by_name(const char *name, size_t len)
{
	if (len == 4 && strncasecmp(name, "utf8", 4) == 0)
		return &ml_charsets[I_UTF8MB3];
	for (unsigned i = 0; i < ml_charsets_n; i++)
		if (strncasecmp(ml_charsets[i].name, name, len) == 0 && ml_charsets[i].name[len] == '\0')
			return &ml_charsets[i];
	return NULL;
}

const struct ml_charset *
ml_charset_by_collation_name(const char *name, size_t len)
{
	const char *end = memchr(name, '_', len);

	return ml_charset_by_name(name, end != NULL ? (size_t)(end - name) : len);
}

/*
 * Below 256 the classic ids.  MySQL goes on with utf8mb4 up to 323.  MariaDB: 512 + 32 * n its own for Unicode set n, 1024 + id
 * the "nopad" twin of id, 2048 + 256 * n the uca1400 ones of Unicode set n.
 */
const struct ml_charset *
ml_charset_by_collation(uint32_t id)
{
	static const uint8_t own[8] = { 0, 0, I_UTF8MB3, I_UTF8MB4, I_UCS2, I_UTF16, 0, I_UTF32 };
	static const uint8_t uca1400[5] = { I_UTF8MB3, I_UTF8MB4, I_UCS2, I_UTF16, I_UTF32 };

	if (id >= 1024 && id < 2048)
		id -= 1024;
	if (id < 256)
		return ml_cs_of_collation[id] > 0 ? &ml_charsets[ml_cs_of_collation[id] - 1] : NULL;
	if (id < 512)
		return id <= 323 ? &ml_charsets[I_UTF8MB4] : NULL;
	if (id < 768)
		return own[(id - 512) / 32] > 0 ? &ml_charsets[own[(id - 512) / 32]] : NULL;
	if (id >= 2048 && id < 2048 + 5 * 256)
		return &ml_charsets[uca1400[(id - 2048) / 256]];
	return NULL;
}

static char *
put_utf8(char *out, uint32_t c)
{
	if (c < 0x80) {
		*out++ = (char)c;
	} else if (c < 0x800) {
		*out++ = (char)(0xC0 | c >> 6);
		*out++ = (char)(0x80 | (c & 63));
	} else if (c < 0x10000) {
		*out++ = (char)(0xE0 | c >> 12);
		*out++ = (char)(0x80 | (c >> 6 & 63));
		*out++ = (char)(0x80 | (c & 63));
	} else {
		*out++ = (char)(0xF0 | c >> 18);
		*out++ = (char)(0x80 | (c >> 12 & 63));
		*out++ = (char)(0x80 | (c >> 6 & 63));
		*out++ = (char)(0x80 | (c & 63));
	}
	return out;
}

static void
fill_single(struct ml_charconv *cc)
{
	for (unsigned b = 0; b < 256; b++) {
		uint32_t c = b < 128 ? b : cc->cs->high[b - 128];

		for (const uint16_t *low = cc->cs->low; low != NULL && *low != 0; low += 2)
			if (low[0] == b)
				c = low[1];
		cc->text[b][3] = (char)(put_utf8(cc->text[b], c) - cc->text[b]);
	}
}

struct ml_charconv *
ml_charconv_new(const struct ml_charset *cs)
{
	struct ml_charconv *cc = calloc(1, sizeof(*cc));

	if (cc == NULL)
		return NULL;
	cc->cs = cs;
	if (cs->kind == ML_CS_SINGLE)
		fill_single(cc);
	if (cs->kind != ML_CS_MULTI)
		return cc;
	cc->cd = iconv_open("UTF-8", cs->iconv);
	if (cc->cd == (iconv_t)-1) {
		free(cc);
		return NULL;
	}
	if (strcmp(cs->name, "sjis") == 0) {
		cc->over = ml_cs_sjis_overrides;
		cc->n_over = ml_cs_sjis_overrides_n;
		cc->kana = true;
	} else if (strcmp(cs->name, "big5") == 0) {
		cc->over = ml_cs_big5_overrides;
		cc->n_over = ml_cs_big5_overrides_n;
	} else if (strcmp(cs->name, "ujis") == 0) {
		cc->over = ml_cs_ujis_overrides;
		cc->n_over = ml_cs_ujis_overrides_n;
		cc->three_byte_lead = 0x8F;
	}
	return cc;
}

void
ml_charconv_free(struct ml_charconv *cc)
{
	if (cc == NULL)
		return;
	if (cc->cs->kind == ML_CS_MULTI)
		iconv_close(cc->cd);
	free(cc);
}

static bool
is_ascii(const char *s, size_t n)
{
	uint64_t seen = 0, word;

	for (; n >= 8; s += 8, n -= 8) {
		memcpy(&word, s, 8);
		seen |= word;
	}
	for (; n > 0; n--)
		seen |= (uint64_t)(uint8_t)*s++;
	return (seen & 0x8080808080808080u) == 0;
}

static char *
single(const struct ml_charconv *cc, char *out, const uint8_t *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char *t = cc->text[s[i]];

		memcpy(out, t, 3); /* room for three bytes per byte and some is there */
		out += t[3];
	}
	return out;
}

/* iconv of all of s, with U+FFFD for what it refuses. */
static char *
through_iconv(struct ml_charconv *cc, char *out, const uint8_t *s, size_t n)
{
	char *in = (char *)(uintptr_t)s;
	size_t room;

	iconv(cc->cd, NULL, NULL, NULL, NULL);
	while (n > 0) {
		room = 3 * n + 4;
		if (iconv(cc->cd, &in, &n, &out, &room) != (size_t)-1)
			break;
		if (n == 0)
			break;
		out = put_utf8(out, REPLACEMENT);
		if (errno != EILSEQ)
			break; /* cut short at the end: one sign for all of it */
		in++;
		n--;
	}
	return out;
}

static const struct ml_cs_override *
find_override(const struct ml_charconv *cc, uint32_t seq)
{
	unsigned lo = 0, hi = cc->n_over;

	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;

		if (cc->over[mid].seq < seq)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < cc->n_over && cc->over[lo].seq == seq ? &cc->over[lo] : NULL;
}

/* Sequence by sequence, for sets where the server's table and iconv's differ in places. */
static char *
with_overrides(struct ml_charconv *cc, char *out, const uint8_t *s, size_t n)
{
	const struct ml_cs_override *over;
	uint32_t seq;

	while (n > 0) {
		size_t len = *s == cc->three_byte_lead ? 3 : 2;

		if (*s < 0x80) {
			*out++ = (char)*s++;
			n--;
			continue;
		}
		if (cc->kana && *s >= 0xA1 && *s <= 0xDF)
			len = 1;
		if (len > n) {
			out = put_utf8(out, REPLACEMENT);
			break;
		}
		seq = 0;
		for (size_t i = 0; i < len; i++)
			seq = seq << 8 | s[i];
		over = find_override(cc, seq);
		if (over != NULL) {
			out = put_utf8(out, over->code);
		} else {
			char *in = (char *)(uintptr_t)s;
			size_t left = len, room = 12;

			iconv(cc->cd, NULL, NULL, NULL, NULL);
			if (iconv(cc->cd, &in, &left, &out, &room) == (size_t)-1) {
				out = put_utf8(out, REPLACEMENT);
				len = left < len ? len - left : 1;
			}
		}
		s += len;
		n -= len;
	}
	return out;
}

static uint32_t
unit(const uint8_t *p, bool little)
{
	return little ? (uint32_t)p[0] | (uint32_t)p[1] << 8 : (uint32_t)p[0] << 8 | p[1];
}

static char *
wide(const struct ml_charconv *cc, char *out, const uint8_t *s, size_t n)
{
	bool little = strcmp(cc->cs->name, "utf16le") == 0, pairs = cc->cs->mbmaxlen == 4;

	if (strcmp(cc->cs->name, "utf32") == 0) {
		for (; n >= 4; s += 4, n -= 4) {
			uint32_t c = unit(s, false) << 16 | unit(s + 2, false);

			out = put_utf8(out, c > 0x10FFFF || (c >= 0xD800 && c < 0xE000) ? REPLACEMENT : c);
		}
	} else {
		for (; n >= 2; s += 2, n -= 2) {
			uint32_t c = unit(s, little);

			if (pairs && c >= 0xD800 && c < 0xDC00 && n >= 4) {
				uint32_t low = unit(s + 2, little);

				if (low >= 0xDC00 && low < 0xE000) {
					c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
					s += 2;
					n -= 2;
				}
			}
			out = put_utf8(out, c >= 0xD800 && c < 0xE000 ? REPLACEMENT : c);
		}
	}
	return n > 0 ? put_utf8(out, REPLACEMENT) : out;
}

const char *
ml_charconv_utf8(struct ml_charconv *cc, struct ml_arena *a, const char *s, size_t n, size_t *out_len)
{
	const uint8_t *u = (const uint8_t *)s;
	char *out, *end;

	*out_len = n;
	if (n == 0 || cc->cs->kind <= ML_CS_UTF8 ||
		(cc->cs->kind != ML_CS_WIDE && cc->cs->low == NULL && is_ascii(s, n)))
		return s;
	/* Three bytes for one are the most that any set takes; the rest is given back. */
	out = ml_arena_bytes(a, 3 * n + 16);
	if (cc->cs->kind == ML_CS_SINGLE)
		end = single(cc, out, u, n);
	else if (cc->cs->kind == ML_CS_WIDE)
		end = wide(cc, out, u, n);
	else if (cc->over != NULL)
		end = with_overrides(cc, out, u, n);
	else
		end = through_iconv(cc, out, u, n);
	a->p = end;
	*out_len = (size_t)(end - out);
	return out;
}
