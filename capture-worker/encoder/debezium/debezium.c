/*
 * debezium.c - rows and DDL as debezium: one row per message, key and value are JSON, with or without their schemas; UPDATEs
 * with both images, DELETEs with `after` in front.  There are no watermarks, and sizes are the sink's to check.
 */
#include "capture-worker/encoder/debezium/debezium.h"

#include <stdlib.h>
#include <string.h>

#include "capture-worker/encoder/debezium/ddl.h"
#include "capture-worker/encoder/debezium/field.h"
#include "capture-worker/encoder/debezium/table.h"
#include "capture-worker/encoder/debezium/when.h"
#include "capture-worker/encoder/large.h"
#include "capture-worker/encoder/options.h"
#include "capture-worker/encoder/same.h"
#include "capture-worker/encoder/text/base64.h"
#include "capture-worker/encoder/text/escape.h"
#include "common/text/num.h"

struct debezium {
	struct ml_encoder e;
	struct ml_large large; /* its compression; large rows have no other form */
	struct dbz_form form;
	struct ml_tz *tz;
	struct ml_arena arena; /* of the texts that follow from the settings */
	bool old_value;
	uint64_t (*now_ms)(void);
	/* Up to the transaction's time: from the start to the source's `"ts_ms":`. */
	struct ml_text head;
	/* Behind the commit ts: `,"cluster_id":...,"ts_ms":<now>,"transaction":null,"op":"`, the first tail_head_len bytes fixed. */
	char *tail;
	uint32_t tail_head_len, tail_len;
	/* The two with the times of a transaction, whose rows share them: head and time; commit ts and tail. */
	ml_ts ts;
	char *front, *back;
	uint32_t front_len, back_len;
};

static void
put_text(struct ml_out *o, struct ml_text t)
{
	ml_out_put(o, t.s, t.len);
}

/* ---- values ---- */

static void
put_set(struct ml_out *o, const struct dbz_column *c, uint64_t bits)
{
	bool first = true;

	ml_out_lit(o, "\"");
	for (int i = 0; i < c->n_elems && i < 64 && bits >> i != 0; i++) {
		if (!(bits >> i & 1))
			continue;
		if (!first)
			ml_out_lit(o, ",");
		first = false;
		put_text(o, c->elems[i]);
	}
	ml_out_lit(o, "\"");
}

static void
put_number(struct ml_out *o, const struct dbz_column *c, const struct ml_datum *d)
{
	switch (d->kind) {
	case ML_D_I64:
		o->p += ml_i64_text(ml_out_need(o, ML_INT_TEXT_MAX), d->i);
		break;
	case ML_D_U64:
		/* From 2^63 on the number wraps, as the reader's type does. */
		o->p += ml_i64_text(ml_out_need(o, ML_INT_TEXT_MAX), d->u > c->max ? -1 : (int64_t)d->u);
		break;
	case ML_D_F32:
		o->p += ml_f32_text(ml_out_need(o, ML_FLOAT_TEXT_MAX), d->f32, ML_FLOAT_J2);
		break;
	default:
		o->p += ml_f64_text(ml_out_need(o, ML_FLOAT_TEXT_MAX), d->f64, ML_FLOAT_J2);
		break;
	}
}

static void
put_unreal(struct ml_out *o, const struct dbz_column *c)
{
	if (c->not_null)
		ml_out_lit(o, "0");
	else
		ml_out_lit(o, "null");
}

static void
put_bytes(const struct debezium *e, struct ml_out *o, const struct dbz_column *c, const struct ml_datum *d)
{
	int64_t v;
	bool real;

	switch (c->how) {
	case DBZ_BASE64:
		ml_out_lit(o, "\"");
		ml_base64(o, d->s, d->len);
		ml_out_lit(o, "\"");
		return;
	case DBZ_DECIMAL:
		if (dbz_put_decimal(o, d->s, d->len))
			return;
		break;
	case DBZ_TIMESTAMP:
		dbz_put_timestamp(o, d->s, d->len, e->form.tz);
		return;
	case DBZ_DATE:
	case DBZ_DATETIME_MS:
	case DBZ_DATETIME_US:
	case DBZ_TIME:
		if (c->how == DBZ_DATE)
			real = dbz_date(d->s, d->len, &v) == DBZ_REAL;
		else if (c->how == DBZ_TIME)
			real = dbz_time(d->s, d->len, &v);
		else
			real = dbz_datetime(d->s, d->len, &v) == DBZ_REAL;
		if (!real) {
			put_unreal(o, c);
			return;
		}
		/* No fraction is lost: there are three digits at most. */
		o->p += ml_i64_text(ml_out_need(o, ML_INT_TEXT_MAX), c->how == DBZ_DATETIME_MS ? v / 1000 : v);
		return;
	default:
		break;
	}
	ml_out_lit(o, "\"");
	ml_escape_i(o, d->s, d->len);
	ml_out_lit(o, "\"");
}

