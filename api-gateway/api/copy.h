/* copy.h - how far the initial copies of changefeeds are: for the detail document and for /metrics. */
#ifndef ML_GATEWAY_API_COPY_H
#define ML_GATEWAY_API_COPY_H
#include "api-gateway/api/api.h"
#include "api-gateway/coord/feed.h"
#include "common/text/jsonw.h"

/* The member "snapshot" of a changefeed's detail; nothing where no copy is or was. */
void ml_copy_put(struct ml_jw *w, const struct ml_feed *f, uint64_t now_ms);
void ml_copy_metrics(struct ml_buf *out, const struct ml_coord *coord);
#endif
