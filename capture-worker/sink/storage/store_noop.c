#include "capture-worker/sink/storage/store_noop.h"

#include <stdlib.h>
#include <string.h>

static int
make(struct store **out, const struct ml_sink_env *env, const struct ml_settings *st, struct ml_err *err)
{
	struct store *s = calloc(1, sizeof(*s));

	(void)env;
	(void)st;
	(void)err;
	if (s == NULL || (s->name = strdup("noop:/")) == NULL)
		abort();
	s->ops = &store_noop;
	*out = s;
	return 0;
}

static int
probe(struct store *s, struct ml_err *err)
{
	(void)s;
	(void)err;
	return 0;
}

static int
get(struct store *s, const char *path, size_t max, struct ml_buf *out, struct ml_err *err)
{
	(void)s;
	(void)path;
	(void)max;
	(void)out;
	(void)err;
	return 0;
}

static int
stat_file(struct store *s, const char *path, uint64_t *bytes, struct ml_err *err)
{
	(void)s;
	(void)path;
	(void)bytes;
	(void)err;
	return 0;
}

static int
list(struct store *s, const char *dir, store_list_fn *fn, void *arg, struct ml_err *err)
{
	(void)s;
	(void)dir;
	(void)fn;
	(void)arg;
	(void)err;
	return 0;
}

static int
put(struct store *s, const char *dir, const char *name, const char *text, size_t len, bool sync, struct ml_err *err)
{
	(void)s;
	(void)dir;
	(void)name;
	(void)text;
	(void)len;
	(void)sync;
	(void)err;
	return 0;
}

static int
prepare(struct store *s, const char *dir, struct ml_err *err)
{
	(void)s;
	(void)dir;
	(void)err;
	return 0;
}

static int
settle(struct store *s, struct spool *f, const char *dir, const char *ext, struct ml_err *err)
{
	(void)s;
	(void)f;
	(void)dir;
	(void)ext;
	(void)err;
	return 0;
}

static int
place(struct store *s, struct spool *f, const char *dir, const char *name, struct ml_err *err)
{
	(void)s;
	(void)f;
	(void)dir;
	(void)name;
	(void)err;
	return 0;
}

static void
expire(struct store *s, const char *before, const atomic_bool *stop, struct store_expired *x)
{
	(void)s;
	(void)before;
	(void)stop;
	(void)x;
}

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

const struct store_ops store_noop = {
	.schemes = { "noop" },
	.threads = 1,
	.discards = true,
	.make = make,
	.probe = probe,
	.get = get,
	.stat = stat_file,
	.list = list,
	.put = put,
	.prepare = prepare,
	.settle = settle,
	.place = place,
	.expire = expire,
	.stop = stop,
	.free = free_store,
};
