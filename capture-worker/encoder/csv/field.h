/*
 * field.h - one field of a csv line (protocols.md 10.3).  With a quote character a string stands between two of them and has
 * its own ones doubled; without, CR, LF, backslashes and every delimiter in it are escaped with backslashes.
 */
#ifndef ML_WORKER_ENCODER_CSV_FIELD_H
#define ML_WORKER_ENCODER_CSV_FIELD_H
#include <stddef.h>

#include "capture-worker/encoder/options.h"
#include "capture-worker/event/msg.h"

/* Any bytes, of any length. */
void csv_string(struct ml_out *o, const struct ml_csv_opts *c, const char *s, size_t n);
/* The same for bytes that are no text: base64, or hex in lower case. */
void csv_binary(struct ml_out *o, const struct ml_csv_opts *c, const char *s, size_t n);
#endif
