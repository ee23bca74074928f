/* probe.h - tries a changefeed's definition against the real upstream and the real sink, once, before it is accepted. */
#ifndef ML_WORKER_PROBE_H
#define ML_WORKER_PROBE_H
#include "proto/shard.pb-c.h"

/*
 * Runs the checks of the create operation (openapi.md 3.3, 5 to 16, in that order), or of an update (4 and 5 of 3.4's inner
 * checks: rules and sink).  Blocking.  r: initialised by the caller; its strings are malloc'ed; r->code is "" if all is well.
 */
void ml_probe_run(const Ml__Probe *probe, const Ml__ServerConfig *config, const char *object, Ml__ProbeResult *r);
#endif
