/*
 * options.h - command line of `millrace verify`.
 *
 * A password may come in a URI, but is better kept out of the command line: MILLRACE_UPSTREAM_PASSWORD and
 * MILLRACE_DOWNSTREAM_PASSWORD, or a file.  What was in the command line is overwritten there as soon as it is read.
 */
#ifndef ML_WORKER_VERIFY_OPTIONS_H
#define ML_WORKER_VERIFY_OPTIONS_H
#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"

enum ml_vf_hash { ML_VF_CRC32, ML_VF_MD5 };

enum ml_vf_side { ML_VF_UP, ML_VF_DOWN };

struct ml_vf_options {
	const char *uri[2]; /* by enum ml_vf_side */
	char *password[2];  /* NULL: that of the uri; malloc'ed */
	char **rules;       /* of the table filter; malloc'ed array, the texts are argv's */
	size_t n_rules;
	bool case_sensitive;
	uint32_t threads;    /* each with a connection to either side */
	uint32_t chunk_rows; /* rows a checksum is to cover */
	uint32_t settle_ms;  /* how long a difference may last before it counts */
	uint32_t max_listed; /* differences shown for a table */
	enum ml_vf_hash hash;
	bool repair, json, progress;
};

/*
 * 0: go on; 1: --help was answered, leave with 0; -1: err (ErrConfigInvalid) says what is wrong.  Free with
 * ml_vf_options_fini in every case.
 */
int ml_vf_options_read(struct ml_vf_options *o, int argc, char **argv, struct ml_err *err);
void ml_vf_options_fini(struct ml_vf_options *o);
#endif
