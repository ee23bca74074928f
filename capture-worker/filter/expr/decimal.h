/*
 * decimal.h - exact decimal numbers as SQL's DECIMAL has them: up to 81 digits, up to 30 behind the point.  No allocation.
 */
#ifndef ML_WORKER_FILTER_EXPR_DECIMAL_H
#define ML_WORKER_FILTER_EXPR_DECIMAL_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ML_DEC_LIMBS 24 /* 216 digits: a product, or a dividend widened for its quotient */
#define ML_DEC_DIGITS 81
#define ML_DEC_SCALE 30
#define ML_DEC_TEXT_MAX 128

/* (-1)^neg * limbs / 10^scale; limbs base 10^9, lowest first, n without leading zeros (0: zero). */
struct ml_dec {
	bool neg;
	uint8_t scale, n;
	uint32_t w[ML_DEC_LIMBS];
};

void ml_dec_of_i64(struct ml_dec *d, int64_t v);
void ml_dec_of_u64(struct ml_dec *d, uint64_t v);
/*
 * The number that text begins with, exponent too; digits behind the 30th fraction digit are rounded away.  Returns bytes used, 0
 * if there is no number; too large: the largest number.
 */
size_t ml_dec_parse(struct ml_dec *d, const char *s, size_t len);
int ml_dec_cmp(const struct ml_dec *a, const struct ml_dec *b);
bool ml_dec_is_zero(const struct ml_dec *d);
/* Each false on overflow.  out may be an operand. */
bool ml_dec_add(struct ml_dec *out, const struct ml_dec *a, const struct ml_dec *b, bool subtract);
bool ml_dec_mul(struct ml_dec *out, const struct ml_dec *a, const struct ml_dec *b);
/* b is not zero.  More digits are kept than the result's scale of a.scale + 4 has, as MySQL does. */
bool ml_dec_div(struct ml_dec *out, const struct ml_dec *a, const struct ml_dec *b);
/* a mod b with a's sign; b is not zero. */
bool ml_dec_mod(struct ml_dec *out, const struct ml_dec *a, const struct ml_dec *b);
enum ml_dec_mode { ML_DEC_HALF_UP, ML_DEC_TRUNCATE, ML_DEC_FLOOR, ML_DEC_CEILING };
/* To `scale` digits behind the point; negative: before it.  A larger scale adds zeros. */
bool ml_dec_round(struct ml_dec *d, int scale, enum ml_dec_mode mode);
double ml_dec_f64(const struct ml_dec *d);
/* Rounded; false if it does not fit (the nearest one then). */
bool ml_dec_i64(const struct ml_dec *d, int64_t *v);
bool ml_dec_u64(const struct ml_dec *d, uint64_t *v);
size_t ml_dec_text(const struct ml_dec *d, char buf[ML_DEC_TEXT_MAX]);
#endif
