/*
 * probe.h - checks that need an upstream or a sink: a capture-worker in probe role makes them and dies.  At most
 * ML_PROBE_MAX at a time; further ones wait.
 */
#ifndef ML_API_GATEWAY_COORD_PROBE_H
#define ML_API_GATEWAY_COORD_PROBE_H
#include "api-gateway/coord/coord.h"

/* openapi.md 4.0 and 12: a dead upstream or sink must be answered within 30 s. */
#define ML_PROBE_DEADLINE_MS 30000u
/* A probe is a process that may open a Kafka client; more at once would only slow each other down. */
#define ML_PROBE_MAX 8u

/* r: the result, borrowed; NULL with err if there is none (the probe died, or took too long).  A result with a code is not an err. */
typedef void ml_probe_done(const Ml__ProbeResult *r, const struct ml_err *err, void *arg);

/* spec is borrowed for the call only.  done comes once, never from inside, unless the coordinator is freed before. */
void ml_probe_start(struct ml_coord *c, const Ml__ChangefeedSpec *spec, bool update, ml_probe_done *done, void *arg);

void ml_probe_up(struct ml_coord *c, const Ml__ShardUp *m, int fd);
void ml_probe_died(struct ml_coord *c, const Ml__ShardDied *m);
void ml_probe_tick(struct ml_coord *c, uint64_t now_ms);
void ml_probe_free_all(struct ml_coord *c);
#endif
