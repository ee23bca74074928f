/*
 * fault.h - named fault points, for tests only.  A build with ML_FAULTS reads MILLRACE_FAULT="name[@arg][,name...]" from the
 * environment; in release builds every question is the constant false.
 */
#ifndef ML_COMMON_BASE_FAULT_H
#define ML_COMMON_BASE_FAULT_H
#include <stdbool.h>

#ifdef ML_FAULTS
/* True if the point `name` is armed for `arg` (a changefeed id, say); armed without @arg means for every arg. */
bool ml_fault(const char *name, const char *arg);
#else
static inline bool
ml_fault(const char *name, const char *arg)
{
	(void)name;
	(void)arg;
	return false;
}
#endif
#endif
