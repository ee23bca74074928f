#include "capture-worker/source/mysql/feed.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "capture-worker/event/mark.h"
#include "capture-worker/filter/filter.h"
#include "capture-worker/source/mysql/feed_int.h"
#include "common/run/log.h"

/* A tick under load, so that sources with whole seconds in their log show finer lag (mysql-upstream.md 6.4). */
#define LOADED_TICK_US 200000u
/* The newest group is at most this old: then we are caught up, and the present is a fair stamp for what comes next. */
#define CAUGHT_UP_US 2000000u

static uint64_t
mono_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

struct ml_feed_mark
ml_feed_mark_now(const struct ml_feed *f)
{
	return (struct ml_feed_mark){
		.n_rows = f->b->n_rows,
		.n_txns = f->b->n_txns,
		.n_changes = f->b->n_changes,
		.bytes_in = f->b->bytes_in,
	};
}

int
ml_feed_emit_one(struct ml_feed *f, struct ml_batch *b)
{
	if (f->stopped) {
		ml_batch_free(b);
		return -1;
	}
	f->out_us = mono_us();
	atomic_store_explicit(&f->events_out, f->events, memory_order_relaxed);
	atomic_store_explicit(&f->bytes_out, f->bytes, memory_order_relaxed);
	if (f->env->emit(f->env->arg, b) < 0) {
		f->stopped = true;
		return -1;
	}
	return 0;
}

static int
emit_held(struct ml_feed *f)
{
	while (f->held != NULL) {
		struct ml_batch *b = f->held;

		f->held = b->next;
		b->next = NULL;
		f->n_held--;
		if (ml_feed_emit_one(f, b) < 0)
			break;
	}
	if (f->held == NULL) {
		f->held_tail = &f->held;
		f->held_bytes = 0;
	}
	return f->stopped ? -1 : 0;
}

int
ml_feed_emit(struct ml_feed *f)
{
	struct ml_batch *b = f->b;

	if (emit_held(f) < 0)
		return -1;
	f->b = ml_batch_new();
	f->wanted_bytes = 0;
	return ml_feed_emit_one(f, b);
}

int
ml_feed_full(struct ml_feed *f)
{
	f->held_bytes += f->b->bytes_in;
	*f->held_tail = f->b;
	f->held_tail = &f->b->next;
	f->n_held++;
	f->b = ml_batch_new();
	f->wanted_bytes = 0;
	if (f->held_bytes <= ML_FEED_HOLD_BYTES)
		return 0;
	f->partly_out = true;
	/* Savepoints from before cannot be returned to any more, which ml_feed_cut tells by partly_out. */
	return emit_held(f);
}

int
ml_feed_cut(struct ml_feed *f, size_t held, const struct ml_feed_mark *mark)
{
	struct ml_batch *b, **p = &f->held;

	if (f->partly_out)
		return -1;
	if (f->snap != NULL)
		ml_snapshot_void(f->snap);
	for (size_t i = 0; i < held; i++)
		p = &(*p)->next;
	if (*p != NULL) {
		/* The mark is in a batch that is waiting: it becomes the current one again, those behind it go. */
		struct ml_batch *next;

		b = *p;
		*p = NULL;
		f->held_tail = p;
		f->n_held = held;
		ml_batch_free(f->b);
		f->b = b;
		for (b = b->next; b != NULL; b = next) {
			next = b->next;
			ml_batch_free(b);
		}
		f->b->next = NULL;
		f->held_bytes = 0;
		for (b = f->held; b != NULL; b = b->next)
			f->held_bytes += b->bytes_in;
	}
	f->b->n_rows = mark->n_rows;
	f->b->n_txns = mark->n_txns;
	f->b->n_changes = mark->n_changes;
	return 0;
}

void
ml_feed_decide(struct ml_feed *f)
{
	f->skip = f->marked || f->commit_ts <= f->discard_to || ml_filter_ignores_txn(f->env->filter, f->commit_ts - 1);
}

