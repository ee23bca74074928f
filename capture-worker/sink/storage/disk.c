#include "capture-worker/sink/storage/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LEFTOVER_AGE_S (24 * 60 * 60)
#define TMP ".tmp."
#define MARK_MASK 0xffffffffffffull

static _Atomic uint64_t mark; /* of the owner; 0: none was named */
static uint32_t run;          /* of this process */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static int
failed(const char *path, int e, struct ml_err *err)
{
	return ML_ERR(err, ErrStorageSinkSendFailed, e, path, strerror(e));
}

void
disk_escape(struct ml_buf *out, const char *name, size_t len)
{
	if (len <= 2 && strncmp(name, "..", len) == 0 && len > 0) {
		ml_buf_puts(out, len == 1 ? "%2E" : "%2E%2E");
		return;
	}
	for (size_t i = 0; i < len; i++)
		if (name[i] == '/')
			ml_buf_puts(out, "%2F");
		else
			ml_buf_putc(out, name[i]);
}

int
disk_sync_dir(const char *path, struct ml_err *err)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;

	if (fd < 0)
		return failed(path, errno, err);
	rc = fsync(fd) == 0 || errno == EINVAL ? 0 : failed(path, errno, err); /* EINVAL: a file system without it */
	close(fd);
	return rc;
}

int
disk_make_dirs(const char *path, struct ml_err *err)
{
	char parent[DISK_PATH_MAX];
	size_t n = strlen(path);
	struct stat st;

	if (n == 0 || n >= sizeof(parent))
		return failed(path, ENAMETOOLONG, err);
	memcpy(parent, path, n + 1);
	while (n > 0 && parent[n - 1] != '/')
		n--;
	while (n > 1 && parent[n - 1] == '/')
		n--;
	parent[n] = '\0';
	if (mkdir(path, 0777) != 0) {
		if (errno == EEXIST)
			return stat(path, &st) == 0 && S_ISDIR(st.st_mode) ? 0 : failed(path, ENOTDIR, err);
		if (errno != ENOENT || n == 0)
			return failed(path, errno, err);
		/* A clean-up may take the empty parent away again before there is something in it. */
		for (int tries = 0;; tries++) {
			if (disk_make_dirs(parent, err) != 0)
				return -1;
			if (mkdir(path, 0777) == 0 || errno == EEXIST)
				break;
			if (errno != ENOENT || tries == 3)
				return failed(path, errno, err);
		}
	}
	return n > 0 ? disk_sync_dir(parent, err) : 0;
}

/* FNV-1a. */
void
disk_own(const char *owner)
{
	uint64_t h = 14695981039346656037ull;

	for (; *owner != '\0'; owner++)
		h = (h ^ (uint8_t)*owner) * 1099511628211ull;
	h = (h ^ h >> 48) & MARK_MASK;
	atomic_store(&mark, h != 0 ? h : 1);
}

static uint64_t
random_number(void)
{
	uint64_t r;

	if (getrandom(&r, sizeof(r), 0) != (ssize_t)sizeof(r))
		abort();
	return r;
}

static void
make_run(void)
{
	run = (uint32_t)random_number();
}

/* Version 4 by its form; with an owner the first word is the run's and the last one the owner's. */
void
disk_tmp_name(char *out, size_t size, const char *name)
{
	uint64_t r = random_number(), owner = atomic_load(&mark),
		 node = owner != 0 ? owner : random_number() & MARK_MASK;
	uint32_t first = (uint32_t)random_number();

	pthread_once(&once, make_run);
	if (owner != 0)
		first = run;
	snprintf(out, size, "%s" TMP "%08x-%04x-4%03x-%04x-%012" PRIx64, name, first, (unsigned)(r & 0xffff),
		(unsigned)(r >> 16 & 0xfff), (unsigned)(0x8000 | (r >> 32 & 0x3fff)), node);
}

/* Is it a temporary file of the same owner's earlier run? */
static bool
is_own_leftover(const char *tmp)
{
	uint64_t owner = atomic_load(&mark);
	char first[16], node[16];

	if (owner == 0 || strlen(tmp) != strlen(TMP) + 36)
		return false;
	pthread_once(&once, make_run);
	snprintf(first, sizeof(first), "%08x", run);
	snprintf(node, sizeof(node), "%012" PRIx64, owner);
	return strcmp(tmp + strlen(TMP) + 24, node) == 0 && memcmp(tmp + strlen(TMP), first, 8) != 0;
}

int
disk_write(int fd, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t w = write(fd, p, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return -1;
		p += w;
		n -= (size_t)w;
	}
	return 0;
}

int
disk_put(const char *dir, const char *name, const char *text, size_t len, bool sync, struct ml_err *err)
{
	char tmp[DISK_PATH_MAX], final[DISK_PATH_MAX], tmp_name[512];
	int fd, e;

	disk_tmp_name(tmp_name, sizeof(tmp_name), name);
	if (snprintf(tmp, sizeof(tmp), "%s/%s", dir, tmp_name) >= (int)sizeof(tmp))
		return failed(dir, ENAMETOOLONG, err);
	snprintf(final, sizeof(final), "%s/%s", dir, name);
	fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return failed(tmp, errno, err);
	if (disk_write(fd, text, len) != 0 || (sync && fsync(fd) != 0)) {
		e = errno;
		close(fd);
		unlink(tmp);
		return failed(final, e, err);
	}
	close(fd);
	if (rename(tmp, final) != 0) {
		e = errno;
		unlink(tmp);
		return failed(final, e, err);
	}
	return sync ? disk_sync_dir(dir, err) : 0;
}

int
disk_rename_new(const char *from, const char *to, struct ml_err *err)
{
	struct stat st;

	if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EEXIST && errno != EINVAL && errno != ENOSYS)
		return failed(to, errno, err);
	/* An empty file has no rows and is used again; and a file system without RENAME_NOREPLACE needs a look. */
	if (stat(to, &st) == 0 && st.st_size > 0)
		return 1;
	return rename(from, to) == 0 ? 0 : failed(to, errno, err);
}

void
disk_sweep(const char *dir)
{
	DIR *d = opendir(dir);
	time_t old = time(NULL) - LEFTOVER_AGE_S;

	if (d == NULL)
		return;
	for (struct dirent *e; (e = readdir(d)) != NULL;) {
		const char *tmp = strstr(e->d_name, TMP);
		struct stat st;

		if (tmp != NULL && fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
			(st.st_mtime < old || is_own_leftover(tmp)))
			unlinkat(dirfd(d), e->d_name, 0);
	}
	closedir(d);
}
