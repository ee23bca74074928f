/*
 * log.h - one line a record, written with one write(2) to fd 2:
 *
 *   2026-11-25T03:12:24.123Z INFO  worker[4711] cf1/0: checkpoint advanced checkpoint_ts=445644800000000001 lag_ms=12
 *
 * process[pid], then the object the line is about (changefeed/shard, a child's name, "-"), the message, key=value pairs.
 * Control characters in the text are escaped, so that a row's content can never forge a line.  Never give it a secret: URIs
 * go through ml_uri_mask first.
 */
#ifndef ML_COMMON_RUN_LOG_H
#define ML_COMMON_RUN_LOG_H
#include <stdbool.h>

#include "common/base/err.h"

enum ml_level { ML_DEBUG, ML_INFO, ML_WARN, ML_ERROR, ML_FATAL };

extern int ml_log_level; /* lowest level written; read without a lock */

void ml_log_init(const char *process); /* e.g. "supervisor", "gateway", "worker"; static text */
/* "debug info warn warning error dpanic panic fatal", any case; empty = info.  0, or -1 if unknown. */
int ml_log_parse_level(const char *name, enum ml_level *level);
const char *ml_level_name(enum ml_level level);
void ml_log_set_level(enum ml_level level);
void ml_log_write(enum ml_level level, const char *object, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Logs err with its code, text, context and library code. */
void ml_log_err(enum ml_level level, const char *object, const struct ml_err *err, const char *what);

#define ML_LOG(level, object, ...)                                                                                     \
	do {                                                                                                           \
		if ((int)(level) >= __atomic_load_n(&ml_log_level, __ATOMIC_RELAXED))                                  \
			ml_log_write((level), (object), __VA_ARGS__);                                                  \
	} while (0)
#define ml_debug(object, ...) ML_LOG(ML_DEBUG, (object), __VA_ARGS__)
#define ml_info(object, ...) ML_LOG(ML_INFO, (object), __VA_ARGS__)
#define ml_warn(object, ...) ML_LOG(ML_WARN, (object), __VA_ARGS__)
#define ml_error(object, ...) ML_LOG(ML_ERROR, (object), __VA_ARGS__)
#endif
