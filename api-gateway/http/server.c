#include "api-gateway/http/server.h"

#include <dirent.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/http_struct.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "api-gateway/http/basic.h"
#include "common/base/list.h"
#include "common/run/log.h"

#define NOT_FOUND_BODY "404 page not found"
/* Between looks at the number of connections while no more are accepted. */
#define RESUME_MS 50

struct ml_http {
	struct ml_http *next; /* of servers */
	struct evhttp *ev;
	struct evconnlistener *listener;
	struct ml_http_hooks hooks;
	struct ml_tls *tls;  /* NULL: plain */
	struct ml_list reqs; /* those without a reply */
	unsigned
		conns_bound; /* never below the number of open connections: those of the last count, and all accepted since */
	struct ml_timer *resume;
};

/* All of this process (one, but for tests): evhttp does not let a listener carry our pointer. */
static struct ml_http *servers;

struct ml_http_req {
	struct ml_list link;
	struct ml_http *h;
	struct evhttp_request *ev;
	unsigned method;
	char *target; /* as it came, for the log */
	char *path;   /* decoded, cut up by the match */
	char *query;
	struct ml_http_match match;
	char *values[4]; /* decoded query values that were asked for */
	size_t n_values;
	uint64_t start_ms;
};

static const struct {
	enum evhttp_cmd_type type;
	unsigned method;
	const char *name;
} methods[] = {
	{ EVHTTP_REQ_GET, ML_HTTP_GET, "GET" },
	{ EVHTTP_REQ_POST, ML_HTTP_POST, "POST" },
	{ EVHTTP_REQ_PUT, ML_HTTP_PUT, "PUT" },
	{ EVHTTP_REQ_DELETE, ML_HTTP_DELETE, "DELETE" },
	{ EVHTTP_REQ_HEAD, ML_HTTP_HEAD, "HEAD" },
	{ EVHTTP_REQ_OPTIONS, ML_HTTP_OPTIONS, "OPTIONS" },
	{ EVHTTP_REQ_PATCH, ML_HTTP_PATCH, "PATCH" },
	{ EVHTTP_REQ_TRACE, ML_HTTP_OTHER, "TRACE" },
	{ EVHTTP_REQ_CONNECT, ML_HTTP_OTHER, "CONNECT" },
};
#define N_METHODS (sizeof(methods) / sizeof(methods[0]))

static const char *
method_name(unsigned method)
{
	for (size_t i = 0; i < N_METHODS; i++)
		if (methods[i].method == method)
			return methods[i].name;
	return "?";
}

static void
req_free(struct ml_http_req *r)
{
	ml_list_remove(&r->link);
	for (size_t i = 0; i < r->n_values; i++)
		free(r->values[i]);
	free(r->target);
	free(r->path);
	free(r->query);
	free(r);
}

/* The target with the value of every query parameter that may be a secret as xxxxx. */
static void
masked_target(const char *target, struct ml_buf *out)
{
	static const char *const secret[] = { "pass", "secret", "token", "key", "uri" };
	size_t n = strcspn(target, "?");

	ml_buf_put(out, target, n);
	for (const char *p = target + n; *p != '\0';) {
		size_t len = 1 + strcspn(p + 1, "&"), eq = 0;
		char key[64];
		bool hide = false;

		while (eq < len && p[eq] != '=')
			eq++;
		snprintf(key, sizeof(key), "%.*s", (int)eq, p);
		for (size_t i = 0; i < sizeof(secret) / sizeof(secret[0]); i++)
			hide = hide || strcasestr(key, secret[i]) != NULL;
		ml_buf_put(out, p, hide ? eq : len);
		if (hide)
			ml_buf_puts(out, "=xxxxx");
		p += len;
	}
}

static void
log_request(const struct ml_http_req *r, int status)
{
	struct evhttp_connection *conn = evhttp_request_get_connection(r->ev);
	const char *agent = ml_http_header(r, "User-Agent"), *version = ml_http_header(r, "X-client-version");
	struct ml_buf target = { 0 };
	char *peer = NULL;
	struct ml_basic basic;
	ev_uint16_t port = 0;

	if (ml_log_level > ML_INFO)
		return;
	if (conn != NULL)
		evhttp_connection_get_peer(conn, &peer, &port);
	ml_basic_parse(&basic, ml_http_header(r, "Authorization"));
	masked_target(r->target, &target);
	ml_info("-",
		"request method=%s target=%.300s client=%s:%u agent=\"%.100s\" client_version=\"%.40s\" user=\"%s\" status=%d "
		"duration_ms=%llu",
		method_name(r->method), target.data, peer != NULL ? peer : "gone", port, agent != NULL ? agent : "",
		version != NULL ? version : "", basic.user, status, (unsigned long long)(ml_now_ms() - r->start_ms));
	ml_buf_fini(&target);
	explicit_bzero(&basic, sizeof(basic));
}

