/* progress: acknowledgements in any order; queue: order, bound, end and stop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>

#include "capture-worker/progress.h"
#include "capture-worker/queue.h"

static Ml__Position *
at(uint64_t offset)
{
	static Ml__Position p;

	ml__position__init(&p);
	p.file = (char *)"mysql-bin.000001";
	p.offset = offset;
	return &p;
}

static void
checkpoint_never_passes_a_batch_that_is_not_durable(void **state)
{
	struct ml_progress *p = ml_progress_new(100, at(4));
	Ml__Position *pos;
	uint64_t a, b, c, d;

	(void)state;
	a = ml_progress_enter(p, 110, at(10));
	b = ml_progress_enter(p, 0, NULL); /* the first piece of a large transaction */
	c = ml_progress_enter(p, 130, at(30));
	d = ml_progress_enter(p, 140, at(40));
	assert_int_equal(ml_progress_resolved(p), 140);
	assert_false(ml_progress_durable(p, d));
	assert_false(ml_progress_durable(p, c));
	assert_int_equal(ml_progress_checkpoint(p), 100);
	assert_true(ml_progress_durable(p, a));
	assert_int_equal(ml_progress_get(p, &pos), 110);
	assert_int_equal(pos->offset, 10);
	ml__position__free_unpacked(pos, NULL);
	assert_true(ml_progress_durable(p, b));
	assert_int_equal(ml_progress_get(p, &pos), 140);
	assert_int_equal(pos->offset, 40);
	assert_string_equal(pos->file, "mysql-bin.000001");
	ml__position__free_unpacked(pos, NULL);
	/* Said twice, or of a number never given: nothing happens. */
	assert_false(ml_progress_durable(p, a));
	assert_false(ml_progress_durable(p, 77));
	ml_progress_free(p);
}

static void
a_barrier_below_the_checkpoint_does_not_lower_it(void **state)
{
	struct ml_progress *p = ml_progress_new(100, NULL);
	Ml__Position *pos;

	(void)state;
	assert_false(ml_progress_durable(p, ml_progress_enter(p, 90, at(1))));
	assert_int_equal(ml_progress_get(p, &pos), 100);
	assert_null(pos);
	ml_progress_free(p);
}

static void
thousands_may_be_in_flight(void **state)
{
	struct ml_progress *p = ml_progress_new(1, NULL);
	enum { N = 5000 };

	(void)state;
	for (uint64_t i = 0; i < N; i++)
		assert_int_equal(ml_progress_enter(p, 10 + i, at(i)), i);
	for (uint64_t i = N; i-- > 1;)
		assert_false(ml_progress_durable(p, i));
	assert_true(ml_progress_durable(p, 0));
	assert_int_equal(ml_progress_checkpoint(p), 10 + N - 1);
	ml_progress_free(p);
}

static void *
produce(void *q)
{
	for (uint64_t i = 0; i < 1000; i++) {
		struct ml_batch *b = ml_batch_new();

		b->seq = i;
		if (ml_queue_push(q, b) != 0) {
			ml_batch_free(b);
			return (void *)1;
		}
	}
	ml_queue_end(q);
	return NULL;
}

static void
queue_keeps_order_and_hands_out_all_before_its_end(void **state)
{
	struct ml_queue *q = ml_queue_new(3);
	struct ml_batch *b;
	pthread_t t;
	void *rc;

	(void)state;
	assert_int_equal(ml_queue_pop(q, &b, 0), ML_POP_TIMEOUT);
	pthread_create(&t, NULL, produce, q);
	for (uint64_t i = 0; i < 1000; i++) {
		assert_int_equal(ml_queue_pop(q, &b, -1), ML_POP_BATCH);
		assert_int_equal(b->seq, i);
		ml_batch_free(b);
	}
	assert_int_equal(ml_queue_pop(q, &b, -1), ML_POP_END);
	pthread_join(t, &rc);
	assert_null(rc);
	ml_queue_free(q);
	ml_batch_pool_drain();
}

static void
a_stopped_queue_frees_a_writer_that_waits(void **state)
{
	struct ml_queue *q = ml_queue_new(2);
	struct ml_batch *b;
	pthread_t t;
	void *rc;

	(void)state;
	pthread_create(&t, NULL, produce, q);
	assert_int_equal(ml_queue_pop(q, &b, -1), ML_POP_BATCH);
	ml_batch_free(b);
	ml_queue_stop(q);
	pthread_join(t, &rc);
	assert_ptr_equal(rc, (void *)1);
	assert_int_equal(ml_queue_pop(q, &b, -1), ML_POP_STOPPED);
	ml_queue_free(q);
	ml_batch_pool_drain();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(checkpoint_never_passes_a_batch_that_is_not_durable),
		cmocka_unit_test(a_barrier_below_the_checkpoint_does_not_lower_it),
		cmocka_unit_test(thousands_may_be_in_flight),
		cmocka_unit_test(queue_keeps_order_and_hands_out_all_before_its_end),
		cmocka_unit_test(a_stopped_queue_frees_a_writer_that_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
