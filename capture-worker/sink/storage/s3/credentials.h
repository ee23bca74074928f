/*
 * credentials.h - with which key requests are signed: the sink uri's, else the environment's, else the profile's of the
 * credentials file, else, if the options allow it, the machine's role.  GCS: the uri's only.
 */
#ifndef ML_WORKER_SINK_STORAGE_S3_CREDENTIALS_H
#define ML_WORKER_SINK_STORAGE_S3_CREDENTIALS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capture-worker/sink/storage/s3/options.h"
#include "common/base/err.h"

struct s3_credentials {
	char access[256], secret[256], token[8192]; /* token: "" for none */
	int64_t expires_s;                          /* Unix time; 0: never */
};

/* Looks a variable up as getenv does; tests have their own. */
typedef const char *s3_getenv_fn(const char *name);

/*
 * ErrFailToCreateExternalStorage if there are none.  *role: they are to be had from the machine's role, with
 * s3_credentials_fetch; nothing is set then.
 */
int s3_credentials_find(
	struct s3_credentials *c, bool *role, const struct s3_options *o, s3_getenv_fn *env, struct ml_err *err);
/* Asks the metadata service of the machine; takes seconds where there is none.  ErrFailToCreateExternalStorage. */
int s3_credentials_fetch(struct s3_credentials *c, s3_getenv_fn *env, struct ml_err *err);
/* The answer of that service, a JSON text; false if it is none. */
bool s3_credentials_parse(struct s3_credentials *c, const char *text, size_t len);
/*
 * The region: of the options, the environment, the configuration file; "us-east-1".  True if it was given: then it is not to
 * be guessed.
 */
bool s3_region_find(char *out, size_t size, const struct s3_options *o, s3_getenv_fn *env);
/*
 * The value of key in a section of an AWS credentials or configuration file's text; section "default" or the profile's name,
 * which a configuration file writes as "profile x".  False if there is none or it does not fit.
 */
bool s3_profile_get(const char *text, size_t len, const char *section, const char *key, char *out, size_t size);
#endif
