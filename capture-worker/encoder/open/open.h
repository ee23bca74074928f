/* open.h - open-protocol (protocols.md 6), also called default; for Kafka only. */
#ifndef ML_WORKER_ENCODER_OPEN_H
#define ML_WORKER_ENCODER_OPEN_H
#include "capture-worker/encoder/encoder.h"

extern const struct ml_encoder_ops ml_encoder_open;
#endif
