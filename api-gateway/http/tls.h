/*
 * tls.h - server side of TLS for the HTTP port (openapi.md 8.1): TLS 1.2 or newer, files read again when they change, client
 * certificates and their names checked if asked for.
 */
#ifndef ML_API_GATEWAY_HTTP_TLS_H
#define ML_API_GATEWAY_HTTP_TLS_H
#include <stdbool.h>
#include <stddef.h>

#include "common/base/err.h"

struct ml_tls_config {
	const char *ca, *cert, *key; /* PEM files */
	bool client_cert;            /* require a client certificate signed by ca */
	/* Non-empty: requires one, and a certificate of its chain must have a subject CN of this list, or that of our own. */
	char *const *allowed_cn;
	size_t n_allowed_cn;
};

struct ml_tls;
struct ssl_st;

/* Reads the files; config and its texts are borrowed and outlive the result.  ErrToTLSConfigFailed. */
int ml_tls_new(struct ml_tls **out, const struct ml_tls_config *config, struct ml_err *err);
void ml_tls_free(struct ml_tls *t); /* connections keep what they use; NULL is fine */
/*
 * A server-side session for one new connection, the caller's.  Files that changed since the last one are read first; if they
 * cannot be used, the old ones stay in use and the log says so.  Never NULL.
 */
struct ssl_st *ml_tls_session(struct ml_tls *t);
#endif
