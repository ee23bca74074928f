#include "common/run/statedir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void
path(char *buf, size_t size, const char *data_dir, const char *ns, const char *changefeed, uint32_t shard)
{
	snprintf(buf, size, "%s/shards/%s/%s-%u", data_dir, ns, changefeed, shard);
}

int
ml_state_dir_make(char *buf, size_t size, const char *data_dir, const char *ns, const char *changefeed, uint32_t shard,
	struct ml_err *err)
{
	path(buf, size, data_dir, ns, changefeed, shard);
	for (char *slash = buf + strlen(data_dir) + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
		*slash = '\0';
		(void)mkdir(buf, 0700); /* what is wrong shows at the last one */
		*slash = '/';
	}
	if (mkdir(buf, 0700) != 0 && errno != EEXIST)
		return ML_ERR(err, ErrDataDir, errno, buf, strerror(errno));
	return 0;
}

int
ml_state_dir_remove(const char *data_dir, const char *ns, const char *changefeed, uint32_t shard, struct ml_err *err)
{
	char buf[1024];
	struct dirent *e;
	DIR *d;

	path(buf, sizeof(buf), data_dir, ns, changefeed, shard);
	d = opendir(buf);
	if (d == NULL)
		return errno == ENOENT ? 0 : ML_ERR(err, ErrDataDir, errno, buf, strerror(errno));
	while ((e = readdir(d)) != NULL)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			(void)unlinkat(dirfd(d), e->d_name, 0);
	closedir(d);
	if (rmdir(buf) != 0 && errno != ENOENT)
		return ML_ERR(err, ErrDataDir, errno, buf, strerror(errno));
	return 0;
}
