/*
 * plan.h - a changefeed's definition resolved into the parts that will run it: sink, encoder, filter, routing.  Used by the
 * pipeline and, before a changefeed exists, by the probe.  Nothing here connects anywhere.
 */
#ifndef ML_WORKER_PLAN_H
#define ML_WORKER_PLAN_H
#include "capture-worker/encoder/encoder.h"
#include "capture-worker/filter/filter.h"
#include "capture-worker/sink/sink.h"
#include "common/text/uri.h"

struct ml_plan {
	struct ml_uri *uri;
	const struct ml_sink_ops *sink;
	const struct ml_encoder_ops *encoder; /* NULL: the sink takes rows or counts */
	char *topic;                          /* default topic; "" for sinks without topics */
	bool raw_change_event;                /* UPDATEs that change a key are not split */
};

/*
 * Resolves spec: URI, sink by scheme, protocol (the URI's wins over sink_config's; Kafka without any gets open-protocol, the
 * v1 API's default), encoder.  Errors: ErrSinkURIInvalid, ErrSinkUnknownProtocol, ErrStorageSinkInvalidConfig,
 * ml_large_check's.
 */
int ml_plan_init(struct ml_plan *p, const Ml__ChangefeedSpec *spec, struct ml_err *err);
void ml_plan_fini(struct ml_plan *p);
/* The sink's environment without callbacks. */
struct ml_sink_env ml_plan_sink_env(
	const struct ml_plan *p, const Ml__ChangefeedSpec *spec, const Ml__ServerConfig *config, const char *object);
#endif
