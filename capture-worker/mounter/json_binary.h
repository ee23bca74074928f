/* json_binary.h - MySQL's binary JSON (type 245) to the text that the server prints for it. */
#ifndef ML_WORKER_MOUNTER_JSON_BINARY_H
#define ML_WORKER_MOUNTER_JSON_BINARY_H
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"

/*
 * Text of the document of n bytes at p, in the arena, *out_len bytes; NULL if it cannot be one.  An empty document is "null":
 * such come from INSERT IGNORE.  A document cut short, as servers before 5.7.22 logged for generated columns, is not one.
 */
const char *ml_json_binary_text(struct ml_arena *a, const uint8_t *p, size_t n, size_t *out_len);
#endif
