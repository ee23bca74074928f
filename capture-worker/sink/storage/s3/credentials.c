#include "capture-worker/sink/storage/s3/credentials.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/text/json.h"

/* Larger than any credentials file that people write. */
#define FILE_MAX_BYTES (1u << 20)
/* The metadata service answers from the machine itself. */
#define METADATA_TIMEOUT_MS 5000L
#define METADATA_MAX_BYTES (64u << 10)
#define METADATA_HOST "http://169.254.169.254"

static bool
copy(char *out, size_t size, const char *s, size_t n)
{
	if (n >= size)
		return false;
	memcpy(out, s, n);
	out[n] = '\0';
	return true;
}

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static void
trim(const char **from, const char **to)
{
	while (*from < *to && is_space(**from))
		(*from)++;
	while (*to > *from && is_space((*to)[-1]))
		(*to)--;
}

/* "[name]" or "[profile name]" */
static bool
is_section(const char *from, const char *to, const char *name)
{
	const char *close = memchr(from, ']', (size_t)(to - from));

	from++;
	if (close == NULL)
		return false;
	to = close;
	trim(&from, &to);
	if (to - from > 8 && strncmp(from, "profile", 7) == 0 && is_space(from[7])) {
		from += 8;
		trim(&from, &to);
	}
	return (size_t)(to - from) == strlen(name) && memcmp(from, name, (size_t)(to - from)) == 0;
}

bool
s3_profile_get(const char *text, size_t len, const char *section, const char *key, char *out, size_t size)
{
	const char *p = text, *end = text + len;
	bool in = false;

	while (p < end) {
		const char *from = p, *to = memchr(p, '\n', (size_t)(end - p)), *eq, *name_end;

		if (to == NULL)
			to = end;
		p = to < end ? to + 1 : end;
		trim(&from, &to);
		if (from == to || *from == '#' || *from == ';')
			continue;
		if (*from == '[') {
			in = is_section(from, to, section);
			continue;
		}
		eq = memchr(from, '=', (size_t)(to - from));
		if (!in || eq == NULL)
			continue;
		name_end = eq;
		trim(&from, &name_end);
		if ((size_t)(name_end - from) != strlen(key) || strncasecmp(from, key, strlen(key)) != 0)
			continue;
		eq++;
		trim(&eq, &to);
		return to > eq && memchr(eq, '\0', (size_t)(to - eq)) == NULL && copy(out, size, eq, (size_t)(to - eq));
	}
	return false;
}

