/* options.h - the settings of the initial copy, from a changefeed's replica configuration (docs/snapshot.md). */
#ifndef ML_WORKER_SOURCE_MYSQL_SNAPSHOT_OPTIONS_H
#define ML_WORKER_SOURCE_MYSQL_SNAPSHOT_OPTIONS_H
#include <stdbool.h>
#include <stdint.h>

#define ML_COPY_MAX_THREADS 64

enum ml_copy_method { ML_COPY_NONE, ML_COPY_INCREMENTAL, ML_COPY_LOCKED };

struct ml_copy_options {
	enum ml_copy_method method;
	uint32_t threads;
	uint64_t chunk_rows;
	uint64_t rows_per_second; /* 0: as fast as it goes */
	bool create_tables;       /* where the sink has tables of its own */
};

/* json: stored settings, checked already ("": none). */
void ml_copy_options_read(struct ml_copy_options *o, const char *json);
#endif
