/*
 * store_s3.h - objects in a bucket: s3://bucket/prefix, and gs:// or gcs:// through Google's endpoint that speaks S3.  Azure's
 * schemes are known, to be refused with a text that helps.
 */
#ifndef ML_WORKER_SINK_STORAGE_S3_STORE_S3_H
#define ML_WORKER_SINK_STORAGE_S3_STORE_S3_H
#include "capture-worker/sink/storage/store.h"

extern const struct store_ops store_s3, store_gcs, store_azure;
#endif
