/* canal.h - the protocol canal (protocols.md 7): Alibaba canal's protobuf packets, for Kafka only. */
#ifndef ML_WORKER_ENCODER_CANAL_H
#define ML_WORKER_ENCODER_CANAL_H
#include "capture-worker/encoder/encoder.h"

extern const struct ml_encoder_ops ml_encoder_canal;
#endif
