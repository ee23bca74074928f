/* filter.h - table rules (sinks.md 7): which schema.table is replicated.  Immutable after ml_filter_new; thread safe. */
#ifndef ML_WORKER_FILTER_FILTER_H
#define ML_WORKER_FILTER_FILTER_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capture-worker/event/rules.h"
#include "common/base/err.h"
#include "proto/shard.pb-c.h"

struct ml_filter;
/* From spec: filter_rules (empty = *.*), case_sensitive, ignore_txn_start_ts. */
int ml_filter_new(struct ml_filter **out, const Ml__ChangefeedSpec *spec, struct ml_err *err);
void ml_filter_free(struct ml_filter *f);
/* Rows of this table are replicated.  System schemas never are. */
bool ml_filter_table(const struct ml_filter *f, const char *db, size_t db_len, const char *table, size_t table_len);
bool ml_filter_db(const struct ml_filter *f, const char *db, size_t db_len);
/* The transaction with this start_ts is to be skipped, DML and DDL. */
bool ml_filter_ignores_txn(const struct ml_filter *f, uint64_t start_ts);
/*
 * A DDL is replicated if its action is one TiCDC sends (protocols.md 2.9) and its table (before or after; empty table: a
 * database DDL) passes: sinks.md 7.5.
 */
struct ml_ddl;
bool ml_filter_ddl(const struct ml_filter *f, const struct ml_ddl *ddl);
bool ml_filter_system_db(const char *db, size_t len); /* mysql, information_schema, performance_schema, sys, ... */
#endif