void
ml_feed_hand_over(struct ml_feed *f, ml_ts ts)
{
	const struct ml_place *place = &f->reader.place;
	Ml__Position pos = ML__POSITION__INIT;

	ml_place_copy(&f->good, place);
	f->good_last = f->fold.last;
	if (ts <= f->resolved && f->b->n_changes == 0) {
		f->b->bytes_in = 0; /* groups read again that were delivered before */
		return;
	}
	ml_buf_clear(&f->gtid);
	ml_place_print_gtids(place, &f->gtid);
	pos.flavor = (char *)(f->reader.flavor == ML_MARIADB ? "mariadb" : "mysql");
	pos.server = (char *)f->server;
	pos.file = (char *)place->file;
	pos.offset = place->offset;
	pos.gtid = f->gtid.len > 0 ? f->gtid.data : (char *)"";
	pos.last_ts = ts > f->fold.last ? ts : f->fold.last;
	pos.copied = (ProtobufCBinaryData){ .len = f->copied.len, .data = (uint8_t *)f->copied.data };
	pos.time_us = ml_clock_now_us(f->clock);
	f->b->barrier = (struct ml_barrier){
		.kind = ML_BAR_RESOLVED,
		.ts = ts,
		.position = ml_batch_position(f->b, &pos),
	};
	f->resolved = ts;
	f->good_read = true;
	(void)ml_feed_emit(f);
}

/* Everything up to target_ts has been read.  -1: rows of the initial copy are missing, which no chunk can bring any more. */
static int
finish(struct ml_feed *f, struct ml_err *err)
{
	if (f->snap != NULL && ml_snapshot_busy(f->snap))
		return ML_ERR(err, ErrSnapshotUnfinished, 0, (unsigned long long)f->target_ts);
	f->finished = true;
	ml_feed_hand_over(f, f->target_ts);
	return 0;
}

static int
on_open(void *arg, const struct ml_ev_gtid *id, uint32_t timestamp, struct ml_err *err)
{
	struct ml_feed *f = arg;
	uint64_t file = ml_binlog_number(f->reader.place.file), phys_us, clamp;
	uint64_t own_ms, grain_ms = id->time_us != 0 ? 1 : 1000;
	bool clamped;

	if (f->cut_partly_out) {
		char at[400];

		return ML_ERRF(err, ErrMySQLIncident, 0,
			"the source crashed while it wrote a large transaction before %s, which had been delivered in part; "
			"re-create the changefeed",
			ml_reader_at(&f->reader, at, sizeof(at)));
	}
	/* MySQL's log has the time to the microsecond, and a replica's that of the commit on its primary. */
	phys_us = id->time_us != 0 ? id->time_us : (uint64_t)timestamp * 1000000;
	own_ms = phys_us / 1000;
	f->last_before = f->fold.last;
	clamp = ml_journal_pass(f->journal, file, f->reader.place.offset, &f->fold.last);
	if (clamp != 0) {
		phys_us = clamp;
	} else if (phys_us / 1000 > ml_ts_ms(f->fold.last)) {
		/* Only a time ahead of the fold can be a time ahead of the clock; the others need no look at it. */
		phys_us = ml_fold_clamp(phys_us, ml_clock_now_us(f->clock), &clamped);
		if (clamped && ml_journal_add(f->journal, ML_JOURNAL_CLAMP, file, f->reader.place.offset, phys_us,
				       ml_ts_from_ms(phys_us / 1000), err) < 0)
			return -1;
	}
	if (f->by_second && own_ms / grain_ms >= ml_ts_ms(f->discard_to) / grain_ms) {
		/* Committed before or after start_ts within its second (MySQL: millisecond), nobody can tell: from here on all is delivered. */
		f->by_second = false;
		if (f->fold.last < f->discard_to)
			f->fold.last = f->last_before = f->discard_to;
	}
	f->commit_ts = ml_fold_group(&f->fold, phys_us);
	f->group++;
	f->at_head = false;
	f->had_rows = f->had_ddl = f->partly_out = false;
	f->n_savepoints = 0;
	f->start = ml_feed_mark_now(f);
	if (f->target_ts != 0 && f->commit_ts > f->target_ts) {
		f->fold.last = f->last_before;
		return finish(f, err);
	}
	f->marked = f->drop_marked && id->gtid.server == ML_MARK_SERVER_ID;
	ml_feed_decide(f);
	f->preparing = (id->flags & ML_GTIDF_XA_PREPARE) != 0;
	return f->preparing ? ml_xa_begin(f->xa, &id->xid, err) : 0;
}

