/*
 * avro.c - rows as Avro records: the key's columns in the record key, the new image in its value, nothing for a DELETE.
 *
 * There are no messages for DDL and checkpoints but with avro-enable-watermark, which is for tests of consumers.
 */
#include "capture-worker/encoder/avro/avro.h"

#include <stdlib.h>

#include "capture-worker/encoder/avro/table.h"
#include "capture-worker/encoder/avro_bin.h"
#include "capture-worker/encoder/options.h"
#include "capture-worker/encoder/same.h"
#include "capture-worker/encoder/text/escape.h"
#include "capture-worker/event/topic.h"
#include "common/text/num.h"

/* protocols.md 4.2: what a record costs beside its key and value. */
#define RECORD_OVERHEAD 36

struct avro {
	struct ml_encoder e;
	struct ml_encoder_opts opts;
	struct ml_avro_opts avro;
	struct av_maker maker;
	char *namespace;
};

static int
put_record(struct ml_out *o, const struct av_record *r, const struct ml_datum *image, struct ml_err *err)
{
	ml_out_put(o, r->head, AV_HEAD_BYTES);
	for (int i = 0; i < r->n_fields; i++)
		if (av_put_value(o, &r->fields[i], &image[r->fields[i].col], err) != 0)
			return -1;
	return 0;
}

/* checksum: with fields for one, which a binary log does not hold: the defaults "", false and 0 (protocols.md 8.7). */
static void
put_extension(struct ml_out *o, const struct ml_row *row, bool checksum)
{
	ml_avro_bytes(o, row->op == ML_OP_UPDATE ? "u" : "c", 1);
	ml_avro_long(o, (int64_t)row->commit_ts);
	ml_avro_long(o, (int64_t)ml_ts_ms(row->commit_ts));
	if (checksum)
		ml_out_put(o, "\0\0", 3);
}

static int
put_row(struct avro *e, struct ml_batch *b, const struct ml_row *row, struct ml_err *err)
{
	const struct ml_datum *image = row->op == ML_OP_DELETE ? row->before : row->after;
	struct ml_text topic = row->topic != NULL ? row->topic->name : (struct ml_text){ "", 0 };
	const struct av_shape *sh;
	struct ml_msg *m;
	struct ml_out o;

	if (ml_image_empty(row->before, row->schema->n_columns) && ml_image_empty(row->after, row->schema->n_columns))
		return 0;
	sh = av_shape_of(&e->maker, row->schema, topic, image, row->op != ML_OP_DELETE, err);
	if (sh == NULL)
		return -1;
	m = ml_batch_msg(b);
	*m = (struct ml_msg){
		.key = "",
		.topic = row->topic,
		.partition = row->partition,
		.schema = row->schema,
		.commit_ts = row->commit_ts,
		.rows = 1,
	};
	if (sh->key.n_fields > 0) {
		ml_out_begin(&o, &b->arena);
		if (put_record(&o, &sh->key, image, err) != 0)
			return ml_err_in(err, "encoding a row of %s", row->schema->qname.s);
		m->key = ml_out_end(&o, &m->key_len);
	}
	if (row->op != ML_OP_DELETE && sh->value.n_fields > 0) {
		ml_out_begin(&o, &b->arena);
		if (put_record(&o, &sh->value, image, err) != 0)
			return ml_err_in(err, "encoding a row of %s", row->schema->qname.s);
		if (e->opts.tidb_extension)
			put_extension(&o, row, e->avro.checksum);
		m->value = ml_out_end(&o, &m->value_len);
	}
	if ((size_t)m->key_len + m->value_len + RECORD_OVERHEAD > e->opts.max_message_bytes)
		return ML_ERR(err, ErrMessageTooLarge, 0, row->schema->qname.s,
			(size_t)m->key_len + m->value_len + RECORD_OVERHEAD, e->opts.max_message_bytes);
	return 0;
}

static int
rows(struct ml_encoder *enc, struct ml_batch *b, struct ml_err *err)
{
	for (uint32_t i = 0; i < b->n_rows; i++)
		if (put_row((struct avro *)enc, b, &b->rows[i], err) < 0)
			return -1;
	return 0;
}

/* A byte that no schema id begins with, then what is told. */
static int
control_message(struct ml_out *o, ml_ts ts, struct ml_msg *m)
{
	*m = (struct ml_msg){ .commit_ts = ts };
	m->value = ml_out_end(o, &m->value_len);
	return 1;
}

