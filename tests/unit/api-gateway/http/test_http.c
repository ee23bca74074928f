/*
 * test_http.c - routing rules, and the server spoken to over a real socket: bytes in, bytes out.
 *
 * The client side is a blocking socket on a thread of its own, so that the loop runs as it does in the gateway.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <stdio.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "api-gateway/http/basic.h"
#include "api-gateway/http/reply.h"
#include "api-gateway/http/server.h"
#include "common/run/log.h"

static void
echo(struct ml_http_req *r, void *arg)
{
	struct ml_buf b = { 0 };
	const char *state = ml_http_query(r, "state");
	size_t len;
	const char *body = ml_http_body(r, &len);

	(void)arg;
	ml_buf_printf(&b, "id=%s cap=%s state=%s body=%.*s", ml_http_param(r, 0), ml_http_param(r, 1),
		state != NULL ? state : "-", (int)len, body);
	ml_http_reply(r, 200, "text/plain", &b);
	ml_buf_fini(&b);
}

static void
empty(struct ml_http_req *r, void *arg)
{
	(void)arg;
	ml_reply_empty(r, 202);
}

static void
wrong(struct ml_http_req *r, void *arg)
{
	struct ml_err err;

	(void)arg;
	ML_ERR(&err, ErrChangeFeedNotExists, 0, "default", "a<b");
	ml_reply_error(r, &err);
}

static bool
gate(struct ml_http_req *r, const struct ml_http_route *route, void *arg)
{
	(void)arg;
	if (route->flags == 0)
		return true;
	ml_reply_text(r, 503, "shut");
	return false;
}

static const struct ml_http_route routes[] = {
	{ ML_HTTP_GET, "/api/v1/status", 0, empty },
	{ ML_HTTP_GET | ML_HTTP_POST | ML_HTTP_DELETE, "/api/v1/changefeeds", 0, echo },
	{ ML_HTTP_GET, "/api/v1/changefeeds/:id", 0, echo },
	{ ML_HTTP_POST, "/api/v1/changefeeds/:id/pause", 0, empty },
	{ ML_HTTP_GET, "/api/v1/processors/:id/:capture", 0, echo },
	{ ML_HTTP_GET, "/wrong", 0, wrong },
	{ ML_HTTP_GET, "/shut", 1, empty },
};
#define N_ROUTES (sizeof(routes) / sizeof(routes[0]))

static void
matches_decoded_segments(void **state)
{
	static const struct {
		unsigned method;
		const char *target, *route;
		int redirect;
		const char *p0, *p1;
	} rows[] = {
		{ ML_HTTP_GET, "/api/v1/status", "/api/v1/status", 0, NULL, NULL },
		{ ML_HTTP_GET, "http://h:1/api/v1/status?x=1", "/api/v1/status", 0, NULL, NULL },
		{ ML_HTTP_GET, "/api/v1/%73tatus", "/api/v1/status", 0, NULL, NULL },
		{ ML_HTTP_GET, "/api/v1/Status", NULL, 0, NULL, NULL },
		{ ML_HTTP_POST, "/api/v1/status", NULL, 0, NULL, NULL },
		{ ML_HTTP_HEAD, "/api/v1/status", NULL, 0, NULL, NULL },
		{ ML_HTTP_GET, "/api/v1/status/", "/api/v1/status", 301, NULL, NULL },
		{ ML_HTTP_GET, "/api/v1/status//", NULL, 0, NULL, NULL },
		{ ML_HTTP_GET, "//api/v1/status", NULL, 0, NULL, NULL },
		{ ML_HTTP_GET, "/api/v1//status", NULL, 0, NULL, NULL },
		{ ML_HTTP_PUT, "/api/v1/status/", NULL, 0, NULL, NULL },
		{ ML_HTTP_GET, "/api/v1/changefeeds/", "/api/v1/changefeeds", 301, NULL, NULL },
		{ ML_HTTP_POST, "/api/v1/changefeeds/", "/api/v1/changefeeds", 307, NULL, NULL },
		{ ML_HTTP_GET, "/api/v1/changefeeds/a%20b", "/api/v1/changefeeds/:id", 0, "a b", NULL },
		{ ML_HTTP_GET, "/api/v1/changefeeds/a%2Fb", NULL, 0, NULL, NULL },
		{ ML_HTTP_GET, "/api/v1/changefeeds/a+b", "/api/v1/changefeeds/:id", 0, "a+b", NULL },
		{ ML_HTTP_GET, "/api/v1/changefeeds/a%00b", NULL, 0, NULL, NULL },
		{ ML_HTTP_GET, "/api/v1/changefeeds/a%2", NULL, 0, NULL, NULL },
		{ ML_HTTP_GET, "/api/v1/changefeeds/a%zz", NULL, 0, NULL, NULL },
		{ ML_HTTP_GET, "/api/v1/processors/a/b", "/api/v1/processors/:id/:capture", 0, "a", "b" },
		{ ML_HTTP_GET, "/api/v1/processors//b", NULL, 0, NULL, NULL },
		{ ML_HTTP_GET, "/", NULL, 0, NULL, NULL },
		{ ML_HTTP_GET, "", NULL, 0, NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ml_http_match m = { 0 };
		char *path = NULL, *query = NULL;

		if (ml_http_split(rows[i].target, &path, &query) == 0)
			ml_http_route(routes, N_ROUTES, rows[i].method, path, &m);
		if (rows[i].route == NULL) {
			assert_null(m.route);
		} else {
			assert_non_null(m.route);
			assert_string_equal(m.route->path, rows[i].route);
		}
		assert_int_equal(m.redirect, rows[i].redirect);
		if (rows[i].p0 != NULL)
			assert_string_equal(m.params[0], rows[i].p0);
		if (rows[i].p1 != NULL)
			assert_string_equal(m.params[1], rows[i].p1);
		free(path);
		free(query);
	}
}

static void
takes_the_first_of_repeated_query_values(void **state)
{
	static const struct {
		const char *query, *key, *want;
	} rows[] = {
		{ "state=a&state=b", "state", "a" },
		{ "x=1&state=a%20b+c", "state", "a b c" },
		{ "state", "state", "" },
		{ "st%61te=q", "state", "q" },
		{ "&&state==x", "state", "=x" },
		{ "states=1", "state", NULL },
		{ "", "state", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *v = ml_http_query_get(rows[i].query, rows[i].key);

		if (rows[i].want == NULL)
			assert_null(v);
		else
			assert_string_equal(v, rows[i].want);
		free(v);
	}
}

static void
reads_basic_credentials(void **state)
{
	static const struct {
		const char *header, *user, *password;
	} rows[] = {
		{ "Basic dXNlcjpwYTpzcw==", "user", "pa:ss" },
		{ "basic  Og==", "", "" },
		{ "Basic dTo=", "u", "" },
		{ NULL, NULL, NULL },
		{ "", NULL, NULL },
		{ "Basic", NULL, NULL },
		{ "Basic ", NULL, NULL },
		{ "Bearer dTo=", NULL, NULL },
		{ "Basic dTo", NULL, NULL },
		{ "Basic d!o=", NULL, NULL },
		{ "Basic dXNlcg==", NULL, NULL },
		{ "Basic dQA6", NULL, NULL },
		{ "Basic ====", NULL, NULL },
	};
	char longer[4 * ML_BASIC_MAX + 10];
	struct ml_basic b;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(ml_basic_parse(&b, rows[i].header), rows[i].user != NULL);
		assert_string_equal(b.user, rows[i].user != NULL ? rows[i].user : "");
		assert_string_equal(b.password, rows[i].password != NULL ? rows[i].password : "");
	}
	memset(longer, 'Q', sizeof(longer));
	memcpy(longer, "Basic ", 6);
	longer[6 + 4 * ML_BASIC_MAX] = '\0';
	assert_false(ml_basic_parse(&b, longer));
}

struct talk {
	struct ml_loop *l;
	uint16_t port;
	const char *send, *then; /* then: sent when the first bytes of an answer are here; NULL: nothing */
	char got[8192];
	size_t n;
};

