/*
 * spec.h - request bodies of v1 create and update to the ChangefeedSpec that is stored and that workers run (openapi.md 3.3, 3.4, 5.3, 5.4):
 * types and defaults here; what needs an upstream or a sink to judge is the probe's.
 */
#ifndef ML_API_GATEWAY_API_SPEC_H
#define ML_API_GATEWAY_API_SPEC_H
#include <stddef.h>

#include "common/base/err.h"
#include "proto/shard.pb-c.h"

#define ML_SPEC_MOUNTER_WORKERS 16

/*
 * A new spec in namespace default, with a generated id if the body has none; free it with ml__changefeed_spec__free_unpacked.  Checks 1 to 3 of
 * 3.3: ErrAPIInvalidParam, ErrSinkURIInvalid.
 */
int ml_spec_of_create(const char *body, size_t len, Ml__ChangefeedSpec **out, struct ml_err *err);
/* `old` with the body's changes, as a new spec.  Checks 3 and 4 of 3.4. */
int ml_spec_of_update(
	const char *body, size_t len, const Ml__ChangefeedSpec *old, Ml__ChangefeedSpec **out, struct ml_err *err);
/*
 * mysql://user:password@host:port/ into an Upstream whose uri holds no password.  ErrUpstreamURIInvalid without the password in its
 * text.
 */
int ml_spec_upstream(const char *uri, Ml__Upstream **out, struct ml_err *err);
#endif
