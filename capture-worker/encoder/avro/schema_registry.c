#include "capture-worker/encoder/avro/schema_registry.h"

#include <curl/curl.h>
#include <errno.h>
#include <json-c/json.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "capture-worker/encoder/text/escape.h"
#include "common/base/buf.h"
#include "common/run/log.h"
#include "common/run/loop.h"

/* The reference's back-off: by half more each time, half of it at random, at most this. */
#define MAX_DELAY_MS 30000u
/* An answer is an id or an error text; more is cut off with an error. */
#define MAX_ANSWER (1u << 20)
/* Of a registry's error text in ours. */
#define SHOWN 300

/* A create request waits for the probe (30 s) and shall see this error, not the probe's deadline. */
const struct ml_schema_registry_times ml_schema_registry_times = {
	.call_ms = 8000,
	.open_ms = 10000,
	.register_ms = 20000,
	.first_delay_ms = 500,
};

struct ml_schema_registry {
	CURL *curl;
	char *base; /* without userinfo and the slashes behind */
	struct curl_slist *get_headers, *post_headers;
	struct ml_buf answer;
	bool too_long;
	char curl_error[CURL_ERROR_SIZE];
	struct ml_schema_registry_times times;
};

static const char *
answer_text(const struct ml_schema_registry *r)
{
	return r->answer.data != NULL ? r->answer.data : "";
}

enum outcome { DONE, AGAIN, FINAL };

static void
global_init(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
}

static size_t
take_answer(char *data, size_t size, size_t n, void *arg)
{
	struct ml_schema_registry *r = arg;

	if (r->answer.len + size * n > MAX_ANSWER) {
		r->too_long = true;
		return 0;
	}
	ml_buf_put(&r->answer, data, size * n);
	return size * n;
}

/* Splits the URL: what is asked and who asks. */
static int
set_url(struct ml_schema_registry *r, const char *url, struct ml_err *err)
{
	CURLU *u = curl_url();
	char *scheme = NULL, *user = NULL, *password = NULL, *base = NULL;
	size_t n;
	int rc = -1;

	if (u == NULL)
		abort();
	if (curl_url_set(u, CURLUPART_URL, url, 0) != CURLUE_OK ||
		curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
		(strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0)) {
		ML_ERR(err, ErrCodecInvalidConfig, 0, "schema-registry is not an http or https URL");
		goto out;
	}
	if (curl_url_get(u, CURLUPART_USER, &user, CURLU_URLDECODE) == CURLUE_OK) {
		curl_easy_setopt(r->curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
		curl_easy_setopt(r->curl, CURLOPT_USERNAME, user);
		if (curl_url_get(u, CURLUPART_PASSWORD, &password, CURLU_URLDECODE) == CURLUE_OK)
			curl_easy_setopt(r->curl, CURLOPT_PASSWORD, password);
	}
	curl_url_set(u, CURLUPART_USER, NULL, 0);
	curl_url_set(u, CURLUPART_PASSWORD, NULL, 0);
	curl_url_set(u, CURLUPART_FRAGMENT, NULL, 0);
	if (curl_url_get(u, CURLUPART_URL, &base, 0) != CURLUE_OK) {
		ML_ERR(err, ErrCodecInvalidConfig, 0, "schema-registry is not an http or https URL");
		goto out;
	}
	n = strlen(base);
	while (n > 0 && base[n - 1] == '/')
		n--;
	r->base = strndup(base, n);
	rc = 0;
out:
	curl_free(scheme);
	curl_free(user);
	if (password != NULL)
		explicit_bzero(password, strlen(password));
	curl_free(password);
	curl_free(base);
	curl_url_cleanup(u);
	return rc;
}

static void
set_options(struct ml_schema_registry *r, const Ml__ServerConfig *tls)
{
	CURL *c = r->curl;

	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L);
	curl_easy_setopt(c, CURLOPT_MAXREDIRS, 10L);
	curl_easy_setopt(c, CURLOPT_POSTREDIR, (long)CURL_REDIR_POST_ALL);
	curl_easy_setopt(c, CURLOPT_USERAGENT, "millrace/" ML_VERSION);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take_answer);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, r);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, r->curl_error);
	if (tls == NULL)
		return;
	if (tls->ca[0] != '\0')
		curl_easy_setopt(c, CURLOPT_CAINFO, tls->ca);
	if (tls->cert[0] != '\0' && tls->key[0] != '\0') {
		curl_easy_setopt(c, CURLOPT_SSLCERT, tls->cert);
		curl_easy_setopt(c, CURLOPT_SSLKEY, tls->key);
	}
}

