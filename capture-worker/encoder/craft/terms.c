#include "capture-worker/encoder/craft/terms.h"

#include <stdlib.h>

void
cr_terms_init(struct cr_terms *t)
{
	*t = (struct cr_terms){ .n_slots = 256 };
	t->slots = calloc(t->n_slots, sizeof(struct cr_term *));
	if (t->slots == NULL)
		abort();
	ml_arena_init(&t->arena, 16384);
}

void
cr_terms_fini(struct cr_terms *t)
{
	free(t->slots);
	free(t->used);
	ml_arena_fini(&t->arena);
}

static uint32_t
hash(struct ml_text s)
{
	uint32_t h = UINT32_C(2166136261);

	for (uint32_t i = 0; i < s.len; i++)
		h = (h ^ (uint8_t)s.s[i]) * UINT32_C(16777619);
	return h;
}

static void
grow(struct cr_terms *t)
{
	uint32_t n = t->n_slots * 2;
	struct cr_term **slots = calloc(n, sizeof(struct cr_term *)), *next;

	if (slots == NULL)
		abort();
	for (uint32_t i = 0; i < t->n_slots; i++)
		for (struct cr_term *x = t->slots[i]; x != NULL; x = next) {
			struct cr_term **slot = &slots[hash(x->text) & (n - 1)];

			next = x->next;
			x->next = *slot;
			*slot = x;
		}
	free(t->slots);
	t->slots = slots;
	t->n_slots = n;
}

struct cr_term *
cr_terms_intern(struct cr_terms *t, struct ml_text text)
{
	uint32_t h = hash(text);
	struct cr_term *x = t->slots[h & (t->n_slots - 1)];

	while (x != NULL && (x->text.len != text.len || memcmp(x->text.s, text.s, text.len) != 0))
		x = x->next;
	if (x != NULL)
		return x;
	if (t->n++ == t->n_slots)
		grow(t);
	x = ml_arena_zalloc(&t->arena, sizeof(*x));
	x->text = (struct ml_text){ ml_arena_strndup(&t->arena, text.s, text.len), text.len };
	x->next = t->slots[h & (t->n_slots - 1)];
	t->slots[h & (t->n_slots - 1)] = x;
	return x;
}

void
cr_terms_begin(struct cr_terms *t)
{
	t->message++;
	t->n_used = 0;
}

void
cr_terms_add(struct cr_terms *t, struct cr_term *term)
{
	if (t->n_used == t->cap_used) {
		t->cap_used = t->cap_used > 0 ? t->cap_used * 2 : 64;
		t->used = realloc(t->used, t->cap_used * sizeof(struct cr_term *));
		if (t->used == NULL)
			abort();
	}
	term->message = t->message;
	term->id = t->n_used;
	t->used[t->n_used++] = term;
}
