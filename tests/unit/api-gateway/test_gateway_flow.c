/* test_gateway_flow.c - what becomes of changefeeds: errors, deaths, restarts of the gateway, a store that fails. */
#include "tests/unit/api-gateway/fake_node.h"

static void
pauses_and_resumes_from_the_last_words(void **state)
{
	struct worker *w;
	uint64_t epoch;

	(void)state;
	create("p");
	progress("p", START_TS + 10, START_TS + 20, 10);
	w = worker_of("p");
	epoch = w->epoch;
	n.slow_stop = true;
	assert_int_equal(http("POST", "/api/v1/changefeeds/p/pause", "ignored"), 202);
	wait_detail("p", "\"state\": \"stopped\"");
	assert_true(w->stop_asked);
	assert_true(w->grace_ms > 0);
	assert_int_equal(http("POST", "/api/v1/changefeeds/p/pause", ""), 202);
	progress("p", START_TS + 15, START_TS + 20, 15); /* while it stops */
	assert_non_null(strstr(reply, "\"resolved_ts\": 0,"));
	assert_non_null(strstr(reply, "\"task_status\": []"));
	ASSERT_ERROR(400, "GET", "/api/v1/processors/p/x", "", "ErrAPIInvalidParam",
		"invalid api parameter: changefeed in abnormal state: stopped, can't get processors of an abnormal changefeed");
	assert_int_equal(http("GET", "/api/v1/processors", ""), 200);
	assert_string_equal(reply, "[]");

	/* resumed before the old worker is gone: no second one runs beside it */
	assert_int_equal(http("POST", "/api/v1/changefeeds/p/resume", ""), 202);
	assert_int_equal(http("GET", "/api/v1/changefeeds/p", ""), 200);
	assert_non_null(strstr(reply, "\"state\": \"normal\""));
	assert_ptr_equal(worker_of("p"), w);
	died(w, true, 0, "exit 0", false, false);
	wait_for(is_assigned, (void *)(uintptr_t) "p", "Assign");
	w = worker_of("p");
	assert_true(w->epoch > epoch);
	assert_true(w->assign->checkpoint_ts == START_TS + 15);
	assert_int_equal(w->assign->position->offset, 15);
	assert_int_equal(http("POST", "/api/v1/changefeeds/p/resume", ""), 202);
	ASSERT_ERROR(400, "POST", "/api/v1/changefeeds/none/pause", "", "ErrChangeFeedNotExists",
		"changefeed not exists, default/none");
	ASSERT_ERROR(
		400, "POST", "/api/v1/changefeeds/a_b/resume", "", "ErrAPIInvalidParam", "invalid changefeed_id: a_b");
}

static void
retries_what_may_pass_and_fails_what_cannot(void **state)
{
	struct worker *w;

	(void)state;
	create("f");
	w = worker_of("f");
	fault("f", "CDC:ErrKafkaAsyncSendMessage", "broken pipe", false, false);
	wait_for(is_gone, w, "the end of the worker");
	/* the first retry is at once, from the same checkpoint, as state error until the checkpoint moves */
	wait_for(is_assigned, (void *)(uintptr_t) "f", "Assign");
	assert_ptr_not_equal(worker_of("f"), w);
	assert_int_equal(http("GET", "/api/v1/changefeeds/f", ""), 200);
	assert_non_null(strstr(reply, "\"state\": \"error\",\n    \"error\": {\n        \"time\": \""));
	assert_non_null(
		strstr(reply, "\"addr\": \"127.0.0.1:8300\",\n        \"code\": \"CDC:ErrKafkaAsyncSendMessage\",\n"
			      "        \"message\": \"[CDC:ErrKafkaAsyncSendMessage]broken pipe\"\n    },"));
	assert_int_equal(http("GET", "/api/v1/changefeeds", ""), 200);
	assert_string_equal(reply, "[]");
	assert_int_equal(http("GET", "/api/v1/changefeeds?state=error", ""), 200);
	assert_non_null(strstr(reply, "\"id\": \"f\""));
	progress("f", START_TS + 1, START_TS + 1, 1);
	wait_detail("f", "\"state\": \"normal\",\n    \"error\": null");

	/* the next one soon after belongs to the same streak: it waits */
	w = worker_of("f");
	fault("f", "CDC:ErrKafkaAsyncSendMessage", "again", false, false);
	wait_for(is_gone, w, "the end of the worker");
	assert_int_equal(http("GET", "/api/v1/changefeeds?state=pending", ""), 200);
	assert_non_null(strstr(reply, "\"state\": \"error\""));
	assert_int_equal(http("POST", "/api/v1/changefeeds/f/pause", ""), 202);
	assert_int_equal(http("POST", "/api/v1/changefeeds/f/resume", ""), 202);
	wait_for(is_assigned, (void *)(uintptr_t) "f", "Assign");

	w = worker_of("f");
	fault("f", "CDC:ErrKafkaSendMessage", "wrapped [CDC:ErrDispatcherFailed]x", false, false);
	wait_for(is_gone, w, "the end of the worker");
	wait_detail("f", "\"state\": \"failed\"");
	assert_ptr_equal(worker_of("f"), w);
}

