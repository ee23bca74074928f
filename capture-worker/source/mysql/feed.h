/*
 * feed.h - groups of the log to batches: timestamps by the fold, tables by the filter, rows by the mounter, DDL through the
 * tracked definitions, hand-over to the pipeline.
 *
 * A batch goes out when nothing more is ready on the connection, when it is full, or at a DDL.  One that ends at a group
 * boundary carries RESOLVED with the boundary's place, so what is stored with a checkpoint is always exactly its own place.
 * Batches full inside a group wait for its end up to a limit of memory, since a group may turn out to be cut off; beyond it
 * they go out early.
 */
#ifndef ML_WORKER_SOURCE_MYSQL_FEED_H
#define ML_WORKER_SOURCE_MYSQL_FEED_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "capture-worker/mounter/binlog.h"
#include "capture-worker/source/mysql/clock.h"
#include "capture-worker/source/mysql/fold.h"
#include "capture-worker/source/mysql/group.h"
#include "capture-worker/source/mysql/journal.h"
#include "capture-worker/source/mysql/schema_store.h"
#include "capture-worker/source/mysql/snapshot/snapshot.h"
#include "capture-worker/source/mysql/tables.h"
#include "capture-worker/source/mysql/xa.h"
#include "capture-worker/source/source.h"

struct ml_tz;

/* How many row changes and bytes a batch had at some moment, to cut it back to. */
struct ml_feed_mark {
	uint32_t n_rows, n_txns;
	uint64_t n_changes, bytes_in;
};

struct ml_savepoint {
	char name[65];
	size_t held; /* batches waiting then */
	struct ml_feed_mark mark;
};

struct ml_feed {
	/* Set by the owner before ml_feed_init; borrowed. */
	const struct ml_source_env *env;
	struct ml_clock *clock;
	struct ml_journal *journal;
	struct ml_xa *xa;
	struct ml_schema_store *store;
	const struct ml_tz *tz;
	const char *server; /* identity, for positions */
	ml_ts discard_to;   /* groups at or below it have been delivered */
	bool by_second;     /* the place was searched for a start_ts: what to discard is known by the second only */
	ml_ts target_ts;    /* 0: none */
	/*
	 * The log's end when this worker began.  An earlier one may have delivered what lies before it, with ticks only where the
	 * journal has them: one more would give the groups behind it other times when they are told again.
	 */
	uint64_t begun_file, begun_offset;
	bool drop_marked; /* bdr-mode: changes that a sink of ours wrote are passed over */
	/* Reads the stale definitions again; called when rows cannot be understood without. */
	int (*reread)(void *arg, struct ml_err *err);
	void *reread_arg;

	struct ml_reader reader;
	struct ml_fold fold;
	struct ml_tabs tabs;
	struct ml_tab *tab; /* last one used */
	struct ml_rows rows;
	struct ml_arena arena; /* of one TABLE_MAP */

	/* The open group. */
	uint64_t group; /* its number; counts up */
	ml_ts commit_ts;
	ml_ts last_before; /* fold.last if it turns out to be void */
	bool skip;         /* delivered already, ignored by the filter, or marked */
	bool marked;       /* a sink of ours wrote it, and drop_marked is set */
	bool preparing;    /* XA PREPARE: rows go to the store of prepared transactions */
	bool had_rows, had_ddl;
	bool partly_out;           /* part of it has been handed over */
	bool cut_partly_out;       /* a group that was cut off had been handed over in part */
	struct ml_feed_mark start; /* in the first batch that holds rows of it */
	struct ml_savepoint *savepoints;
	size_t n_savepoints, cap_savepoints;

	struct ml_batch *b;                 /* being filled; never NULL */
	uint64_t wanted_bytes;              /* of rows events in it */
	struct ml_batch *held, **held_tail; /* full ones of the open group */
	size_t n_held;
	uint64_t held_bytes;

	ml_ts resolved;       /* last one handed over */
	struct ml_place good; /* its place, and the fold there: where reading begins again */
	ml_ts good_last;
	bool good_read;                /* good was reached by reading: file and offset are this server's */
	uint32_t group_s;              /* header time of the newest closed group */
	uint64_t tick_us;              /* when the last tick was made, by the upstream's clock */
	uint64_t out_us;               /* when a batch was last handed over, monotonic */
	bool lingered;                 /* the owner has waited for more already */
	bool at_head;                  /* the newest thing heard was a heartbeat */
	bool finished;                 /* target_ts is reached and handed over */
	bool stopped;                  /* emit said so */
	uint64_t n_shapes, shapes[32]; /* hashes of unknown statements logged already */
	struct ml_buf gtid;            /* scratch */
	struct ml_snapshot *snap;      /* the initial copy; NULL: none is wanted.  The owner's */
	struct ml_buf copied;          /* how far it is, for each place to resume at */

	uint64_t events, bytes;                 /* of this thread */
	_Atomic uint64_t events_out, bytes_out; /* the same for others to read, at every hand-over */
};

void ml_feed_init(struct ml_feed *f);
void ml_feed_fini(struct ml_feed *f);
/* Reading begins at this place; last: the fold's value there. */
void ml_feed_start(struct ml_feed *f, const struct ml_place *place, ml_ts last);
/*
 * The stream broke: what has not been handed over is dropped, and reading goes on at f->good with a new stream, whose events
 * carry crc_len bytes of checksum before its first FORMAT_DESCRIPTION.
 */
void ml_feed_rewind(struct ml_feed *f, unsigned crc_len);
/* One event as ml_dump_next gives it.  Look at finished and stopped afterwards. */
int ml_feed_event(struct ml_feed *f, const uint8_t *p, uint32_t len, struct ml_err *err);
/* Nothing more is ready: whole groups are handed over. */
int ml_feed_drained(struct ml_feed *f, struct ml_err *err);
/*
 * Between groups: all that was committed before now_us, by the upstream's clock, lies before the place.  Whole groups are handed
 * over, with a RESOLVED of then.
 */
int ml_feed_head(struct ml_feed *f, uint64_t now_us, struct ml_err *err);
/* 1: target_ts lies at or before the start: its RESOLVED has been handed over, and nothing is to be read.  0; -1: as at its end. */
int ml_feed_done_before(struct ml_feed *f, struct ml_err *err);
/* True if whole groups wait to be handed over. */
bool ml_feed_waiting(const struct ml_feed *f);
/* Definitions changed: decoders are prepared anew. */
void ml_feed_redefined(struct ml_feed *f);
#endif
