/* message_json.c - simple's messages as JSON; see message.h. */
#include "capture-worker/encoder/ddl_type.h"
#include "capture-worker/encoder/simple/message.h"
#include "capture-worker/encoder/text/base64.h"
#include "capture-worker/encoder/text/escape.h"
#include "common/text/num.h"

static inline void
put_text(struct ml_out *o, struct ml_text t)
{
	ml_out_put(o, t.s, t.len);
}

static inline void
put_u64(struct ml_out *o, uint64_t v)
{
	o->p += ml_u64_text(ml_out_need(o, ML_INT_TEXT_MAX), v);
}

/* Behind `lead`, with the quote at its end. */
static inline void
put_value(struct ml_out *o, const struct sm_column *c, const struct ml_datum *d)
{
	char *p;

	switch ((enum ml_datum_kind)d->kind) {
	case ML_D_I64:
		p = ml_out_need(o, ML_INT_TEXT_MAX + 1);
		p += ml_i64_text(p, d->i);
		break;
	case ML_D_U64:
		p = ml_out_need(o, ML_INT_TEXT_MAX + 1);
		p += ml_u64_text(p, d->u);
		break;
	case ML_D_F32:
		p = ml_out_need(o, ML_FLOAT_TEXT_MAX + 1);
		p += ml_f32_text(p, d->f32, ML_FLOAT_F);
		break;
	case ML_D_F64:
		p = ml_out_need(o, ML_FLOAT_TEXT_MAX + 1);
		p += ml_f64_text(p, d->f64, ML_FLOAT_F);
		break;
	default:
		if (c->how == SM_BYTES)
			ml_base64(o, d->s, d->len);
		else
			ml_escape_s(o, d->s, d->len);
		p = ml_out_need(o, 2);
		break;
	}
	*p++ = '"';
	o->p = p;
	if (c->how == SM_TIMESTAMP)
		ml_out_lit(o, "}");
}

/* name: `,"data":`.  An image without columns is left out with its name. */
static void
put_image(struct ml_out *o, struct ml_text name, const struct sm_table *t, int n_columns, const struct ml_datum *image,
	bool reduced)
{
	size_t at = ml_out_len(o), first;

	if (image == NULL)
		return;
	put_text(o, name);
	first = ml_out_len(o);
	for (int i = 0; i < n_columns; i++) {
		const struct sm_column *c = &t->columns[i];
		const struct ml_datum *d = &image[c->col];

		if (d->kind == ML_D_ABSENT || (reduced && !c->handle))
			continue;
		if (d->kind == ML_D_NULL) {
			put_text(o, c->null);
			continue;
		}
		put_text(o, c->lead);
		put_value(o, c, d);
	}
	if (ml_out_len(o) == first) {
		o->p = o->start + at;
		return;
	}
	/* Over the comma in front of the first name. */
	o->start[first] = '{';
	ml_out_lit(o, "}");
}

static void
put_row(struct ml_out *o, const struct sm_table *t, const struct ml_row *row, uint64_t now, bool reduced,
	const struct ml_text *location)
{
	int n = row->schema->n_columns;

	put_text(o, t->head[row->op]);
	put_u64(o, row->commit_ts);
	ml_out_lit(o, ",\"buildTs\":");
	put_u64(o, now);
	put_text(o, t->version);
	if (location != NULL) {
		ml_out_lit(o, ",\"claimCheckLocation\":\"");
		ml_escape_s(o, location->s, location->len);
		ml_out_lit(o, "\"");
	}
	if (reduced)
		ml_out_lit(o, ",\"handleKeyOnly\":true");
	put_image(o, (struct ml_text){ ",\"data\":", 8 }, t, n, row->after, reduced);
	put_image(o, (struct ml_text){ ",\"old\":", 7 }, t, n, row->before, reduced);
	ml_out_lit(o, "}");
}

static void
put_head(struct ml_out *o, const char *type)
{
	ml_out_lit(o, "{\"version\":1,\"type\":\"");
	ml_out_put(o, type, strlen(type));
	ml_out_lit(o, "\"");
}

static void
put_times(struct ml_out *o, ml_ts ts, uint64_t now)
{
	ml_out_lit(o, ",\"commitTs\":");
	put_u64(o, ts);
	ml_out_lit(o, ",\"buildTs\":");
	put_u64(o, now);
}

static void
put_ddl(struct ml_out *o, const struct ml_ddl *ddl, const struct sm_table *after, const struct sm_table *before,
	uint64_t now)
{
	put_head(o, ml_ddl_type_simple(ddl->action));
	if (ddl->query.len > 0) {
		ml_out_lit(o, ",\"sql\":\"");
		ml_escape_s(o, ddl->query.s, ddl->query.len);
		ml_out_lit(o, "\"");
	}
	put_times(o, ddl->commit_ts, now);
	if (after != NULL) {
		ml_out_lit(o, ",\"tableSchema\":");
		put_text(o, after->definition);
	}
	if (before != NULL) {
		ml_out_lit(o, ",\"preTableSchema\":");
		put_text(o, before->definition);
	}
	ml_out_lit(o, "}");
}

static void
put_bootstrap(struct ml_out *o, const struct sm_table *t, uint64_t now)
{
	put_head(o, "BOOTSTRAP");
	put_times(o, 0, now);
	ml_out_lit(o, ",\"tableSchema\":");
	put_text(o, t->definition);
	ml_out_lit(o, "}");
}

static void
put_watermark(struct ml_out *o, ml_ts ts, uint64_t now)
{
	put_head(o, "WATERMARK");
	put_times(o, ts, now);
	ml_out_lit(o, "}");
}

const struct sm_writer sm_writer_json = {
	.row = put_row,
	.ddl = put_ddl,
	.bootstrap = put_bootstrap,
	.watermark = put_watermark,
};
