/*
 * auth.h - user authentication of openapi.md 8.2: HTTP Basic credentials, a list of names, and the upstream database's own opinion of
 * name and password.
 */
#ifndef ML_API_GATEWAY_API_AUTH_H
#define ML_API_GATEWAY_API_AUTH_H
#include "api-gateway/api/api.h"

/*
 * Checks r, then calls route's handler with arg api, or answers 401.  The log-in at the upstream is a probe's, so the handler usually runs
 * later.
 */
void ml_auth(struct ml_http_req *r, const struct ml_http_route *route, struct ml_api *api);
#endif
