#include "capture-worker/source/mysql/group.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "capture-worker/mounter/binlog.h"

#define HALF_4G (UINT64_C(1) << 31)
#define STEP_4G (UINT64_C(1) << 32)

void
ml_place_fini(struct ml_place *p)
{
	ml_gtid_list_fini(&p->gtids);
	*p = (struct ml_place){ 0 };
}

void
ml_place_copy(struct ml_place *to, const struct ml_place *from)
{
	memcpy(to->file, from->file, sizeof(to->file));
	to->offset = from->offset;
	ml_gtid_list_copy(&to->gtids, &from->gtids);
}

void
ml_reader_init(struct ml_reader *r, const struct ml_group_ops *ops, void *arg)
{
	*r = (struct ml_reader){ .ops = ops, .arg = arg };
	ml_arena_init(&r->arena, 0);
}

void
ml_reader_fini(struct ml_reader *r)
{
	ml_place_fini(&r->place);
	ml_arena_fini(&r->arena);
	ml_buf_fini(&r->scratch);
}

void
ml_reader_start(struct ml_reader *r, const struct ml_place *place, unsigned crc_len)
{
	ml_place_copy(&r->place, place);
	r->open = false;
	r->fresh = r->check_next = true;
	r->pending_bytes = 0;
	r->crc_len = crc_len;
	r->ops->file(r->arg);
}

const char *
ml_reader_at(const struct ml_reader *r, char *buf, size_t size)
{
	if (r->open)
		snprintf(buf, size, "%s:%" PRIu64 " (GTID %" PRIu32 "-%" PRIu32 "-%" PRIu64 ")", r->place.file,
			r->place.offset, r->id.gtid.domain, r->id.gtid.server, r->id.gtid.seq);
	else
		snprintf(buf, size, "%s:%" PRIu64, r->place.file, r->place.offset);
	return buf;
}

static int
corrupt(const struct ml_reader *r, const struct ml_ev *e, struct ml_err *err)
{
	char at[400];

	return ML_ERR(err, ErrMySQLEventCorrupt, 0, e->type, ml_reader_at(r, at, sizeof(at)), ml_ev_name(e->type));
}

static int
damaged(const struct ml_reader *r, const struct ml_ev *e, struct ml_err *err)
{
	char at[400];

	return ML_ERR(err, ErrMySQLEventCorrupt, 0, e->type, ml_reader_at(r, at, sizeof(at)),
		"its checksum is wrong, so it was damaged on disk or on the way");
}

/* Artificial events and heartbeats are not in the file. */
static bool
in_file(const struct ml_ev *e)
{
	return e->timestamp != 0 && (e->flags & ML_EVF_ARTIFICIAL) == 0;
}

/*
 * Of some kinds the server makes events up for the stream, and not every one adds a checksum to all of them; they hold no
 * changes.  A FORMAT_DESCRIPTION tells itself whether it has one.
 */
static bool
may_lack_crc(const struct ml_ev *e)
{
	switch (e->type) {
	case ML_EV_FORMAT:
	case ML_EV_MARIA_START_ENCRYPTION:
		return true;
	case ML_EV_ROTATE:
	case ML_EV_HEARTBEAT:
	case ML_EV_HEARTBEAT_V2:
	case ML_EV_MARIA_GTID_LIST:
		return !in_file(e);
	default:
		return false;
	}
}

/*
 * The 64-bit offset of a header's end position, which is modulo 2^32 and grows within a file.  A single group beyond 2 GiB may
 * wrap on its own, so the bytes seen count there; they fall short of the true distance only by events that the server left
 * out of the stream.
 */
static void
advance(struct ml_reader *r, uint32_t next_pos)
{
	uint64_t least = r->place.offset, end;

	if (next_pos == 0)
		return;
	if (r->pending_bytes > HALF_4G)
		least += r->pending_bytes - HALF_4G;
	end = (least & ~(STEP_4G - 1)) | next_pos;
	if (end < least)
		end += STEP_4G;
	r->place.offset = end;
	r->pending_bytes = 0;
}

static void
discard(struct ml_reader *r)
{
	if (!r->open)
		return;
	r->open = false;
	r->ops->discard(r->arg);
}

static int
close_group(struct ml_reader *r, const struct ml_ev *e, enum ml_group_end how, struct ml_err *err)
{
	advance(r, e->next_pos);
	ml_gtid_list_set(&r->place.gtids, &r->id.gtid);
	r->open = false;
	return r->ops->close(r->arg, how, err);
}

static int
on_rotate(struct ml_reader *r, const struct ml_ev *e, struct ml_err *err)
{
	struct ml_ev_rotate ro;

	if (ml_ev_rotate(&ro, e) < 0)
		return corrupt(r, e, err);
	/* The real one is missing after a crash; the artificial one that opens the next file always comes. */
	if ((e->flags & ML_EVF_ARTIFICIAL) == 0 && e->timestamp != 0)
		return 0;
	if (strcmp(ro.file, r->place.file) == 0) {
		/* Echo of the start; with a GTID the server names the file's beginning and tells the true place later. */
		if (r->fresh)
			r->place.offset = ro.pos;
		r->fresh = false;
		return 0;
	}
	r->fresh = false;
	discard(r);
	memcpy(r->place.file, ro.file, sizeof(r->place.file));
	r->place.offset = ro.pos;
	r->pending_bytes = 0;
	r->ops->file(r->arg);
	return 0;
}

