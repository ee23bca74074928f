/* avro: schemas and records against recorded and published ones, value by value; when the registry is asked; errors. */
#include "tests/unit/capture-worker/encoder/golden.h"

#include <json-c/json.h>

#include "capture-worker/encoder/avro/avro.h"
#include "capture-worker/event/topic.h"
#include "tests/unit/capture-worker/encoder/fake_registry.h"

/* ---- a registry that knows the recorded schemas and no others ---- */

struct known {
	char *text; /* lines "subject id schema"; NULL: every schema gets a new id, from 1 on */
	int next_id;
	struct ml_buf log; /* what was asked for since the last message, where text is NULL */
};

static struct known *asked;

static void
answer_known(void *arg, const struct fake_request *q, struct fake_reply *r)
{
	struct known *k = arg;
	json_object *doc, *m;
	char subject[256];

	if (strcmp(q->method, "GET") == 0) {
		snprintf(r->body, sizeof(r->body), "{}");
		return;
	}
	doc = json_tokener_parse(q->body);
	if (sscanf(q->path, "/subjects/%255[^/]/versions", subject) != 1 || doc == NULL ||
		!json_object_object_get_ex(doc, "schema", &m)) {
		r->status = 400;
		json_object_put(doc);
		return;
	}
	for (const char *p = k->text; p != NULL && *p != '\0'; p = strchr(p, '\n') + 1) {
		size_t n = strlen(subject), len = (size_t)json_object_get_string_len(m);
		int id, at;

		if (strncmp(p, subject, n) == 0 && sscanf(p + n, " %d %n", &id, &at) == 1 &&
			strcspn(p + n + at, "\n") == len && memcmp(p + n + at, json_object_get_string(m), len) == 0) {
			snprintf(r->body, sizeof(r->body), "{\"id\":%d}", id);
			json_object_put(doc);
			return;
		}
	}
	if (k->text == NULL) {
		ml_buf_printf(&k->log, "schema %s %d %s\n", subject, ++k->next_id, json_object_get_string(m));
		snprintf(r->body, sizeof(r->body), "{\"id\":%d}", k->next_id);
	} else {
		r->status = 422;
		snprintf(r->body, sizeof(r->body), "{\"message\":\"unknown: %.400s\"}", subject);
	}
	json_object_put(doc);
}

/* ---- topics as ava_{schema}_{table} makes them ---- */

static const char *prefix;
static struct ml_topic topics[64];
static char topic_names[64][160];
static int n_topics;

static void
set_topics(struct ml_batch *b)
{
	for (uint32_t i = 0; i < b->n_rows; i++) {
		const struct ml_schema *s = b->rows[i].schema;
		char name[160];
		int k = 0;

		snprintf(name, sizeof(name), "%s%s", prefix, s->qname.s);
		if (strcmp(prefix, "shop.") == 0)
			snprintf(name, sizeof(name), "shop.%s", s->table.s);
		else
			*strrchr(name, '.') = '_';
		while (k < n_topics && strcmp(topic_names[k], name) != 0)
			k++;
		if (k == n_topics) {
			assert_true(n_topics++ < 64);
			strcpy(topic_names[k], name);
			topics[k].name = (struct ml_text){ topic_names[k], (uint32_t)strlen(name) };
		}
		b->rows[i].topic = &topics[k];
	}
}

static void
put_hex(struct golden *g, const char *s, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		ml_buf_printf(&g->got, "%02x", (unsigned char)s[i]);
}

static void
show(struct golden *g, const struct ml_msg *m)
{
	if (asked->log.len > 0) {
		ml_buf_put(&g->got, asked->log.data, asked->log.len);
		ml_buf_clear(&asked->log);
	}
	ml_buf_printf(&g->got, "%s K ", m->topic != NULL ? m->topic->name.s : "-");
	if (m->key == NULL)
		ml_buf_puts(&g->got, "null");
	put_hex(g, m->key, m->key_len);
	ml_buf_puts(&g->got, " V ");
	if (m->value == NULL)
		ml_buf_puts(&g->got, "null");
	put_hex(g, m->value, m->value_len);
	ml_buf_putc(&g->got, '\n');
}

