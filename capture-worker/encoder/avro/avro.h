/* avro.h - the protocol avro (protocols.md 8): rows as Avro records whose schemas are in a Confluent registry; Kafka only. */
#ifndef ML_WORKER_ENCODER_AVRO_AVRO_H
#define ML_WORKER_ENCODER_AVRO_AVRO_H
#include "capture-worker/encoder/encoder.h"

extern const struct ml_encoder_ops ml_encoder_avro;
#endif
