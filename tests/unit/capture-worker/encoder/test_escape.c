/* Text primitives of the encoders: JSON profiles, the latin1 trick, base64, the quoted form. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "capture-worker/encoder/text/base64.h"
#include "capture-worker/encoder/text/escape.h"
#include "capture-worker/encoder/text/printable.h"
#include "capture-worker/encoder/text/quoted.h"

typedef void write_fn(struct ml_out *o, const char *s, size_t n);

static void
base64(struct ml_out *o, const char *s, size_t n)
{
	ml_base64(o, s, n);
}

/* The text lies at the end of its own allocation, so that ASan sees a read past it. */
static void
check(write_fn *fn, const char *name, const char *in, size_t n, const char *want)
{
	char *copy = malloc(n > 0 ? n : 1);
	struct ml_arena a;
	struct ml_out o;
	const char *got;
	uint32_t len;

	assert_non_null(copy);
	if (n > 0)
		memcpy(copy, in, n);
	ml_arena_init(&a, 256);
	ml_out_begin(&o, &a);
	fn(&o, copy, n);
	got = ml_out_end(&o, &len);
	if (len != strlen(want) || (len > 0 && memcmp(got, want, len) != 0))
		fail_msg("%s: want %s, got %.*s", name, want, (int)len, len > 0 ? got : "");
	ml_arena_fini(&a);
	free(copy);
}

#define ROW(in, e, s, latin1, quoted)                                                                                  \
	{                                                                                                              \
		in, sizeof(in) - 1, e, s, latin1, quoted                                                               \
	}