static void
run(struct known *k, const char *in_name, const char *want_name, const char *options)
{
	struct fake_registry f;
	char in[128], want[128], query[256];

	fake_start(&f, answer_known, k);
	asked = k;
	snprintf(in, sizeof(in), "avro/%s", in_name);
	snprintf(want, sizeof(want), "avro/%s", want_name);
	snprintf(query, sizeof(query), "schema-registry=%s%s", f.url, options);
	golden_run(&ml_encoder_avro, false, query, "", show, set_topics, in, want);
	fake_stop(&f);
	ml_buf_fini(&k->log);
}

static void
writes_what_was_recorded(void **state)
{
	static const char *const cases[] = { "num", "str", "time", "keys", "txn", "gen", "part", "ddl", "wide" };
	struct known k = { 0 };
	size_t len;

	(void)state;
	k.text = golden_read(ML_TEST_DIR "/golden/avro/registry", &len);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char name[64];

		prefix = "ava_";
		snprintf(name, sizeof(name), "%s.plain", cases[i]);
		run(&k, name, name, "");
		prefix = "avx_";
		snprintf(name, sizeof(name), "%s.ext", cases[i]);
		run(&k, name, name,
			"&enable-tidb-extension=true&avro-decimal-handling-mode=string&avro-bigint-unsigned-handling-mode=string");
	}
	free(k.text);
}

static void
writes_the_published_examples(void **state)
{
	struct known k = { 0 };
	size_t len;

	(void)state;
	prefix = "shop.";
	k.text = golden_read(ML_TEST_DIR "/golden/avro/examples.registry", &len);
	run(&k, "examples", "examples", "");
	run(&k, "examples.ext", "examples.ext", "&enable-tidb-extension=true");
	run(&k, "control", "control", "&enable-tidb-extension=true&avro-enable-watermark=true");
	free(k.text);
}

static void
spells_schemas_and_values_of_all_kinds(void **state)
{
	struct known k = { 0 };

	(void)state;
	prefix = "t.";
	run(&k, "schemas", "schemas", "");
	k.next_id = 0;
	run(&k, "schemas", "schemas.text",
		"&avro-decimal-handling-mode=string&avro-bigint-unsigned-handling-mode=string&enable-tidb-extension=true");
}

/* ---- an encoder by hand ---- */

struct hand {
	struct known k;
	struct fake_registry f;
	struct ml_encoder *e;
	struct ml_batch *b;
	struct ml_topic topic;
	struct ml_err err;
};

static const char *hand_replica_config;

/* config: sink_config; max: of a message's Length. */
static int
hand_open(struct hand *h, const char *query, const char *config, bool force, size_t max)
{
	Ml__ChangefeedSpec spec = ML__CHANGEFEED_SPEC__INIT;
	struct ml_encoder_env env = { .spec = &spec, .max_message_bytes = max, .now_ms = golden_now };
	struct ml_uri *uri;
	char text[512];
	int rc;

	*h = (struct hand){ .topic = { .name = { "one.topic", 9 } } };
	asked = &h->k;
	fake_start(&h->f, answer_known, &h->k);
	spec.namespace_ = (char *)(uintptr_t) "ns";
	spec.sink_config_json = (char *)(uintptr_t)config;
	spec.force_replicate = force;
	if (hand_replica_config != NULL)
		spec.replica_config_json = (char *)(uintptr_t)hand_replica_config;
	snprintf(text, sizeof(text), "kafka://127.0.0.1:9092/t?%s%s", query,
		strncmp(query, "schema-registry=", 16) == 0 ? h->f.url : "");
	assert_int_equal(ml_uri_parse(&uri, text, &h->err), 0);
	env.sink_uri = uri;
	rc = ml_encoder_avro.open(&h->e, &env, &h->err);
	ml_uri_free(uri);
	h->b = ml_batch_new();
	return rc;
}

