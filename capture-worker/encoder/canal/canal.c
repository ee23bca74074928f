/*
 * canal.c - rows and DDL as canal's packets: Packet > Messages > Entry > RowChange > RowData > Column, each with its length in
 * front.
 *
 * The messages are written by hand, straight into the batch's memory.  A length is known only when what it counts is written:
 * room is left for it, of the size that most rows need, and the front of an Entry is put there last.
 * Rows are taken per (topic, partition), in their order; a group is one Packet, or several where one would become too large.
 */
#include "capture-worker/encoder/canal/canal.h"

#include <stdlib.h>

#include "capture-worker/encoder/canal/table.h"
#include "capture-worker/encoder/ddl_type.h"
#include "capture-worker/encoder/group.h"
#include "capture-worker/encoder/java_type.h"
#include "capture-worker/encoder/options.h"
#include "capture-worker/encoder/varint.h"
#include "common/text/num.h"

#define RECORD_OVERHEAD 36         /* protocols.md 4.2 */
#define LEN_MAX 5                  /* bytes of a length; all are below 4 GiB */
#define LEN_GUESS 2                /* bytes of a row's lengths, mostly: 128 to 16383 */
#define PACKET_FRONT (5 + LEN_MAX) /* version, type and the body's tag and length */

struct canal {
	struct ml_encoder e;
	bool delete_handle_only;
	size_t max_message_bytes;
	uint64_t serial;
	struct ml_groups groups;
};

/* A packet that is being filled: the text that is open, from its start on. */
struct packet {
	uint32_t rows; /* 0: none is open */
	struct ml_schema *schema;
	ml_ts commit_ts;
};

/* --- one row ------------------------------------------------------------------------------------------------------------ */

/* Bytes that the bytes at s take as code points U+0000 to U+00FF. */
static size_t
latin1_len(const char *s, size_t n)
{
	size_t len = n;

	for (size_t i = 0; i < n; i++)
		len += (uint8_t)s[i] >> 7;
	return len;
}

static char *
put_latin1(char *p, const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint8_t c = (uint8_t)s[i];

		if (c < 0x80) {
			*p++ = (char)c;
		} else {
			*p++ = (char)(0xc0 | c >> 6);
			*p++ = (char)(0x80 | (c & 0x3f));
		}
	}
	return p;
}

/* One Column of RowData; tag tells which image it is of. */
static inline void
put_column(
	struct ml_out *o, int tag, const struct cn_column *c, const struct ml_text pieces[2], const struct ml_datum *d)
{
	const struct ml_text piece = pieces[c->promotes && ml_java_above(d, c->bound)];
	char number[ML_FLOAT_TEXT_MAX], *p;
	const char *s = number;
	bool latin1 = false;
	size_t n = 0, len;

	switch (d->kind) {
	case ML_D_I64:
		n = ml_i64_text(number, d->i);
		break;
	case ML_D_U64:
		n = ml_u64_text(number, d->u);
		break;
	case ML_D_F32:
		n = ml_f32_text(number, d->f32, ML_FLOAT_F);
		break;
	case ML_D_F64:
		n = ml_f64_text(number, d->f64, ML_FLOAT_F);
		break;
	case ML_D_BYTES:
		s = d->s;
		n = d->len;
		latin1 = c->latin1 && (len = latin1_len(s, n)) != n;
		if (latin1)
			n = len;
		break;
	default:
		break;
	}
	len = piece.len + 1 + c->type.len;
	if (n > 0)
		len += 1 + ml_uvarint_len(n) + n;
	p = ml_out_need(o, 1 + LEN_MAX + len);
	*p++ = (char)tag;
	p = ml_put_uvarint(p, len);
	memcpy(p, piece.s, piece.len);
	p += piece.len;
	*p++ = d->kind == ML_D_NULL;
	if (n > 0) {
		*p++ = CN_COLUMN_VALUE;
		p = ml_put_uvarint(p, n);
		if (latin1) {
			p = put_latin1(p, s, d->len);
		} else {
			memcpy(p, s, n);
			p += n;
		}
	}
	memcpy(p, c->type.s, c->type.len);
	o->p = p + c->type.len;
}

static void
put_image(const struct canal *e, struct ml_out *o, int tag, const struct cn_table *t, const struct ml_row *row,
	const struct ml_datum *image)
{
	bool deleted = row->op == ML_OP_DELETE, handle_only = deleted && e->delete_handle_only;

	for (int i = 0; image != NULL && i < row->schema->n_columns; i++) {
		const struct cn_column *c = &t->columns[i];

		if (image[i].kind != ML_D_ABSENT && (!handle_only || c->handle))
			put_column(o, tag, c, deleted ? c->deleted : c->updated, &image[i]);
	}
}