/* The file that `variable` names, else ~/.aws/name; false if it cannot be read. */
static bool
read_file(struct ml_buf *out, s3_getenv_fn *env, const char *variable, const char *name)
{
	const char *path = env(variable), *home = env("HOME");
	char own[4096];
	ssize_t n = 0;
	int fd;

	if (path == NULL || path[0] == '\0') {
		if (home == NULL || snprintf(own, sizeof(own), "%s/.aws/%s", home, name) >= (int)sizeof(own))
			return false;
		path = own;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	while (out->len < FILE_MAX_BYTES) {
		ml_buf_need(out, 4096);
		n = read(fd, out->data + out->len, 4096);
		if (n <= 0)
			break;
		out->len += (size_t)n;
	}
	close(fd);
	return n == 0;
}

static const char *
profile_name(s3_getenv_fn *env)
{
	const char *name = env("AWS_PROFILE");

	return name != NULL && name[0] != '\0' ? name : "default";
}

static bool
from_uri(struct s3_credentials *c, const struct s3_options *o)
{
	const char *token = o->session_token != NULL ? o->session_token : "";

	return o->access_key != NULL && copy(c->access, sizeof(c->access), o->access_key, strlen(o->access_key)) &&
	       copy(c->secret, sizeof(c->secret), o->secret_key, strlen(o->secret_key)) &&
	       copy(c->token, sizeof(c->token), token, strlen(token));
}

static const char *
either(s3_getenv_fn *env, const char *name, const char *other)
{
	const char *v = env(name);

	if (v == NULL || v[0] == '\0')
		v = other != NULL ? env(other) : NULL;
	return v != NULL && v[0] != '\0' ? v : NULL;
}

static bool
from_env(struct s3_credentials *c, s3_getenv_fn *env)
{
	const char *access = either(env, "AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY");
	const char *secret = either(env, "AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY");
	const char *token = either(env, "AWS_SESSION_TOKEN", NULL);

	if (token == NULL)
		token = "";
	return access != NULL && secret != NULL && copy(c->access, sizeof(c->access), access, strlen(access)) &&
	       copy(c->secret, sizeof(c->secret), secret, strlen(secret)) &&
	       copy(c->token, sizeof(c->token), token, strlen(token));
}

static bool
from_file(struct s3_credentials *c, s3_getenv_fn *env)
{
	const char *profile = profile_name(env);
	struct ml_buf text = { 0 };
	bool ok = read_file(&text, env, "AWS_SHARED_CREDENTIALS_FILE", "credentials") &&
		  s3_profile_get(text.data, text.len, profile, "aws_access_key_id", c->access, sizeof(c->access)) &&
		  s3_profile_get(text.data, text.len, profile, "aws_secret_access_key", c->secret, sizeof(c->secret));

	if (!ok || !s3_profile_get(text.data, text.len, profile, "aws_session_token", c->token, sizeof(c->token)))
		c->token[0] = '\0';
	ml_buf_fini(&text);
	return ok;
}

int
s3_credentials_find(
	struct s3_credentials *c, bool *role, const struct s3_options *o, s3_getenv_fn *env, struct ml_err *err)
{
	*c = (struct s3_credentials){ 0 };
	*role = false;
	if (from_uri(c, o) || (!o->gcs && (from_env(c, env) || from_file(c, env))))
		return 0;
	*c = (struct s3_credentials){ 0 };
	if (o->instance_role) {
		*role = true;
		return 0;
	}
	return ML_ERR(err, ErrFailToCreateExternalStorage, 0,
		"no credentials found: give access-key and secret-access-key in the sink uri, or AWS_ACCESS_KEY_ID and "
		"AWS_SECRET_ACCESS_KEY in the environment, or a profile in ~/.aws/credentials; use-instance-role=true asks the machine");
}

bool
s3_region_find(char *out, size_t size, const struct s3_options *o, s3_getenv_fn *env)
{
	const char *given = o->region != NULL ? o->region : either(env, "AWS_REGION", "AWS_DEFAULT_REGION");
	struct ml_buf text = { 0 };
	bool ok;

	if (given != NULL && copy(out, size, given, strlen(given)))
		return true;
	ok = read_file(&text, env, "AWS_CONFIG_FILE", "config") &&
	     s3_profile_get(text.data, text.len, profile_name(env), "region", out, size);
	ml_buf_fini(&text);
	if (!ok)
		copy(out, size, "us-east-1", 9);
	return ok;
}

/* ---- the machine's role ---- */

bool
s3_credentials_parse(struct s3_credentials *c, const char *text, size_t len)
{
	static const char *const names[] = { "AccessKeyId", "SecretAccessKey", "Token", "Expiration" };
	struct ml_arena a = { 0 };
	char expires[64] = "";
	char *const to[] = { c->access, c->secret, c->token, expires };
	const size_t sizes[] = { sizeof(c->access), sizeof(c->secret), sizeof(c->token), sizeof(expires) };
	struct ml_json *j;
	struct tm tm = { 0 };
	bool ok = ml_json_parse(&j, &a, text, len, NULL) == 0 && j->type == ML_JSON_OBJECT;

	for (size_t i = 0; ok && i < 4; i++) {
		const struct ml_json *m = ml_json_get(j, names[i]);

		ok = m != NULL && m->type == ML_JSON_STRING && m->len > 0 && memchr(m->s, '\0', m->len) == NULL &&
		     strpbrk(m->s, "\r\n") == NULL && copy(to[i], sizes[i], m->s, m->len);
	}
	ok = ok && strptime(expires, "%Y-%m-%dT%H:%M:%S", &tm) != NULL;
	if (ok)
		c->expires_s = timegm(&tm);
	ml_arena_fini(&a);
	return ok;
}

static size_t
on_metadata(char *p, size_t size, size_t n, void *arg)
{
	struct ml_buf *b = arg;

	if (b->len + n * size > METADATA_MAX_BYTES)
		return 0;
	ml_buf_put(b, p, n * size);
	return n * size;
}

/* PUT (a new session) or GET; header: of the session, or how long it may last. */
static bool
ask_metadata(const char *method, const char *base, const char *path, const char *header, struct ml_buf *out)
{
	struct curl_slist *headers = curl_slist_append(NULL, header);
	CURL *h = curl_easy_init();
	char url[1024];
	long status = 0;
	bool ok;

	if (h == NULL || headers == NULL)
		abort();
	snprintf(url, sizeof(url), "%s%s", base, path);
	ml_buf_clear(out);
	curl_easy_setopt(h, CURLOPT_URL, url);
	curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http");
	curl_easy_setopt(h, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(h, CURLOPT_CUSTOMREQUEST, method);
	curl_easy_setopt(h, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, METADATA_TIMEOUT_MS);
	curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, on_metadata);
	curl_easy_setopt(h, CURLOPT_WRITEDATA, out);
	ok = curl_easy_perform(h) == CURLE_OK && curl_easy_getinfo(h, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK &&
	     status == 200 && out->len > 0;
	curl_easy_cleanup(h);
	curl_slist_free_all(headers);
	return ok;
}

int
s3_credentials_fetch(struct s3_credentials *c, s3_getenv_fn *env, struct ml_err *err)
{
	static const char where[] = "/latest/meta-data/iam/security-credentials/";
	const char *base = env("AWS_EC2_METADATA_SERVICE_ENDPOINT"), *why = NULL;
	struct ml_buf out = { 0 };
	char session[512], path[512];
	size_t n;

	if (base == NULL || base[0] == '\0')
		base = METADATA_HOST;
	if (!ask_metadata("PUT", base, "/latest/api/token", "X-aws-ec2-metadata-token-ttl-seconds: 21600", &out)) {
		why = "the metadata service does not answer";
		goto out;
	}
	snprintf(session, sizeof(session), "X-aws-ec2-metadata-token: %.400s", out.data);
	session[strcspn(session, "\r\n")] = '\0';
	if (!ask_metadata("GET", base, where, session, &out)) {
		why = "the machine has no role";
		goto out;
	}
	n = strcspn(out.data, "\r\n");
	for (size_t i = 0; i < n; i++)
		if (strchr("+=,.@_-", out.data[i]) == NULL &&
			!((out.data[i] | 32) >= 'a' && (out.data[i] | 32) <= 'z') &&
			!(out.data[i] >= '0' && out.data[i] <= '9'))
			n = 0;
	if (n == 0 || n > 128) {
		why = "the metadata service tells no valid role";
		goto out;
	}
	snprintf(path, sizeof(path), "%s%.*s", where, (int)n, out.data);
	if (!ask_metadata("GET", base, path, session, &out) || !s3_credentials_parse(c, out.data, out.len))
		why = "the metadata service gives no valid credentials";
out:
	if (out.data != NULL)
		explicit_bzero(out.data, out.cap);
	ml_buf_fini(&out);
	if (why == NULL)
		return 0;
	*c = (struct s3_credentials){ 0 };
	return ML_ERRF(err, ErrFailToCreateExternalStorage, 0,
		"failed to create external storage: use-instance-role: %s", why);
}
