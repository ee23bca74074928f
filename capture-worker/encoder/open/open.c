/*
 * open.c - rows, DDL and resolved ts as open-protocol.
 *
 * A record holds several rows: key and value are sequences of pieces, each with its length in front, that pair up by position.
 * The rows of one batch are taken per (topic, partition), in their order, and cut into records by rows and bytes.
 */
#include "capture-worker/encoder/open/open.h"

#include <endian.h>
#include <stdlib.h>

#include "capture-worker/encoder/group.h"
#include "capture-worker/encoder/large.h"
#include "capture-worker/encoder/open/table.h"
#include "capture-worker/encoder/options.h"
#include "capture-worker/encoder/same.h"
#include "capture-worker/encoder/text/base64.h"
#include "capture-worker/encoder/text/escape.h"
#include "capture-worker/encoder/text/quoted.h"
#include "common/base/buf.h"
#include "common/text/num.h"

#define WORD 8             /* bytes of the version and of each length */
#define RECORD_OVERHEAD 36 /* protocols.md 4.2 */

struct open_protocol {
	struct ml_encoder e;
	struct ml_encoder_opts opts;
	struct ml_large large;
	uint64_t serial;
	struct ml_buf keys;    /* of all records of a batch, one after another */
	struct ml_buf claimed; /* key of a message that goes to claim-check storage */
	struct ml_arena scratch;
	struct ml_groups groups;
};

/* A record that is being filled: its value is the text that is open, from the start on. */
struct record {
	uint32_t rows;    /* 0: none is open */
	size_t key_start; /* in keys */
	size_t value_len;
	struct ml_schema *schema;
	ml_ts commit_ts;
};

static void
put_word(char *p, uint64_t v)
{
	v = htobe64(v);
	memcpy(p, &v, WORD);
}

/* --- one row ------------------------------------------------------------------------------------------------------------ */

static void
put_bytes(struct ml_out *o, enum op_bytes form, const struct ml_datum *d)
{
	ml_out_lit(o, "\"");
	switch (form) {
	case OP_TEXT:
		ml_escape_s(o, d->s, d->len);
		break;
	case OP_QUOTED:
		ml_quoted(o, d->s, d->len);
		break;
	case OP_BASE64:
		ml_base64(o, d->s, d->len);
		break;
	}
	ml_out_lit(o, "\"}");
}

static inline void
put_value(struct ml_out *o, const struct op_column *c, const struct ml_datum *d, bool first)
{
	size_t n = c->len - first;
	char *p = ml_out_need(o, n + ML_INT_TEXT_MAX + 1);

	memcpy(p, c->piece + first, n);
	p += n;
	switch (d->kind) {
	case ML_D_I64:
		p += ml_i64_text(p, d->i);
		break;
	case ML_D_U64:
		p += ml_u64_text(p, d->u);
		break;
	case ML_D_F32:
		o->p = p;
		p = ml_out_need(o, ML_FLOAT_TEXT_MAX + 1);
		p += ml_f32_text(p, d->f32, ML_FLOAT_J);
		break;
	case ML_D_F64:
		o->p = p;
		p = ml_out_need(o, ML_FLOAT_TEXT_MAX + 1);
		p += ml_f64_text(p, d->f64, ML_FLOAT_J);
		break;
	case ML_D_BYTES:
		o->p = p;
		put_bytes(o, (enum op_bytes)c->bytes, d);
		return;
	default:
		memcpy(p, "null", 4);
		p += 4;
		break;
	}
	*p++ = '}';
	o->p = p;
}

/*
 * `"u":{...}` of an image, with a comma in front unless it is the first part; nothing if no column remains.
 * but: leaves out what is the same there (NULL: nothing is).
 */
static void
put_part(struct ml_out *o, const char name, const struct op_table *t, const struct ml_schema *s,
	const struct ml_datum *image, const struct ml_datum *but, bool handle_only, bool *any)
{
	bool first = true;

	for (int i = 0; i < s->n_columns; i++) {
		const struct op_column *c = &t->columns[i];
		const struct ml_datum *d = &image[c->column];

		if (d->kind == ML_D_ABSENT || (handle_only && !c->handle) ||
			(but != NULL && ml_datum_same(d, &but[c->column])))
			continue;
		if (first) {
			char part[] = { ',', '"', name, '"', ':', '{' };

			ml_out_put(o, part + !*any, sizeof(part) - !*any);
			*any = true;
		}
		put_value(o, c, d, first);
		first = false;
	}
	if (!first)
		ml_out_lit(o, "}");
}

