/*
 * supervisor.h - the set of children of one node: starts and restarts them, connects workers to the gateway, stops all in order.
 * No threads, no row data, nothing read from a network.
 */
#ifndef ML_SUPERVISOR_SUPERVISOR_H
#define ML_SUPERVISOR_SUPERVISOR_H
#include <stdint.h>

#include "common/run/loop.h"
#include "proto/process.pb-c.h"

struct ml_logfile;
struct ml_supervisor_env {
	const char *gateway_program, *worker_program; /* paths */
	int listen_fd;     /* of the gateway's HTTP; -1 in tests that need none.  Stays the caller's */
	int lock_fd;       /* of the data directory, which every child holds too; -1 in tests.  The caller's */
	uint32_t grace_ms; /* of the whole stop */
	uint32_t ready_ms; /* from the start of a child to its Ready; 0: ML_PROC_DEADLINE_MS */
	const Ml__ServerConfig *config; /* for Welcome; borrowed */
	struct ml_logfile *log;         /* rotates fds 1 and 2; borrowed, NULL: they are no file of ours */
};

struct ml_supervisor;
/* Starts the gateway and takes over SIGCHLD, SIGINT, SIGTERM, SIGHUP and SIGQUIT of the loop. */
struct ml_supervisor *ml_supervisor_new(struct ml_loop *l, const struct ml_supervisor_env *env);
/* Runs until all children are gone.  Exit code: 0 after a stop, 1 if the gateway is hopeless or a second signal came. */
int ml_supervisor_run(struct ml_supervisor *sup);
void ml_supervisor_free(struct ml_supervisor *sup);
#endif
