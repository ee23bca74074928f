/*
 * collation.h - comparing and matching text as a column's collation does (sinks.md 8.4).  Text is UTF-8.
 *
 * Families: binary (bytes), _bin (code points, trailing blanks do not count), _general_ci and latin1's default (one weight a
 * character), and all other case-insensitive ones as unicode_ci, whose weights are known for Latin, Greek, Cyrillic, Armenian,
 * Hebrew, punctuation and full-width forms; other scripts are ordered by code point.  _cs collations count as _bin.
 */
#ifndef ML_WORKER_FILTER_EXPR_COLLATION_H
#define ML_WORKER_FILTER_EXPR_COLLATION_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ml_weighing { ML_WEIGH_BYTES, ML_WEIGH_POINT, ML_WEIGH_GENERAL, ML_WEIGH_LATIN1, ML_WEIGH_UNICODE };

struct ml_collation {
	uint8_t weighing; /* enum ml_weighing */
	bool pad;         /* shorter text is compared as if blanks followed */
};

/* Of a column's collation, or of what a literal has ("utf8mb4_bin"); "" is binary. */
struct ml_collation ml_collation_of(const char *name, size_t len);
static inline bool
ml_collation_same(struct ml_collation a, struct ml_collation b)
{
	return a.weighing == b.weighing && a.pad == b.pad;
}
static inline bool
ml_collation_folds(struct ml_collation c)
{
	return c.weighing > ML_WEIGH_POINT;
}
/* < 0, 0, > 0 */
int ml_collation_cmp(struct ml_collation c, const char *a, size_t a_len, const char *b, size_t b_len);
/* SQL's LIKE over the whole text; escape: a code point, or -1 for none. */
bool ml_collation_like(
	struct ml_collation c, const char *s, size_t len, const char *pattern, size_t pattern_len, int32_t escape);
/* Offset of the first occurrence of what in s from byte `from` on (a character's start), or -1. */
long ml_collation_find(
	struct ml_collation c, const char *s, size_t len, size_t from, const char *what, size_t what_len);
/* Next code point at *s (moved on); a byte that starts no character counts as 0x110000 + itself.  *s < end. */
uint32_t ml_utf8_next(const char **s, const char *end);
#endif
