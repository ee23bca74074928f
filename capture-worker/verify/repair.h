/*
 * repair.h - whole rows of both sides: to show what differs in them, and to make the copy's row that of the source.
 */
#ifndef ML_WORKER_VERIFY_REPAIR_H
#define ML_WORKER_VERIFY_REPAIR_H
#include "capture-worker/verify/job.h"

/* Appends what differs in a row: "name: 'a' upstream, 'b' downstream; ..."; of a row that one side lacks, nothing. */
int ml_vf_describe(struct ml_vf_conns *c, const struct ml_vf_pair *p, const struct ml_vf_diff *d, struct ml_buf *out,
	struct ml_err *err);
/*
 * Rows that the source lacks are deleted, then the others are written with REPLACE.  Rows that are equal afterwards leave
 * j->diffs and count in j->repaired.  A table without a key is left alone.
 */
int ml_vf_repair(struct ml_vf_job *j, struct ml_vf_conns *c, struct ml_err *err);
#endif
