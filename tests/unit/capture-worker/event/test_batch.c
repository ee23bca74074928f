/* The pool of batches: what a busy pipeline needs again is kept, within bounds. */
#include "capture-worker/event/batch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define N 20

static size_t
spare(const struct ml_batch *b)
{
	size_t n = 0;

	for (const struct ml_arena_chunk *c = b->arena.spare; c != NULL; c = c->next)
		n += c->size;
	return n;
}

static void
fill(struct ml_batch *b, size_t bytes)
{
	for (size_t n = 0; n < bytes; n += 3000)
		(void)ml_arena_bytes(&b->arena, 3000);
}

static void
a_batch_comes_back_with_its_memory(void **state)
{
	struct ml_batch *b = ml_batch_new();

	(void)state;
	fill(b, 6500000);
	for (int i = 0; i < 3; i++) {
		size_t total = b->arena.total_bytes;

		ml_batch_free(b);
		b = ml_batch_new();
		assert_int_equal(spare(b), total);
		fill(b, 6500000);
		assert_int_equal(b->arena.total_bytes, total);
		assert_null(b->arena.spare);
	}
	/* What a rare large one took is given back. */
	fill(b, 50000000);
	ml_batch_free(b);
	b = ml_batch_new();
	assert_in_range(spare(b), 6500000, 8 << 20);
	ml_batch_free(b);
	ml_batch_pool_drain();
}

static void
all_of_them_keep_no_more_than_the_bound(void **state)
{
	struct ml_batch *v[N];

	(void)state;
	for (int round = 0; round < 3; round++) {
		size_t sum = 0;

		for (int i = 0; i < N; i++) {
			v[i] = ml_batch_new();
			sum += spare(v[i]);
		}
		assert_in_range(sum, round == 0 ? 0 : 30 << 20, 32 << 20);
		for (int i = 0; i < N; i++)
			fill(v[i], 5000000);
		for (int i = 0; i < N; i++)
			ml_batch_free(v[i]);
	}
	ml_batch_pool_drain();
	v[0] = ml_batch_new();
	assert_int_equal(spare(v[0]), 0);
	ml_batch_free(v[0]);
	ml_batch_pool_drain();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_batch_comes_back_with_its_memory),
		cmocka_unit_test(all_of_them_keep_no_more_than_the_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
