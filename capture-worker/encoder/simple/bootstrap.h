/*
 * bootstrap.h - which tables are to be described again (protocols.md 12.5): before a table's first row, then when so many rows or
 * seconds have passed, looked at every 5 s.  A table without rows for 30 minutes is forgotten.  Times are given, in ms.
 */
#ifndef ML_WORKER_ENCODER_SIMPLE_BOOTSTRAP_H
#define ML_WORKER_ENCODER_SIMPLE_BOOTSTRAP_H
#include <stdbool.h>
#include <stdint.h>

#include "capture-worker/event/schema.h"

struct ml_topic;

struct sm_bootstrap_table {
	int64_t table_id;
	struct ml_schema *schema; /* the newest that rows had; a reference */
	const struct ml_topic *topic;
	uint64_t sent_ms, seen_ms;
	uint64_t rows; /* since the last one was sent */
};

struct sm_bootstraps {
	uint64_t interval_ms, every_rows;
	uint64_t looked_ms, swept_ms;      /* 0: never yet */
	struct sm_bootstrap_table **slots; /* hash by table_id; NULL: free */
	uint32_t n, n_slots;
	struct sm_bootstrap_table *last; /* of the row before; NULL after a change of the hash */
};

/* interval_s, every_rows: > 0. */
void sm_bootstraps_init(struct sm_bootstraps *bs, int64_t interval_s, int64_t every_rows);
void sm_bootstraps_fini(struct sm_bootstraps *bs);
/* A row of s goes to topic.  True: its table must be described first, which is taken as done. */
bool sm_bootstrap_row(struct sm_bootstraps *bs, struct ml_schema *s, const struct ml_topic *topic, uint64_t now_ms);
/* Calls due for every table that is due by now, which is taken as done; forgets tables. */
void sm_bootstraps_look(
	struct sm_bootstraps *bs, uint64_t now_ms, void (*due)(void *arg, struct sm_bootstrap_table *t), void *arg);
#endif
