/* test_gateway_api.c - what the gateway answers, and what it asks of its workers for it. */
#include "tests/unit/api-gateway/fake_node.h"

static void
describes_the_node(void **state)
{
	(void)state;
	assert_int_equal(http("GET", "/api/v1/status", ""), 200);
	assert_non_null(strstr(reply, "{\n    \"version\": \"v8.5.0+millrace." ML_VERSION "\",\n    \"git_hash\": \""));
	assert_non_null(strstr(reply,
		"\",\n    \"id\": \"0a1b2c3d-0000-4000-8000-000000000001\",\n    \"cluster_id\": \"default\",\n"
		"    \"pid\": 4242,\n    \"is_owner\": true,\n    \"liveness\": 0\n}"));
	assert_int_equal(http("GET", "/status", ""), 200);
	assert_non_null(strstr(reply,
		"\",\n \"id\": \"0a1b2c3d-0000-4000-8000-000000000001\",\n \"pid\": 4242,\n \"is_owner\": true\n}"));
	assert_int_equal(http("GET", "/api/v1/health", ""), 200);
	assert_string_equal(reply, "");
	assert_int_equal(http("GET", "/api/v1/captures", ""), 200);
	assert_string_equal(reply,
		"[\n    {\n        \"id\": \"0a1b2c3d-0000-4000-8000-000000000001\",\n        \"is_owner\": true,\n"
		"        \"address\": \"127.0.0.1:8300\",\n        \"cluster_id\": \"default\"\n    }\n]");
	assert_int_equal(http("GET", "/api/v1/changefeeds", ""), 200);
	assert_string_equal(reply, "[]");
	assert_int_equal(http("GET", "/api/v1/processors", ""), 200);
	assert_string_equal(reply, "[]");
	assert_int_equal(http("POST", "/api/v1/owner/resign", ""), 202);
	assert_string_equal(reply, "");
	ASSERT_ERROR(400, "PUT", "/api/v1/captures/drain", "{\"capture_id\":\"x\"}", "ErrSchedulerRequestFailed",
		"scheduler request failed, only one capture alive");
	ASSERT_ERROR(400, "PUT", "/api/v1/captures/drain", "", "ErrAPIInvalidParam", "invalid api parameter: EOF");
}

static bool
level_came(void *arg)
{
	return strcmp(n.log_level, arg) == 0;
}

static void
changes_the_log_level_of_all_processes(void **state)
{
	(void)state;
	assert_int_equal(http("POST", "/api/v1/log", "{\"log_level\":\"ERROR\"}"), 200);
	assert_string_equal(reply, "");
	wait_for(level_came, (void *)(uintptr_t) "error", "SetLogLevel");
	assert_int_equal(http("POST", "/api/v1/log", "{\"log_level\":\"dpanic\"}"), 200);
	wait_for(level_came, (void *)(uintptr_t) "fatal", "SetLogLevel");
	ASSERT_ERROR(400, "POST", "/api/v1/log", "{\"log_level\":\"loud\"}", "ErrAPIInvalidParam",
		"fail to change log level: loud");
	ASSERT_ERROR(400, "POST", "/api/v1/log", "\"debug\"", "ErrAPIInvalidParam",
		"invalid log level: cannot decode string into an object");
	ASSERT_ERROR(400, "POST", "/api/v1/log", "", "ErrAPIInvalidParam", "invalid log level: EOF");
	ml_log_set_level(ML_FATAL);
}

