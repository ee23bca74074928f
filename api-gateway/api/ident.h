/* ident.h - identifiers of openapi.md 1.5. */
#ifndef ML_API_GATEWAY_API_IDENT_H
#define ML_API_GATEWAY_API_IDENT_H
#include <stdbool.h>

#define ML_IDENT_MAX 128
#define ML_UUID_SIZE 37

bool ml_ident_ok(const char *s);       /* ^[a-zA-Z0-9]+(-[a-zA-Z0-9]+)*$, 1 to 128 bytes */
void ml_uuid4(char out[ML_UUID_SIZE]); /* random, lower case */
#endif
