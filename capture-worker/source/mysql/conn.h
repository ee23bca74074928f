/*
 * conn.h - connections to a MySQL or MariaDB server through the client library, and small control queries.
 *
 * A connection belongs to one thread at a time.  The password is in no error text and in no log line: the library never prints
 * it, and addresses are built from host and port only.
 */
#ifndef ML_WORKER_SOURCE_MYSQL_CONN_H
#define ML_WORKER_SOURCE_MYSQL_CONN_H
#include <mysql.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "proto/process.pb-c.h"

enum ml_flavor { ML_MARIADB, ML_MYSQL };

/* Whom to connect to; read from the upstream's URI. */
struct ml_my_target {
	char *hosts; /* "h1:3306,h2:3306": tried in order */
	char *user, *password;
	char *ssl_ca, *ssl_cert, *ssl_key; /* NULL: not given */
	char *unix_socket;                 /* parameter "socket" of the URI: instead of TCP; NULL */
	bool ssl;                          /* insist on TLS: parameter "tls", or any of the files, or ssl_verify */
	bool ssl_verify;                   /* the server's certificate must be good for its host */
	bool json_as_json; /* parameter "mariadb-json-as-json": a column checked with json_valid is JSON */
	uint32_t connect_timeout_s;
};
/* ErrUpstreamURIInvalid.  u may die afterwards. */
int ml_my_target_new(struct ml_my_target **out, const Ml__Upstream *u, struct ml_err *err);
void ml_my_target_free(struct ml_my_target *t); /* NULL is fine; wipes the password */

struct ml_my_conn {
	MYSQL *my;
	char addr[280]; /* "host:port", for texts */
	char user[130];
	enum ml_flavor flavor;
	unsigned version; /* 101119 = 10.11.19 */
	char version_text[64];
};

/*
 * Connects, sets NAMES utf8mb4, finds out the flavour by query (proxies lie in the handshake).  io_timeout_s: for each read
 * and write.  -1: ErrUpstreamUnavailable; lib is the client library's code.
 */
int ml_my_connect(struct ml_my_conn *c, const struct ml_my_target *t, uint32_t io_timeout_s, struct ml_err *err);
void ml_my_close(struct ml_my_conn *c); /* also when it never connected (zeroed) */

/* Runs sql; *res is the stored result (NULL for a statement without one), for mysql_free_result.  res may be NULL. */
int ml_my_query(struct ml_my_conn *c, const char *sql, MYSQL_RES **res, struct ml_err *err);
/* First column of the first row as text, cut to size.  1: found; 0: no row or NULL; -1: error. */
int ml_my_scalar(struct ml_my_conn *c, const char *sql, char *buf, size_t size, struct ml_err *err);
/* The same, but a server that does not know the variable or statement (1193, 1064, 1054) counts as "no row". */
int ml_my_scalar_opt(struct ml_my_conn *c, const char *sql, char *buf, size_t size, struct ml_err *err);
/* What names the very server, whatever its address, as SQL sinks do; at most ML_MY_INSTANCE_MAX bytes.  As ml_my_scalar_opt. */
#define ML_MY_INSTANCE_MAX 400
int ml_my_instance(struct ml_my_conn *c, char *buf, size_t size, struct ml_err *err);
/* Appends text as a quoted SQL string literal. */
void ml_my_quote(struct ml_my_conn *c, struct ml_buf *out, const char *text);
/* True for errors of the connection itself: reconnecting may mend them. */
bool ml_my_is_lost(int lib);
#endif
