#include "capture-worker/encoder/group.h"

#include <stdlib.h>
#include <string.h>

#include "capture-worker/encoder/same.h"

/* Bytes: sixteen chunks of a batch's arena. */
#define ROOM_MAX (2u << 20)

static void *
resize(void *p, size_t n, size_t size)
{
	p = reallocarray(p, n, size);
	if (p == NULL)
		abort();
	return p;
}

static void
make_room(struct ml_groups *gs, uint32_t n_rows)
{
	uint32_t n = gs->cap_rows > 0 ? gs->cap_rows : 1024;

	if (n_rows > gs->cap_rows) {
		while (n < n_rows)
			n *= 2;
		gs->next = resize(gs->next, n, sizeof(*gs->next));
		gs->groups = resize(gs->groups, n, sizeof(*gs->groups));
		gs->n_slots = 2 * n; /* a power of two, half empty at worst */
		gs->slots = resize(gs->slots, gs->n_slots, sizeof(*gs->slots));
		gs->cap_rows = n;
	}
	memset(gs->slots, 0, gs->n_slots * sizeof(*gs->slots));
	gs->n = 0;
}

static struct ml_group *
group_of(struct ml_groups *gs, const struct ml_topic *topic, int32_t partition, uint32_t row)
{
	uint64_t h = ((uint64_t)(uintptr_t)topic + (uint32_t)partition * UINT64_C(0x9E3779B97F4A7C15)) *
		     UINT64_C(0xD6E8FEB86659FD93);

	for (uint32_t i = (uint32_t)(h >> 32) & (gs->n_slots - 1);; i = (i + 1) & (gs->n_slots - 1)) {
		struct ml_group *g;

		if (gs->slots[i] == 0) {
			g = &gs->groups[gs->n++];
			*g = (struct ml_group){
				.topic = topic, .partition = partition, .first = row, .last = ML_GROUP_END
			};
			gs->slots[i] = gs->n;
			return g;
		}
		g = &gs->groups[gs->slots[i] - 1];
		if (g->topic == topic && g->partition == partition)
			return g;
	}
}

void
ml_groups_make(struct ml_groups *gs, const struct ml_batch *b)
{
	struct ml_group *g = NULL;

	if (b->n_rows == 0) {
		gs->n = 0;
		return;
	}
	make_room(gs, b->n_rows);
	for (uint32_t i = 0; i < b->n_rows; i++) {
		const struct ml_row *row = &b->rows[i];
		int n = row->schema->n_columns;

		/* Nothing of it is left to be sent. */
		if (ml_image_empty(row->before, n) && ml_image_empty(row->after, n))
			continue;
		if (g == NULL || g->topic != row->topic || g->partition != row->partition)
			g = group_of(gs, row->topic, row->partition, i);
		if (g->last != ML_GROUP_END)
			gs->next[g->last] = i;
		g->last = i;
		g->n_rows++;
		gs->next[i] = ML_GROUP_END;
	}
}

size_t
ml_group_room(const struct ml_groups *gs, const struct ml_group *g)
{
	size_t row = gs->row_bytes + gs->row_bytes / 16; /* rows differ */

	return row > ROOM_MAX / g->n_rows ? ROOM_MAX : row * g->n_rows;
}

void
ml_group_learn(struct ml_groups *gs, const struct ml_batch *b, uint32_t first)
{
	size_t bytes = 0, n = 0;

	for (uint32_t i = first; i < b->n_msgs; i++) {
		bytes += b->msgs[i].value_len;
		n += b->msgs[i].rows;
	}
	if (n > 0)
		gs->row_bytes = bytes / n;
}

void
ml_groups_fini(struct ml_groups *gs)
{
	free(gs->groups);
	free(gs->next);
	free(gs->slots);
	*gs = (struct ml_groups){ 0 };
}