static void
hand_close(struct hand *h)
{
	ml_encoder_avro.close(h->e);
	ml_batch_free(h->b);
	ml_batch_pool_drain();
	fake_stop(&h->f);
	ml_buf_fini(&h->k.log);
}

/* (id INT, e ENUM('a') NOT NULL), with a primary key or without any. */
static struct ml_schema *
small_table(const char *name, bool key)
{
	struct ml_schema *s = ml_schema_new();

	s->db = (struct ml_text){ "d", 1 };
	s->table = (struct ml_text){ name, (uint32_t)strlen(name) };
	s->n_columns = 2;
	s->columns = ml_arena_zalloc(&s->arena, 2 * sizeof(*s->columns));
	s->columns[0] = (struct ml_column){ .name = { "id", 2 }, .type = ML_T_LONG, .flags = ML_F_BINARY };
	s->columns[1] = (struct ml_column){ .name = { "e", 1 }, .type = ML_T_ENUM, .n_elems = 1 };
	s->columns[1].elems = ml_arena_zalloc(&s->arena, sizeof(struct ml_text));
	s->columns[1].elems[0] = (struct ml_text){ "a", 1 };
	if (key) {
		s->n_indexes = 1;
		s->indexes = ml_arena_zalloc(&s->arena, sizeof(*s->indexes));
		s->indexes[0] = (struct ml_index){ .primary = true, .unique = true, .n_cols = 1 };
		s->indexes[0].cols = ml_arena_zalloc(&s->arena, sizeof(uint16_t));
	}
	ml_schema_finish(s);
	return s;
}

static const struct ml_datum good[2] = { { .kind = ML_D_I64, .i = 7 }, { .kind = ML_D_U64, .u = 1 } };

/* A row into a batch of its own; the message, or NULL with h->err. */
static const struct ml_msg *
hand_change(struct hand *h, struct ml_schema *s, uint8_t op, const struct ml_datum *image)
{
	struct ml_row *row;

	ml_batch_free(h->b);
	h->b = ml_batch_new();
	row = ml_batch_row(h->b);
	*row = (struct ml_row){ .schema = s, .op = op, .after = image, .topic = &h->topic, .commit_ts = 1 };
	if (op == ML_OP_DELETE) {
		row->before = image;
		row->after = NULL;
	}
	h->err = (struct ml_err){ 0 };
	return h->e->ops->rows(h->e, h->b, &h->err) == 0 && h->b->n_msgs == 1 ? &h->b->msgs[0] : NULL;
}

static const struct ml_msg *
hand_row(struct hand *h, struct ml_schema *s, const struct ml_datum *image)
{
	return hand_change(h, s, ML_OP_INSERT, image);
}

static void
asks_the_registry_once_for_a_definition(void **state)
{
	struct hand h;
	struct ml_schema *a = small_table("a", true), *b = small_table("b", true), *a2 = small_table("a", true);
	const struct ml_msg *m;

	(void)state;
	assert_int_equal(hand_open(&h, "schema-registry=", "", false, 1000), 0);
	assert_int_equal(atomic_load(&h.f.requests), 1);
	assert_non_null(hand_row(&h, a, good));
	assert_int_equal(atomic_load(&h.f.requests), 3);
	assert_non_null(strstr(
		h.k.log.data, "schema one_topic-key 1 {\"type\":\"record\",\"name\":\"a\",\"namespace\":\"ns.d\""));
	assert_non_null(strstr(h.k.log.data, "schema one_topic-value 2 "));
	assert_non_null(hand_row(&h, a, good));
	assert_int_equal(atomic_load(&h.f.requests), 3);
	/* Another table of the same topic: the first one's ids are still known after it. */
	assert_non_null(hand_row(&h, b, good));
	assert_int_equal(atomic_load(&h.f.requests), 5);
	m = hand_row(&h, a, good);
	assert_int_equal(atomic_load(&h.f.requests), 5);
	assert_memory_equal(m->key, "\0\0\0\0\1\x0e", 6);
	assert_memory_equal(m->value, "\0\0\0\0\2\x0e\2a", 8);
	/* A DDL makes a new definition. */
	assert_non_null(hand_row(&h, a2, good));
	assert_int_equal(atomic_load(&h.f.requests), 7);
	hand_close(&h);
	ml_schema_unref(a);
	ml_schema_unref(a2);
	ml_schema_unref(b);
}

