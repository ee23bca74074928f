#include "capture-worker/source/mysql/group.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "capture-worker/mounter/binlog.h"
#include "capture-worker/source/mysql/event_mysql.h"
#include "capture-worker/source/mysql/payload.h"

#define HALF_4G (UINT64_C(1) << 31)
#define STEP_4G (UINT64_C(1) << 32)

void
ml_place_fini(struct ml_place *p)
{
	ml_gtid_list_fini(&p->gtids);
	ml_gtid_set_fini(&p->set);
	*p = (struct ml_place){ 0 };
}

void
ml_place_copy(struct ml_place *to, const struct ml_place *from)
{
	memcpy(to->file, from->file, sizeof(to->file));
	to->offset = from->offset;
	ml_gtid_list_copy(&to->gtids, &from->gtids);
	ml_gtid_set_copy(&to->set, &from->set);
}

void
ml_place_print_gtids(const struct ml_place *p, struct ml_buf *out)
{
	ml_gtid_list_print(&p->gtids, out);
	ml_gtid_set_print(&p->set, out);
}

int
ml_place_parse_gtids(struct ml_place *p, enum ml_flavor flavor, const char *text)
{
	p->gtids.n = 0;
	ml_gtid_set_clear(&p->set);
	return flavor == ML_MARIADB ? ml_gtid_list_parse(&p->gtids, text) : ml_gtid_set_parse(&p->set, text);
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
	ml_payload_free(r->payload);
	r->payload = NULL;
}

void
ml_reader_start(struct ml_reader *r, const struct ml_place *place, unsigned crc_len)
{
	ml_place_copy(&r->place, place);
	r->open = false;
	r->fresh = r->check_next = true;
	r->by_gtid = r->heard_here = false;
	r->outer = NULL;
	r->pending_bytes = 0;
	r->crc_len = crc_len;
	r->ops->file(r->arg);
}