void
ml_http_reply(struct ml_http_req *r, int status, const char *type, const struct ml_buf *body)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(r->ev);
	size_t len = body != NULL ? body->len : 0;

	log_request(r, status);
	if (type != NULL)
		evhttp_add_header(headers, "Content-Type", type);
	if (r->method == ML_HTTP_HEAD) {
		/* evhttp would send the body, and no length. */
		char text[24];

		snprintf(text, sizeof(text), "%zu", len);
		evhttp_add_header(headers, "Content-Length", text);
	} else if (len > 0) {
		evbuffer_add(evhttp_request_get_output_buffer(r->ev), body->data, len);
	}
	evhttp_send_reply(r->ev, status, status == 307 ? "Temporary Redirect" : NULL, NULL); /* evhttp knows no 307 */
	req_free(r);
}

void
ml_http_set_header(struct ml_http_req *r, const char *name, const char *value)
{
	evhttp_add_header(evhttp_request_get_output_headers(r->ev), name, value);
}

const char *
ml_http_param(const struct ml_http_req *r, size_t i)
{
	return i < r->match.n_params ? r->match.params[i] : "";
}

const char *
ml_http_query(struct ml_http_req *r, const char *key)
{
	char *v = ml_http_query_get(r->query, key);

	if (v == NULL)
		return NULL;
	if (r->n_values == sizeof(r->values) / sizeof(r->values[0]))
		free(r->values[--r->n_values]);
	return r->values[r->n_values++] = v;
}

const char *
ml_http_header(const struct ml_http_req *r, const char *name)
{
	return evhttp_find_header(evhttp_request_get_input_headers(r->ev), name);
}

const char *
ml_http_body(const struct ml_http_req *r, size_t *len)
{
	struct evbuffer *in = evhttp_request_get_input_buffer(r->ev);
	const char *p = (const char *)evbuffer_pullup(in, -1);

	*len = evbuffer_get_length(in);
	return p != NULL ? p : "";
}

const char *
ml_http_path(const struct ml_http_req *r)
{
	return r->path;
}

static void
not_found(struct ml_http_req *r)
{
	struct ml_buf b = { .data = (char *)(uintptr_t)NOT_FOUND_BODY, .len = sizeof(NOT_FOUND_BODY) - 1 };

	ml_http_reply(r, 404, "text/plain", &b);
}

static void
redirect(struct ml_http_req *r)
{
	char *to;
	struct ml_buf location = { 0 }, body = { 0 };

	r->path[strlen(r->path) - 1] = '\0';
	to = ml_http_path_escape(r->path);
	ml_buf_puts(&location, to);
	free(to);
	if (r->query[0] != '\0')
		ml_buf_printf(&location, "?%s", r->query);
	/* evhttp refuses a header with a line break; the query is raw, so it holds none. */
	ml_http_set_header(r, "Location", location.data);
	if (r->match.redirect == 301) {
		char *html = evhttp_htmlescape(location.data);

		ml_buf_printf(&body, "<a href=\"%s\">Moved Permanently</a>.\n\n", html != NULL ? html : "");
		free(html);
		ml_http_reply(r, 301, "text/html; charset=utf-8", &body);
	} else {
		ml_http_reply(r, 307, NULL, NULL);
	}
	ml_buf_fini(&location);
	ml_buf_fini(&body);
}

static void
on_request(struct evhttp_request *ev, void *arg)
{
	struct ml_http *h = arg;
	struct ml_http_req *r = calloc(1, sizeof(*r));

	if (r == NULL)
		abort();
	ml_list_append(&h->reqs, &r->link);
	r->h = h;
	r->ev = ev;
	r->start_ms = ml_now_ms();
	r->method = ML_HTTP_OTHER;
	for (size_t i = 0; i < N_METHODS; i++)
		if (methods[i].type == evhttp_request_get_command(ev))
			r->method = methods[i].method;
	r->target = strdup(evhttp_request_get_uri(ev));
	if (r->target == NULL)
		abort();
	if (ml_http_split(r->target, &r->path, &r->query) < 0) {
		not_found(r);
		return;
	}
	ml_http_route(h->hooks.routes, h->hooks.n_routes, r->method, r->path, &r->match);
	if (r->match.route == NULL)
		not_found(r);
	else if (r->match.redirect != 0)
		redirect(r);
	else if (h->hooks.gate == NULL || h->hooks.gate(r, r->match.route, h->hooks.arg))
		r->match.route->handle(r, h->hooks.arg);
}

