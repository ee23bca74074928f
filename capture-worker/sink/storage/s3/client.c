/*
 * client.c - one request is one run of a libcurl handle out of a pool.  libcurl signs; what it does not do in 7.88 is done here:
 * path and query are escaped and sorted beforehand (it signs them as they stand, and later versions agree with that), the
 * body's hash is computed and sent as x-amz-content-sha256, and the session token is a header among those that it signs.
 */
#include "capture-worker/sink/storage/s3/client.h"

#include <curl/curl.h>
#include <errno.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "capture-worker/sink/storage/s3/credentials.h"
#include "capture-worker/sink/storage/s3/xml.h"
#include "capture-worker/sink/storage/store.h"
#include "common/run/estate.h"
#include "common/run/log.h"
#include "common/run/loop.h"

#define CONNECT_TIMEOUT_MS 10000L
/* A connection on which nothing moves for so long is given up. */
#define SILENCE_S 60L
/* Pauses double from S3_PAUSE_MS to this many times it. */
#define PAUSE_MAX_FACTOR 4
/* An error's document; real ones have 1 KiB. */
#define ERROR_MAX_BYTES (64u << 10)
/* Credentials with an end are replaced this long before it. */
#define RENEW_S 300

struct handle {
	struct handle *next;
	CURL *easy;
	char error[CURL_ERROR_SIZE];
};

struct s3_client {
	const struct s3_options *o;
	const char *ca_file;
	atomic_bool stopped;
	pthread_mutex_t lock;
	pthread_cond_t wake;        /* stopped */
	struct handle *idle;        /* under lock */
	struct s3_credentials keys; /* under lock */
	bool role;                  /* keys come from the machine */
	bool fetching;              /* under lock: a thread asks for them */
	char region[64];            /* under lock */
	bool region_given;
};

/* What one try has to know. */
struct attempt {
	struct s3_client *c;
	const struct s3_request *q;
	struct s3_answer *a;
	uint64_t sent; /* of the body */
	bool too_large;
	int read_errno;
	char region[64]; /* the bucket's, as the server tells it */
};

static const char *
env(const char *name)
{
	return getenv(name);
}

static void
init_curl(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
}

int
s3_client_new(struct s3_client **out, const struct s3_options *o, struct ml_err *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct s3_client *c = calloc(1, sizeof(*c));
	pthread_condattr_t attr;

	if (c == NULL)
		abort();
	pthread_once(&once, init_curl);
	c->o = o;
	c->ca_file = getenv("AWS_CA_BUNDLE");
	c->region_given = s3_region_find(c->region, sizeof(c->region), o, env);
	pthread_mutex_init(&c->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&c->wake, &attr);
	pthread_condattr_destroy(&attr);
	if (s3_credentials_find(&c->keys, &c->role, o, env, err) != 0) {
		s3_client_free(c);
		return -1;
	}
	*out = c;
	return 0;
}

void
s3_client_free(struct s3_client *c)
{
	if (c == NULL)
		return;
	while (c->idle != NULL) {
		struct handle *h = c->idle;

		c->idle = h->next;
		curl_easy_cleanup(h->easy);
		free(h);
	}
	explicit_bzero(&c->keys, sizeof(c->keys));
	pthread_cond_destroy(&c->wake);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

void
s3_client_stop(struct s3_client *c)
{
	pthread_mutex_lock(&c->lock);
	atomic_store(&c->stopped, true);
	pthread_cond_broadcast(&c->wake);
	pthread_mutex_unlock(&c->lock);
}

void
s3_answer_fini(struct s3_answer *a)
{
	ml_buf_fini(&a->body);
	*a = (struct s3_answer){ 0 };
}

/* ---- urls ---- */

void
s3_put_escaped(struct ml_buf *out, const char *s, bool keep_slashes)
{
	for (; *s != '\0'; s++) {
		char c = *s;

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			strchr("-._~", c) != NULL || (c == '/' && keep_slashes))
			ml_buf_putc(out, c);
		else
			ml_buf_printf(out, "%%%02X", (unsigned char)c);
	}
}