static void
put_number(struct ml_out *o, uint64_t v)
{
	o->p += ml_u64_text(ml_out_need(o, ML_INT_TEXT_MAX), v);
}

static int
ddl_message(struct ml_encoder *enc, const struct ml_ddl *ddl, struct ml_arena *a, struct ml_msg *m, struct ml_err *err)
{
	struct avro *e = (struct avro *)enc;
	struct ml_out o;

	(void)err;
	if (!e->avro.watermark || !e->opts.tidb_extension)
		return 0;
	ml_out_begin(&o, a);
	ml_out_lit(&o, "\x01{\"query\":\"");
	ml_escape_s(&o, ddl->query.s, ddl->query.len);
	ml_out_lit(&o, "\",\"type\":");
	put_number(&o, (uint64_t)ddl->action);
	ml_out_lit(&o, ",\"schema\":\"");
	ml_escape_s(&o, ddl->db.s, ddl->db.len);
	ml_out_lit(&o, "\",\"table\":\"");
	ml_escape_s(&o, ddl->table.s, ddl->table.len);
	ml_out_lit(&o, "\",\"commitTs\":");
	put_number(&o, ddl->commit_ts);
	ml_out_lit(&o, "}");
	return control_message(&o, ddl->commit_ts, m);
}

static int
watermark(struct ml_encoder *enc, ml_ts ts, struct ml_arena *a, struct ml_msg *m, struct ml_err *err)
{
	struct avro *e = (struct avro *)enc;
	uint64_t be = __builtin_bswap64(ts);
	struct ml_out o;

	(void)err;
	if (!e->avro.watermark || !e->opts.tidb_extension)
		return 0;
	ml_out_begin(&o, a);
	ml_out_lit(&o, "\x02");
	ml_out_put(&o, &be, 8);
	return control_message(&o, ts, m);
}

static void
close_encoder(struct ml_encoder *enc)
{
	struct avro *e = (struct avro *)enc;

	if (e == NULL)
		return;
	ml_schema_registry_close(e->maker.registry);
	ml_avro_opts_fini(&e->avro);
	ml_encoder_opts_fini(&e->opts);
	free(e->namespace);
	free(e);
}

static int
open_encoder(struct ml_encoder **out, const struct ml_encoder_env *env, struct ml_err *err)
{
	struct avro *e = calloc(1, sizeof(*e));

	if (e == NULL)
		abort();
	e->e.ops = &ml_encoder_avro;
	if (ml_encoder_opts_read(&e->opts, env, err) < 0 || ml_avro_opts_read(&e->avro, env, err) < 0)
		goto fail;
	if (e->avro.checksum && !(e->opts.tidb_extension && e->avro.decimal_text && e->avro.bigint_text)) {
		ML_ERR(err, ErrCodecInvalidConfig, 0,
			"row checksums need enable-tidb-extension, avro-decimal-handling-mode=string and "
			"avro-bigint-unsigned-handling-mode=string");
		goto fail;
	}
	e->namespace = strdup(env->spec->namespace_);
	e->maker = (struct av_maker){
		.serial = ml_encoder_serial(),
		.rules = {
			.namespace = { e->namespace, (uint32_t)strlen(e->namespace) },
			.decimal_text = e->avro.decimal_text,
			.bigint_text = e->avro.bigint_text,
			.extension = e->opts.tidb_extension,
			.checksum = e->avro.checksum,
		},
	};
	if (ml_schema_registry_open(
		    &e->maker.registry, e->avro.registry, env->config, &ml_schema_registry_times, err) != 0) {
		if (err->code == ML_ErrAvroSchemaAPIError)
			ml_err_wrap(err, ML_ErrKafkaNewProducer, "new kafka producer");
		goto fail;
	}
	*out = &e->e;
	return 0;
fail:
	close_encoder(&e->e);
	return -1;
}

const struct ml_encoder_ops ml_encoder_avro = {
	.name = "avro",
	.aliases = { "flat-avro" },
	.for_mq = true,
	.ddl_all_partitions = true,
	.checkpoint_messages = true,
	.open = open_encoder,
	.rows = rows,
	.ddl = ddl_message,
	.checkpoint = watermark,
	.close = close_encoder,
};
