/*
 * params.h - the parameters of a MySQL, MariaDB or TiDB target (sinks.md 1.7): from the sink URI, then sink_config's
 * mysql-config, then the default.  A value out of its type or range is ErrMySQLInvalidConfig; what is merely too large is cut
 * to its bound with a warning.
 */
#ifndef ML_WORKER_SINK_MYSQL_PARAMS_H
#define ML_WORKER_SINK_MYSQL_PARAMS_H
#include <stdbool.h>
#include <stdint.h>

#include "capture-worker/sink/sink.h"

struct sql_params {
	char *host, *user, *password; /* user "root", password "" where the URI names none */
	uint16_t port;
	char *ssl_ca, *ssl_cert, *ssl_key; /* NULL: not given; only ssl_ca turns TLS on */
	uint32_t workers;
	bool workers_given;
	uint32_t max_txn_row;
	uint32_t max_multi_update_row;
	uint32_t max_multi_update_row_size; /* bytes a row on average; 0: no multi-row UPDATE */
	bool pessimistic;                   /* tidb-txn-mode */
	bool safe_mode;
	bool batch_dml, multi_stmt, cache_prep_stmts;
	bool in_lists; /* where-clause=v2 */
	bool has_vector_type;
	bool ddl_ts;          /* enable-ddl-ts */
	bool table_atomicity; /* transaction-atomicity=table */
	bool bdr;             /* bdr-mode: what is written is marked as ours */
	bool dry_run;         /* SQL is made, not sent */
	uint32_t dry_run_delay_ms;
	uint32_t read_timeout_ms, write_timeout_ms, dial_timeout_ms;
	uint32_t async_ddl_timeout_ms;
	/* "": the session's zone is not set (time-zone given empty); else a name or "+hh:mm" for TIMESTAMPs and for SET. */
	char *zone;
	/* The same as an offset where the zone always has one: for servers that do not know its name; "" if it changes. */
	char zone_offset[8];
};

/* Connects nothing.  -1: ErrMySQLInvalidConfig, ErrSinkURIInvalid, ErrSinkInvalidConfig. */
int sql_params_init(struct sql_params *p, const struct ml_sink_env *env, struct ml_err *err);
void sql_params_fini(struct sql_params *p); /* wipes the password; fine for a zeroed one */
#endif
