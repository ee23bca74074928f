/*
 * uri.c - sink and upstream URIs.
 *
 * The text is cut into spans first (split), and only then decoded: masking and unmasking work on the same spans, so they
 * change a secret and leave every other byte as it was.  Rejected: no scheme, bad escapes, NULs, a raw ';' or '#', an IPv6
 * address without brackets, ports that are none, and a raw '/' or '?' inside the user's name or password.
 */
#include "common/text/uri.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"

#define MASK "xxxxx"
/* URIs inside URIs looked into; real ones go one level deep.  What lies deeper is masked whole. */
#define MASK_DEPTH 4

struct span {
	const char *s; /* NULL: absent */
	size_t len;
};

struct parts {
	struct span scheme, user, password, hosts, path, query;
	bool storage; /* '+' in the query is a plus */
};

static void *
must(void *p)
{
	if (p == NULL)
		abort();
	return p;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Undoes %XX, and '+' if plus; malloc'ed, or NULL for a bad escape or a NUL. */
static char *
decode(struct span in, bool plus)
{
	char *out = must(malloc(in.len + 1)), *p = out;

	for (size_t i = 0; i < in.len; i++) {
		char c = in.s[i];

		if (c == '%') {
			int hi = i + 2 < in.len ? hex_digit(in.s[i + 1]) : -1;
			int lo = i + 2 < in.len ? hex_digit(in.s[i + 2]) : -1;

			if (hi < 0 || lo < 0 || (hi | lo) == 0) {
				free(out);
				return NULL;
			}
			c = (char)(hi << 4 | lo);
			i += 2;
		} else if (c == '+' && plus) {
			c = ' ';
		}
		*p++ = c;
	}
	*p = '\0';
	return out;
}

static bool
span_is(struct span a, const char *lower)
{
	return a.len == strlen(lower) && strncasecmp(a.s, lower, a.len) == 0;
}

static bool
is_storage(struct span scheme)
{
	static const char *const names[] = { "file", "s3", "gcs", "gs", "azblob", "azure", "noop" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (span_is(scheme, names[i]))
			return true;
	return false;
}

/* One element of the host list: NULL if it is fine, else what is wrong. */
static const char *
check_host(struct span h)
{
	const char *port = NULL, *end = h.s + h.len;

	for (size_t i = 0; i < h.len; i++)
		if ((unsigned char)h.s[i] <= ' ' || h.s[i] == 0x7f || strchr("\"<>\\^`{|}", h.s[i]) != NULL)
			return "a character in the host is not allowed";
	if (h.len > 0 && h.s[0] == '[') {
		const char *close = memchr(h.s, ']', h.len);

		if (close == NULL)
			return "']' is missing behind an IPv6 address";
		if (close + 1 < end && close[1] != ':')
			return "only a port may follow ']'";
		port = close + 1 < end ? close + 2 : NULL;
	} else {
		const char *colon = memchr(h.s, ':', h.len);

		if (colon != NULL && memchr(colon + 1, ':', (size_t)(end - colon - 1)) != NULL)
			return "an IPv6 address must be put in brackets";
		port = colon != NULL ? colon + 1 : NULL;
	}
	if (port != NULL) {
		uint32_t n = 0;

		if (end - port > 5)
			return "the port is out of range";
		for (const char *p = port; p < end; p++) {
			if (!isdigit((unsigned char)*p))
				return "the port is not a number";
			n = n * 10 + (uint32_t)(*p - '0');
		}
		if (n > 65535)
			return "the port is out of range";
	}
	return NULL;
}

/* Cuts text into spans of it; what is wrong, or NULL. */
static const char *
split(const char *text, struct parts *p)
{
	const char *s = text, *end = text + strlen(text), *authority_end, *at;

	memset(p, 0, sizeof(*p));
	if (*s == '\0')
		return "it is empty";
	if (!isalpha((unsigned char)*s))
		return "the scheme is missing";
	while (isalnum((unsigned char)*s) || *s == '+' || *s == '-' || *s == '.')
		s++;
	if (*s != ':')
		return "the scheme is missing";
	p->scheme = (struct span){ text, (size_t)(s - text) };
	p->storage = is_storage(p->scheme);
	s++;
	p->hosts = p->path = (struct span){ s, 0 };
	if (*s == '\0')
		return NULL; /* "blackhole:", as Go prints "blackhole://" */
	if (strncmp(s, "//", 2) != 0)
		return "'//' is missing behind the scheme";
	s += 2;
	if (memchr(s, '#', (size_t)(end - s)) != NULL)
		return "a raw '#' must be written as %23";
	authority_end = s + strcspn(s, "/?");
	at = memrchr(s, '@', (size_t)(authority_end - s));
	if (at != NULL) {
		const char *colon = memchr(s, ':', (size_t)(at - s));

		p->user = (struct span){ s, (size_t)((colon != NULL ? colon : at) - s) };
		if (colon != NULL)
			p->password = (struct span){ colon + 1, (size_t)(at - colon - 1) };
		s = at + 1;
	} else if (!p->storage && memchr(authority_end, '@', strcspn(authority_end, "=")) != NULL) {
		/* "//root:12/34@host/": it would be taken for port 12, and the password shown as a path. */
		return "'/' and '?' in user or password must be written as %2F and %3F";
	}
	p->hosts = (struct span){ s, (size_t)(authority_end - s) };
	for (const char *h = s;;) {
		const char *comma = memchr(h, ',', (size_t)(authority_end - h));
		const char *why = check_host((struct span){ h, (size_t)((comma != NULL ? comma : authority_end) - h) });

		if (why != NULL)
			return why;
		if (comma == NULL)
			break;
		h = comma + 1;
	}
	s = authority_end;
	p->path = (struct span){ s, strcspn(s, "?") };
	s += p->path.len;
	if (*s == '?') {
		p->query = (struct span){ s + 1, (size_t)(end - s - 1) };
		if (memchr(p->query.s, ';', p->query.len) != NULL)
			return "a raw ';' must be written as %3B";
	}
	return NULL;
}

/* The next "key=value" of *query; value.s is NULL without '='.  False at the end. */
static bool
next_pair(struct span *query, struct span *key, struct span *value)
{
	const char *amp, *eq;
	struct span pair;

	for (;;) {
		if (query->s == NULL || query->len == 0)
			return false;
		amp = memchr(query->s, '&', query->len);
		pair = (struct span){ query->s, amp != NULL ? (size_t)(amp - query->s) : query->len };
		query->s += pair.len + (amp != NULL);
		query->len -= pair.len + (amp != NULL);
		if (pair.len > 0)
			break;
	}
	eq = memchr(pair.s, '=', pair.len);
	*key = (struct span){ pair.s, eq != NULL ? (size_t)(eq - pair.s) : pair.len };
	*value = eq != NULL ? (struct span){ eq + 1, pair.len - key->len - 1 } : (struct span){ NULL, 0 };
	return true;
}

/* Decodes the parts into u; what is wrong, or NULL. */
static const char *
fill(struct ml_uri *u, const struct parts *p)
{
	struct span query = p->query, key, value;

	u->scheme = must(strndup(p->scheme.s, p->scheme.len));
	for (char *c = u->scheme; *c != '\0'; c++)
		*c = (char)tolower((unsigned char)*c);
	u->hosts = must(strndup(p->hosts.s, p->hosts.len));
	if (p->user.s != NULL && (u->user = decode(p->user, false)) == NULL)
		return "bad escape in the user";
	if (p->password.s != NULL && (u->password = decode(p->password, false)) == NULL)
		return "bad escape in the password";
	if ((u->path = decode(p->path, false)) == NULL)
		return "bad escape in the path";
	while (next_pair(&query, &key, &value)) {
		char *k = decode(key, !p->storage), *v;

		if (value.s == NULL)
			value = (struct span){ "", 0 };
		v = decode(value, !p->storage);
		if (k == NULL || v == NULL || ml_uri_get(u, k) != NULL) {
			bool bad = k == NULL || v == NULL;

			free(k);
			free(v);
			if (bad)
				return "bad escape in the query";
			continue;
		}
		u->params = must(reallocarray(u->params, u->n_params + 1, sizeof(*u->params)));
		u->params[u->n_params++] = (struct ml_uri_param){ .key = k, .value = v };
	}
	return NULL;
}

int
ml_uri_parse(struct ml_uri **out, const char *text, struct ml_err *err)
{
	struct ml_uri *u = must(calloc(1, sizeof(*u)));
	struct parts p;
	const char *why = split(text, &p);

	if (why == NULL)
		why = fill(u, &p);
	if (why == NULL) {
		*out = u;
		return 0;
	}
	ml_uri_free(u);
	/* The text itself is not shown: what cannot be parsed cannot be masked. */
	return ML_ERR(err, ErrSinkURIInvalid, 0, why);
}

void
ml_uri_free(struct ml_uri *u)
{
	if (u == NULL)
		return;
	for (size_t i = 0; i < u->n_params; i++) {
		free(u->params[i].key);
		free(u->params[i].value);
	}
	free(u->params);
	free(u->scheme);
	free(u->user);
	free(u->password);
	free(u->hosts);
	free(u->path);
	free(u);
}

const char *
ml_uri_get(const struct ml_uri *u, const char *key)
{
	for (size_t i = 0; i < u->n_params; i++)
		if (strcmp(u->params[i].key, key) == 0)
			return u->params[i].value;
	return NULL;
}

/* The value is not in the text: it may be a secret that went to the wrong key. */
static int
wrong_type(enum ml_code code, const char *key, const char *type, struct ml_err *err)
{
	const char *head = code == ML_ErrMySQLInvalidConfig         ? "MySQL config invalid: "
			   : code == ML_ErrKafkaInvalidConfig       ? "kafka config invalid: "
			   : code == ML_ErrStorageSinkInvalidConfig ? "storage sink config invalid: "
								    : "";

	return ml_err_set(err, code, 0, "%sthe value of %s is not %s", head, key, type);
}

int
ml_uri_bool(const struct ml_uri *u, const char *key, bool *v, enum ml_code code, struct ml_err *err)
{
	static const char *const yes[] = { "1", "t", "T", "TRUE", "true", "True" };
	static const char *const no[] = { "", "0", "f", "F", "FALSE", "false", "False" };
	const char *s = ml_uri_get(u, key);

	if (s == NULL)
		return 0;
	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
		if (strcmp(s, yes[i]) == 0) {
			*v = true;
			return 1;
		}
	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
		if (strcmp(s, no[i]) == 0) {
			*v = false;
			return 1;
		}
	return wrong_type(code, key, "a bool (true or false)", err);
}

int
ml_uri_int(const struct ml_uri *u, const char *key, int64_t *v, enum ml_code code, struct ml_err *err)
{
	const char *s = ml_uri_get(u, key), *p;
	int64_t n = 0;
	bool minus;

	if (s == NULL)
		return 0;
	minus = *s == '-';
	p = s + (*s == '-' || *s == '+');
	if (*s != '\0' && *p == '\0')
		return wrong_type(code, key, "an integer", err);
	for (; *p != '\0'; p++)
		if (!isdigit((unsigned char)*p) || __builtin_mul_overflow(n, 10, &n) ||
			(minus ? __builtin_sub_overflow(n, *p - '0', &n) : __builtin_add_overflow(n, *p - '0', &n)))
			return wrong_type(code, key, "an integer", err);
	*v = n;
	return 1;
}

/* Nanoseconds of the unit at *s, which is moved behind it; 0: none. */
static int64_t
unit_ns(const char **s)
{
	static const struct {
		const char *name;
		int64_t ns;
	} units[] = {
		/* The longer of two that begin alike comes first.  Micro: the sign U+00B5 and the letter U+03BC. */
		{ "ns", 1 },
		{ "us", 1000 },
		{ "\xc2\xb5s", 1000 },
		{ "\xce\xbcs", 1000 },
		{ "ms", 1000000 },
		{ "s", 1000000000 },
		{ "m", 60000000000 },
		{ "h", 3600000000000 },
	};

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (strncmp(*s, units[i].name, strlen(units[i].name)) == 0) {
			*s += strlen(units[i].name);
			return units[i].ns;
		}
	return 0;
}

int
ml_parse_duration_ns(const char *s, int64_t *ns)
{
	bool minus = *s == '-';
	int64_t sum = 0;

	if (*s == '-' || *s == '+')
		s++;
	if (strcmp(s, "0") == 0) {
		*ns = 0;
		return 0;
	}
	if (*s == '\0')
		return -1;
	while (*s != '\0') {
		int64_t whole = 0, unit;
		double part = 0, scale = 1;
		bool digits = false;

		for (; isdigit((unsigned char)*s); s++, digits = true)
			if (__builtin_mul_overflow(whole, 10, &whole) ||
				__builtin_add_overflow(whole, *s - '0', &whole))
				return -1;
		if (*s == '.')
			for (s++; isdigit((unsigned char)*s); s++, digits = true)
				part += (*s - '0') * (scale /= 10);
		if (!digits || (unit = unit_ns(&s)) == 0)
			return -1;
		if (__builtin_mul_overflow(whole, unit, &whole) || __builtin_add_overflow(sum, whole, &sum) ||
			__builtin_add_overflow(sum, (int64_t)(part * (double)unit + 0.5), &sum))
			return -1;
	}
	*ns = minus ? -sum : sum;
	return 0;
}

int
ml_uri_duration_ms(const struct ml_uri *u, const char *key, int64_t *v, enum ml_code code, struct ml_err *err)
{
	const char *s = ml_uri_get(u, key);
	int64_t ns;

	/* sinks.md 1.3: an empty duration is refused for MySQL and means "not given" elsewhere. */
	if (s == NULL || (*s == '\0' && code != ML_ErrMySQLInvalidConfig))
		return 0;
	if (ml_parse_duration_ns(s, &ns) != 0)
		return wrong_type(code, key, "a duration (such as 10s or 500ms)", err);
	*v = ns / 1000000;
	return 1;
}

int
ml_uri_host_port(const char *host_port, char *host, size_t host_size, uint16_t *port, uint16_t default_port)
{
	struct span all = { host_port, strlen(host_port) }, name;
	const char *p;

	if (memchr(host_port, ',', all.len) != NULL || check_host(all) != NULL)
		return -1;
	if (*host_port == '[') {
		p = strchr(host_port, ']');
		name = (struct span){ host_port + 1, (size_t)(p - host_port - 1) };
		p++;
	} else {
		name = (struct span){ host_port, strcspn(host_port, ":") };
		p = host_port + name.len;
	}
	if (name.len == 0 || name.len >= host_size)
		return -1;
	memcpy(host, name.s, name.len);
	host[name.len] = '\0';
	*port = default_port;
	if (p[0] == ':' && p[1] != '\0') {
		long n = strtol(p + 1, NULL, 10);

		if (n == 0)
			return -1;
		*port = (uint16_t)n;
	}
	return 0;
}

/* The strong rule of sinks.md 1.12. */
static bool
is_secret(const char *key)
{
	static const char *const words[] = {
		"password",
		"passwd",
		"pwd",
		"access",
		"token",
		"secret",
		"key",
		"signature",
		"credential",
		"private",
		"client",
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcasestr(key, words[i]) != NULL)
			return true;
	return false;
}

static void
put_span(struct ml_buf *b, struct span s)
{
	ml_buf_put(b, s.s, s.len);
}

static bool readable(const char *text, struct parts *p);
static char *rewrite(const struct parts *p, const struct parts *stored, int depth);

/*
 * Appends what a reader sees instead of this raw value: MASK, or a URI with its own secrets masked (a schema registry's, a
 * claim-check storage's), or the value itself.
 */
static void
put_masked_value(struct ml_buf *b, const char *key, struct span value, bool storage, int depth)
{
	char *text, *masked;
	struct parts p;

	if (is_secret(key) || depth > MASK_DEPTH) {
		ml_buf_puts(b, MASK);
		return;
	}
	text = decode(value, !storage);
	if (strstr(text, "://") == NULL) {
		put_span(b, value);
		free(text);
		return;
	}
	masked = readable(text, &p) ? rewrite(&p, NULL, depth + 1) : must(strdup(""));
	if (strcmp(masked, text) == 0)
		put_span(b, value);
	else
		for (const char *c = masked; *c != '\0'; c++)
			if (isalnum((unsigned char)*c) || strchr("-._~:/", *c) != NULL)
				ml_buf_putc(b, *c);
			else
				ml_buf_printf(b, "%%%02X", (unsigned char)*c);
	free(masked);
	free(text);
}

/* The stored raw value under a decoded key. */
static bool
stored_value(const struct parts *stored, const char *key, struct span *value)
{
	struct span query = stored->query, k;

	while (next_pair(&query, &k, value)) {
		char *name = decode(k, !stored->storage);
		bool same = strcmp(name, key) == 0;

		free(name);
		if (same)
			return value->s != NULL;
	}
	return false;
}

/* Rebuilds a URI with masked secrets (stored NULL), or with masked values replaced by the stored ones. */
static char *
rewrite(const struct parts *p, const struct parts *stored, int depth)
{
	struct ml_buf b = { 0 }, seen = { 0 };
	struct span query = p->query, key, value, old;
	const char *end = p->path.s + p->path.len, *from = p->scheme.s;

	if (p->password.s != NULL) {
		ml_buf_put(&b, from, (size_t)(p->password.s - from));
		if (stored == NULL)
			ml_buf_puts(&b, MASK);
		else if (span_is(p->password, MASK) && stored->password.s != NULL)
			put_span(&b, stored->password);
		else
			put_span(&b, p->password);
		from = p->password.s + p->password.len;
	}
	ml_buf_put(&b, from, (size_t)(end - from));
	if (p->query.s != NULL) {
		from = end;
		while (next_pair(&query, &key, &value)) {
			char *name = decode(key, !p->storage);

			if (value.s != NULL) {
				ml_buf_put(&b, from, (size_t)(value.s - from));
				from = value.s + value.len;
				if (stored == NULL) {
					put_masked_value(&b, name, value, p->storage, depth);
				} else if (stored_value(stored, name, &old)) {
					ml_buf_clear(&seen);
					put_masked_value(&seen, name, old, stored->storage, depth);
					if (seen.len == value.len &&
						(value.len == 0 || memcmp(seen.data, value.s, value.len) == 0))
						put_span(&b, old);
					else
						put_span(&b, value);
				} else {
					put_span(&b, value);
				}
			}
			free(name);
		}
		ml_buf_puts(&b, from);
	}
	ml_buf_fini(&seen);
	return b.data;
}

/* Splits and checks that everything decodes. */
static bool
readable(const char *text, struct parts *p)
{
	struct ml_uri *u;

	if (text == NULL || ml_uri_parse(&u, text, NULL) != 0)
		return false;
	ml_uri_free(u);
	split(text, p);
	return true;
}

char *
ml_uri_mask(const char *text, enum ml_mask how)
{
	struct parts p;

	(void)how; /* both forms keep the rest byte for byte */
	return readable(text, &p) ? rewrite(&p, NULL, 0) : must(strdup(""));
}

char *
ml_uri_unmask(const char *given, const char *stored)
{
	struct parts p, old;

	if (!readable(given, &p) || !readable(stored, &old))
		return must(strdup(given));
	return rewrite(&p, &old, 0);
}