static void
creates_runs_and_shows_a_changefeed(void **state)
{
	struct worker *w;
	Ml__ChangefeedSpec *s;
	char *p;

	(void)state;
	assert_int_equal(
		http("POST", "/api/v1/changefeeds",
			"{\"changefeed_id\":\"kf\",\"start_ts\":445644799999999999,\"target_ts\":"
			"445644900000000000,\"sink_uri\":\"kafka://u:p@127.0.0.1:9092/t?sasl-password=x\",\"filter_rules\":[\"a.*\"],"
			"\"ignore_txn_start_ts\":[1,2],\"force_replicate\":true,\"mounter_worker_num\":4,\"sink_config\":{\"dispatchers\":["
			"{\"matcher\":[\"a.*\",\"b.*\"],\"dispatcher\":\"ts\"},{\"matcher\":[\"c.*\"],\"dispatcher\":\"rowid\"}],"
			"\"Date-Separator\":\"day\"},\"upstream_uri\":\"mysql://root:a%40b@10.0.0.1:3307/\"} rest"),
		202);
	wait_for(is_assigned, (void *)(uintptr_t) "kf", "Assign");
	w = worker_of("kf");
	s = w->assign->spec;
	assert_true(w->assign->checkpoint_ts == 445644799999999999ull);
	assert_int_equal(w->assign->position->offset, 4711);
	assert_true(w->assign->epoch == w->epoch);
	assert_string_equal(s->upstream->uri, "mysql://root@10.0.0.1:3307/");
	assert_string_equal(s->upstream->password, "a@b");
	assert_string_equal(s->protocol, "open-protocol"); /* v1's default for Kafka */
	assert_string_equal(s->sink_config_json, "{\"date-separator\":\"day\"}");
	assert_int_equal(s->n_dispatchers, 2);
	assert_string_equal(s->dispatchers[0]->matcher[1], "b.*");
	assert_string_equal(s->dispatchers[1]->partition, "rowid");
	assert_int_equal(s->n_ignore_txn_start_ts, 2);
	assert_int_equal(s->mounter_worker_num, 4);
	assert_true(s->force_replicate);

	progress("kf", 445644800000000001ull, 445644800000000002ull, 1);
	assert_int_equal(http("GET", "/api/v1/changefeeds/kf", ""), 200);
	p = strstr(reply, "    \"create_time\"");
	assert_non_null(p);
	memmove(p, strchr(p, '\n') + 1, strlen(strchr(p, '\n')));
	assert_string_equal(reply,
		"{\n    \"upstream_id\": 7711925978435491515,\n    \"namespace\": \"default\",\n    \"id\": \"kf\",\n"
		"    \"sink_uri\": \"kafka://u:xxxxx@127.0.0.1:9092/t?sasl-password=xxxxx\",\n    \"start_ts\": 445644799999999999,\n"
		"    \"resolved_ts\": 445644800000000002,\n    \"target_ts\": 445644900000000000,\n"
		"    \"checkpoint_tso\": 445644800000000001,\n    \"checkpoint_time\": \"2023-11-14 22:13:20.000\",\n"
		"    \"sort_engine\": \"unified\",\n    \"state\": \"normal\",\n    \"error\": null,\n    \"error_history\": null,\n"
		"    \"creator_version\": \"v8.5.0+millrace." ML_VERSION "\",\n    \"task_status\": [\n        {\n"
		"            \"capture_id\": \"0a1b2c3d-0000-4000-8000-000000000001\",\n            \"table_ids\": [\n                7,\n"
		"                11\n            ],\n            \"table_operations\": {}\n        }\n    ]\n}");
	assert_int_equal(http("GET", "/api/v1/changefeeds?state=normal&state=failed", ""), 200);
	assert_string_equal(reply,
		"[\n    {\n        \"upstream_id\": 7711925978435491515,\n        \"namespace\": \"default\",\n"
		"        \"id\": \"kf\",\n        \"state\": \"normal\",\n        \"checkpoint_tso\": 445644800000000001,\n"
		"        \"checkpoint_time\": \"2023-11-14 22:13:20.000\",\n        \"error\": null\n    }\n]");
	assert_int_equal(http("GET", "/api/v1/changefeeds?state=NORMAL", ""), 200);
	assert_string_equal(reply, "[]");
	assert_int_equal(http("GET", "/api/v1/processors", ""), 200);
	assert_string_equal(reply, "[\n    {\n        \"namespace\": \"default\",\n        \"changefeed_id\": \"kf\",\n"
				   "        \"capture_id\": \"0a1b2c3d-0000-4000-8000-000000000001\"\n    }\n]");
	assert_int_equal(http("GET", "/api/v1/processors/kf/0a1b2c3d-0000-4000-8000-000000000001", ""), 200);
	assert_string_equal(reply,
		"{\n    \"checkpoint_ts\": 445644800000000001,\n    \"resolved_ts\": 445644800000000002,\n"
		"    \"table_ids\": [\n        7,\n        11\n    ],\n    \"error\": null\n}");
	ASSERT_ERROR(
		400, "GET", "/api/v1/processors/kf/nobody", "", "ErrCaptureNotExist", "capture not exists, nobody");
	ASSERT_ERROR(400, "GET", "/api/v1/processors/none/a_b", "", "ErrAPIInvalidParam", "invalid capture_id: a_b");
	ASSERT_ERROR(400, "GET", "/api/v1/processors/none/x", "", "ErrChangeFeedNotExists",
		"changefeed not exists, default/none");
	assert_int_equal(http("GET", "/metrics", ""), 200);
	assert_non_null(strstr(reply, "\nticdc_owner_status{namespace=\"default\",changefeed=\"kf\"} 0\n"));
	assert_non_null(
		strstr(reply, "\nticdc_owner_checkpoint_ts{namespace=\"default\",changefeed=\"kf\"} 1700000000000\n"));
	assert_non_null(strstr(
		reply, "\nticdc_sink_table_sink_total_rows_count{namespace=\"default\",changefeed=\"kf\"} 100\n"));
	assert_non_null(strstr(reply, "\nprocess_resident_memory_bytes "));
}

