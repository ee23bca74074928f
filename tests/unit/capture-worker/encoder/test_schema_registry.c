/* The schema registry's client against the answers and faults of a registry: which are final, which are tried again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "capture-worker/encoder/avro/schema_registry.h"
#include "tests/unit/capture-worker/encoder/fake_registry.h"

#define OLD_BODY "{\"error_code\":409,\"message\":\"An artifact with ID 'a-key' in group 'null' already exists.\"}"

/* For answers that end the tries, however slow the machine is; and where only time does. */
static const struct ml_schema_registry_times patient = {
	.call_ms = 60000,
	.open_ms = 60000,
	.register_ms = 60000,
	.first_delay_ms = 10,
};
static const struct ml_schema_registry_times quick = {
	.call_ms = 150,
	.open_ms = 700,
	.register_ms = 700,
	.first_delay_ms = 10,
};

/* What the registry answers, one after another; the last one for good. */
struct script {
	struct fake_reply replies[6];
	int n, at;
	char method[8], path[256], head[4096], body[512]; /* of the last request */
};

static void
by_script(void *arg, const struct fake_request *q, struct fake_reply *r)
{
	struct script *s = arg;

	*r = s->replies[s->at < s->n - 1 ? s->at++ : s->n - 1];
	snprintf(s->method, sizeof(s->method), "%s", q->method);
	snprintf(s->path, sizeof(s->path), "%s", q->path);
	snprintf(s->head, sizeof(s->head), "%s", q->head);
	snprintf(s->body, sizeof(s->body), "%s", q->body);
}

static int
open_at(struct ml_schema_registry **r, const char *url, bool by_time, struct ml_err *err)
{
	*err = (struct ml_err){ 0 };
	return ml_schema_registry_open(r, url, NULL, by_time ? &quick : &patient, err);
}

