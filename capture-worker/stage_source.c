/* stage_source.c - what becomes of a batch that the source has read: filtered, charged to the quota, and counted. */
#include "capture-worker/pipeline_stages.h"

#include <stdlib.h>
#include <string.h>

/* A DDL after rows goes in a batch of its own: the sink must flush between them, and a batch is the sink's once written. */
static struct ml_batch *
split_off_ddl(struct ml_batch *b)
{
	struct ml_batch *d = ml_batch_new();
	const struct ml_ddl *from = b->barrier.ddl;
	struct ml_ddl *ddl = ml_arena_alloc(&d->arena, sizeof(*ddl));
	struct ml_text *texts[] = { &ddl->query, &ddl->db, &ddl->table, &ddl->pre_db, &ddl->pre_table, &ddl->charset,
		&ddl->collation, &ddl->default_db };

	*ddl = *from;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (texts[i]->s != NULL)
			texts[i]->s = ml_arena_strndup(&d->arena, texts[i]->s, texts[i]->len);
	if (ddl->schema != NULL)
		ml_batch_pin(d, ddl->schema);
	if (ddl->pre_schema != NULL)
		ml_batch_pin(d, ddl->pre_schema);
	d->barrier = b->barrier;
	d->barrier.ddl = ddl;
	b->barrier = (struct ml_barrier){ 0 };
	return d;
}

static int
enter(struct ml_pipeline *p, struct ml_batch *b)
{
	bool resolved = b->barrier.kind == ML_BAR_RESOLVED;

	/*
	 * A bare barrier costs no quota, so that a full one never holds back what would empty it.  Descriptions of tables grow
	 * as they are encoded, and nothing is in front of them.
	 */
	if (b->n_changes > 0 || b->barrier.kind == ML_BAR_TABLES) {
		/* What the source has charged already waits for room all the same. */
		uint64_t bytes = b->quota != NULL ? 0 : ml_batch_bytes(b);

		if (ml_quota_take(p->quota, bytes) != 0) {
			ml_batch_free(b);
			return -1;
		}
		b->quota = p->quota;
		b->charged_bytes += bytes;
	}
	b->seq = ml_progress_enter(p->progress, resolved ? b->barrier.ts : 0, resolved ? b->barrier.position : NULL);
	atomic_fetch_add_explicit(&p->rows, b->n_changes, memory_order_relaxed);
	atomic_fetch_add_explicit(&p->txns, b->n_txns, memory_order_relaxed);
	if (b->barrier.kind == ML_BAR_DDL)
		atomic_fetch_add_explicit(&p->ddls, 1, memory_order_relaxed);
	if (ml_queue_push(p->to_encode, b) != 0) {
		ml_batch_free(b);
		return -1;
	}
	return 0;
}

int
pipeline_filter_rows(struct ml_pipeline *p, struct ml_batch *b, bool counted, struct ml_err *err)
{
	uint64_t before = b->n_changes;

	if (ml_event_filter_rows(p->events, b, err) != 0)
		return -1;
	if (b->n_changes == before)
		return 0;
	atomic_fetch_add_explicit(&p->filtered_rows, before - b->n_changes, memory_order_relaxed);
	if (counted)
		atomic_fetch_sub_explicit(&p->rows, before - b->n_changes, memory_order_relaxed);
	return 0;
}

int
pipeline_emit(void *arg, struct ml_batch *b)
{
	struct ml_pipeline *p = arg;
	struct ml_err err = { 0 };

	/* The source has learnt the new definition already: the DDL is only not told. */
	if (b->barrier.kind == ML_BAR_DDL && !b->barrier.ddl->copied && ml_event_filter_ddl(p->events, b->barrier.ddl))
		b->barrier = (struct ml_barrier){ 0 };
	if (p->plan.encoder == NULL && pipeline_filter_rows(p, b, false, &err) != 0) {
		ml_batch_free(b);
		pipeline_fail(p, &err);
		return -1;
	}
	if (b->barrier.kind == ML_BAR_DDL && b->n_changes > 0) {
		struct ml_batch *d = split_off_ddl(b);

		if (enter(p, b) != 0) {
			ml_batch_free(d);
			return -1;
		}
		b = d;
	}
	return enter(p, b);
}

void
pipeline_table(void *arg, int64_t table_id, bool followed)
{
	struct ml_pipeline *p = arg;
	size_t i = 0, end;

	pthread_mutex_lock(&p->tables_lock);
	for (end = p->n_tables; i < end;) {
		size_t mid = i + (end - i) / 2;

		if (p->tables[mid] < table_id)
			i = mid + 1;
		else
			end = mid;
	}
	bool known = i < p->n_tables && p->tables[i] == table_id;
	if (followed && !known) {
		if (p->n_tables == p->cap_tables) {
			p->cap_tables = p->cap_tables > 0 ? p->cap_tables * 2 : 16;
			p->tables = realloc(p->tables, p->cap_tables * sizeof(*p->tables));
			if (p->tables == NULL)
				abort();
		}
		memmove(p->tables + i + 1, p->tables + i, (p->n_tables - i) * sizeof(*p->tables));
		p->tables[i] = table_id;
		p->n_tables++;
	} else if (!followed && known) {
		memmove(p->tables + i, p->tables + i + 1, (p->n_tables - i - 1) * sizeof(*p->tables));
		p->n_tables--;
	}
	pthread_mutex_unlock(&p->tables_lock);
}

void *
pipeline_source_main(void *arg)
{
	struct ml_pipeline *p = arg;
	struct ml_err err = { 0 };
	bool stopping;

	if (p->source_ops->run(p->source, &err) != 0) {
		pthread_mutex_lock(&p->state_lock);
		stopping = p->stopping;
		pthread_mutex_unlock(&p->state_lock);
		/* A stop may surface as a broken read; what entered is flushed all the same. */
		if (!stopping && !atomic_load(&p->failed)) {
			pipeline_fail(p, &err);
			return NULL;
		}
	} else {
		pthread_mutex_lock(&p->state_lock);
		if (!p->stopping)
			atomic_store(&p->at_target, true);
		pthread_mutex_unlock(&p->state_lock);
	}
	ml_queue_end(p->to_encode);
	return NULL;
}