static void
takes_the_settings_that_v1_has_no_field_for(void **state)
{
	Ml__ChangefeedSpec *s;

	(void)state;
	assert_int_equal(
		http("POST", "/api/v1/changefeeds",
			"{\"changefeed_id\":\"one\",\"sink_uri\":\"file:///x\",\"force_replicate\":false,"
			"\"ignore_txn_start_ts\":[5],\"replica_config\":{\"case-sensitive\":true,\"force_replicate\":true,\"unknown\":[],"
			"\"mounter\":{\"worker-num\":3},\"filter\":{\"rules\":[\"a.*\"],\"ignore-txn-start-ts\":[1],\"event-filters\":["
			"{\"matcher\":[\"a.t\"],\"ignore-event\":[\"insert\"]}]},\"sink\":{\"protocol\":\"csv\",\"csv\":{\"quote\":\"'\"},"
			"\"dispatchers\":[{\"matcher\":[\"a.*\"],\"partition\":\"ts\"}]}}}"),
		202);
	wait_for(is_assigned, (void *)(uintptr_t) "one", "Assign");
	s = worker_of("one")->assign->spec;
	assert_true(s->case_sensitive);
	assert_false(s->force_replicate);
	assert_int_equal(s->mounter_worker_num, 3);
	assert_int_equal(s->n_filter_rules, 1);
	assert_string_equal(s->filter_rules[0], "a.*");
	assert_int_equal(s->n_ignore_txn_start_ts, 1);
	assert_int_equal(s->ignore_txn_start_ts[0], 5);
	assert_string_equal(s->protocol, "csv");
	assert_int_equal(s->n_dispatchers, 1);
	assert_string_equal(s->sink_config_json, "{\"csv\":{\"quote\":\"'\"}}");
	assert_string_equal(s->replica_config_json,
		"{\"case-sensitive\":true,\"force-replicate\":true,\"filter\":{\"rules\":[\"a.*\"],"
		"\"ignore-txn-start-ts\":[1],\"event-filters\":[{\"matcher\":[\"a.t\"],\"ignore-event\":[\"insert\"]}]},"
		"\"mounter\":{\"worker-num\":3}}");

	/* sink_config wins over the sink in it. */
	assert_int_equal(
		http("POST", "/api/v1/changefeeds",
			"{\"changefeed_id\":\"two\",\"sink_uri\":\"file:///x\",\"filter_rules\":[\"b.*\"],"
			"\"sink_config\":{\"protocol\":\"canal-json\"},\"replica_config\":{\"filter\":{\"rules\":[\"a.*\"]},"
			"\"sink\":{\"protocol\":\"csv\",\"terminator\":\"x\"}}}"),
		202);
	wait_for(is_assigned, (void *)(uintptr_t) "two", "Assign");
	s = worker_of("two")->assign->spec;
	assert_string_equal(s->protocol, "canal-json");
	assert_string_equal(s->sink_config_json, "");
	assert_string_equal(s->filter_rules[0], "b.*");

	ASSERT_ERROR(400, "POST", "/api/v1/changefeeds",
		"{\"sink_uri\":\"blackhole://\",\"replica_config\":{\"filter\":{\"rules\":\"a.*\"}}}",
		"ErrAPIInvalidParam",
		"invalid api parameter: cannot decode string into field replica_config.filter.rules of type []string");
	ASSERT_ERROR(400, "POST", "/api/v1/changefeeds", "{\"sink_uri\":\"blackhole://\",\"replica_config\":[]}",
		"ErrAPIInvalidParam",
		"invalid api parameter: cannot decode array into field replica_config of type object");
}

