/*
 * gateway.h - the api-gateway as one object: HTTP server, coordinator, metadata store and the supervisor's channel, wired together.
 * It serves from its first moment: until the store can be read, the API answers 503, and opening is tried again each second.
 */
#ifndef ML_API_GATEWAY_GATEWAY_H
#define ML_API_GATEWAY_GATEWAY_H
#include "api-gateway/api/api.h"
#include "common/run/inbox.h"

struct ml_gateway;

/* config and supervisor are borrowed and outlive the gateway.  listen_fd is taken.  NULL with err. */
struct ml_gateway *ml_gateway_new(struct ml_loop *l, const Ml__ServerConfig *config, struct ml_chan *supervisor,
	int listen_fd, struct ml_err *err);
/* The supervisor counts this process as up: workers may be asked for. */
void ml_gateway_start(struct ml_gateway *g);
/* Stops serving, writes what is not saved, frees g.  Workers go on.  NULL is fine. */
void ml_gateway_free(struct ml_gateway *g);

/* Messages of the supervisor; arg of the handlers points to the variable that holds the gateway.  states: when they may come. */
#define ML_GATEWAY_N_ROWS 4
void ml_gateway_rows(struct ml_inbox_row rows[ML_GATEWAY_N_ROWS], uint32_t states);
#endif