static int
on_format(struct ml_reader *r, const struct ml_ev *e, struct ml_err *err)
{
	struct ml_ev_format f;

	if (ml_ev_format(&f, e) < 0)
		return corrupt(r, e, err);
	if (f.checksum == 1 && in_file(e) && !ml_ev_crc_ok(e->raw, e->len))
		return damaged(r, e, err);
	r->crc_len = f.checksum == 1 ? 4 : 0;
	memcpy(r->server_version, f.server_version, sizeof(r->server_version));
	r->created = e->timestamp;
	if (f.created != 0)
		discard(r);
	if (!r->open)
		r->ops->file(r->arg);
	return 0;
}

static int
on_gtid(struct ml_reader *r, const struct ml_ev *e, struct ml_err *err)
{
	/* The group before was cut off by a crash of the server, which has written what it could save. */
	discard(r);
	if (ml_ev_maria_gtid(&r->id, e) < 0)
		return corrupt(r, e, err);
	/* The group behind our place must be newer than it, or this is another history at the same offset. */
	if (r->check_next) {
		const struct ml_gtid *g = &r->id.gtid;
		char at[400];

		r->check_next = false;
		for (size_t i = 0; i < r->place.gtids.n; i++) {
			const struct ml_gtid *last = &r->place.gtids.v[i];

			if (last->domain == g->domain && last->server == g->server && last->seq >= g->seq)
				return ML_ERRF(err, ErrMySQLGTIDDiverged, 0,
					"the log of %s goes on at %s with GTID %u-%u-%llu, which this changefeed has delivered already; "
					"its history was replaced (RESET MASTER, a restored backup, or a wrong server); re-create the "
					"changefeed",
					r->addr, ml_reader_at(r, at, sizeof(at)), g->domain, g->server,
					(unsigned long long)g->seq);
		}
	}
	r->open = true;
	return r->ops->open(r->arg, &r->id, e->timestamp, err);
}

static int
inside_group(struct ml_reader *r, struct ml_err *err)
{
	char at[400];

	return ML_ERR(err, ErrMySQLPositionInsideGroup, 0, ml_reader_at(r, at, sizeof(at)));
}

static bool
text_is(const struct ml_text *t, const char *word)
{
	return t->len == strlen(word) && strncasecmp(t->s, word, t->len) == 0;
}

static int
on_query(struct ml_reader *r, const struct ml_ev *e, struct ml_err *err)
{
	struct ml_ev_query q;
	struct ml_ddl_env env = { .mariadb = r->flavor == ML_MARIADB,
		.lower_case_table_names = r->lower_case_table_names };
	struct ml_ddl_stmt stmt;
	bool standalone = (r->id.flags & ML_GTIDF_STANDALONE) != 0;

	if (ml_ev_query(&q, e, &r->scratch) < 0)
		return corrupt(r, e, err);
	/* What a server puts in the place of an event that it thinks the reader cannot take. */
	if (q.sql.len >= 5 && memcmp(q.sql.s, "# Dum", 5) == 0)
		return 0;
	if (!r->open)
		return inside_group(r, err);
	if (text_is(&q.sql, "COMMIT"))
		return close_group(r, e, ML_GROUP_COMMIT, err);
	if (text_is(&q.sql, "ROLLBACK"))
		return close_group(r, e, ML_GROUP_ROLLBACK, err);
	ml_arena_reset(&r->arena);
	env.sql_mode = q.sql_mode;
	env.client_collation = q.client_charset;
	env.server_collation = q.server_collation;
	env.db_collation = q.db_collation;
	env.default_db = q.db.s;
	env.default_db_len = q.db.len;
	ml_ddl_classify(&env, q.sql.s, q.sql.len, &r->arena, &stmt);
	stmt.time_us = (uint64_t)e->timestamp * 1000000 + q.micros;
	if (stmt.class == ML_DDL_TXN && stmt.txn == ML_TXN_COMMIT)
		return close_group(r, e, ML_GROUP_COMMIT, err);
	if (stmt.class == ML_DDL_TXN && stmt.txn == ML_TXN_ROLLBACK)
		return close_group(r, e, ML_GROUP_ROLLBACK, err);
	if (r->ops->statement(r->arg, &q, &stmt, err) < 0)
		return -1;
	return standalone ? close_group(r, e, ML_GROUP_STATEMENT, err) : 0;
}

static int
on_incident(struct ml_reader *r, const struct ml_ev *e, struct ml_err *err)
{
	char at[400], text[300];
	uint16_t code;

	if (ml_ev_incident(&code, text, sizeof(text), e) < 0)
		return corrupt(r, e, err);
	return ML_ERR(err, ErrMySQLIncident, code, ml_reader_at(r, at, sizeof(at)), text);
}

