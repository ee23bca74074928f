/* maxwell.h - the protocol of Maxwell's daemon, as TiCDC writes it (protocols.md 9). */
#ifndef ML_WORKER_ENCODER_MAXWELL_MAXWELL_H
#define ML_WORKER_ENCODER_MAXWELL_MAXWELL_H
#include "capture-worker/encoder/encoder.h"

extern const struct ml_encoder_ops ml_encoder_maxwell;
#endif
