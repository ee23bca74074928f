/*
 * unit.h - what is committed together downstream at least: the rows that one batch holds of one upstream transaction.
 *
 * Units and everything that hangs on them live in their batch's arena; the batch is freed, and said to be durable, when its
 * last unit has been committed.
 */
#ifndef ML_WORKER_SINK_MYSQL_UNIT_H
#define ML_WORKER_SINK_MYSQL_UNIT_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "capture-worker/event/batch.h"
#include "common/base/list.h"

struct sql_unit;

/* One key of a unit in the conflict detector's table. */
struct sql_node {
	uint64_t hash;
	struct sql_unit *unit;
	struct sql_node *next, **at; /* of its slot; at NULL: a later unit took the place over, or it is finished */
};

struct sql_wait {
	struct sql_unit *unit;
	struct sql_wait *next;
};

/* A batch and how many of its units are not committed yet. */
struct sql_parcel {
	struct ml_batch *b;
	uint64_t seq;
	atomic_uint units;
	struct ml_list in; /* the engine's list */
};

enum {
	SQL_WORKER_ANY = -1,   /* nobody before it: any worker will do */
	SQL_WORKER_MIXED = -2, /* those before it went to different workers */
};

struct sql_unit {
	struct sql_unit *next; /* of a worker's queue, or of the detector's ready list */
	struct sql_parcel *parcel;
	/* Made of pieces from several batches: the first of them, each with a parcel of its own; of a piece: the next one. */
	struct sql_unit *piece;
	const struct ml_row *rows;
	uint32_t n_rows;
	bool fresh;        /* surely never written before: INSERT and UPDATE as they are */
	bool queued;       /* it has left the detector: on the ready list or beyond */
	bool assigned;     /* a worker has it */
	uint64_t since_us; /* taken over; once it is assigned: since when */
	/* The keys of row i: hashes[first[i]] up to hashes[first[i + 1]]. */
	const uint64_t *hashes;
	const uint32_t *first;

	/* The detector's. */
	struct sql_node *nodes; /* room for all hashes */
	struct sql_wait *waits; /* the same; one in the list of each unit that it waits for */
	uint32_t n_nodes;
	uint32_t n_waits;
	uint32_t unfinished, unassigned; /* units that it waits for */
	int32_t worker;                  /* of the assigned ones of them; SQL_WORKER_... */
	uint64_t stamp;                  /* of the last unit that found it */
	struct sql_wait *waiters, **waiters_tail;
};
#endif
