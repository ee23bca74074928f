/*
 * store_s3.c - a bucket as a store.  A PUT or a completed multipart upload shows an object whole or not at all (sinks.md 4.8), so
 * nothing is renamed.  That a data file never replaces another one is looked up first, and asked of the server as well
 * (If-None-Match: *): the upload of a process that is being killed may arrive after its successor has looked.
 */
#include "capture-worker/sink/storage/s3/store_s3.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture-worker/sink/storage/cleanup.h"
#include "capture-worker/sink/storage/disk.h"
#include "capture-worker/sink/storage/s3/client.h"
#include "capture-worker/sink/storage/s3/spool_dir.h"
#include "capture-worker/sink/storage/s3/xml.h"
#include "common/run/log.h"

/* Larger files go up in parts of this size; servers take parts of 5 MiB to 5 GiB, and 10000 of them. */
#define PART_BYTES (16u << 20)
#define PARTS_MAX 10000
/* Longest key that S3 takes. */
#define KEY_MAX 1024
/* A page of a listing: 1000 keys, escaped. */
#define LIST_MAX_BYTES (8u << 20)
/* A create-time trial has 30 s for everything. */
#define PROBE_LIMIT_MS 15000

struct s3 {
	struct store base;
	struct s3_options o;
	struct s3_client *client;
	char *data_dir, *object;
	pthread_mutex_t lock;
	struct spool_dir spool; /* under lock until it is open */
	atomic_bool stopped;
	atomic_bool no_conditions; /* the server knows no If-None-Match */
};

static void free_store(struct store *base);

/* ---- names ---- */

/* The key of dir/name and, for errors, the same with the store in front; -1 if it is too long. */
struct place {
	char key[KEY_MAX + 8], where[KEY_MAX + 600];
};

static int
place_of(const struct s3 *s, const char *dir, const char *name, struct place *p, struct ml_err *err)
{
	int n = snprintf(p->key, sizeof(p->key), "%s%s%s%s", s->o.prefix, dir,
		dir[0] != '\0' && name[0] != '\0' ? "/" : "", name);

	snprintf(p->where, sizeof(p->where), "%s/%s%s%s", s->base.name, dir,
		dir[0] != '\0' && name[0] != '\0' ? "/" : "", name);
	if (n > KEY_MAX)
		return ML_ERR(
			err, ErrStorageSinkSendFailed, 0, p->where, "the object's name is longer than 1024 bytes");
	return 0;
}

/* ---- life ---- */

static int
make_for(struct store **out, const struct store_ops *ops, const struct ml_sink_env *env, struct ml_err *err)
{
	struct s3 *s = calloc(1, sizeof(*s));
	struct ml_buf name = { 0 };

	if (s == NULL)
		abort();
	if (s3_options_init(&s->o, env->uri, env->object, err) != 0) {
		free(s);
		return -1;
	}
	s->base.ops = ops;
	s->spool.fd = -1;
	pthread_mutex_init(&s->lock, NULL);
	ml_buf_printf(&name, "%s://%s/%s", env->uri->scheme, s->o.bucket, s->o.prefix);
	name.data[--name.len] = '\0';
	s->base.name = name.data;
	s->data_dir = strdup(env->config != NULL && env->config->data_dir != NULL ? env->config->data_dir : "");
	s->object = strdup(env->object);
	if (s->data_dir == NULL || s->object == NULL)
		abort();
	*out = &s->base;
	return 0;
}

static int
make_s3(struct store **out, const struct ml_sink_env *env, const struct ml_settings *st, struct ml_err *err)
{
	(void)st;
	return make_for(out, &store_s3, env, err);
}

static int
make_gcs(struct store **out, const struct ml_sink_env *env, const struct ml_settings *st, struct ml_err *err)
{
	(void)st;
	return make_for(out, &store_gcs, env, err);
}

