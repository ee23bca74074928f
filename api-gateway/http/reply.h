/* reply.h - the body styles of openapi.md 1.4, the error document of 7.1, and display times of 1.6. */
#ifndef ML_API_GATEWAY_HTTP_REPLY_H
#define ML_API_GATEWAY_HTTP_REPLY_H
#include <stdint.h>

#include "api-gateway/http/server.h"
#include "common/text/jsonw.h"

/* Spaces a level of the JSON styles, for ml_jw_of. */
enum ml_style { ML_STYLE_C = 0, ML_STYLE_L = 1, ML_STYLE_I = 4 };

/* A document that was written with the style's indent; frees doc. */
void ml_reply_json(struct ml_http_req *r, int status, enum ml_style style, struct ml_buf *doc);
void ml_reply_empty(struct ml_http_req *r, int status);                  /* style E: no bytes, no Content-Type */
void ml_reply_text(struct ml_http_req *r, int status, const char *text); /* style T */
/* {"error_msg": "[CDC:ErrX]text", "error_code": "CDC:ErrX"} with the status that 7.2 selects. */
void ml_reply_error(struct ml_http_req *r, const struct ml_err *err);

/* "YYYY-MM-DD HH:MM:SS.mmm" of Unix milliseconds in the system's local zone; buf holds at least 32 bytes; returns buf. */
const char *ml_time_local(int64_t unix_ms, char *buf, size_t size);
/* The same in a fixed offset east of UTC. */
const char *ml_time_at(int64_t unix_ms, int32_t offset_s, char *buf, size_t size);
#endif
