#include "capture-worker/source/mysql/xa.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAGIC "MLXA\001\n"
#define MAGIC_LEN 6

struct done {
	ml_ts ts;
	char name[64];
	struct done *next;
};

struct ml_xa {
	char dir[PATH_MAX];
	FILE *f;           /* transaction being collected; NULL: none */
	struct ml_xid xid; /* of it */
	struct done *done;
	_Atomic ml_ts saved;
};

static uint64_t
hash(const struct ml_xid *x)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);
	size_t n = (size_t)x->gtrid_len + x->bqual_len;

	for (size_t i = 0; i < n; i++)
		h = (h ^ x->data[i]) * UINT64_C(0x100000001b3);
	h = (h ^ x->gtrid_len) * UINT64_C(0x100000001b3);
	return (h ^ x->format) * UINT64_C(0x100000001b3);
}

static void
path_of(const struct ml_xa *x, char *out, size_t size, const char *name)
{
	snprintf(out, size, "%s/%s", x->dir, name);
}

static void
rows_name(char out[64], const struct ml_xid *xid)
{
	snprintf(out, 64, "xa-%016" PRIx64 ".rows", hash(xid));
}

static void
remember_done(struct ml_xa *x, const char *name, ml_ts ts)
{
	struct done *d = calloc(1, sizeof(*d));

	if (d == NULL)
		abort();
	d->ts = ts;
	snprintf(d->name, sizeof(d->name), "%s", name);
	d->next = x->done;
	x->done = d;
}

int
ml_xa_open(struct ml_xa **out, const char *dir, struct ml_err *err)
{
	DIR *d = opendir(dir);
	struct ml_xa *x;
	struct dirent *e;

	if (d == NULL)
		return ML_ERR(err, ErrIO, errno, dir, strerror(errno));
	x = calloc(1, sizeof(*x));
	if (x == NULL)
		abort();
	snprintf(x->dir, sizeof(x->dir), "%s", dir);
	while ((e = readdir(d)) != NULL) {
		uint64_t h, ts;
		int end = 0;

		if (strcmp(e->d_name, "xa.new") == 0)
			(void)unlinkat(dirfd(d), e->d_name, 0);
		else if (sscanf(e->d_name, "xa-%16" SCNx64 "-%16" SCNx64 ".done%n", &h, &ts, &end) == 2 && end > 0)
			remember_done(x, e->d_name, ts);
	}
	closedir(d);
	*out = x;
	return 0;
}

void
ml_xa_close(struct ml_xa *x)
{
	struct done *next;

	if (x == NULL)
		return;
	ml_xa_abandon(x);
	for (struct done *d = x->done; d != NULL; d = next) {
		next = d->next;
		free(d);
	}
	free(x);
}

static int
failed(struct ml_xa *x, const char *name, struct ml_err *err)
{
	char path[PATH_MAX + 80];
	int e = errno;

	path_of(x, path, sizeof(path), name);
	return ML_ERR(err, ErrIO, e, path, strerror(e));
}

static bool
put(FILE *f, const void *p, size_t n)
{
	return fwrite(p, 1, n, f) == n;
}

static bool
put_xid(FILE *f, const struct ml_xid *xid)
{
	return put(f, &xid->format, 4) && put(f, &xid->gtrid_len, 1) && put(f, &xid->bqual_len, 1) &&
	       put(f, xid->data, sizeof(xid->data));
}

int
ml_xa_begin(struct ml_xa *x, const struct ml_xid *xid, struct ml_err *err)
{
	char path[PATH_MAX + 80];

	ml_xa_abandon(x);
	path_of(x, path, sizeof(path), "xa.new");
	x->f = fopen(path, "w+e");
	if (x->f == NULL)
		return failed(x, "xa.new", err);
	x->xid = *xid;
	if (!put(x->f, MAGIC, MAGIC_LEN) || !put_xid(x->f, xid))
		return failed(x, "xa.new", err);
	return 0;
}

int
ml_xa_add(struct ml_xa *x, const struct ml_ev *e, struct ml_err *err)
{
	uint32_t len = e->body_len;

	if (!put(x->f, &len, 4) || !put(x->f, &e->type, 1) || !put(x->f, e->body, len))
		return failed(x, "xa.new", err);
	return 0;
}

int
ml_xa_prepared(struct ml_xa *x, struct ml_err *err)
{
	char from[PATH_MAX + 80], to[PATH_MAX + 80], name[64];
	int dir;

	if (fflush(x->f) != 0 || fsync(fileno(x->f)) < 0)
		return failed(x, "xa.new", err);
	rows_name(name, &x->xid);
	path_of(x, from, sizeof(from), "xa.new");
	path_of(x, to, sizeof(to), name);
	if (rename(from, to) < 0)
		return failed(x, name, err);
	dir = open(x->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 || fsync(dir) < 0) {
		if (dir >= 0)
			close(dir);
		return failed(x, name, err);
	}
	close(dir);
	fclose(x->f);
	x->f = NULL;
	return 0;
}

