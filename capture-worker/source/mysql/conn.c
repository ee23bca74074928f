#include "capture-worker/source/mysql/conn.h"

#include <errmsg.h>
#include <mysqld_error.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/text/uri.h"

/* A server that takes longer to answer the handshake is as good as down; the next address or attempt is better. */
#define CONNECT_TIMEOUT_S 10

static pthread_once_t library_once = PTHREAD_ONCE_INIT;

static void
library_init(void)
{
	(void)mysql_library_init(0, NULL, NULL);
}

static char *
copy(const char *s)
{
	char *p;

	if (s == NULL || *s == '\0')
		return NULL;
	p = strdup(s);
	if (p == NULL)
		abort();
	return p;
}

int
ml_my_target_new(struct ml_my_target **out, const Ml__Upstream *u, struct ml_err *err)
{
	struct ml_my_target *t;
	struct ml_uri *uri = NULL;
	const char *socket_path;
	char host[256];
	uint16_t port;

	if (ml_uri_parse(&uri, u->uri, err) < 0)
		return ML_ERR(err, ErrUpstreamURIInvalid, 0, "it cannot be parsed");
	t = calloc(1, sizeof(*t));
	if (t == NULL)
		abort();
	if (ml_uri_bool(uri, "mariadb-json-as-json", &t->json_as_json, ML_ErrUpstreamURIInvalid, err) < 0 ||
		ml_uri_bool(uri, "tls", &t->ssl, ML_ErrUpstreamURIInvalid, err) < 0) {
		ml_uri_free(uri);
		free(t);
		return -1;
	}
	socket_path = ml_uri_get(uri, "socket");
	t->hosts = copy(uri->hosts);
	t->unix_socket = copy(socket_path);
	t->user = copy(uri->user);
	t->password = copy(u->password != NULL && *u->password != '\0' ? u->password : uri->password);
	t->ssl_ca = copy(u->ssl_ca);
	t->ssl_cert = copy(u->ssl_cert);
	t->ssl_key = copy(u->ssl_key);
	t->ssl_verify = u->ssl_verify;
	t->ssl |= t->ssl_ca != NULL || t->ssl_cert != NULL || t->ssl_verify;
	t->connect_timeout_s = CONNECT_TIMEOUT_S;
	ml_uri_free(uri);
	if (t->user == NULL) {
		ml_my_target_free(t);
		return ML_ERR(err, ErrUpstreamURIInvalid, 0, "it names no user");
	}
	if (t->unix_socket == NULL) {
		const char *p = t->hosts;

		if (p == NULL) {
			ml_my_target_free(t);
			return ML_ERR(err, ErrUpstreamURIInvalid, 0, "it names no host");
		}
		for (; p != NULL; p = strchr(p, ',') != NULL ? strchr(p, ',') + 1 : NULL) {
			char one[300];

			snprintf(one, sizeof(one), "%.*s", (int)strcspn(p, ","), p);
			if (ml_uri_host_port(one, host, sizeof(host), &port, 3306) < 0) {
				ml_my_target_free(t);
				return ML_ERR(err, ErrUpstreamURIInvalid, 0, "bad host or port");
			}
		}
	}
	*out = t;
	return 0;
}

void
ml_my_target_free(struct ml_my_target *t)
{
	if (t == NULL)
		return;
	if (t->password != NULL)
		explicit_bzero(t->password, strlen(t->password));
	free(t->hosts);
	free(t->user);
	free(t->password);
	free(t->ssl_ca);
	free(t->ssl_cert);
	free(t->ssl_key);
	free(t->unix_socket);
	free(t);
}

