/*
 * canal_json.c - rows, DDL and watermarks as canal-json.
 *
 * Kafka: one row per message, key empty (rows) or null (the others).  Storage: the same JSON, the terminator behind it, no
 * key; DDL and watermarks have no message there.
 */
#include "capture-worker/encoder/canal_json/canal_json.h"

#include <stdlib.h>

#include "capture-worker/encoder/canal_json/table.h"
#include "capture-worker/encoder/ddl_type.h"
#include "capture-worker/encoder/java_type.h"
#include "capture-worker/encoder/large.h"
#include "capture-worker/encoder/options.h"
#include "capture-worker/encoder/same.h"
#include "capture-worker/encoder/text/escape.h"
#include "common/text/num.h"

/* protocols.md 4.2: what a record costs beside its key and value. */
#define RECORD_OVERHEAD 36

struct canal_json {
	struct ml_encoder e;
	struct ml_encoder_opts opts;
	struct ml_large large;
	uint64_t (*now_ms)(void);
	bool storage;
	uint64_t serial;
	/* Texts that follow from a commit ts and the clock; rows of one transaction share them. */
	ml_ts ts;
	uint64_t now;
	char times[64]; /* `<es>,"ts":<now>` */
	char tail[64];  /* from the end of `data` on, but for the terminator */
	uint32_t times_len, tail_len;
};

static void
put_u64(struct ml_out *o, uint64_t v)
{
	o->p += ml_u64_text(ml_out_need(o, ML_INT_TEXT_MAX), v);
}

static void
put_text(struct ml_out *o, struct ml_text t)
{
	ml_out_put(o, t.s, t.len);
}

static void
set_ts(struct canal_json *e, ml_ts ts)
{
	char *p = e->times;

	p += ml_u64_text(p, ml_ts_ms(ts));
	memcpy(p, ",\"ts\":", 6);
	p += 6;
	p += ml_u64_text(p, e->now);
	e->times_len = (uint32_t)(p - e->times);
	p = e->tail;
	if (e->opts.tidb_extension) {
		memcpy(p, ",\"_tidb\":{\"commitTs\":", 21);
		p += 21;
		p += ml_u64_text(p, ts);
		*p++ = '}';
	}
	*p++ = '}';
	e->tail_len = (uint32_t)(p - e->tail);
	e->ts = ts;
}

/* `"name":"value"`, with a comma in front unless it is the first. */
static inline void
put_value(struct ml_out *o, const struct cj_column *c, const struct ml_datum *d, bool first)
{
	size_t n = c->len - first;
	char *p = ml_out_need(o, n + ML_INT_TEXT_MAX + 1);

	memcpy(p, c->piece + first, n);
	p += n;
	switch (d->kind) {
	case ML_D_NULL:
		/* Over the opening quote. */
		memcpy(p - 1, "null", 4);
		o->p = p + 3;
		return;
	case ML_D_I64:
		p += ml_i64_text(p, d->i);
		break;
	case ML_D_U64:
		p += ml_u64_text(p, d->u);
		break;
	case ML_D_F32:
		o->p = p;
		p = ml_out_need(o, ML_FLOAT_TEXT_MAX + 1);
		p += ml_f32_text(p, d->f32, ML_FLOAT_F);
		break;
	case ML_D_F64:
		o->p = p;
		p = ml_out_need(o, ML_FLOAT_TEXT_MAX + 1);
		p += ml_f64_text(p, d->f64, ML_FLOAT_F);
		break;
	default:
		o->p = p;
		if (c->bytes == CJ_LATIN1)
			ml_escape_latin1(o, d->s, d->len);
		else
			ml_escape_e(o, d->s, d->len);
		p = ml_out_need(o, 1);
		break;
	}
	*p++ = '"';
	o->p = p;
}

/* `[{...}]` of the shape's columns; but: leaves out what is the same there (NULL: nothing is). */
static void
put_image(struct ml_out *o, const struct cj_table *t, const struct cj_shape *sh, const struct ml_datum *image,
	const struct ml_datum *but)
{
	bool first = true;

	ml_out_lit(o, "[{");
	for (int i = 0; i < sh->n_cols; i++) {
		const struct ml_datum *d = &image[sh->cols[i]];

		/* A column of the other image that is not in this one. */
		if (d->kind == ML_D_ABSENT || (but != NULL && ml_datum_same(d, &but[sh->cols[i]])))
			continue;
		put_value(o, &t->columns[sh->cols[i]], d, first);
		first = false;
	}
	ml_out_lit(o, "}]");
}

static void
put_codes(struct ml_out *o, const struct cj_shape *sh, const struct ml_datum *image)
{
	for (int i = 0; i < sh->n_codes; i++) {
		const struct cj_code *c = &sh->codes[i];
		const struct ml_datum *d = &image[c->column];

		ml_out_put(o, c->before, c->before_len);
		put_text(o, ml_java_above(d, c->bound) ? c->promoted : c->code);
	}
}

