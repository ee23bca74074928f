/* registry.c - the protocols of this build, one line each. */
#include <stdatomic.h>
#include <strings.h>

#include "capture-worker/encoder/avro/avro.h"
#include "capture-worker/encoder/canal/canal.h"
#include "capture-worker/encoder/canal_json/canal_json.h"
#include "capture-worker/encoder/craft/craft.h"
#include "capture-worker/encoder/csv/csv.h"
#include "capture-worker/encoder/debezium/debezium.h"
#include "capture-worker/encoder/encoder.h"
#include "capture-worker/encoder/maxwell/maxwell.h"
#include "capture-worker/encoder/open/open.h"
#include "capture-worker/encoder/simple/simple.h"

const struct ml_encoder_ops *const ml_encoders[] = {
	&ml_encoder_avro,
	&ml_encoder_canal,
	&ml_encoder_canal_json,
	&ml_encoder_craft,
	&ml_encoder_csv,
	&ml_encoder_debezium,
	&ml_encoder_maxwell,
	&ml_encoder_open,
	&ml_encoder_simple,
	NULL,
};

const struct ml_encoder_ops *
ml_encoder_for(const char *protocol, struct ml_err *err)
{
	for (size_t i = 0; ml_encoders[i] != NULL; i++) {
		const struct ml_encoder_ops *ops = ml_encoders[i];

		if (strcasecmp(ops->name, protocol) == 0)
			return ops;
		for (size_t k = 0; k < sizeof(ops->aliases) / sizeof(ops->aliases[0]); k++)
			if (ops->aliases[k] != NULL && strcasecmp(ops->aliases[k], protocol) == 0)
				return ops;
	}
	ML_ERR(err, ErrSinkUnknownProtocol, 0, protocol);
	return NULL;
}

uint64_t
ml_encoder_serial(void)
{
	static atomic_uint_fast64_t last;

	return atomic_fetch_add(&last, 1) + 1;
}
