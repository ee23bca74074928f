/*
 * literal.h - values as SQL text (sinks.md 3.2).  Text is UTF-8, what the session speaks; bytes have the introducer _binary,
 * so that no server takes them for text; numbers are bare, ENUM and SET by number.
 */
#ifndef ML_WORKER_SINK_MYSQL_LITERAL_H
#define ML_WORKER_SINK_MYSQL_LITERAL_H
#include <stdbool.h>

#include "capture-worker/event/row.h"
#include "common/base/buf.h"

enum sql_quoting {
	SQL_PLAIN_TEXT, /* quoted */
	SQL_BYTES,      /* _binary'...' */
};

/* Of a column's values that are bytes. */
enum sql_quoting sql_quoting_of(const struct ml_column *c);
/*
 * Appends d.  no_backslash: the session's sql_mode has NO_BACKSLASH_ESCAPES, so only the quote is doubled.  An absent value is
 * DEFAULT: the server's business.
 */
void sql_literal(struct ml_buf *out, const struct ml_datum *d, enum sql_quoting how, bool no_backslash);
/* Appends text in back-quotes, inner ones doubled. */
void sql_name(struct ml_buf *out, const char *s, size_t len);
/* Appends text in single quotes. */
void sql_text(struct ml_buf *out, const char *s, size_t len, bool no_backslash);
#endif
