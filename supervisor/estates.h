/* estates.h - the estate of every shard (common/run/estate.h): kept from its first worker on, across deaths, pauses and epochs. */
#ifndef ML_SUPERVISOR_ESTATES_H
#define ML_SUPERVISOR_ESTATES_H
#include <stdint.h>

#include "common/base/list.h"

/* The pair for the shard's worker, made when it is asked for first.  Borrowed; NULL: no descriptors left. */
const int *ml_estates_get(struct ml_list *estates, const char *ns, const char *id, uint32_t shard);
/* The shard has no worker any more: forgets its estate, unless connections wait in it. */
void ml_estates_drop(struct ml_list *estates, const char *ns, const char *id, uint32_t shard);
void ml_estates_free(struct ml_list *estates);
#endif
