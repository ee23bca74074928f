/* md5.h - RFC 1321's digest, for the function of that name; not for anything that must be safe. */
#ifndef ML_WORKER_FILTER_EXPR_MD5_H
#define ML_WORKER_FILTER_EXPR_MD5_H
#include <stddef.h>

void ml_md5_hex(const char *s, size_t len, char hex[32]); /* lower case, not terminated */
#endif