/* The row's Entry at the end of the text. */
static void
put_entry(const struct canal *e, struct ml_out *o, const struct ml_row *row)
{
	struct cn_table *t = cn_table_of(row->schema, e->serial);
	const struct cn_head *h = cn_head_of(t, row->schema, row->op, ml_ts_ms(row->commit_ts));
	const char fixed[] = { CN_CHANGE_EVENT, (char)row->op, CN_CHANGE_DDL, 0, CN_CHANGE_ROW };
	size_t at = ml_out_len(o), front = 1 + LEN_GUESS + h->len + 1 + LEN_GUESS + sizeof(fixed) + LEN_GUESS;
	size_t data, change, entry, need;
	char *p;

	ml_out_need(o, front);
	o->p += front;
	put_image(e, o, CN_ROW_BEFORE, t, row, row->before);
	put_image(e, o, CN_ROW_AFTER, t, row, row->after);
	data = ml_out_len(o) - at - front;
	change = sizeof(fixed) + ml_uvarint_len(data) + data;
	entry = h->len + 1 + ml_uvarint_len(change) + change;
	need = 1 + ml_uvarint_len(entry) + entry - data;
	if (need != front) {
		ml_out_need(o, LEN_MAX * 3);
		memmove(o->start + at + need, o->start + at + front, data);
		o->p = o->start + at + need + data;
	}
	p = o->start + at;
	*p++ = CN_MESSAGES_ENTRY;
	p = ml_put_uvarint(p, entry);
	memcpy(p, h->s, h->len);
	p += h->len;
	*p++ = CN_ENTRY_STORE;
	p = ml_put_uvarint(p, change);
	memcpy(p, fixed, sizeof(fixed));
	ml_put_uvarint(p + sizeof(fixed), data);
}

/* --- packets ------------------------------------------------------------------------------------------------------------ */

/*
 * Writes version, type and the body's length in front of body_len bytes of body that stand at start + PACKET_FRONT.  Returns
 * where the packet begins; its length in *len.
 */
static const char *
close_packet(char *start, size_t body_len, uint32_t *len)
{
	size_t spare = LEN_MAX - ml_uvarint_len(body_len);
	char *p = start + spare;

	*p++ = CN_PACKET_VERSION;
	*p++ = CN_VERSION;
	*p++ = CN_PACKET_TYPE;
	*p++ = CN_MESSAGES;
	*p++ = CN_PACKET_BODY;
	ml_put_uvarint(p, body_len);
	*len = (uint32_t)(PACKET_FRONT - spare + body_len);
	return start + spare;
}

/* Makes a message of the packet, whose body ends at offset end of the open text. */
static void
send_packet(struct ml_batch *b, const struct ml_group *g, struct packet *pk, char *start, size_t end)
{
	struct ml_msg *m = ml_batch_msg(b);

	*m = (struct ml_msg){
		.key = "",
		.topic = g->topic,
		.partition = g->partition,
		.schema = pk->schema,
		.commit_ts = pk->commit_ts,
		.rows = pk->rows,
	};
	m->value = close_packet(start, end - PACKET_FRONT, &m->value_len);
	pk->rows = 0;
}

/* Adds a row to the open packet, or closes that and opens the next. */
static void
add_row(const struct canal *e, struct ml_batch *b, const struct ml_group *g, struct packet *pk, struct ml_out *o,
	const struct ml_row *row)
{
	size_t at = ml_out_len(o), entry;

	put_entry(e, o, row);
	if (pk->rows > 0 && (pk->rows == ML_GROUP_ROWS || ml_out_len(o) + RECORD_OVERHEAD > e->max_message_bytes)) {
		entry = ml_out_len(o) - at;
		/* What was written before this row is that packet's; the open text begins with the row's own packet now. */
		ml_out_need(o, PACKET_FRONT);
		memmove(o->start + at + PACKET_FRONT, o->start + at, entry);
		send_packet(b, g, pk, o->start, at);
		o->start += at;
		o->p = o->start + PACKET_FRONT + entry;
	}
	if (pk->rows++ == 0)
		pk->schema = row->schema;
	pk->commit_ts = row->commit_ts;
}

