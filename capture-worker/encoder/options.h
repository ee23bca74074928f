/*
 * options.h - what a changefeed's settings say to the encoders: the sink uri's query, then `sink_config`, then the default
 * (protocols.md 4.8).  A key that is present in the uri wins, whatever its value.
 */
#ifndef ML_WORKER_ENCODER_OPTIONS_H
#define ML_WORKER_ENCODER_OPTIONS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capture-worker/encoder/encoder.h"

/* `[sink.csv]` (protocols.md 10.2). */
struct ml_csv_opts {
	char delimiter[4];     /* the fourth byte is there to be copied along */
	uint8_t delimiter_len; /* 1 to 3 */
	char quote;            /* NUL: none, strings are escaped */
	bool hex;              /* binary strings in hex, else base64 */
	bool commit_ts;        /* include-commit-ts */
	bool old_value;        /* output-old-value */
	bool handle_key;       /* output-handle-key */
	char *null;            /* text of NULL; heap, NUL-terminated */
};

struct ml_encoder_opts {
	bool tidb_extension;      /* enable-tidb-extension */
	bool only_updated;        /* only-output-updated-columns, also when content_compatible is set */
	bool content_compatible;  /* content-compatible */
	bool delete_handle_only;  /* delete-only-output-handle-key-columns */
	bool open_old_value;      /* open.output-old-value */
	bool debezium_old_value;  /* debezium.output-old-value */
	bool debezium_no_schema;  /* debezium-disable-schema */
	uint32_t max_batch_size;  /* rows per message, > 0 */
	size_t max_message_bytes; /* bytes of Length (protocols.md 4.2), the lower of env's and the configured value */
	struct ml_csv_opts csv;   /* for storage only; its defaults elsewhere */
	char *terminator;         /* of a row in storage; heap, may hold any bytes */
	size_t terminator_len;
};

/*
 * Reads them all; what a protocol has no use for it ignores.  ErrCodecInvalidConfig: a value of the wrong type or out of its
 * range, or delete-only-output-handle-key-columns with force_replicate. 
 * ErrSinkInvalidConfig: a bad csv section, looked at only
 * for storage.  opts is yours to fini after 0.
 */
int ml_encoder_opts_read(struct ml_encoder_opts *opts, const struct ml_encoder_env *env, struct ml_err *err);
void ml_encoder_opts_fini(struct ml_encoder_opts *opts);

/* Of avro (protocols.md 8). */
struct ml_avro_opts {
	char *registry;    /* URL of the schema registry, as given; heap */
	bool decimal_text; /* avro-decimal-handling-mode=string */
	bool bigint_text;  /* avro-bigint-unsigned-handling-mode=string */
	bool watermark;    /* avro-enable-watermark, for tests of consumers */
	bool checksum;     /* integrity-check-level=correctness */
};

/*
 * ErrCodecInvalidConfig: no schema registry, a Glue one, an unknown mode, or force_replicate.  ErrInvalidReplicaConfig: both
 * registries.  opts is yours to fini, also after an error.
 */
int ml_avro_opts_read(struct ml_avro_opts *opts, const struct ml_encoder_env *env, struct ml_err *err);
void ml_avro_opts_fini(struct ml_avro_opts *opts);

/* Of simple (protocols.md 12). */
struct ml_simple_opts {
	bool avro;                    /* encoding-format=avro */
	bool bootstrap_all;           /* send-bootstrap-to-all-partition */
	int64_t bootstrap_interval_s; /* send-bootstrap-interval-in-sec; 0 or less: no BOOTSTRAP messages */
	int64_t bootstrap_rows;       /* send-bootstrap-in-msg-count; the same */
	bool bootstrap_at_start;      /* send-all-bootstrap-at-start */
};

/* ErrCodecInvalidConfig: an unknown encoding, or a value of the wrong type. */
int ml_simple_opts_read(struct ml_simple_opts *opts, const struct ml_encoder_env *env, struct ml_err *err);

/*
 * output-raw-change-event of kafka-config (or of cloud-storage-config if storage): true switches the splitting of UPDATEs off.
 * It stands in sink_config only.  ErrCodecInvalidConfig.
 */
int ml_encoder_raw_change_event(const Ml__ChangefeedSpec *spec, bool storage, bool *raw, struct ml_err *err);
#endif
