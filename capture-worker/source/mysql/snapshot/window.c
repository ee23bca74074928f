#include "capture-worker/source/mysql/snapshot/window.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_SLOTS 256

void
ml_copy_window_fini(struct ml_copy_window *w)
{
	free(w->slots);
	*w = (struct ml_copy_window){ 0 };
}

void
ml_copy_window_clear(struct ml_copy_window *w)
{
	/* What one busy window needed would only be swept in vain by the next ones. */
	ml_copy_window_fini(w);
}

static inline uint64_t
mix(uint64_t a, uint64_t b)
{
	unsigned __int128 m =
		(unsigned __int128)(a ^ UINT64_C(0x9e3779b97f4a7c15)) * (b ^ UINT64_C(0xd1b54a32d192ed03));

	return (uint64_t)m ^ (uint64_t)(m >> 64);
}

uint64_t
ml_copy_key_hash(const struct ml_index *key, const struct ml_datum *row)
{
	uint64_t h = key->n_cols;

	for (uint16_t i = 0; i < key->n_cols; i++) {
		const struct ml_datum *d = &row[key->cols[i]];
		uint64_t v = 0;

		switch (d->kind) {
		case ML_D_I64:
		case ML_D_U64:
			v = d->u;
			break;
		case ML_D_F32:
			memcpy(&v, &d->f32, sizeof(d->f32));
			break;
		case ML_D_F64:
			memcpy(&v, &d->f64, sizeof(d->f64));
			break;
		case ML_D_BYTES:
			for (uint32_t k = 0; k < d->len; k += 8) {
				v = 0;
				memcpy(&v, d->s + k, d->len - k < 8 ? d->len - k : 8);
				h = mix(h, v);
			}
			v = d->len;
			break;
		default:
			break;
		}
		h = mix(h ^ d->kind, v);
	}
	return h != 0 ? h : 1;
}

static void
put(uint64_t *slots, size_t cap, uint64_t hash)
{
	size_t i = hash & (cap - 1);

	while (slots[i] != 0)
		i = (i + 1) & (cap - 1);
	slots[i] = hash;
}

bool
ml_copy_window_has(const struct ml_copy_window *w, uint64_t hash)
{
	if (w->n == 0)
		return false;
	for (size_t i = hash & (w->cap - 1); w->slots[i] != 0; i = (i + 1) & (w->cap - 1))
		if (w->slots[i] == hash)
			return true;
	return false;
}

void
ml_copy_window_add(struct ml_copy_window *w, uint64_t hash)
{
	if (ml_copy_window_has(w, hash))
		return;
	if (2 * (w->n + 1) > w->cap) {
		size_t cap = w->cap > 0 ? 2 * w->cap : FIRST_SLOTS;
		uint64_t *slots = calloc(cap, sizeof(*slots));

		if (slots == NULL)
			abort();
		for (size_t i = 0; i < w->cap; i++)
			if (w->slots[i] != 0)
				put(slots, cap, w->slots[i]);
		free(w->slots);
		w->slots = slots;
		w->cap = cap;
	}
	put(w->slots, w->cap, hash);
	w->n++;
}

void
ml_copy_window_row(struct ml_copy_window *w, const struct ml_index *key, const struct ml_row *row)
{
	if (row->before != NULL)
		ml_copy_window_add(w, ml_copy_key_hash(key, row->before));
	if (row->after != NULL)
		ml_copy_window_add(w, ml_copy_key_hash(key, row->after));
}

uint32_t
ml_copy_window_cut(const struct ml_copy_window *w, const struct ml_index *key, struct ml_batch *b)
{
	uint32_t kept = 0, n = b->n_rows;

	if (w->n == 0)
		return 0;
	for (uint32_t i = 0; i < n; i++) {
		if (ml_copy_window_has(w, ml_copy_key_hash(key, b->rows[i].after)))
			continue;
		if (kept != i)
			b->rows[kept] = b->rows[i];
		kept++;
	}
	b->n_rows = kept;
	b->n_changes -= n - kept;
	return n - kept;
}