static void
a_delete_registers_its_key_alone(void **state)
{
	struct hand h;
	struct ml_schema *s = small_table("a", true);
	const struct ml_msg *m;

	(void)state;
	assert_int_equal(hand_open(&h, "schema-registry=", "", false, 1000), 0);
	m = hand_change(&h, s, ML_OP_DELETE, good);
	assert_non_null(m);
	assert_null(m->value);
	assert_memory_equal(m->key, "\0\0\0\0\1\x0e", 6);
	assert_int_equal(atomic_load(&h.f.requests), 2);
	assert_null(strstr(h.k.log.data, "one_topic-value"));
	m = hand_row(&h, s, good);
	assert_int_equal(atomic_load(&h.f.requests), 3);
	assert_memory_equal(m->key, "\0\0\0\0\1\x0e", 6);
	assert_memory_equal(m->value, "\0\0\0\0\2\x0e\2a", 8);
	assert_null(hand_change(&h, s, ML_OP_DELETE, good)->value);
	assert_int_equal(atomic_load(&h.f.requests), 3);
	hand_close(&h);
	ml_schema_unref(s);
}

/* protocols.md 8.7; there is never a checksum to tell. */
static void
checksums_have_fields_with_their_defaults(void **state)
{
	static const char all[] = "schema-registry=",
			  with[] = "{\"integrity\":{\"integrity-check-level\":\"correctness\"}}";
	static const char modes[] =
		"{\"kafka-config\":{\"codec-config\":{\"enable-tidb-extension\":true,"
		"\"avro-decimal-handling-mode\":\"string\",\"avro-bigint-unsigned-handling-mode\":\"string\"}}}";
	static const char fields[] = "{\"default\":0,\"name\":\"_tidb_commit_physical_time\",\"type\":\"long\"},"
				     "{\"default\":\"\",\"name\":\"_tidb_row_level_checksum\",\"type\":\"string\"},"
				     "{\"default\":false,\"name\":\"_tidb_corrupted\",\"type\":\"boolean\"},"
				     "{\"default\":0,\"name\":\"_tidb_checksum_version\",\"type\":\"int\"}]}\n";
	static const char extension[] = "{\"kafka-config\":{\"codec-config\":{\"enable-tidb-extension\":true}}}";
	static const char strings[] = "{\"kafka-config\":{\"codec-config\":{\"avro-decimal-handling-mode\":\"string\","
				      "\"avro-bigint-unsigned-handling-mode\":\"string\"}}}";
	static const char *const lacking[] = { "", extension, strings };
	struct hand h;
	struct ml_schema *s = small_table("a", true);
	const struct ml_msg *m;

	(void)state;
	hand_replica_config = with;
	for (size_t i = 0; i < sizeof(lacking) / sizeof(lacking[0]); i++) {
		assert_int_equal(hand_open(&h, all, lacking[i], false, 1000), -1);
		assert_int_equal(h.err.code, ML_ErrCodecInvalidConfig);
		assert_non_null(strstr(h.err.text, "row checksums"));
		hand_close(&h);
	}
	assert_int_equal(hand_open(&h, all, modes, false, 1000), 0);
	m = hand_row(&h, s, good);
	assert_non_null(m);
	assert_non_null(strstr(h.k.log.data, fields));
	/* Only the value has them: id, e, then "c", the two times, and three defaults. */
	assert_null(strstr(
		strstr(h.k.log.data, "one_topic-key"), "checksum\",\"type\":\"string\"}]}\nschema one_topic-value"));
	assert_int_equal(m->value_len, 8 + 2 + 1 + 1 + 3);
	assert_memory_equal(m->value, "\0\0\0\0\2\x0e\2a\2c\2\0\0\0\0", 15);
	hand_close(&h);
	hand_replica_config = NULL;
	ml_schema_unref(s);
}