static void
shows_a_warning_while_it_lasts(void **state)
{
	(void)state;
	create("w");
	fault("w", "CDC:ErrUpstreamUnavailable", "reconnecting", true, false);
	wait_detail("w", "\"state\": \"error\"");
	assert_non_null(strstr(reply, "[CDC:ErrUpstreamUnavailable]reconnecting"));
	fault("w", "", "", true, true);
	wait_detail("w", "\"state\": \"normal\"");
	assert_true(worker_of("w")->running);
}

static void
goes_on_where_a_killed_worker_was(void **state)
{
	struct worker *w;

	(void)state;
	create("k");
	w = worker_of("k");
	for (int i = 1; i <= 3; i++) {
		if (i == 1)
			progress("k", START_TS + 100, START_TS + 100, 100);
		ml__assign__free_unpacked(w->assign, NULL);
		w->assign = NULL;
		died(w, false, SIGSEGV, "SIGSEGV", true, false);
		up(w, false);
		wait_for(is_assigned, (void *)(uintptr_t) "k", "Assign");
		assert_true(w->assign->checkpoint_ts == START_TS + 100);
		assert_int_equal(w->assign->position->offset, 100);
		assert_int_equal(http("GET", "/api/v1/changefeeds/k", ""), 200);
		/* three deaths without progress are worth a warning */
		assert_non_null(strstr(reply, i < 3 ? "\"state\": \"normal\"" : "\"state\": \"error\""));
	}
	assert_non_null(strstr(reply, "[CDC:ErrWorkerDied]capture-worker of changefeed default/k died: SIGSEGV"));
	progress("k", START_TS + 200, START_TS + 200, 200);
	wait_detail("k", "\"state\": \"normal\"");
	/* the supervisor gives it up: the changefeed's own back-off takes over, its first retry is at once */
	died(w, false, SIGSEGV, "SIGSEGV", false, true);
	wait_detail("k", "\"state\": \"error\"");
	wait_for(is_assigned, (void *)(uintptr_t) "k", "Assign");
	assert_ptr_not_equal(worker_of("k"), w);
}

static void
reads_the_fault_before_the_death(void **state)
{
	struct worker *w;

	(void)state;
	create("d");
	w = worker_of("d");
	fault("d", "CDC:ErrMySQLBinlogPurged", "gone", false, false);
	died(w, false, 0, "exit 70", false, false); /* both are on their way before the gateway reads either */
	wait_detail("d", "\"state\": \"failed\"");
	assert_non_null(strstr(reply, "[CDC:ErrMySQLBinlogPurged]gone"));
}