static void
encode_group(struct canal *e, struct ml_batch *b, const struct ml_group *g)
{
	struct packet pk = { 0 };
	uint32_t first = b->n_msgs, len;
	struct ml_out o;

	ml_out_begin(&o, &b->arena);
	ml_out_need(&o, PACKET_FRONT + ml_group_room(&e->groups, g));
	o.p += PACKET_FRONT;
	for (uint32_t k = g->first; k != ML_GROUP_END; k = e->groups.next[k])
		add_row(e, b, g, &pk, &o, &b->rows[k]);
	send_packet(b, g, &pk, o.start, ml_out_len(&o));
	ml_out_end(&o, &len);
	ml_group_learn(&e->groups, b, first);
}

static int
rows(struct ml_encoder *enc, struct ml_batch *b, struct ml_err *err)
{
	struct canal *e = (struct canal *)enc;

	(void)err;
	ml_groups_make(&e->groups, b);
	for (uint32_t i = 0; i < e->groups.n; i++)
		encode_group(e, b, &e->groups.groups[i]);
	return 0;
}

/* --- DDL ---------------------------------------------------------------------------------------------------------------- */

static size_t
text_len(struct ml_text t)
{
	return t.len > 0 ? 1 + ml_uvarint_len(t.len) + t.len : 0;
}

static char *
put_text(char *p, int tag, struct ml_text t)
{
	if (t.len == 0)
		return p;
	*p++ = (char)tag;
	p = ml_put_uvarint(p, t.len);
	memcpy(p, t.s, t.len);
	return p + t.len;
}

static int
ddl_message(struct ml_encoder *enc, const struct ml_ddl *ddl, struct ml_arena *a, struct ml_msg *m, struct ml_err *err)
{
	size_t names = (size_t)ddl->db.len + ddl->table.len, head_len, change, entry;
	char *head = ml_arena_bytes(a, CN_HEAD_MAX + names), *start, *p;
	int kind = (int)ml_ddl_kind(ddl->action);

	(void)enc;
	(void)err;
	head_len = (size_t)(cn_put_head(head, ddl->db, ddl->table, kind, ml_ts_ms(ddl->commit_ts), false) - head);
	change = 2 + 2 + text_len(ddl->query) + text_len(ddl->db);
	entry = head_len + 1 + ml_uvarint_len(change) + change;
	start = ml_arena_bytes(a, PACKET_FRONT + 1 + LEN_MAX + entry);
	p = start + PACKET_FRONT;
	*p++ = CN_MESSAGES_ENTRY;
	p = ml_put_uvarint(p, entry);
	memcpy(p, head, head_len);
	p += head_len;
	*p++ = CN_ENTRY_STORE;
	p = ml_put_uvarint(p, change);
	*p++ = CN_CHANGE_EVENT;
	*p++ = (char)kind;
	*p++ = CN_CHANGE_DDL;
	*p++ = 1;
	p = put_text(p, CN_CHANGE_SQL, ddl->query);
	p = put_text(p, CN_CHANGE_SCHEMA, ddl->db);
	*m = (struct ml_msg){ .commit_ts = ddl->commit_ts };
	m->value = close_packet(start, (size_t)(p - start) - PACKET_FRONT, &m->value_len);
	return 1;
}

/* --- life --------------------------------------------------------------------------------------------------------------- */

static int
open_encoder(struct ml_encoder **out, const struct ml_encoder_env *env, struct ml_err *err)
{
	struct ml_encoder_opts opts;
	struct canal *e;

	if (ml_encoder_opts_read(&opts, env, err) < 0)
		return -1;
	e = calloc(1, sizeof(*e));
	if (e == NULL)
		abort();
	e->e.ops = &ml_encoder_canal;
	e->serial = ml_encoder_serial();
	e->delete_handle_only = opts.delete_handle_only;
	e->max_message_bytes = opts.max_message_bytes;
	ml_encoder_opts_fini(&opts);
	*out = &e->e;
	return 0;
}

static void
close_encoder(struct ml_encoder *enc)
{
	struct canal *e = (struct canal *)enc;

	if (e == NULL)
		return;
	ml_groups_fini(&e->groups);
	free(e);
}

const struct ml_encoder_ops ml_encoder_canal = {
	.name = "canal",
	.for_storage = false,
	.for_mq = true,
	.ddl_all_partitions = false,
	.checkpoint_messages = false,
	.open = open_encoder,
	.rows = rows,
	.ddl = ddl_message,
	.close = close_encoder,
};
