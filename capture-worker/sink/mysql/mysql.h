/* mysql.h - rows into MySQL, MariaDB or TiDB (docs/sinks.md). */
#ifndef ML_WORKER_SINK_MYSQL_MYSQL_H
#define ML_WORKER_SINK_MYSQL_MYSQL_H
#include "capture-worker/sink/sink.h"

extern const struct ml_sink_ops ml_sink_mysql;
#endif