static void
finishes_at_the_target(void **state)
{
	Ml__Finished m = ML__FINISHED__INIT;
	struct worker *w;

	(void)state;
	create("t");
	w = worker_of("t");
	m.checkpoint_ts = START_TS + 50;
	say(w, ML__ENVELOPE__BODY_FINISHED, &m);
	wait_detail("t", "\"state\": \"finished\"");
	wait_for(is_gone, w, "the end of the worker");
	assert_int_equal(http("GET", "/api/v1/changefeeds", ""), 200);
	assert_string_equal(reply, "[]");
	assert_int_equal(http("GET", "/api/v1/changefeeds?state=finished", ""), 200);
	assert_non_null(strstr(reply, "\"checkpoint_tso\": 445644800000000051"));
	assert_int_equal(http("POST", "/api/v1/changefeeds/t/resume", ""), 202);
	wait_for(is_assigned, (void *)(uintptr_t) "t", "Assign");
}

static void
refuses_a_checkpoint_that_falls(void **state)
{
	Ml__Progress m = ML__PROGRESS__INIT;
	struct worker *w;

	(void)state;
	create("c");
	progress("c", START_TS + 10, START_TS + 10, 1);
	w = worker_of("c");
	m.checkpoint_ts = START_TS + 9;
	say(w, ML__ENVELOPE__BODY_PROGRESS, &m);
	wait_for(is_gone, w, "the end of the worker");
	wait_for(is_assigned, (void *)(uintptr_t) "c", "Assign");
	assert_true(worker_of("c")->assign->checkpoint_ts == START_TS + 10);
	assert_int_equal(http("GET", "/api/v1/changefeeds/c", ""), 200);
	assert_non_null(strstr(reply, "CDC:ErrInternalCheckFailed"));
}

static bool
saved_up_to(void *arg)
{
	return worker_of("s")->saved_ts == *(uint64_t *)arg;
}

static void
comes_back_from_the_store(void **state)
{
	uint64_t ts = START_TS + 30;
	struct worker *w, *old;

	(void)state;
	create("s");
	create("idle");
	assert_int_equal(http("POST", "/api/v1/changefeeds/idle/pause", ""), 202);
	progress("s", ts, ts, 30);
	wait_for(saved_up_to, &ts, "ProgressSaved");

	/* the gateway dies and comes back, the worker went on meanwhile */
	w = worker_of("s");
	stop_gateway();
	start_gateway();
	assert_int_equal(http("GET", "/api/v1/changefeeds/idle", ""), 200);
	assert_non_null(strstr(reply, "\"state\": \"stopped\""));
	n.worker_silent = true;
	up(w, true);
	hello(w, true, ts + 5);
	wait_detail("s", "\"checkpoint_tso\": 445644800000000036,");
	assert_ptr_equal(worker_of("s"), w);
	assert_false(w->stop_asked);
	n.worker_silent = false;

	/* once more, but all workers died with the node: it starts where the store says */
	stop_gateway();
	w->running = false;
	ml_chan_free(w->ch);
	w->ch = NULL;
	ml__assign__free_unpacked(w->assign, NULL);
	w->assign = NULL;
	start_gateway();
	wait_for(is_assigned, (void *)(uintptr_t) "s", "Assign");
	w = worker_of("s");
	assert_true(w->assign->checkpoint_ts == ts + 5);

	/* a worker of an epoch that nobody knows is stopped, and ours waits until it is gone */
	stop_gateway();
	old = new_worker("s", 1, ML__ROLE__ROLE_WORKER);
	n.worker_silent = true;
	n.slow_stop = true;
	start_gateway();
	up(old, true);
	hello(old, true, ts + 99);
	while (!old->stop_asked)
		http("GET", "/api/v1/status", "");
	assert_int_equal(http("GET", "/api/v1/changefeeds/s", ""), 200);
	assert_non_null(strstr(reply, "\"checkpoint_tso\": 445644800000000036,"));
	died(old, true, 0, "exit 0", false, false);
}

