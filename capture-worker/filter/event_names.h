/* event_names.h - the names of kinds of change that `ignore-event` takes (sinks.md 8.2). */
#ifndef ML_WORKER_FILTER_EVENT_NAMES_H
#define ML_WORKER_FILTER_EVENT_NAMES_H
#include <stdbool.h>
#include <stdint.h>

struct ml_event_set {
	uint64_t actions[2]; /* of DDLs: bit = TiDB's action code (protocols.md 2.9) */
	uint8_t ops;         /* of rows: bit = enum ml_op */
};

/* Adds what name stands for; false for an unknown one.  Names are matched exactly. */
bool ml_event_set_add(struct ml_event_set *set, const char *name);
static inline bool
ml_event_set_has(const struct ml_event_set *set, int action)
{
	return action >= 0 && action < 128 && (set->actions[action / 64] >> (action % 64) & 1) != 0;
}
#endif
