#include "api-gateway/api/auth.h"

#include <stdlib.h>
#include <string.h>

#include "api-gateway/api/ident.h"
#include "api-gateway/coord/probe.h"
#include "api-gateway/http/basic.h"
#include "api-gateway/http/reply.h"
#include "common/run/log.h"

struct login {
	struct ml_http_req *r;
	const struct ml_http_route *route;
	struct ml_api *api;
	char user[ML_BASIC_MAX];
};

static void
refuse(struct ml_http_req *r, const char *user, const char *why)
{
	struct ml_err err;

	ML_ERR(&err, ErrUnauthorized, 0, user, why);
	ml_reply_error(r, &err);
}

static void
on_probe(const Ml__ProbeResult *res, const struct ml_err *err, void *arg)
{
	struct login *l = arg;

	/*
	 * Only a failed connection speaks against the user: whoever was let in and merely lacks a privilege of replication, or meets a
	 * setting that replication needs, has given the right password.
	 */
	if (res == NULL)
		refuse(l->r, l->user, err->text);
	else if (ml_code_by_name(res->code) == ML_ErrUpstreamUnavailable ||
		 ml_code_by_name(res->code) == ML_ErrUpstreamURIInvalid)
		refuse(l->r, l->user, res->text);
	else
		l->route->handle(l->r, l->api);
	free(l);
}

/* The default upstream's URI with another user. */
static char *
uri_of(const char *uri, const char *user)
{
	const char *host = strstr(uri, "://"), *at = NULL;
	struct ml_buf b = { 0 };

	host = host != NULL ? host + 3 : uri;
	for (const char *p = host; *p != '\0' && *p != '/' && *p != '?'; p++)
		if (*p == '@')
			at = p;
	ml_buf_put(&b, uri, (size_t)(host - uri));
	for (const char *p = user; *p != '\0'; p++)
		ml_buf_printf(&b, "%%%02X", (unsigned char)*p);
	ml_buf_putc(&b, '@');
	ml_buf_puts(&b, at != NULL ? at + 1 : host);
	return b.data;
}

static void
log_in(struct ml_http_req *r, const struct ml_http_route *route, struct ml_api *api, const struct ml_basic *b)
{
	struct login *l = calloc(1, sizeof(*l));
	Ml__ChangefeedSpec spec = ML__CHANGEFEED_SPEC__INIT;
	Ml__Upstream up = *api->config->upstream;
	/* No table has this name: nothing is to be looked at but the door. */
	char *rules[] = { (char *)(uintptr_t) "millrace-login.none" };
	char id[ML_UUID_SIZE];

	if (l == NULL)
		abort();
	l->r = r;
	l->route = route;
	l->api = api;
	memcpy(l->user, b->user, sizeof(l->user));
	ml_uuid4(id);
	up.uri = uri_of(up.uri, b->user);
	up.password = (char *)(uintptr_t)b->password;
	spec.namespace_ = (char *)(uintptr_t) "default";
	spec.id = id;
	spec.sink_uri = (char *)(uintptr_t) "blackhole://";
	spec.upstream = &up;
	spec.filter_rules = rules;
	spec.n_filter_rules = 1;
	ml_probe_start(api->coord, &spec, false, on_probe, l);
	free(up.uri);
}

void
ml_auth(struct ml_http_req *r, const struct ml_http_route *route, struct ml_api *api)
{
	const Ml__ServerConfig *c = api->config;
	struct ml_basic b;
	struct ml_err err;
	bool known = false;

	if (!ml_basic_parse(&b, ml_http_header(r, "Authorization"))) {
		ML_ERR(&err, ErrCredentialNotFound, 0, "please specify the user and password via authorization header");
		ml_reply_error(r, &err);
		return;
	}
	for (size_t i = 0; i < c->n_client_allowed_user; i++)
		known = known || strcmp(c->client_allowed_user[i], b.user) == 0;
	if (b.user[0] == '\0')
		refuse(r, "", "Empty username is not allowed.");
	else if (!known)
		refuse(r, b.user, "The user is not allowed.");
	else if (c->upstream == NULL)
		refuse(r, b.user, "the server has no upstream that could check the password");
	else
		log_in(r, route, api, &b);
	explicit_bzero(&b, sizeof(b));
}