/* Behind `data`.  A message that is not whole says so, and where the whole one lies if it lies somewhere. */
static void
put_tail(const struct canal_json *e, struct ml_out *o, bool whole, const struct ml_text *location)
{
	if (whole) {
		ml_out_put(o, e->tail, e->tail_len);
		return;
	}
	/* Into `_tidb`, which is there: without it rows are not reduced. */
	ml_out_put(o, e->tail, e->tail_len - 2);
	if (location == NULL) {
		ml_out_lit(o, ",\"onlyHandleKey\":true}}");
		return;
	}
	ml_out_lit(o, ",\"claimCheckLocation\":\"");
	ml_escape_e(o, location->s, location->len);
	ml_out_lit(o, "\"}}");
}

static void
put_value_of_row(const struct canal_json *e, struct ml_out *o, const struct cj_table *t, const struct cj_shape *sh,
	const struct ml_row *row, bool whole, const struct ml_text *location)
{
	const struct ml_datum *image = row->op == ML_OP_DELETE ? row->before : row->after;

	put_text(o, t->head[row->op]);
	ml_out_put(o, e->times, e->times_len);
	put_codes(o, sh, image);
	ml_out_put(o, sh->rest, sh->rest_len);
	if (row->op == ML_OP_UPDATE && !ml_image_empty(row->before, row->schema->n_columns))
		put_image(o, t, sh, row->before, e->opts.only_updated ? row->after : NULL);
	else
		ml_out_lit(o, "null");
	ml_out_lit(o, ",\"data\":");
	if (sh->n_cols > 0)
		put_image(o, t, sh, image, NULL);
	else
		ml_out_lit(o, "null");
	put_tail(e, o, whole, location);
}

/* Puts a message with the handle key in place of the one in o, which is too large (protocols.md 4.5, 5.4). */
static int
reduce(struct canal_json *e, struct ml_out *o, struct cj_table *t, const struct ml_row *row, struct ml_err *err)
{
	const struct ml_datum *image = row->op == ML_OP_DELETE ? row->before : row->after;
	const struct cj_shape *sh = cj_shape_of(t, row->schema, image, true);
	struct ml_text location = { 0 };

	/* Nothing would tell which row it was. */
	if (e->large.option == ML_LARGE_NONE || sh->n_cols == 0)
		return ML_ERR(err, ErrMessageTooLarge, 0, row->schema->qname.s, ml_out_len(o) + RECORD_OVERHEAD,
			e->opts.max_message_bytes);
	if (e->large.option == ML_LARGE_CLAIM_CHECK &&
		ml_claim_put(e->large.claim, NULL, 0, o->start, ml_out_len(o), &location, err) < 0)
		return -1;
	o->p = o->start;
	put_value_of_row(e, o, t, sh, row, false, location.s != NULL ? &location : NULL);
	if (ml_compress(e->large.compressor, o, 0, err) < 0)
		return -1;
	if (ml_out_len(o) + RECORD_OVERHEAD > e->opts.max_message_bytes)
		return ML_ERR(err, ErrMessageTooLarge, 0, row->schema->qname.s, ml_out_len(o) + RECORD_OVERHEAD,
			e->opts.max_message_bytes);
	return 0;
}

static int
put_row(struct canal_json *e, struct ml_batch *b, const struct ml_row *row, struct ml_err *err)
{
	struct cj_table *t = cj_table_of(row->schema, e->serial, e->opts.content_compatible);
	const struct ml_datum *image = row->op == ML_OP_DELETE ? row->before : row->after;
	bool handle_only = row->op == ML_OP_DELETE && e->opts.delete_handle_only;
	const struct cj_shape *sh = cj_shape_of(t, row->schema, image, handle_only);
	struct ml_out o;
	struct ml_msg *m;

	if (sh->n_cols == 0 && ml_image_empty(row->before, row->schema->n_columns) &&
		ml_image_empty(row->after, row->schema->n_columns))
		return 0;
	if (row->commit_ts != e->ts)
		set_ts(e, row->commit_ts);
	ml_out_begin(&o, &b->arena);
	put_value_of_row(e, &o, t, sh, row, true, NULL);
	if (e->storage) {
		ml_out_put(&o, e->opts.terminator, e->opts.terminator_len);
	} else {
		if (ml_compress(e->large.compressor, &o, 0, err) < 0)
			return -1;
		if (ml_out_len(&o) + RECORD_OVERHEAD > e->opts.max_message_bytes && reduce(e, &o, t, row, err) < 0)
			return -1;
	}
	m = ml_batch_msg(b);
	*m = (struct ml_msg){
		.key = e->storage ? NULL : "",
		.topic = row->topic,
		.partition = row->partition,
		.schema = row->schema,
		.commit_ts = row->commit_ts,
		.rows = 1,
	};
	m->value = ml_out_end(&o, &m->value_len);
	return 0;
}

