/*
 * options.h - flags and file of the server: one table (options.c), one struct of resolved values.  The only reader of
 * configuration; children get the result with their Welcome.
 */
#ifndef ML_SUPERVISOR_OPTIONS_H
#define ML_SUPERVISOR_OPTIONS_H
#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/text/conf.h"
#include "proto/process.pb-c.h"

enum ml_run_mode {
	ML_RUN_SERVER,
	ML_RUN_CHECK, /* -n: say whether the configuration is good */
	ML_RUN_PRINT, /* -nv: print it as TOML */
	ML_RUN_HELP,
	ML_RUN_DOC, /* --print-config-doc: docs/config.md */
};

struct ml_options {
	enum ml_run_mode mode;

	/* Values of the table in options.c; texts are never NULL. */
	char *addr, *advertise_addr, *log_file, *log_level, *log_error_output, *data_dir, *tz, *cluster_id;
	int64_t log_max_size, log_max_days, log_max_backups, gc_ttl_s, session_ttl_s, gc_tuner;
	int64_t owner_flush_ns, processor_flush_ns, grace_ns;
	int64_t sorter_cache_mb;
	char *ca, *cert, *key;
	struct ml_texts cert_allowed_cn, client_allowed_user;
	bool mtls, client_user_required;
	bool kv_multiplexing;
	int64_t kv_worker_concurrent, kv_stream_concurrent, kv_advance_ms, kv_frontier, kv_pool, kv_scan_limit,
		kv_retry_ns;
	char *pd, *upstream_uri, *upstream_password_file, *upstream_ssl_ca, *upstream_ssl_cert, *upstream_ssl_key;
	bool upstream_ssl_verify;
	int64_t upstream_server_id, worker_memory_quota;
	char *metastore, *user, *config;

	char *upstream_password; /* taken out of the URI, the file or the environment; never printed; NULL: none */
	struct ml_buf warnings;  /* one per line */
	bool default_data_dir;   /* none was given */
};

/*
 * Flags, then the file they name, then checks of the whole.  A password in --upstream is overwritten in argv, and
 * MILLRACE_UPSTREAM_PASSWORD in the environment, before anything else is looked at.  -1: err; o is to be given back all the same.
 */
int ml_options_read(struct ml_options *o, int argc, char **argv, struct ml_err *err);
void ml_options_fini(struct ml_options *o);
/* Text behind "Usage:". */
void ml_options_usage(struct ml_buf *out);
void ml_options_doc(struct ml_buf *out);
void ml_options_print(const struct ml_options *o, struct ml_buf *out);
/*
 * Fills what comes from the options; texts and lists are o's, *json gets the text of config_json and must live as long.
 * capture_id, pid and start time are left to the caller.
 */
void ml_options_config(
	const struct ml_options *o, Ml__ServerConfig *config, Ml__Upstream *upstream, struct ml_buf *json);
#endif