static void
escapes_by_the_profiles(void **state)
{
	static const struct {
		const char *in;
		size_t n;
		const char *e, *s, *latin1, *quoted;
	} rows[] = {
		ROW("", "", "", "", ""),
		ROW("a", "a", "a", "a", "a"),
		ROW("plain text of more than sixteen bytes / done", "plain text of more than sixteen bytes / done",
			"plain text of more than sixteen bytes / done", "plain text of more than sixteen bytes / done",
			"plain text of more than sixteen bytes / done"),
		ROW("\"\\", "\\\"\\\\", "\\\"\\\\", "\\\"\\\\", "\\\\\\\"\\\\\\\\"),
		ROW("\n\r\t", "\\n\\r\\t", "\\n\\r\\t", "\\n\\r\\t", "\\\\n\\\\r\\\\t"),
		ROW("\b\f", "\\u0008\\u000c", "\\b\\f", "\\u0008\\u000c", "\\\\b\\\\f"),
		ROW("\0\x01\x0b\x1f\x7f", "\\u0000\\u0001\\u000b\\u001f\x7f", "\\u0000\\u0001\\u000b\\u001f\x7f",
			"\\u0000\\u0001\\u000b\\u001f\x7f", "\\\\x00\\\\x01\\\\v\\\\x1f\\\\x7f"),
		ROW("\a", "\\u0007", "\\u0007", "\\u0007", "\\\\a"),
		ROW("<a>&'", "\\u003ca\\u003e\\u0026'", "\\u003ca\\u003e\\u0026'", "\\u003ca\\u003e\\u0026'",
			"\\u003ca\\u003e\\u0026'"),
		ROW("é中😀", "é中😀", "é中😀",
			"Ã©ä¸\xc2\xad"
			"ð\xc2\x9f\xc2\x98\xc2\x80",
			"é中😀"),
		ROW("\xe2\x80\xa8\xe2\x80\xa9", "\\u2028\\u2029", "\\u2028\\u2029",
			"â\xc2\x80\xc2\xa8"
			"â\xc2\x80\xc2\xa9",
			"\\\\u2028\\\\u2029"),
		/* Invalid: a lone byte, a cut sequence, overlong, surrogate, above U+10FFFF. */
		ROW("\xff", "\\ufffd", "\\ufffd", "ÿ", "\\\\xff"),
		ROW("a\xe4\xb8", "a\\ufffd\\ufffd", "a\\ufffd\\ufffd", "aä¸", "a\\\\xe4\\\\xb8"),
		ROW("\xc0\xaf", "\\ufffd\\ufffd", "\\ufffd\\ufffd", "À¯", "\\\\xc0\\\\xaf"),
		ROW("\xed\xa0\x80", "\\ufffd\\ufffd\\ufffd", "\\ufffd\\ufffd\\ufffd", "í\xc2\xa0\xc2\x80",
			"\\\\xed\\\\xa0\\\\x80"),
		ROW("\xf4\x90\x80\x80", "\\ufffd\\ufffd\\ufffd\\ufffd", "\\ufffd\\ufffd\\ufffd\\ufffd",
			"ô\xc2\x90\xc2\x80\xc2\x80", "\\\\xf4\\\\x90\\\\x80\\\\x80"),
		ROW("\xef\xbf\xbd", "\xef\xbf\xbd", "\xef\xbf\xbd", "ï¿½", "\xef\xbf\xbd"),
		/* No-break space, soft hyphen, private use, a tag character: not printable. */
		ROW("\xc2\xa0\xc2\xad\xee\x80\x80\xf3\xa0\x80\x81", "\xc2\xa0\xc2\xad\xee\x80\x80\xf3\xa0\x80\x81",
			"\xc2\xa0\xc2\xad\xee\x80\x80\xf3\xa0\x80\x81",
			"Â\xc2\xa0Â\xc2\xadî\xc2\x80\xc2\x80ó\xc2\xa0\xc2\x80\xc2\x81",
			"\\\\u00a0\\\\u00ad\\\\ue000\\\\U000e0001"),
		/* Published: a BLOB in canal-json, a PNG's signature in open-protocol. */
		ROW("\x05\x07\x0a\x0f$2+cx<&\xff\xfe-7F",
			"\\u0005\\u0007\\n\\u000f$2+cx\\u003c\\u0026\\ufffd\\ufffd-7F",
			"\\u0005\\u0007\\n\\u000f$2+cx\\u003c\\u0026\\ufffd\\ufffd-7F",
			"\\u0005\\u0007\\n\\u000f$2+cx\\u003c\\u0026ÿþ-7F",
			"\\\\x05\\\\a\\\\n\\\\x0f$2+cx\\u003c\\u0026\\\\xff\\\\xfe-7F"),
		ROW("\x89PNG\r\n\x1a\n", "\\ufffdPNG\\r\\n\\u001a\\n", "\\ufffdPNG\\r\\n\\u001a\\n",
			"\xc2\x89PNG\\r\\n\\u001a\\n", "\\\\x89PNG\\\\r\\\\n\\\\x1a\\\\n"),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		check(ml_escape_e, "E", rows[i].in, rows[i].n, rows[i].e);
		check(ml_escape_s, "S", rows[i].in, rows[i].n, rows[i].s);
		check(ml_escape_latin1, "latin1", rows[i].in, rows[i].n, rows[i].latin1);
		check(ml_quoted, "quoted", rows[i].in, rows[i].n, rows[i].quoted);
	}
}