static int
make_azure(struct store **out, const struct ml_sink_env *env, const struct ml_settings *st, struct ml_err *err)
{
	(void)out;
	(void)st;
	return ML_ERRF(err, ErrStorageSinkInvalidConfig, 0,
		"storage sink config invalid: Azure Blob Storage (%s) is not supported; file, s3 and gcs are",
		env->uri->scheme);
}

static void
free_store(struct store *base)
{
	struct s3 *s = (struct s3 *)base;

	s3_client_free(s->client);
	spool_dir_close(&s->spool);
	s3_options_fini(&s->o);
	pthread_mutex_destroy(&s->lock);
	free(s->data_dir);
	free(s->object);
	free(s->base.name);
	free(s);
}

static void
stop(struct store *base)
{
	struct s3 *s = (struct s3 *)base;

	if (s->client != NULL)
		s3_client_stop(s->client);
}

static int
call(struct s3 *s, const struct s3_request *q, const char *where, struct s3_answer *a, struct ml_err *err)
{
	int rc = s3_call(s->client, q, where, a, err);

	atomic_fetch_add(&s->base.moved, 1);
	return rc;
}

/* An answer of which only success is of use. */
static int
expect(struct s3_answer *a, const char *where, struct ml_err *err)
{
	int rc = a->status >= 200 && a->status < 300 ? 0 : s3_unexpected(a, where, err);

	s3_answer_fini(a);
	return rc;
}

/* ---- reading ---- */

static int
get_limited(struct s3 *s, const char *path, size_t max, uint32_t limit_ms, struct ml_buf *out, struct ml_err *err)
{
	struct s3_request q = { .method = "GET", .max_answer = max, .limit_ms = limit_ms };
	struct s3_answer a;
	struct place p;

	if (place_of(s, path, "", &p, err) != 0)
		return -1;
	q.key = p.key;
	if (call(s, &q, p.where, &a, err) != 0)
		return -1;
	if (a.status == 404 && strcmp(a.code, "NoSuchBucket") != 0) {
		s3_answer_fini(&a);
		return 0;
	}
	if (a.status == 200 && a.body.len > max) {
		s3_answer_fini(&a);
		return ML_ERR(err, ErrStorageSinkSendFailed, 0, p.where, "it is larger than it can be");
	}
	if (a.status == 200)
		ml_buf_put(out, a.body.len > 0 ? a.body.data : "", a.body.len);
	return expect(&a, p.where, err) == 0 ? 1 : -1;
}

static int
get(struct store *base, const char *path, size_t max, struct ml_buf *out, struct ml_err *err)
{
	return get_limited((struct s3 *)base, path, max, 0, out, err);
}

/* Is there an object `test`?  The answer does not matter; a GET, since only it tells a missing bucket from a missing object. */
static int
probe(struct store *base, struct ml_err *err)
{
	struct s3 *s = (struct s3 *)base;
	struct ml_buf ignored = { 0 };
	int rc;

	if (s->client == NULL && s3_client_new(&s->client, &s->o, err) != 0)
		return -1;
	rc = get_limited(s, "test", LIST_MAX_BYTES, PROBE_LIMIT_MS, &ignored, err);
	ml_buf_fini(&ignored);
	return rc < 0 ? -1 : 0;
}

static int
stat_object(struct s3 *s, const struct place *p, uint64_t *bytes, struct ml_err *err)
{
	const struct s3_request q = { .method = "HEAD", .key = p->key };
	struct s3_answer a;

	if (call(s, &q, p->where, &a, err) != 0)
		return -1;
	if (a.status == 404) {
		s3_answer_fini(&a);
		return 0;
	}
	*bytes = a.length > 0 ? (uint64_t)a.length : 0;
	return expect(&a, p->where, err) == 0 ? 1 : -1;
}

static int
stat_file(struct store *base, const char *path, uint64_t *bytes, struct ml_err *err)
{
	struct s3 *s = (struct s3 *)base;
	struct place p;

	return place_of(s, path, "", &p, err) != 0 ? -1 : stat_object(s, &p, bytes, err);
}

