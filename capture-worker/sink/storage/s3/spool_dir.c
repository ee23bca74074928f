#include "capture-worker/sink/storage/s3/spool_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Folders in the spool are made by mkdtemp from this; nothing else there is touched. */
#define PREFIX "up-"

static void
empty(int fd)
{
	int again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = again >= 0 ? fdopendir(again) : NULL;

	if (d == NULL) {
		if (again >= 0)
			close(again);
		return;
	}
	for (struct dirent *e; (e = readdir(d)) != NULL;)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			unlinkat(fd, e->d_name, 0);
	closedir(d);
}

/* Removes the folders nobody holds; base is locked, so none is just being made. */
static void
sweep(int base)
{
	int again = openat(base, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = again >= 0 ? fdopendir(again) : NULL;

	if (d == NULL) {
		if (again >= 0)
			close(again);
		return;
	}
	for (struct dirent *e; (e = readdir(d)) != NULL;) {
		int fd;

		if (strncmp(e->d_name, PREFIX, strlen(PREFIX)) != 0)
			continue;
		fd = openat(base, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
			empty(fd);
			unlinkat(base, e->d_name, AT_REMOVEDIR);
		}
		close(fd);
	}
	closedir(d);
}

int
spool_dir_open(struct spool_dir *d, const char *data_dir, struct ml_err *err)
{
	const char *tmp = getenv("TMPDIR");
	char base[1000];
	int fd, e;

	*d = (struct spool_dir){ .fd = -1 };
	if (data_dir != NULL && data_dir[0] != '\0')
		snprintf(base, sizeof(base), "%.900s/spool", data_dir);
	else
		snprintf(base, sizeof(base), "%.900s/millrace-spool-%u", tmp != NULL && tmp[0] != '\0' ? tmp : "/tmp",
			(unsigned)getuid());
	if (mkdir(base, 0700) != 0 && errno != EEXIST)
		return ML_ERR(err, ErrStorageSinkSendFailed, errno, base, strerror(errno));
	fd = open(base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || flock(fd, LOCK_EX) != 0)
		goto fail;
	sweep(fd);
	snprintf(d->path, sizeof(d->path), "%s/" PREFIX "XXXXXX", base);
	if (mkdtemp(d->path) == NULL)
		goto fail;
	d->fd = open(d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->fd < 0 || flock(d->fd, LOCK_EX) != 0) {
		e = errno;
		spool_dir_close(d);
		errno = e;
		goto fail;
	}
	close(fd);
	return 0;
fail:
	e = errno;
	if (fd >= 0)
		close(fd);
	return ML_ERR(err, ErrStorageSinkSendFailed, e, base, strerror(e));
}

void
spool_dir_close(struct spool_dir *d)
{
	if (d->fd < 0)
		return;
	empty(d->fd);
	rmdir(d->path);
	close(d->fd);
	d->fd = -1;
}
