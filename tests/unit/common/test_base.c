/* err, arena, buf, backoff. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "common/base/arena.h"
#include "common/base/backoff.h"
#include "common/base/buf.h"
#include "common/base/err.h"

static void
error_prints_code_and_text_and_nests_causes(void **state)
{
	struct ml_err err = { 0 };
	char buf[2048];

	(void)state;
	assert_int_equal(ML_ERR(&err, ErrSinkURIInvalid, 0, "x://"), -1);
	assert_string_equal(ml_err_print(&err, buf, sizeof(buf)), "[CDC:ErrSinkURIInvalid]sink uri invalid 'x://'");
	assert_int_equal(ml_err_status(&err), 400);
	assert_true(ml_err_is_fatal(&err));
	ml_err_wrap(&err, ML_ErrKafkaInvalidConfig, "kafka config invalid");
	assert_string_equal(ml_err_print(&err, buf, sizeof(buf)),
		"[CDC:ErrKafkaInvalidConfig]kafka config invalid: [CDC:ErrSinkURIInvalid]sink uri invalid 'x://'");
	assert_int_equal(ml_err_status(&err), 400); /* inherited from the cause */
	ML_ERR(&err, ErrKafkaNewProducer, 0, "refused");
	assert_int_equal(ml_err_status(&err), 500);
	assert_false(ml_err_is_fatal(&err));
}

static void
a_code_is_found_in_a_text_only_as_a_whole_name(void **state)
{
	struct ml_err err = { 0 };

	(void)state;
	ML_ERRF(&err, ErrKafkaNewProducer, 0, "x CDC:ErrSinkURIInvalidish");
	assert_false(ml_err_is_fatal(&err));
	ML_ERRF(&err, ErrKafkaNewProducer, 0, "x [CDC:ErrDispatcherFailed]y");
	assert_true(ml_err_is_fatal(&err));
}

static void
context_stands_outermost_first_and_is_cut_to_fit(void **state)
{
	struct ml_err err = { 0 };
	char longer[400];

	(void)state;
	ML_ERR(&err, ErrIO, 5, "a", "b");
	ml_err_in(&err, "table %s", "t");
	ml_err_in(&err, "shard %d", 3);
	assert_string_equal(err.where, "shard 3: table t");
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	ml_err_in(&err, "%s", longer);
	assert_int_equal(strlen(err.where), sizeof(err.where) - 1);
}

static void
an_unknown_code_from_a_peer_becomes_a_known_one(void **state)
{
	struct ml_err err = { 0 };

	(void)state;
	ml_err_named(&err, "CDC:ErrNoSuch", "text");
	assert_int_equal(err.code, ML_ErrProcessorUnknown);
	ml_err_named(&err, "CDC:ErrIO", "100%s");
	assert_int_equal(err.code, ML_ErrIO);
	assert_string_equal(err.text, "100%s");
}

static void
arena_keeps_its_chunks_over_a_reset(void **state)
{
	struct ml_arena a;
	char *first;

	(void)state;
	ml_arena_init(&a, 1024);
	first = ml_arena_alloc(&a, 100);
	for (int i = 0; i < 100; i++) {
		char *p = ml_arena_alloc(&a, 33);

		assert_int_equal((uintptr_t)p % 8, 0);
		memset(p, i, 33);
	}
	(void)ml_arena_bytes(&a, 100000);
	ml_arena_reset(&a);
	assert_int_equal(a.total_bytes, 0);
	/* The oldest chunk was freed last onto the spare list, so it is the first to be used again. */
	assert_ptr_equal(ml_arena_alloc(&a, 100), first);
	ml_arena_fini(&a);
}

