/* feed_copy.c - rows of the initial copy between two groups of the log. */
#include "capture-worker/source/mysql/feed_int.h"

bool
ml_feed_copy_ready(const struct ml_feed *f)
{
	/* While the log is being read again the fold has its values from the journal and takes no new ones. */
	return !f->reader.open && !f->finished && !ml_journal_behind(f->journal) && f->fold.last >= f->discard_to &&
	       (f->target_ts == 0 || f->fold.last + 1 < f->target_ts);
}

int
ml_feed_copy_begin(struct ml_feed *f, ml_ts *ts, struct ml_err *err)
{
	uint64_t file = ml_binlog_number(f->reader.place.file);
	ml_ts next;

	ml_feed_hand_over(f, f->fold.last);
	if (f->stopped)
		return 0;
	/* Everything up to the last value has been promised: the rows get one of their own, which the journal keeps. */
	next = (f->fold.last > f->resolved ? f->fold.last : f->resolved) + 1;
	if (ml_journal_add(f->journal, ML_JOURNAL_TICK, file, f->reader.place.offset, next, next, err) < 0)
		return -1;
	f->fold.last = next;
	*ts = next;
	return 0;
}

void
ml_feed_copy_put(struct ml_feed *f, struct ml_batch *b, ml_ts ts)
{
	for (uint32_t i = 0; i < b->n_rows; i++) {
		b->rows[i].commit_ts = ts;
		b->rows[i].start_ts = ts - 1;
	}
	(void)ml_feed_emit_one(f, b);
}

void
ml_feed_copy_end(struct ml_feed *f)
{
	ml_feed_hand_over(f, f->fold.last);
}