static int
rows(struct ml_encoder *enc, struct ml_batch *b, struct ml_err *err)
{
	struct canal_json *e = (struct canal_json *)enc;

	/* One look at the clock per batch; 0 is no commit ts, so the texts are made anew. */
	e->now = e->now_ms();
	e->ts = 0;
	for (uint32_t i = 0; i < b->n_rows; i++)
		if (put_row(e, b, &b->rows[i], err) < 0)
			return -1;
	return 0;
}

/* DDL and watermark share everything but names, kind and the end. */
static void
put_control(struct canal_json *e, struct ml_out *o, const struct ml_ddl *ddl, const char *type, ml_ts ts)
{
	ml_out_lit(o, "{\"id\":0,\"database\":\"");
	if (ddl != NULL)
		ml_escape_e(o, ddl->db.s, ddl->db.len);
	ml_out_lit(o, "\",\"table\":\"");
	if (ddl != NULL)
		ml_escape_e(o, ddl->table.s, ddl->table.len);
	ml_out_lit(o, "\",\"pkNames\":null,\"isDdl\":");
	if (ddl != NULL)
		ml_out_lit(o, "true");
	else
		ml_out_lit(o, "false");
	ml_out_lit(o, ",\"type\":\"");
	ml_out_put(o, type, strlen(type));
	ml_out_lit(o, "\",\"es\":");
	put_u64(o, ml_ts_ms(ts));
	ml_out_lit(o, ",\"ts\":");
	put_u64(o, e->now_ms());
	ml_out_lit(o, ",\"sql\":\"");
	if (ddl != NULL)
		ml_escape_e(o, ddl->query.s, ddl->query.len);
	ml_out_lit(o, "\",\"sqlType\":null,\"mysqlType\":null,\"data\":null,\"old\":null");
	if (e->opts.tidb_extension) {
		if (ddl != NULL)
			ml_out_lit(o, ",\"_tidb\":{\"commitTs\":");
		else
			ml_out_lit(o, ",\"_tidb\":{\"watermarkTs\":");
		put_u64(o, ts);
		ml_out_lit(o, "}");
	}
	ml_out_lit(o, "}");
}

static int
control_message(struct canal_json *e, const struct ml_ddl *ddl, const char *type, ml_ts ts, struct ml_arena *a,
	struct ml_msg *m, struct ml_err *err)
{
	struct ml_out o;

	ml_out_begin(&o, a);
	put_control(e, &o, ddl, type, ts);
	if (ml_compress(e->large.compressor, &o, 0, err) < 0)
		return -1;
	*m = (struct ml_msg){ .commit_ts = ts };
	m->value = ml_out_end(&o, &m->value_len);
	return 1;
}

static int
ddl_message(struct ml_encoder *enc, const struct ml_ddl *ddl, struct ml_arena *a, struct ml_msg *m, struct ml_err *err)
{
	struct canal_json *e = (struct canal_json *)enc;

	if (e->storage)
		return 0;
	return control_message(e, ddl, ml_ddl_type(ddl->action), ddl->commit_ts, a, m, err);
}

static int
watermark(struct ml_encoder *enc, ml_ts ts, struct ml_arena *a, struct ml_msg *m, struct ml_err *err)
{
	struct canal_json *e = (struct canal_json *)enc;

	if (e->storage || !e->opts.tidb_extension)
		return 0;
	return control_message(e, NULL, "TIDB_WATERMARK", ts, a, m, err);
}

static int
open_encoder(struct ml_encoder **out, const struct ml_encoder_env *env, struct ml_err *err)
{
	struct canal_json *e = calloc(1, sizeof(*e));

	if (e == NULL)
		abort();
	if (ml_encoder_opts_read(&e->opts, env, err) < 0) {
		free(e);
		return -1;
	}
	if (ml_large_open(&e->large, env, ml_encoder_canal_json.name, err) < 0) {
		ml_encoder_opts_fini(&e->opts);
		free(e);
		return -1;
	}
	e->e.ops = &ml_encoder_canal_json;
	e->now_ms = env->now_ms;
	e->storage = env->storage;
	e->serial = ml_encoder_serial();
	*out = &e->e;
	return 0;
}

static void
close_encoder(struct ml_encoder *enc)
{
	struct canal_json *e = (struct canal_json *)enc;

	if (e == NULL)
		return;
	ml_encoder_opts_fini(&e->opts);
	ml_large_close(&e->large);
	free(e);
}

const struct ml_encoder_ops ml_encoder_canal_json = {
	.name = "canal-json",
	.for_storage = true,
	.for_mq = true,
	.ddl_all_partitions = false,
	.checkpoint_messages = true,
	.open = open_encoder,
	.rows = rows,
	.ddl = ddl_message,
	.checkpoint = watermark,
	.close = close_encoder,
};
