/* spawn.h - fork and exec of one child: channel on fd 3, what it is to keep behind that, everything else closed but the log. */
#ifndef ML_SUPERVISOR_SPAWN_H
#define ML_SUPERVISOR_SPAWN_H
#include <sys/types.h>

#include "common/base/err.h"

/*
 * Starts program with the single argument `label` (for ps).  *pid: the child; *fd: our end of its channel, the caller's.
 * Fds 0, 1, 2 are inherited as they are, SIGINT, SIGTERM, SIGHUP and SIGQUIT are ignored from the first moment, no privilege
 * can be gained.  kept: ML_PROC_KEPT descriptors for its fds from ML_PROC_LOCK_FD on, -1 for none.  A program that cannot be executed is an exit with ML_SPAWN_NO_EXEC.
 */
int ml_spawn(const char *program, const char *label, const int *kept, pid_t *pid, int *fd, struct ml_err *err);
#define ML_SPAWN_NO_EXEC 127
#endif
