#include "api-gateway/http/route.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/buf.h"

/* Does path fit pattern?  Both begin with '/'.  Segments of path are ended by '/' or NUL; nothing is written. */
static bool
fits(const char *pattern, const char *path, size_t len, struct ml_http_match *m, size_t *lens)
{
	const char *end = path + len;

	m->n_params = 0;
	while (*pattern == '/' && path < end && *path == '/') {
		size_t n = strcspn(++pattern, "/"), got = 0;

		path++;
		while (path + got < end && path[got] != '/')
			got++;
		if (got == 0)
			return false;
		if (*pattern == ':') {
			lens[m->n_params] = got;
			m->params[m->n_params++] = path;
		} else if (n != got || memcmp(pattern, path, n) != 0) {
			return false;
		}
		pattern += n;
		path += got;
	}
	return *pattern == '\0' && path == end;
}

static const struct ml_http_route *
find(const struct ml_http_route *routes, size_t n, unsigned method, const char *path, size_t len,
	struct ml_http_match *m, size_t *lens)
{
	for (size_t i = 0; i < n; i++)
		if ((routes[i].methods & method) != 0 && fits(routes[i].path, path, len, m, lens))
			return &routes[i];
	m->n_params = 0;
	return NULL;
}

void
ml_http_route(const struct ml_http_route *routes, size_t n, unsigned method, char *path, struct ml_http_match *m)
{
	size_t len = strlen(path), lens[ML_HTTP_MAX_PARAMS];

	*m = (struct ml_http_match){ 0 };
	m->route = find(routes, n, method, path, len, m, lens);
	if (m->route != NULL) {
		for (size_t i = 0; i < m->n_params; i++)
			path[(size_t)(m->params[i] - path) + lens[i]] = '\0';
		return;
	}
	if (len > 1 && path[len - 1] == '/') {
		m->route = find(routes, n, method, path, len - 1, m, lens);
		m->n_params = 0;
		if (m->route != NULL)
			m->redirect = method == ML_HTTP_GET ? 301 : 307;
	}
}

static int
hex(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

/* n bytes of s decoded; NULL if malformed or holding a NUL. */
static char *
decode(const char *s, size_t n, bool plus)
{
	char *out = malloc(n + 1), *o = out;

	if (out == NULL)
		abort();
	for (size_t i = 0; i < n; i++) {
		if (s[i] == '+' && plus) {
			*o++ = ' ';
		} else if (s[i] != '%') {
			*o++ = s[i];
		} else {
			int hi = n - i > 2 ? hex(s[i + 1]) : -1, lo = n - i > 2 ? hex(s[i + 2]) : -1;

			if (hi < 0 || lo < 0 || (hi == 0 && lo == 0)) {
				free(out);
				return NULL;
			}
			*o++ = (char)(hi << 4 | lo);
			i += 2;
		}
	}
	*o = '\0';
	return out;
}

int
ml_http_split(const char *target, char **path, char **query)
{
	size_t n;
	const char *q;

	if (strncasecmp(target, "http://", 7) == 0 || strncasecmp(target, "https://", 8) == 0) {
		target = strchr(target, ':') + 3;
		target += strcspn(target, "/?#");
	}
	n = strcspn(target, "?#");
	*path = n == 0 ? strdup("/") : decode(target, n, false);
	if (*path == NULL)
		return -1;
	q = target[n] == '?' ? target + n + 1 : "";
	*query = strndup(q, strcspn(q, "#"));
	if (*query == NULL)
		abort();
	return 0;
}

char *
ml_http_query_get(const char *query, const char *key)
{
	for (const char *p = query; *p != '\0';) {
		size_t n = strcspn(p, "&"), eq = 0;
		char *k;

		while (eq < n && p[eq] != '=')
			eq++;
		k = decode(p, eq, true);
		if (k != NULL && strcmp(k, key) == 0) {
			free(k);
			if (eq < n)
				eq++;
			return decode(p + eq, n - eq, true);
		}
		free(k);
		p += n + (p[n] == '&');
	}
	return NULL;
}

char *
ml_http_path_escape(const char *path)
{
	struct ml_buf b = { 0 };

	ml_buf_puts(&b, "");
	for (const char *p = path; *p != '\0'; p++) {
		if ((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') ||
			strchr("-_.~$&+,/:;=@", *p))
			ml_buf_putc(&b, *p);
		else
			ml_buf_printf(&b, "%%%02X", (unsigned char)*p);
	}
	return b.data;
}
