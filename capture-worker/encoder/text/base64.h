/* base64.h - base64 of bytes, standard alphabet, padded, no line breaks (protocols.md 3.3). */
#ifndef ML_WORKER_ENCODER_TEXT_BASE64_H
#define ML_WORKER_ENCODER_TEXT_BASE64_H
#include <stddef.h>

#include "capture-worker/event/msg.h"

void ml_base64(struct ml_out *o, const void *s, size_t n);
#endif
