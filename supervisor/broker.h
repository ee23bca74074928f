/* broker.h - makes the socket pair between the gateway and one worker and passes the ends. */
#ifndef ML_SUPERVISOR_BROKER_H
#define ML_SUPERVISOR_BROKER_H
#include <stdbool.h>

#include "supervisor/child.h"

void ml_broker_key(Ml__ShardKey *key, const struct ml_child *c); /* texts are c's */
/* Both are up.  running: the worker ran before this gateway did.  Failure is logged; a new gateway or worker tries anew. */
void ml_broker_link(struct ml_child *gateway, struct ml_child *worker, bool running);
#endif
