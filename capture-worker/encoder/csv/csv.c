/*
 * csv.c - one line per row, two for an UPDATE with output-old-value; a message is what belongs to one row, terminators
 * included, so that a file never parts the two.  DDL and checkpoints have no line.
 */
#include "capture-worker/encoder/csv/csv.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "capture-worker/encoder/csv/field.h"
#include "capture-worker/encoder/csv/table.h"
#include "capture-worker/encoder/options.h"
#include "capture-worker/encoder/same.h"
#include "common/base/buf.h"
#include "common/text/num.h"

struct csv {
	struct ml_encoder e;
	struct ml_encoder_opts opts;
	size_t null_len;
	uint64_t serial;
	struct ml_buf text; /* of a field that is put together first: SET, handle; keeps its room */
};

static void
put_delimiter(struct ml_out *o, const struct ml_csv_opts *c)
{
	memcpy(ml_out_need(o, sizeof(c->delimiter)), c->delimiter, sizeof(c->delimiter));
	o->p += c->delimiter_len;
}

static void
buf_number(struct ml_buf *b, const struct ml_datum *d)
{
	ml_buf_need(b, ML_FLOAT_TEXT_MAX);
	switch (d->kind) {
	case ML_D_I64:
		b->len += ml_i64_text(b->data + b->len, d->i);
		break;
	case ML_D_U64:
		b->len += ml_u64_text(b->data + b->len, d->u);
		break;
	case ML_D_F32:
		b->len += ml_f32_text(b->data + b->len, d->f32, ML_FLOAT_F);
		break;
	default:
		b->len += ml_f64_text(b->data + b->len, d->f64, ML_FLOAT_F);
		break;
	}
}

/*
 * The row's handle as TiDB prints it: a single integer primary key as a signed number, any other key as "{a, b}" in the key's
 * order.  Where TiDB has its hidden row id we have the handle key, and without one nothing.
 */
static void
put_handle(struct csv *e, struct ml_out *o, const struct ml_schema *s, const struct ml_datum *image)
{
	const struct ml_index *x = s->handle;
	struct ml_buf *b = &e->text;

	ml_buf_clear(b);
	if (s->rid_column >= 0) {
		const struct ml_datum *d = &image[s->rid_column];

		ml_buf_need(b, ML_INT_TEXT_MAX);
		if (d->kind == ML_D_I64 || d->kind == ML_D_U64)
			b->len += ml_i64_text(b->data, d->i);
	} else if (x != NULL) {
		ml_buf_putc(b, '{');
		for (int i = 0; i < x->n_cols; i++) {
			const struct ml_datum *d = &image[x->cols[i]];

			if (i > 0)
				ml_buf_put(b, ", ", 2);
			if (d->kind == ML_D_BYTES)
				ml_buf_put(b, d->s, d->len);
			else if (d->kind != ML_D_NULL && d->kind != ML_D_ABSENT)
				buf_number(b, d);
		}
		ml_buf_putc(b, '}');
	}
	csv_string(o, &e->opts.csv, b->data != NULL ? b->data : "", b->len);
}

static void
put_set(struct csv *e, struct ml_out *o, const struct csv_column *c, uint64_t bits)
{
	ml_buf_clear(&e->text);
	for (int i = 0; i < c->n_elems && i < 64; i++)
		if (bits >> i & 1) {
			if (e->text.len > 0)
				ml_buf_putc(&e->text, ',');
			ml_buf_put(&e->text, c->elems[i].s, c->elems[i].len);
		}
	csv_string(o, &e->opts.csv, e->text.data != NULL ? e->text.data : "", e->text.len);
}

/* -1: an ENUM's number that has no name. */
static inline int
put_value(struct csv *e, struct ml_out *o, const struct csv_column *c, const struct ml_datum *d)
{
	switch (d->kind) {
	case ML_D_NULL:
		ml_out_put(o, e->opts.csv.null, e->null_len);
		return 0;
	case ML_D_I64:
		o->p += ml_i64_text(ml_out_need(o, ML_INT_TEXT_MAX), d->i);
		return 0;
	case ML_D_U64:
		if (c->form == CSV_ENUM) {
			if (d->u == 0 || d->u > c->n_elems)
				return -1;
			ml_out_put(o, c->elems[d->u - 1].s, c->elems[d->u - 1].len);
		} else if (c->form == CSV_SET) {
			put_set(e, o, c, d->u);
		} else {
			o->p += ml_u64_text(ml_out_need(o, ML_INT_TEXT_MAX), d->u);
		}
		return 0;
	case ML_D_F32:
		o->p += ml_f32_text(ml_out_need(o, ML_FLOAT_TEXT_MAX), d->f32, ML_FLOAT_G);
		return 0;
	case ML_D_F64:
		o->p += ml_f64_text(ml_out_need(o, ML_FLOAT_TEXT_MAX), d->f64, ML_FLOAT_G);
		return 0;
	default:
		if (c->form == CSV_BINARY)
			csv_binary(o, &e->opts.csv, d->s, d->len);
		else
			csv_string(o, &e->opts.csv, d->s, d->len);
		return 0;
	}
}