static void
keeps_what_the_registry_refuses_for_the_next_try(void **state)
{
	struct hand h;
	struct ml_schema *a = small_table("a", true);

	(void)state;
	assert_int_equal(hand_open(&h, "schema-registry=", "", false, 1000), 0);
	h.k.text = strdup(
		"one_topic-key 5 {\"type\":\"record\",\"name\":\"a\",\"namespace\":\"ns.d\",\"fields\":[{\"name\":\"id\","
		"\"type\":{\"type\":\"int\",\"connect.parameters\":{\"tidb_type\":\"INT\"}}}]}\n");
	assert_null(hand_row(&h, a, good));
	assert_int_equal(h.err.code, ML_ErrAvroSchemaAPIError);
	assert_non_null(
		strstr(h.err.text, "/subjects/one_topic-value/versions: HTTP status 422: unknown: one_topic-value"));
	free(h.k.text);
	h.k.text = NULL;
	assert_non_null(hand_row(&h, a, good));
	hand_close(&h);
	ml_schema_unref(a);
}

static void
gives_an_empty_key_where_there_is_none(void **state)
{
	struct hand h;
	struct ml_schema *s = small_table("a", false);
	const struct ml_msg *m;

	(void)state;
	assert_int_equal(hand_open(&h, "schema-registry=", "", false, 1000), 0);
	m = hand_row(&h, s, good);
	assert_non_null(m->key);
	assert_int_equal(m->key_len, 0);
	assert_int_equal(m->value_len, 8);
	assert_int_equal(atomic_load(&h.f.requests), 2);
	hand_close(&h);
	ml_schema_unref(s);
}

static void
stops_at_values_without_a_place(void **state)
{
	static const struct {
		struct ml_datum image[2];
		const char *want;
	} rows[] = {
		{ { { .kind = ML_D_I64 }, { .kind = ML_D_U64, .u = 0 } }, "column e: no such element of the enum" },
		{ { { .kind = ML_D_I64 }, { .kind = ML_D_U64, .u = 2 } }, "column e: no such element of the enum" },
		{ { { .kind = ML_D_NULL }, { .kind = ML_D_U64, .u = 1 } }, "column id: NULL in a NOT NULL column" },
	};
	struct hand h;
	struct ml_schema *s = small_table("a", true);

	(void)state;
	assert_int_equal(hand_open(&h, "schema-registry=", "", false, 1000), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_null(hand_row(&h, s, rows[i].image));
		assert_int_equal(h.err.code, ML_ErrAvroEncodeFailed);
		assert_non_null(strstr(h.err.text, rows[i].want));
	}
	hand_close(&h);
	ml_schema_unref(s);
}

static void
counts_key_value_and_overhead(void **state)
{
	struct hand h;
	struct ml_schema *s = small_table("a", true);

	(void)state;
	assert_int_equal(hand_open(&h, "schema-registry=", "", false, 6 + 8 + 36), 0);
	assert_non_null(hand_row(&h, s, good));
	hand_close(&h);
	assert_int_equal(hand_open(&h, "schema-registry=", "", false, 6 + 8 + 36 - 1), 0);
	assert_null(hand_row(&h, s, good));
	assert_int_equal(h.err.code, ML_ErrMessageTooLarge);
	hand_close(&h);
	ml_schema_unref(s);
}

