/*
 * group.h - the rows of a batch per (topic, partition), for protocols whose records hold several rows (protocols.md 4.3).
 * Rows of different tables and transactions share a group; their order in it is the batch's.
 */
#ifndef ML_WORKER_ENCODER_GROUP_H
#define ML_WORKER_ENCODER_GROUP_H
#include <stdint.h>

#include "capture-worker/event/batch.h"

#define ML_GROUP_END UINT32_MAX
/* Rows of a group that the reference puts into one record where the protocol itself knows no number. */
#define ML_GROUP_ROWS 2048

/* A chain of rows: first, then next[] of each, up to ML_GROUP_END. */
struct ml_group {
	const struct ml_topic *topic;
	int32_t partition;
	uint32_t first, last; /* indexes into the batch's rows */
	uint32_t n_rows;
};

/* Zeroed is empty.  Keeps its memory from batch to batch. */
struct ml_groups {
	struct ml_group *groups; /* n of them, in the order of their first rows */
	uint32_t n;
	uint32_t *next;  /* per row: the next one of its group, or ML_GROUP_END */
	uint32_t *slots; /* hash of groups: index + 1, 0 is free */
	uint32_t cap_rows, n_slots;
	size_t row_bytes; /* of the last group's messages */
};

/* Sorts b's rows into groups; a row whose images have no column left belongs to none (protocols.md 2.1). */
void ml_groups_make(struct ml_groups *gs, const struct ml_batch *b);
void ml_groups_fini(struct ml_groups *gs);

/*
 * How much room a group's messages are likely to need, by what the last group's rows took: taken at once, so that the text need
 * not move while it grows.  Never more than a recycled batch keeps anyway.
 */
size_t ml_group_room(const struct ml_groups *gs, const struct ml_group *g);
/* What b's messages from first on took. */
void ml_group_learn(struct ml_groups *gs, const struct ml_batch *b, uint32_t first);
#endif
