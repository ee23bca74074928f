#include "capture-worker/encoder/claim.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "capture-worker/encoder/text/base64.h"
#include "capture-worker/event/msg.h"
#include "common/text/uri.h"

struct ml_claim {
	struct ml_claim_place *place; /* NULL: a folder */
	char *prefix;                 /* the uri without slashes at its end */
	char *folder;
	int dir; /* of it, open */
	bool raw;
	struct ml_arena arena; /* one file's content at a time, then its location */
};

/* "xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx.json" */
#define NAME_MAX_LEN 48

static int
make_name(char out[NAME_MAX_LEN])
{
	uint8_t b[16];

	if (getrandom(b, sizeof(b), 0) != (ssize_t)sizeof(b))
		return -1;
	b[6] = (b[6] & 0x0f) | 0x40;
	b[8] = (b[8] & 0x3f) | 0x80;
	snprintf(out, NAME_MAX_LEN, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x.json", b[0],
		b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
	return 0;
}

static int
write_all(int fd, struct iovec *v, int n)
{
	while (n > 0) {
		ssize_t got = writev(fd, v, n);

		if (got < 0 && errno != EINTR)
			return -1;
		for (; n > 0 && got >= (ssize_t)v->iov_len; v++, n--)
			got -= (ssize_t)v->iov_len;
		if (n > 0 && got > 0) {
			v->iov_base = (char *)v->iov_base + got;
			v->iov_len -= (size_t)got;
		}
	}
	return 0;
}

/* Under another name first, so that no reader sees part of it. */
static int
write_file(int dir, const char *name, struct iovec *v, int n)
{
	char tmp[NAME_MAX_LEN + 8];
	int fd, e;

	snprintf(tmp, sizeof(tmp), "%s.tmp", name);
	fd = openat(dir, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return -1;
	if (write_all(fd, v, n) == 0 && fsync(fd) == 0 && renameat(dir, tmp, dir, name) == 0) {
		close(fd);
		return fsync(dir);
	}
	e = errno;
	close(fd);
	unlinkat(dir, tmp, 0);
	errno = e;
	return -1;
}

static int
make_folders(char *path)
{
	for (char *p = path + 1;; p++) {
		char c = *p;

		if (c != '/' && c != '\0')
			continue;
		*p = '\0';
		if (mkdir(path, 0755) != 0 && errno != EEXIST) {
			*p = c;
			return -1;
		}
		*p = c;
		if (c == '\0')
			return 0;
	}
}

/* A file comes and goes: a folder that cannot be written is told when the changefeed is created. */
static int
try_folder(struct ml_claim *c)
{
	char name[NAME_MAX_LEN];

	if (make_folders(c->folder) != 0)
		return -1;
	c->dir = open(c->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (c->dir < 0 || make_name(name) != 0 || write_file(c->dir, name, NULL, 0) != 0)
		return -1;
	return unlinkat(c->dir, name, 0);
}

/*
 * The location that consumers get is a path, so the file must lie where that leads now: another disk may have been mounted there
 * since, or the folder moved away.
 */
static int
keep_up(struct ml_claim *c)
{
	struct stat path, dir;

	if (stat(c->folder, &path) == 0 && fstat(c->dir, &dir) == 0 && path.st_dev == dir.st_dev &&
		path.st_ino == dir.st_ino)
		return 0;
	if (c->dir >= 0)
		close(c->dir);
	c->dir = -1;
	return try_folder(c);
}

static struct ml_claim *
make(bool raw)
{
	struct ml_claim *c = calloc(1, sizeof(*c));

	if (c == NULL)
		abort();
	c->dir = -1;
	c->raw = raw;
	ml_arena_init(&c->arena, 0);
	return c;
}

int
ml_claim_open(struct ml_claim **out, const char *uri, bool raw, ml_claim_place_fn *open_place, void *place_arg,
	struct ml_err *err)
{
	struct ml_claim_place *place;
	struct ml_uri *u;
	struct ml_claim *c;
	size_t n = strlen(uri);

	if (ml_uri_parse(&u, uri, err) != 0)
		return ml_err_wrap(err, ML_ErrInvalidReplicaConfig, "invalid replica config, claim-check-storage-uri");
	if (strcasecmp(u->scheme, "file") != 0 && open_place != NULL) {
		ml_uri_free(u);
		if (open_place(place_arg, &place, uri, err) != 0)
			return -1;
		c = make(raw);
		c->place = place;
		c->prefix = strdup(place->name);
		if (c->prefix == NULL)
			abort();
		*out = c;
		return 0;
	}
	if (strcasecmp(u->scheme, "file") != 0 || u->path[0] != '/' || strcmp(u->path, "/") == 0) {
		ML_ERRF(err, ErrInvalidReplicaConfig, 0,
			"invalid replica config, claim-check-storage-uri takes file:///folder; the scheme here is %.20s",
			u->scheme);
		ml_uri_free(u);
		return -1;
	}
	c = make(raw);
	while (n > 0 && uri[n - 1] == '/')
		n--;
	c->prefix = strndup(uri, n);
	c->folder = strdup(u->path);
	ml_uri_free(u);
	if (c->prefix == NULL || c->folder == NULL)
		abort();
	for (n = strlen(c->folder); n > 1 && c->folder[n - 1] == '/'; n--)
		c->folder[n - 1] = '\0';
	if (try_folder(c) != 0) {
		int e = errno;

		ML_ERRF(err, ErrFailToCreateExternalStorage, e,
			"failed to create external storage: claim-check folder %.200s: %s", c->folder, strerror(e));
		ml_claim_close(c);
		return -1;
	}
	*out = c;
	return 0;
}

void
ml_claim_close(struct ml_claim *c)
{
	if (c == NULL)
		return;
	if (c->dir >= 0)
		close(c->dir);
	ml_arena_fini(&c->arena);
	free(c->prefix);
	free(c->folder);
	free(c);
}

int
ml_claim_put(struct ml_claim *c, const char *key, size_t key_len, const char *value, size_t value_len,
	struct ml_text *location, struct ml_err *err)
{
	struct iovec v = { (void *)(uintptr_t)value, value_len };
	char name[NAME_MAX_LEN], *text;
	size_t prefix = strlen(c->prefix), len;
	struct ml_out o;
	uint32_t n;

	if (!c->raw) {
		ml_out_begin(&o, &c->arena);
		ml_out_lit(&o, "{\"key\":");
		if (key != NULL) {
			ml_out_lit(&o, "\"");
			ml_base64(&o, key, key_len);
			ml_out_lit(&o, "\"");
		} else {
			ml_out_lit(&o, "null");
		}
		ml_out_lit(&o, ",\"value\":\"");
		ml_base64(&o, value, value_len);
		ml_out_lit(&o, "\"}");
		v.iov_base = (void *)(uintptr_t)ml_out_end(&o, &n);
		v.iov_len = n;
	}
	if (make_name(name) != 0 || (c->place == NULL && (keep_up(c) != 0 || write_file(c->dir, name, &v, 1) != 0))) {
		int e = errno;

		ml_arena_reset(&c->arena);
		return ML_ERR(err, ErrStorageSinkSendFailed, e, c->prefix, strerror(e));
	}
	if (c->place != NULL && c->place->put(c->place, name, v.iov_base, v.iov_len, err) != 0) {
		ml_arena_reset(&c->arena);
		return -1;
	}
	ml_arena_reset(&c->arena);
	len = strlen(name);
	text = ml_arena_bytes(&c->arena, prefix + 1 + len);
	memcpy(text, c->prefix, prefix);
	text[prefix] = '/';
	memcpy(text + prefix + 1, name, len);
	*location = (struct ml_text){ text, (uint32_t)(prefix + 1 + len) };
	return 0;
}
