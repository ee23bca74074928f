/* json_same.h - whether two JSON texts mean the same, whatever their blanks, order of members and way to write a number. */
#ifndef ML_WORKER_VERIFY_JSON_SAME_H
#define ML_WORKER_VERIFY_JSON_SAME_H
#include <stdbool.h>
#include <stddef.h>

/* Texts that are no JSON are the same when their bytes are. */
bool ml_vf_json_same(const char *a, size_t a_len, const char *b, size_t b_len);
#endif
