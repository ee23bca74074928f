/*
 * route.h - from method and target to a handler, with the matching rules of openapi.md 1.2: the path is percent-decoded before it is
 * matched (so %2F splits a segment), segments are case-sensitive and never empty, one trailing slash on a known path redirects.
 * Pure: knows no connection.
 */
#ifndef ML_API_GATEWAY_HTTP_ROUTE_H
#define ML_API_GATEWAY_HTTP_ROUTE_H
#include <stddef.h>

struct ml_http_req;

enum ml_http_method {
	ML_HTTP_GET = 1 << 0,
	ML_HTTP_POST = 1 << 1,
	ML_HTTP_PUT = 1 << 2,
	ML_HTTP_DELETE = 1 << 3,
	ML_HTTP_HEAD = 1 << 4,
	ML_HTTP_OPTIONS = 1 << 5,
	ML_HTTP_PATCH = 1 << 6,
	ML_HTTP_OTHER = 1 << 7,
	ML_HTTP_ANY = 0xff,
};

struct ml_http_route {
	unsigned methods; /* of ml_http_method */
	const char *path; /* "/api/v1/changefeeds/:id/pause": a segment that begins with ':' takes any text */
	unsigned flags;   /* for the gate of the server's user */
	void (*handle)(struct ml_http_req *r, void *arg);
};

#define ML_HTTP_MAX_PARAMS 4
struct ml_http_match {
	const struct ml_http_route *route;      /* NULL: 404 */
	int redirect;                           /* 301 or 307: the path has one slash too many; route is set */
	const char *params[ML_HTTP_MAX_PARAMS]; /* point into the path, which is cut up */
	size_t n_params;
};

/*
 * Finds the route for a decoded path.  path is written to: segments get their NUL.  A redirect leaves path as it was.
 */
void ml_http_route(const struct ml_http_route *routes, size_t n, unsigned method, char *path, struct ml_http_match *m);
/*
 * Splits a request target ("/p?q", or absolute "http://host/p?q") into decoded path and raw query, both malloc'ed.  -1 if an escape
 * is malformed or a NUL is encoded: such a target matches nothing.
 */
int ml_http_split(const char *target, char **path, char **query);
/* First value of key in a raw query, decoded and malloc'ed; NULL if the key is absent. */
char *ml_http_query_get(const char *query, const char *key);
/* The path percent-encoded again, as Go's URL printer does; malloc'ed. */
char *ml_http_path_escape(const char *path);
#endif
