/*
 * fuzz_encoder_text.c - what the encoders' text primitives write must read back as what went in: JSON strings by a small
 * decoder of their own, the quoted form by undoing Go's escapes, base64, and numbers by strtod.
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture-worker/encoder/text/base64.h"
#include "capture-worker/encoder/text/escape.h"
#include "capture-worker/encoder/text/quoted.h"
#include "common/base/buf.h"
#include "common/text/num.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(what)                                                                                                    \
	do {                                                                                                           \
		if (!(what)) {                                                                                         \
			fprintf(stderr, "%d: not so: %s\n", __LINE__, #what);                                          \
			abort();                                                                                       \
		}                                                                                                      \
	} while (0)

static void
put_rune(struct ml_buf *b, uint32_t r)
{
	if (r < 0x80) {
		ml_buf_putc(b, (char)r);
	} else if (r < 0x800) {
		ml_buf_putc(b, (char)(0xC0 | r >> 6));
		ml_buf_putc(b, (char)(0x80 | (r & 63)));
	} else if (r < 0x10000) {
		ml_buf_putc(b, (char)(0xE0 | r >> 12));
		ml_buf_putc(b, (char)(0x80 | (r >> 6 & 63)));
		ml_buf_putc(b, (char)(0x80 | (r & 63)));
	} else {
		ml_buf_putc(b, (char)(0xF0 | r >> 18));
		ml_buf_putc(b, (char)(0x80 | (r >> 12 & 63)));
		ml_buf_putc(b, (char)(0x80 | (r >> 6 & 63)));
		ml_buf_putc(b, (char)(0x80 | (r & 63)));
	}
}

static uint32_t
hex(const char *s, int n)
{
	uint32_t v = 0;

	for (int i = 0; i < n; i++) {
		CHECK((s[i] >= '0' && s[i] <= '9') || (s[i] >= 'a' && s[i] <= 'f'));
		v = v << 4 | (uint32_t)(s[i] <= '9' ? s[i] - '0' : s[i] - 'a' + 10);
	}
	return v;
}

/* The inside of a JSON string, which must be strict: no raw controls, quotes or HTML characters. */
static void
json_decode(struct ml_buf *out, const char *s, size_t n)
{
	static const char names[] = "\"\\nrtbf", values[] = "\"\\\n\r\t\b\f";

	for (size_t i = 0; i < n; i++) {
		const char *k;

		if (s[i] != '\\') {
			CHECK((unsigned char)s[i] >= 0x20 && strchr("\"<>&", s[i]) == NULL);
			ml_buf_putc(out, s[i]);
			continue;
		}
		CHECK(++i < n);
		if (s[i] == 'u') {
			CHECK(i + 4 < n);
			put_rune(out, hex(s + i + 1, 4));
			i += 4;
			continue;
		}
		k = strchr(names, s[i]);
		CHECK(k != NULL && *k != '\0');
		ml_buf_putc(out, values[k - names]);
	}
}

/* A Go string literal without its quotes. */
static void
go_unquote(struct ml_buf *out, const char *s, size_t n)
{
	static const char names[] = "abtnvfr\"\\", values[] = "\a\b\t\n\v\f\r\"\\";

	for (size_t i = 0; i < n; i++) {
		const char *k;
		int digits;

		if (s[i] != '\\') {
			CHECK((unsigned char)s[i] >= 0x20 && s[i] != 0x7f && s[i] != '"');
			ml_buf_putc(out, s[i]);
			continue;
		}
		CHECK(++i < n);
		digits = s[i] == 'x' ? 2 : s[i] == 'u' ? 4 : s[i] == 'U' ? 8 : 0;
		if (digits > 0) {
			CHECK(i + (size_t)digits < n);
			if (digits == 2)
				ml_buf_putc(out, (char)hex(s + i + 1, 2));
			else
				put_rune(out, hex(s + i + 1, digits));
			i += (size_t)digits;
			continue;
		}
		k = strchr(names, s[i]);
		CHECK(k != NULL && *k != '\0');
		ml_buf_putc(out, values[k - names]);
	}
}

