/* csv.h - rows as lines of comma-separated values, for storage only (protocols.md 10). */
#ifndef ML_WORKER_ENCODER_CSV_CSV_H
#define ML_WORKER_ENCODER_CSV_CSV_H
#include "capture-worker/encoder/encoder.h"

extern const struct ml_encoder_ops ml_encoder_csv;
#endif
