/* schema (derived facts), batch (pins, pool), message writer, quota. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <string.h>

#include "capture-worker/event/batch.h"
#include "capture-worker/quota.h"

static struct ml_schema *
table(int n_columns, int n_indexes)
{
	struct ml_schema *s = ml_schema_new();

	s->db = (struct ml_text){ "d", 1 };
	s->table = (struct ml_text){ "t", 1 };
	s->n_columns = (uint16_t)n_columns;
	s->n_indexes = (uint16_t)n_indexes;
	s->columns = ml_arena_zalloc(&s->arena, sizeof(struct ml_column) * (size_t)n_columns);
	s->indexes = ml_arena_zalloc(&s->arena, sizeof(struct ml_index) * (size_t)(n_indexes + 1));
	for (int i = 0; i < n_columns; i++) {
		s->columns[i].name = (struct ml_text){ ml_arena_strndup(&s->arena, &"abcdefgh"[i], 1), 1 };
		s->columns[i].flen = s->columns[i].decimal = -1;
		s->columns[i].type = ML_T_LONG;
		s->columns[i].flags = ML_F_BINARY;
	}
	return s;
}

static void
index_on(struct ml_schema *s, int i, bool primary, bool unique, int n, const uint16_t *cols)
{
	struct ml_index *x = &s->indexes[i];

	x->primary = primary;
	x->unique = unique;
	x->n_cols = (uint16_t)n;
	x->cols = ml_arena_alloc(&s->arena, sizeof(uint16_t) * (size_t)n);
	memcpy(x->cols, cols, sizeof(uint16_t) * (size_t)n);
}

static void
handle_key_is_the_primary_key_and_flags_add_up(void **state)
{
	struct ml_schema *s = table(3, 2);

	(void)state;
	index_on(s, 0, true, true, 1, (uint16_t[]){ 0 });
	index_on(s, 1, false, false, 1, (uint16_t[]){ 2 });
	s->columns[1].flags = ML_F_NULLABLE;
	s->columns[1].type = ML_T_VARCHAR;
	s->columns[1].flen = 16;
	s->columns[2].flags |= ML_F_UNSIGNED;
	ml_schema_finish(s);
	assert_string_equal(s->qname.s, "d.t");
	assert_ptr_equal(s->handle, &s->indexes[0]);
	assert_int_equal(s->rid_column, 0);
	assert_int_equal(s->columns[0].flags, 11);
	assert_int_equal(s->columns[1].flags, 64);
	assert_int_equal(s->columns[2].flags, 1 + 32 + 128);
	assert_string_equal(s->columns[1].type_full.s, "varchar(16)");
	assert_string_equal(s->columns[2].type_full.s, "int(10) unsigned");
	assert_string_equal(s->columns[2].type_short.s, "int unsigned");
	ml_schema_unref(s);
}

static void
handle_key_without_a_primary_key_is_the_shortest_not_null_unique_one(void **state)
{
	struct ml_schema *s = table(4, 3);

	(void)state;
	index_on(s, 0, false, true, 2, (uint16_t[]){ 0, 1 });
	index_on(s, 1, false, true, 1, (uint16_t[]){ 2 });
	s->indexes[1].nullable = true;
	index_on(s, 2, false, true, 1, (uint16_t[]){ 3 });
	ml_schema_finish(s);
	assert_ptr_equal(s->handle, &s->indexes[2]);
	assert_int_equal(s->rid_column, -1);
	assert_true(ml_schema_eligible(s));
	assert_int_equal(s->columns[0].flags, 1 + 16 + 32);
	assert_int_equal(s->columns[3].flags, 1 + 2 + 16);
	ml_schema_unref(s);

	s = table(1, 0);
	ml_schema_finish(s);
	assert_null(s->handle);
	assert_false(ml_schema_eligible(s));
	ml_schema_unref(s);
}

static void
element_lists_are_escaped_in_the_full_type(void **state)
{
	struct ml_schema *s = table(1, 0);
	struct ml_text elems[] = { { "a'b", 3 }, { "c\nd", 3 } };

	(void)state;
	s->columns[0].type = ML_T_ENUM;
	s->columns[0].elems = elems;
	s->columns[0].n_elems = 2;
	ml_schema_finish(s);
	assert_string_equal(s->columns[0].type_full.s, "enum('a''b','c\\nd')");
	assert_string_equal(s->columns[0].type_short.s, "enum");
	ml_schema_unref(s);
}

static void
a_batch_pins_its_schemas_and_gives_its_charge_back(void **state)
{
	struct ml_schema *s = table(1, 0);
	struct ml_quota *q = ml_quota_new(1000);
	struct ml_batch *b = ml_batch_new();

	(void)state;
	ml_schema_finish(s);
	ml_batch_pin(b, s);
	ml_batch_pin(b, s);
	assert_int_equal(atomic_load(&s->refs), 2);
	for (int i = 0; i < 1000; i++)
		ml_batch_row(b)->schema = s;
	assert_int_equal(b->n_rows, 1000);
	assert_int_equal(ml_quota_take(q, 300), 0);
	b->quota = q;
	b->charged_bytes = 300;
	ml_batch_free(b);
	assert_int_equal(atomic_load(&s->refs), 1);
	assert_int_equal(ml_quota_used(q), 0);
	b = ml_batch_new();
	assert_int_equal(b->n_rows, 0);
	assert_null(b->quota);
	ml_batch_free(b);
	ml_batch_pool_drain();
	ml_quota_free(q);
	ml_schema_unref(s);
}

static void
a_text_survives_moving_to_larger_chunks(void **state)
{
	struct ml_arena a;
	struct ml_out o;
	uint32_t len;
	const char *text;

	(void)state;
	ml_arena_init(&a, 64);
	ml_out_begin(&o, &a);
	for (int i = 0; i < 5000; i++)
		ml_out_lit(&o, "0123456789");
	text = ml_out_end(&o, &len);
	assert_int_equal(len, 50000);
	for (uint32_t i = 0; i < len; i++)
		assert_int_equal(text[i], '0' + i % 10);
	ml_out_begin(&o, &a);
	ml_out_lit(&o, "next");
	text = ml_out_end(&o, &len);
	assert_memory_equal(text, "next", 4);
	ml_arena_fini(&a);
}

static void *
taker(void *q)
{
	return (void *)(intptr_t)ml_quota_take(q, 80);
}

static void
quota_waits_for_room_lets_a_large_one_pass_alone_and_stops(void **state)
{
	struct ml_quota *q = ml_quota_new(100);
	pthread_t t;
	void *rc;

	(void)state;
	assert_int_equal(ml_quota_take(q, 5000), 0); /* nothing in flight: passes */
	pthread_create(&t, NULL, taker, q);
	ml_quota_give(q, 5000);
	pthread_join(t, &rc);
	assert_int_equal((intptr_t)rc, 0);
	assert_int_equal(ml_quota_used(q), 80);
	pthread_create(&t, NULL, taker, q);
	ml_quota_stop(q);
	pthread_join(t, &rc);
	assert_int_equal((intptr_t)rc, -1);
	ml_quota_free(q);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(handle_key_is_the_primary_key_and_flags_add_up),
		cmocka_unit_test(handle_key_without_a_primary_key_is_the_shortest_not_null_unique_one),
		cmocka_unit_test(element_lists_are_escaped_in_the_full_type),
		cmocka_unit_test(a_batch_pins_its_schemas_and_gives_its_charge_back),
		cmocka_unit_test(a_text_survives_moving_to_larger_chunks),
		cmocka_unit_test(quota_waits_for_room_lets_a_large_one_pass_alone_and_stops),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
