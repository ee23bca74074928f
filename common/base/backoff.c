#include "common/base/backoff.h"

uint32_t
ml_backoff_next(struct ml_backoff *bo, uint64_t lived_ms)
{
	uint64_t delay = bo->base_ms;

	if (lived_ms >= bo->calm_ms)
		bo->deaths = 0;
	for (uint32_t i = 0; i < bo->deaths && delay < bo->cap_ms; i++)
		delay *= 2;
	bo->deaths++;
	return delay < bo->cap_ms ? (uint32_t)delay : bo->cap_ms;
}
