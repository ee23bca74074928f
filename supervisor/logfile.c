#include "supervisor/logfile.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/run/log.h"

#define DEFAULT_MIB 300
/* Beyond these a limit is none; they keep the arithmetic within 64 bits. */
#define MIB_MAX (1ll << 40)
#define DAYS_MAX 1000000

#define STAMP "2006-01-02T15-04-05.000"
#define STAMP_LEN (sizeof(STAMP) - 1)

struct ml_logfile {
	char *path, *dir;
	const char *base, *ext; /* parts of path; ext is "" or begins with the last dot of base */
	uint64_t max_bytes;
	int64_t max_days, max_backups;
};

struct ml_logfile *
ml_logfile_new(const char *path, int64_t max_mib, int64_t max_days, int64_t max_backups)
{
	struct ml_logfile *lf = calloc(1, sizeof(*lf));
	const char *slash, *dot;

	if (lf == NULL || (lf->path = strdup(path)) == NULL)
		abort();
	slash = strrchr(lf->path, '/');
	lf->base = slash != NULL ? slash + 1 : lf->path;
	lf->dir = slash == NULL       ? strdup(".")
		  : slash == lf->path ? strdup("/")
				      : strndup(lf->path, (size_t)(slash - lf->path));
	if (lf->dir == NULL)
		abort();
	dot = strrchr(lf->base, '.');
	lf->ext = dot != NULL ? dot : lf->base + strlen(lf->base);
	if (max_mib == 0)
		max_mib = DEFAULT_MIB;
	lf->max_bytes = (uint64_t)(max_mib < MIB_MAX ? max_mib : MIB_MAX) << 20;
	lf->max_days = max_days < DAYS_MAX ? max_days : DAYS_MAX;
	lf->max_backups = max_backups;
	return lf;
}

void
ml_logfile_free(struct ml_logfile *lf)
{
	if (lf == NULL)
		return;
	free(lf->path);
	free(lf->dir);
	free(lf);
}

bool
ml_logfile_due(const struct ml_logfile *lf, int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size >= lf->max_bytes;
}

int
ml_logfile_rotate(const struct ml_logfile *lf, struct timespec now, int *fd, struct ml_err *err)
{
	char old[PATH_MAX], stamp[32];
	struct stat st;
	struct tm tm;
	int n, new_fd;

	localtime_r(&now.tv_sec, &tm);
	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H-%M-%S", &tm);
	n = snprintf(old, sizeof(old), "%.*s-%s.%03d%s", (int)(lf->ext - lf->path), lf->path, stamp,
		(int)(now.tv_nsec / 1000000), lf->ext);
	if (n < 0 || (size_t)n >= sizeof(old))
		return ML_ERRF(err, ErrIO, ENAMETOOLONG, "%s: %s", lf->path, strerror(ENAMETOOLONG));
	/* A file that stands there already must not be lost. */
	if (lstat(old, &st) == 0)
		return ML_ERRF(err, ErrIO, EEXIST, "%s: %s", old, strerror(EEXIST));
	if (rename(lf->path, old) != 0)
		return ML_ERRF(err, ErrIO, errno, "%s: %s", lf->path, strerror(errno));
	new_fd = open(lf->path, O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
	if (new_fd < 0) {
		ML_ERRF(err, ErrIO, errno, "%s: %s", lf->path, strerror(errno));
		(void)rename(old, lf->path);
		return -1;
	}
	(void)fchmod(new_fd, 0640); /* as the first one, whatever the umask is */
	*fd = new_fd;
	return 0;
}

/* Is it the name of one of our old files?  Its time, by the local clock. */
static bool
is_old(const struct ml_logfile *lf, const char *name, time_t *when)
{
	size_t stem = (size_t)(lf->ext - lf->base), ext = strlen(lf->ext);
	struct tm tm = { .tm_isdst = -1 };
	const char *stamp;

	if (strlen(name) != stem + 1 + STAMP_LEN + ext || memcmp(name, lf->base, stem) != 0 || name[stem] != '-' ||
		strcmp(name + stem + 1 + STAMP_LEN, lf->ext) != 0)
		return false;
	stamp = name + stem + 1;
	for (size_t i = 0; i < STAMP_LEN; i++)
		if (isdigit((unsigned char)STAMP[i]) ? !isdigit((unsigned char)stamp[i]) : stamp[i] != STAMP[i])
			return false;
	tm.tm_year = atoi(stamp) - 1900;
	tm.tm_mon = atoi(stamp + 5) - 1;
	tm.tm_mday = atoi(stamp + 8);
	tm.tm_hour = atoi(stamp + 11);
	tm.tm_min = atoi(stamp + 14);
	tm.tm_sec = atoi(stamp + 17);
	*when = mktime(&tm);
	return *when != (time_t)-1;
}

/* The newest first: names sort as their times do. */
static int
newest_first(const void *a, const void *b)
{
	return strcmp(*(char *const *)b, *(char *const *)a);
}

static void
remove_old(const struct ml_logfile *lf, const char *name)
{
	char path[PATH_MAX];

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", lf->dir, name) < sizeof(path) && unlink(path) != 0 &&
		errno != ENOENT)
		ml_warn("-", "an old log cannot be removed path=%s: %s", path, strerror(errno));
}

void
ml_logfile_clean(const struct ml_logfile *lf, time_t now)
{
	char **names = NULL;
	size_t n = 0, cap = 0, kept = 0;
	struct dirent *e;
	time_t when;
	DIR *d;

	if ((lf->max_days == 0 && lf->max_backups == 0) || (d = opendir(lf->dir)) == NULL)
		return;
	while ((e = readdir(d)) != NULL) {
		if (!is_old(lf, e->d_name, &when))
			continue;
		if (n == cap) {
			cap = cap > 0 ? cap * 2 : 16;
			names = reallocarray(names, cap, sizeof(*names));
			if (names == NULL)
				abort();
		}
		names[n] = strdup(e->d_name);
		if (names[n++] == NULL)
			abort();
	}
	closedir(d);
	if (n > 0)
		qsort(names, n, sizeof(*names), newest_first);
	for (size_t i = 0; i < n; i++) {
		bool late = lf->max_days > 0 && is_old(lf, names[i], &when) && when < now - lf->max_days * 86400;

		if (late || (lf->max_backups > 0 && kept >= (uint64_t)lf->max_backups))
			remove_old(lf, names[i]);
		else
			kept++;
		free(names[i]);
	}
	free(names);
}
