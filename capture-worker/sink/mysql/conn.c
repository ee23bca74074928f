#include "capture-worker/sink/mysql/conn.h"

#include <errmsg.h>
#include <errno.h>
#include <mysqld_error.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "capture-worker/event/mark.h"
#include "capture-worker/sink/mysql/literal.h"
#include "common/run/estate.h"
#include "common/run/log.h"
#include "common/run/loop.h"

/* What sinks.md 3.1 assumes where the server does not say. */
#define PACKET_DEFAULT 67108864
/* Templates of one connection: TiCDC keeps 16384 for all of them. */
#define PREPARED_DEFAULT 1024
/* What a statement may take on top of write-timeout. */
#define GRACE_MS 5000
/* MariaDB's and MySQL's numbers that older headers lack. */
#define ER_UNKNOWN_TIME_ZONE_NO 1298
#define ER_UNKNOWN_VARIABLE_NO 1193

static pthread_once_t library_once = PTHREAD_ONCE_INIT;

static void
library_init(void)
{
	(void)mysql_library_init(0, NULL, NULL);
}

bool
sql_is_lost(int lib)
{
	/* The client library's own numbers, and what a server says when it ends a connection. */
	switch (lib) {
	case ER_SERVER_SHUTDOWN:
	case ER_CONNECTION_KILLED:
	case ER_NET_PACKETS_OUT_OF_ORDER:
	case ER_NET_READ_ERROR:
	case ER_NET_READ_INTERRUPTED:
	case ER_NET_ERROR_ON_WRITE:
	case ER_NET_WRITE_INTERRUPTED:
	case ER_NEW_ABORTING_CONNECTION:
	case ER_NORMAL_SHUTDOWN:
		return true;
	default:
		return lib >= CR_MIN_ERROR && lib < 3000;
	}
}

/* A key with a password cannot be used: nobody is there to be asked. */
static int
no_password(char *buf, int size, int writing, void *arg)
{
	(void)buf;
	(void)size;
	(void)writing;
	(void)arg;
	return 0;
}

/* The library says of a file that it cannot use no more than that the connection failed. */
static int
check_tls(const struct sql_params *p, struct ml_err *err)
{
	SSL_CTX *ctx;
	char why[600] = "";

	if (p->ssl_ca == NULL)
		return 0;
	ctx = SSL_CTX_new(TLS_client_method());
	if (ctx == NULL)
		return ML_ERR(err, ErrToTLSConfigFailed, 0, "no TLS context");
	SSL_CTX_set_default_passwd_cb(ctx, no_password);
	if (SSL_CTX_load_verify_locations(ctx, p->ssl_ca, NULL) != 1)
		snprintf(why, sizeof(why), "ssl-ca %.400s cannot be read, or holds no certificate in PEM", p->ssl_ca);
	else if (p->ssl_cert != NULL && SSL_CTX_use_certificate_chain_file(ctx, p->ssl_cert) != 1)
		snprintf(why, sizeof(why), "ssl-cert %.400s cannot be read, or holds no certificate in PEM",
			p->ssl_cert);
	else if (p->ssl_key != NULL && SSL_CTX_use_PrivateKey_file(ctx, p->ssl_key, SSL_FILETYPE_PEM) != 1)
		snprintf(why, sizeof(why),
			"ssl-key %.400s cannot be read, or holds no key in PEM without a password that fits ssl-cert",
			p->ssl_key);
	SSL_CTX_free(ctx);
	ERR_clear_error();
	return why[0] == '\0' ? 0 : ML_ERR(err, ErrToTLSConfigFailed, 0, why);
}

/* A statement may take write-timeout and some seconds; 0 is no limit. */
static uint32_t
answer_ms(const struct sql_params *p)
{
	uint32_t limit = p->write_timeout_ms > 0 ? p->write_timeout_ms + GRACE_MS : 0;

	if (limit == 0 || p->read_timeout_ms == 0)
		return limit + p->read_timeout_ms;
	return limit < p->read_timeout_ms ? limit : p->read_timeout_ms;
}

