/*
 * store_file.c - a folder.  A file is written as "<name>.tmp.<uuid>" beside its place, synced, renamed, and the directory is
 * synced (sinks.md 4.8).
 */
#include "capture-worker/sink/storage/store_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "capture-worker/sink/storage/cleanup.h"
#include "capture-worker/sink/storage/disk.h"
#include "common/text/uri.h"

/* Longest root, so that paths below it still fit. */
#define ROOT_MAX 2048

/* The absolute path; dir or name may be "".  -1 if it does not fit. */
static int
full(const struct store *s, const char *dir, const char *name, char out[DISK_PATH_MAX], struct ml_err *err)
{
	const char *root = strcmp(s->name, "/") == 0 ? "" : s->name;
	int n = snprintf(out, DISK_PATH_MAX, "%s%s%s%s%s", root, dir[0] != '\0' || root[0] == '\0' ? "/" : "", dir,
		name[0] != '\0' ? "/" : "", name);

	return n < DISK_PATH_MAX ? 0 : store_error(s, dir, ENAMETOOLONG, strerror(ENAMETOOLONG), err);
}

static int
failed(const char *path, struct ml_err *err)
{
	int e = errno;

	return ML_ERR(err, ErrStorageSinkSendFailed, e, path, strerror(e));
}

/* One changefeed of one server. */
static void
own(const struct ml_sink_env *env)
{
	struct ml_buf b = { 0 };

	ml_buf_printf(&b, "%s %s %s/%s", env->config != NULL ? env->config->cluster_id : "",
		env->config != NULL ? env->config->data_dir : "", env->spec->namespace_, env->spec->id);
	disk_own(b.data);
	ml_buf_fini(&b);
}

static int
make(struct store **out, const struct ml_sink_env *env, const struct ml_settings *st, struct ml_err *err)
{
	const char *path = env->uri->path;
	size_t n = strlen(path);
	struct store *s;

	(void)st;
	if (env->uri->hosts[0] != '\0' && strcmp(env->uri->hosts, "localhost") != 0)
		return ML_ERR(
			err, ErrStorageSinkInvalidConfig, 0, "a file uri takes an absolute path: file:///directory");
	if (n == 0)
		return ML_ERR(err, ErrStorageSinkInvalidConfig, 0, "no directory is specified in sink-uri");
	while (n > 1 && path[n - 1] == '/')
		n--;
	if (n > ROOT_MAX)
		return ML_ERR(err, ErrStorageSinkInvalidConfig, 0, "the directory's name is too long");
	s = calloc(1, sizeof(*s));
	/* "." and ".." and double slashes are left to the file system. */
	if (s == NULL || (s->name = strndup(path, n)) == NULL)
		abort();
	s->ops = &store_file;
	own(env);
	*out = s;
	return 0;
}

/* The directory is there (made if need be) and a file can be written in it. */
static int
probe(struct store *s, struct ml_err *err)
{
	char name[64], path[DISK_PATH_MAX];
	int fd;

	disk_tmp_name(name, sizeof(name), "test");
	if (disk_make_dirs(s->name, err) != 0 || full(s, "", name, path, err) != 0)
		return -1;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return failed(s->name, err);
	if (write(fd, "x", 1) != 1) {
		failed(s->name, err);
		close(fd);
		unlink(path);
		return -1;
	}
	close(fd);
	unlink(path);
	disk_sweep(s->name);
	return 0;
}