static void
refuses_bad_settings(void **state)
{
	static const struct {
		const char *query, *config;
		bool force;
		const char *want; /* part of the text */
	} rows[] = {
		{ "", "", false, "requires parameter \"schema-registry\"" },
		{ "", "{\"schema-registry\":\"\"}", false, "requires parameter \"schema-registry\"" },
		{ "", "{\"schema-registry\":7}", false, "schema-registry is not a string" },
		{ "", "{\"schema-registry\":\"nowhere\"}", false, "not an http or https URL" },
		{ "", "{\"kafka-config\":{\"glue-schema-registry-config\":{\"region\":\"x\"}}}", false, "Glue" },
		{ "schema-registry=",
			"{\"kafka-config\":{\"codec-config\":{\"avro-decimal-handling-mode\":\"exact\"}}}", false,
			"avro-decimal-handling-mode value could only be \"precise\" or \"string\"" },
		{ "avro-bigint-unsigned-handling-mode=int", "{\"schema-registry\":\"http://127.0.0.1:1\"}", false,
			"avro-bigint-unsigned-handling-mode value could only be \"long\" or \"string\"" },
		{ "avro-enable-watermark=maybe", "{\"schema-registry\":\"http://127.0.0.1:1\"}", false,
			"avro-enable-watermark" },
		{ "schema-registry=", "", true, "force-replicate must be disabled" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct hand h;

		assert_int_equal(hand_open(&h, rows[i].query, rows[i].config, rows[i].force, 1000), -1);
		assert_int_equal(h.err.code, ML_ErrCodecInvalidConfig);
		if (strstr(h.err.text, rows[i].want) == NULL)
			fail_msg("%s", h.err.text);
		hand_close(&h);
	}
}

static void
refuses_two_registries(void **state)
{
	struct hand h;

	(void)state;
	assert_int_equal(
		hand_open(&h, "schema-registry=",
			"{\"kafka-config\":{\"glue-schema-registry-config\":{\"region\":\"x\"}}}", false, 1000),
		-1);
	assert_int_equal(h.err.code, ML_ErrInvalidReplicaConfig);
	hand_close(&h);
}

static void
answer_no(void *arg, const struct fake_request *q, struct fake_reply *r)
{
	(void)arg;
	(void)q;
	r->status = 401;
}

static void
wraps_what_the_registry_says_at_the_start(void **state)
{
	Ml__ChangefeedSpec spec = ML__CHANGEFEED_SPEC__INIT;
	struct ml_encoder_env env = { .spec = &spec, .max_message_bytes = 1000, .now_ms = golden_now };
	struct ml_err err = { 0 };
	struct fake_registry f;
	struct ml_encoder *e;
	char config[128];

	(void)state;
	fake_start(&f, answer_no, NULL);
	snprintf(config, sizeof(config), "{\"schema-registry\":\"http://u:hidden@127.0.0.1:%d\"}", f.port);
	spec.sink_config_json = config;
	assert_int_equal(ml_encoder_avro.open(&e, &env, &err), -1);
	fake_stop(&f);
	assert_int_equal(err.code, ML_ErrKafkaNewProducer);
	assert_non_null(strstr(err.text,
		"new kafka producer: [CDC:ErrAvroSchemaAPIError]schema manager API error, http://127.0.0.1:"));
	assert_null(strstr(err.text, "hidden"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_what_was_recorded),
		cmocka_unit_test(writes_the_published_examples),
		cmocka_unit_test(spells_schemas_and_values_of_all_kinds),
		cmocka_unit_test(asks_the_registry_once_for_a_definition),
		cmocka_unit_test(a_delete_registers_its_key_alone),
		cmocka_unit_test(checksums_have_fields_with_their_defaults),
		cmocka_unit_test(keeps_what_the_registry_refuses_for_the_next_try),
		cmocka_unit_test(gives_an_empty_key_where_there_is_none),
		cmocka_unit_test(stops_at_values_without_a_place),
		cmocka_unit_test(counts_key_value_and_overhead),
		cmocka_unit_test(refuses_bad_settings),
		cmocka_unit_test(refuses_two_registries),
		cmocka_unit_test(wraps_what_the_registry_says_at_the_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