static unsigned
seconds(uint32_t ms)
{
	return ms == 0 ? 0 : (ms + 999) / 1000;
}

/* Connects with password; lib is the number, text the library's. */
static int
dial(struct sql_conn *c, const struct sql_target *t, const char *password, bool patient, struct ml_err *err)
{
	const struct sql_params *p = t->params;
	unsigned dial_s = seconds(p->dial_timeout_ms), read_s = patient ? 0 : seconds(answer_ms(p)),
		 write_s = seconds(p->write_timeout_ms), off = 0, tcp = MYSQL_PROTOCOL_TCP;
	unsigned long packet = 1ul << 30;
	my_bool on = 1, no = 0;
	const char *host = p->host;

	pthread_once(&library_once, library_init);
	c->target = t;
	c->my = mysql_init(NULL);
	if (c->my == NULL)
		return ML_ERR(err, ErrNoMemory, 0, "connecting to the target");
	/* 0 is no limit; the library takes it for its own default. */
	mysql_options(c->my, MYSQL_OPT_CONNECT_TIMEOUT, &dial_s);
	mysql_options(c->my, MYSQL_OPT_READ_TIMEOUT, &read_s);
	mysql_options(c->my, MYSQL_OPT_WRITE_TIMEOUT, &write_s);
	mysql_options(c->my, MYSQL_OPT_MAX_ALLOWED_PACKET, &packet);
	mysql_options(c->my, MYSQL_OPT_LOCAL_INFILE, &off);
	/* "localhost" is a host like any other, not the library's word for a socket file. */
	mysql_options(c->my, MYSQL_OPT_PROTOCOL, &tcp);
	mysql_options(c->my, MYSQL_SET_CHARSET_NAME, "utf8mb4");
	mysql_optionsv(c->my, MYSQL_OPT_CONNECT_ATTR_ADD, "program_name", "millrace");
	if (p->ssl_ca != NULL) {
		mysql_ssl_set(c->my, p->ssl_key, p->ssl_cert, p->ssl_ca, NULL, NULL);
		mysql_optionsv(c->my, MYSQL_OPT_SSL_ENFORCE, &on);
		mysql_optionsv(c->my, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &on);
	} else {
		mysql_optionsv(c->my, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &no);
	}
	if (mysql_real_connect(c->my, host, p->user, password, NULL, p->port, NULL, CLIENT_MULTI_STATEMENTS) == NULL) {
		char why[400];

		snprintf(why, sizeof(why), "%s: %s (%u)", t->addr, mysql_error(c->my), mysql_errno(c->my));
		ML_ERR(err, ErrMySQLConnectionError, (int)mysql_errno(c->my), why);
		sql_conn_close(c);
		return -1;
	}
	/* The library goes on in the clear with a server that has no TLS, whatever it was told. */
	if (p->ssl_ca != NULL && mysql_get_ssl_cipher(c->my) == NULL) {
		sql_conn_close(c);
		return ML_ERR(err, ErrMySQLConnectionError, CR_SSL_CONNECTION_ERROR,
			"TLS is asked for by ssl-ca, but the server has none");
	}
	if (ml_estate_add(mysql_get_socket(c->my)) != 0) {
		sql_conn_close(c);
		return ML_ERR(err, ErrMySQLConnectionError, errno, "the worker ends");
	}
	atomic_store(&c->fd, mysql_get_socket(c->my));
	c->used_ms = ml_now_ms();
	return 0;
}

void
sql_conn_close(struct sql_conn *c)
{
	/* mysql_close says goodbye on it and closes it; the end has to come after that. */
	int fd = c->my != NULL && atomic_load(&c->fd) > 0 ? dup(mysql_get_socket(c->my)) : -1;

	atomic_store(&c->fd, -1);
	if (c->my != NULL)
		mysql_close(c->my);
	c->my = NULL;
	if (fd >= 0) {
		ml_estate_end(fd);
		close(fd);
	}
}

