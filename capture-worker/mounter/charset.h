/*
 * charset.h - from the charsets of MySQL and MariaDB to UTF-8.  Single-byte sets by tables, multi-byte ones by iconv; what is
 * invalid becomes U+FFFD.  latin1 is Windows-1252 with its five gaps mapped to themselves, as in the servers.
 */
#ifndef ML_WORKER_MOUNTER_CHARSET_H
#define ML_WORKER_MOUNTER_CHARSET_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"

enum ml_charset_kind {
	ML_CS_BINARY, /* bytes */
	ML_CS_UTF8,   /* utf8mb4, utf8mb3: as they are */
	ML_CS_SINGLE, /* one byte a character: table */
	ML_CS_MULTI,  /* iconv; bytes below 0x80 are ASCII */
	ML_CS_WIDE,   /* ucs2, utf16, utf16le, utf32: not even ASCII is itself */
};

/* Constant, static. */
struct ml_charset {
	const char *name;     /* "latin1"; utf8 is called utf8mb3 */
	uint8_t kind;         /* enum ml_charset_kind */
	uint8_t mbmaxlen;     /* most bytes of one character */
	const uint16_t *high; /* SINGLE: code points of 0x80-0xFF; 0xFFFD where there is none */
	const char *iconv;    /* MULTI: iconv's name */
	/* SINGLE: bytes below 0x80 that are not ASCII (swe7): pairs {byte, code point}, 0 at the end; NULL for nearly all */
	const uint16_t *low;
};

/* By name, ASCII case-insensitive; "utf8" is utf8mb3.  NULL if unknown. */
const struct ml_charset *ml_charset_by_name(const char *name, size_t len);
/* By collation id, for all ids of MySQL 5.7-9 and MariaDB.  NULL if unknown. */
const struct ml_charset *ml_charset_by_collation(uint32_t id);
/* The collation's name is MariaDB's or MySQL's ("latin1_swedish_ci"): its charset, by its first part.  NULL if unknown. */
const struct ml_charset *ml_charset_by_collation_name(const char *name, size_t len);

/*
 * Converter with its iconv handle, for one thread.  NULL without memory or if iconv lacks the set.
 */
struct ml_charconv;
struct ml_charconv *ml_charconv_new(const struct ml_charset *cs);
void ml_charconv_free(struct ml_charconv *cc); /* NULL is fine */
/*
 * UTF-8 of n bytes at s.  The value is s itself where nothing has to change, else memory of a.  *out_len: bytes.
 * Invalid sequences become U+FFFD.
 */
const char *ml_charconv_utf8(struct ml_charconv *cc, struct ml_arena *a, const char *s, size_t n, size_t *out_len);
#endif
