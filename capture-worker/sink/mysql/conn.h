/*
 * conn.h - connections to the target: set-up of a session, what kind of server it is, statements and their errors
 * (sinks.md 3.1, 3.9).  A connection belongs to the thread that opened it; only sql_conn_break may come from another one.
 */
#ifndef ML_WORKER_SINK_MYSQL_CONN_H
#define ML_WORKER_SINK_MYSQL_CONN_H
#include <mysql.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "capture-worker/sink/mysql/params.h"
#include "common/base/buf.h"
#include "common/base/err.h"

enum sql_server { SQL_MYSQL, SQL_MARIADB, SQL_TIDB };

/* What the probe connection found out; immutable afterwards. */
struct sql_target {
	const struct sql_params *params;
	const char *object;
	char addr[300]; /* "host:port", for texts */
	char *password; /* the one that works: as given, or decoded from base64; wiped when freed */
	enum sql_server server;
	char version[64];
	char identity[400]; /* equal for connections to one and the same server, see sql_target_probe */
	bool write_source;  /* tidb_cdc_write_source can be set */
	bool placement_mode, txn_mode, external_ts_read, auto_random_insert; /* session variables that it has */
	bool transaction_isolation;                                          /* else tx_isolation */
	bool mark_session; /* bdr-mode: the session's server_id marks what it writes; see event/mark.h */
	bool mark_table;   /* bdr-mode: a row of the mark's table does, and a comment in DDL */
	bool cache_prep_stmts;
	uint32_t max_prep_stmts; /* a connection's share */
	bool gbk;
	uint64_t max_allowed_packet;
	char zone[80]; /* for SET time_zone: the name or the offset; "": not set */
};

struct sql_conn {
	MYSQL *my; /* NULL: not open */
	const struct sql_target *target;
	/* Of the open connection, for sql_conn_break. */
	atomic_int fd;
	uint64_t used_ms; /* when it was last used, monotonic */
};

/*
 * Opens a probe connection, asks, closes it.  -1: ErrMySQLConnectionError (refused, unreachable), ErrMySQLQueryError,
 * ErrMySQLInvalidConfig (a time zone that the target does not know), ErrToTLSConfigFailed.
 */
int sql_target_probe(struct sql_target *t, const struct sql_params *p, const char *object, struct ml_err *err);
void sql_target_fini(struct sql_target *t);

/* Opens a session with all its settings; patient: no time limit on reads (a DDL's connection).  ErrMySQLConnectionError. */
int sql_conn_open(struct sql_conn *c, const struct sql_target *t, bool patient, struct ml_err *err);
void sql_conn_close(struct sql_conn *c); /* fine for one that is not open */
/* From any thread: whatever the owner waits for on the connection fails soon. */
void sql_conn_break(struct sql_conn *c);
/* False if the server has closed the idle connection, or has said something unasked (sinks.md 3.1). */
bool sql_conn_alive(struct sql_conn *c);

/*
 * Runs text, which may hold several statements, and reads all their results.  -1: err has the server's or library's number in
 * lib, and the code ErrMySQLTxnError; *failed (may be NULL) is the index of the statement that failed.
 */
int sql_conn_run(struct sql_conn *c, const char *text, size_t len, uint32_t *failed, struct ml_err *err);
/* After one result was read: reads the others. */
int sql_conn_rest(struct sql_conn *c, struct ml_err *err);
/* The connection's last error as ErrMySQLTxnError; -1. */
int sql_conn_error(struct sql_conn *c, struct ml_err *err);
/* First column of the first row as text, cut to size.  1: found; 0: no row or NULL; -1: error as above. */
int sql_conn_scalar(struct sql_conn *c, const char *text, char *buf, size_t size, struct ml_err *err);
/* True for errors after which the connection is of no use, and what the statement did is not known. */
bool sql_is_lost(int lib);
#endif
