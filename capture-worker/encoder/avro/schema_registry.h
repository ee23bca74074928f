/*
 * schema_registry.h - a client of a Confluent-compatible schema registry over HTTP(S): is it there, and which id has a schema
 * (protocols.md 8.2).  Calls block the caller's thread; each has a bounded time in all, retries included.
 *
 * Not thread safe: one owner.  No text made here holds the URL's user or password.
 */
#ifndef ML_WORKER_ENCODER_AVRO_SCHEMA_REGISTRY_H
#define ML_WORKER_ENCODER_AVRO_SCHEMA_REGISTRY_H
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "proto/process.pb-c.h"

struct ml_schema_registry;

/* How long to try.  A registry that is away longer ends the shard with an error, whose restarts then go on trying. */
struct ml_schema_registry_times {
	uint32_t call_ms;        /* one call */
	uint32_t open_ms;        /* ml_schema_registry_open, all tries */
	uint32_t register_ms;    /* ml_schema_registry_id, all tries */
	uint32_t first_delay_ms; /* before the second try; grows by half each time */
};
extern const struct ml_schema_registry_times ml_schema_registry_times;

/*
 * url: http or https, with user:password@ for basic authentication.  tls: the server's certificate authority and client
 * certificate for https, may be NULL.  Asks the registry's root, which must answer `{}`.  Errors: ErrAvroSchemaAPIError; an
 * URL that is none: ErrCodecInvalidConfig.
 */
int ml_schema_registry_open(struct ml_schema_registry **out, const char *url, const Ml__ServerConfig *tls,
	const struct ml_schema_registry_times *times, struct ml_err *err);
/*
 * Registers the schema under the subject; *id is the number it has there, also if it was there before.  Tries again after
 * transport errors, answers other than 2xx and 4xx, and the "already exists" of two first registrations at once; other 4xx are
 * final.  ErrAvroSchemaAPIError.
 */
int ml_schema_registry_id(struct ml_schema_registry *r, const char *subject, const char *schema, size_t len,
	uint32_t *id, struct ml_err *err);
void ml_schema_registry_close(struct ml_schema_registry *r); /* NULL is fine */
#endif
