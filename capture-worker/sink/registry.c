/* registry.c - the sinks of this build; a new one is one line here. */
#include <string.h>

#include "capture-worker/sink/blackhole/blackhole.h"
#include "capture-worker/sink/kafka/kafka.h"
#include "capture-worker/sink/mysql/mysql.h"
#include "capture-worker/sink/sink.h"
#include "capture-worker/sink/storage/storage.h"

const struct ml_sink_ops *const ml_sinks[] = { &ml_sink_blackhole, &ml_sink_kafka, &ml_sink_mysql, &ml_sink_storage,
	NULL };

const struct ml_sink_ops *
ml_sink_for(const char *scheme, struct ml_err *err)
{
	for (size_t i = 0; ml_sinks[i] != NULL; i++)
		for (size_t j = 0; j < 8 && ml_sinks[i]->schemes[j] != NULL; j++)
			if (strcmp(ml_sinks[i]->schemes[j], scheme) == 0)
				return ml_sinks[i];
	ML_ERRF(err, ErrSinkURIInvalid, 0, "the sink scheme (%s) is not supported", scheme);
	return NULL;
}
