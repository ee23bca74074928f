#include "api-gateway/api/ident.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static bool
alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool
ml_ident_ok(const char *s)
{
	size_t n = strlen(s);

	if (n == 0 || n > ML_IDENT_MAX)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!alnum(s[i]) && (s[i] != '-' || i == 0 || i == n - 1 || s[i + 1] == '-'))
			return false;
	return true;
}

void
ml_uuid4(char out[ML_UUID_SIZE])
{
	unsigned char b[16];

	if (getrandom(b, sizeof(b), 0) != (ssize_t)sizeof(b))
		abort(); /* 16 bytes never come short */
	b[6] = (unsigned char)(0x40 | (b[6] & 0x0f));
	b[8] = (unsigned char)(0x80 | (b[8] & 0x3f));
	for (int i = 0, o = 0; i < 16; i++) {
		o += snprintf(out + o, 3, "%02x", b[i]);
		if (i == 3 || i == 5 || i == 7 || i == 9)
			out[o++] = '-';
	}
	out[36] = '\0';
}
