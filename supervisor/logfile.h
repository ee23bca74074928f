/*
 * logfile.h - rotation of the log that all processes of a node append to.  The file is renamed to `name-2006-01-02T15-04-05.000.ext`
 * (local time, before the extension) and a new one is opened; who hands its descriptor to the children is supervisor.c.  Old files
 * go by their number and by the time in their names (runtime.md 9.4).
 */
#ifndef ML_SUPERVISOR_LOGFILE_H
#define ML_SUPERVISOR_LOGFILE_H
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "common/base/err.h"

struct ml_logfile;
/* path: copied.  max_mib 0: 300, the reference's default.  max_days, max_backups 0: no limit. */
struct ml_logfile *ml_logfile_new(const char *path, int64_t max_mib, int64_t max_days, int64_t max_backups);
void ml_logfile_free(struct ml_logfile *lf); /* NULL is fine */

/* Has the open file fd reached the limit? */
bool ml_logfile_due(const struct ml_logfile *lf, int fd);
/* now: wall clock, for the name.  *fd: the new file, yours.  -1 with ErrIO: everything is as it was. */
int ml_logfile_rotate(const struct ml_logfile *lf, struct timespec now, int *fd, struct ml_err *err);
/* Removes what the limits no longer allow; files of other names are never touched.  What cannot be removed stays. */
void ml_logfile_clean(const struct ml_logfile *lf, time_t now);
#endif