void
ml_xa_abandon(struct ml_xa *x)
{
	char path[PATH_MAX + 80];

	if (x->f == NULL)
		return;
	fclose(x->f);
	x->f = NULL;
	path_of(x, path, sizeof(path), "xa.new");
	unlink(path);
}

/* The file that the group with this ts has finished before, if the log is being read again. */
static const struct done *
find_done(const struct ml_xa *x, const struct ml_xid *xid, ml_ts ts)
{
	for (const struct done *d = x->done; d != NULL; d = d->next) {
		uint64_t h;

		if (d->ts == ts && sscanf(d->name, "xa-%16" SCNx64, &h) == 1 && h == hash(xid))
			return d;
	}
	return NULL;
}

/* The file of xid opened behind its head. */
static FILE *
find(struct ml_xa *x, const struct ml_xid *xid, ml_ts ts, char name[64])
{
	const struct done *d = find_done(x, xid, ts);
	char path[PATH_MAX + 80];
	uint8_t head[MAGIC_LEN + 6 + sizeof(xid->data)];
	struct ml_xid got = { 0 };
	FILE *f;

	if (d != NULL)
		snprintf(name, 64, "%s", d->name);
	else
		rows_name(name, xid);
	path_of(x, path, sizeof(path), name);
	f = fopen(path, "re");
	if (f == NULL)
		return NULL;
	if (fread(head, 1, sizeof(head), f) == sizeof(head) && memcmp(head, MAGIC, MAGIC_LEN) == 0) {
		memcpy(&got.format, head + MAGIC_LEN, 4);
		got.gtrid_len = head[MAGIC_LEN + 4];
		got.bqual_len = head[MAGIC_LEN + 5];
		memcpy(got.data, head + MAGIC_LEN + 6, sizeof(got.data));
		if (got.gtrid_len <= 64 && got.bqual_len <= 64 && ml_xid_equal(&got, xid))
			return f;
	}
	fclose(f);
	return NULL;
}

int
ml_xa_replay(struct ml_xa *x, const struct ml_xid *xid, ml_ts ts,
	int (*fn)(void *arg, const struct ml_ev *e, struct ml_err *err), void *arg, struct ml_err *err)
{
	char name[64];
	FILE *f = find(x, xid, ts, name);
	uint8_t *body = NULL;
	size_t cap = 0;
	int rc = 1;

	if (f == NULL)
		return 0;
	for (;;) {
		struct ml_ev e = { 0 };
		uint32_t len;
		size_t k = fread(&len, 1, 4, f);

		if (k == 0 && feof(f))
			break;
		if (k != 4 || len > (1u << 30) || fread(&e.type, 1, 1, f) != 1)
			goto damaged;
		if (len > cap) {
			uint8_t *p = realloc(body, len);

			if (p == NULL)
				abort();
			body = p;
			cap = len;
		}
		if (fread(body, 1, len, f) != len)
			goto damaged;
		e.raw = e.body = body;
		e.body_len = len;
		e.len = len + ML_EV_HEADER;
		if (fn(arg, &e, err) < 0) {
			rc = -1;
			break;
		}
	}
	free(body);
	fclose(f);
	return rc;
damaged:
	free(body);
	fclose(f);
	errno = EIO;
	return failed(x, name, err);
}

void
ml_xa_finish(struct ml_xa *x, const struct ml_xid *xid, ml_ts ts)
{
	char from[PATH_MAX + 80], to[PATH_MAX + 80], name[64], done[64];

	if (find_done(x, xid, ts) != NULL)
		return;
	rows_name(name, xid);
	snprintf(done, sizeof(done), "xa-%016" PRIx64 "-%016" PRIx64 ".done", hash(xid), (uint64_t)ts);
	path_of(x, from, sizeof(from), name);
	path_of(x, to, sizeof(to), done);
	if (rename(from, to) == 0)
		remember_done(x, done, ts);
}

void
ml_xa_saved(struct ml_xa *x, ml_ts checkpoint_ts)
{
	atomic_store(&x->saved, checkpoint_ts);
}

void
ml_xa_sweep(struct ml_xa *x)
{
	ml_ts saved;

	if (x->done == NULL)
		return;
	saved = atomic_load(&x->saved);
	for (struct done **p = &x->done; *p != NULL;) {
		struct done *d = *p;
		char path[PATH_MAX + 80];

		if (d->ts > saved) {
			p = &d->next;
			continue;
		}
		path_of(x, path, sizeof(path), d->name);
		unlink(path);
		*p = d->next;
		free(d);
	}
}
