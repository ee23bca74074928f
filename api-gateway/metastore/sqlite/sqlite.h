/* sqlite.h - metadata store in <data-dir>/meta.db: SQLite in WAL mode, synchronous=FULL, written from a thread of its own. */
#ifndef ML_API_GATEWAY_METASTORE_SQLITE_SQLITE_H
#define ML_API_GATEWAY_METASTORE_SQLITE_SQLITE_H
#include "api-gateway/metastore/metastore.h"

extern const struct ml_meta_ops ml_meta_sqlite;
#endif
