/* mysql_int.h - what mysql.c (following the log) and probe.c (looking at the server) share. */
#ifndef ML_WORKER_SOURCE_MYSQL_MYSQL_INT_H
#define ML_WORKER_SOURCE_MYSQL_MYSQL_INT_H
#include "capture-worker/source/source.h"

/*
 * An id for a dump connection that no other replica of the server has, as far as can be: the configured one, or of the form
 * 0x4Dxxxxxx by whom and for what (slot) it is used.  attempt: counts clashes.  (mysql-upstream.md 1.4)
 */
uint32_t ml_my_server_id(const struct ml_source_env *env, const char *slot, uint32_t attempt);
const Ml__Upstream *ml_my_upstream(
	const struct ml_source_env *env); /* the changefeed's own, else the server's; may be NULL */
int ml_my_probe(const struct ml_source_env *env, struct ml_source_facts *facts, struct ml_err *err);
#endif