/* Pages of a listing of keys that begin with prefix; delimited: only what has no '/' behind it.  fn as of xml_list. */
static int
list_keys(struct s3 *s, const char *prefix, bool delimited, const char *where, xml_key_fn *fn, void *arg,
	struct ml_err *err)
{
	struct xml_listing l = { 0 };
	struct ml_buf query = { 0 };
	int rc;

	do {
		struct s3_request q = { .method = "GET", .max_answer = LIST_MAX_BYTES };
		struct s3_answer a;

		/* Sorted by name, for the signature. */
		ml_buf_clear(&query);
		if (l.token.len > 0) {
			ml_buf_puts(&query, "continuation-token=");
			s3_put_escaped(&query, l.token.data, false);
			ml_buf_putc(&query, '&');
		}
		ml_buf_printf(&query,
			"%sencoding-type=url&list-type=2&max-keys=1000&prefix=", delimited ? "delimiter=%2F&" : "");
		s3_put_escaped(&query, prefix, false);
		q.query = query.data;
		rc = call(s, &q, where, &a, err);
		if (rc != 0)
			break;
		if (a.status == 200 && xml_list(a.body.data != NULL ? a.body.data : "", a.body.len, fn, arg, &l) != 0)
			rc = ML_ERR(err, ErrStorageSinkSendFailed, 0, where, "the server's listing cannot be read");
		if (rc == 0)
			rc = expect(&a, where, err);
		else
			s3_answer_fini(&a);
	} while (rc == 0 && l.more);
	ml_buf_fini(&l.token);
	ml_buf_fini(&query);
	return rc;
}

struct names {
	size_t skip; /* length of the prefix */
	store_list_fn *fn;
	void *arg;
	struct ml_err err; /* of fn */
};

static int
on_name(void *arg, const char *key, uint64_t bytes)
{
	struct names *n = arg;
	const char *name = strlen(key) > n->skip ? key + n->skip : "";

	(void)bytes;
	/* "folder/" is how some tools mark a folder. */
	return name[0] == '\0' || strchr(name, '/') != NULL ? 0 : n->fn(n->arg, name, &n->err);
}

static int
list(struct store *base, const char *dir, store_list_fn *fn, void *arg, struct ml_err *err)
{
	struct s3 *s = (struct s3 *)base;
	struct names n = { .fn = fn, .arg = arg };
	struct place p;

	if (place_of(s, dir, "", &p, err) != 0)
		return -1;
	if (dir[0] != '\0')
		strcat(p.key, "/");
	n.skip = strlen(p.key);
	if (list_keys(s, p.key, true, p.where, on_name, &n, err) == 0)
		return 0;
	if (n.err.code != ML_OK)
		*err = n.err;
	return -1;
}

/* ---- writing ---- */

/* Room for what these options ask for; q->headers gets them from index n on. */
struct wishes {
	char storage_class[128], sse[128], kms[4200], acl[128];
};

static void
add_wishes(const struct s3 *s, struct s3_request *q, size_t n, struct wishes *w)
{
	const struct {
		const char *name, *value;
		char *to;
		size_t size;
	} rows[] = {
		{ "x-amz-acl", s->o.acl, w->acl, sizeof(w->acl) },
		{ "x-amz-server-side-encryption", s->o.sse, w->sse, sizeof(w->sse) },
		{ "x-amz-server-side-encryption-aws-kms-key-id", s->o.sse_kms_key_id, w->kms, sizeof(w->kms) },
		{ "x-amz-storage-class", s->o.storage_class, w->storage_class, sizeof(w->storage_class) },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].value != NULL) {
			snprintf(rows[i].to, rows[i].size, "%s: %s", rows[i].name, rows[i].value);
			q->headers[n++] = rows[i].to;
		}
}