static void
on_discard(void *arg)
{
	struct ml_feed *f = arg;
	char at[400];

	ml_warn(f->env->object, "dropped a transaction that its server did not finish writing at=%s",
		ml_reader_at(&f->reader, at, sizeof(at)));
	if (f->partly_out)
		f->cut_partly_out = true;
	else
		(void)ml_feed_cut(f, 0, &f->start);
	f->fold.last = f->last_before;
	ml_xa_abandon(f->xa);
}

static bool
is_full(const struct ml_feed *f)
{
	return f->b->n_rows >= ML_FEED_BATCH_ROWS || f->wanted_bytes >= ML_FEED_BATCH_BYTES ||
	       f->b->bytes_in >= ML_FEED_BATCH_LOG_BYTES;
}

static int
on_close(void *arg, enum ml_group_end how, struct ml_err *err)
{
	struct ml_feed *f = arg;
	char at[400];

	/* MySQL's XA COMMIT .. ONE PHASE: what looked like a prepare was the whole of it. */
	if (how == ML_GROUP_COMMIT && f->preparing && ml_feed_one_phase(f, err) < 0)
		return -1;
	if (how == ML_GROUP_PREPARED && f->preparing && ml_xa_prepared(f->xa, err) < 0)
		return -1;
	/*
	 * With row format MariaDB logs changes of non-transactional tables as groups of their own, so what stands in a group
	 * that ends with ROLLBACK is transactional, unless the group says that it is not.
	 */
	if (how == ML_GROUP_ROLLBACK && f->had_rows && (f->reader.id.flags & ML_GTIDF_TRANSACTIONAL) != 0) {
		if (ml_feed_cut(f, 0, &f->start) < 0)
			return ML_ERRF(err, ErrMySQLIncident, 0,
				"the large transaction before %s was rolled back after it had been delivered in part; re-create the "
				"changefeed",
				ml_reader_at(&f->reader, at, sizeof(at)));
		f->had_rows = false;
	}
	ml_xa_abandon(f->xa);
	f->preparing = false;
	f->group_s = f->reader.current->timestamp;
	if (f->had_rows || f->had_ddl)
		f->b->n_txns++;
	/* What waited goes out with its end, so that nobody has to be sent it again. */
	if (f->held != NULL || f->partly_out || f->had_ddl || is_full(f))
		ml_feed_hand_over(f, f->fold.last);
	return 0;
}

/* Raises the fold to the present: nothing older can follow. */
static int
tick(struct ml_feed *f, uint64_t now_us, struct ml_err *err)
{
	uint64_t file = ml_binlog_number(f->reader.place.file);
	ml_ts before = f->fold.last;

	if (!ml_fold_tick(&f->fold, now_us))
		return 0;
	if (ml_journal_add(f->journal, ML_JOURNAL_TICK, file, f->reader.place.offset, f->fold.last, f->fold.last, err) <
		0) {
		f->fold.last = before;
		return -1;
	}
	f->tick_us = now_us;
	return 1;
}

int
ml_feed_head(struct ml_feed *f, uint64_t now_us, struct ml_err *err)
{
	uint64_t file = ml_binlog_number(f->reader.place.file);

	(void)ml_journal_pass(f->journal, file, f->reader.place.offset, &f->fold.last);
	if (tick(f, now_us, err) < 0)
		return -1;
	ml_xa_sweep(f->xa);
	if (f->target_ts != 0 && f->fold.last >= f->target_ts)
		return finish(f, err);
	if (f->fold.last > f->resolved || f->b->n_changes > 0)
		ml_feed_hand_over(f, f->fold.last);
	return 0;
}

static int
on_head(void *arg, struct ml_err *err)
{
	struct ml_feed *f = arg;

	f->at_head = true;
	return ml_feed_head(f, ml_clock_now_us(f->clock), err);
}

static void
on_file(void *arg)
{
	struct ml_feed *f = arg;

	f->tab = NULL;
	ml_tabs_clear(&f->tabs);
}

static const struct ml_group_ops group_ops = {
	.open = on_open,
	.map = ml_feed_on_map,
	.rows = ml_feed_on_rows,
	.statement = ml_feed_on_statement,
	.close = on_close,
	.discard = on_discard,
	.head = on_head,
	.file = on_file,
};

