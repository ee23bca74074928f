#include "capture-worker/source/mysql/tables.h"

#include <stdlib.h>
#include <string.h>

static void
tab_free(struct ml_tab *tab)
{
	ml_rowdec_free(tab->dec);
	free(tab->body);
	free(tab);
}

void
ml_tabs_clear(struct ml_tabs *t)
{
	for (size_t i = 0; i < t->n_slots; i++) {
		if (t->slots[i] != NULL)
			tab_free(t->slots[i]);
		t->slots[i] = NULL;
	}
	t->n = 0;
}

void
ml_tabs_fini(struct ml_tabs *t)
{
	ml_tabs_clear(t);
	free(t->slots);
	*t = (struct ml_tabs){ 0 };
}

/* Slot of id, or the empty one where it belongs. */
static size_t
slot_of(const struct ml_tabs *t, uint64_t id)
{
	size_t i = (size_t)(id * UINT64_C(0x9E3779B97F4A7C15) >> 32) & (t->n_slots - 1);

	while (t->slots[i] != NULL && t->slots[i]->id != id)
		i = (i + 1) & (t->n_slots - 1);
	return i;
}

struct ml_tab *
ml_tabs_find(const struct ml_tabs *t, uint64_t id)
{
	return t->n_slots > 0 ? t->slots[slot_of(t, id)] : NULL;
}

static void
grow(struct ml_tabs *t)
{
	struct ml_tabs old = *t;

	t->n_slots = old.n_slots > 0 ? 2 * old.n_slots : 64;
	t->slots = calloc(t->n_slots, sizeof(*t->slots));
	if (t->slots == NULL)
		abort();
	for (size_t i = 0; i < old.n_slots; i++)
		if (old.slots[i] != NULL)
			t->slots[slot_of(t, old.slots[i]->id)] = old.slots[i];
	free(old.slots);
}

struct ml_tab *
ml_tabs_get(struct ml_tabs *t, uint64_t id)
{
	struct ml_tab *tab = ml_tabs_find(t, id);

	if (tab != NULL)
		return tab;
	if (2 * (t->n + 1) > t->n_slots)
		grow(t);
	tab = calloc(1, sizeof(*tab));
	if (tab == NULL)
		abort();
	tab->id = id;
	t->slots[slot_of(t, id)] = tab;
	t->n++;
	return tab;
}

void
ml_tab_set(struct ml_tabs *t, struct ml_tab *tab, const uint8_t *body, uint32_t len, struct ml_rowdec *dec)
{
	if (len > tab->body_cap) {
		uint8_t *p = realloc(tab->body, len);

		if (p == NULL)
			abort();
		tab->body = p;
		tab->body_cap = len;
	}
	memcpy(tab->body, body, len);
	tab->body_len = len;
	tab->generation = t->generation;
	if (tab->dec != dec)
		ml_rowdec_free(tab->dec);
	tab->dec = dec;
}
