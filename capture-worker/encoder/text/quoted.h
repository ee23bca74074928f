/*
 * quoted.h - the quoted form in which open-protocol carries BINARY and VARBINARY (protocols.md 3.3): Go's string literal
 * without its quotes, then JSON-escaped with profile S, so that every backslash doubles.
 */
#ifndef ML_WORKER_ENCODER_TEXT_QUOTED_H
#define ML_WORKER_ENCODER_TEXT_QUOTED_H
#include <stddef.h>

#include "capture-worker/event/msg.h"

void ml_quoted(struct ml_out *o, const char *s, size_t n);
#endif
