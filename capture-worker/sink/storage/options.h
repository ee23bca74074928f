/* options.h - the settings of a storage sink (sinks.md 1.6 and 1.10), checked; the storage itself is not touched here. */
#ifndef ML_WORKER_SINK_STORAGE_OPTIONS_H
#define ML_WORKER_SINK_STORAGE_OPTIONS_H
#include <stdbool.h>
#include <stdint.h>

#include "capture-worker/sink/sink.h"
#include "capture-worker/sink/storage/cron.h"
#include "capture-worker/sink/storage/store.h"

enum storage_date { STORAGE_DATE_NONE, STORAGE_DATE_YEAR, STORAGE_DATE_MONTH, STORAGE_DATE_DAY };

struct storage_options {
	struct store *store; /* made, not tried */
	char ext[8];         /* ".json" or ".csv" */
	uint64_t file_bytes;
	uint32_t flush_ms;
	uint32_t workers;
	enum storage_date date;
	int index_width; /* digits of a file's number */
	bool column_id;
	uint32_t expire_days; /* 0: files stay; otherwise only with dates by day */
	struct cron cleanup_cron;
};

/* Errors: ErrStorageSinkInvalidConfig, ErrSinkInvalidConfig, ErrSinkURIInvalid. */
int storage_options_init(struct storage_options *o, const struct ml_sink_env *env, struct ml_err *err);
void storage_options_fini(struct storage_options *o);
#endif