static int
put_line(struct csv *e, struct ml_out *o, const struct csv_table *t, struct ml_text head, const struct ml_row *row,
	const struct ml_datum *image, struct ml_err *err)
{
	const struct ml_csv_opts *c = &e->opts.csv;
	const struct ml_schema *s = row->schema;

	ml_out_put(o, head.s, head.len);
	if (c->commit_ts) {
		put_delimiter(o, c);
		o->p += ml_u64_text(ml_out_need(o, ML_INT_TEXT_MAX), row->commit_ts);
	}
	if (c->old_value) {
		put_delimiter(o, c);
		if (row->op == ML_OP_UPDATE)
			ml_out_lit(o, "true");
		else
			ml_out_lit(o, "false");
	}
	if (c->handle_key) {
		put_delimiter(o, c);
		put_handle(e, o, s, image);
	}
	for (int i = 0; i < s->n_columns; i++) {
		if (image[i].kind == ML_D_ABSENT)
			continue;
		put_delimiter(o, c);
		if (put_value(e, o, &t->columns[i], &image[i]) < 0)
			return ML_ERRF(err, ErrCSVEncodeFailed, 0,
				"csv encode failed: column %s of %s holds %llu, which names no element",
				s->columns[i].name.s, s->qname.s, (unsigned long long)image[i].u);
	}
	ml_out_put(o, e->opts.terminator, e->opts.terminator_len);
	return 0;
}

static int
put_row(struct csv *e, struct ml_batch *b, const struct ml_row *row, struct ml_err *err)
{
	const struct csv_table *t = csv_table_of(row->schema, e->serial, &e->opts.csv);
	struct ml_out o;
	struct ml_msg *m;
	int rc;

	if (ml_image_empty(row->before, row->schema->n_columns) && ml_image_empty(row->after, row->schema->n_columns))
		return 0;
	ml_out_begin(&o, &b->arena);
	if (row->op == ML_OP_DELETE) {
		rc = put_line(e, &o, t, t->delete, row, row->before, err);
	} else if (row->op == ML_OP_INSERT || !e->opts.csv.old_value) {
		rc = put_line(e, &o, t, row->op == ML_OP_INSERT ? t->insert : t->update, row, row->after, err);
	} else {
		rc = put_line(e, &o, t, t->delete, row, row->before, err);
		if (rc == 0)
			rc = put_line(e, &o, t, t->insert, row, row->after, err);
	}
	if (rc < 0)
		return -1;
	m = ml_batch_msg(b);
	*m = (struct ml_msg){ .topic = row->topic,
		.partition = row->partition,
		.schema = row->schema,
		.commit_ts = row->commit_ts,
		.rows = 1 };
	m->value = ml_out_end(&o, &m->value_len);
	return 0;
}

static int
rows(struct ml_encoder *enc, struct ml_batch *b, struct ml_err *err)
{
	struct csv *e = (struct csv *)enc;

	for (uint32_t i = 0; i < b->n_rows; i++)
		if (put_row(e, b, &b->rows[i], err) < 0)
			return -1;
	return 0;
}

static int
ddl_message(struct ml_encoder *enc, const struct ml_ddl *ddl, struct ml_arena *a, struct ml_msg *m, struct ml_err *err)
{
	(void)enc;
	(void)ddl;
	(void)a;
	(void)m;
	(void)err;
	return 0;
}

static void
close_encoder(struct ml_encoder *enc)
{
	struct csv *e = (struct csv *)enc;

	if (e == NULL)
		return;
	ml_encoder_opts_fini(&e->opts);
	ml_buf_fini(&e->text);
	free(e);
}

static int
open_encoder(struct ml_encoder **out, const struct ml_encoder_env *env, struct ml_err *err)
{
	static atomic_uint_fast64_t serial = 1;
	struct csv *e = calloc(1, sizeof(*e));

	if (e == NULL)
		abort();
	e->e.ops = &ml_encoder_csv;
	if (ml_encoder_opts_read(&e->opts, env, err) < 0) {
		free(e);
		return -1;
	}
	if (e->opts.delete_handle_only) {
		close_encoder(&e->e);
		return ML_ERR(err, ErrSinkInvalidConfig, 0,
			"CSV protocol always output all columns for the delete event, do not set "
			"`delete-only-output-handle-key-columns` to true");
	}
	e->null_len = strlen(e->opts.csv.null);
	e->serial = atomic_fetch_add(&serial, 1);
	*out = &e->e;
	return 0;
}

const struct ml_encoder_ops ml_encoder_csv = {
	.name = "csv",
	.for_storage = true,
	.open = open_encoder,
	.rows = rows,
	.ddl = ddl_message,
	.close = close_encoder,
};
