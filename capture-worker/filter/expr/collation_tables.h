/* collation_tables.h - weights of characters under MariaDB's collations, for collation.c. */
#ifndef ML_WORKER_FILTER_EXPR_COLLATION_TABLES_H
#define ML_WORKER_FILTER_EXPR_COLLATION_TABLES_H
#include <stddef.h>
#include <stdint.h>

/* utf8mb4_general_ci, latin1_swedish_ci: { code point, weight } where they differ; sorted. */
extern const uint16_t ml_weights_general[][2], ml_weights_latin1[][2];
extern const size_t ml_weights_general_n, ml_weights_latin1_n;

/*
 * utf8mb4_unicode_ci, one weight for each code point of four blocks in a row (ML_UNICODE_BLOCKS); 0: ignorable; 0xffff: none
 * of its own; 0xfe00 + i: those of ml_weights_unicode_more[i], which end at a 0.
 */
#define ML_UNICODE_BLOCKS                                                                                              \
	{ 0x0000, 0x05ff }, { 0x1e00, 0x1fff }, { 0x2000, 0x206f },                                                    \
	{                                                                                                              \
		0xff00, 0xffef                                                                                         \
	}
extern const uint16_t ml_weights_unicode[], ml_weights_unicode_more[][4];
#endif