const char *
ml_reader_at(const struct ml_reader *r, char *buf, size_t size)
{
	if (r->open && r->id.mysql) {
		char uuid[37];

		ml_uuid_print(r->id.uuid, uuid);
		if (r->id.anonymous)
			snprintf(buf, size, "%s:%" PRIu64, r->place.file, r->place.offset);
		else
			snprintf(buf, size, "%s:%" PRIu64 " (GTID %s%s%s:%" PRId64 ")", r->place.file, r->place.offset,
				uuid, r->id.tag[0] != '\0' ? ":" : "", r->id.tag, r->id.number);
	} else if (r->open)
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
	/* Places inside a compressed transaction are none of the file's. */
	advance(r, (r->outer != NULL ? r->outer : e)->next_pos);
	if (!r->id.mysql)
		ml_gtid_list_set(&r->place.gtids, &r->id.gtid);
	else if (!r->id.anonymous)
		ml_gtid_set_add(&r->place.set, r->id.uuid, r->id.tag, r->id.number, r->id.number + 1);
	r->open = r->heard_here = false;
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
	r->fresh = r->heard_here = false;
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
on_mysql_gtid(struct ml_reader *r, const struct ml_ev *e, struct ml_err *err)
{
	struct ml_ev_gtid *id = &r->id;

	discard(r);
	if (ml_ev_mysql_gtid(id, e) < 0)
		return corrupt(r, e, err);
	r->open = true;
	r->begun = false;
	if (r->check_next && !id->anonymous && ml_gtid_set_has(&r->place.set, id->uuid, id->tag, id->number)) {
		char at[400];

		r->open = false;
		ml_uuid_print(id->uuid, at);
		return ML_ERRF(err, ErrMySQLGTIDDiverged, 0,
			"the log of %s goes on at %s:%" PRIu64 " with GTID %s:%" PRId64
			", which this changefeed has delivered "
			"already; its history was replaced (RESET MASTER, a restored backup, or a wrong server); re-create the "
			"changefeed",
			r->addr, r->place.file, r->place.offset, at, id->number);
	}
	r->check_next = false;
	return r->ops->open(r->arg, id, e->timestamp, err);
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

static void
cut_start_transaction(struct ml_text *sql)
{
	static const char words[] = "START TRANSACTION";
	const uint32_t n = sizeof(words) - 1;
	uint32_t len = sql->len;

	while (len > 0 && (sql->s[len - 1] == ' ' || sql->s[len - 1] == '\n'))
		len--;
	if (len < n || strncasecmp(sql->s + len - n, words, n) != 0)
		return;
	len -= n;
	while (len > 0 && sql->s[len - 1] == ' ')
		len--;
	sql->len = len;
}

/* MariaDB before 11.2 has one collation for each character set, and so have sessions of later ones that tell none. */
static bool
has_fixed_collations(const struct ml_reader *r, const struct ml_ddl_stmt *stmt)
{
	unsigned major = 0, minor = 0;

	if (r->flavor != ML_MARIADB || sscanf(r->server_version, "%u.%u", &major, &minor) != 2)
		return false;
	if (major * 100 + minor < 1102)
		return true;
	/* They never tell them for databases. */
	for (uint32_t i = 0; i < stmt->n_items; i++)
		if (stmt->items[i].op == ML_DDL_CREATE_DB || stmt->items[i].op == ML_DDL_ALTER_DB)
			return false;
	return true;
}

static void
put_defaults(const struct ml_reader *r, const struct ml_ev_query *q, struct ml_ddl_stmt *stmt)
{
	stmt->server_collation = q->server_collation;
	stmt->implicit_timestamps = q->implicit_timestamps;
	memcpy(stmt->collations, q->collations, sizeof(stmt->collations));
	stmt->n_collations = q->n_collations;
	if (stmt->n_collations == 0 && has_fixed_collations(r, stmt))
		stmt->collations[stmt->n_collations++] = ML_COLLATION_UTF8MB4_GENERAL_CI;
}

static int
on_query(struct ml_reader *r, const struct ml_ev *e, struct ml_err *err)
{
	struct ml_ev_query q;
	struct ml_ddl_env env = { .mariadb = r->flavor == ML_MARIADB,
		.lower_case_table_names = r->lower_case_table_names };
	struct ml_ddl_stmt stmt;

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
	if (r->id.mysql && text_is(&q.sql, "BEGIN")) {
		r->begun = true;
		return 0;
	}
	/* CREATE TABLE .. SELECT as one group: the words that hold it open are the server's own (mysql-upstream.md 7.5). */
	if (r->id.mysql && r->begun)
		cut_start_transaction(&q.sql);
	ml_arena_reset(&r->arena);
	env.sql_mode = q.sql_mode;
	env.client_collation = q.client_charset;
	env.connection_collation = q.connection_collation;
	env.server_collation = q.server_collation;
	env.db_collation = q.db_collation;
	env.default_db = q.db.s;
	env.default_db_len = q.db.len;
	ml_ddl_classify(&env, q.sql.s, q.sql.len, &r->arena, &stmt);
	stmt.time_us = (uint64_t)e->timestamp * 1000000 + q.micros;
	put_defaults(r, &q, &stmt);
	if (stmt.class == ML_DDL_TXN && stmt.txn == ML_TXN_COMMIT)
		return close_group(r, e, ML_GROUP_COMMIT, err);
	if (stmt.class == ML_DDL_TXN && stmt.txn == ML_TXN_ROLLBACK)
		return close_group(r, e, ML_GROUP_ROLLBACK, err);
	if (r->id.mysql && !r->begun) {
		if (stmt.class == ML_DDL_TXN && stmt.txn == ML_TXN_XA_START) {
			r->begun = true;
			r->id.flags |= ML_GTIDF_XA_PREPARE;
			if (ml_xid_parse(&r->id.xid, q.sql.s, q.sql.len) < 0)
				return corrupt(r, e, err);
		} else {
			r->id.flags |= ML_GTIDF_STANDALONE;
		}
	}
	if (r->ops->statement(r->arg, &q, &stmt, err) < 0)
		return -1;
	return (r->id.flags & ML_GTIDF_STANDALONE) != 0 ? close_group(r, e, ML_GROUP_STATEMENT, err) : 0;
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
	uint64_t pos = 0, before = r->place.offset;

	if ((e->type == ML_EV_HEARTBEAT ? ml_ev_heartbeat(file, e) : ml_ev_heartbeat_v2(file, &pos, e)) < 0)
		return corrupt(r, e, err);
	/* Inside a group it says only that the server is slow; of another file it is about a place we have not been told of. */
	if (r->open || strcmp(file, r->place.file) != 0)
		return 0;
	r->pending_bytes = 0;
	if (e->type == ML_EV_HEARTBEAT && e->next_pos >= (uint32_t)r->place.offset)
		advance(r, e->next_pos);
	else if (pos > r->place.offset)
		r->place.offset = pos;
	/*
	 * MySQL also sends one where it passes over groups that a reader by GTID has: only a second one for the same place proves
	 * that there is nothing behind it.
	 */
	if (r->by_gtid && (!r->heard_here || r->place.offset != before)) {
		r->heard_here = true;
		return 0;
	}
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
on_previous_gtids(struct ml_reader *r, const struct ml_ev *e, struct ml_err *err)
{
	/* As with MariaDB's list: what is known is as rich or richer. */
	if (r->place.set.n > 0)
		return 0;
	if (ml_gtid_set_decode(&r->place.set, e->body, e->body_len) < 0) {
		ml_gtid_set_clear(&r->place.set);
		return corrupt(r, e, err);
	}
	return 0;
}

static int dispatch(struct ml_reader *r, const struct ml_ev *e, struct ml_err *err);

/* The events of a compressed transaction, as if they stood in the log. */
static int
on_payload(struct ml_reader *r, const struct ml_ev *e, struct ml_err *err)
{
	const uint8_t *p;
	struct ml_ev inner;
	size_t len;
	int rc;

	if (!r->open)
		return inside_group(r, err);
	if (r->outer != NULL)
		return corrupt(r, e, err);
	if (r->payload == NULL)
		r->payload = ml_payload_new();
	if (ml_payload_open(r->payload, e->body, e->body_len) < 0)
		return corrupt(r, e, err);
	r->outer = e;
	while ((rc = ml_payload_next(r->payload, &p, &len)) > 0) {
		/* The group ends with its last event, and nothing but a group's events is ever in here. */
		if (!r->open || ml_ev_split(&inner, p, len, 0) < 0 || inner.type == ML_EV_FORMAT ||
			inner.type == ML_EV_ROTATE || inner.type == ML_EV_GTID || inner.type == ML_EV_ANONYMOUS_GTID ||
			inner.type == ML_EV_GTID_TAGGED || inner.type == ML_EV_TRANSACTION_PAYLOAD) {
			rc = -1;
			break;
		}
		if (dispatch(r, &inner, err) < 0) {
			r->outer = NULL;
			return -1;
		}
	}
	r->outer = NULL;
	return rc < 0 || r->open ? corrupt(r, e, err) : 0;
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
	case ML_EV_GTID:
	case ML_EV_ANONYMOUS_GTID:
	case ML_EV_GTID_TAGGED:
		return on_mysql_gtid(r, e, err);
	case ML_EV_TRANSACTION_PAYLOAD:
		return on_payload(r, e, err);
	case ML_EV_PREVIOUS_GTIDS:
		return on_previous_gtids(r, e, err);
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
	case ML_EV_HEARTBEAT_V2:
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
	case ML_EV_TRANSACTION_CONTEXT: /* of group replication, beside the group's own events */
	case ML_EV_VIEW_CHANGE:
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
	if (rc == 0 && !r->open && e.type != ML_EV_HEARTBEAT && e.type != ML_EV_HEARTBEAT_V2 &&
		e.type != ML_EV_ROTATE) {
		/* Events between groups: the boundary moves along, also to the true resume place of a start by GTID. */
		advance(r, e.next_pos);
	}
	r->current = NULL;
	return rc;
}
