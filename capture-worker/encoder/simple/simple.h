/* simple.h - the protocol simple (protocols.md 12): rows with the schemas that describe them, as JSON or as Avro; Kafka only. */
#ifndef ML_WORKER_ENCODER_SIMPLE_SIMPLE_H
#define ML_WORKER_ENCODER_SIMPLE_SIMPLE_H
#include "capture-worker/encoder/encoder.h"

extern const struct ml_encoder_ops ml_encoder_simple;
#endif