static void
is_not_ready_until_the_store_can_be_read(void **state)
{
	char path[300];

	(void)state;
	create("x");
	/* the data directory is not there */
	stop_gateway();
	n.config.data_dir = (char *)(uintptr_t) "/nowhere";
	start_gateway();
	assert_int_equal(http("GET", "/api/v1/changefeeds", ""), 503);
	assert_string_equal(reply, "{\n    \"error_msg\": \"[CDC:ErrServerIsNotReady]cdc server is not ready\",\n"
				   "    \"error_code\": \"CDC:ErrServerIsNotReady\"\n}");
	assert_int_equal(http("GET", "/api/v1/health", ""), 503);
	assert_int_equal(http("GET", "/status", ""), 200);
	assert_int_equal(http("GET", "/metrics", ""), 200);
	/* the store is there again: the gateway finds it by itself */
	n.config.data_dir = n.dir;
	while (http("GET", "/api/v1/changefeeds/x", "") == 503)
		;
	assert_non_null(strstr(reply, "\"id\": \"x\""));
	snprintf(path, sizeof(path), "%s/meta.db", n.dir);
	assert_int_equal(access(path, F_OK), 0);
}

/* A limit on the size of files stands for a full disk. */
static void
answers_500_when_a_command_cannot_be_stored(void **state)
{
	struct rlimit old, tight;
	struct worker *w;

	(void)state;
	create("x");
	w = worker_of("x");
	getrlimit(RLIMIT_FSIZE, &old);
	tight = old;
	tight.rlim_cur = 1;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
	assert_int_equal(
		http("POST", "/api/v1/changefeeds", "{\"changefeed_id\":\"y\",\"sink_uri\":\"blackhole://\"}"), 500);
	assert_non_null(strstr(reply, "[CDC:ErrMetaStore]metadata store failed: "));
	assert_int_equal(http("GET", "/api/v1/changefeeds/y", ""), 400);
	assert_int_equal(http("POST", "/api/v1/changefeeds/x/pause", ""), 500);
	assert_int_equal(http("GET", "/api/v1/changefeeds/x", ""), 200);
	assert_non_null(strstr(reply, "\"state\": \"normal\""));
	progress("x", START_TS + 1, START_TS + 1, 1);
	while (http("GET", "/api/v1/health", "") == 200)
		; /* until the batch of checkpoints was refused too */
	assert_non_null(strstr(reply, "CDC:ErrClusterIsUnhealthy"));
	assert_true(w->running && !w->stop_asked);
	assert_int_equal(http("DELETE", "/api/v1/changefeeds/x", ""), 500);
	assert_int_equal(http("GET", "/api/v1/changefeeds/x", ""), 200);
	/* the removal had stopped the worker; since the changefeed stays, it runs again */
	wait_for(is_assigned, (void *)(uintptr_t) "x", "Assign");
	assert_ptr_not_equal(worker_of("x"), w);

	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	while (http("GET", "/api/v1/health", "") != 200)
		;
	assert_int_equal(http("POST", "/api/v1/changefeeds/x/pause", ""), 202);
	stop_gateway();
	start_gateway();
	assert_int_equal(http("GET", "/api/v1/changefeeds?state=all", ""), 200);
	assert_non_null(strstr(reply, "\"state\": \"stopped\",\n        \"checkpoint_tso\": 445644800000000002,"));
	assert_null(strstr(reply, "\"y\""));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		NODE_TEST(pauses_and_resumes_from_the_last_words),
		NODE_TEST(retries_what_may_pass_and_fails_what_cannot),
		NODE_TEST(shows_a_warning_while_it_lasts),
		NODE_TEST(goes_on_where_a_killed_worker_was),
		NODE_TEST(reads_the_fault_before_the_death),
		NODE_TEST(finishes_at_the_target),
		NODE_TEST(refuses_a_checkpoint_that_falls),
		NODE_TEST(comes_back_from_the_store),
		NODE_TEST(is_not_ready_until_the_store_can_be_read),
		NODE_TEST(answers_500_when_a_command_cannot_be_stored),
	};

	return run_node_tests("test_gateway_flow", tests, sizeof(tests) / sizeof(tests[0]));
}
