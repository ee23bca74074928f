/*
 * simple.c - rows, DDL, watermarks, and BOOTSTRAP messages that describe a table to consumers that come later.
 *
 * One row per message.  BOOTSTRAPs travel with the rows: in front of a table's first one, and behind the batch that is encoded
 * when they are due.
 */
#include "capture-worker/encoder/simple/simple.h"

#include <stdlib.h>

#include "capture-worker/encoder/large.h"
#include "capture-worker/encoder/options.h"
#include "capture-worker/encoder/same.h"
#include "capture-worker/encoder/simple/bootstrap.h"
#include "capture-worker/encoder/simple/message.h"
#include "capture-worker/event/topic.h"
#include "common/text/tz.h"

/* protocols.md 4.2: what a record costs beside its key and value. */
#define RECORD_OVERHEAD 36

struct simple {
	struct ml_encoder e;
	struct ml_encoder_opts opts;
	struct ml_simple_opts simple;
	struct ml_large large;
	struct sm_form form;
	struct ml_tz *tz;
	const struct sm_writer *write;
	struct sm_bootstraps bootstraps;
	bool bootstrap; /* both limits are set */
	uint64_t (*now_ms)(void);
	/* While due tables are looked for. */
	struct ml_batch *batch;
	struct ml_err *err;
	int rc;
};

static bool
too_large(const struct simple *e, const struct ml_out *o)
{
	return ml_out_len(o) + RECORD_OVERHEAD > e->opts.max_message_bytes;
}

static int
say_too_large(const struct simple *e, const struct ml_out *o, const char *what, struct ml_err *err)
{
	return ML_ERR(err, ErrMessageTooLarge, 0, what, ml_out_len(o) + RECORD_OVERHEAD, e->opts.max_message_bytes);
}

/* To every partition of the table's topic, or to the first one; all share the bytes.  key: empty, but null at the start. */
static int
put_bootstrap(struct simple *e, struct ml_batch *b, struct ml_schema *s, const struct ml_topic *topic, const char *key,
	uint64_t now, struct ml_err *err)
{
	int n = topic != NULL && e->simple.bootstrap_all
			? atomic_load_explicit(&topic->partitions, memory_order_relaxed)
			: 1;
	struct ml_msg m = { .key = key, .topic = topic, .schema = s };
	struct ml_out o;

	ml_batch_pin(b, s);
	ml_out_begin(&o, &b->arena);
	e->write->bootstrap(&o, sm_table_of(&e->form, s), now);
	if (ml_compress(e->large.compressor, &o, 0, err) < 0)
		return -1;
	if (too_large(e, &o))
		return say_too_large(e, &o, s->qname.s, err);
	m.value = ml_out_end(&o, &m.value_len);
	for (int i = 0; i < n; i++) {
		m.partition = i;
		*ml_batch_msg(b) = m;
	}
	return 0;
}

/* Puts a message with the handle key in place of the one in o, which is too large (protocols.md 12.4). */
static int
reduce(struct simple *e, struct ml_out *o, const struct sm_table *t, const struct ml_row *row, uint64_t now,
	struct ml_err *err)
{
	struct ml_text location = { 0 };

	/* Without a handle key nothing would tell which row it was. */
	if (e->large.option == ML_LARGE_NONE || row->schema->handle == NULL)
		return say_too_large(e, o, row->schema->qname.s, err);
	if (e->large.option == ML_LARGE_CLAIM_CHECK &&
		ml_claim_put(e->large.claim, NULL, 0, o->start, ml_out_len(o), &location, err) < 0)
		return -1;
	o->p = o->start;
	e->write->row(o, t, row, now, true, location.s != NULL ? &location : NULL);
	if (ml_compress(e->large.compressor, o, 0, err) < 0)
		return -1;
	return too_large(e, o) ? say_too_large(e, o, row->schema->qname.s, err) : 0;
}

static int
put_row(struct simple *e, struct ml_batch *b, const struct ml_row *row, uint64_t now, struct ml_err *err)
{
	const struct sm_table *t = sm_table_of(&e->form, row->schema);
	struct ml_msg *m;
	struct ml_out o;

	if (ml_image_empty(row->before, row->schema->n_columns) && ml_image_empty(row->after, row->schema->n_columns))
		return 0;
	if (e->bootstrap && sm_bootstrap_row(&e->bootstraps, row->schema, row->topic, now) &&
		put_bootstrap(e, b, row->schema, row->topic, "", now, err) < 0)
		return -1;
	ml_out_begin(&o, &b->arena);
	e->write->row(&o, t, row, now, false, NULL);
	if (ml_compress(e->large.compressor, &o, 0, err) < 0)
		return -1;
	if (too_large(e, &o) && reduce(e, &o, t, row, now, err) < 0)
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
	m->value = ml_out_end(&o, &m->value_len);
	return 0;
}