static void
stop(void *arg)
{
	ml_loop_stop(arg);
}

/* Sends the text, then reads until the server closes: every exchange below ends with Connection: close. */
static void *
client(void *arg)
{
	struct talk *t = arg;
	struct sockaddr_in to = {
		.sin_family = AF_INET, .sin_port = htons(t->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)
	};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	ssize_t n;

	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 && write(fd, t->send, strlen(t->send)) > 0)
		while (t->n < sizeof(t->got) - 1 && (n = read(fd, t->got + t->n, sizeof(t->got) - 1 - t->n)) > 0) {
			t->n += (size_t)n;
			if (t->then != NULL && write(fd, t->then, strlen(t->then)) > 0)
				t->then = NULL;
		}
	close(fd);
	ml_loop_wake(t->l, stop, t->l);
	return NULL;
}

static struct ml_http *
serve(struct ml_loop *l, uint16_t *port)
{
	struct ml_http_hooks hooks = { .routes = routes, .n_routes = N_ROUTES, .gate = gate };
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);
	struct ml_err err;
	struct ml_http *h;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(fd, 10), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	*port = ntohs(at.sin_port);
	h = ml_http_new(l, fd, &hooks, NULL, &err);
	assert_non_null(h);
	return h;
}

/* Cuts the Date header out: all the rest of an answer is fixed. */
static void
drop_date(char *s)
{
	for (char *p; (p = strstr(s, "Date: ")) != NULL;) {
		char *end = strstr(p, "\r\n");

		assert_non_null(end);
		memmove(p, end + 2, strlen(end + 2) + 1);
	}
}