static void
refuses_to_create_what_cannot_be(void **state)
{
	static const struct {
		const char *body, *want;
	} rows[] = {
		{ "", "[CDC:ErrAPIInvalidParam]invalid api parameter: EOF" },
		{ "{", "[CDC:ErrAPIInvalidParam]invalid api parameter: unexpected EOF" },
		{ "[]", "[CDC:ErrAPIInvalidParam]invalid api parameter: cannot decode array into an object" },
		{ "{\"sink_uri\":\"blackhole://\",\"start_ts\":\"1\"}",
			"[CDC:ErrAPIInvalidParam]invalid api parameter: cannot decode string into field start_ts of type uint64" },
		{ "{\"sink_uri\":\"blackhole://\",\"sink_config\":{\"protocol\":1}}",
			"[CDC:ErrAPIInvalidParam]invalid api parameter: cannot decode number 1 into field sink_config.protocol of type string" },
		{ "{\"sink_uri\":\"blackhole://\",\"sink_config\":{\"dispatchers\":[1]}}",
			"[CDC:ErrAPIInvalidParam]invalid api parameter: cannot decode number into field sink_config.dispatchers of type object" },
		{ "null",
			"[CDC:ErrSinkURIInvalid]sink uri invalid 'sink-uri is empty, can't not create a changefeed without sink-uri'" },
		{ "{\"changefeed_id\":\"a_b\"}",
			"[CDC:ErrSinkURIInvalid]sink uri invalid 'sink-uri is empty, can't not create a changefeed without sink-uri'" },
		{ "{\"changefeed_id\":\"a_b\",\"sink_uri\":\"blackhole://\"}",
			"[CDC:ErrAPIInvalidParam]invalid changefeed_id: a_b" },
		{ "{\"changefeed_id\":\"one\",\"sink_uri\":\"x\"}",
			"[CDC:ErrChangeFeedAlreadyExists]changefeed already exists, one" },
		{ "{\"target_ts\":5,\"sink_uri\":\"blackhole://\"}",
			"[CDC:ErrTargetTsBeforeStartTs]fail to create changefeed because "
			"target-ts 5 is earlier than start-ts 445644800000000001" },
		{ "{\"sink_uri\":\"blackhole://\",\"upstream_uri\":\"pg://u:secret@h/\"}",
			"[CDC:ErrUpstreamURIInvalid]upstream uri invalid: pg; give mysql://user@host:port/" },
	};
	char want[600];

	(void)state;
	create("one");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(http("POST", "/api/v1/changefeeds", rows[i].body), 400);
		snprintf(want, sizeof(want), "\"error_msg\": \"%s\",", rows[i].want);
		if (strstr(reply, want) == NULL)
			fail_msg("wanted %s got %s", want, reply);
	}
	n.probe_code = "CDC:ErrSinkURIInvalid";
	n.probe_text = "the sink scheme (blackhome) is not supported";
	ASSERT_ERROR(400, "POST", "/api/v1/changefeeds", "{\"sink_uri\":\"blackhome://\"}", "ErrSinkURIInvalid",
		"the sink scheme (blackhome) is not supported");
	n.probe_code = "CDC:ErrKafkaNewProducer";
	n.probe_text = "no broker";
	ASSERT_ERROR(500, "POST", "/api/v1/changefeeds", "{\"sink_uri\":\"kafka://h/t\"}", "ErrKafkaNewProducer",
		"no broker");
	n.probe_dies = true;
	ASSERT_ERROR(500, "POST", "/api/v1/changefeeds", "{\"changefeed_id\":\"x\",\"sink_uri\":\"kafka://h/t\"}",
		"ErrWorkerDied", "capture-worker of changefeed default/x died: SIGSEGV");
	assert_int_equal(http("GET", "/api/v1/changefeeds?state=all", ""), 200);
	assert_null(strstr(strstr(reply, "\"id\"") + 1, "\"id\"")); /* only "one" */
}

static bool
probe_asked(void *arg)
{
	(void)arg;
	for (size_t i = 0; i < n.n_w; i++)
		if (n.w[i].role == ML__ROLE__ROLE_PROBE && n.w[i].probe != NULL && n.w[i].running)
			return true;
	return false;
}

