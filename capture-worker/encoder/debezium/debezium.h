/* debezium.h - the protocol debezium (protocols.md 11): as Debezium's MySQL connector with JSON converters. */
#ifndef ML_WORKER_ENCODER_DEBEZIUM_DEBEZIUM_H
#define ML_WORKER_ENCODER_DEBEZIUM_DEBEZIUM_H
#include "capture-worker/encoder/encoder.h"

extern const struct ml_encoder_ops ml_encoder_debezium;
#endif
