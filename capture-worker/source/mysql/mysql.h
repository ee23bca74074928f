/* mysql.h - the source that follows the binary log of a MariaDB or MySQL server (mysql-upstream.md). */
#ifndef ML_WORKER_SOURCE_MYSQL_MYSQL_H
#define ML_WORKER_SOURCE_MYSQL_MYSQL_H
#include "capture-worker/source/source.h"

extern const struct ml_source_ops ml_source_mysql;
#endif
