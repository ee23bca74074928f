/* stage_encode.c - rows to messages: splits, shapes, dispatches, renames and encodes a batch, in this order. */
#include "capture-worker/pipeline_stages.h"

#include "capture-worker/encoder/split.h"

int
pipeline_route_ddl(struct ml_pipeline *p, struct ml_batch *b, struct ml_err *err)
{
	int rc = p->router != NULL ? ml_router_ddl(p->router, b, err) : 0;

	/* A database whose tables go to several ones: those are made with the tables. */
	if (rc < 0 && b->barrier.ddl->copied && b->barrier.ddl->table.len == 0) {
		*err = (struct ml_err){ 0 };
		rc = 1;
	}
	if (rc > 0)
		b->barrier = (struct ml_barrier){ 0 };
	return rc;
}

/* Encodes b's DDL into b->msgs[0]; a protocol without a form for it leaves none. */
static int
encode_ddl(struct ml_pipeline *p, struct ml_batch *b, struct ml_err *err)
{
	struct ml_topic *topic = NULL;
	struct ml_msg m = { 0 };
	int rc;

	if (p->plan.sink->topics && ml_dispatcher_ddl(p->dispatcher, b->barrier.ddl, &topic, err) != 0)
		return -1;
	rc = pipeline_route_ddl(p, b, err);
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	rc = p->encoder->ops->ddl(p->encoder, b->barrier.ddl, &b->arena, &m, err);
	if (rc <= 0)
		return rc;
	m.topic = topic;
	m.partition = 0;
	*ml_batch_msg(b) = m;
	return 0;
}

/* Describes the tables that the pins are. */
static int
encode_tables(struct ml_pipeline *p, struct ml_batch *b, struct ml_err *err)
{
	uint32_t n = b->n_pins;

	for (uint32_t i = 0; i < n; i++) {
		struct ml_schema *s = b->pins[i], *to = s;
		struct ml_topic *topic = NULL;

		if (p->router != NULL && ml_router_listed(p->router, s, &to, err) != 0)
			return -1;
		if (!p->encoder->wants_tables)
			continue;
		if ((p->plan.sink->topics && ml_dispatcher_table(p->dispatcher, s, &topic, err) != 0) ||
			p->encoder->ops->table(p->encoder, b, to, topic, err) != 0)
			return -1;
	}
	return 0;
}

static int
encode_batch(struct ml_pipeline *p, struct ml_batch *b, struct ml_err *err)
{
	if (b->barrier.kind == ML_BAR_DDL)
		return encode_ddl(p, b, err);
	if (b->barrier.kind == ML_BAR_TABLES)
		return encode_tables(p, b, err);
	if (pipeline_filter_rows(p, b, true, err) != 0)
		return -1;
	if (b->n_rows == 0)
		return p->plan.encoder->by_time ? p->encoder->ops->rows(p->encoder, b, err) : 0;
	ml_split_updates(b, p->plan.raw_change_event);
	if (ml_shaper_rows(p->shaper, b, err) != 0)
		return -1;
	if (p->plan.sink->topics)
		for (uint32_t i = 0; i < b->n_rows; i++)
			if (ml_dispatcher_row(p->dispatcher, &b->rows[i], err) != 0)
				return -1;
	if (p->router != NULL && ml_router_rows(p->router, b, err) != 0)
		return -1;
	return p->encoder->ops->rows(p->encoder, b, err);
}

void *
pipeline_encode_main(void *arg)
{
	struct ml_pipeline *p = arg;
	struct ml_err err = { 0 };
	struct ml_batch *b;
	enum ml_pop got;

	while ((got = ml_queue_pop(p->to_encode, &b, -1)) == ML_POP_BATCH) {
		uint64_t now;
		int rc;

		pthread_mutex_lock(&p->encode_lock);
		rc = encode_batch(p, b, &err);
		pthread_mutex_unlock(&p->encode_lock);
		now = ml_batch_bytes(b);
		if (b->quota != NULL && now > b->charged_bytes) {
			ml_quota_add(p->quota, now - b->charged_bytes);
			b->charged_bytes = now;
		}
		if (rc != 0) {
			ml_batch_free(b);
			pipeline_fail(p, &err);
			return NULL;
		}
		if (ml_queue_push(p->to_sink, b) != 0) {
			ml_batch_free(b);
			return NULL;
		}
	}
	if (got == ML_POP_END)
		ml_queue_end(p->to_sink);
	return NULL;
}
