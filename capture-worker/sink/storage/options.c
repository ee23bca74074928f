#include "capture-worker/sink/storage/options.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "capture-worker/sink/settings.h"
#include "common/run/log.h"
#include "common/text/uri.h"

/* Some three centuries: a date this far back is before all data, and still a date. */
#define EXPIRE_DAYS_MAX 100000

static const char *const known[] = {
	"protocol",
	"transaction-atomicity",
	"worker-count",
	"flush-interval",
	"file-size",
	"flush-concurrency",
	"enable-tidb-extension",
	"only-output-updated-columns",
	"content-compatible",
	NULL,
};

static int64_t
clamped(int64_t v, int64_t lo, int64_t hi, const char *name, const char *object)
{
	int64_t c = v < lo ? lo : v > hi ? hi : v;

	if (c != v)
		ml_warn(object, "%s is out of range, the bound is used given=%lld used=%lld", name, (long long)v,
			(long long)c);
	return c;
}

static int
read_date(struct storage_options *o, const struct ml_settings *st, struct ml_err *err)
{
	static const char *const names[] = { "none", "year", "month", "day" };
	const char *name = "day";

	if (ml_settings_top_str(st, "date-separator", &name, err) < 0)
		return -1;
	if (name[0] == '\0')
		name = "day";
	for (int i = 0; i < 4; i++)
		if (strcasecmp(names[i], name) == 0) {
			o->date = (enum storage_date)i;
			return 0;
		}
	ML_ERR(err, ErrStorageSinkInvalidDateSeparator, 0, name);
	return ml_err_wrap(err, ML_ErrSinkInvalidConfig, "sink config invalid");
}

/* file-expiration-days and when to look (sinks.md 4.9). */
static int
read_expiration(struct storage_options *o, const struct ml_settings *st, const char *object, struct ml_err *err)
{
	const char *spec = "", *why;
	int64_t days = 0;

	if (ml_settings_int(st, "file-expiration-days", &days, err) < 0 ||
		ml_settings_str(st, "file-cleanup-cron-spec", &spec, err) < 0)
		return -1;
	why = cron_parse(&o->cleanup_cron, spec[0] != '\0' ? spec : "0 0 2 * * *");
	if (why != NULL)
		return ML_ERRF(err, ErrStorageSinkInvalidConfig, 0,
			"storage sink config invalid: file-cleanup-cron-spec: %s", why);
	o->expire_days = days <= 0 ? 0 : days > EXPIRE_DAYS_MAX ? EXPIRE_DAYS_MAX : (uint32_t)days;
	if (o->expire_days > 0 && o->date != STORAGE_DATE_DAY)
		ml_warn(object, "file-expiration-days has no effect without date-separator day: old files stay");
	return 0;
}

static void
warn_unknown(const struct storage_options *o, const struct ml_sink_env *env, const struct ml_settings *st)
{
	size_t n = sizeof(known) / sizeof(known[0]) - 1;
	const char **all = calloc(n + env->uri->n_params + 1, sizeof(*all));

	if (all == NULL)
		abort();
	memcpy(all, known, n * sizeof(*all));
	store_known_keys(o->store, env->uri, all + n);
	ml_settings_unknown(st, all, env->object);
	free(all);
}

static int
read_all(struct storage_options *o, const struct ml_sink_env *env, const struct ml_settings *st, struct ml_err *err)
{
	int64_t workers = 16, bytes = 64 << 20, flush_ms = 5000, width = 0, concurrency = 1;
	bool partitions;

	if (ml_settings_atomicity(st, true, err) != 0 || store_make(&o->store, env, st, err) != 0)
		return -1;
	if (ml_settings_int(st, "worker-count", &workers, err) < 0)
		return -1;
	if (workers <= 0)
		return ML_ERR(err, ErrStorageSinkInvalidConfig, 0, "invalid worker-count, it must be greater than 0");
	if (ml_settings_int(st, "file-size", &bytes, err) < 0 ||
		/* A file is written, or goes up, by one thread; a wrong type is one all the same. */
		ml_settings_int(st, "flush-concurrency", &concurrency, err) < 0 ||
		ml_settings_duration_ms(st, "flush-interval", &flush_ms, err) < 0 ||
		ml_settings_bool(st, "output-column-id", &o->column_id, err) < 0 || read_date(o, st, err) != 0 ||
		ml_settings_top_int(st, "file-index-digit", &width, err) < 0 ||
		/* A binary log does not tell partitions, so there is nothing to separate; a wrong type is one all the same. */
		ml_settings_top_bool(st, "enable-partition-separator", &partitions, err) < 0 ||
		read_expiration(o, st, env->object, err) != 0)
		return -1;
	o->workers = (uint32_t)clamped(workers, 1, 512, "worker-count", env->object);
	o->file_bytes = (uint64_t)clamped(bytes, 1 << 20, 512 << 20, "file-size", env->object);
	o->flush_ms = (uint32_t)clamped(flush_ms, 2000, 600000, "flush-interval (ms)", env->object);
	o->index_width = width >= 6 && width <= 20 ? (int)width : 20;
	strcpy(o->ext, env->protocol != NULL && strcmp(env->protocol, "csv") == 0 ? ".csv" : ".json");
	warn_unknown(o, env, st);
	return 0;
}

int
storage_options_init(struct storage_options *o, const struct ml_sink_env *env, struct ml_err *err)
{
	struct ml_settings st;
	int rc;

	*o = (struct storage_options){ 0 };
	if (ml_settings_init(&st, env, "cloud-storage-config", ML_ErrStorageSinkInvalidConfig, err) != 0)
		return -1;
	rc = read_all(o, env, &st, err);
	ml_settings_fini(&st);
	if (rc != 0)
		storage_options_fini(o);
	return rc;
}

void
storage_options_fini(struct storage_options *o)
{
	store_free(o->store);
	*o = (struct storage_options){ 0 };
}