/* Large pieces too, up to as much memory as that many ordinary chunks have. */
static void
arena_keeps_large_chunks_within_bounds(void **state)
{
	struct ml_arena a;
	char *large, *small;

	(void)state;
	ml_arena_init(&a, 1024);
	large = ml_arena_bytes(&a, 10 * 1024);
	ml_arena_reset(&a);
	small = ml_arena_bytes(&a, 10);
	assert_ptr_equal(small, large); /* nothing smaller is there */
	small = ml_arena_bytes(&a, 11 * 1024);
	assert_ptr_not_equal(small, large);
	ml_arena_reset(&a);
	/* 10 and 11 KiB are more than 16: the newer one was kept, the other one went back. */
	assert_non_null(a.spare);
	assert_null(a.spare->next);
	assert_int_equal(a.spare->size, 11 * 1024);
	(void)ml_arena_bytes(&a, 17 * 1024);
	ml_arena_reset(&a);
	assert_int_equal(a.spare->size, 11 * 1024);
	assert_null(a.spare->next);
	/* The smallest one that is large enough is taken. */
	small = ml_arena_bytes(&a, 1024);
	ml_arena_reset(&a);
	assert_ptr_equal(ml_arena_bytes(&a, 10 * 1024), small);
	/* Another bound holds for what was spare before, too. */
	(void)ml_arena_bytes(&a, 2048);
	assert_int_equal(ml_arena_reset_to(&a, 100 * 1024), 13 * 1024);
	assert_int_equal(ml_arena_reset_to(&a, 11 * 1024), 11 * 1024);
	assert_int_equal(ml_arena_reset_to(&a, 0), 0);
	assert_null(a.spare);
	ml_arena_fini(&a);
}

static void
reader_never_passes_the_end(void **state)
{
	static const uint8_t bytes[] = { 1, 2, 3, 0xFD, 1, 0 };
	struct ml_rd r = ml_rd_of(bytes, sizeof(bytes));

	(void)state;
	assert_int_equal(ml_rd_le(&r, 2), 0x0201);
	assert_int_equal(ml_rd_be(&r, 1), 3);
	assert_int_equal(ml_rd_lenenc(&r), 0); /* three bytes wanted, two there */
	assert_true(r.bad);
	assert_int_equal(ml_rd_le(&r, 1), 0);
	assert_null(ml_rd_bytes(&r, 1));
}

static void
buffer_grows_and_stays_terminated(void **state)
{
	struct ml_buf b = { 0 };

	(void)state;
	for (int i = 0; i < 1000; i++)
		ml_buf_printf(&b, "%d,", i);
	assert_int_equal(b.len, 3890);
	assert_int_equal(strlen(b.data), b.len);
	ml_buf_put(&b, "", 0);
	ml_buf_clear(&b);
	assert_string_equal(b.data, "");
	ml_buf_fini(&b);
}

static void
backoff_doubles_to_the_cap_and_forgives_a_calm_run(void **state)
{
	static const struct {
		uint64_t lived_ms;
		uint32_t want_ms;
	} rows[] = {
		{ 0, 500 }, { 0, 1000 }, { 0, 2000 }, { 0, 3000 }, /* the cap */
		{ 60000, 500 },                                    /* calm: anew */
	};
	struct ml_backoff bo = { .base_ms = 500, .cap_ms = 3000, .calm_ms = 60000 };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(ml_backoff_next(&bo, rows[i].lived_ms), rows[i].want_ms);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(error_prints_code_and_text_and_nests_causes),
		cmocka_unit_test(a_code_is_found_in_a_text_only_as_a_whole_name),
		cmocka_unit_test(context_stands_outermost_first_and_is_cut_to_fit),
		cmocka_unit_test(an_unknown_code_from_a_peer_becomes_a_known_one),
		cmocka_unit_test(arena_keeps_its_chunks_over_a_reset),
		cmocka_unit_test(arena_keeps_large_chunks_within_bounds),
		cmocka_unit_test(reader_never_passes_the_end),
		cmocka_unit_test(buffer_grows_and_stays_terminated),
		cmocka_unit_test(backoff_doubles_to_the_cap_and_forgives_a_calm_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