void
sql_conn_break(struct sql_conn *c)
{
	int fd = atomic_load(&c->fd);

	/* The owner may close it at this moment: then the number is nobody's, or the owner's next connection, at worst. */
	if (fd > 0)
		(void)shutdown(fd, SHUT_RDWR);
}

bool
sql_conn_alive(struct sql_conn *c)
{
	char byte;
	ssize_t n = recv(atomic_load(&c->fd), &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

int
sql_conn_error(struct sql_conn *c, struct ml_err *err)
{
	return ML_ERR(err, ErrMySQLTxnError, (int)mysql_errno(c->my), c->target->addr, mysql_error(c->my),
		mysql_errno(c->my));
}

int
sql_conn_run(struct sql_conn *c, const char *text, size_t len, uint32_t *failed, struct ml_err *err)
{
	uint32_t n = 0;
	int rc = mysql_real_query(c->my, text, (unsigned long)len);

	for (; rc == 0; n++) {
		MYSQL_RES *res = mysql_store_result(c->my);

		if (res != NULL)
			mysql_free_result(res);
		else if (mysql_errno(c->my) != 0)
			break;
		rc = mysql_next_result(c->my); /* -1: that was the last */
	}
	c->used_ms = ml_now_ms();
	if (rc == -1)
		return 0;
	if (failed != NULL)
		*failed = n;
	return sql_conn_error(c, err);
}

int
sql_conn_rest(struct sql_conn *c, struct ml_err *err)
{
	int rc = 0;

	while (rc == 0) {
		MYSQL_RES *res = mysql_store_result(c->my);

		if (res != NULL)
			mysql_free_result(res);
		else if (mysql_errno(c->my) != 0)
			return sql_conn_error(c, err);
		rc = mysql_next_result(c->my);
	}
	return rc == -1 ? 0 : sql_conn_error(c, err);
}

int
sql_conn_scalar(struct sql_conn *c, const char *text, char *buf, size_t size, struct ml_err *err)
{
	MYSQL_RES *res;
	MYSQL_ROW row;
	int found = 0;

	if (mysql_real_query(c->my, text, (unsigned long)strlen(text)) != 0)
		return sql_conn_error(c, err);
	res = mysql_store_result(c->my);
	if (res == NULL && mysql_errno(c->my) != 0)
		return sql_conn_error(c, err);
	if (res != NULL && (row = mysql_fetch_row(res)) != NULL && row[0] != NULL) {
		snprintf(buf, size, "%s", row[0]);
		found = 1;
	}
	mysql_free_result(res);
	return found;
}

/* ---- the probe ---- */

/* The password's bytes if it is standard base64 for something else; malloc'ed, or NULL. */
static char *
decoded(const char *password)
{
	size_t n = strlen(password);
	unsigned char *out;
	int len;

	if (n == 0 || n % 4 != 0 ||
		strspn(password, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=") != n)
		return NULL;
	out = malloc(n / 4 * 3 + 1);
	if (out == NULL)
		abort();
	len = EVP_DecodeBlock(out, (const unsigned char *)password, (int)n);
	for (size_t i = n; len > 0 && i > n - 2 && password[i - 1] == '='; i--)
		len--;
	if (len <= 0 || memchr(out, 0, (size_t)len) != NULL || strcmp((const char *)out, password) == 0) {
		free(out);
		return NULL;
	}
	out[len] = '\0';
	return (char *)out;
}

static int
first_dial(struct sql_conn *c, struct sql_target *t, struct ml_err *err)
{
	const char *given = t->params->password;
	char *other;

	if (dial(c, t, given, false, err) == 0) {
		t->password = strdup(given);
		return 0;
	}
	other = err->lib == ER_ACCESS_DENIED_ERROR ? decoded(given) : NULL;
	if (other == NULL)
		return -1;
	if (dial(c, t, other, false, err) != 0) {
		explicit_bzero(other, strlen(other));
		free(other);
		return -1;
	}
	t->password = other;
	return 0;
}

static int
ask(struct sql_conn *c, const char *text, char *buf, size_t size, struct ml_err *err)
{
	int rc = sql_conn_scalar(c, text, buf, size, err);

	if (rc < 0)
		return ML_ERR(err, ErrMySQLQueryError, err->lib, c->target->addr, mysql_error(c->my));
	return rc;
}

static int
has_variable(struct sql_conn *c, const char *name, bool *has, struct ml_err *err)
{
	char text[120], value[200];
	int rc;

	snprintf(text, sizeof(text), "show session variables like '%s'", name);
	rc = ask(c, text, value, sizeof(value), err);
	*has = rc > 0;
	return rc < 0 ? -1 : 0;
}

/* Which server is it?  A proxy lies in the handshake, so it is asked. */
static int
find_server(struct sql_conn *c, struct sql_target *t, struct ml_err *err)
{
	struct ml_err ignored = { 0 };
	char text[200];
	int rc;

	if (ask(c, "select @@version", t->version, sizeof(t->version), err) < 0)
		return -1;
	t->server = strcasestr(t->version, "mariadb") != NULL ? SQL_MARIADB : SQL_MYSQL;
	rc = sql_conn_scalar(c, "select tidb_version()", text, sizeof(text), &ignored);
	if (rc > 0)
		t->server = SQL_TIDB;
	else if (sql_is_lost(ignored.lib))
		return ML_ERR(err, ErrMySQLQueryError, ignored.lib, t->addr, mysql_error(c->my));
	if (t->server != SQL_TIDB)
		return 0;
	if (sql_conn_run(c, "SET SESSION tidb_cdc_write_source = 1", 37, NULL, &ignored) == 0)
		t->write_source = true;
	else if (ignored.lib != ER_UNKNOWN_VARIABLE_NO)
		return ML_ERR(err, ErrMySQLQueryError, ignored.lib, t->addr, mysql_error(c->my));
	return 0;
}

/*
 * MySQL has a UUID.  For MariaDB its machine, port, folder and start serve.  The same for the source is read in the source's
 * own way; see docs/sinks.md.
 */
static int
find_identity(struct sql_conn *c, struct sql_target *t, struct ml_err *err)
{
	const char *text = t->server == SQL_MARIADB
				   ? "select concat_ws('|', @@hostname, @@port, @@datadir, @@server_id)"
				   : "select @@server_uuid";
	struct ml_err ignored = { 0 };

	(void)err;
	if (t->server == SQL_TIDB || sql_conn_scalar(c, text, t->identity, sizeof(t->identity), &ignored) <= 0)
		t->identity[0] = '\0';
	return 0;
}

/* A zone by its name where the server knows it; else by its offset where it has only one. */
static int
find_zone(struct sql_conn *c, struct sql_target *t, struct ml_err *err)
{
	const struct sql_params *p = t->params;
	const char *names[2] = { p->zone, p->zone_offset };
	struct ml_err e = { 0 };
	char why[700];

	if (p->zone[0] == '\0')
		return 0;
	for (int i = 0; i < 2; i++) {
		struct ml_buf b = { 0 };
		int rc;

		if (names[i][0] == '\0' || strcmp(names[i], "Local") == 0)
			continue;
		ml_buf_puts(&b, "SET time_zone = ");
		sql_text(&b, names[i], strlen(names[i]), false);
		rc = sql_conn_run(c, b.data, b.len, NULL, &e);
		ml_buf_fini(&b);
		if (rc == 0) {
			snprintf(t->zone, sizeof(t->zone), "%s", names[i]);
			return 0;
		}
		if (e.lib != ER_UNKNOWN_TIME_ZONE_NO) {
			*err = e;
			return -1;
		}
	}
	snprintf(why, sizeof(why),
		"the target %s does not know the time zone %s; load its zones (mysql_tzinfo_to_sql /usr/share/zoneinfo | mysql "
		"mysql), or run the server with --tz UTC",
		t->addr, p->zone);
	return ML_ERR(err, ErrMySQLInvalidConfig, e.lib, why);
}

/* How changes are marked as ours, so that a copy in the other direction leaves them out. */
static int
find_mark(struct sql_conn *c, struct sql_target *t, struct ml_err *err)
{
	static const char make[] = "CREATE DATABASE IF NOT EXISTS " ML_MARK_DB ";CREATE TABLE IF NOT EXISTS " ML_MARK_DB
				   "." ML_MARK_TABLE " (id int PRIMARY KEY, n bigint unsigned NOT NULL)";
	struct ml_err ignored = { 0 };
	char text[60];

	if (!t->params->bdr)
		return 0;
	if (t->server == SQL_TIDB)
		return t->write_source
			       ? 0
			       : ML_ERRF(err, ErrSinkURIInvalid, 0,
					 "sink uri invalid 'bdr-mode needs a target with tidb_cdc_write_source'");
	snprintf(text, sizeof(text), "SET SESSION server_id = %u", (unsigned)ML_MARK_SERVER_ID);
	t->mark_session = t->server == SQL_MARIADB && sql_conn_run(c, text, strlen(text), NULL, &ignored) == 0;
	if (t->mark_session)
		return 0;
	t->mark_table = true;
	return sql_conn_run(c, make, sizeof(make) - 1, NULL, err);
}

static void
find_limits(struct sql_conn *c, struct sql_target *t)
{
	struct ml_err ignored = { 0 };
	char text[40];

	t->max_prep_stmts = PREPARED_DEFAULT;
	if (t->cache_prep_stmts &&
		sql_conn_scalar(c, "select @@global.max_prepared_stmt_count", text, sizeof(text), &ignored) > 0 &&
		strcmp(text, "-1") != 0) {
		uint64_t share = strtoull(text, NULL, 10) / (t->params->workers + 1);

		t->cache_prep_stmts = share > 0;
		if (share < t->max_prep_stmts)
			t->max_prep_stmts = (uint32_t)share;
	}
	if (sql_conn_scalar(c, "select @@global.max_allowed_packet", text, sizeof(text), &ignored) > 0) {
		t->max_allowed_packet = strtoull(text, NULL, 10);
	} else {
		ml_log_err(ML_WARN, t->object, &ignored, "cannot read max_allowed_packet of the target");
		t->max_allowed_packet = PACKET_DEFAULT;
	}
	if (t->max_allowed_packet < 1024)
		t->max_allowed_packet = 1024;
}

static int
probe(struct sql_conn *c, struct sql_target *t, struct ml_err *err)
{
	char text[80];
	int rc;

	if (find_server(c, t, err) != 0 || find_zone(c, t, err) != 0 || find_identity(c, t, err) != 0 ||
		find_mark(c, t, err) != 0 ||
		has_variable(c, "allow_auto_random_explicit_insert", &t->auto_random_insert, err) != 0 ||
		has_variable(c, "tidb_txn_mode", &t->txn_mode, err) != 0 ||
		has_variable(c, "transaction_isolation", &t->transaction_isolation, err) != 0 ||
		has_variable(c, "tidb_placement_mode", &t->placement_mode, err) != 0 ||
		has_variable(c, "tidb_enable_external_ts_read", &t->external_ts_read, err) != 0)
		return -1;
	rc = ask(c, "select character_set_name from information_schema.character_sets where character_set_name = 'gbk'",
		text, sizeof(text), err);
	if (rc < 0)
		return -1;
	t->gbk = rc > 0;
	if (!t->gbk)
		ml_warn(t->object, "the target has no charset gbk: DDL that names it will fail");
	find_limits(c, t);
	return 0;
}

int
sql_target_probe(struct sql_target *t, const struct sql_params *p, const char *object, struct ml_err *err)
{
	struct sql_conn c = { 0 };
	int rc;

	*t = (struct sql_target){ .params = p, .object = object, .cache_prep_stmts = p->cache_prep_stmts };
	snprintf(t->addr, sizeof(t->addr), strchr(p->host, ':') != NULL ? "[%s]:%u" : "%s:%u", p->host,
		(unsigned)p->port);
	if (check_tls(p, err) != 0 || first_dial(&c, t, err) != 0)
		return -1;
	rc = probe(&c, t, err);
	sql_conn_close(&c);
	if (rc != 0) {
		sql_target_fini(t);
		return -1;
	}
	ml_info(object, "target is %s version=%s addr=%s user=%s password=****** max_allowed_packet=%llu time_zone=%s",
		t->server == SQL_TIDB      ? "TiDB"
		: t->server == SQL_MARIADB ? "MariaDB"
					   : "MySQL",
		t->version, t->addr, p->user, (unsigned long long)t->max_allowed_packet, t->zone);
	return 0;
}

void
sql_target_fini(struct sql_target *t)
{
	if (t->password != NULL)
		explicit_bzero(t->password, strlen(t->password));
	free(t->password);
	t->password = NULL;
}

/* ---- sessions ---- */

static void
put_settings(struct ml_buf *b, const struct sql_target *t)
{
	/* Every value that the source took must be taken, and an explicit 0 stay 0. */
	ml_buf_puts(b, "SET sql_mode = 'ONLY_FULL_GROUP_BY,NO_ENGINE_SUBSTITUTION,IGNORE_SPACE,NO_AUTO_VALUE_ON_ZERO,"
		       "ALLOW_INVALID_DATES'");
	if (t->zone[0] != '\0') {
		ml_buf_puts(b, ", time_zone = ");
		sql_text(b, t->zone, strlen(t->zone), false);
	}
	ml_buf_printf(b, ", %s = 'READ-COMMITTED', foreign_key_checks = 0",
		t->transaction_isolation ? "transaction_isolation" : "tx_isolation");
	/* CHECKs were passed by the source; a target whose function differs must not refuse. */
	if (t->server == SQL_MARIADB)
		ml_buf_puts(b, ", check_constraint_checks = 0");
	if (t->mark_session)
		ml_buf_printf(b, ", server_id = %u", (unsigned)ML_MARK_SERVER_ID);
	if (t->auto_random_insert)
		ml_buf_puts(b, ", allow_auto_random_explicit_insert = 1");
	if (t->txn_mode)
		ml_buf_printf(b, ", tidb_txn_mode = '%s'", t->params->pessimistic ? "pessimistic" : "optimistic");
	if (t->placement_mode)
		ml_buf_puts(b, ", tidb_placement_mode = 'ignore'");
	if (t->external_ts_read)
		ml_buf_puts(b, ", tidb_enable_external_ts_read = 'OFF'");
}

int
sql_conn_open(struct sql_conn *c, const struct sql_target *t, bool patient, struct ml_err *err)
{
	struct ml_buf b = { 0 };
	char why[700];
	int rc;

	if (dial(c, t, t->password, patient, err) != 0)
		return -1;
	put_settings(&b, t);
	rc = sql_conn_run(c, b.data, b.len, NULL, err);
	ml_buf_fini(&b);
	if (rc == 0 && (c->my->server_status & SERVER_STATUS_NO_BACKSLASH_ESCAPES) != 0) {
		snprintf(why, sizeof(why), "%s: it does not take the session's sql_mode (a proxy?)", t->addr);
		sql_conn_close(c);
		return ML_ERR(err, ErrMySQLConnectionError, 0, why);
	}
	if (rc == 0)
		return 0;
	snprintf(why, sizeof(why), "%s: the session cannot be set up: %s (%d)", t->addr, mysql_error(c->my), err->lib);
	sql_conn_close(c);
	return ML_ERR(err, ErrMySQLConnectionError, err->lib, why);
}