static int
flavor(struct ml_my_conn *c, struct ml_err *err)
{
	char comment[128] = "";
	const char *v = c->version_text;
	unsigned major = 0, minor = 0, patch = 0;

	if (ml_my_scalar(c, "SELECT @@version", c->version_text, sizeof(c->version_text), err) < 0 ||
		ml_my_scalar_opt(c, "SELECT @@version_comment", comment, sizeof(comment), err) < 0)
		return -1;
	c->flavor = strcasestr(v, "mariadb") != NULL || strcasestr(comment, "mariadb") != NULL ? ML_MARIADB : ML_MYSQL;
	/* MariaDB used to put this in front for the sake of old replicas. */
	if (strncmp(v, "5.5.5-", 6) == 0)
		v += 6;
	if (sscanf(v, "%u.%u.%u", &major, &minor, &patch) < 2)
		return ML_ERR(err, ErrUpstreamUnsupported, 0, c->addr, c->version_text);
	c->version = major * 10000 + minor * 100 + patch;
	return 0;
}

static int
connect_one(struct ml_my_conn *c, const struct ml_my_target *t, const char *host, uint16_t port, uint32_t io_timeout_s,
	struct ml_err *err)
{
	unsigned connect_s = t->connect_timeout_s, io_s = io_timeout_s;
	my_bool on = 1, verify = t->ssl_verify;
	unsigned long packet = 1ul << 30;

	c->my = mysql_init(NULL);
	if (c->my == NULL)
		return ML_ERR(err, ErrNoMemory, 0, "connecting to the upstream");
	mysql_options(c->my, MYSQL_OPT_CONNECT_TIMEOUT, &connect_s);
	mysql_options(c->my, MYSQL_OPT_READ_TIMEOUT, &io_s);
	mysql_options(c->my, MYSQL_OPT_WRITE_TIMEOUT, &io_s);
	mysql_options(c->my, MYSQL_OPT_MAX_ALLOWED_PACKET, &packet);
	mysql_options(c->my, MYSQL_SET_CHARSET_NAME, "utf8mb4");
	mysql_optionsv(c->my, MYSQL_OPT_CONNECT_ATTR_ADD, "program_name", "millrace");
	if (t->ssl) {
		mysql_ssl_set(c->my, t->ssl_key, t->ssl_cert, t->ssl_ca, NULL, NULL);
		mysql_optionsv(c->my, MYSQL_OPT_SSL_ENFORCE, &on);
	}
	mysql_optionsv(c->my, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verify);
	if (mysql_real_connect(c->my, t->unix_socket != NULL ? "localhost" : host, t->user, t->password, NULL, port,
		    t->unix_socket, 0) == NULL) {
		ML_ERR(err, ErrUpstreamUnavailable, (int)mysql_errno(c->my), c->addr, mysql_error(c->my));
		mysql_close(c->my);
		c->my = NULL;
		return -1;
	}
	/* The library goes on in the clear with a server that has no TLS, whatever it was told. */
	if (t->ssl && mysql_get_ssl_cipher(c->my) == NULL) {
		ML_ERR(err, ErrUpstreamUnavailable, CR_SSL_CONNECTION_ERROR, c->addr,
			"TLS is asked for, but the server has none");
		ml_my_close(c);
		return -1;
	}
	if (flavor(c, err) < 0) {
		ml_my_close(c);
		return -1;
	}
	return 0;
}

int
ml_my_connect(struct ml_my_conn *c, const struct ml_my_target *t, uint32_t io_timeout_s, struct ml_err *err)
{
	pthread_once(&library_once, library_init);
	*c = (struct ml_my_conn){ 0 };
	snprintf(c->user, sizeof(c->user), "%s", t->user);
	if (t->unix_socket != NULL) {
		snprintf(c->addr, sizeof(c->addr), "%s", t->unix_socket);
		return connect_one(c, t, NULL, 0, io_timeout_s, err);
	}
	for (const char *p = t->hosts; p != NULL; p = strchr(p, ',') != NULL ? strchr(p, ',') + 1 : NULL) {
		char one[300], host[256];
		uint16_t port;

		snprintf(one, sizeof(one), "%.*s", (int)strcspn(p, ","), p);
		if (ml_uri_host_port(one, host, sizeof(host), &port, 3306) < 0)
			continue; /* checked when the target was made */
		snprintf(c->addr, sizeof(c->addr), strchr(host, ':') != NULL ? "[%s]:%u" : "%s:%u", host,
			(unsigned)port);
		if (connect_one(c, t, host, port, io_timeout_s, err) == 0)
			return 0;
	}
	return -1;
}

