/*
 * check.h - what a server must be and have before its log can be followed (mysql-upstream.md 1), and who it is.
 */
#ifndef ML_WORKER_SOURCE_MYSQL_CHECK_H
#define ML_WORKER_SOURCE_MYSQL_CHECK_H
#include <stdbool.h>
#include <stdint.h>

#include "capture-worker/source/mysql/conn.h"
#include "common/base/err.h"

struct ml_filter;

struct ml_server {
	enum ml_flavor flavor;
	char version[64];
	char identity[64];    /* of its history: MariaDB "server_id-domain_id", MySQL its UUID */
	uint64_t upstream_id; /* number for the API: stable as long as the server is the same one */
	uint32_t server_id;
	uint8_t lower_case_table_names;
	bool full_metadata;
	bool gtids; /* every group has one: MariaDB; MySQL with gtid_mode=ON */
};

/* Told of each setting that is accepted but unwise. */
typedef void ml_check_warn(void *arg, const struct ml_err *w);

/*
 * Runs all checks over c.  filter: schemas that the server must not leave out of its log; NULL: none looked at.  warn may be
 * NULL.  -1: the first thing that must be changed, as one of the ErrMySQL... codes, or ErrUpstreamUnsupported.
 */
int ml_check_server(struct ml_my_conn *c, const struct ml_filter *filter, struct ml_server *out, ml_check_warn *warn,
	void *warn_arg, struct ml_err *err);
/* The statement that tells the end of the log, by the server's version. */
const char *ml_check_status_sql(const struct ml_my_conn *c);
/* True if a line of SHOW GRANTS gives the privilege (upper case) on *.*, also by ALL PRIVILEGES. */
bool ml_grant_has(const char *line, const char *privilege);
#endif
