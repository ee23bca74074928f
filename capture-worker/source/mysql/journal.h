/*
 * journal.h - what influenced the fold and is not in the log: ticks and clamps, so that a group that is read again gets the
 * commit_ts it had (mysql-upstream.md 6.5).
 *
 * One file, state_dir/fold.journal: a header that names the log (server and base name of its files), then fixed records, each
 * written before its tick is shown to anybody.  Records at or below a durable checkpoint are of no use and go when the file
 * has grown.  Nothing is synced to disk: the checkpoint record carries the fold's value itself, so a tail that a power cut
 * takes away can only give groups behind the checkpoint other values when they are repeated, above the checkpoint still.
 *
 * The source's thread only, but for ml_journal_saved.
 */
#ifndef ML_WORKER_SOURCE_MYSQL_JOURNAL_H
#define ML_WORKER_SOURCE_MYSQL_JOURNAL_H
#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/ts.h"

enum ml_journal_kind {
	ML_JOURNAL_TICK = 1, /* value: ts that `last` was raised to at this boundary */
	ML_JOURNAL_CLAMP =
		2, /* value: microseconds taken instead of the time of the group that starts at this boundary */
};

struct ml_journal;

/*
 * Opens or makes the file.  log: identity of the log; records of another one are dropped.  A torn or damaged tail is cut off.
 * ErrIO.
 */
int ml_journal_open(struct ml_journal **out, const char *dir, const char *log, struct ml_err *err);
void ml_journal_close(struct ml_journal *j); /* NULL is fine */
/* Appends a record for the boundary (file number, offset).  ts: the fold's value with it, decides when the record may go. */
int ml_journal_add(struct ml_journal *j, enum ml_journal_kind kind, uint64_t file, uint64_t offset, uint64_t value,
	ml_ts ts, struct ml_err *err);
/* Reading the log goes on from this boundary: what was recorded at it or later is to be replayed. */
void ml_journal_seek(struct ml_journal *j, uint64_t file, uint64_t offset);
/*
 * The reader stands at this boundary, and everything that will be folded lies behind it: raises *last by the ticks recorded up
 * to here.  Returns the clamp of the group that starts here, microseconds; 0: none.
 */
uint64_t ml_journal_pass(struct ml_journal *j, uint64_t file, uint64_t offset, ml_ts *last);
/* True while records lie ahead of the reader: the log is being read again. */
bool ml_journal_behind(const struct ml_journal *j);
/* The checkpoint is durable; from any thread. */
void ml_journal_saved(struct ml_journal *j, ml_ts checkpoint_ts);
#endif
