/*
 * tz.h - time zones: offset from UTC at an instant, from the system's TZif files, without the C library's global zone.
 *
 * A struct ml_tz is immutable once open, so all threads may share it.
 */
#ifndef ML_COMMON_TEXT_TZ_H
#define ML_COMMON_TEXT_TZ_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"

struct ml_tz;

/* One stretch of time with one offset: [from, to). */
struct ml_tz_range {
	int64_t from_s, to_s; /* UTC seconds of the epoch */
	int32_t offset_s;     /* east of Greenwich */
};

/*
 * name: IANA ("Asia/Shanghai"), "UTC", "+08:00" / "-3:30", or "", "System", "Local" (TZ of the environment, else /etc/localtime).
 * ErrLoadTimezone for an unknown one; no name reaches outside of the zone folder.
 */
int ml_tz_open(struct ml_tz **out, const char *name, struct ml_err *err);
void ml_tz_free(struct ml_tz *tz); /* NULL is fine */
/* The name as TiCDC prints it: IANA name, also behind "System" where it can be found out; "Local" otherwise. */
const char *ml_tz_name(const struct ml_tz *tz);
/* The stretch that holds utc_s; keep it and ask again only outside of it. */
struct ml_tz_range ml_tz_range_at(const struct ml_tz *tz, int64_t utc_s);
/*
 * UTC seconds of a local wall-clock second count (counted as if local were UTC).  Where that time does not exist or exists
 * twice, the answer is that of Go's time.Date, whose results TiCDC prints.
 */
int64_t ml_tz_to_utc(const struct ml_tz *tz, int64_t local_s);
#endif
