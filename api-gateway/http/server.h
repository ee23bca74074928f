/*
 * server.h - HTTP/1.1 over evhttp on a listening socket that the supervisor owns: limits, routing, one reply per request.
 * Knows no route and no changefeed: the table of routes and a gate come from its user.
 *
 * A handler gets a request and owes it exactly one reply, at once or later in the loop's thread.  A client that has gone away
 * is not told to the handler: the reply then goes nowhere, and the request is freed all the same.
 */
#ifndef ML_API_GATEWAY_HTTP_SERVER_H
#define ML_API_GATEWAY_HTTP_SERVER_H
#include <stdbool.h>
#include <stddef.h>

#include "api-gateway/http/route.h"
#include "api-gateway/http/tls.h"
#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/run/loop.h"

/* openapi.md 1.1: further connections wait in the listen queue. */
#define ML_HTTP_MAX_CONNS 1000
/* Of reading a request, of writing a reply, and between requests of a connection. */
#define ML_HTTP_TIMEOUT_S 600
/* Request line and headers; Go's default is 1 MiB, no client of ours comes near a hundredth of that. */
#define ML_HTTP_MAX_HEADERS_BYTES (64u << 10)
/* A changefeed with a thousand filter rules takes some 100 KiB; it must also fit one channel message (ML_CHAN_MAX). */
#define ML_HTTP_MAX_BODY_BYTES (1u << 20)

struct ml_http;
struct ml_http_hooks {
	const struct ml_http_route *routes;
	size_t n_routes;
	/* Before the handler of a matched route: true to go on; false if it has replied, or will, or will call the handler.  NULL: none. */
	bool (*gate)(struct ml_http_req *r, const struct ml_http_route *route, void *arg);
	void *arg; /* of gate and handlers */
};

/* Takes over listen_fd.  tls: NULL = plain HTTP; borrowed, outlives the server.  ErrListen. */
struct ml_http *ml_http_new(
	struct ml_loop *l, int listen_fd, const struct ml_http_hooks *hooks, struct ml_tls *tls, struct ml_err *err);
/* Closes all connections; requests without a reply are dropped.  NULL is fine. */
void ml_http_free(struct ml_http *h);

const char *ml_http_param(const struct ml_http_req *r, size_t i); /* decoded path parameter; "" if there is none */
/* First value of a query parameter, decoded; NULL if absent.  Lives as long as r. */
const char *ml_http_query(struct ml_http_req *r, const char *key);
const char *ml_http_header(const struct ml_http_req *r, const char *name); /* NULL if absent */
const char *ml_http_body(const struct ml_http_req *r, size_t *len);        /* never NULL */
const char *ml_http_path(const struct ml_http_req *r);
void ml_http_set_header(struct ml_http_req *r, const char *name, const char *value);
/* Sends the reply and frees r.  type: NULL = no Content-Type.  body: NULL = empty; stays the caller's. */
void ml_http_reply(struct ml_http_req *r, int status, const char *type, const struct ml_buf *body);
#endif