static int
put(struct store *base, const char *dir, const char *name, const char *text, size_t len, bool sync, struct ml_err *err)
{
	struct s3 *s = (struct s3 *)base;
	const struct s3_body body = { .fd = -1, .mem = text, .mem_len = len };
	struct s3_request q = { .method = "PUT", .body = &body };
	struct s3_answer a;
	struct wishes w;
	struct place p;

	(void)sync;
	if (place_of(s, dir, name, &p, err) != 0)
		return -1;
	q.key = p.key;
	add_wishes(s, &q, 0, &w);
	return call(s, &q, p.where, &a, err) != 0 ? -1 : expect(&a, p.where, err);
}

/* There are no folders, and a crash leaves nothing that is seen. */
static int
prepare(struct store *base, const char *dir, struct ml_err *err)
{
	(void)base;
	(void)dir;
	(void)err;
	return 0;
}

static int
collect(struct store *base, const char *dir, const char *ext, struct ml_buf *path, struct ml_err *err)
{
	struct s3 *s = (struct s3 *)base;
	char name[96];
	int rc = 0;

	(void)dir;
	pthread_mutex_lock(&s->lock);
	if (s->spool.fd < 0)
		rc = spool_dir_open(&s->spool, s->data_dir, err);
	pthread_mutex_unlock(&s->lock);
	if (rc != 0)
		return -1;
	disk_tmp_name(name, sizeof(name), ext[0] == '.' ? ext + 1 : ext);
	ml_buf_printf(path, "%s/%s", s->spool.path, name);
	return 0;
}

static int
settle(struct store *base, struct spool *f, const char *dir, const char *ext, struct ml_err *err)
{
	/* What is in the temporary file and what is in memory go up as they are; a closed one has to be opened to be read. */
	return f->tmp != NULL ? spool_open(f, base, dir, ext, err) : 0;
}

/* n bytes of f from `from` on. */
static struct s3_body
piece(const struct spool *f, uint64_t from, uint64_t n)
{
	uint64_t on_disk = f->bytes - f->len, disk = from >= on_disk ? 0 : on_disk - from < n ? on_disk - from : n;

	return (struct s3_body){
		.fd = f->fd,
		.offset = from,
		.fd_len = disk,
		.mem = n > disk ? f->buf + (from > on_disk ? from - on_disk : 0) : NULL,
		.mem_len = (size_t)(n - disk),
	};
}

/*
 * What to make of the answer to the request that shows the object: 0, 1 there is one of the name, -1, 2 the server knows no
 * conditions, so the same again without.
 */
static int
shown(struct s3 *s, struct s3_answer *a, bool condition, const char *where, struct ml_err *err)
{
	if (condition && a->status == 412) {
		s3_answer_fini(a);
		return 1;
	}
	if (condition && a->status == 501) {
		if (!atomic_exchange(&s->no_conditions, true))
			ml_info(s->object,
				"the object store knows no If-None-Match; files are only looked up before they are written");
		s3_answer_fini(a);
		return 2;
	}
	return expect(a, where, err);
}

static int
put_single(struct s3 *s, const struct spool *f, const struct place *p, bool condition, struct ml_err *err)
{
	const struct s3_body body = piece(f, 0, f->bytes);
	struct s3_request q = { .method = "PUT", .key = p->key, .body = &body };
	struct s3_answer a;
	struct wishes w;

	if (condition)
		q.headers[0] = "If-None-Match: *";
	add_wishes(s, &q, condition, &w);
	return call(s, &q, p->where, &a, err) != 0 ? -1 : shown(s, &a, condition, p->where, err);
}

