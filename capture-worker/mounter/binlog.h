/*
 * binlog.h - rows events of the binary log to typed rows: WRITE, UPDATE, DELETE of versions 1 and 2, MariaDB's compressed ones,
 * MySQL's PARTIAL_UPDATE.
 *
 * A decoder is prepared once per TABLE_MAP body and definition; an event is then opened and read in as many pieces as the
 * batches want.  No allocation per row beyond the batch's arena, and none at all when rows are only counted.
 */
#ifndef ML_WORKER_MOUNTER_BINLOG_H
#define ML_WORKER_MOUNTER_BINLOG_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capture-worker/event/batch.h"
#include "capture-worker/mounter/rowdec.h"
#include "common/base/err.h"

/* Types of the common header that ml_rows_open takes. */
enum ml_rows_type {
	ML_EV_WRITE_V1 = 23,
	ML_EV_UPDATE_V1 = 24,
	ML_EV_DELETE_V1 = 25,
	ML_EV_WRITE_V2 = 30,
	ML_EV_UPDATE_V2 = 31,
	ML_EV_DELETE_V2 = 32,
	ML_EV_PARTIAL_UPDATE = 39,
	ML_EV_WRITE_COMPRESSED = 166,
	ML_EV_UPDATE_COMPRESSED = 167,
	ML_EV_DELETE_COMPRESSED = 168,
};

#define ML_ROWS_STMT_END 0x0001u      /* flags: last rows event of the statement */
#define ML_TABLE_ID_DUMMY 0x00FFFFFFu /* an event with this id only ends the statement: not for ml_rows_open */

static inline bool
ml_is_rows_event(uint8_t type)
{
	return (type >= 23 && type <= 25) || (type >= 30 && type <= 32) || type == 39 || (type >= 166 && type <= 168);
}

/* Flags of a rows event's body; 0 if it is too short. */
static inline uint16_t
ml_rows_flags(const uint8_t *body, size_t len)
{
	return len >= 8 ? (uint16_t)(body[6] | body[7] << 8) : 0;
}

struct ml_inflate;

/* An event being read, with buffers that are kept from event to event.  One per source. */
struct ml_rows {
	struct ml_rowdec *dec;
	const uint8_t *p, *end;       /* rows not read yet */
	uint8_t type;                 /* of the event */
	uint8_t op;                   /* enum ml_op */
	bool partial_json;            /* PARTIAL_UPDATE */
	bool full_before, full_after; /* every column is present in that image */
	const uint8_t *present[2];    /* bitmaps of the before and after image */
	uint16_t n_present[2];
	uint8_t *plain; /* rows of a compressed event; heap */
	size_t plain_cap;
	struct ml_inflate *inflate; /* NULL until the first compressed event */
	void (*where)(void *arg, char *buf, size_t size);
	void *where_arg;
};

/* where: prints the position of the event being read ("mariadb-bin.000001:4711"), called for error texts only. */
void ml_rows_init(struct ml_rows *r, void (*where)(void *arg, char *buf, size_t size), void *arg);
void ml_rows_fini(struct ml_rows *r);

/*
 * Begins a rows event: type of its header, body without header and checksum.  body must stay until the event is read to its
 * end or another one is opened.  -1: ErrMySQLEventCorrupt; ErrMySQLRowImagePartial when columns are missing that the other
 * image does not supply (an after image may leave out unchanged columns: FULL_NODUP).
 */
int ml_rows_open(
	struct ml_rows *r, struct ml_rowdec *dec, uint8_t type, const uint8_t *body, size_t len, struct ml_err *err);

struct ml_rows_want {
	ml_ts commit_ts, start_ts;
	bool values;       /* false: rows are walked and counted into b->n_changes, none is built */
	uint32_t max_rows; /* stop when this call has added so many; 0: no limit */
	size_t max_bytes; /* stop when this call has read so many bytes of the event (it always reads a row); 0: no limit */
};

/*
 * Adds the event's next rows to b (rows, datums and text in its arena, schema pinned; b->n_changes counted; topic NULL,
 * partition 0).  1: the event has more; 0: it is read to the end; -1: ErrMySQLEventCorrupt, b may hold rows before it.
 */
int ml_rows_next(struct ml_rows *r, struct ml_batch *b, const struct ml_rows_want *want, struct ml_err *err);
#endif
