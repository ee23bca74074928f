#include "api-gateway/http/basic.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

static int
digit(char c)
{
	return c >= 'A' && c <= 'Z'   ? c - 'A'
	       : c >= 'a' && c <= 'z' ? c - 'a' + 26
	       : c >= '0' && c <= '9' ? c - '0' + 52
	       : c == '+'             ? 62
	       : c == '/'             ? 63
				      : -1;
}

/* Length of the decoded text, -1 if s is not base64 with its padding, holds a NUL, or is too long for out. */
static int
decode(const char *s, char *out, size_t size)
{
	size_t n = strlen(s), o = 0;
	uint32_t bits = 0;
	int have = 0;

	if (n % 4 != 0)
		return -1;
	while (n > 0 && s[n - 1] == '=' && strlen(s) - n < 2)
		n--;
	for (size_t i = 0; i < n; i++) {
		int d = digit(s[i]);

		if (d < 0 || o + 1 >= size)
			return -1;
		bits = bits << 6 | (uint32_t)d;
		have += 6;
		if (have >= 8) {
			have -= 8;
			out[o] = (char)(bits >> have);
			if (out[o++] == '\0')
				return -1;
		}
	}
	out[o] = '\0';
	return (int)o;
}

bool
ml_basic_parse(struct ml_basic *b, const char *header)
{
	char text[2 * ML_BASIC_MAX], *colon;
	bool ok = false;

	*b = (struct ml_basic){ 0 };
	if (header == NULL || strncasecmp(header, "Basic ", 6) != 0)
		return false;
	header += 6 + strspn(header + 6, " ");
	if (decode(header, text, sizeof(text)) >= 0 && (colon = strchr(text, ':')) != NULL &&
		colon - text < ML_BASIC_MAX && strlen(colon + 1) < ML_BASIC_MAX) {
		memcpy(b->user, text, (size_t)(colon - text));
		memcpy(b->password, colon + 1, strlen(colon + 1));
		ok = true;
	}
	explicit_bzero(text, sizeof(text));
	return ok;
}