void
s3_put_url(struct ml_buf *out, const struct s3_options *o, const char *region, const char *key, const char *query)
{
	ml_buf_puts(out, o->tls ? "https://" : "http://");
	if (!o->path_style)
		ml_buf_printf(out, "%s.", o->bucket);
	if (o->host != NULL)
		ml_buf_printf(out, "%s%s", o->host, o->base);
	else if (o->accelerate)
		ml_buf_puts(out, "s3-accelerate.amazonaws.com");
	else
		ml_buf_printf(out, "s3.%s.amazonaws.com%s", region, strncmp(region, "cn-", 3) == 0 ? ".cn" : "");
	if (o->path_style)
		ml_buf_printf(out, "/%s", o->bucket);
	if (key != NULL || !o->path_style)
		ml_buf_putc(out, '/');
	if (key != NULL)
		s3_put_escaped(out, key, true);
	if (query != NULL)
		ml_buf_printf(out, "?%s", query);
}

/* ---- bodies ---- */

static uint64_t
body_len(const struct s3_body *b)
{
	return b != NULL ? b->fd_len + b->mem_len : 0;
}

/* Up to n bytes at `at` of the body; -1 with errno. */
static ssize_t
body_read(const struct s3_body *b, uint64_t at, char *out, size_t n)
{
	if (b == NULL)
		return 0;
	if (at < b->fd_len) {
		uint64_t left = b->fd_len - at;
		ssize_t got = pread(b->fd, out, left < n ? (size_t)left : n, (off_t)(b->offset + at));

		if (got == 0)
			errno = ENODATA; /* somebody cut the temporary file */
		return got > 0 ? got : -1;
	}
	at -= b->fd_len;
	if (n > b->mem_len - at)
		n = (size_t)(b->mem_len - at);
	if (n > 0)
		memcpy(out, b->mem + at, n);
	return (ssize_t)n;
}

/* "x-amz-content-sha256: <hex>"; -1 with errno. */
static int
hash_header(const struct s3_body *b, char out[96])
{
	static const char digits[] = "0123456789abcdef";
	char chunk[32768], *p;
	unsigned char sum[EVP_MAX_MD_SIZE];
	unsigned len = 0;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint64_t at = 0, total = body_len(b);

	if (ctx == NULL || EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) != 1)
		abort();
	while (at < total) {
		ssize_t n = body_read(b, at, chunk, sizeof(chunk));

		if (n < 0) {
			EVP_MD_CTX_free(ctx);
			return -1;
		}
		EVP_DigestUpdate(ctx, chunk, (size_t)n);
		at += (uint64_t)n;
	}
	EVP_DigestFinal_ex(ctx, sum, &len);
	EVP_MD_CTX_free(ctx);
	p = stpcpy(out, "x-amz-content-sha256: ");
	for (unsigned i = 0; i < len; i++) {
		*p++ = digits[sum[i] >> 4];
		*p++ = digits[sum[i] & 15];
	}
	*p = '\0';
	return 0;
}

static size_t
on_read(char *out, size_t size, size_t n, void *arg)
{
	struct attempt *t = arg;
	ssize_t got = body_read(t->q->body, t->sent, out, size * n);

	if (got < 0) {
		t->read_errno = errno;
		return CURL_READFUNC_ABORT;
	}
	t->sent += (uint64_t)got;
	return (size_t)got;
}

static int
on_seek(void *arg, curl_off_t offset, int origin)
{
	struct attempt *t = arg;

	if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > body_len(t->q->body))
		return CURL_SEEKFUNC_FAIL;
	t->sent = (uint64_t)offset;
	return CURL_SEEKFUNC_OK;
}

static size_t
on_write(char *p, size_t size, size_t n, void *arg)
{
	struct attempt *t = arg;
	size_t max = t->q->max_answer > ERROR_MAX_BYTES ? t->q->max_answer : ERROR_MAX_BYTES;

	if (t->a->body.len + size * n > max) {
		t->too_large = true;
		return 0;
	}
	ml_buf_put(&t->a->body, p, size * n);
	return size * n;
}