static void
asks_for_the_banner_first(void **state)
{
	static const struct {
		struct fake_reply reply;
		int want_rc, want_requests; /* 0 requests: any number above one */
		const char *want_text;
	} rows[] = {
		{ { 200, "{}", 0 }, 0, 1, "" },
		{ { 200, "{} ", 0 }, -1, 1, "does not answer as a schema registry" },
		{ { 200, "<html>", 0 }, -1, 1, "does not answer as a schema registry" },
		{ { 401, "{\"error_code\":401,\"message\":\"Un\\nauthorized\"}", 0 }, -1, 1,
			"HTTP status 401: Un authorized" },
		{ { 404, "", 0 }, -1, 1, "HTTP status 404: " },
		{ { 500, "no", 0 }, -1, 0, "HTTP status 500: no" },
		{ { 304, "", 0 }, -1, 0, "HTTP status 304: " },
		{ { 200, "{}", 60000 }, -1, 0, "timed out" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct script s = { .replies = { rows[i].reply }, .n = 1 };
		struct ml_schema_registry *r = NULL;
		struct fake_registry f;
		struct ml_err err;

		fake_start(&f, by_script, &s);
		assert_int_equal(open_at(&r, f.url, rows[i].want_requests == 0, &err), rows[i].want_rc);
		fake_stop(&f);
		assert_string_equal(s.method, "GET");
		assert_string_equal(s.path, "/");
		if (rows[i].want_requests > 0)
			assert_int_equal(atomic_load(&f.requests), rows[i].want_requests);
		else
			assert_true(atomic_load(&f.requests) > 1);
		if (rows[i].want_rc != 0) {
			assert_int_equal(err.code, ML_ErrAvroSchemaAPIError);
			if (strstr(err.text, rows[i].want_text) == NULL)
				fail_msg("%s", err.text);
		}
		ml_schema_registry_close(r);
	}
}

static void
registers_until_the_answer_is_final(void **state)
{
	static const struct {
		struct fake_reply replies[5]; /* behind the banner; status 0 ends them */
		int want_rc;
		uint32_t want_id;
		int want_requests; /* behind the banner; 0: more than one */
		const char *want_text;
	} rows[] = {
		{ { { 200, "{\"id\":7}", 0 } }, 0, 7, 1, "" },
		{ { { 201, "{\"id\":2147483647,\"version\":1}", 0 } }, 0, 2147483647, 1, "" },
		{ { { 500, "x", 0 }, { 503, "", 0 }, { 200, "{\"id\":8}", 0 } }, 0, 8, 3, "" },
		/* Two workers, one subject: the other one was first. */
		{ { { 409, OLD_BODY, 0 }, { 200, "{\"id\":9}", 0 } }, 0, 9, 2, "" },
		{ { { 409, OLD_BODY, 0 } }, -1, 0, 0, "already exists" },
		{ { { 409,
			  "{\"error_code\":409,\"message\":\"Schema being registered is incompatible with an earlier schema\"}",
			  0 } },
			-1, 0, 1, "HTTP status 409: Schema being registered is incompatible" },
		{ { { 422, "{\"error_code\":42201,\"message\":\"Invalid schema\"}", 0 } }, -1, 0, 1, "Invalid schema" },
		{ { { 401, "", 0 } }, -1, 0, 1, "HTTP status 401" },
		{ { { 200, "{\"id\":0}", 0 } }, -1, 0, 1, "holds no schema id" },
		{ { { 200, "{\"id\":4294967296}", 0 } }, -1, 0, 1, "holds no schema id" },
		{ { { 200, "[1]", 0 } }, -1, 0, 1, "holds no schema id" },
		{ { { 200, "", 0 } }, -1, 0, 1, "holds no schema id" },
		{ { { 200, "{\"id\":10}", 60000 }, { 200, "{\"id\":10}", 0 } }, -1, 0, 0, "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct script s = { .replies = { { 200, "{}", 0 } }, .n = 1 };
		struct ml_schema_registry *r = NULL;
		struct fake_registry f;
		struct ml_err err;
		static const char schema[] = "{\"a\":\"<\\\"\xc3\xa9\"}";
		uint32_t id = 0;
		int rc;

		for (int k = 0; rows[i].replies[k].status != 0; k++)
			s.replies[s.n++] = rows[i].replies[k];
		if (rows[i].replies[0].delay_ms > 0)
			s.n--;
		fake_start(&f, by_script, &s);
		assert_int_equal(open_at(&r, f.url, rows[i].want_requests == 0, &err), 0);
		rc = ml_schema_registry_id(r, "a_b-key", schema, strlen(schema), &id, &err);
		fake_stop(&f);
		ml_schema_registry_close(r);
		assert_int_equal(rc, rows[i].want_rc);
		assert_int_equal(id, rows[i].want_id);
		assert_string_equal(s.method, "POST");
		assert_string_equal(s.path, "/subjects/a_b-key/versions");
		assert_string_equal(s.body, "{\"schema\":\"{\\\"a\\\":\\\"\\u003c\\\\\\\"\xc3\xa9\\\"}\"}");
		if (rows[i].want_requests > 0)
			assert_int_equal(atomic_load(&f.requests), 1 + rows[i].want_requests);
		else
			assert_true(atomic_load(&f.requests) > 2);
		if (rc == 0)
			continue;
		assert_int_equal(err.code, ML_ErrAvroSchemaAPIError);
		if (strstr(err.text, rows[i].want_text) == NULL)
			fail_msg("%s", err.text);
	}
}

static void
sends_the_headers_of_the_reference_and_the_credentials(void **state)
{
	struct script s = { .replies = { { 200, "{}", 0 }, { 200, "{\"id\":1}", 0 } }, .n = 2 };
	struct ml_schema_registry *r;
	struct fake_registry f;
	struct ml_err err;
	char url[128];
	uint32_t id;

	(void)state;
	fake_start(&f, by_script, &s);
	snprintf(url, sizeof(url), "http://us%%40er:p%%3Aw@127.0.0.1:%d/apis/v7/", f.port);
	assert_int_equal(open_at(&r, url, false, &err), 0);
	assert_string_equal(s.path, "/apis/v7");
	/* us@er:p:w */
	assert_non_null(strstr(s.head, "Authorization: Basic dXNAZXI6cDp3\r\n"));
	assert_int_equal(ml_schema_registry_id(r, "s-value", "{}", 2, &id, &err), 0);
	assert_string_equal(s.path, "/apis/v7/subjects/s-value/versions");
	assert_non_null(strstr(s.head, "Authorization: Basic dXNAZXI6cDp3\r\n"));
	assert_non_null(
		strstr(s.head, "Accept: application/vnd.schemaregistry.v1+json, application/vnd.schemaregistry+json, "
			       "application/json\r\n"));
	assert_non_null(strstr(s.head, "Content-Type: application/vnd.schemaregistry.v1+json\r\n"));
	ml_schema_registry_close(r);
	fake_stop(&f);
}

static void
keeps_credentials_out_of_errors(void **state)
{
	struct script s = { .replies = { { 403, "{\"message\":\"no\"}", 0 } }, .n = 1 };
	struct ml_schema_registry *r;
	struct fake_registry f;
	struct ml_err err;
	char url[128];

	(void)state;
	fake_start(&f, by_script, &s);
	snprintf(url, sizeof(url), "http://user:hidden@127.0.0.1:%d", f.port);
	assert_int_equal(open_at(&r, url, false, &err), -1);
	fake_stop(&f);
	assert_non_null(strstr(err.text, "HTTP status 403: no"));
	assert_null(strstr(err.text, "hidden"));
	assert_null(strstr(err.where, "hidden"));
	/* Nobody listens there any more. */
	assert_int_equal(open_at(&r, url, true, &err), -1);
	assert_int_equal(err.code, ML_ErrAvroSchemaAPIError);
	assert_null(strstr(err.text, "hidden"));
	assert_non_null(strstr(err.text, "127.0.0.1"));
}

static void
refuses_what_is_no_url(void **state)
{
	static const char *const urls[] = { "", "registry", "file:///etc/passwd", "ftp://127.0.0.1/", "http://" };
	struct ml_schema_registry *r;
	struct ml_err err;

	(void)state;
	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		assert_int_equal(open_at(&r, urls[i], false, &err), -1);
		assert_int_equal(err.code, ML_ErrCodecInvalidConfig);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(asks_for_the_banner_first),
		cmocka_unit_test(registers_until_the_answer_is_final),
		cmocka_unit_test(sends_the_headers_of_the_reference_and_the_credentials),
		cmocka_unit_test(keeps_credentials_out_of_errors),
		cmocka_unit_test(refuses_what_is_no_url),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