/* Starts a multipart upload; its id, escaped for a query, is appended. */
static int
begin_parts(struct s3 *s, const struct place *p, struct ml_buf *id, struct ml_err *err)
{
	struct s3_request q = { .method = "POST", .key = p->key, .query = "uploads=", .max_answer = LIST_MAX_BYTES };
	struct ml_buf raw = { 0 };
	struct s3_answer a;
	struct wishes w;

	add_wishes(s, &q, 0, &w);
	if (call(s, &q, p->where, &a, err) != 0)
		return -1;
	if (a.status == 200 &&
		(a.body.len == 0 || xml_child(a.body.data, a.body.len, "UploadId", &raw) <= 0 || raw.len == 0)) {
		s3_answer_fini(&a);
		ml_buf_fini(&raw);
		return ML_ERR(err, ErrStorageSinkSendFailed, 0, p->where, "the server tells no id of the upload");
	}
	if (raw.len > 0)
		s3_put_escaped(id, raw.data, false);
	ml_buf_fini(&raw);
	return expect(&a, p->where, err);
}

static int
send_part(struct s3 *s, const struct spool *f, const struct place *p, const char *id, unsigned number, uint64_t from,
	uint64_t n, struct ml_buf *done, struct ml_err *err)
{
	const struct s3_body body = piece(f, from, n);
	struct s3_request q = { .method = "PUT", .key = p->key, .body = &body };
	struct ml_buf query = { 0 };
	struct s3_answer a;
	int rc;

	ml_buf_printf(&query, "partNumber=%u&uploadId=%s", number, id);
	q.query = query.data;
	rc = call(s, &q, p->where, &a, err);
	if (rc == 0) {
		/* It goes into a document: a tag is a quoted text of hexadecimal digits. */
		if (a.status == 200 && (a.etag[0] == '\0' || strpbrk(a.etag, "<>&") != NULL))
			rc = ML_ERR(err, ErrStorageSinkSendFailed, 0, p->where, "the server tells no ETag of a part");
		ml_buf_printf(done, "<Part><PartNumber>%u</PartNumber><ETag>%s</ETag></Part>", number, a.etag);
		if (rc == 0)
			rc = expect(&a, p->where, err);
		else
			s3_answer_fini(&a);
	}
	ml_buf_fini(&query);
	return rc;
}

static int
complete_parts(struct s3 *s, const struct spool *f, const struct place *p, const char *id, const struct ml_buf *done,
	bool condition, struct ml_err *err)
{
	const struct s3_body body = { .fd = -1, .mem = done->data, .mem_len = done->len };
	struct s3_request q = {
		.method = "POST", .key = p->key, .body = &body, .max_answer = LIST_MAX_BYTES, .checked = true
	};
	struct ml_buf query = { 0 };
	struct s3_answer a;
	uint64_t bytes;
	int rc;

	ml_buf_printf(&query, "uploadId=%s", id);
	q.query = query.data;
	if (condition)
		q.headers[0] = "If-None-Match: *";
	rc = call(s, &q, p->where, &a, err);
	ml_buf_fini(&query);
	if (rc != 0)
		return -1;
	if (a.tries > 1 && a.status == 404) {
		/* The upload is gone: an earlier try has completed it, and only its answer was lost. */
		rc = s3_unexpected(&a, p->where, err);
		s3_answer_fini(&a);
		return stat_object(s, p, &bytes, err) > 0 && bytes == f->bytes ? 0 : rc;
	}
	return shown(s, &a, condition, p->where, err);
}

static void
abort_parts(struct s3 *s, const struct place *p, const char *id)
{
	struct s3_request q = { .method = "DELETE", .key = p->key };
	struct ml_buf query = { 0 };
	struct s3_answer a;
	struct ml_err err;

	ml_buf_printf(&query, "uploadId=%s", id);
	q.query = query.data;
	if (call(s, &q, p->where, &a, &err) == 0)
		s3_answer_fini(&a);
	ml_buf_fini(&query);
}

