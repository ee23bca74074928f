/*
 * report.h - what the user sees: a line a table on stdout (or a JSON object a line), the rows that differ below it, a summary,
 * and a line of progress on stderr.
 */
#ifndef ML_WORKER_VERIFY_REPORT_H
#define ML_WORKER_VERIFY_REPORT_H
#include "capture-worker/verify/job.h"

struct ml_vf_report {
	bool json, progress;
	uint32_t max_listed;
	uint64_t started_ms;
	pthread_mutex_t lock;
	bool shown; /* a line of progress stands on the terminal */
	uint64_t tables, equal, rows, differences;
};

void ml_vf_report_init(struct ml_vf_report *r, const struct ml_vf_options *o);
void ml_vf_report_fini(struct ml_vf_report *r);
/* One table is finished; c fetches the values that differ.  From any thread. */
int ml_vf_report_table(struct ml_vf_report *r, const struct ml_vf_job *j, struct ml_vf_conns *c, struct ml_err *err);
/* rows of estimate are compared; tables of n_tables are finished. */
void ml_vf_report_progress(
	struct ml_vf_report *r, uint64_t rows, uint64_t estimate, uint64_t tables, uint64_t n_tables);
void ml_vf_report_end(struct ml_vf_report *r);
#endif
