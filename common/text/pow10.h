/*
 * pow10.h - the powers of ten that the shortest decimal of a double needs, with 128 bits: for each k the integer
 * g = ceil(10^k / 2^(floor(log2 10^k) - 127)), so 2^127 <= g < 2^128.  Made by exact arithmetic; for num.c only.
 */
#ifndef ML_COMMON_TEXT_POW10_H
#define ML_COMMON_TEXT_POW10_H
#include <stdint.h>

enum { ML_POW10_MIN = -292, ML_POW10_MAX = 324 };

struct ml_pow10 {
	uint64_t hi, lo;
};

extern const struct ml_pow10 ml_pow10[ML_POW10_MAX - ML_POW10_MIN + 1];
#endif