/* Profile I: only what JSON demands. */
static void
leaves_the_rest_as_it_is(void **state)
{
	static const struct {
		const char *in, *want;
	} rows[] = {
		{ "", "" },
		{ "<a>&' / \x7f", "<a>&' / \x7f" },
		{ "\"\\\n\r\t\b\f\x01\x1f", "\\\"\\\\\\n\\r\\t\\u0008\\u000c\\u0001\\u001f" },
		{ "é中😀\xe2\x80\xa8\xe2\x80\xa9", "é中😀\xe2\x80\xa8\xe2\x80\xa9" },
		{ "\xff\xc0\xaf\xed\xa0\x80 of more than sixteen bytes \x80\"",
			"\xff\xc0\xaf\xed\xa0\x80 of more than sixteen bytes \x80\\\"" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check(ml_escape_i, "I", rows[i].in, strlen(rows[i].in), rows[i].want);
	check(ml_escape_i, "I", "a\0b", 3, "a\\u0000b");
	for (size_t n = 1; n <= 40; n++)
		for (size_t at = 0; at < n; at++) {
			char in[40], want[64];

			memset(in, 0xe9, n);
			in[at] = '"';
			memcpy(want, in, at);
			want[at] = '\\';
			memcpy(want + at + 1, in + at, n - at);
			want[n + 1] = '\0';
			check(ml_escape_i, "I", in, n, want);
		}
}

/* A byte that needs care at every place of texts of every length around the widths that are looked at together. */
static void
finds_what_needs_care_at_every_place(void **state)
{
	static const char special[] = { '"', '&', '<', '>', '\\', '\n', 0, 0x1f };

	(void)state;
	for (size_t n = 1; n <= 40; n++)
		for (size_t at = 0; at < n; at++)
			for (size_t k = 0; k < sizeof(special); k++) {
				char in[40], want[64], *p = want;

				memset(in, 'x', n);
				in[at] = special[k];
				for (size_t i = 0; i < n; i++)
					if (in[i] == 'x')
						*p++ = 'x';
					else if (in[i] == '"' || in[i] == '\\')
						p += sprintf(p, "\\%c", in[i]);
					else if (in[i] == '\n')
						p += sprintf(p, "\\n");
					else
						p += sprintf(p, "\\u%04x", in[i]);
				*p = '\0';
				check(ml_escape_e, "place", in, n, want);
			}
}

/* Characters that lie across the pieces of a long text, and texts that outgrow their chunk again and again. */
static void
takes_texts_of_any_length(void **state)
{
	(void)state;
	for (size_t shift = 0; shift < 5; shift++) {
		size_t n = shift + 4 * 50000, m = 0;
		char *in = malloc(n + 1), *want = malloc(6 * n + 1);

		assert_non_null(in);
		assert_non_null(want);
		memset(in, 'y', shift);
		for (size_t i = 0; i < 50000; i++)
			memcpy(in + shift + 4 * i, i % 7 == 3 ? "<>\"\n" : "😀", 4);
		for (size_t i = 0; i < shift; i++)
			want[m++] = 'y';
		for (size_t i = 0; i < 50000; i++) {
			const char *piece = i % 7 == 3 ? "\\u003c\\u003e\\\"\\n" : "😀";

			memcpy(want + m, piece, strlen(piece));
			m += strlen(piece);
		}
		want[m] = '\0';
		check(ml_escape_s, "long", in, n, want);
		free(in);
		free(want);
	}
}

static void
writes_base64_with_padding(void **state)
{
	static const struct {
		const char *in, *want;
	} rows[] = {
		{ "", "" },
		{ "f", "Zg==" },
		{ "fo", "Zm8=" },
		{ "foo", "Zm9v" },
		{ "foob", "Zm9vYg==" },
		{ "foobar", "Zm9vYmFy" },
		{ "\xff\xfe\xfb", "//77" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check(base64, "base64", rows[i].in, strlen(rows[i].in), rows[i].want);
}

static void
knows_which_runes_are_printable(void **state)
{
	static const struct {
		uint32_t rune;
		bool want;
	} rows[] = {
		{ ' ', true },
		{ '~', true },
		{ 0x7F, false },
		{ 0x1F, false },
		{ 0xA0, false },
		{ 0xA1, true },
		{ 0xAD, false },
		{ 0x0378, false },
		{ 0x2003, false },
		{ 0x200B, false },
		{ 0x3042, true },
		{ 0xD7A3, true },
		{ 0xE000, false },
		{ 0xFEFF, false },
		{ 0xFFFD, true },
		{ 0xFFFF, false },
		{ 0x1F600, true },
		{ 0x31350, true },
		{ 0xE0100, true },
		{ 0xE01EF, true },
		{ 0xE01F0, false },
		{ 0x10FFFF, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (ml_rune_printable(rows[i].rune) != rows[i].want)
			fail_msg("U+%04X", rows[i].rune);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(escapes_by_the_profiles),
		cmocka_unit_test(leaves_the_rest_as_it_is),
		cmocka_unit_test(finds_what_needs_care_at_every_place),
		cmocka_unit_test(takes_texts_of_any_length),
		cmocka_unit_test(writes_base64_with_padding),
		cmocka_unit_test(knows_which_runes_are_printable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
