/*
 * gate: lanes take turns, a request's worth each; the first message of a partition goes alone.  The producer has no broker, so
 * what is handed over stays under way until the test says that it was reported.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "capture-worker/sink/kafka/gate.h"

static rd_kafka_t *rk;
static rd_kafka_topic_t *rkt;
static struct kafka_gate *g;
static struct kafka_lane lanes[3];
static struct ml_msg msgs[64];

static int
setup(void **state)
{
	char why[256];

	(void)state;
	rk = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), why, sizeof(why));
	rkt = rd_kafka_topic_new(rk, "t", NULL);
	g = calloc(1, sizeof(*g));
	kafka_gate_init(g, 1000);
	memset(msgs, 0, sizeof(msgs));
	for (int i = 0; i < 3; i++)
		kafka_lane_init(&lanes[i], rkt, i);
	return rk != NULL && rkt != NULL ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	rd_kafka_purge(rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
	rd_kafka_topic_destroy(rkt);
	rd_kafka_destroy(rk);
	free(g);
	return 0;
}

static void
put(int lane, int i, uint32_t len)
{
	static const char text[2000];

	msgs[i].value = text;
	msgs[i].value_len = len;
	msgs[i].key = text;
	kafka_gate_put(g, &lanes[lane], &msgs[i]);
}

static void
report(int lane, unsigned n)
{
	struct ml_err err = { 0 };

	for (unsigned i = 0; i < n; i++)
		if (kafka_gate_reported(g, &lanes[lane]))
			assert_int_equal(kafka_gate_pump(g, &err), 0);
}

static unsigned
under_way(int lane)
{
	unsigned n = 0;

	for (unsigned i = 0; i < lanes[lane].sets; i++)
		n += lanes[lane].left[i];
	return n;
}

static void
the_first_message_of_a_partition_goes_alone(void **state)
{
	struct ml_err err = { 0 };

	(void)state;
	for (int i = 0; i < 5; i++)
		put(0, i, 10);
	put(1, 5, 10);
	assert_int_equal(kafka_gate_pump(g, &err), 0);
	assert_int_equal(under_way(0), 1);
	assert_int_equal(under_way(1), 1);
	put(0, 6, 10);
	assert_int_equal(kafka_gate_pump(g, &err), 0);
	assert_int_equal(under_way(0), 1);
	report(0, 1);
	assert_int_equal(under_way(0), 5); /* all that waited, as one set */
	assert_int_equal(lanes[0].sets, 1);
}

static void
a_lane_has_two_sets_under_way_and_all_lanes_their_limit(void **state)
{
	struct ml_err err = { 0 };

	(void)state;
	for (int i = 0; i < 3; i++)
		lanes[i].known = true;
	for (int i = 0; i < 30; i++)
		put(i % 3, i, 200); /* 240 with what a record adds: four a set */
	assert_int_equal(kafka_gate_pump(g, &err), 0);
	/* In turn: each lane's first set, then the second of the one that waited longest. */
	assert_int_equal(g->sets, KAFKA_BROKER_SETS);
	assert_int_equal(under_way(0), 8);
	assert_int_equal(under_way(1), 4);
	assert_int_equal(under_way(2), 4);
	report(1, 3);
	assert_int_equal(g->in_flight, 13);
	report(1, 1); /* its set is done: the next in turn is lane 1's second */
	assert_int_equal(lanes[1].sets, 1);
	assert_int_equal(under_way(1), 4);
	report(0, 4);
	assert_int_equal(g->sets, KAFKA_BROKER_SETS);
	report(0, 4);
	report(0, under_way(0));
	report(1, under_way(1));
	report(2, under_way(2));
	for (int i = 0; i < 3; i++)
		report(i, under_way(i));
	assert_int_equal(g->in_flight, 0);
	assert_int_equal(g->sets, 0);
	assert_true(ml_list_empty(&g->ready));
}

static void
a_set_holds_one_message_at_least(void **state)
{
	struct ml_err err = { 0 };

	(void)state;
	lanes[0].known = true;
	put(0, 0, 1900);
	put(0, 1, 10);
	assert_int_equal(kafka_gate_pump(g, &err), 0);
	assert_int_equal(lanes[0].left[0], 1);
	assert_int_equal(lanes[0].left[1], 1);
}

static void
what_librdkafka_refuses_is_an_error_and_not_under_way(void **state)
{
	struct ml_err err = { 0 };
	char *huge = calloc(1, 4u << 20);

	(void)state;
	msgs[0].value = huge; /* above message.max.bytes */
	msgs[0].value_len = 4u << 20;
	kafka_gate_put(g, &lanes[0], &msgs[0]);
	assert_int_equal(kafka_gate_pump(g, &err), -1);
	assert_int_equal(err.code, ML_ErrKafkaAsyncSendMessage);
	assert_int_equal(g->in_flight, 0);
	assert_int_equal(g->sets, 0);
	free(huge);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_first_message_of_a_partition_goes_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_lane_has_two_sets_under_way_and_all_lanes_their_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(a_set_holds_one_message_at_least, setup, teardown),
		cmocka_unit_test_setup_teardown(what_librdkafka_refuses_is_an_error_and_not_under_way, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
