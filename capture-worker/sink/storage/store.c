#include "capture-worker/sink/storage/store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "capture-worker/sink/storage/disk.h"
#include "common/text/uri.h"

/* "CDC" and 20 digits, an extension, and room to tell one that is too long. */
#define INDEX_MAX 256

int
store_make(struct store **out, const struct ml_sink_env *env, const struct ml_settings *st, struct ml_err *err)
{
	for (size_t i = 0; stores[i] != NULL; i++)
		for (size_t j = 0; j < 3 && stores[i]->schemes[j] != NULL; j++)
			if (strcmp(stores[i]->schemes[j], env->uri->scheme) == 0)
				return stores[i]->make(out, env, st, err);
	return ML_ERRF(err, ErrSinkURIInvalid, 0, "the sink scheme (%s) is not supported", env->uri->scheme);
}

void
store_free(struct store *s)
{
	if (s != NULL)
		s->ops->free(s);
}

bool
store_key(char *out, size_t size, const char *key)
{
	size_t n = strlen(key);

	if (n >= size)
		return false;
	for (size_t i = 0; i <= n; i++)
		out[i] = key[i] == '_' ? '-' : key[i] >= 'A' && key[i] <= 'Z' ? (char)(key[i] + 32) : key[i];
	return true;
}

size_t
store_known_keys(const struct store *s, const struct ml_uri *uri, const char **out)
{
	char key[64];
	size_t n = 0;

	for (size_t i = 0; i < uri->n_params; i++)
		for (size_t j = 0; s->ops->keys != NULL && s->ops->keys[j] != NULL; j++)
			if (store_key(key, sizeof(key), uri->params[i].key) && strcmp(key, s->ops->keys[j]) == 0)
				out[n++] = uri->params[i].key;
	return n;
}

int
store_next_index(struct store *s, const char *dir, const char *ext, uint64_t *next, struct ml_err *err)
{
	char path[STORE_PATH_MAX + 32], *name, *end;
	struct ml_buf text = { 0 };
	uint64_t n, bytes;
	int rc;

	*next = 1;
	snprintf(path, sizeof(path), "%s/meta/CDC.index", dir);
	rc = s->ops->get(s, path, INDEX_MAX, &text, err);
	if (rc <= 0 || text.len == 0) {
		/* Nothing in it: cut short by a crash, and the probing from 1 on finds the place. */
		ml_buf_fini(&text);
		return rc < 0 ? -1 : 0;
	}
	name = text.data;
	name[strcspn(name, "\r\n")] = '\0';
	errno = 0;
	if (name[0] == '\0') {
		rc = 0;
	} else if (strncmp(name, "CDC", 3) != 0 || strspn(name + 3, "0123456789") < 6 ||
		   ((n = strtoull(name + 3, &end, 10)) == UINT64_MAX || errno != 0 || strcmp(end, ext) != 0)) {
		rc = ML_ERR(err, ErrStorageSinkInvalidFileName, 0, name);
	} else {
		snprintf(path, sizeof(path), "%s/%s", dir, name);
		rc = s->ops->stat(s, path, &bytes, err);
		*next = rc > 0 && bytes > 0 ? n + 1 : n;
	}
	ml_buf_fini(&text);
	return rc < 0 ? -1 : 0;
}

int
store_error(const struct store *s, const char *path, int lib, const char *why, struct ml_err *err)
{
	char full[STORE_PATH_MAX];

	snprintf(full, sizeof(full), "%s%s%s", s->name, path[0] != '\0' ? "/" : "", path);
	return ML_ERR(err, ErrStorageSinkSendFailed, lib, full, why);
}

static int
spool_error(const struct spool *f, struct ml_err *err)
{
	int e = errno;

	return ML_ERR(err, ErrStorageSinkSendFailed, e, f->tmp, strerror(e));
}

int
spool_open(struct spool *f, struct store *s, const char *dir, const char *ext, struct ml_err *err)
{
	bool made = f->tmp != NULL;

	if (f->fd >= 0 || s->ops->discards)
		return 0;
	if (!made) {
		struct ml_buf path = { 0 };

		if (s->ops->collect(s, dir, ext, &path, err) != 0) {
			ml_buf_fini(&path);
			return -1;
		}
		f->tmp = path.data;
	}
	f->fd = open(f->tmp, O_RDWR | O_APPEND | O_CLOEXEC | (made ? 0 : O_CREAT | O_EXCL), 0644);
	return f->fd >= 0 ? 0 : spool_error(f, err);
}

int
spool_write_out(struct spool *f, struct ml_err *err)
{
	if (spool_append(f, f->buf, f->len, err) != 0)
		return -1;
	f->len = 0;
	return 0;
}

int
spool_append(struct spool *f, const char *p, size_t n, struct ml_err *err)
{
	if (f->fd < 0)
		return 0; /* the store keeps nothing */
	return disk_write(f->fd, p, n) == 0 ? 0 : spool_error(f, err);
}

void
spool_fini(struct spool *f)
{
	if (f->fd >= 0)
		close(f->fd);
	if (f->tmp != NULL)
		unlink(f->tmp);
	free(f->tmp);
	free(f->buf);
	*f = (struct spool){ .fd = -1 };
}