static void
one_of_two_creations_of_an_id_wins_and_lost_clients_do_no_harm(void **state)
{
	static const char body[] = "{\"changefeed_id\":\"two\",\"sink_uri\":\"blackhole://\"}";
	struct exchange first;

	(void)state;
	n.probe_silent = true;
	ask(&first, "POST", "/api/v1/changefeeds", body);
	wait_for(probe_asked, NULL, "Probe");
	ASSERT_ERROR(400, "POST", "/api/v1/changefeeds", body, "ErrChangeFeedAlreadyExists",
		"changefeed already exists, two");
	/* the client goes away while the probe runs */
	ml_watch_free(first.watch);
	close(first.fd);
	ml_buf_fini(&first.in);
	answer_probe(&n.w[0]);
	wait_for(is_assigned, (void *)(uintptr_t) "two", "Assign");
	assert_int_equal(http("GET", "/api/v1/changefeeds/two", ""), 200);
}

static void
generates_an_id(void **state)
{
	(void)state;
	assert_int_equal(
		http("POST", "/api/v1/changefeeds", "{\"changefeed_id\":\"\",\"sink_uri\":\"blackhole://\"}"), 202);
	assert_int_equal(http("GET", "/api/v1/changefeeds", ""), 200);
	assert_int_equal(strspn(strstr(reply, "\"id\": \"") + 7, "0123456789abcdef-"), 36);
}

static void
updates_a_stopped_changefeed(void **state)
{
	struct worker *w;

	(void)state;
	assert_int_equal(
		http("POST", "/api/v1/changefeeds", "{\"changefeed_id\":\"u\",\"sink_uri\":\"mysql://root:pw@h:1/\"}"),
		202);
	wait_for(is_assigned, (void *)(uintptr_t) "u", "Assign");
	ASSERT_ERROR(400, "PUT", "/api/v1/changefeeds/u", "not even JSON", "ErrChangefeedUpdateRefused",
		"changefeed update error: can only update changefeed config when it is stopped or failed");
	assert_int_equal(http("POST", "/api/v1/changefeeds/u/pause", ""), 202);
	ASSERT_ERROR(400, "PUT", "/api/v1/changefeeds/u", "{", "ErrAPIInvalidParam",
		"invalid api parameter: unexpected EOF");
	ASSERT_ERROR(400, "PUT", "/api/v1/changefeeds/u", "{\"target_ts\":1}", "ErrChangefeedUpdateRefused",
		"can not update target-ts:1 less than start-ts:445644800000000001");
	ASSERT_ERROR(400, "PUT", "/api/v1/changefeeds/u",
		"{\"start_ts\":5,\"filter_rules\":[],\"target_ts\":0,\"sink_uri\":\"\"}", "ErrChangefeedUpdateRefused",
		"changefeed update error: changefeed config is the same with the old one, do nothing");
	n.probe_code = "CDC:ErrFilterRuleInvalid";
	n.probe_text = "filter rule is invalid [bad]: x";
	ASSERT_ERROR(400, "PUT", "/api/v1/changefeeds/u", "{\"filter_rules\":[\"bad\"]}", "ErrChangefeedUpdateRefused",
		"changefeed update error: [CDC:ErrFilterRuleInvalid]filter rule is invalid [bad]: x");
	n.probe_code = "";
	assert_int_equal(http("PUT", "/api/v1/changefeeds/u",
				 "{\"mounter_worker_num\":32,\"filter_rules\":[\"d.*\"],"
				 "\"sink_uri\":\"mysql://root:xxxxx@h:2/\"}"),
		202);
	ASSERT_ERROR(400, "PUT", "/api/v1/changefeeds/u", "{\"mounter_worker_num\":32}", "ErrChangefeedUpdateRefused",
		"changefeed update error: changefeed config is the same with the old one, do nothing");
	assert_int_equal(
		http("PUT", "/api/v1/changefeeds/u",
			"{\"replica_config\":{\"filter\":{\"event_filters\":[{\"ignore_event\":[\"insert\"]}]},\"case-sensitive\":true}}"),
		202);
	ASSERT_ERROR(400, "PUT", "/api/v1/changefeeds/u",
		"{\"replica_config\":{\"case_sensitive\":true,\"filter\":{\"event-filters\":[{\"ignore-event\":[\"insert\"]}]}}}",
		"ErrChangefeedUpdateRefused",
		"changefeed update error: changefeed config is the same with the old one, do nothing");
	assert_int_equal(http("POST", "/api/v1/changefeeds/u/resume", ""), 202);
	wait_for(is_assigned, (void *)(uintptr_t) "u", "Assign");
	w = worker_of("u");
	assert_string_equal(
		w->assign->spec->sink_uri, "mysql://root:pw@h:2/"); /* a masked secret keeps the stored one */
	assert_int_equal(w->assign->spec->mounter_worker_num, 32);
	assert_string_equal(w->assign->spec->filter_rules[0], "d.*");
	assert_string_equal(w->assign->spec->upstream->password, "secret");
}