/* `"name":value`, with a comma in front unless it is the first. */
static inline void
put_value(const struct debezium *e, struct ml_out *o, const struct dbz_column *c, const struct ml_datum *d, bool first)
{
	ml_out_put(o, c->piece + first, c->len - first);
	switch (d->kind) {
	case ML_D_NULL:
		put_text(o, c->null);
		return;
	case ML_D_BYTES:
		put_bytes(e, o, c, d);
		return;
	default:
		break;
	}
	switch (c->how) {
	case DBZ_BOOL:
		if (d->u != 0)
			ml_out_lit(o, "true");
		else
			ml_out_lit(o, "false");
		return;
	case DBZ_BITS:
		ml_out_lit(o, "\"");
		dbz_put_bits(o, d->u, c->n_bits);
		ml_out_lit(o, "\"");
		return;
	case DBZ_ENUM:
		ml_out_lit(o, "\"");
		if (d->u >= 1 && d->u <= c->n_elems)
			put_text(o, c->elems[d->u - 1]);
		ml_out_lit(o, "\"");
		return;
	case DBZ_SET:
		put_set(o, c, d->u);
		return;
	default:
		put_number(o, c, d);
		return;
	}
}

static void
put_columns(const struct debezium *e, struct ml_out *o, const struct dbz_table *t, const uint16_t *cols, int n,
	const struct ml_datum *image)
{
	bool first = true;

	for (int i = 0; i < n; i++) {
		const struct ml_datum *d = &image[cols[i]];

		/* A column of the other image that is not in this one. */
		if (d->kind == ML_D_ABSENT)
			continue;
		put_value(e, o, &t->columns[cols[i]], d, first);
		first = false;
	}
}

/* ---- messages ---- */

static void
set_ts(struct debezium *e, ml_ts ts)
{
	e->front_len = e->head.len + (uint32_t)ml_u64_text(e->front + e->head.len, ml_ts_ms(ts));
	e->back_len = (uint32_t)ml_u64_text(e->back, ts);
	memcpy(e->back + e->back_len, e->tail, e->tail_len);
	e->back_len += e->tail_len;
	e->ts = ts;
}

static void
set_now(struct debezium *e)
{
	char *p = e->tail + e->tail_head_len;

	p += ml_u64_text(p, e->now_ms());
	memcpy(p, ",\"transaction\":null,\"op\":\"", 26);
	e->tail_len = (uint32_t)(p + 26 - e->tail);
	/* 0 is no commit ts, so the texts are made anew. */
	e->ts = 0;
}

static int
put_row(struct debezium *e, struct ml_batch *b, const struct ml_row *row, struct ml_err *err)
{
	struct dbz_table *t = dbz_table_of(&e->form, row->schema);
	const struct ml_datum *image = row->op == ML_OP_DELETE ? row->before : row->after;
	const struct dbz_shape *sh = dbz_shape_of(t, row->schema, image);
	struct ml_out o;
	struct ml_msg m = {
		.topic = row->topic,
		.partition = row->partition,
		.schema = row->schema,
		.commit_ts = row->commit_ts,
		.rows = 1,
	};

	if (sh->n_cols == 0 && ml_image_empty(row->before, row->schema->n_columns) &&
		ml_image_empty(row->after, row->schema->n_columns))
		return 0;
	if (row->commit_ts != e->ts)
		set_ts(e, row->commit_ts);
	ml_out_begin(&o, &b->arena);
	ml_out_lit(&o, "{\"payload\":{");
	put_columns(e, &o, t, sh->keys, sh->n_keys, image);
	put_text(&o, sh->key_end);
	if (ml_compress(e->large.compressor, &o, 0, err) < 0)
		return -1;
	m.key = ml_out_end(&o, &m.key_len);

	ml_out_begin(&o, &b->arena);
	ml_out_put(&o, e->front, e->front_len);
	put_text(&o, t->mid);
	ml_out_put(&o, e->back, e->back_len);
	switch ((enum ml_op)row->op) {
	case ML_OP_INSERT:
		ml_out_lit(&o, "c\",\"before\":null,\"after\":{");
		break;
	case ML_OP_UPDATE:
		ml_out_lit(&o, "u\",");
		if (e->old_value) {
			ml_out_lit(&o, "\"before\":{");
			put_columns(e, &o, t, sh->cols, sh->n_cols, row->before);
			ml_out_lit(&o, "},");
		}
		ml_out_lit(&o, "\"after\":{");
		break;
	case ML_OP_DELETE:
		ml_out_lit(&o, "d\",\"after\":null,\"before\":{");
		break;
	}
	put_columns(e, &o, t, sh->cols, sh->n_cols, image);
	put_text(&o, sh->value_end);
	if (ml_compress(e->large.compressor, &o, 0, err) < 0)
		return -1;
	m.value = ml_out_end(&o, &m.value_len);
	*ml_batch_msg(b) = m;
	return 0;
}

static int
rows(struct ml_encoder *enc, struct ml_batch *b, struct ml_err *err)
{
	struct debezium *e = (struct debezium *)enc;

	/* One look at the clock per batch. */
	set_now(e);
	for (uint32_t i = 0; i < b->n_rows; i++)
		if (put_row(e, b, &b->rows[i], err) < 0)
			return -1;
	return 0;
}

