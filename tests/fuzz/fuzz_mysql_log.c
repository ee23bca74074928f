/* fuzz_mysql_log.c - as fuzz_binlog_event.c, for what MySQL writes. */
#define FUZZ_FLAVOR ML_MYSQL
#include "tests/fuzz/fuzz_binlog_event.c"
