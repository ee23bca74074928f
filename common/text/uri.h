/* uri.h - sink and upstream URIs (sinks.md 1): parts decoded, typed query values, masking of secrets. */
#ifndef ML_COMMON_TEXT_URI_H
#define ML_COMMON_TEXT_URI_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"

struct ml_uri_param {
	char *key, *value; /* decoded */
};

struct ml_uri {
	char *scheme;                /* lower case */
	char *user, *password;       /* decoded; NULL if absent */
	char *hosts;                 /* "h1:9092,h2:9092" as given, "" if absent */
	char *path;                  /* decoded, with its leading '/'; "" if absent */
	struct ml_uri_param *params; /* first of a key wins; later ones are dropped */
	size_t n_params;
};

/*
 * Parses text; ErrSinkURIInvalid for what sinks.md 1.1 and 1.2 refuse (bad escape, raw ';' in the query, unbracketed IPv6 with
 * a port, no scheme).  Storage schemes: a raw '+' stays '+'.  Embedded NULs are refused.
 */
int ml_uri_parse(struct ml_uri **out, const char *text, struct ml_err *err);
void ml_uri_free(struct ml_uri *u);
const char *ml_uri_get(const struct ml_uri *u, const char *key); /* NULL if absent */

/* Typed values by sinks.md 1.3: 1 = present and set in *v, 0 = absent (*v untouched), -1 = wrong type (err: code, naming the key). */
int ml_uri_bool(const struct ml_uri *u, const char *key, bool *v, enum ml_code code, struct ml_err *err);
int ml_uri_int(const struct ml_uri *u, const char *key, int64_t *v, enum ml_code code, struct ml_err *err);
int ml_uri_duration_ms(const struct ml_uri *u, const char *key, int64_t *v, enum ml_code code, struct ml_err *err);
/* Go's duration text ("1h30m", "500ms", "0") to nanoseconds; 0 or -1. */
int ml_parse_duration_ns(const char *s, int64_t *ns);

/* host and port of one element of hosts ("[::1]:9092" too); port: default_port if absent.  0 or -1. */
int ml_uri_host_port(const char *host_port, char *host, size_t host_size, uint16_t *port, uint16_t default_port);

enum ml_mask {
	ML_MASK_STRONG, /* sinks.md 1.12 strong rule: logs and errors */
	ML_MASK_API,    /* the same rule, with the rest of the text unchanged byte for byte, for API answers */
};
/* A malloc'ed copy of text with its secrets as "xxxxx"; "" if it cannot be parsed; never NULL. */
char *ml_uri_mask(const char *text, enum ml_mask how);
/* An update with masked values ("xxxxx") keeps the stored secrets: malloc'ed uri to store. */
char *ml_uri_unmask(const char *given, const char *stored);
#endif
