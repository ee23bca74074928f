/* api.h - the HTTP API: what its handlers share, and the table of all routes.  Handlers: v1.c, v1_changefeed.c, metrics.c. */
#ifndef ML_API_GATEWAY_API_API_H
#define ML_API_GATEWAY_API_API_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api-gateway/coord/coord.h"
#include "api-gateway/http/server.h"

/* A version that TiCDC's clients take for a v8.5 server (openapi.md 3.1), with our own as build metadata. */
#define ML_API_VERSION "v8.5.0+millrace." ML_VERSION

struct ml_api {
	const Ml__ServerConfig *config;
	struct ml_coord *coord;
	struct ml_chan *supervisor;
	bool ready;                  /* the metadata store is usable and read */
	bool stopping;               /* the node stops: liveness 1 */
	Ml__ProcessStats *processes; /* last report of the supervisor; NULL: none yet; owned by the gateway */
	uint64_t start_wall_ms;      /* of this gateway */
};

/* Route flags: not before the store is read; only for users that may (openapi.md 8.2), if the server asks for users. */
#define ML_API_GATED 1u
#define ML_API_AUTH 2u

extern const struct ml_http_route ml_api_routes[];
extern const size_t ml_api_n_routes;
/* The gate of the routes; arg of it and of all handlers: the struct ml_api. */
bool ml_api_gate(struct ml_http_req *r, const struct ml_http_route *route, void *arg);

/* TSO to "YYYY-MM-DD HH:MM:SS.mmm" of its physical part, local zone. */
const char *ml_api_ts_time(ml_ts ts, char *buf, size_t size);

void ml_v1_status(struct ml_http_req *r, void *arg);
void ml_v1_health(struct ml_http_req *r, void *arg);
void ml_v1_captures(struct ml_http_req *r, void *arg);
void ml_v1_drain(struct ml_http_req *r, void *arg);
void ml_v1_processors(struct ml_http_req *r, void *arg);
void ml_v1_processor(struct ml_http_req *r, void *arg);
void ml_v1_resign(struct ml_http_req *r, void *arg);
void ml_v1_log(struct ml_http_req *r, void *arg);
void ml_legacy_status(struct ml_http_req *r, void *arg);
void ml_legacy_config(struct ml_http_req *r, void *arg);

void ml_v1_list(struct ml_http_req *r, void *arg);
void ml_v1_detail(struct ml_http_req *r, void *arg);
void ml_v1_create(struct ml_http_req *r, void *arg);
void ml_v1_update(struct ml_http_req *r, void *arg);
void ml_v1_remove(struct ml_http_req *r, void *arg);
void ml_v1_pause(struct ml_http_req *r, void *arg);
void ml_v1_resume(struct ml_http_req *r, void *arg);
void ml_v1_rebalance(struct ml_http_req *r, void *arg);
void ml_v1_move_table(struct ml_http_req *r, void *arg);

void ml_metrics(struct ml_http_req *r, void *arg);

/*
 * The changefeed of path parameter 0 in namespace default.  NULL: F-ID or F-NF (openapi.md 3.0) has been answered.
 */
struct ml_feed *ml_v1_feed(struct ml_http_req *r, struct ml_api *api);
/* What v1 calls f's state: it has one word for warning and pending. */
const char *ml_v1_state(const struct ml_feed *f);
struct ml_jw;
/* Key "error": the last error, else the last warning, as 2.4 has it; null in normal. */
void ml_v1_put_error(struct ml_jw *w, const struct ml_feed *f);
#endif
