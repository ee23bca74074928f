#include "capture-worker/encoder/simple/bootstrap.h"

#include <stdlib.h>

/* The reference's: how often it looks whether one is due, how often for idle tables, and when a table is idle. */
#define LOOK_MS 5000
#define SWEEP_MS 30000
#define IDLE_MS (30 * 60 * 1000)

void
sm_bootstraps_init(struct sm_bootstraps *bs, int64_t interval_s, int64_t every_rows)
{
	*bs = (struct sm_bootstraps){ .interval_ms = (uint64_t)interval_s * 1000, .every_rows = (uint64_t)every_rows };
}

static void
table_free(struct sm_bootstrap_table *t)
{
	ml_schema_unref(t->schema);
	free(t);
}

void
sm_bootstraps_fini(struct sm_bootstraps *bs)
{
	for (uint32_t i = 0; i < bs->n_slots; i++)
		if (bs->slots[i] != NULL)
			table_free(bs->slots[i]);
	free(bs->slots);
	*bs = (struct sm_bootstraps){ 0 };
}

static struct sm_bootstrap_table **
slot_of(struct sm_bootstrap_table **slots, uint32_t n_slots, int64_t table_id)
{
	uint32_t i = (uint32_t)((uint64_t)table_id * 0x9E3779B97F4A7C15u >> 32) & (n_slots - 1);

	while (slots[i] != NULL && slots[i]->table_id != table_id)
		i = (i + 1) & (n_slots - 1);
	return &slots[i];
}

/* The same tables in n_slots places, but those that drop says. */
static void
rehash(struct sm_bootstraps *bs, uint32_t n_slots, uint64_t idle_before_ms)
{
	struct sm_bootstrap_table **slots = calloc(n_slots, sizeof(struct sm_bootstrap_table *));

	if (slots == NULL)
		abort();
	bs->n = 0;
	for (uint32_t i = 0; i < bs->n_slots; i++) {
		struct sm_bootstrap_table *t = bs->slots[i];

		if (t == NULL)
			continue;
		if (t->seen_ms < idle_before_ms) {
			table_free(t);
			continue;
		}
		*slot_of(slots, n_slots, t->table_id) = t;
		bs->n++;
	}
	free(bs->slots);
	bs->slots = slots;
	bs->n_slots = n_slots;
	bs->last = NULL;
}

static struct sm_bootstrap_table *
find(struct sm_bootstraps *bs, int64_t table_id)
{
	struct sm_bootstrap_table **slot;

	if (bs->last != NULL && bs->last->table_id == table_id)
		return bs->last;
	if (bs->n * 2 >= bs->n_slots)
		rehash(bs, bs->n_slots > 0 ? bs->n_slots * 2 : 16, 0);
	slot = slot_of(bs->slots, bs->n_slots, table_id);
	if (*slot == NULL) {
		*slot = calloc(1, sizeof(**slot));
		if (*slot == NULL)
			abort();
		(*slot)->table_id = table_id;
		bs->n++;
	}
	bs->last = *slot;
	return *slot;
}

bool
sm_bootstrap_row(struct sm_bootstraps *bs, struct ml_schema *s, const struct ml_topic *topic, uint64_t now_ms)
{
	struct sm_bootstrap_table *t = find(bs, s->table_id);
	bool first = t->schema == NULL;

	if (t->schema != s) {
		ml_schema_unref(t->schema);
		t->schema = ml_schema_ref(s);
	}
	t->topic = topic;
	t->seen_ms = now_ms;
	if (first) {
		t->sent_ms = now_ms;
		t->rows = 0;
	}
	t->rows++;
	return first;
}

void
sm_bootstraps_look(
	struct sm_bootstraps *bs, uint64_t now_ms, void (*due)(void *arg, struct sm_bootstrap_table *t), void *arg)
{
	/* The first call starts both clocks; one that goes backwards starts them anew. */
	if (bs->looked_ms == 0 || now_ms < bs->looked_ms) {
		bs->looked_ms = bs->swept_ms = now_ms;
		return;
	}
	if (now_ms - bs->looked_ms < LOOK_MS)
		return;
	bs->looked_ms = now_ms;
	for (uint32_t i = 0; i < bs->n_slots; i++) {
		struct sm_bootstrap_table *t = bs->slots[i];

		if (t == NULL ||
			(t->rows < bs->every_rows && (now_ms < t->sent_ms || now_ms - t->sent_ms < bs->interval_ms)))
			continue;
		t->sent_ms = now_ms;
		t->rows = 0;
		due(arg, t);
	}
	if (now_ms - bs->swept_ms >= SWEEP_MS) {
		bs->swept_ms = now_ms;
		if (bs->n_slots > 0)
			rehash(bs, bs->n_slots, now_ms > IDLE_MS ? now_ms - IDLE_MS : 0);
	}
}