/*
 * Open client connections.  evhttp 2.1 does not say when one ends, so they are counted where the truth is: this process has no
 * other TCP connection than those of its clients.
 */
static unsigned
count_conns(void)
{
	DIR *d = opendir("/proc/self/fd");
	struct dirent *e;
	unsigned n = 0;

	if (d == NULL)
		return 0;
	while ((e = readdir(d)) != NULL) {
		struct sockaddr_storage peer;
		socklen_t len = sizeof(peer);

		if (e->d_name[0] >= '0' && e->d_name[0] <= '9' &&
			getpeername(atoi(e->d_name), (struct sockaddr *)&peer, &len) == 0 &&
			(peer.ss_family == AF_INET || peer.ss_family == AF_INET6))
			n++;
	}
	closedir(d);
	return n;
}

/* Stops or resumes accepting by the true count; looks again soon while it is stopped. */
static void
limit_conns(void *arg)
{
	struct ml_http *h = arg;

	h->conns_bound = count_conns();
	if (h->conns_bound >= ML_HTTP_MAX_CONNS) {
		evconnlistener_disable(h->listener);
		ml_timer_arm(h->resume, RESUME_MS);
	} else {
		evconnlistener_enable(h->listener);
	}
}

static struct bufferevent *
on_accept(struct event_base *base, void *arg)
{
	struct ml_http *h = arg;
	struct bufferevent *bev;

	if (++h->conns_bound >= ML_HTTP_MAX_CONNS)
		limit_conns(h);
	if (h->tls == NULL)
		return bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
	bev = bufferevent_openssl_socket_new(
		base, -1, ml_tls_session(h->tls), BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
	if (bev == NULL)
		abort(); /* for NULL evhttp would make a plain one */
	/* Many clients close the socket without TLS's own goodbye. */
	bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
	return bev;
}

/* Out of descriptors, say: trying again at once would spin. */
static void
on_accept_error(struct evconnlistener *listener, void *arg)
{
	(void)arg; /* evhttp's, not ours */
	ml_warn("-", "cannot accept a connection error=\"%s\"", strerror(errno));
	evconnlistener_disable(listener);
	for (struct ml_http *h = servers; h != NULL; h = h->next)
		if (h->listener == listener)
			ml_timer_arm(h->resume, RESUME_MS);
}

struct ml_http *
ml_http_new(struct ml_loop *l, int listen_fd, const struct ml_http_hooks *hooks, struct ml_tls *tls, struct ml_err *err)
{
	struct ml_http *h = calloc(1, sizeof(*h));
	struct evhttp_bound_socket *bound;
	unsigned all = 0;

	if (h == NULL || (h->ev = evhttp_new(ml_loop_base(l))) == NULL)
		abort();
	ml_list_init(&h->reqs);
	h->hooks = *hooks;
	h->tls = tls;
	evutil_make_socket_nonblocking(listen_fd);
	bound = evhttp_accept_socket_with_handle(h->ev, listen_fd);
	if (bound == NULL) {
		evhttp_free(h->ev);
		free(h);
		ML_ERR(err, ErrListen, errno, "the inherited socket", strerror(errno));
		return NULL;
	}
	h->resume = ml_timer_new(l, limit_conns, h);
	h->listener = evhttp_bound_socket_get_listener(bound);
	for (size_t i = 0; i < N_METHODS; i++)
		all |= methods[i].type;
	evhttp_set_allowed_methods(h->ev, (ev_uint16_t)all); /* a method without a route is our 404, not evhttp's 501 */
	evhttp_set_max_headers_size(h->ev, ML_HTTP_MAX_HEADERS_BYTES);
	evhttp_set_max_body_size(h->ev, ML_HTTP_MAX_BODY_BYTES);
	evhttp_set_timeout(h->ev, ML_HTTP_TIMEOUT_S);
	evhttp_set_default_content_type(h->ev, NULL);
	evhttp_set_bevcb(h->ev, on_accept, h);
	evconnlistener_set_error_cb(h->listener, on_accept_error);
	evhttp_set_gencb(h->ev, on_request, h);
	h->next = servers;
	servers = h;
	return h;
}

void
ml_http_free(struct ml_http *h)
{
	if (h == NULL)
		return;
	for (struct ml_http **p = &servers; *p != NULL; p = &(*p)->next) {
		if (*p == h) {
			*p = h->next;
			break;
		}
	}
	while (!ml_list_empty(&h->reqs))
		req_free(ML_CONTAINER(h->reqs.next, struct ml_http_req, link));
	ml_timer_free(h->resume);
	evhttp_free(h->ev);
	free(h);
}
