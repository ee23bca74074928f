/* craft.h - TiCDC's binary, columnar protocol (protocols.md 13); for Kafka only. */
#ifndef ML_WORKER_ENCODER_CRAFT_CRAFT_H
#define ML_WORKER_ENCODER_CRAFT_CRAFT_H
#include "capture-worker/encoder/encoder.h"

extern const struct ml_encoder_ops ml_encoder_craft;
#endif