/* The value of a header line of this name; false if it is another one or does not fit. */
static bool
header_value(const char *line, size_t len, const char *name, char *out, size_t size)
{
	size_t n = strlen(name);

	if (len <= n || strncasecmp(line, name, n) != 0 || line[n] != ':')
		return false;
	line += n + 1;
	len -= n + 1;
	while (len > 0 && (*line == ' ' || *line == '\t')) {
		line++;
		len--;
	}
	while (len > 0 && (line[len - 1] == '\r' || line[len - 1] == '\n' || line[len - 1] == ' '))
		len--;
	if (len >= size)
		return false;
	memcpy(out, line, len);
	out[len] = '\0';
	return true;
}

static size_t
on_header(char *p, size_t size, size_t n, void *arg)
{
	struct attempt *t = arg;

	if (!header_value(p, size * n, "etag", t->a->etag, sizeof(t->a->etag)))
		header_value(p, size * n, "x-amz-bucket-region", t->region, sizeof(t->region));
	return size * n;
}

static int
on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	const struct attempt *t = arg;

	(void)a;
	(void)b;
	(void)c;
	(void)d;
	return atomic_load(&t->c->stopped);
}

/* ---- errors ---- */

int
s3_unexpected(const struct s3_answer *a, const char *where, struct ml_err *err)
{
	char why[512];

	snprintf(why, sizeof(why), "HTTP %d%s%s%s%s", a->status, a->code[0] != '\0' ? " " : "", a->code,
		a->message[0] != '\0' ? ": " : "", a->message);
	return ML_ERR(err, ErrStorageSinkSendFailed, a->status, where, why);
}

/* Overwrites every occurrence of a secret in text. */
static void
mask(char *text, const char *secret)
{
	size_t n = strlen(secret);

	for (char *at = text; n >= 4 && (at = strstr(at, secret)) != NULL; at += n)
		memset(at, 'x', n);
}

static void
read_error(struct s3_answer *a, const struct s3_credentials *keys)
{
	char root[16];
	struct ml_buf code = { 0 }, message = { 0 };

	if (a->body.len == 0 || !xml_root(a->body.data, a->body.len, root, sizeof(root)) || strcmp(root, "Error") != 0)
		return;
	if (xml_child(a->body.data, a->body.len, "Code", &code) > 0 && code.len > 0)
		snprintf(a->code, sizeof(a->code), "%s", code.data);
	if (xml_child(a->body.data, a->body.len, "Message", &message) > 0 && message.len > 0) {
		/* A server may repeat what it was sent. */
		mask(message.data, keys->secret);
		mask(message.data, keys->access);
		mask(message.data, keys->token);
		snprintf(a->message, sizeof(a->message), "%s", message.data);
	}
	ml_buf_fini(&code);
	ml_buf_fini(&message);
}

enum verdict { DONE, AGAIN, SLOWER, HOPELESS };

static enum verdict
judge(const struct s3_answer *a)
{
	static const char *const slow[] = { "SlowDown", "Throttling", "ThrottlingException", "RequestLimitExceeded",
		"TooManyRequests", "ServiceUnavailable" };
	static const char *const passing[] = { "RequestTimeout", "InternalError", "OperationAborted",
		"ConditionalRequestConflict" };

	for (size_t i = 0; i < sizeof(slow) / sizeof(slow[0]); i++)
		if (strcmp(a->code, slow[i]) == 0)
			return SLOWER;
	for (size_t i = 0; i < sizeof(passing) / sizeof(passing[0]); i++)
		if (strcmp(a->code, passing[i]) == 0)
			return AGAIN;
	switch (a->status) {
	case 404:
	case 412:
	case 501:
		return DONE;
	case 408:
	case 500:
	case 502:
	case 504:
		return AGAIN;
	case 429:
	case 503:
		return SLOWER;
	default:
		return a->status >= 200 && a->status < 300 ? DONE : HOPELESS;
	}
}