static void
base64_decode(struct ml_buf *out, const char *s, size_t n)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	CHECK(n % 4 == 0);
	for (size_t i = 0; i < n; i += 4) {
		int pad = s[i + 3] == '=' ? (s[i + 2] == '=' ? 2 : 1) : 0;
		uint32_t v = 0;

		CHECK(pad == 0 || i + 4 == n);
		for (int k = 0; k < 4; k++) {
			const char *p = strchr(alphabet, s[i + (size_t)k]);

			CHECK(k >= 4 - pad || (p != NULL && *p != '\0'));
			v = v << 6 | (k >= 4 - pad ? 0 : (uint32_t)(p - alphabet));
		}
		for (int k = 0; k < 3 - pad; k++)
			ml_buf_putc(out, (char)(v >> (16 - 8 * k)));
	}
}

/* The text with U+FFFD for every byte that is not part of valid UTF-8. */
static void
mended(struct ml_buf *out, const uint8_t *s, size_t n)
{
	const uint8_t *end = s + n;

	while (s < end) {
		uint32_t rune;
		unsigned k = ml_utf8_rune(s, end, &rune);

		put_rune(out, k > 0 ? rune : 0xFFFD);
		s += k > 0 ? k : 1;
	}
}

static void
latin1(struct ml_buf *out, const uint8_t *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		put_rune(out, s[i]);
}

static void
base64(struct ml_out *o, const char *s, size_t n)
{
	ml_base64(o, s, n);
}

static void
check_text(const uint8_t *data, size_t size)
{
	static const struct {
		void (*write)(struct ml_out *o, const char *s, size_t n);
		void (*want)(struct ml_buf *out, const uint8_t *s, size_t n); /* NULL: the bytes themselves */
		void (*read)(struct ml_buf *out, const char *s, size_t n);
		void (*then)(struct ml_buf *out, const char *s, size_t n);
	} rows[] = {
		{ ml_escape_e, mended, json_decode, NULL },
		{ ml_escape_s, mended, json_decode, NULL },
		{ ml_escape_latin1, latin1, json_decode, NULL },
		{ ml_quoted, NULL, json_decode, go_unquote },
		{ base64, NULL, base64_decode, NULL },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ml_buf got = { 0 }, want = { 0 };
		struct ml_arena a;
		struct ml_out o;
		const char *text;
		uint32_t len;

		ml_arena_init(&a, 128);
		ml_out_begin(&o, &a);
		rows[i].write(&o, (const char *)data, size);
		text = ml_out_end(&o, &len);
		rows[i].read(&got, text, len);
		if (rows[i].then != NULL) {
			struct ml_buf once = got;

			got = (struct ml_buf){ 0 };
			rows[i].then(&got, once.data, once.len);
			ml_buf_fini(&once);
		}
		if (rows[i].want != NULL)
			rows[i].want(&want, data, size);
		else
			ml_buf_put(&want, data, size);
		CHECK(got.len == want.len && (got.len == 0 || memcmp(got.data, want.data, got.len) == 0));
		ml_buf_fini(&got);
		ml_buf_fini(&want);
		ml_arena_fini(&a);
	}
}

static void
check_numbers(const uint8_t *data, size_t size)
{
	char buf[ML_FLOAT_TEXT_MAX + 1];

	for (size_t i = 0; i + 8 <= size && i < 64; i += 8) {
		uint64_t bits;
		double d;
		float f;

		memcpy(&bits, data + i, 8);
		memcpy(&d, data + i, 8);
		memcpy(&f, data + i, 4);
		buf[ml_u64_text(buf, bits)] = '\0';
		CHECK(strtoull(buf, NULL, 10) == bits);
		buf[ml_i64_text(buf, (int64_t)bits)] = '\0';
		CHECK(strtoll(buf, NULL, 10) == (int64_t)bits);
		for (enum ml_float_form form = ML_FLOAT_F; form <= ML_FLOAT_J; form++) {
			if (isfinite(d)) {
				buf[ml_f64_text(buf, d, form)] = '\0';
				CHECK(strtod(buf, NULL) == d && signbit(strtod(buf, NULL)) == signbit(d));
			}
			if (isfinite(f)) {
				buf[ml_f32_text(buf, f, form)] = '\0';
				CHECK(strtof(buf, NULL) == f && signbit(strtof(buf, NULL)) == signbit(f));
			}
		}
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_text(data, size);
	check_numbers(data, size);
	return 0;
}