#define BYE "Connection: close\r\n\r\n"
static void
speaks_http_by_the_rules(void **state)
{
	static const struct {
		const char *send, *want;
	} rows[] = {
		{ "GET /api/v1/status HTTP/1.1\r\n" BYE,
			"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" },
		{ "HEAD /api/v1/status HTTP/1.1\r\n" BYE,
			"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 18\r\nConnection: close\r\n\r\n" },
		{ "OPTIONS /api/v1/status HTTP/1.1\r\n" BYE,
			"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 18\r\nConnection: close\r\n\r\n"
			"404 page not found" },
		{ "PATCH /api/v1/status HTTP/1.1\r\nContent-Length: 2\r\n" BYE "{}",
			"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 18\r\nConnection: close\r\n\r\n"
			"404 page not found" },
		{ "TRACE /api/v1/status HTTP/1.1\r\n" BYE,
			"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 18\r\nConnection: close\r\n\r\n"
			"404 page not found" },
		{ "GET //api/v1/status HTTP/1.1\r\n" BYE,
			"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 18\r\nConnection: close\r\n\r\n"
			"404 page not found" },
		{ "GET /api/v1/status/?a=<b> HTTP/1.1\r\n" BYE,
			"HTTP/1.1 301 Moved Permanently\r\nLocation: /api/v1/status?a=<b>\r\nContent-Type: text/html; charset=utf-8\r\n"
			"Content-Length: 61\r\nConnection: close\r\n\r\n"
			"<a href=\"/api/v1/status?a=&lt;b&gt;\">Moved Permanently</a>.\n\n" },
		{ "POST /api/v1/changefeeds/ HTTP/1.1\r\nContent-Length: 1\r\n" BYE "x",
			"HTTP/1.1 307 Temporary Redirect\r\nLocation: /api/v1/changefeeds\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" },
		{ "POST /api/v1/changefeeds?state=a&state=b HTTP/1.1\r\n'Content-type':'application/json'\r\n"
		  "Content-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n" BYE
		  "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
			"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 27\r\nConnection: close\r\n\r\n"
			"id= cap= state=a body=abcde" },
		/* GET and DELETE carry bodies too, and the connection goes on behind them */
		{ "GET /api/v1/changefeeds HTTP/1.1\r\nContent-Length: 3\r\n\r\nxyzDELETE /api/v1/changefeeds HTTP/1.1\r\n"
		  "Content-Length: 2\r\n" BYE "pq",
			"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 25\r\n\r\nid= cap= state=- body=xyz"
			"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 24\r\nConnection: close\r\n\r\n"
			"id= cap= state=- body=pq" },
		{ "GET /wrong HTTP/1.1\r\n" BYE,
			"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: 138\r\n"
			"Connection: close\r\n\r\n{\n    \"error_msg\": \"[CDC:ErrChangeFeedNotExists]changefeed not exists, default/a\\u003cb\",\n"
			"    \"error_code\": \"CDC:ErrChangeFeedNotExists\"\n}" },
		{ "GET /shut HTTP/1.1\r\n" BYE,
			"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 4\r\n"
			"Connection: close\r\n\r\nshut" },
		{ "GET /api/v1/status HTTP/1.0\r\n\r\n", "HTTP/1.0 202 Accepted\r\n\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct talk t = { .l = ml_loop_new(), .send = rows[i].send };
		struct ml_http *h = serve(t.l, &t.port);
		pthread_t thread;

		assert_int_equal(pthread_create(&thread, NULL, client, &t), 0);
		ml_loop_run(t.l);
		pthread_join(thread, NULL);
		drop_date(t.got);
		assert_string_equal(t.got, rows[i].want);
		ml_http_free(h);
		ml_loop_free(t.l);
	}
}

static void
asks_for_the_body_that_a_client_holds_back(void **state)
{
	struct talk t = { .l = ml_loop_new(),
		.then = "pq",
		.send = "POST /api/v1/changefeeds HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n" BYE };
	struct ml_http *h = serve(t.l, &t.port);
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, client, &t), 0);
	ml_loop_run(t.l);
	pthread_join(thread, NULL);
	drop_date(t.got);
	assert_string_equal(t.got, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
				   "Content-Length: 24\r\nConnection: close\r\n\r\nid= cap= state=- body=pq");
	ml_http_free(h);
	ml_loop_free(t.l);
}

