/*
 * gate: lanes take turns, one request's worth each, as many at once as there are brokers.  The producer has no broker, so
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

static void
one_lane_at_a_time_with_one_broker_and_each_in_its_turn(void **state)
{
	struct ml_err err = { 0 };

	(void)state;
	put(0, 0, 10);
	put(1, 1, 10);
	put(0, 2, 10);
	assert_int_equal(kafka_gate_pump(g, &err), 0);
	assert_int_equal(lanes[0].in_flight, 2);
	assert_int_equal(lanes[1].in_flight, 0);
	put(0, 3, 10);	/* comes while the lane is being served: waits for its next turn */
	assert_int_equal(kafka_gate_pump(g, &err), 0);
	assert_int_equal(g->in_flight, 2);
	report(0, 1);
	assert_int_equal(lanes[1].in_flight, 0);
	report(0, 1);
	assert_int_equal(lanes[1].in_flight, 1);	/* the other lane waited longer */
	assert_int_equal(lanes[0].in_flight, 0);
	report(1, 1);
	assert_int_equal(lanes[0].in_flight, 1);
	report(0, 1);
	assert_int_equal(g->in_flight, 0);
	assert_int_equal(g->serving, 0);
	assert_true(ml_list_empty(&g->ready));
}

static void
as_many_lanes_at_once_as_brokers(void **state)
{
	struct ml_err err = { 0 };

	(void)state;
	g->brokers = 2;
	for (int i = 0; i < 3; i++)
		put(i, i, 10);
	assert_int_equal(kafka_gate_pump(g, &err), 0);
	assert_int_equal(g->serving, 2);
	assert_int_equal(lanes[2].in_flight, 0);
	report(1, 1);
	assert_int_equal(lanes[2].in_flight, 1);
}

static void
a_request_is_filled_to_its_limit_and_holds_one_message_at_least(void **state)
{
	struct ml_err err = { 0 };

	(void)state;
	for (int i = 0; i < 10; i++)
		put(0, i, 200);	/* 240 with what a record adds: four fit */
	assert_int_equal(kafka_gate_pump(g, &err), 0);
	assert_int_equal(lanes[0].in_flight, 4);
	assert_ptr_equal(lanes[0].head, &msgs[4]);
	report(0, 4);
	report(0, 4);
	assert_int_equal(lanes[0].in_flight, 2);
	report(0, 2);
	put(0, 20, 1900);
	put(0, 21, 10);
	assert_int_equal(kafka_gate_pump(g, &err), 0);
	assert_int_equal(lanes[0].in_flight, 1);
}

static void
what_librdkafka_refuses_is_an_error_and_not_under_way(void **state)
{
	struct ml_err err = { 0 };
	char *huge = calloc(1, 4u << 20);

	(void)state;
	msgs[0].value = huge;	/* above message.max.bytes */
	msgs[0].value_len = 4u << 20;
	kafka_gate_put(g, &lanes[0], &msgs[0]);
	assert_int_equal(kafka_gate_pump(g, &err), -1);
	assert_int_equal(err.code, ML_ErrKafkaAsyncSendMessage);
	assert_int_equal(g->in_flight, 0);
	assert_int_equal(g->serving, 0);
	free(huge);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(one_lane_at_a_time_with_one_broker_and_each_in_its_turn, setup, teardown),
		cmocka_unit_test_setup_teardown(as_many_lanes_at_once_as_brokers, setup, teardown),
		cmocka_unit_test_setup_teardown(a_request_is_filled_to_its_limit_and_holds_one_message_at_least, setup, teardown),
		cmocka_unit_test_setup_teardown(what_librdkafka_refuses_is_an_error_and_not_under_way, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