/* whole: else every part holds the handle key's columns only. */
static int
put_row_value(const struct open_protocol *e, struct ml_out *o, const struct op_table *t, const struct ml_row *row,
	bool whole, struct ml_err *err)
{
	const struct ml_schema *s = row->schema;
	size_t at = ml_out_len(o);
	bool any = false;

	ml_out_lit(o, "{");
	if (row->op == ML_OP_DELETE) {
		if (e->opts.delete_handle_only && !t->has_handle)
			return ML_ERRF(err, ErrOpenProtocolCodecInvalidData, 0,
				"open-protocol codec invalid data: not found handle key columns for the delete event of %s",
				s->qname.s);
		put_part(o, 'd', t, s, row->before, NULL, !whole || e->opts.delete_handle_only, &any);
	} else {
		put_part(o, 'u', t, s, row->after, NULL, !whole, &any);
		if (row->op == ML_OP_UPDATE && e->opts.open_old_value)
			put_part(o, 'p', t, s, row->before, e->opts.only_updated ? row->after : NULL, !whole, &any);
	}
	ml_out_lit(o, "}");
	if (!whole && !any)
		return ML_ERRF(err, ErrOpenProtocolCodecInvalidData, 0,
			"open-protocol codec invalid data: not found handle key columns for the over-sized row of %s",
			s->qname.s);
	return ml_compress(e->large.compressor, o, at, err);
}

/* Why a row's value has the handle key only: `"ohk":true`, or `"ccl":"<location>"` (protocols.md 6.5). */
static void
put_mark(struct open_protocol *e, const struct ml_text *location)
{
	struct ml_out o;
	uint32_t len;
	const char *s;

	if (location == NULL) {
		ml_buf_puts(&e->keys, ",\"ohk\":true}");
		return;
	}
	ml_out_begin(&o, &e->scratch);
	ml_escape_s(&o, location->s, location->len);
	s = ml_out_end(&o, &len);
	ml_buf_puts(&e->keys, ",\"ccl\":\"");
	ml_buf_put(&e->keys, s, len);
	ml_buf_puts(&e->keys, "\"}");
	ml_arena_reset(&e->scratch);
}

/* The row's event key with its length in front, at the end of e->keys. */
static void
put_row_key(struct open_protocol *e, const struct op_table *t, const struct ml_row *row, bool whole,
	const struct ml_text *location)
{
	const struct ml_schema *s = row->schema;
	const struct ml_datum *image = row->op == ML_OP_DELETE ? row->before : row->after;
	const struct ml_datum *rid = s->rid_column >= 0 ? &image[s->rid_column] : NULL;
	size_t at = e->keys.len;
	char *p;

	ml_buf_need(&e->keys, WORD + t->names.len + 2 * ML_INT_TEXT_MAX + 32);
	p = e->keys.data + at + WORD;
	memcpy(p, "{\"ts\":", 6);
	p += 6;
	p += ml_u64_text(p, row->commit_ts);
	memcpy(p, t->names.s, t->names.len);
	p += t->names.len;
	/* A signed 64-bit number there, also for UNSIGNED; 0 counts as none. */
	if (rid != NULL && (rid->kind == ML_D_I64 || rid->kind == ML_D_U64) && rid->i != 0) {
		memcpy(p, ",\"rid\":", 7);
		p += 7;
		p += ml_i64_text(p, rid->i);
	}
	memcpy(p, ",\"t\":1}", 7);
	p += 7 - !whole;
	e->keys.len = (size_t)(p - e->keys.data);
	if (!whole)
		put_mark(e, location);
	put_word(e->keys.data + at, e->keys.len - at - WORD);
}

/* --- records ------------------------------------------------------------------------------------------------------------ */

static void
put_key_word(struct open_protocol *e, uint64_t v)
{
	ml_buf_need(&e->keys, WORD);
	put_word(e->keys.data + e->keys.len, v);
	e->keys.len += WORD;
}

/* Makes a message of the record; keys up to key_end are its.  Its key pointer is set when all keys of the batch are known. */
static void
close_record(struct ml_batch *b, const struct ml_group *g, struct record *r, const char *value, size_t key_end)
{
	struct ml_msg *m = ml_batch_msg(b);

	*m = (struct ml_msg){
		.key_len = (uint32_t)(key_end - r->key_start),
		.value = value,
		.value_len = (uint32_t)r->value_len,
		.topic = g->topic,
		.partition = g->partition,
		.schema = r->schema,
		.commit_ts = r->commit_ts,
		.rows = r->rows,
	};
	r->rows = 0;
}

/* The row's value with its length in front, at the end of o. */
static int
put_framed_value(const struct open_protocol *e, struct ml_out *o, const struct op_table *t, const struct ml_row *row,
	bool whole, struct ml_err *err)
{
	size_t at = ml_out_len(o);

	ml_out_need(o, WORD);
	o->p += WORD;
	if (put_row_value(e, o, t, row, whole, err) < 0)
		return -1;
	put_word(o->start + at, ml_out_len(o) - at - WORD);
	return 0;
}

