/* options.h - the settings of an object store (sinks.md 1.10), checked, from the sink uri; nothing is connected to. */
#ifndef ML_WORKER_SINK_STORAGE_S3_OPTIONS_H
#define ML_WORKER_SINK_STORAGE_S3_OPTIONS_H
#include <stdbool.h>
#include <stddef.h>

#include "common/base/err.h"
#include "common/text/uri.h"

struct s3_options {
	bool gcs; /* Google's endpoint that speaks S3 */
	char *bucket;
	char *prefix; /* of all keys: "" or "a/b/" */
	bool tls;
	char *host;      /* "minio:9000"; NULL: AWS, by region */
	char *base;      /* path of the endpoint: "" or "/s3" */
	bool path_style; /* the bucket stands in the path, else in front of the host */
	bool accelerate;
	char *region;                                     /* NULL: not given */
	char *access_key, *secret_key, *session_token;    /* NULL: not given */
	bool instance_role;                               /* ask the machine's metadata service for credentials */
	char *storage_class, *sse, *sse_kms_key_id, *acl; /* NULL: not given */
};

extern const char *const s3_keys[]; /* of s3 uris */
extern const char *const gcs_keys[];

/* ErrStorageSinkInvalidConfig; its text holds no value that may be a secret. */
int s3_options_init(struct s3_options *o, const struct ml_uri *uri, const char *object, struct ml_err *err);
void s3_options_fini(struct s3_options *o);
#endif
