#include "common/base/fault.h"

#ifdef ML_FAULTS
#include <stdlib.h>
#include <string.h>

bool
ml_fault(const char *name, const char *arg)
{
	const char *p = getenv("MILLRACE_FAULT");
	size_t n = strlen(name);

	while (p != NULL && *p != '\0') {
		size_t len = strcspn(p, ",");

		if (len >= n && strncmp(p, name, n) == 0) {
			if (len == n)
				return true;
			if (p[n] == '@' && arg != NULL && strlen(arg) == len - n - 1 &&
				strncmp(p + n + 1, arg, len - n - 1) == 0)
				return true;
		}
		p += len;
		if (*p == ',')
			p++;
	}
	return false;
}
#else
/* An empty translation unit is not C. */
typedef int ml_fault_is_off;
#endif
