#include "supervisor/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common/run/chan.h"
#include "common/run/proc.h"

extern char **environ;

/* The child, between fork and exec: only calls that are safe there. */
static void
become(const char *program, const char *label, int fd, const int *kept)
{
	static const int ignored[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	char *argv[] = { (char *)(uintptr_t)program, (char *)(uintptr_t)label, NULL };
	int from[1 + ML_PROC_KEPT];
	sigset_t none;

	/* First out of the way of where they go. */
	for (int i = 0; i < 1 + ML_PROC_KEPT; i++) {
		from[i] = i == 0 ? fd : kept[i - 1];
		if (from[i] >= 0)
			from[i] = fcntl(from[i], F_DUPFD, ML_PROC_LOCK_FD + ML_PROC_KEPT);
	}
	for (int i = 0; i < 1 + ML_PROC_KEPT; i++) {
		if (from[i] >= 0)
			dup2(from[i], ML_PROC_FD + i);
		else
			close(ML_PROC_FD + i);
	}
	close_range(ML_PROC_LOCK_FD + ML_PROC_KEPT, ~0u, 0);
	for (int s = 1; s < NSIG; s++)
		signal(s, SIG_DFL);
	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	execve(program, argv, environ);
	dprintf(STDERR_FILENO, "millrace-supervisor: cannot execute %s: %s\n", program, strerror(errno));
	_exit(ML_SPAWN_NO_EXEC);
}

int
ml_spawn(const char *program, const char *label, const int *kept, pid_t *pid, int *fd, struct ml_err *err)
{
	sigset_t all, old;
	int pair[2];
	pid_t p;

	if (ml_chan_pair(pair, err) != 0)
		return -1;
	/* No handler of ours may run in the child. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	p = fork();
	if (p == 0)
		become(program, label, pair[1], kept);
	sigprocmask(SIG_SETMASK, &old, NULL);
	close(pair[1]);
	if (p < 0) {
		close(pair[0]);
		return ML_ERRF(err, ErrIO, errno, "fork: %s", strerror(errno));
	}
	*pid = p;
	*fd = pair[0];
	return 0;
}