/* ---- one try ---- */

/* An object that a store has received it keeps, whatever becomes of this process. */
static int
on_socket(void *arg, curl_socket_t sock, curlsocktype purpose)
{
	(void)arg;
	(void)purpose;
	return ml_estate_add(sock) == 0 ? CURL_SOCKOPT_OK : CURL_SOCKOPT_ERROR;
}

static int
on_close(void *arg, curl_socket_t sock)
{
	(void)arg;
	ml_estate_end(sock);
	return close(sock);
}

static struct handle *
handle_get(struct s3_client *c)
{
	struct handle *h;

	pthread_mutex_lock(&c->lock);
	h = c->idle;
	if (h != NULL)
		c->idle = h->next;
	pthread_mutex_unlock(&c->lock);
	if (h == NULL) {
		h = calloc(1, sizeof(*h));
		if (h == NULL || (h->easy = curl_easy_init()) == NULL)
			abort();
	}
	return h;
}

static void
handle_put(struct s3_client *c, struct handle *h)
{
	curl_easy_reset(h->easy); /* keeps the connection */
	pthread_mutex_lock(&c->lock);
	h->next = c->idle;
	c->idle = h;
	pthread_mutex_unlock(&c->lock);
}

/* A copy of the credentials, renewed if their end is near. */
static int
take_keys(struct s3_client *c, struct s3_credentials *keys, struct ml_err *err)
{
	int64_t now = (int64_t)(ml_wall_ms() / 1000);
	bool fetch;
	int rc = 0;

	pthread_mutex_lock(&c->lock);
	while (c->role && c->fetching && c->keys.access[0] == '\0' && !atomic_load(&c->stopped))
		pthread_cond_wait(&c->wake, &c->lock);
	fetch = c->role && !c->fetching && c->keys.expires_s - now < RENEW_S;
	c->fetching |= fetch;
	*keys = c->keys;
	pthread_mutex_unlock(&c->lock);
	if (!fetch)
		return keys->access[0] != '\0' ? 0 : ML_ERR(err, ErrFailToCreateExternalStorage, 0, "no credentials");
	rc = s3_credentials_fetch(keys, env, err);
	pthread_mutex_lock(&c->lock);
	if (rc == 0)
		c->keys = *keys;
	else if (c->keys.expires_s > now) {
		*keys = c->keys; /* still good; the next call asks again */
		rc = 0;
	}
	c->fetching = false;
	pthread_cond_broadcast(&c->wake);
	pthread_mutex_unlock(&c->lock);
	return rc;
}

static void
set_body(CURL *e, const struct s3_request *q, struct attempt *t)
{
	if (strcmp(q->method, "HEAD") == 0) {
		curl_easy_setopt(e, CURLOPT_NOBODY, 1L);
	} else if (strcmp(q->method, "PUT") == 0) {
		curl_easy_setopt(e, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(e, CURLOPT_READFUNCTION, on_read);
		curl_easy_setopt(e, CURLOPT_READDATA, t);
		curl_easy_setopt(e, CURLOPT_SEEKFUNCTION, on_seek);
		curl_easy_setopt(e, CURLOPT_SEEKDATA, t);
		curl_easy_setopt(e, CURLOPT_INFILESIZE_LARGE, (curl_off_t)body_len(q->body));
	} else if (strcmp(q->method, "POST") == 0) {
		/* Bodies of a POST are small and in memory. */
		curl_easy_setopt(e, CURLOPT_POST, 1L);
		curl_easy_setopt(e, CURLOPT_POSTFIELDS, q->body != NULL && q->body->mem_len > 0 ? q->body->mem : "");
		curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body_len(q->body));
	} else if (strcmp(q->method, "GET") != 0) {
		curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, q->method);
	}
}