static int
get(struct store *s, const char *path, size_t max, struct ml_buf *out, struct ml_err *err)
{
	char p[DISK_PATH_MAX];
	struct stat st;
	int fd, rc = 1;

	if (full(s, path, "", p, err) != 0)
		return -1;
	fd = open(p, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : failed(p, err);
	if (fstat(fd, &st) != 0) {
		rc = failed(p, err);
	} else if ((uint64_t)st.st_size > max) {
		rc = store_error(s, path, EFBIG, strerror(EFBIG), err);
	} else {
		ssize_t n;

		ml_buf_need(out, (size_t)st.st_size);
		n = read(fd, out->data + out->len, (size_t)st.st_size);
		if (n < 0)
			rc = failed(p, err);
		out->len += n > 0 ? (size_t)n : 0;
		out->data[out->len] = '\0';
	}
	close(fd);
	return rc;
}

static int
stat_file(struct store *s, const char *path, uint64_t *bytes, struct ml_err *err)
{
	char p[DISK_PATH_MAX];
	struct stat st;

	if (full(s, path, "", p, err) != 0)
		return -1;
	if (stat(p, &st) != 0)
		return errno == ENOENT ? 0 : failed(p, err);
	*bytes = (uint64_t)st.st_size;
	return 1;
}

static int
list(struct store *s, const char *dir, store_list_fn *fn, void *arg, struct ml_err *err)
{
	char p[DISK_PATH_MAX];
	int rc = 0;
	DIR *d;

	if (full(s, dir, "", p, err) != 0)
		return -1;
	d = opendir(p);
	if (d == NULL)
		return errno == ENOENT ? 0 : failed(p, err);
	for (struct dirent *e; rc == 0 && (e = readdir(d)) != NULL;)
		if (e->d_type != DT_DIR && strstr(e->d_name, ".tmp.") == NULL)
			rc = fn(arg, e->d_name, err);
	closedir(d);
	return rc;
}

static int
put(struct store *s, const char *dir, const char *name, const char *text, size_t len, bool sync, struct ml_err *err)
{
	char p[DISK_PATH_MAX];

	if (full(s, dir, "", p, err) != 0 || (dir[0] != '\0' && disk_make_dirs(p, err) != 0))
		return -1;
	return disk_put(p, name, text, len, sync, err);
}

static int
prepare(struct store *s, const char *dir, struct ml_err *err)
{
	char p[DISK_PATH_MAX];

	if (full(s, dir, "meta", p, err) != 0 || disk_make_dirs(p, err) != 0 || full(s, dir, "", p, err) != 0)
		return -1;
	disk_sweep(p);
	return 0;
}

static int
collect(struct store *s, const char *dir, const char *ext, struct ml_buf *path, struct ml_err *err)
{
	char p[DISK_PATH_MAX], base[16], name[96];

	if (full(s, dir, "", p, err) != 0 || disk_make_dirs(p, err) != 0)
		return -1;
	snprintf(base, sizeof(base), "CDC%s", ext);
	disk_tmp_name(name, sizeof(name), base);
	ml_buf_printf(path, "%s/%s", p, name);
	return 0;
}

static int
settle(struct store *s, struct spool *f, const char *dir, const char *ext, struct ml_err *err)
{
	if (spool_open(f, s, dir, ext, err) != 0 || spool_write_out(f, err) != 0)
		return -1;
	if (fsync(f->fd) != 0)
		return failed(f->tmp, err);
	close(f->fd);
	f->fd = -1;
	return 0;
}

static int
place(struct store *s, struct spool *f, const char *dir, const char *name, struct ml_err *err)
{
	char p[DISK_PATH_MAX];
	int rc;

	if (full(s, dir, name, p, err) != 0)
		return -1;
	rc = disk_rename_new(f->tmp, p, err);
	if (rc != 0)
		return rc;
	free(f->tmp);
	f->tmp = NULL;
	*strrchr(p, '/') = '\0';
	return disk_sync_dir(p, err);
}

static void
expire(struct store *s, const char *before, const atomic_bool *stop, struct store_expired *x)
{
	int e;

	cleanup_run(s->name, before, stop, &x->removed, &x->failed, &e);
	if (x->failed > 0)
		snprintf(x->why, sizeof(x->why), "%s", strerror(e));
}

/* Nothing can be done about a file system that hangs. */
static void
stop(struct store *s)
{
	(void)s;
}

static void
free_store(struct store *s)
{
	free(s->name);
	free(s);
}

const struct store_ops store_file = {
	.schemes = { "file" },
	.threads = 4, /* a local disk gains nothing from more syncs at a time */
	.make = make,
	.probe = probe,
	.get = get,
	.stat = stat_file,
	.list = list,
	.put = put,
	.prepare = prepare,
	.collect = collect,
	.settle = settle,
	.place = place,
	.expire = expire,
	.stop = stop,
	.free = free_store,
};
