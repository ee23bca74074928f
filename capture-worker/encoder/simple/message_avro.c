/* message_avro.c - simple's messages as one Avro datum each, of a schema that consumers have; see message.h. */
#include <string.h>

#include "capture-worker/encoder/avro_bin.h"
#include "capture-worker/encoder/ddl_type.h"
#include "capture-worker/encoder/simple/message.h"

static inline void
put_text(struct ml_out *o, struct ml_text t)
{
	ml_out_put(o, t.s, t.len);
}

static inline void
put_value(struct ml_out *o, const struct ml_datum *d)
{
	switch ((enum ml_datum_kind)d->kind) {
	case ML_D_I64:
	case ML_D_U64:
		ml_avro_long(o, d->i);
		break;
	case ML_D_F32:
		ml_avro_float(o, d->f32);
		break;
	case ML_D_F64:
		ml_avro_double(o, d->f64);
		break;
	case ML_D_BYTES:
		ml_avro_bytes(o, d->s, d->len);
		break;
	case ML_D_NULL:
	case ML_D_ABSENT:
		break;
	}
}

/* A union of null and a map: one block of so many items, and the end. */
static void
put_image(struct ml_out *o, const struct sm_table *t, int n_columns, const struct ml_datum *image, bool reduced)
{
	int n = 0;

	if (image == NULL) {
		ml_avro_long(o, 0);
		return;
	}
	for (int i = 0; i < n_columns; i++)
		n += image[i].kind != ML_D_ABSENT && (!reduced || t->columns[i].handle);
	ml_avro_long(o, 1);
	if (n > 0)
		ml_avro_long(o, n);
	for (int i = 0; i < n_columns; i++) {
		const struct sm_column *c = &t->columns[i];
		const struct ml_datum *d = &image[i];

		if (d->kind == ML_D_ABSENT || (reduced && !c->handle))
			continue;
		if (d->kind == ML_D_NULL) {
			put_text(o, c->null);
			continue;
		}
		put_text(o, c->lead);
		put_value(o, d);
	}
	ml_avro_long(o, 0);
}

static void
put_row(struct ml_out *o, const struct sm_table *t, const struct ml_row *row, uint64_t now, bool reduced,
	const struct ml_text *location)
{
	int n = row->schema->n_columns;

	put_text(o, t->head[row->op]);
	ml_avro_long(o, (int64_t)row->commit_ts);
	ml_avro_long(o, (int64_t)now);
	put_text(o, t->version);
	ml_avro_long(o, location != NULL);
	if (location != NULL)
		ml_avro_text(o, *location);
	ml_avro_long(o, reduced);
	if (reduced)
		ml_avro_bool(o, true);
	/* No checksum. */
	ml_avro_long(o, 0);
	put_image(o, t, n, row->after, reduced);
	put_image(o, t, n, row->before, reduced);
}

static int
ddl_symbol(int action)
{
	static const char *const symbols[] = { "CREATE", "ALTER", "ERASE", "RENAME", "TRUNCATE", "CINDEX", "DINDEX" };
	const char *type = ml_ddl_type_simple(action);
	int i = 0;

	while (i < 7 && strcmp(symbols[i], type) != 0)
		i++;
	return i; /* 7: QUERY */
}

static void
put_definition(struct ml_out *o, const struct sm_table *t)
{
	ml_avro_long(o, t != NULL);
	if (t != NULL)
		put_text(o, t->definition);
}

static void
put_ddl(struct ml_out *o, const struct ml_ddl *ddl, const struct sm_table *after, const struct sm_table *before,
	uint64_t now)
{
	/* Message, DDL, payload 2, version 1. */
	ml_out_lit(o, "\x16\x04\x04\x02");
	ml_avro_long(o, ddl_symbol(ddl->action));
	ml_avro_text(o, ddl->query);
	ml_avro_long(o, (int64_t)ddl->commit_ts);
	ml_avro_long(o, (int64_t)now);
	put_definition(o, after);
	put_definition(o, before);
}

static void
put_bootstrap(struct ml_out *o, const struct sm_table *t, uint64_t now)
{
	/* Message, BOOTSTRAP, payload 1, version 1. */
	ml_out_lit(o, "\x16\x02\x02\x02");
	ml_avro_long(o, (int64_t)now);
	put_text(o, t->definition);
}

static void
put_watermark(struct ml_out *o, ml_ts ts, uint64_t now)
{
	/* Message, WATERMARK, payload 0, version 1. */
	ml_out_put(o, "\x16\0\0\x02", 4);
	ml_avro_long(o, (int64_t)ts);
	ml_avro_long(o, (int64_t)now);
}

const struct sm_writer sm_writer_avro = {
	.row = put_row,
	.ddl = put_ddl,
	.bootstrap = put_bootstrap,
	.watermark = put_watermark,
};