void
ml_my_close(struct ml_my_conn *c)
{
	if (c->my != NULL)
		mysql_close(c->my);
	c->my = NULL;
}

int
ml_my_query(struct ml_my_conn *c, const char *sql, MYSQL_RES **res, struct ml_err *err)
{
	MYSQL_RES *r;

	if (mysql_real_query(c->my, sql, (unsigned long)strlen(sql)) != 0)
		goto fail;
	r = mysql_store_result(c->my);
	if (r == NULL && mysql_errno(c->my) != 0)
		goto fail;
	if (res != NULL)
		*res = r;
	else
		mysql_free_result(r);
	return 0;
fail:
	if (ml_my_is_lost((int)mysql_errno(c->my)))
		return ML_ERR(err, ErrUpstreamUnavailable, (int)mysql_errno(c->my), c->addr, mysql_error(c->my));
	return ML_ERR(err, ErrMySQLQueryError, (int)mysql_errno(c->my), c->addr, mysql_error(c->my));
}

int
ml_my_scalar(struct ml_my_conn *c, const char *sql, char *buf, size_t size, struct ml_err *err)
{
	MYSQL_RES *res;
	MYSQL_ROW row;
	int found = 0;

	if (ml_my_query(c, sql, &res, err) < 0)
		return -1;
	if (res != NULL && (row = mysql_fetch_row(res)) != NULL && row[0] != NULL) {
		snprintf(buf, size, "%s", row[0]);
		found = 1;
	}
	mysql_free_result(res);
	return found;
}

int
ml_my_scalar_opt(struct ml_my_conn *c, const char *sql, char *buf, size_t size, struct ml_err *err)
{
	struct ml_err e = { 0 };
	int found = ml_my_scalar(c, sql, buf, size, &e);

	if (found < 0 &&
		(e.lib == ER_UNKNOWN_SYSTEM_VARIABLE || e.lib == ER_PARSE_ERROR || e.lib == ER_BAD_FIELD_ERROR))
		return 0;
	if (found < 0 && err != NULL)
		*err = e;
	return found;
}

int
ml_my_instance(struct ml_my_conn *c, char *buf, size_t size, struct ml_err *err)
{
	return ml_my_scalar_opt(c,
		c->flavor == ML_MARIADB ? "SELECT CONCAT_WS('|', @@hostname, @@port, @@datadir, @@server_id)"
					: "SELECT @@server_uuid",
		buf, size, err);
}

void
ml_my_quote(struct ml_my_conn *c, struct ml_buf *out, const char *text)
{
	size_t n = strlen(text);

	ml_buf_putc(out, '\'');
	ml_buf_need(out, 2 * n + 1);
	out->len += mysql_real_escape_string(c->my, out->data + out->len, text, (unsigned long)n);
	ml_buf_putc(out, '\'');
}

bool
ml_my_is_lost(int lib)
{
	switch (lib) {
	case CR_SERVER_GONE_ERROR:
	case CR_SERVER_LOST:
	case CR_SERVER_LOST_EXTENDED:
	case CR_CONNECTION_ERROR:
	case CR_CONN_HOST_ERROR:
	case CR_UNKNOWN_HOST:
	case CR_IPSOCK_ERROR:
	case ER_SERVER_SHUTDOWN:
	case ER_CONNECTION_KILLED:
	case ER_QUERY_INTERRUPTED:
	case ER_CON_COUNT_ERROR:
	case ER_NET_PACKETS_OUT_OF_ORDER:
	case ER_NET_READ_ERROR:
	case ER_NET_READ_INTERRUPTED:
	case ER_NET_ERROR_ON_WRITE:
	case ER_NET_WRITE_INTERRUPTED:
	case ER_NEW_ABORTING_CONNECTION:
		return true;
	default:
		return false;
	}
}