static void
set_headers(struct ml_schema_registry *r)
{
	static const char accept[] =
		"Accept: application/vnd.schemaregistry.v1+json, application/vnd.schemaregistry+json, application/json";

	r->get_headers = curl_slist_append(NULL, accept);
	r->post_headers = curl_slist_append(NULL, accept);
	r->post_headers = curl_slist_append(r->post_headers, "Content-Type: application/vnd.schemaregistry.v1+json");
	/* Large schemas are sent without asking first. */
	r->post_headers = curl_slist_append(r->post_headers, "Expect:");
	if (r->get_headers == NULL || r->post_headers == NULL)
		abort();
}

/* The `message` of an error answer, or the answer, on one line. */
static void
shown_answer(const struct ml_schema_registry *r, char out[SHOWN + 1])
{
	json_object *doc = json_tokener_parse(answer_text(r)), *m;
	const char *s = answer_text(r);
	size_t n = 0;

	if (json_object_is_type(doc, json_type_object) && json_object_object_get_ex(doc, "message", &m) &&
		json_object_is_type(m, json_type_string))
		s = json_object_get_string(m);
	for (; *s != '\0' && n < SHOWN; s++)
		out[n++] = (unsigned char)*s < 0x20 ? ' ' : *s;
	out[n] = '\0';
	json_object_put(doc);
}

/* One try.  AGAIN and FINAL fill err.  The answer is NUL-terminated. */
static enum outcome
call_once(struct ml_schema_registry *r, const char *url, long timeout_ms, struct ml_err *err)
{
	char text[SHOWN + 1];
	long status = 0;
	CURLcode rc;

	ml_buf_clear(&r->answer);
	r->too_long = false;
	r->curl_error[0] = '\0';
	curl_easy_setopt(r->curl, CURLOPT_TIMEOUT_MS, timeout_ms > 0 ? timeout_ms : 1);
	rc = curl_easy_perform(r->curl);
	if (rc != CURLE_OK) {
		ML_ERRF(err, ErrAvroSchemaAPIError, (int)rc, "schema manager API error, %s: %s", url,
			r->too_long                ? "the answer is too long"
			: r->curl_error[0] != '\0' ? r->curl_error
						   : curl_easy_strerror(rc));
		/* A wrong certificate stays wrong. */
		return r->too_long || rc == CURLE_PEER_FAILED_VERIFICATION || rc == CURLE_SSL_CACERT_BADFILE ||
				       rc == CURLE_SSL_CERTPROBLEM || rc == CURLE_URL_MALFORMAT ||
				       rc == CURLE_TOO_MANY_REDIRECTS
			       ? FINAL
			       : AGAIN;
	}
	curl_easy_getinfo(r->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status >= 200 && status < 300)
		return DONE;
	shown_answer(r, text);
	ML_ERRF(err, ErrAvroSchemaAPIError, (int)status, "schema manager API error, %s: HTTP status %ld: %s", url,
		status, text);
	/* Two first registrations of one subject at once: the other one has won, the next try finds the subject. */
	if (status == 409 && strstr(text, "already exists") != NULL)
		return AGAIN;
	return status >= 400 && status < 500 ? FINAL : AGAIN;
}

static uint32_t
jitter(uint32_t ms)
{
	uint32_t random = 0;

	if (ms == 0 || getrandom(&random, sizeof(random), GRND_NONBLOCK) != sizeof(random))
		return ms;
	return ms / 2 + random % ms;
}

static void
sleep_ms(uint64_t ms)
{
	struct timespec t = { .tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000 };

	while (nanosleep(&t, &t) != 0 && errno == EINTR)
		;
}