static int
put_parts(struct s3 *s, const struct spool *f, const struct place *p, bool condition, struct ml_err *err)
{
	uint64_t size = f->bytes / PARTS_MAX + 1 > PART_BYTES ? f->bytes / PARTS_MAX + 1 : PART_BYTES;
	struct ml_buf id = { 0 }, done = { 0 };
	unsigned number = 0;
	int rc;

	if (begin_parts(s, p, &id, err) != 0) {
		ml_buf_fini(&id);
		return -1;
	}
	ml_buf_puts(&done, "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
	rc = 0;
	for (uint64_t from = 0; rc == 0 && from < f->bytes; from += size)
		rc = send_part(
			s, f, p, id.data, ++number, from, f->bytes - from < size ? f->bytes - from : size, &done, err);
	ml_buf_puts(&done, "</CompleteMultipartUpload>");
	if (rc == 0) {
		rc = complete_parts(s, f, p, id.data, &done, condition, err);
		if (rc == 2)
			rc = complete_parts(s, f, p, id.data, &done, false, err);
	}
	if (rc != 0)
		abort_parts(s, p, id.data);
	ml_buf_fini(&id);
	ml_buf_fini(&done);
	return rc;
}

static int
place(struct store *base, struct spool *f, const char *dir, const char *name, struct ml_err *err)
{
	struct s3 *s = (struct s3 *)base;
	uint64_t bytes;
	struct place p;
	bool condition;
	int rc;

	if (place_of(s, dir, name, &p, err) != 0 || (rc = stat_object(s, &p, &bytes, err)) < 0)
		return -1;
	if (rc > 0 && bytes > 0)
		return 1;
	/* An empty object has no rows and is replaced.  Google's endpoint has a condition of its own instead. */
	condition = rc == 0 && !s->o.gcs && !atomic_load(&s->no_conditions);
	if (f->bytes > PART_BYTES)
		return put_parts(s, f, &p, condition, err);
	rc = put_single(s, f, &p, condition, err);
	return rc == 2 ? put_single(s, f, &p, false, err) : rc;
}

/* ---- removing ---- */

struct expiry {
	struct s3 *s;
	const char *before;
	const atomic_bool *stop;
	struct store_expired *x;
};

static void
note(struct store_expired *x, const struct ml_err *err)
{
	if (x->failed++ == 0)
		snprintf(x->why, sizeof(x->why), "%s", err->text);
}

static int
on_old(void *arg, const char *key, uint64_t bytes)
{
	struct expiry *e = arg;
	size_t skip = strlen(e->s->o.prefix);
	struct s3_request q = { .method = "DELETE", .key = key };
	struct s3_answer a;
	struct ml_err err;

	(void)bytes;
	if (atomic_load(e->stop))
		return -1;
	if (strlen(key) <= skip || !cleanup_is_old(key + skip, e->before))
		return 0;
	if (call(e->s, &q, key, &a, &err) != 0 || (a.status != 404 && expect(&a, key, &err) != 0)) {
		note(e->x, &err);
		return 0;
	}
	s3_answer_fini(&a);
	e->x->removed++;
	return 0;
}

static void
expire(struct store *base, const char *before, const atomic_bool *stop, struct store_expired *x)
{
	struct s3 *s = (struct s3 *)base;
	struct expiry e = { .s = s, .before = before, .stop = stop, .x = x };
	struct ml_err err;

	if (list_keys(s, s->o.prefix, false, s->base.name, on_old, &e, &err) != 0 && !atomic_load(stop))
		note(x, &err);
}

#define OPS                                                                                                            \
	.threads = 16, .probe = probe, .get = get, .stat = stat_file, .list = list, .put = put, .prepare = prepare,    \
	.collect = collect, .settle = settle, .place = place, .expire = expire, .stop = stop, .free = free_store

const struct store_ops store_s3 = { .schemes = { "s3" }, .keys = s3_keys, .make = make_s3, OPS };
const struct store_ops store_gcs = { .schemes = { "gcs", "gs" }, .keys = gcs_keys, .make = make_gcs, OPS };
const struct store_ops store_azure = { .schemes = { "azblob", "azure" }, .make = make_azure };
