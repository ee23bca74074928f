#include "capture-worker/sink/storage/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/run/log.h"

#define DAY_S 86400
/* Longest wait for a run that is told to stop: the file system may hang. */
#define JOIN_MAX_S 2

struct cleanup {
	struct store *store;
	struct cron cron;
	uint32_t days;
	const struct ml_tz *tz;
	char *object;
	int64_t next_s; /* local second of the next run */
	pthread_t thread;
	bool started;    /* the thread was, and has not been joined */
	char before[16]; /* of the run that goes on */
	atomic_bool going, stop;
};

struct run {
	const char *before;
	const atomic_bool *stop;
	uint64_t removed, failed;
	int first_errno;
};

static void
note(struct run *r, int e)
{
	if (e == ENOENT)
		return; /* somebody else was faster */
	if (r->failed++ == 0)
		r->first_errno = e;
}

static bool
all_digits(const char *s)
{
	return s[0] != '\0' && s[strspn(s, "0123456789")] == '\0';
}

/* "2026-11-25", nothing before or behind. */
static bool
is_date(const char *s)
{
	static const char form[] = "dddd-dd-dd";

	for (size_t i = 0; i < sizeof(form); i++)
		if (form[i] == 'd' ? s[i] < '0' || s[i] > '9' : s[i] != form[i])
			return false;
	return true;
}

bool
cleanup_is_old(const char *path, const char *before)
{
	char part[32];

	/* As walk() does: databases and tables are any names, then a version and perhaps a partition, then the date. */
	for (int level = 0; level <= 4; level++) {
		size_t n = strcspn(path, "/");

		if (path[n] == '\0')
			return false;
		if (level >= 2) {
			if (n >= sizeof(part))
				return false;
			memcpy(part, path, n);
			part[n] = '\0';
			if (level >= 3 && is_date(part))
				return strcmp(part, before) < 0;
			if (!all_digits(part))
				return false;
		}
		path += n + 1;
	}
	return false;
}

/* The directory `name` in dir, not through a link; NULL if it is none or is gone. */
static DIR *
open_dir(struct run *r, int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d;

	if (fd < 0) {
		if (errno != ENOTDIR && errno != ELOOP)
			note(r, errno);
		return NULL;
	}
	d = fdopendir(fd);
	if (d == NULL)
		close(fd);
	return d;
}

/* Next name but "." and ".."; NULL at the end or when the run is to stop. */
static const char *
next_name(struct run *r, DIR *d)
{
	struct dirent *e;

	while (!atomic_load(r->stop) && (e = readdir(d)) != NULL)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			return e->d_name;
	return NULL;
}

static void
remove_dir(struct run *r, int dir, const char *name)
{
	if (unlinkat(dir, name, AT_REMOVEDIR) != 0 && errno != ENOTEMPTY && errno != EEXIST)
		note(r, errno);
}

/* Everything below dir/name, and it. */
static void
remove_tree(struct run *r, int dir, const char *name)
{
	DIR *d = open_dir(r, dir, name);
	const char *n;

	if (d == NULL)
		return;
	while ((n = next_name(r, d)) != NULL) {
		if (unlinkat(dirfd(d), n, 0) == 0)
			r->removed++;
		else if (errno == EISDIR)
			remove_tree(r, dirfd(d), n);
		else
			note(r, errno);
	}
	closedir(d);
	remove_dir(r, dir, name);
}

/*
 * Levels: 0 databases, 1 tables, 2 versions, 3 dates or the numbers of partitions, 4 dates of partitions.  A version or
 * partition that is left empty goes too; the others hold schema files.
 */
static void
walk(struct run *r, DIR *d, int level)
{
	const char *name;

	while ((name = next_name(r, d)) != NULL) {
		uint64_t before = r->removed;
		DIR *sub;

		if (level >= 3 && is_date(name)) {
			if (strcmp(name, r->before) < 0)
				remove_tree(r, dirfd(d), name);
			continue;
		}
		if (level > 3 || (level >= 2 && !all_digits(name)))
			continue;
		sub = open_dir(r, dirfd(d), name);
		if (sub == NULL)
			continue;
		walk(r, sub, level + 1);
		closedir(sub);
		if (level >= 2 && r->removed > before)
			remove_dir(r, dirfd(d), name);
	}
}

void
cleanup_run(const char *root, const char *before, const atomic_bool *stop, uint64_t *removed, uint64_t *failed,
	int *first_errno)
{
	struct run r = { .before = before, .stop = stop };
	DIR *d = open_dir(&r, AT_FDCWD, root);

	if (d != NULL) {
		walk(&r, d, 0);
		closedir(d);
	}
	*removed = r.removed;
	*failed = r.failed;
	*first_errno = r.first_errno;
}

static void *
thread_main(void *arg)
{
	struct cleanup *c = arg;
	struct store_expired x = { 0 };

	c->store->ops->expire(c->store, c->before, &c->stop, &x);
	if (x.failed > 0)
		ml_warn(c->object,
			"old files could not all be removed before=%s removed=%" PRIu64 " failed=%" PRIu64 " error=%s",
			c->before, x.removed, x.failed, x.why);
	else
		ml_info(c->object, "old files removed before=%s removed=%" PRIu64, c->before, x.removed);
	atomic_store(&c->going, false);
	return NULL;
}

static int64_t
local_second(const struct cleanup *c, uint64_t ms)
{
	int64_t s = (int64_t)(ms / 1000);

	return s + ml_tz_range_at(c->tz, s).offset_s;
}

void
cleanup_tick(struct cleanup *c, ml_ts checkpoint, uint64_t wall_ms)
{
	int64_t now;
	time_t day;
	struct tm tm;

	if (c == NULL || (now = local_second(c, wall_ms)) < c->next_s)
		return;
	c->next_s = cron_next(&c->cron, now);
	if (checkpoint == 0 || atomic_load(&c->going))
		return;
	if (c->started)
		pthread_join(c->thread, NULL);
	day = (time_t)(local_second(c, ml_ts_ms(checkpoint)) - (int64_t)c->days * DAY_S);
	gmtime_r(&day, &tm);
	strftime(c->before, sizeof(c->before), "%Y-%m-%d", &tm);
	atomic_store(&c->going, true);
	c->started = pthread_create(&c->thread, NULL, thread_main, c) == 0;
	if (c->started)
		pthread_setname_np(c->thread, "cleanup");
	else
		atomic_store(&c->going, false);
}

struct cleanup *
cleanup_new(const struct storage_options *o, const struct ml_tz *tz, const char *object, uint64_t wall_ms)
{
	struct cleanup *c;

	if (o->expire_days == 0 || o->date != STORAGE_DATE_DAY)
		return NULL;
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		abort();
	c->store = o->store;
	c->object = strdup(object);
	if (c->object == NULL)
		abort();
	c->cron = o->cleanup_cron;
	c->days = o->expire_days;
	c->tz = tz;
	c->next_s = cron_next(&c->cron, local_second(c, wall_ms));
	return c;
}

bool
cleanup_free(struct cleanup *c)
{
	struct timespec until;

	if (c == NULL)
		return true;
	atomic_store(&c->stop, true);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += JOIN_MAX_S;
	if (c->started && pthread_timedjoin_np(c->thread, NULL, &until) != 0) {
		pthread_detach(c->thread); /* stuck in the file system */
		return false;
	}
	free(c->object);
	free(c);
	return true;
}
