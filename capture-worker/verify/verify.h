/* verify.h - the comparison as a whole: connections, tables of both sides, threads. */
#ifndef ML_WORKER_VERIFY_VERIFY_H
#define ML_WORKER_VERIFY_VERIFY_H
#include "capture-worker/verify/options.h"

/* 0: equal (or made so), 1: different, -1: err.  Blocking. */
int ml_vf_run(const struct ml_vf_options *o, struct ml_err *err);
#endif