static int
ddl_message(struct ml_encoder *enc, const struct ml_ddl *ddl, struct ml_arena *a, struct ml_msg *m, struct ml_err *err)
{
	struct debezium *e = (struct debezium *)enc;
	struct ml_out o;

	if (!dbz_ddl_told(ddl))
		return 0;
	*m = (struct ml_msg){ .commit_ts = ddl->commit_ts };
	ml_out_begin(&o, a);
	dbz_put_ddl_key(&o, &e->form, ddl);
	if (ml_compress(e->large.compressor, &o, 0, err) < 0)
		return -1;
	m->key = ml_out_end(&o, &m->key_len);
	ml_out_begin(&o, a);
	dbz_put_ddl_value(&o, &e->form, e->head, ddl, e->now_ms());
	if (ml_compress(e->large.compressor, &o, 0, err) < 0)
		return -1;
	m->value = ml_out_end(&o, &m->value_len);
	return 1;
}

/* ---- life ---- */

/* The texts that follow from the cluster's name, and room for what follows them. */
static void
make_texts(struct debezium *e, const char *cluster)
{
	const char *text;
	struct ml_out o;

	e->form.cluster.len = (uint32_t)strlen(cluster);
	e->form.cluster.s = ml_arena_strndup(&e->arena, cluster, e->form.cluster.len);
	ml_out_begin(&o, &e->arena);
	ml_out_lit(&o, "{\"payload\":{\"source\":{\"version\":\"2.4.0.Final\",\"connector\":\"TiCDC\",\"name\":");
	dbz_put_string(&o, e->form.cluster.s, e->form.cluster.len);
	ml_out_lit(&o, ",\"ts_ms\":");
	e->head.s = ml_out_end(&o, &e->head.len);
	ml_out_begin(&o, &e->arena);
	ml_out_lit(&o, ",\"cluster_id\":");
	dbz_put_string(&o, e->form.cluster.s, e->form.cluster.len);
	ml_out_lit(&o, "},\"ts_ms\":");
	text = ml_out_end(&o, &e->tail_head_len);
	e->front = ml_arena_bytes(&e->arena, e->head.len + ML_INT_TEXT_MAX);
	memcpy(e->front, e->head.s, e->head.len);
	/* Times and the 26 bytes behind the second one. */
	e->tail = ml_arena_bytes(&e->arena, e->tail_head_len + ML_INT_TEXT_MAX + 26);
	memcpy(e->tail, text, e->tail_head_len);
	e->back = ml_arena_bytes(&e->arena, ML_INT_TEXT_MAX + e->tail_head_len + ML_INT_TEXT_MAX + 26);
}

/* TIMESTAMP values are local to the zone in which the source reads them. */
static int
open_zone(struct debezium *e, const struct ml_encoder_env *env, struct ml_err *err)
{
	const char *name = env->spec->timezone;
	struct ml_tz_range r;

	if (name == NULL || name[0] == '\0')
		name = env->config != NULL ? env->config->tz : "UTC";
	if (ml_tz_open(&e->tz, name, err) < 0)
		return -1;
	r = ml_tz_range_at(e->tz, 0);
	/* Wider than any TIMESTAMP. */
	if (r.offset_s != 0 || r.from_s > -86400 || r.to_s < INT64_C(1) << 40)
		e->form.tz = e->tz;
	return 0;
}

static void
close_encoder(struct ml_encoder *enc)
{
	struct debezium *e = (struct debezium *)enc;

	if (e == NULL)
		return;
	ml_large_close(&e->large);
	ml_tz_free(e->tz);
	ml_arena_fini(&e->arena);
	free(e);
}

static int
open_encoder(struct ml_encoder **out, const struct ml_encoder_env *env, struct ml_err *err)
{
	const char *cluster = env->config != NULL ? env->config->cluster_id : "";
	struct debezium *e = calloc(1, sizeof(*e));
	struct ml_encoder_opts opts;

	if (e == NULL)
		abort();
	ml_arena_init(&e->arena, 1024);
	if (ml_encoder_opts_read(&opts, env, err) < 0)
		goto fail;
	e->old_value = opts.debezium_old_value;
	e->form.with_schema = !opts.debezium_no_schema;
	ml_encoder_opts_fini(&opts);
	if (open_zone(e, env, err) < 0 || ml_large_open(&e->large, env, ml_encoder_debezium.name, err) < 0)
		goto fail;
	make_texts(e, cluster != NULL && cluster[0] != '\0' ? cluster : "default");
	e->e.ops = &ml_encoder_debezium;
	e->now_ms = env->now_ms;
	e->form.serial = ml_encoder_serial();
	*out = &e->e;
	return 0;
fail:
	close_encoder(&e->e);
	return -1;
}

const struct ml_encoder_ops ml_encoder_debezium = {
	.name = "debezium",
	.for_storage = false,
	.for_mq = true,
	.ddl_all_partitions = true,
	.checkpoint_messages = false,
	.open = open_encoder,
	.rows = rows,
	.ddl = ddl_message,
	.close = close_encoder,
};