static void
refuses_what_is_too_large(void **state)
{
	static char send[ML_HTTP_MAX_HEADERS_BYTES + 1000];
	struct talk t = { .l = ml_loop_new(), .send = send };
	struct ml_http *h = serve(t.l, &t.port);
	pthread_t thread;

	(void)state;
	strcpy(send, "POST /api/v1/changefeeds HTTP/1.1\r\nContent-Length: 1048577\r\n\r\n");
	assert_int_equal(pthread_create(&thread, NULL, client, &t), 0);
	ml_loop_run(t.l);
	pthread_join(thread, NULL);
	assert_int_equal(strncmp(t.got, "HTTP/1.1 413", 12), 0);

	strcpy(send, "GET /api/v1/status HTTP/1.1\r\nX: ");
	memset(send + strlen(send), 'a', ML_HTTP_MAX_HEADERS_BYTES);
	strcpy(send + ML_HTTP_MAX_HEADERS_BYTES, "\r\n" BYE);
	t.n = 0;
	memset(t.got, 0, sizeof(t.got));
	assert_int_equal(pthread_create(&thread, NULL, client, &t), 0);
	ml_loop_run(t.l);
	pthread_join(thread, NULL);
	assert_int_not_equal(strncmp(t.got, "HTTP/1.1 2", 10), 0);
	ml_http_free(h);
	ml_loop_free(t.l);
}

static void
prints_display_times(void **state)
{
	char buf[40];

	(void)state;
	/* openapi.md's check value: TSO 426921294362574849 is 2021-08-10 06:04:54.242 UTC */
	setenv("TZ", "UTC0", 1);
	tzset();
	assert_string_equal(
		ml_time_local((int64_t)(426921294362574849ull >> 18), buf, sizeof(buf)), "2021-08-10 06:04:54.242");
	assert_string_equal(ml_time_local(0, buf, sizeof(buf)), "1970-01-01 00:00:00.000");
	setenv("TZ", "XST-5:30", 1);
	tzset();
	assert_string_equal(ml_time_local(1628575494242, buf, sizeof(buf)), "2021-08-10 11:34:54.242");
	assert_string_equal(ml_time_at(1628575494242, -3600, buf, sizeof(buf)), "2021-08-10 05:04:54.242");
	assert_string_equal(ml_time_at(-1, 0, buf, sizeof(buf)), "1969-12-31 23:59:59.999");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(matches_decoded_segments),
		cmocka_unit_test(takes_the_first_of_repeated_query_values),
		cmocka_unit_test(reads_basic_credentials),
		cmocka_unit_test(speaks_http_by_the_rules),
		cmocka_unit_test(asks_for_the_body_that_a_client_holds_back),
		cmocka_unit_test(refuses_what_is_too_large),
		cmocka_unit_test(prints_display_times),
	};

	ml_log_set_level(ML_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
