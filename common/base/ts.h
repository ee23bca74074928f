/* ts.h - timestamps of the TSO kind: physical milliseconds << 18 | logical. */
#ifndef ML_COMMON_BASE_TS_H
#define ML_COMMON_BASE_TS_H
#include <stdint.h>

typedef uint64_t ml_ts; /* 0: none */
#define ML_TS_LOGICAL_BITS 18

static inline ml_ts
ml_ts_from_ms(uint64_t ms)
{
	return ms << ML_TS_LOGICAL_BITS;
}

static inline uint64_t
ml_ts_ms(ml_ts ts)
{
	return ts >> ML_TS_LOGICAL_BITS;
}
#endif