/* Length of a record that holds nothing but the key and value that begin there. */
static size_t
length_alone(const struct open_protocol *e, const struct ml_out *o, size_t key_at, size_t value_at)
{
	return RECORD_OVERHEAD + WORD + (e->keys.len - key_at) + (ml_out_len(o) - value_at);
}

/* Puts key and value with the handle key in place of the whole ones, which are too large; protocols.md 6.5. */
static int
reduce(struct open_protocol *e, struct ml_out *o, const struct op_table *t, const struct ml_row *row, size_t key_at,
	size_t value_at, struct ml_err *err)
{
	struct ml_text location = { 0 };
	char version[WORD];

	if (e->large.option == ML_LARGE_NONE)
		goto too_large;
	if (!t->has_handle)
		return ML_ERRF(err, ErrOpenProtocolCodecInvalidData, 0,
			"open-protocol codec invalid data: not found handle key columns for the over-sized row of %s",
			row->schema->qname.s);
	if (e->large.option == ML_LARGE_CLAIM_CHECK) {
		put_word(version, 1);
		e->claimed.len = 0;
		ml_buf_put(&e->claimed, version, WORD);
		ml_buf_put(&e->claimed, e->keys.data + key_at, e->keys.len - key_at);
		if (ml_claim_put(e->large.claim, e->claimed.data, e->claimed.len, o->start + value_at,
			    ml_out_len(o) - value_at, &location, err) < 0)
			return -1;
	}
	e->keys.len = key_at;
	o->p = o->start + value_at;
	put_row_key(e, t, row, false, location.s != NULL ? &location : NULL);
	if (put_framed_value(e, o, t, row, false, err) < 0)
		return -1;
	if (length_alone(e, o, key_at, value_at) <= e->opts.max_message_bytes)
		return 0;
too_large:
	return ML_ERR(err, ErrMessageTooLarge, 0, row->schema->qname.s, length_alone(e, o, key_at, value_at),
		e->opts.max_message_bytes);
}

/* Adds a row to the open record, or closes that and opens the next; protocols.md 6.4. */
static int
add_row(struct open_protocol *e, struct ml_batch *b, const struct ml_group *g, struct record *r, struct ml_out *o,
	const struct ml_row *row, struct ml_err *err)
{
	struct op_table *t = op_table_of(row->schema, e->serial);
	size_t value_at = ml_out_len(o), key_at = e->keys.len, key_len;

	put_row_key(e, t, row, true, NULL);
	if (put_framed_value(e, o, t, row, true, err) < 0)
		return -1;
	if (length_alone(e, o, key_at, value_at) > e->opts.max_message_bytes &&
		reduce(e, o, t, row, key_at, value_at, err) < 0)
		return -1;
	key_len = e->keys.len - key_at;
	if (r->rows > 0 &&
		(r->rows == e->opts.max_batch_size ||
			RECORD_OVERHEAD + (e->keys.len - r->key_start) + ml_out_len(o) > e->opts.max_message_bytes)) {
		close_record(b, g, r, o->start, key_at);
		/* What was written before this row is that record's; the open text begins with the row now. */
		o->start += value_at;
	}
	if (r->rows == 0) {
		put_key_word(e, 0); /* room for the version, in front of the row's key */
		memmove(e->keys.data + key_at + WORD, e->keys.data + key_at, key_len);
		put_word(e->keys.data + key_at, 1);
		*r = (struct record){ .key_start = key_at, .schema = row->schema };
	}
	r->rows++;
	r->value_len = ml_out_len(o);
	r->commit_ts = row->commit_ts;
	return 0;
}

static int
encode_group(struct open_protocol *e, struct ml_batch *b, const struct ml_group *g, struct ml_err *err)
{
	struct record r = { 0 };
	struct ml_out o;

	ml_out_begin(&o, &b->arena);
	for (uint32_t i = g->first; i != ML_GROUP_END; i = e->groups.next[i])
		if (add_row(e, b, g, &r, &o, &b->rows[i], err) < 0)
			return -1;
	if (r.rows > 0) {
		uint32_t len;

		close_record(b, g, &r, ml_out_end(&o, &len), e->keys.len);
	}
	return 0;
}

static int
rows(struct ml_encoder *enc, struct ml_batch *b, struct ml_err *err)
{
	struct open_protocol *e = (struct open_protocol *)enc;
	uint32_t first = b->n_msgs;
	char *p;

	if (b->n_rows == 0)
		return 0;
	e->keys.len = 0;
	ml_groups_make(&e->groups, b);
	for (uint32_t i = 0; i < e->groups.n; i++)
		if (encode_group(e, b, &e->groups.groups[i], err) < 0)
			return -1;
	p = ml_arena_bytes(&b->arena, e->keys.len);
	memcpy(p, e->keys.data, e->keys.len);
	for (uint32_t i = first; i < b->n_msgs; i++) {
		b->msgs[i].key = p;
		p += b->msgs[i].key_len;
	}
	return 0;
}

