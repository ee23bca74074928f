/* basic.h - HTTP Basic credentials out of an Authorization header (RFC 7617). */
#ifndef ML_API_GATEWAY_HTTP_BASIC_H
#define ML_API_GATEWAY_HTTP_BASIC_H
#include <stdbool.h>

#define ML_BASIC_MAX 256 /* with the NUL: longer names and passwords than MySQL's */

struct ml_basic {
	char user[ML_BASIC_MAX], password[ML_BASIC_MAX];
};

/* false if header is NULL, of another scheme, no base64, without a colon, or too long; b is empty then.  Wipe b after use. */
bool ml_basic_parse(struct ml_basic *b, const char *header);
#endif
