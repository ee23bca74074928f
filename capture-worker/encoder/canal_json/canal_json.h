/* canal_json.h - the protocol canal-json (protocols.md 5), for Kafka and for storage. */
#ifndef ML_WORKER_ENCODER_CANAL_JSON_H
#define ML_WORKER_ENCODER_CANAL_JSON_H
#include "capture-worker/encoder/encoder.h"

extern const struct ml_encoder_ops ml_encoder_canal_json;
#endif
