#include "api-gateway/coord/retry.h"

uint64_t
ml_retry_error(struct ml_retry *r, uint64_t now_ms)
{
	uint64_t at;

	if (!r->active || (r->well_since_ms != 0 && now_ms - r->well_since_ms >= ML_RETRY_CALM_MS))
		*r = (struct ml_retry){ .active = true, .first_ms = now_ms, .base_ms = ML_RETRY_FIRST_MS };
	r->well_since_ms = 0;
	at = r->last_ms == 0 ? now_ms : r->last_ms + r->wait_ms;
	return at > now_ms ? at - now_ms : 0;
}

bool
ml_retry_go(struct ml_retry *r, uint64_t now_ms, uint16_t chance)
{
	uint64_t base = (uint64_t)r->base_ms * 2, wait;

	if (base > ML_RETRY_CAP_MS)
		base = ML_RETRY_CAP_MS;
	wait = base * 9 / 10 + base * 2 / 10 * chance / 65535;
	if (now_ms - r->first_ms + wait > ML_RETRY_BUDGET_MS)
		return false;
	r->last_ms = now_ms;
	r->base_ms = (uint32_t)base;
	r->wait_ms = (uint32_t)wait;
	return true;
}

void
ml_retry_well(struct ml_retry *r, uint64_t now_ms)
{
	if (r->active && r->well_since_ms == 0)
		r->well_since_ms = now_ms;
}

void
ml_retry_reset(struct ml_retry *r)
{
	*r = (struct ml_retry){ 0 };
}