static struct curl_slist *
add(struct curl_slist *l, const char *header)
{
	l = curl_slist_append(l, header);
	if (l == NULL)
		abort();
	return l;
}

/* Sends and reads; *keys: signed with.  0, or -1 with the reason in why. */
static int
attempt(struct attempt *t, const char *hash, const struct s3_credentials *keys, uint32_t limit_ms, char why[300])
{
	struct s3_client *c = t->c;
	const struct s3_request *q = t->q;
	struct handle *h = handle_get(c);
	struct curl_slist *headers = add(NULL, hash);
	struct ml_buf url = { 0 };
	char sigv4[128], region[64], token[sizeof(keys->token) + 32];
	long status = 0;
	curl_off_t length = -1;
	CURLcode rc;

	pthread_mutex_lock(&c->lock);
	memcpy(region, c->region, sizeof(region));
	pthread_mutex_unlock(&c->lock);
	s3_put_url(&url, c->o, region, q->key, q->query);
	snprintf(sigv4, sizeof(sigv4), "aws:amz:%s:s3", region);
	for (size_t i = 0; i < S3_HEADERS_MAX && q->headers[i] != NULL; i++)
		headers = add(headers, q->headers[i]);
	if (keys->token[0] != '\0') {
		snprintf(token, sizeof(token), "x-amz-security-token: %s", keys->token);
		headers = add(headers, token);
		explicit_bzero(token, sizeof(token));
	}
	/* No empty header, which would keep libcurl from sending its own: 7.88 signs it and does not send it. */
	if (strcmp(q->method, "POST") == 0)
		headers = add(headers, "Content-Type: application/xml");
	h->error[0] = '\0';
	curl_easy_setopt(h->easy, CURLOPT_ERRORBUFFER, h->error);
	curl_easy_setopt(h->easy, CURLOPT_URL, url.data);
	curl_easy_setopt(h->easy, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(h->easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(h->easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(h->easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(h->easy, CURLOPT_USERAGENT, "millrace/" ML_VERSION);
	curl_easy_setopt(h->easy, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(h->easy, CURLOPT_SSL_VERIFYHOST, 2L);
	if (c->ca_file != NULL && c->ca_file[0] != '\0')
		curl_easy_setopt(h->easy, CURLOPT_CAINFO, c->ca_file);
	curl_easy_setopt(h->easy, CURLOPT_SOCKOPTFUNCTION, on_socket);
	curl_easy_setopt(h->easy, CURLOPT_CLOSESOCKETFUNCTION, on_close);
	curl_easy_setopt(h->easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
	curl_easy_setopt(h->easy, CURLOPT_TIMEOUT_MS, (long)limit_ms);
	curl_easy_setopt(h->easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(h->easy, CURLOPT_LOW_SPEED_TIME, SILENCE_S);
	curl_easy_setopt(h->easy, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(h->easy, CURLOPT_AWS_SIGV4, sigv4);
	curl_easy_setopt(h->easy, CURLOPT_USERNAME, keys->access);
	curl_easy_setopt(h->easy, CURLOPT_PASSWORD, keys->secret);
	curl_easy_setopt(h->easy, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(h->easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(h->easy, CURLOPT_HEADERDATA, t);
	curl_easy_setopt(h->easy, CURLOPT_WRITEFUNCTION, on_write);
	curl_easy_setopt(h->easy, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(h->easy, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(h->easy, CURLOPT_XFERINFODATA, t);
	curl_easy_setopt(h->easy, CURLOPT_NOPROGRESS, 0L);
	set_body(h->easy, q, t);
	rc = curl_easy_perform(h->easy);
	if (rc == CURLE_OK) {
		curl_easy_getinfo(h->easy, CURLINFO_RESPONSE_CODE, &status);
		curl_easy_getinfo(h->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
		t->a->status = (int)status;
		t->a->length = length;
	} else {
		snprintf(why, 300, "%s",
			t->read_errno != 0    ? strerror(t->read_errno)
			: t->too_large        ? "the answer is too large"
			: h->error[0] != '\0' ? h->error
					      : curl_easy_strerror(rc));
	}
	handle_put(c, h);
	curl_slist_free_all(headers);
	ml_buf_fini(&url);
	return rc == CURLE_OK ? 0 : -1;
}

/* Takes over the bucket's region if the server tells another one; then the same call will do. */
static bool
learn_region(struct s3_client *c, const char *region)
{
	bool learnt = false;

	if (c->region_given || region[0] == '\0' ||
		region[strspn(region, "abcdefghijklmnopqrstuvwxyz0123456789-")] != '\0')
		return false;
	pthread_mutex_lock(&c->lock);
	if (strcmp(c->region, region) != 0) {
		snprintf(c->region, sizeof(c->region), "%s", region);
		learnt = true;
	}
	pthread_mutex_unlock(&c->lock);
	return learnt;
}

/* Waits; false if the client was stopped or the call's time is up before. */
static bool
pause_ms(struct s3_client *c, uint64_t ms, uint64_t until_ms)
{
	struct timespec end;
	bool go_on;

	if (ml_now_ms() + ms >= until_ms)
		return false;
	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += (time_t)(ms / 1000);
	end.tv_nsec += (long)(ms % 1000) * 1000000;
	if (end.tv_nsec >= 1000000000) {
		end.tv_sec++;
		end.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&c->lock);
	while (!atomic_load(&c->stopped) && pthread_cond_timedwait(&c->wake, &c->lock, &end) != ETIMEDOUT)
		;
	go_on = !atomic_load(&c->stopped);
	pthread_mutex_unlock(&c->lock);
	return go_on;
}

int
s3_call(struct s3_client *c, const struct s3_request *q, const char *where, struct s3_answer *a, struct ml_err *err)
{
	uint64_t until = ml_now_ms() + (q->limit_ms > 0 ? q->limit_ms : STORE_CALL_MAX_MS), pause = S3_PAUSE_MS;
	struct s3_credentials keys;
	char hash[96], why[300] = "";
	int rc = -1;

	*a = (struct s3_answer){ 0 };
	if (hash_header(q->body, hash) != 0) {
		int e = errno;

		return ML_ERR(err, ErrStorageSinkSendFailed, e, where, strerror(e));
	}
	for (unsigned n = 1; n <= S3_TRIES; n++) {
		struct attempt t = { .c = c, .q = q, .a = a };
		uint64_t now = ml_now_ms();
		enum verdict v = AGAIN;

		if (atomic_load(&c->stopped)) {
			ML_ERR(err, ErrStorageSinkSendFailed, 0, where, "the sink is closed");
			break;
		}
		if (take_keys(c, &keys, err) != 0)
			break;
		ml_buf_clear(&a->body);
		a->tries = n;
		a->etag[0] = a->code[0] = a->message[0] = '\0';
		if (attempt(&t, hash, &keys, now < until ? (uint32_t)(until - now) : 1, why) == 0) {
			if (a->status >= 300 || q->checked)
				read_error(a, &keys);
			v = judge(a);
			if (v == DONE && (a->status >= 300 || !q->checked || a->code[0] == '\0')) {
				rc = 0;
				break;
			}
			s3_unexpected(a, where, err);
			if (a->status >= 300 && learn_region(c, t.region))
				continue;
			if (v == HOPELESS || v == DONE)
				break;
		} else {
			ML_ERR(err, ErrStorageSinkSendFailed, 0, where, why);
			if (t.too_large || t.read_errno != 0)
				break;
		}
		if (n == S3_TRIES ||
			!pause_ms(c, v == SLOWER && pause < 2 * S3_PAUSE_MS ? 2 * S3_PAUSE_MS : pause, until))
			break;
		if (pause < PAUSE_MAX_FACTOR * S3_PAUSE_MS)
			pause *= 2;
	}
	explicit_bzero(&keys, sizeof(keys));
	if (rc != 0)
		s3_answer_fini(a);
	return rc;
}
