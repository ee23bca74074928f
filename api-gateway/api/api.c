#include "api-gateway/api/api.h"

#include "api-gateway/api/auth.h"
#include "api-gateway/http/reply.h"

const struct ml_http_route ml_api_routes[] = {
	{ ML_HTTP_GET, "/api/v1/status", ML_API_GATED, ml_v1_status },
	{ ML_HTTP_GET, "/api/v1/health", ML_API_GATED, ml_v1_health },
	{ ML_HTTP_GET, "/api/v1/changefeeds", ML_API_GATED, ml_v1_list },
	{ ML_HTTP_POST, "/api/v1/changefeeds", ML_API_GATED | ML_API_AUTH, ml_v1_create },
	{ ML_HTTP_GET, "/api/v1/changefeeds/:id", ML_API_GATED, ml_v1_detail },
	{ ML_HTTP_PUT, "/api/v1/changefeeds/:id", ML_API_GATED | ML_API_AUTH, ml_v1_update },
	{ ML_HTTP_DELETE, "/api/v1/changefeeds/:id", ML_API_GATED | ML_API_AUTH, ml_v1_remove },
	{ ML_HTTP_POST, "/api/v1/changefeeds/:id/pause", ML_API_GATED | ML_API_AUTH, ml_v1_pause },
	{ ML_HTTP_POST, "/api/v1/changefeeds/:id/resume", ML_API_GATED | ML_API_AUTH, ml_v1_resume },
	{ ML_HTTP_POST, "/api/v1/changefeeds/:id/tables/rebalance_table", ML_API_GATED | ML_API_AUTH, ml_v1_rebalance },
	{ ML_HTTP_POST, "/api/v1/changefeeds/:id/tables/move_table", ML_API_GATED | ML_API_AUTH, ml_v1_move_table },
	{ ML_HTTP_GET, "/api/v1/processors", ML_API_GATED, ml_v1_processors },
	{ ML_HTTP_GET, "/api/v1/processors/:id/:capture_id", ML_API_GATED, ml_v1_processor },
	{ ML_HTTP_GET, "/api/v1/captures", ML_API_GATED, ml_v1_captures },
	{ ML_HTTP_PUT, "/api/v1/captures/drain", ML_API_GATED, ml_v1_drain },
	{ ML_HTTP_POST, "/api/v1/owner/resign", ML_API_GATED, ml_v1_resign },
	{ ML_HTTP_POST, "/api/v1/log", ML_API_GATED, ml_v1_log },
	{ ML_HTTP_GET, "/status", 0, ml_legacy_status },
	{ ML_HTTP_GET, "/config", 0, ml_legacy_config },
	{ ML_HTTP_ANY, "/metrics", 0, ml_metrics },
};
const size_t ml_api_n_routes = sizeof(ml_api_routes) / sizeof(ml_api_routes[0]);

bool
ml_api_gate(struct ml_http_req *r, const struct ml_http_route *route, void *arg)
{
	struct ml_api *api = arg;
	struct ml_err err;

	if ((route->flags & ML_API_GATED) != 0 && !api->ready) {
		ML_ERR(&err, ErrServerIsNotReady, 0);
		ml_reply_error(r, &err);
		return false;
	}
	if ((route->flags & ML_API_AUTH) != 0 && api->config->client_user_required) {
		ml_auth(r, route, api);
		return false;
	}
	return true;
}

const char *
ml_api_ts_time(ml_ts ts, char *buf, size_t size)
{
	return ml_time_local((int64_t)ml_ts_ms(ts), buf, size);
}