static int
on_heartbeat(struct ml_reader *r, const struct ml_ev *e, struct ml_err *err)
{
	char file[256];

	if (ml_ev_heartbeat(file, e) < 0)
		return corrupt(r, e, err);
	/* Inside a group it says only that the server is slow; of another file it is about a place we have not been told of. */
	if (r->open || strcmp(file, r->place.file) != 0)
		return 0;
	r->pending_bytes = 0;
	if (e->next_pos >= (uint32_t)r->place.offset)
		advance(r, e->next_pos);
	return r->ops->head(r->arg, err);
}

static int
on_gtid_list(struct ml_reader *r, const struct ml_ev *e, struct ml_err *err)
{
	struct ml_gtid_list l = { 0 };

	if (ml_ev_maria_gtid_list(&l, e) < 0) {
		ml_gtid_list_fini(&l);
		return corrupt(r, e, err);
	}
	/*
	 * At the head of a file it is the state there.  Ours is the same, or richer by domains the server has forgotten; it is
	 * poorer only when reading began at this file with nothing known.
	 */
	if (r->place.gtids.n == 0)
		for (size_t i = 0; i < l.n; i++)
			ml_gtid_list_set(&r->place.gtids, &l.v[i]);
	ml_gtid_list_fini(&l);
	return 0;
}

static int
unknown(struct ml_reader *r, const struct ml_ev *e, struct ml_err *err)
{
	char at[400];

	return ML_ERR(
		err, ErrMySQLUnknownEvent, 0, e->type, e->flags, ml_reader_at(r, at, sizeof(at)), r->server_version);
}

static int
dispatch(struct ml_reader *r, const struct ml_ev *e, struct ml_err *err)
{
	struct ml_ev_xa_prepare xa;
	char at[400];

	if (ml_is_rows_event(e->type))
		return r->open ? r->ops->rows(r->arg, e, err) : inside_group(r, err);
	switch (e->type) {
	case ML_EV_TABLE_MAP:
		return r->open ? r->ops->map(r->arg, e, err) : inside_group(r, err);
	case ML_EV_MARIA_GTID:
		return on_gtid(r, e, err);
	case ML_EV_XID:
		return r->open ? close_group(r, e, ML_GROUP_COMMIT, err) : inside_group(r, err);
	case ML_EV_QUERY:
	case ML_EV_MARIA_QUERY_COMPRESSED:
		return on_query(r, e, err);
	case ML_EV_XA_PREPARE:
		if (ml_ev_xa_prepare(&xa, e) < 0)
			return corrupt(r, e, err);
		if (!r->open)
			return inside_group(r, err);
		return close_group(r, e, xa.one_phase ? ML_GROUP_COMMIT : ML_GROUP_PREPARED, err);
	case ML_EV_ROTATE:
		return on_rotate(r, e, err);
	case ML_EV_FORMAT:
		return on_format(r, e, err);
	case ML_EV_MARIA_GTID_LIST:
		return on_gtid_list(r, e, err);
	case ML_EV_HEARTBEAT:
		return on_heartbeat(r, e, err);
	case ML_EV_INCIDENT:
		return on_incident(r, e, err);
	case ML_EV_BEGIN_LOAD:
	case ML_EV_EXECUTE_LOAD:
	case ML_EV_APPEND_BLOCK:
	case ML_EV_DELETE_FILE:
		return ML_ERR(err, ErrMySQLStatementEvent, 0, ml_reader_at(r, at, sizeof(at)), "LOAD DATA");
	case ML_EV_STOP:
	case ML_EV_INTVAR: /* prelude of a statement-format change: its QUERY decides */
	case ML_EV_RAND:
	case ML_EV_USER_VAR:
	case ML_EV_IGNORABLE:
	case ML_EV_ROWS_QUERY:
	case ML_EV_MARIA_ANNOTATE:
	case ML_EV_MARIA_CHECKPOINT:
	case ML_EV_MARIA_START_ENCRYPTION:
		return 0;
	default:
		return (e->flags & ML_EVF_IGNORABLE) != 0 ? 0 : unknown(r, e, err);
	}
}

int
ml_reader_feed(struct ml_reader *r, const uint8_t *p, size_t len, struct ml_err *err)
{
	struct ml_ev e;
	int rc;

	if (ml_ev_split(&e, p, len, r->crc_len) < 0) {
		e.type = len > 4 ? p[4] : 0;
		return corrupt(r, &e, err);
	}
	/* Before anything is believed of it. */
	if (r->crc_len == 4 && !may_lack_crc(&e) && __builtin_expect(!ml_ev_crc_ok(p, len), 0))
		return damaged(r, &e, err);
	r->current = &e;
	if (in_file(&e) && e.next_pos != 0)
		r->pending_bytes += len;
	else if (r->open)
		r->pending_bytes += len;
	rc = dispatch(r, &e, err);
	if (rc == 0 && !r->open && e.type != ML_EV_HEARTBEAT && e.type != ML_EV_ROTATE) {
		/* Events between groups: the boundary moves along, also to the true resume place of a start by GTID. */
		advance(r, e.next_pos);
	}
	r->current = NULL;
	return rc;
}