static void
takes_table_commands_and_drops_them(void **state)
{
	(void)state;
	create("m");
	assert_int_equal(http("POST", "/api/v1/changefeeds/m/tables/rebalance_table", ""), 202);
	assert_string_equal(reply, "");
	assert_int_equal(
		http("POST", "/api/v1/changefeeds/m/tables/move_table", "{\"capture_id\":\"x\",\"table_id\":49}"), 202);
	assert_int_equal(http("POST", "/api/v1/changefeeds/m/tables/move_table", "{\"target_capture_id\":\"x\"}"), 202);
	ASSERT_ERROR(400, "POST", "/api/v1/changefeeds/m/tables/move_table", "{}", "ErrAPIInvalidParam",
		"invalid capture_id: ");
	ASSERT_ERROR(400, "POST", "/api/v1/changefeeds/m/tables/move_table", "", "ErrAPIInvalidParam",
		"invalid api parameter: EOF");
	ASSERT_ERROR(400, "POST", "/api/v1/changefeeds/none/tables/move_table", "{", "ErrChangeFeedNotExists",
		"changefeed not exists, default/none");
	ASSERT_ERROR(400, "POST", "/api/v1/changefeeds/none/tables/rebalance_table", "", "ErrChangeFeedNotExists",
		"changefeed not exists, default/none");
}

static void
removes_when_the_worker_is_gone(void **state)
{
	struct exchange x, y;
	struct worker *w;

	(void)state;
	create("r");
	w = worker_of("r");
	n.slow_stop = true;
	ask(&x, "DELETE", "/api/v1/changefeeds/r", "");
	ask(&y, "DELETE", "/api/v1/changefeeds/r", "");
	assert_int_equal(http("GET", "/api/v1/changefeeds/r", ""), 200);
	ASSERT_ERROR(400, "POST", "/api/v1/changefeeds", "{\"changefeed_id\":\"r\",\"sink_uri\":\"blackhole://\"}",
		"ErrChangeFeedAlreadyExists", "changefeed already exists, r");
	assert_false(x.over);
	assert_true(w->stop_asked);
	died(w, true, 0, "exit 0", false, false);
	finish(&x);
	finish(&y);
	assert_int_equal(x.status, 202);
	assert_int_equal(y.status, 202);
	assert_string_equal(x.body, "");
	ml_buf_fini(&x.in);
	ml_buf_fini(&y.in);
	ASSERT_ERROR(400, "DELETE", "/api/v1/changefeeds/r", "", "ErrChangeFeedNotExists",
		"changefeed not exists, default/r");
	create("r"); /* the name is free again */
}

static void
stops_cleanly_with_requests_under_way(void **state)
{
	struct exchange x, y;

	(void)state;
	create("e");
	n.slow_stop = true;
	n.probe_silent = true;
	ask(&x, "POST", "/api/v1/changefeeds", "{\"sink_uri\":\"blackhole://\"}");
	ask(&y, "DELETE", "/api/v1/changefeeds/e", "");
	wait_for(probe_asked, NULL, "Probe");
	while (!worker_of("e")->stop_asked)
		http("GET", "/api/v1/status", "");
	stop_gateway();
	wait_for(is_over, &x, "the end of the connection");
	wait_for(is_over, &y, "the end of the connection");
	assert_int_equal(x.in.len + y.in.len, 0); /* neither was done, so neither was answered */
	start_gateway();
	assert_int_equal(http("GET", "/api/v1/changefeeds/e", ""), 200);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		NODE_TEST(describes_the_node),
		NODE_TEST(changes_the_log_level_of_all_processes),
		NODE_TEST(creates_runs_and_shows_a_changefeed),
		NODE_TEST(takes_the_settings_that_v1_has_no_field_for),
		NODE_TEST(refuses_to_create_what_cannot_be),
		NODE_TEST(one_of_two_creations_of_an_id_wins_and_lost_clients_do_no_harm),
		NODE_TEST(stops_cleanly_with_requests_under_way),
		NODE_TEST(generates_an_id),
		NODE_TEST(updates_a_stopped_changefeed),
		NODE_TEST(takes_table_commands_and_drops_them),
		NODE_TEST(removes_when_the_worker_is_gone),
	};

	return run_node_tests("test_gateway_api", tests, sizeof(tests) / sizeof(tests[0]));
}