static void
on_due(void *arg, struct sm_bootstrap_table *t)
{
	struct simple *e = arg;

	if (e->rc == 0)
		e->rc = put_bootstrap(e, e->batch, t->schema, t->topic, "", e->bootstraps.looked_ms, e->err);
}

static int
rows(struct ml_encoder *enc, struct ml_batch *b, struct ml_err *err)
{
	struct simple *e = (struct simple *)enc;
	/* One look at the clock per batch. */
	uint64_t now = e->now_ms();

	for (uint32_t i = 0; i < b->n_rows; i++)
		if (put_row(e, b, &b->rows[i], now, err) < 0)
			return -1;
	if (!e->bootstrap)
		return 0;
	e->batch = b;
	e->err = err;
	e->rc = 0;
	sm_bootstraps_look(&e->bootstraps, now, on_due, e);
	return e->rc;
}

static int
table(struct ml_encoder *enc, struct ml_batch *b, struct ml_schema *s, const struct ml_topic *topic, struct ml_err *err)
{
	struct simple *e = (struct simple *)enc;

	return put_bootstrap(e, b, s, topic, NULL, e->now_ms(), err);
}

static int
ddl_message(struct ml_encoder *enc, const struct ml_ddl *ddl, struct ml_arena *a, struct ml_msg *m, struct ml_err *err)
{
	struct simple *e = (struct simple *)enc;
	struct ml_out o;

	ml_out_begin(&o, a);
	e->write->ddl(&o, ddl, ddl->schema != NULL ? sm_table_of(&e->form, ddl->schema) : NULL,
		ddl->pre_schema != NULL ? sm_table_of(&e->form, ddl->pre_schema) : NULL, e->now_ms());
	if (ml_compress(e->large.compressor, &o, 0, err) < 0)
		return -1;
	if (too_large(e, &o))
		return say_too_large(e, &o, ddl->schema != NULL ? ddl->schema->qname.s : "(DDL)", err);
	*m = (struct ml_msg){ .commit_ts = ddl->commit_ts };
	m->value = ml_out_end(&o, &m->value_len);
	return 1;
}

static int
watermark(struct ml_encoder *enc, ml_ts ts, struct ml_arena *a, struct ml_msg *m, struct ml_err *err)
{
	struct simple *e = (struct simple *)enc;
	struct ml_out o;

	ml_out_begin(&o, a);
	e->write->watermark(&o, ts, e->now_ms());
	if (ml_compress(e->large.compressor, &o, 0, err) < 0)
		return -1;
	*m = (struct ml_msg){ .commit_ts = ts };
	m->value = ml_out_end(&o, &m->value_len);
	return 1;
}

static void
close_encoder(struct ml_encoder *enc)
{
	struct simple *e = (struct simple *)enc;

	if (e == NULL)
		return;
	sm_bootstraps_fini(&e->bootstraps);
	ml_large_close(&e->large);
	ml_encoder_opts_fini(&e->opts);
	ml_tz_free(e->tz);
	free(e);
}

static int
open_encoder(struct ml_encoder **out, const struct ml_encoder_env *env, struct ml_err *err)
{
	struct simple *e = calloc(1, sizeof(*e));
	const char *zone;

	if (e == NULL)
		abort();
	e->e.ops = &ml_encoder_simple;
	if (ml_encoder_opts_read(&e->opts, env, err) < 0 || ml_simple_opts_read(&e->simple, env, err) < 0 ||
		ml_large_open(&e->large, env, ml_encoder_simple.name, err) < 0 ||
		ml_tz_open(&e->tz, env->config != NULL ? env->config->tz : "", err) < 0) {
		close_encoder(&e->e);
		return -1;
	}
	zone = ml_tz_name(e->tz);
	e->form = (struct sm_form){
		.serial = ml_encoder_serial(), .avro = e->simple.avro, .location = { zone, (uint32_t)strlen(zone) }
	};
	e->write = e->simple.avro ? &sm_writer_avro : &sm_writer_json;
	e->bootstrap = e->simple.bootstrap_interval_s > 0 && e->simple.bootstrap_rows > 0;
	e->e.wants_tables = e->bootstrap && e->simple.bootstrap_at_start;
	if (e->bootstrap)
		sm_bootstraps_init(&e->bootstraps, e->simple.bootstrap_interval_s, e->simple.bootstrap_rows);
	e->now_ms = env->now_ms;
	*out = &e->e;
	return 0;
}

const struct ml_encoder_ops ml_encoder_simple = {
	.name = "simple",
	.for_mq = true,
	.ddl_all_partitions = true,
	.checkpoint_messages = true,
	.by_time = true,
	.open = open_encoder,
	.rows = rows,
	.table = table,
	.ddl = ddl_message,
	.checkpoint = watermark,
	.close = close_encoder,
};
