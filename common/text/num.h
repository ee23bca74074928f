/*
 * num.h - numbers to decimal text: integers, and floats with the fewest digits that read back as the same float
 * (protocol documents' forms F, J, J2 and G).  No locale, no allocation, nothing is NUL-terminated.
 */
#ifndef ML_COMMON_TEXT_NUM_H
#define ML_COMMON_TEXT_NUM_H
#include <stddef.h>
#include <stdint.h>

enum {
	ML_INT_TEXT_MAX = 20,    /* -9223372036854775808 */
	ML_FLOAT_TEXT_MAX = 352, /* sign, "0.", 323 zeros, 17 digits: the smallest double in form F, rounded up */
};

enum ml_float_form {
	ML_FLOAT_F, /* never an exponent: 0.0000001, 100000000000000000000000 */
	ML_FLOAT_J, /* as F, but d.ddde-7, d.ddde+21 if 0 < |v| < 1e-6 or |v| >= 1e21 (as Go's JSON package writes it) */
	ML_FLOAT_J2, /* as J with two digits of exponent at least: 1e-07 */
	ML_FLOAT_G,  /* as J2, but the exponent form from 1e+06 on and below 1e-04 (Go's %g with the fewest digits) */
};

/* Each writes at buf and returns how many bytes: at most ML_INT_TEXT_MAX or ML_FLOAT_TEXT_MAX. */
size_t ml_u64_text(char *buf, uint64_t v);
size_t ml_i64_text(char *buf, int64_t v);
/* v is finite.  Negative zero is "-0"; integral values have no point. */
size_t ml_f64_text(char *buf, double v, enum ml_float_form form);
/* The same with float's precision: 0.1f is "0.1"; bounds of J and J2 are tested in float. */
size_t ml_f32_text(char *buf, float v, enum ml_float_form form);
#endif