/* --- DDL and resolved ts ------------------------------------------------------------------------------------------------ */

static void
begin_key(struct ml_out *o, struct ml_arena *a, ml_ts ts)
{
	ml_out_begin(o, a);
	ml_out_need(o, 2 * WORD);
	o->p += 2 * WORD;
	ml_out_lit(o, "{\"ts\":");
	o->p += ml_u64_text(ml_out_need(o, ML_INT_TEXT_MAX), ts);
}

static void
end_key(struct ml_out *o, struct ml_msg *m)
{
	put_word(o->start, 1);
	put_word(o->start + WORD, ml_out_len(o) - 2 * WORD);
	m->key = ml_out_end(o, &m->key_len);
}

static int
ddl_message(struct ml_encoder *enc, const struct ml_ddl *ddl, struct ml_arena *a, struct ml_msg *m, struct ml_err *err)
{
	struct open_protocol *e = (struct open_protocol *)enc;
	struct ml_out o;

	*m = (struct ml_msg){ .commit_ts = ddl->commit_ts };
	begin_key(&o, a, ddl->commit_ts);
	if (ddl->db.len > 0) {
		ml_out_lit(&o, ",\"scm\":\"");
		ml_escape_s(&o, ddl->db.s, ddl->db.len);
		ml_out_lit(&o, "\"");
	}
	if (ddl->table.len > 0) {
		ml_out_lit(&o, ",\"tbl\":\"");
		ml_escape_s(&o, ddl->table.s, ddl->table.len);
		ml_out_lit(&o, "\"");
	}
	ml_out_lit(&o, ",\"t\":2}");
	end_key(&o, m);
	ml_out_begin(&o, a);
	ml_out_need(&o, WORD);
	o.p += WORD;
	ml_out_lit(&o, "{\"q\":\"");
	ml_escape_s(&o, ddl->query.s, ddl->query.len);
	ml_out_lit(&o, "\",\"t\":");
	o.p += ml_i64_text(ml_out_need(&o, ML_INT_TEXT_MAX), ddl->action);
	ml_out_lit(&o, "}");
	if (ml_compress(e->large.compressor, &o, WORD, err) < 0)
		return -1;
	put_word(o.start, ml_out_len(&o) - WORD);
	m->value = ml_out_end(&o, &m->value_len);
	return 1;
}

static int
resolved(struct ml_encoder *enc, ml_ts ts, struct ml_arena *a, struct ml_msg *m, struct ml_err *err)
{
	static const char no_value[WORD];
	struct ml_out o;

	(void)enc;
	(void)err;
	*m = (struct ml_msg){ .commit_ts = ts, .value = no_value, .value_len = WORD };
	begin_key(&o, a, ts);
	ml_out_lit(&o, ",\"t\":3}");
	end_key(&o, m);
	return 1;
}

/* --- life --------------------------------------------------------------------------------------------------------------- */

static int
open_encoder(struct ml_encoder **out, const struct ml_encoder_env *env, struct ml_err *err)
{
	struct open_protocol *e = calloc(1, sizeof(*e));

	if (e == NULL)
		abort();
	if (ml_encoder_opts_read(&e->opts, env, err) < 0) {
		free(e);
		return -1;
	}
	if (ml_large_open(&e->large, env, ml_encoder_open.name, err) < 0) {
		ml_encoder_opts_fini(&e->opts);
		free(e);
		return -1;
	}
	ml_arena_init(&e->scratch, 4096);
	e->e.ops = &ml_encoder_open;
	e->serial = ml_encoder_serial();
	*out = &e->e;
	return 0;
}

static void
close_encoder(struct ml_encoder *enc)
{
	struct open_protocol *e = (struct open_protocol *)enc;

	if (e == NULL)
		return;
	ml_encoder_opts_fini(&e->opts);
	ml_large_close(&e->large);
	ml_buf_fini(&e->keys);
	ml_buf_fini(&e->claimed);
	ml_arena_fini(&e->scratch);
	ml_groups_fini(&e->groups);
	free(e);
}

const struct ml_encoder_ops ml_encoder_open = {
	.name = "open-protocol",
	.aliases = { "default" },
	.for_storage = false,
	.for_mq = true,
	.ddl_all_partitions = true,
	.checkpoint_messages = true,
	.open = open_encoder,
	.rows = rows,
	.ddl = ddl_message,
	.checkpoint = resolved,
	.close = close_encoder,
};