static void
where(void *arg, char *buf, size_t size)
{
	struct ml_feed *f = arg;

	(void)ml_reader_at(&f->reader, buf, size);
}

void
ml_feed_init(struct ml_feed *f)
{
	ml_reader_init(&f->reader, &group_ops, f);
	ml_rows_init(&f->rows, where, f);
	ml_arena_init(&f->arena, 0);
	f->b = ml_batch_new();
	f->held_tail = &f->held;
}

static void
drop_held(struct ml_feed *f)
{
	while (f->held != NULL) {
		struct ml_batch *b = f->held;

		f->held = b->next;
		ml_batch_free(b);
	}
	f->held_tail = &f->held;
	f->n_held = 0;
	f->held_bytes = 0;
}

void
ml_feed_fini(struct ml_feed *f)
{
	drop_held(f);
	ml_batch_free(f->b);
	ml_rows_fini(&f->rows);
	ml_tabs_fini(&f->tabs);
	ml_arena_fini(&f->arena);
	ml_reader_fini(&f->reader);
	ml_place_fini(&f->good);
	ml_buf_fini(&f->gtid);
	ml_buf_fini(&f->copied);
	free(f->savepoints);
}

void
ml_feed_start(struct ml_feed *f, const struct ml_place *place, ml_ts last)
{
	ml_place_copy(&f->good, place);
	f->good_last = last;
	/* A checkpoint's place carries the checkpoint itself as the fold's value. */
	f->by_second = last < f->discard_to;
	f->resolved = f->discard_to > last ? f->discard_to : last;
}

void
ml_feed_rewind(struct ml_feed *f, unsigned crc_len)
{
	drop_held(f);
	if (f->snap != NULL)
		ml_snapshot_void(f->snap);
	ml_batch_free(f->b);
	f->b = ml_batch_new();
	f->wanted_bytes = 0;
	ml_xa_abandon(f->xa);
	f->fold.last = f->good_last;
	f->by_second = f->good_last < f->discard_to;
	f->at_head = false;
	f->cut_partly_out = false;
	ml_journal_seek(f->journal, ml_binlog_number(f->good.file), f->good.offset);
	ml_reader_start(&f->reader, &f->good, crc_len);
}

int
ml_feed_event(struct ml_feed *f, const uint8_t *p, uint32_t len, struct ml_err *err)
{
	f->events++;
	f->bytes += len;
	f->b->bytes_in += len;
	return ml_reader_feed(&f->reader, p, len, err);
}

bool
ml_feed_waiting(const struct ml_feed *f)
{
	return !f->reader.open && !f->finished && (f->b->n_changes > 0 || f->fold.last > f->resolved);
}

/* The log is being read where an earlier worker may have read it. */
static bool
read_before(const struct ml_feed *f)
{
	const struct ml_reader *r = &f->reader;
	uint64_t file = ml_binlog_number(r->place.file);

	return r->fresh || file < f->begun_file || (file == f->begun_file && r->place.offset < f->begun_offset) ||
	       ml_journal_behind(f->journal);
}

int
ml_feed_drained(struct ml_feed *f, struct ml_err *err)
{
	uint64_t now;

	if (!ml_feed_waiting(f))
		return 0;
	now = ml_clock_now_us(f->clock);
	if (now < (uint64_t)f->group_s * 1000000 + CAUGHT_UP_US && now >= f->tick_us + LOADED_TICK_US &&
		!read_before(f) && tick(f, now, err) < 0)
		return -1;
	if (f->target_ts != 0 && f->fold.last >= f->target_ts)
		return finish(f, err);
	ml_feed_hand_over(f, f->fold.last);
	return 0;
}

int
ml_feed_done_before(struct ml_feed *f, struct ml_err *err)
{
	if (f->target_ts == 0 || f->resolved < f->target_ts)
		return 0;
	ml_feed_rewind(f, 0);
	f->resolved = f->target_ts - 1;
	return finish(f, err) < 0 ? -1 : 1;
}

void
ml_feed_redefined(struct ml_feed *f)
{
	f->tabs.generation++;
}
