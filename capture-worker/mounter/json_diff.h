/*
 * json_diff.h - the JSON diffs of MySQL's PARTIAL_UPDATE_ROWS (binlog_row_value_options=PARTIAL_JSON): a binary document and
 * changes of places in it to the binary document after them.
 */
#ifndef ML_WORKER_MOUNTER_JSON_DIFF_H
#define ML_WORKER_MOUNTER_JSON_DIFF_H
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"

/*
 * The document of n bytes at doc with the diffs of diff_len bytes applied in order; in the arena, *out_len bytes.  NULL if
 * either cannot be read or a path leads nowhere.
 */
const uint8_t *ml_json_diff_apply(
	struct ml_arena *a, const uint8_t *doc, size_t n, const uint8_t *diffs, size_t diff_len, size_t *out_len);
#endif