/* The call that is set up, until it is done, final or over time. */
static int
call(struct ml_schema_registry *r, const char *url, uint32_t budget_ms, struct ml_err *err)
{
	uint64_t end = ml_now_ms() + budget_ms;
	uint32_t delay = r->times.first_delay_ms;
	struct ml_err last = { 0 };

	curl_easy_setopt(r->curl, CURLOPT_URL, url);
	for (unsigned tries = 1;; tries++) {
		uint64_t now = ml_now_ms(), left = end > now ? end - now : 0, pause;
		enum outcome got = call_once(r, url, (long)(left < r->times.call_ms ? left : r->times.call_ms), &last);

		if (got == DONE)
			return 0;
		pause = jitter(delay);
		now = ml_now_ms();
		if (got == FINAL || now + pause >= end) {
			*err = last;
			return -1;
		}
		if (tries == 1)
			ml_log_err(ML_WARN, "-", &last, "schema registry is asked again");
		sleep_ms(pause);
		delay = delay + delay / 2 < MAX_DELAY_MS ? delay + delay / 2 : MAX_DELAY_MS;
	}
}

int
ml_schema_registry_open(struct ml_schema_registry **out, const char *url, const Ml__ServerConfig *tls,
	const struct ml_schema_registry_times *times, struct ml_err *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct ml_schema_registry *r = calloc(1, sizeof(*r));

	pthread_once(&once, global_init);
	if (r == NULL || (r->curl = curl_easy_init()) == NULL)
		abort();
	r->times = *times;
	set_options(r, tls);
	set_headers(r);
	if (set_url(r, url, err) != 0)
		goto fail;
	curl_easy_setopt(r->curl, CURLOPT_HTTPHEADER, r->get_headers);
	curl_easy_setopt(r->curl, CURLOPT_HTTPGET, 1L);
	if (call(r, r->base, times->open_ms, err) != 0)
		goto fail;
	if (strcmp(answer_text(r), "{}") != 0) {
		ML_ERRF(err, ErrAvroSchemaAPIError, 0,
			"schema manager API error, %s does not answer as a schema registry", r->base);
		goto fail;
	}
	*out = r;
	return 0;
fail:
	ml_schema_registry_close(r);
	return -1;
}

void
ml_schema_registry_close(struct ml_schema_registry *r)
{
	if (r == NULL)
		return;
	curl_easy_cleanup(r->curl);
	curl_slist_free_all(r->get_headers);
	curl_slist_free_all(r->post_headers);
	ml_buf_fini(&r->answer);
	free(r->base);
	free(r);
}

/* `{"schema":"..."}`, in arena a. */
static const char *
body_of(struct ml_arena *a, const char *schema, size_t len, uint32_t *body_len)
{
	struct ml_out o;

	ml_out_begin(&o, a);
	ml_out_lit(&o, "{\"schema\":\"");
	ml_escape_s(&o, schema, len);
	ml_out_lit(&o, "\"}");
	return ml_out_end(&o, body_len);
}

static int
read_id(const struct ml_schema_registry *r, const char *url, uint32_t *id, struct ml_err *err)
{
	json_object *doc = json_tokener_parse(answer_text(r)), *m = NULL;
	int64_t v = 0;

	if (json_object_is_type(doc, json_type_object) && json_object_object_get_ex(doc, "id", &m) &&
		json_object_is_type(m, json_type_int))
		v = json_object_get_int64(m);
	json_object_put(doc);
	if (v <= 0 || v > INT32_MAX)
		return ML_ERRF(err, ErrAvroSchemaAPIError, 0,
			"schema manager API error, %s: the answer holds no schema id", url);
	*id = (uint32_t)v;
	return 0;
}

int
ml_schema_registry_id(struct ml_schema_registry *r, const char *subject, const char *schema, size_t len, uint32_t *id,
	struct ml_err *err)
{
	struct ml_arena a;
	uint32_t body_len;
	char *escaped = curl_easy_escape(r->curl, subject, 0), *url = NULL;
	int rc;

	if (escaped == NULL || asprintf(&url, "%s/subjects/%s/versions", r->base, escaped) < 0)
		abort();
	curl_free(escaped);
	ml_arena_init(&a, 0);
	curl_easy_setopt(r->curl, CURLOPT_HTTPHEADER, r->post_headers);
	curl_easy_setopt(r->curl, CURLOPT_POSTFIELDS, body_of(&a, schema, len, &body_len));
	curl_easy_setopt(r->curl, CURLOPT_POSTFIELDSIZE, (long)body_len);
	rc = call(r, url, r->times.register_ms, err);
	if (rc == 0)
		rc = read_id(r, url, id, err);
	ml_arena_fini(&a);
	free(url);
	return rc;
}
